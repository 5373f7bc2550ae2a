"""A refusal that is nested deeper than the interpreter's stack, and an error that cannot be shown: JSON all the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pytest_httpx import HTTPXMock
from run_kit import Run

from run402_cli import nesting, secrecy

DEPTHS = (65, 300, 900, 5000)


def deep(depth: int, ending: str = "1") -> str:
    return '{"a":' * depth + ending + "}" * depth


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("body", ["DEEP", '{"code":"BAD_FIELD","message":"no","details":DEEP}', '{"details":[[DEEP]]}'])
def test_a_deep_refusal_is_an_error_like_any_other(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, depth: int, body: str
) -> None:
    content = body.replace("DEEP", deep(depth))
    httpx_mock.add_response(status_code=422, text=content, headers={"content-type": "application/json"})
    error = run("secrets", "list").error
    assert error["http"] == 422
    assert error["code"] in ("API_ERROR", "BAD_FIELD")
    assert error["status"] == "error"


def test_a_deep_body_is_shown_by_a_dry_run(run: Run, wallet: Path) -> None:
    outcome = run("projects", "rest", "t", "--method", "POST", "--body", deep(200), "--dry-run")
    assert outcome.exit == 0, outcome.err
    assert outcome.json["requests"][0]["body"]["a"]["a"]


@pytest.mark.parametrize(
    "broken", ["run402_cli.secrecy.masked", "run402_cli.guidance._refused", "run402_cli.output.dumps"]
)
@pytest.mark.parametrize("fault", [RecursionError(), KeyError("hunter2"), MemoryError()])
def test_an_error_that_cannot_be_shown_is_json(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch, broken: str, fault: Exception
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise fault

    httpx_mock.add_response(status_code=422, json={"code": "BAD_FIELD", "message": "no"})
    monkeypatch.setattr(broken, fail)
    outcome = run("secrets", "list")
    assert outcome.exit == 1
    error = json.loads(outcome.err.splitlines()[-1])
    assert (error["status"], error["code"]) == ("error", "BAD_FIELD")
    assert type(fault).__name__ in error["message"]
    assert "hunter2" not in outcome.err
    assert "Traceback" not in outcome.err


def test_what_is_cut() -> None:
    flat = {"a": [1, {"b": None}]}
    assert nesting.cut(flat) is flat
    for depth in DEPTHS:
        value: Any = "end"
        for _ in range(depth):
            value = [value, {"x": value}]
        if depth == 65:
            text = json.dumps(nesting.cut(value, 3))
            assert text == '[[["...", "..."], {"x": "..."}], {"x": ["...", "..."]}]'
    lists: Any = "end"
    for _ in range(5000):
        lists = [lists]
    assert json.dumps(nesting.cut(lists)).count("[") == nesting.DEEPEST
    assert json.dumps(secrecy.redacted(lists)).count("[") == nesting.DEEPEST
