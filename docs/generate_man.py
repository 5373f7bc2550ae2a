"""docs/run402.1, the manual page: from the command tree, the global options and a table of docs/protocol/conventions.md."""

from __future__ import annotations

import re
from pathlib import Path

import command_tree

from run402_cli import __version__
from run402_cli.command_schemas import names
from run402_cli.exits import MEANINGS
from run402_cli.global_options import OPTIONS
from run402_cli.helptext import areas

DOCS = Path(__file__).resolve().parent
_VARIABLES = re.compile(r"^\| ((?:`[A-Z0-9_]+`(?:, )?)+) \| (.+) \|$", re.MULTILINE)

_DESCRIPTION = (
    "A whole backend from the command line: PostgreSQL, REST with row-level security, functions, static sites, files, users, "
    "mail. It speaks the Run402 HTTP API: the Cloud, a self-hosted gateway, or the local gateway of `run402 core start`, "
    "which works offline.",
    "stdout is one JSON document, or NDJSON where a command streams. Progress and errors are JSON lines on stderr. No command "
    "prompts without a terminal.",
)
_FILES = {
    "~/.config/run402": "wallets, keys, sessions and the chosen gateway. Private: never copy it into a repository.",
    ".run402/": "which project and wallet a directory works with. No secrets.",
    "run402.deploy.json": "the manifest that `run402 up` deploys.",
}
_SEE_ALSO = "`run402 docs` lists the pages of documentation, `run402 schema` has commands and results as data."
_EXAMPLE = ("run402 core start --use", "run402 projects provision --name my-app", "run402 up --yes")


def plain(text: str) -> str:
    """Text for roff: nothing in it is a request or an escape."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def prose(text: str) -> str:
    """The same with what stands in backticks in bold."""
    return re.sub(r"`([^`]+)`", r"\\fB\1\\fR", plain(text))


def entry(term: str, text: str) -> list[str]:
    return [".TP", f"\\fB{plain(term)}\\fR", prose(text)]


def commands() -> list[str]:
    """Each area, each group, each command with its usage and what it does."""
    lines = [".SH COMMANDS", prose("`run402 COMMAND --help` tells the options of one, with an example.")]
    for area, groups in areas().items():
        lines += [f".SS {plain(area)}"]
        for full in (name for group in groups for name in names() if name.split()[0] == group):
            command = command_tree.find(full)
            lines += entry(command_tree.usage(full, command).removeprefix("run402 "), command_tree.text(command))
    return lines


def variables() -> list[str]:
    """The table of docs/protocol/conventions.md."""
    rows = _VARIABLES.findall((DOCS / "protocol" / "conventions.md").read_text(encoding="utf-8"))
    return [line for names_, text in rows for line in entry(names_.replace("`", ""), text.replace("\\|", "|"))]


def page() -> str:
    """The whole page; `man -l docs/run402.1` shows it."""
    description = [line for text in _DESCRIPTION for line in (prose(text), ".PP")][:-1]
    options = [line for flag, (value, text) in OPTIONS.items() for line in entry(f"{flag} {value or ''}".strip(), text)]
    lines = [
        ".\\\" Made by docs/generate.py; do not edit.",
        f'.TH RUN402 1 "" "run402 {__version__}" "run402"',
        ".SH NAME", f"run402 \\- {plain('a whole backend from the command line')}",
        ".SH SYNOPSIS", f"\\fBrun402\\fR {plain('<command> [subcommand] [arguments] [--wallet NAME]')}",
        ".SH DESCRIPTION", *description,
        ".SH OPTIONS", "On every command:", *options,
        *commands(),
        ".SH EXIT STATUS", *(line for code, text in MEANINGS.items() for line in entry(str(code), text)),
        ".SH ENVIRONMENT", *variables(),
        ".SH FILES", *(line for name, text in _FILES.items() for line in entry(name, text)),
        ".SH EXAMPLE", ".nf", *map(plain, _EXAMPLE), ".fi",
        ".SH SEE ALSO", prose(_SEE_ALSO),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def pages() -> dict[Path, str]:
    return {DOCS / "run402.1": page()}
