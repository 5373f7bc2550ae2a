"""A --jq expression sees no environment, and has bounds in time, size and depth."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from run402_cli import jq_filter
from run402_cli.main import _guarded

Apart = Callable[[str, "str | None"], bytes]
WAYS = [jq_filter._started, *([jq_filter._forked] if os.name == "posix" else [])]


@pytest.fixture(params=WAYS, ids=lambda way: str(way.__name__))
def apart(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Apart:
    """Each way to another process, as the one of this system."""
    way: Apart = request.param
    monkeypatch.setattr(jq_filter, "_forked", way)
    monkeypatch.setattr(jq_filter, "_started", way)
    return way


@pytest.mark.parametrize("expression", ["env", "$ENV", "env|keys", "$ENV.HIDDEN", "[env[]]"])
def test_it_sees_no_environment(apart: Apart, expression: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIDDEN", "hunter2")
    assert jq_filter.results(expression, {}) in ([{}], [[]], [None])
    assert os.environ["HIDDEN"] == "hunter2"


@pytest.mark.parametrize("expression", ["last(repeat(1))", "[range(1e15)]|length", "def f: 1 + f; f", "while(true; .)"])
def test_it_ends(apart: Apart, expression: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jq_filter, "SECONDS", 0.5)
    started = time.monotonic()
    with pytest.raises(ValueError, match=r"longer than|by the system|more than"):
        jq_filter.results(expression, 1)
    assert time.monotonic() - started < 20  # it would run for hours


def test_it_gives_so_much_and_no_more(apart: Apart, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"more than 32 MiB|longer than"):
        jq_filter.results('("x" * 1000000) as $x | repeat($x)', 1)


@pytest.mark.parametrize("depth", [5_000, 300_000])
def test_a_value_without_end_of_nesting_is_an_error(apart: Apart, depth: int) -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        jq_filter.results(f"reduce range({depth}) as $i (.; [.])", 1)


def test_a_deep_document_is_an_error_too(apart: Apart) -> None:
    value: Any = 1
    for _ in range(sys.getrecursionlimit() * 40):
        value = [value]
    with pytest.raises(ValueError, match="nested too deeply"):
        jq_filter.results(".", value)


def test_a_failure_is_a_json_error_that_has_the_result(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jq_filter, "SECONDS", 0.5)
    monkeypatch.setattr(jq_filter, "_TOO_LONG", "it ran longer than 0.5 seconds")
    assert _guarded(["wallets", "list", "--jq", "last(repeat(1))"]) == 1
    error = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert error["code"] == "JQ_FAILED"
    assert "longer than" in error["message"]
    assert error["details"]["result"] == []
