"""The static table and the command modules say the same, and every command says what it does and explains itself."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from run402_cli.commands._command import CommandGroup, UndeclaredError
from run402_cli.registry import GROUPS

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = [(name, path) for name, group in GROUPS.items() for path in (group.commands or {name: "", **group.words})]


def module_app(name: str) -> CommandGroup:
    app = importlib.import_module(f"run402_cli.commands.{GROUPS[name].module}").app
    assert isinstance(app, CommandGroup)
    return app


@pytest.mark.parametrize("name", [name for name, group in GROUPS.items() if group.commands])
def test_registered_commands_equal_the_table(name: str) -> None:
    registered = {info.name for info in module_app(name).registered_commands if not info.hidden}
    assert registered == set(GROUPS[name].commands), "run402_cli/command_table.py is stale: run `make docs`"


def ping() -> None:
    """Ask."""


@pytest.mark.parametrize(
    ("declared", "line"),
    [
        (
            {"auth": "principal"},
            r"^tests/test_registry\.py: ping declares no effect: write effect=.* into @app\.command",
        ),
        ({"effect": "read"}, r"^tests/test_registry\.py: ping declares no auth: write auth=.* into @app\.command"),
    ],
)
def test_a_command_that_does_not_say_what_it_does_is_refused_by_name(declared: dict[str, str], line: str) -> None:
    app = CommandGroup()
    with pytest.raises(UndeclaredError, match=line):
        app.command("ping", example="run402 ping", **declared)(ping)  # type: ignore[arg-type]
    assert app.registered_commands == []
    app.command("ping", example="run402 ping", hidden=True)(ping)  # an older spelling: its command has declared it


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for folder in ("run402_cli", "docs"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("*.pyc", "*.md", "examples"))
    return tmp_path


def make_table(copy: Path) -> tuple[int, str]:
    command = [sys.executable, str(copy / "docs" / "generate_table.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, done.stderr


def test_the_table_is_made_whatever_stands_in_it(copy: Path) -> None:
    table = copy / "run402_cli" / "command_table.py"
    made = table.read_text(encoding="utf-8")
    for stale in (
        made.replace('        "list":', '        "gone":'),
        made.replace('    "secrets": {', '    "gone": {"": ("read", "", "", "")},\n    "secrets": {'),
        f"<<<<<<< ours\n{made}",
        None,
    ):
        assert stale != made
        table.unlink()
        if stale is not None:
            table.write_text(stale, encoding="utf-8")
        assert make_table(copy) == (0, "")
        assert table.read_text(encoding="utf-8") == made


def test_make_docs_names_the_command_that_does_not_say_what_it_does(copy: Path) -> None:
    path = copy / "run402_cli" / "commands" / "secrets.py"
    path.write_text(path.read_text(encoding="utf-8").replace('    effect="destructive",\n', ""), encoding="utf-8")
    code, said = make_table(copy)
    assert code == 1
    assert said.startswith("run402_cli/commands/secrets.py: delete declares no effect: write effect=")
    assert said.count("\n") == 1


@pytest.mark.parametrize(("name", "path"), COMMANDS, ids=lambda value: value)
def test_each_command_has_help_and_an_example_that_starts_with_its_name(name: str, path: str) -> None:
    command = module_app(name).find(path)
    full = f"run402 {name}" if path == name else f"run402 {name} {path}"
    assert command.help
    assert command.epilog
    lines = [line.strip() for line in command.epilog.splitlines() if line.startswith("  ")]
    assert lines
    assert any(full in line for line in lines), f"no example shows {full!r}"


@pytest.mark.parametrize(("name", "path"), COMMANDS, ids=lambda value: value)
def test_each_option_has_a_help_text(name: str, path: str) -> None:
    for param in module_app(name).find(path).params:
        if isinstance(param, click.Option):
            assert param.help, f"{name} {path}: {param.opts} has no help"


@pytest.mark.parametrize("name", list(GROUPS))
def test_summaries_are_sentences(name: str) -> None:
    texts = [GROUPS[name].summary, *GROUPS[name].commands.values()]
    assert all(text.endswith(".") and len(text) < 100 for text in texts)
