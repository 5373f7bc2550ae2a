"""What a command line refuses before it sends anything: the examples of the commands, run with words left out."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from run402_cli import Run402, command_schemas, main
from run402_cli.client import Client, browser

Refusal = tuple[str, str]  # code and message
Refused = Callable[[list[str]], Refusal | None]


class Sent(BaseException):
    """A request was about to go out: nothing was missing."""


def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path) -> Refused:
    """Runs words in `folder`, with a wallet, a project and its keys: the error before any request, None without one."""

    def send(*_args: object, **_kwargs: object) -> None:
        raise Sent

    for owner, name in ((Client, "send"), (Client, "stream"), (browser.Callback, "wait")):
        monkeypatch.setattr(owner, name, send)
    monkeypatch.chdir(folder)
    with Run402() as run402:
        run402.allowance.create()
        run402.credentials.import_keys("prj_123", service_key="s", anon_key="a")
    monkeypatch.setenv("RUN402_PROJECT_ID", "prj_123")

    def ask(words: list[str]) -> Refusal | None:
        monkeypatch.setattr(sys, "stdin", io.StringIO(""))
        capsys.readouterr()
        with contextlib.suppress(Sent, SystemExit):
            main.main(words)
        lines = [line for line in capsys.readouterr().err.splitlines() if '"status":"error"' in line]
        if not lines:
            return None
        error = json.loads(lines[-1])
        return error["code"], error["message"]

    return ask


def examples(command: str) -> Iterator[list[str]]:
    """The words after `run402` of each example of a command, without pipes."""
    for line in command_schemas.entry(command)["examples"]:
        yield shlex.split(re.split(r" (?:\||&&|>|<) ", line[line.index("run402 ") :])[0])[1:]
