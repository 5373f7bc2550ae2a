"""Help of the whole program and of one group, from the static tables; and how wide any help is. Imports no command.

See docs/protocol/conventions.md, "Help".
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_WIDEST, _NARROWEST, _WITHOUT_TERMINAL = 110, 40, 80
# The groups by what a reader is after.
AREAS: dict[str, str] = {
    "Start": "up init status open doctor",
    "Data": "projects secrets snapshots branches archives cloud",
    "Deploy": "deploy apply sites subdomains domains ci apps dev",
    "Code": "functions jobs logs errors events cache ai image contracts",
    "Files": "assets cdn",
    "Users": "auth",
    "Mail": "email",
    "Money": "tier allowance billing pay redeem",
    "Team": "org grants delegates transfer rooms claims escalations operator notifications webhook-secret agent "
    "identity message",
    "Machine": "core wallets credentials skill mcp schema completion service admin",  # and what stands nowhere else
}
# The command whose example a group's page shows; the first of the group where it is not named here.
_SHOWN = {
    "agent": "contact", "allowance": "limits set", "assets": "put", "auth": "create-user", "billing": "balance",
    "credentials": "project-keys list", "deploy": "apply", "domains": "connect", "email": "send", "functions": "deploy",
    "org": "member add", "projects": "sql", "rooms": "send", "secrets": "set", "snapshots": "create", "wallets": "use",
}  # fmt: skip


def width() -> int:
    """Columns of the terminal on stdout, COLUMNS first; 80 without a terminal. At most 110, which is easy to read."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        found = int(columns)
    else:
        try:
            found = os.get_terminal_size(sys.stdout.fileno()).columns
        except (OSError, ValueError, AttributeError):
            found = 0
    return max(_NARROWEST, min(found or _WITHOUT_TERMINAL, _WIDEST))


def root_help() -> str:
    """Help of the whole program."""
    from run402_cli._version import __version__
    from run402_cli.global_options import OPTIONS
    from run402_cli.registry import GROUPS

    column = max(map(len, GROUPS)) + 2
    options = {f"{flag} {value}" if value else flag: text for flag, (value, text) in OPTIONS.items()}
    lines = wrapped(f"run402 {__version__} - a whole backend from the command line. JSON in, JSON out.")
    lines += wrapped("Usage: run402 <command> [subcommand] [arguments] [--wallet NAME]")
    for area, names in areas().items():
        lines += ["", f"{area}:", *rows({name: GROUPS[name].summary for name in names}, column)]
    lines += ["", "Global options, on every command:", *rows(options, column + 8)]
    return "\n".join((*lines, "", *wrapped(_RESULT), *wrapped(_MORE), "", *_FIRST_STEPS))


def areas() -> dict[str, list[str]]:
    """The groups of each area; a group without an area belongs to the machine."""
    from run402_cli.registry import GROUPS

    found = {area: names.split() for area, names in AREAS.items()}
    placed = {name for names in found.values() for name in names}
    found["Machine"] += [name for name in GROUPS if name not in placed]
    return found


_RESULT = "Every command prints one JSON document and exits 0, or one JSON error on stderr and fails."
_MORE = "run402 help <command> shows one; run402 version."
_FIRST_STEPS = (
    "First steps, offline (needs pipx install 'run402[core]'):",
    "  run402 core start --use",
    "  run402 projects provision --name my-app",
    "  run402 up --yes",
)


def group_help(name: str) -> str:
    """Help of one group, with an example."""
    from run402_cli.registry import GROUPS

    group = GROUPS[name]
    lines = [*wrapped(f"run402 {name} - {group.summary}"), "", f"Usage: run402 {name} <subcommand> [arguments]", ""]
    lines += ["Subcommands:", *rows(group.commands, max(map(len, group.commands)) + 2)]
    path = _SHOWN.get(name, next(iter(group.commands)))
    lines += ["", "Example:", *example(_example(f"{name} {path}")), ""]
    return "\n".join((*lines, *wrapped(f"run402 help {name} <subcommand> shows arguments, flags and an example.")))


def _example(command: str) -> str:
    """The first example of a command, out of the data of `run402 schema`: one line of JSON for each command."""
    import json
    from pathlib import Path

    data = (Path(__file__).with_name("schemas") / "_commands.json").read_text(encoding="utf-8")
    start = data.index(f"\n    {json.dumps(command)}: ") + 1
    entry = json.loads("{" + data[start : data.index("\n", start)].rstrip(",") + "}")[command]
    return str(entry["examples"][0])


def rows(texts: Mapping[str, str], column: int) -> list[str]:
    """Names and what they mean, in two columns that fit."""
    out: list[str] = []
    for name, text in texts.items():
        first, *more = wrapped(text, width() - column - 2)
        out += [f"  {name:<{column}}{first}", *(" " * (column + 2) + line for line in more)]
    return out


def example(text: str) -> list[str]:
    """One example; where it is too long for a line, the shell's own continuation breaks it between two words."""
    lines, line = [], "  "
    for word in _shell_words(text):
        if len(line) + len(word) + 3 > width() and line.strip():
            lines.append(f"{line}\\")
            line = "      "
        line += f"{word} "
    return [*lines, line.rstrip()]


def _shell_words(text: str) -> list[str]:
    """The words of a command line with their quotes, cut at blanks outside of quotes."""
    words, quote = [""], ""
    for char in text:
        if char == " " and not quote:
            words.append("")
            continue
        if quote == char:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        words[-1] += char
    return words


def wrapped(text: str, columns: int | None = None) -> list[str]:
    """The text in lines of at most so many columns (the terminal's), broken between words."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > (columns or width()):
            lines.append(word)
        else:
            lines[-1] += f" {word}" if lines[-1] else word
    return lines
