"""The flags without which a command stops: what the commands declare against what they do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import command_kit
import pytest
import refusals_kit
from refusals_kit import Refusal, Refused, examples

from run402_cli import command_schemas
from run402_cli.secrecy import CommandLine

# They start programs, wait for a person, or remove what the other tests need.
LEFT_OUT = ("core ", "mcp", "dev", "open", "up", "init", "operator log")
NEEDED = {name: said.needed for name, said in command_kit.declarations().items() if said.needed}
NAMES = [name for name in command_schemas.names() if not name.startswith(LEFT_OUT)]


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Refused:
    return refusals_kit.refused(monkeypatch, capsys, tmp_path)


def without(words: list[str]) -> Iterator[tuple[str, list[str]]]:
    """(flag, line) for each flag with a value: the line without both."""
    for place, flag, value in CommandLine(words).places():
        if flag is not None and value is not None:
            yield flag, words[: place if "=" in words[place] else place - 1] + words[place + 1 :]


def asks_for(flag: str, refusal: Refusal | None) -> bool:
    """Whether an error says that just this flag is missing, and not one of several ways."""
    said = refusal[1].partition(":")[0] if refusal else ""
    alone = " or " not in said
    return alone and flag in said and re.search(r"\bmissing\b|\bneeded\b", said, re.IGNORECASE) is not None


@pytest.mark.parametrize("name", NAMES)
def test_what_a_command_says_is_missing_is_declared(name: str, refused: Refused) -> None:
    """In every example of it: some flags are missing only beside another one."""
    found = [{flag for flag, line in without(words) if asks_for(flag, refused(line))} for words in examples(name)]
    assert set.intersection(*found) <= set(NEEDED.get(name, ()))


@pytest.mark.parametrize(("name", "flag"), [(name, flag) for name, flags in NEEDED.items() for flag in flags])
def test_a_command_stops_without_each_flag_that_it_declares(name: str, flag: str, refused: Refused) -> None:
    lines = [line for words in examples(name) for gone, line in without(words) if gone == flag]
    assert lines, f"no example of {name} has {flag}"
    assert all(refused(line) is not None for line in lines)


def test_the_flags_stand_in_usage_and_schema_as_required() -> None:
    for name, flags in NEEDED.items():
        entry = command_schemas.entry(name)
        required = {flag for option in entry["options"] if option.get("required") for flag in option["flags"]}
        assert set(flags) <= required, name
        assert all(f" {flag} " in f"{entry['usage']} " for flag in flags), name
