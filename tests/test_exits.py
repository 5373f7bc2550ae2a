"""One table of exit codes: the help, the pages and the schema say what it says, and the source does."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import click
import pytest

from run402_cli import command_schemas, exits, main
from run402_cli.commands._command import Command
from run402_cli.effects import SURFACE
from run402_cli.errors import Verdict
from run402_cli.registry import GROUPS

ROOT = Path(__file__).resolve().parent.parent
NAMES = list(command_schemas.names())
# Keys of an answer that may say no, and words of commands that look.
_SAYS_NO = {
    "ok", "healthy", "has_errors", "valid", "fresh", "coherent", "would_serve", "flagged", "verified", "passed", "connected",
    "logged_in", "configured", "checks",
}  # fmt: skip
_LOOKS = {
    "verify",
    "check",
    "diagnose",
    "doctor",
    "wait",
    "wait-fresh",
    "health",
    "inspect",
    "test-receive",
    "moderate",
}
_NOT_A_LOOK = {
    "auth verify": "exchanges a token",
    "apps inspect": "shows what was published",
}


def words(text: str) -> str:
    return " ".join(text.split())


def answer_keys(name: str) -> set[str]:
    output = command_schemas.output_schema(name) or {}
    schema: dict[str, Any] = output.get("schema", {})
    if "$ref" in schema:
        schema = schema["$defs"][schema["$ref"].rpartition("/")[2]]
    return set(schema.get("properties", {}))


def looks(name: str) -> bool:
    by_answer = SURFACE[name].effect == "read" and answer_keys(name) & _SAYS_NO
    by_source = "verdict_exits" in command_schemas.entry(name)
    return bool(by_answer or by_source or _LOOKS & set(name.split())) and name not in _NOT_A_LOOK


def help_of(name: str) -> str:
    import importlib

    group = name.split()[0]
    command = importlib.import_module(f"run402_cli.commands.{GROUPS[group].module}").app.find(
        name.removeprefix(group).strip() or group
    )
    assert isinstance(command, Command)
    return command.get_help(click.Context(command, info_name=f"run402 {name}"))


def test_every_command_that_looks_has_a_row() -> None:
    looking = {name for name in NAMES if looks(name)}
    assert len(looking) > 30
    assert sorted(looking - set(exits.OUTCOMES)) == []
    assert sorted(set(exits.OUTCOMES) - set(NAMES)) == []


@pytest.mark.parametrize("name", exits.OUTCOMES)
def test_the_help_and_the_reference_tell_the_codes_of_the_row(name: str) -> None:
    assert exits.OUTCOMES[name][0], "what gives 0 is told as well"
    told = words(exits.sentence(name))
    assert told in words(help_of(name))
    page = (ROOT / "docs" / "reference" / f"{name.split()[0]}.md").read_text(encoding="utf-8")
    assert told in words(page)


@pytest.mark.parametrize("name", NAMES)
def test_the_rows_agree_with_the_source(name: str) -> None:
    entry = command_schemas.entry(name)
    row = set(exits.OUTCOMES.get(name, {0: ""}))
    assert set(entry.get("verdict_exits", ())) | (set(entry["exit_codes"]) - {0, 1}) <= row
    assert row <= set(entry["exit_codes"])


@pytest.mark.parametrize("name", NAMES)
def test_no_description_tells_exit_codes_by_hand(name: str) -> None:
    own_meaning = {"schema", "dev", "errors"}  # lists them; ends with that of its child; --fail-on-new says its two
    entry = command_schemas.entry(name)
    told = [entry["description"], *(option["help"] for option in entry["options"])]
    assert name in own_meaning or not re.search(r"\b[Ee]xits?\b", " ".join(told))


@pytest.mark.parametrize("page", ["README.md", "llms-cli.txt", "docs/run402.1", "docs/protocol/errors.md"])
def test_the_pages_say_what_the_numbers_mean(page: str) -> None:
    text = words((ROOT / page).read_text(encoding="utf-8").replace("\\-", "-"))
    for code, meaning in exits.MEANINGS.items():
        forms = (f"{code} = {meaning}", f"| {code} | {meaning} |", f"\\fB{code}\\fR {meaning}")
        assert any(form in text for form in forms), (code, meaning)


def test_the_schema_has_the_table() -> None:
    assert command_schemas.index()["exit_codes"] == {str(code): text for code, text in exits.MEANINGS.items()}
    assert command_schemas.entry("deploy verify")["outcomes"] == {"0": "gateway and edge agree", "2": "they do not"}


@pytest.mark.parametrize("path", sorted((ROOT / "run402_cli" / "commands").glob("*.py")), ids=lambda path: path.stem)
def test_an_exit_that_is_no_error_says_why_and_what_to_run(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            told = ast.unparse(node)
            if node.func.id == "Verdict":
                assert len(node.args) == 3 and all(map(says_something, node.args)), f"{path.name}: {told}"
            assert node.func.id != "ChildEnded" or path.stem == "dev", f"{path.name}: {told}"


def says_something(value: ast.expr) -> bool:
    return not isinstance(value, ast.Constant) or bool(value.value)


def test_main_prints_why_the_answer_is_no_and_what_to_run(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def says_no(args: list[str]) -> None:
        raise Verdict(2, "It is closed.", "run402 open")

    monkeypatch.setattr(main, "_dispatch", says_no)
    assert main._guarded([]) == 2
    assert capfd.readouterr() == ("", "It is closed. Next: run402 open\n")
