"""Make run402_cli/command_table.py, from which registry.py and effects.py know the commands without importing them.

The first step of `make docs`. What a command does stands in its declaration (`@app.command(...)`), the order of a group's
commands in its schema file. The table that is there is not read: it may lack a command, have one that is gone, or be broken.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from missing import Missing

if TYPE_CHECKING:
    from run402_cli.commands._command import CommandGroup, Declaration

PACKAGE = Path(__file__).resolve().parent.parent / "run402_cli"
PATH = PACKAGE / "command_table.py"
_HEAD = '''"""What each command declares in commands/. Made by docs/generate_table.py; do not edit: `make docs`."""

# Group -> command -> effect, credentials, marks, summary. "" is a group that is a command itself: its summary is the group's.
COMMANDS: dict[str, dict[str, tuple[str, str, str, str]]] = {
'''


def page() -> str:
    """The module."""
    from run402_cli.registry import GROUPS

    for line in _homeless():
        raise Missing(line)
    lines = []
    for name in GROUPS:
        lines += [f"    {_quoted(name)}: {{", *_rows(name), "    },"]
    return _HEAD + "\n".join(lines) + "\n}  # fmt: skip\n"


def _homeless() -> Iterator[str]:
    """Command modules that belong to no group."""
    from run402_cli.registry import GROUPS

    modules = {group.module for group in GROUPS.values()}
    for path in sorted((PACKAGE / "commands").glob("[a-z]*.py")):
        if path.stem not in modules:
            yield f"run402_cli/registry.py: no group in GROUPS for run402_cli/commands/{path.name}"


def _rows(group: str) -> Iterator[str]:
    app = _app(group)
    for path, said in _declared(group, app).items():
        summary = (said.summary or _first_sentence(app, path or group)) if path else ""
        row = (said.effect, " ".join(said.auth), " ".join(said.marks), summary)
        yield f"        {_quoted(path)}: ({', '.join(map(_quoted, row))}),"


def _declared(group: str, app: CommandGroup) -> dict[str, Declaration]:
    """The commands of a group in the order of its schema file; under "" the one that is the group itself."""
    from run402_cli.registry import GROUPS

    written = app.declared
    if group in written:
        # `up verify` is a word of `up`; the other commands of deploy.py are none of `apply`.
        words = {path: said for path, said in written.items() if path != group and GROUPS[group].module == group}
        written = {"": written[group], **words}
    file = PACKAGE / "schemas" / f"{group}.json"
    shown = json.loads(file.read_text(encoding="utf-8"))["commands"] if file.exists() else {}
    order = [name.removeprefix(group).strip() for name in shown]
    for path in [*written, *order]:
        where, name = f"run402_cli/schemas/{group}.json", f"{group} {path}".strip()
        if path not in order:
            raise Missing(f"{where}: no entry {name!r} in `commands`")
        if path not in written:
            raise Missing(f"run402_cli/commands/{GROUPS[group].module}.py: no command {name!r}, which {where} has")
    return {path: written[path] for path in order}


def _app(group: str) -> CommandGroup:
    from run402_cli.commands._command import UndeclaredError
    from run402_cli.registry import GROUPS

    module = f"run402_cli.commands.{GROUPS[group].module}"
    try:
        app: CommandGroup = importlib.import_module(module).app
    except UndeclaredError as exc:
        raise Missing(str(exc)) from exc
    except ModuleNotFoundError as exc:
        if exc.name != module:
            raise
        path = f"run402_cli/commands/{GROUPS[group].module}.py"
        raise Missing(f"run402_cli/registry.py: {group!r} is the group of {path}, which is not there") from exc
    return app


def _first_sentence(app: CommandGroup, path: str) -> str:
    first = " ".join((app.find(path).help or "").partition("\n\n")[0].split())
    return re.split(r"(?<=[.!?]) (?=[A-Z`])", first)[0]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def main() -> None:
    empty = types.ModuleType("run402_cli.command_table")
    empty.__dict__["COMMANDS"] = {}
    sys.modules[empty.__name__] = empty
    PATH.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    sys.path.insert(0, str(PACKAGE.parent))
    main()
