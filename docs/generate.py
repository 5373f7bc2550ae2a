"""Write docs/reference/*.md and llms-cli.txt from the command tree. `make docs`; a test checks that they are fresh."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import click

from run402_cli.commands._command import CommandGroup
from run402_cli.registry import GROUPS

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent


def commands(name: str) -> dict[str, click.Command]:
    """The commands of one group by full name, e.g. "projects sql"."""
    group = GROUPS[name]
    app: CommandGroup = importlib.import_module(f"run402_cli.commands.{group.module}").app
    if not group.commands:
        return {name: app.find(name), **{f"{name} {word}": app.find(word) for word in group.words}}
    return {f"{name} {path}": app.find(path) for path in group.commands}


def usage(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=f"run402 {name}")
    return " ".join(["run402", name, *command.collect_usage_pieces(context)]).replace(" [OPTIONS]", "")


def options(command: click.Command) -> list[tuple[str, str]]:
    """(spelling, help) of each option but --help."""
    context = click.Context(command, info_name="x")
    rows = []
    for param in command.get_params(context):
        record = param.get_help_record(context) if isinstance(param, click.Option) else None
        if record is not None and "--help" not in record[0]:
            rows.append((" ".join(record[0].split()), " ".join(record[1].split())))
    return rows


def examples(command: click.Command) -> list[str]:
    lines = (command.epilog or "").replace("\b", "").splitlines()
    return [line.strip() for line in lines if line.startswith("  ")]


def text(command: click.Command) -> str:
    return " ".join((command.help or "").replace("\b", "").split())


def reference(name: str) -> str:
    """One Markdown page per group."""
    lines = [f"# run402 {name}", "", GROUPS[name].summary, ""]
    for full, command in commands(name).items():
        lines += [f"## {full}", "", text(command), "", "```", usage(full, command), "```", ""]
        rows = options(command)
        if rows:
            lines += ["| option | meaning |", "|---|---|"]
            lines += [f"| `{spelling}` | {meaning.replace('|', chr(92) + '|')} |" for spelling, meaning in rows] + [""]
        lines += ["Example:", "", "```sh", *examples(command), "```", ""]
    return "\n".join(lines).rstrip() + "\n"


def llms() -> str:
    """The page that an agent reads first: a hand-written head, then one or two lines per command."""
    lines = [(DOCS / "llms-head.txt").read_text(encoding="utf-8").rstrip(), ""]
    for name in GROUPS:
        for full, command in commands(name).items():
            flags = " ".join(f"[{spelling}]" for spelling, _ in options(command))
            lines.append(f"{usage(full, command)} {flags}".rstrip())
            lines.append(f"  {text(command)}")
    return "\n".join(lines) + "\n"


def completion() -> str:
    """The options of each command, for shell completion: one line per command."""
    lines = []
    for name in GROUPS:
        for full, command in commands(name).items():
            flags = sorted({opt for param in command.params for opt in param.opts if opt.startswith("--")} - {"--help"})
            lines.append(f"  {json.dumps(full)}: {json.dumps(flags)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def pages() -> dict[Path, str]:
    """Every generated file and its content."""
    out = {DOCS / "reference" / f"{name}.md": reference(name) for name in GROUPS}
    out[ROOT / "llms-cli.txt"] = llms()
    out[ROOT / "run402_cli" / "completion.json"] = completion()
    return out


def main() -> None:
    for path, content in pages().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")
    sys.stdout.write(f"{len(pages())} files written\n")


if __name__ == "__main__":
    main()
