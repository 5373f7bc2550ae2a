"""Hostile words in every argument: each command that the error names is one run402, with that word whole, and nothing else."""

from __future__ import annotations

import importlib
import io
import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from run402_cli import advice
from run402_cli.main import main
from run402_cli.registry import GROUPS

HOSTILE = ["a b", "x; touch PWNED", "$(touch PWNED)", "`touch PWNED`", 'it\'s "so"', "a\nb"]
# They start something that goes on, or wait for a person.
LEFT_OUT = {"mcp", "dev", "core", "operator", "completion", "help", "version"}


def commands() -> Iterator[tuple[str, ...]]:
    for name, group in GROUPS.items():
        if name not in LEFT_OUT:
            yield from ((name, *path.split()) for path in group.commands) if group.commands else [(name,)]


def lines(words: tuple[str, ...], hostile: str) -> Iterator[list[str]]:
    """The command with the word as its argument, as its project, and as the value of each flag that takes one."""
    yield [*words, hostile]
    yield [*words, hostile, hostile]
    app = importlib.import_module(f"run402_cli.commands.{GROUPS[words[0]].module}").app
    try:
        command = app.find(" ".join(words[1:]) or words[0])
    except StopIteration:
        return
    for option in command.params:
        if option.param_type_name == "option" and not option.is_flag and option.opts[0].startswith("--"):
            yield [*words, f"{option.opts[0]}={hostile}"]


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, str):
        yield value


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("RUN402_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("RUN402_API_BASE", "http://127.0.0.1:9")
    monkeypatch.setenv("RUN402_NO_UPDATE_CHECK", "1")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_of_an_error_is_safe_to_paste(
    words: tuple[str, ...], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
    hostile = HOSTILE[sum(map(len, words)) % len(HOSTILE)]
    for line in lines(words, hostile):
        with pytest.raises(SystemExit):
            main(line)
        err = capfd.readouterr().err.strip().splitlines()
        if not err or '"status":"error"' not in err[-1]:
            continue
        envelope = json.loads(err[-1])
        assert "defect" not in envelope["message"], (line, envelope)
        if "http" not in envelope:
            assert envelope.get("next_actions") or advice.commands_in(envelope.get("hint", "")), (line, envelope)
        assert envelope["code"] != "LOCAL_ERROR" or re.fullmatch(r"[A-Z][A-Z0-9_]+", envelope["details"]["reason"])
        for action in envelope.get("next_actions", ()):
            if str(action.get("command", "")).startswith("run402"):
                assert shlex.split(action["command"]) == action["argv"], (line, action)
        for command in (
            each for text in texts([envelope.get("hint"), envelope["message"]]) for each in advice.commands_in(text)
        ):
            whole = [word for word in command if "touch" in word or word in HOSTILE]
            assert all(word == hostile or word in HOSTILE or word == f"--{hostile}" for word in whole), (line, command)
