"""Help fits the terminal, shows the required words, names the global options, and each page has an example that parses."""

from __future__ import annotations

import importlib
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from run402_cli import global_options, helptext
from run402_cli.commands._command import Command, words_of
from run402_cli.main import _guarded
from run402_cli.registry import GROUPS

COMMANDS = [(name, path) for name, group in GROUPS.items() for path in (group.commands or {name: "", **group.words})]
TOP_WORDS = 940  # of the top help before its groups had areas; words and marks stand for tokens


def find(name: str, path: str) -> Command:
    command = importlib.import_module(f"run402_cli.commands.{GROUPS[name].module}").app.find(path)
    assert isinstance(command, Command)
    return command


def full(name: str, path: str) -> str:
    return name if path == name else f"{name} {path}"


def shown(*words: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert _guarded(list(words)) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("columns", [60, 80, 200])
@pytest.mark.parametrize("name", ["", *GROUPS])
def test_no_page_is_wider_than_the_terminal(
    columns: int, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    pages = [shown("help", *name.split(), capsys=capsys)]
    for path in GROUPS[name].commands if name else ():
        command = find(name, path)
        context = click.Context(command, info_name=f"run402 {name} {path}")
        pages.append(command.get_help(context))
    for line in "\n".join(pages).splitlines():
        # One word of a command line, such as a JSON value in quotes, cannot be broken.
        assert len(line) <= columns or len(helptext._shell_words(line.strip(" \\"))) == 1, line


def test_without_a_terminal_it_is_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    done = subprocess.run([sys.executable, "-m", "run402_cli", "help"], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80


def test_the_top_help_names_every_group_once_and_costs_no_more_than_it_did() -> None:
    text = helptext.root_help()
    assert all(len(re.findall(rf"(?m)^  {re.escape(name)} ", text)) == 1 for name in GROUPS)
    assert {name for names in helptext.AREAS.values() for name in names.split()} <= set(GROUPS)
    assert len(re.findall(r"\w+|[^\w\s]", text)) <= TOP_WORDS


@pytest.mark.parametrize("name", [name for name, group in GROUPS.items() if group.commands])
def test_each_group_page_has_an_example_of_the_group(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    page = shown(name, "--help", capsys=capsys)
    assert f"run402 {name} " in page.partition("\nExample:\n")[2].splitlines()[0]


@pytest.mark.parametrize(("name", "path"), COMMANDS, ids=lambda value: value)
def test_each_command_page_ends_with_the_global_options(name: str, path: str) -> None:
    command = find(name, path)
    page = command.get_help(click.Context(command, info_name=f"run402 {full(name, path)}"))
    last = " ".join(page.partition("On every command: ")[2].split())
    assert all(flag in last for flag in (*global_options.OPTIONS, "--wallet"))
    assert last.endswith("run402 --help explains them.")


def test_a_long_example_is_broken_so_that_it_can_be_pasted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    entries = json.loads((Path(helptext.__file__).parent / "schemas" / "_commands.json").read_text())["commands"]
    for entry in entries.values():
        for text in entry["examples"]:
            pasted = "\n".join(helptext.example(text)).replace("\\\n", " ")
            assert shlex.split(pasted) == shlex.split(text)


# -- M21: one source for the words of a command ---------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "path"), COMMANDS, ids=lambda value: value)
def test_usage_schema_and_llms_text_say_the_same_of_each_word(name: str, path: str) -> None:
    command = find(name, path)
    context = click.Context(command, info_name=f"run402 {full(name, path)}")
    pieces = " ".join(command.collect_usage_pieces(context)).split()[1:]
    needed = next((place for place, piece in enumerate(pieces) if piece.startswith("--")), len(pieces))
    flags, pieces = pieces[needed:], pieces[:needed]
    assert flags[::2] == list(command.needed)
    said = [(piece.strip("[]."), not piece.startswith("["), "..." in piece) for piece in pieces]
    entry = json.loads((Path(helptext.__file__).parent / "schemas" / "_commands.json").read_text())["commands"][
        full(name, path)
    ]
    schema = [(each["name"], each["required"], each.get("repeatable", False)) for each in entry["arguments"]]
    assert said == schema == list(words_of(command, context))
    assert entry["usage"] == " ".join(["run402", full(name, path), *pieces, *flags])
    assert (
        "\n" + entry["usage"].removeprefix("run402 ")
        in (Path(helptext.__file__).parent.parent / "llms-cli.txt").read_text()
    )


@pytest.mark.parametrize(("name", "path"), COMMANDS, ids=lambda value: value)
def test_what_is_shown_without_brackets_is_required(
    name: str, path: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not any(required for _, required, _ in words_of(find(name, path), click.Context(find(name, path)))):
        return
    monkeypatch.setenv("RUN402_API_BASE", "http://127.0.0.1:9")
    monkeypatch.setenv("RUN402_PROJECT_ID", "prj_a")
    assert _guarded(full(name, path).split()) == 1
    assert json.loads(capsys.readouterr().err.splitlines()[-1])["code"] == "BAD_USAGE"
