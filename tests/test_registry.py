"""The static table and the command modules say the same, and every command explains itself."""

from __future__ import annotations

import importlib

import click
import pytest

from run402_cli.commands._command import CommandGroup
from run402_cli.registry import GROUPS

COMMANDS = [(name, path) for name, group in GROUPS.items() for path in (group.commands or {name: "", **group.words})]


def module_app(name: str) -> CommandGroup:
    app = importlib.import_module(f"run402_cli.commands.{GROUPS[name].module}").app
    assert isinstance(app, CommandGroup)
    return app


@pytest.mark.parametrize("name", [name for name, group in GROUPS.items() if group.commands])
def test_registered_commands_equal_the_table(name: str) -> None:
    registered = {info.name for info in module_app(name).registered_commands if not info.hidden}
    assert registered == set(GROUPS[name].commands)


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
