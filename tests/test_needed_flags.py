"""The flags without which a command stops: the table of surface.py against what the commands do."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest

from run402_cli import Run402, main
from run402_cli.client import Client
from run402_cli.commands import _manifest
from run402_cli.secrecy import CommandLine
from run402_cli.surface import NEEDED

# They start programs, wait for a person, or remove what the other tests need.
LEFT_OUT = ("core ", "mcp", "dev", "open", "up", "init", "operator log")
NAMES = [name for name in _manifest.names() if not name.startswith(LEFT_OUT)]


class Sent(BaseException):
    """A request was about to go out: nothing was missing."""


@pytest.fixture(autouse=True)
def ready(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def send(*_args: object, **_kwargs: object) -> None:
        raise Sent

    monkeypatch.setattr(Client, "send", send)
    monkeypatch.setattr(Client, "stream", send)
    monkeypatch.chdir(tmp_path)
    with Run402() as run402:
        run402.allowance.create()
        run402.credentials.import_keys("prj_123", service_key="s", anon_key="a")
    monkeypatch.setenv("RUN402_PROJECT_ID", "prj_123")
    monkeypatch.setattr(sys, "stdin", StringIO(""))


def refusal(words: list[str], capsys: pytest.CaptureFixture[str]) -> str | None:
    """The message of the error before any request; None where there was none."""
    capsys.readouterr()
    with contextlib.suppress(Sent, SystemExit):
        main.main(words)
    lines = [line for line in capsys.readouterr().err.splitlines() if '"status":"error"' in line]
    return str(json.loads(lines[-1])["message"]) if lines else None


def examples(name: str) -> Iterator[list[str]]:
    for line in _manifest.entry(name)["examples"]:
        yield shlex.split(re.split(r" (?:\||&&|>|<) ", line[line.index("run402 ") :])[0])[1:]


def without(words: list[str]) -> Iterator[tuple[str, list[str]]]:
    """(flag, line) for each flag with a value: the line without both."""
    for place, flag, value in CommandLine(words).places():
        if flag is not None and value is not None:
            yield flag, words[: place if "=" in words[place] else place - 1] + words[place + 1 :]


def asks_for(flag: str, message: str | None) -> bool:
    """Whether a message says that just this flag is missing, and not one of several ways."""
    said = (message or "").partition(":")[0]
    alone = " or " not in said
    return alone and flag in said and re.search(r"\bmissing\b|\bneeded\b", said, re.IGNORECASE) is not None


@pytest.mark.parametrize("name", NAMES)
def test_what_a_command_says_is_missing_is_in_the_table(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In every example of it: some flags are missing only beside another one."""
    found = [
        {flag for flag, line in without(words) if asks_for(flag, refusal(line, capsys))} for words in examples(name)
    ]
    assert set.intersection(*found) <= set(NEEDED.get(name, ()))


@pytest.mark.parametrize(("name", "flag"), [(name, flag) for name, flags in NEEDED.items() for flag in flags])
def test_a_command_stops_without_each_flag_of_the_table(
    name: str, flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [line for words in examples(name) for gone, line in without(words) if gone == flag]
    assert lines, f"no example of {name} has {flag}"
    assert all(refusal(line, capsys) is not None for line in lines)


def test_the_flags_stand_in_usage_and_schema_as_required() -> None:
    for name, flags in NEEDED.items():
        entry = _manifest.entry(name)
        required = {flag for option in entry["options"] if option.get("required") for flag in option["flags"]}
        assert set(flags) <= required, name
        assert all(f" {flag} " in f"{entry['usage']} " for flag in flags), name
