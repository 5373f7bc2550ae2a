"""The one loop of calls that are made again, and the one event that tells of it."""

from __future__ import annotations

from typing import Any

import pytest

from run402_cli.deploy import _retry
from run402_cli.deploy._retry import announcing, retrying
from run402_cli.errors import ApiError, DeployError, NetworkError, Run402Error

KEYS = [
    *("type", "attempt", "nextAttempt", "maxAttempts", "delayMs", "code", "phase", "resource", "operationId", "planId"),
    "message",
]


def _error(retry_after: float | None = 1.0, **fields: Any) -> DeployError:
    error = DeployError("busy", code="BUSY", **fields)
    error.retry_after = retry_after  # type: ignore[assignment]
    return error


def _failing(*errors: Run402Error) -> Any:
    left = list(errors)

    def call() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return call


def test_each_wait_is_told_and_then_waited() -> None:
    told: list[Any] = []
    waits = {1: 0.5, 2: 0.25}
    answer = retrying(
        _failing(_error(), _error()),
        lambda _exc, attempt: waits.get(attempt),
        lambda exc, attempt, seconds: told.append((exc.code, attempt, seconds)),
        pause=told.append,
    )
    assert (answer, told) == ("done", [("BUSY", 1, 0.5), 0.5, ("BUSY", 2, 0.25), 0.25])


@pytest.mark.parametrize(
    "error",
    [_error(), ApiError(404, {}, context="asking"), NetworkError("gone", read=False)],
    ids=lambda each: type(each).__name__,
)
def test_what_nobody_waits_for_is_reported_untold(error: Run402Error) -> None:
    told: list[Any] = []
    with pytest.raises(Run402Error) as caught:
        retrying(_failing(error), lambda *_each: None, lambda *each: told.append(each), pause=told.append)
    assert (caught.value, told) == (error, [])


def test_a_pause_that_gives_up_ends_it() -> None:
    def give_up(_seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        retrying(_failing(_error()), lambda _exc, _attempt: 1.0, lambda *_each: None, pause=give_up)


def test_the_event_has_all_its_keys_whoever_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(_retry.time, "sleep", slept.append)
    seen: list[dict[str, Any]] = []
    call = _failing(_error(2.0, phase="activate", resource="site", operation_id="op_1", plan_id="plan_1"), _error(0.0))
    assert _retry.patiently(call, phase="commit", emit=seen.append) == "done"
    announcing(seen.append, attempts=3)(_error(), 1, 2.007)
    assert [list(event) for event in seen] == [KEYS] * 3
    assert [(event["phase"], event["maxAttempts"], event["delayMs"]) for event in seen] == [
        ("activate", 4, 2000),
        ("commit", 4, 0),
        (None, 3, 2007),
    ]
    assert slept == [2.0, 0.0]


@pytest.mark.parametrize(
    ("seconds", "attempt", "waited"), [(60.0, 3, 60.0), (60.5, 1, None), (1.0, 4, None), (None, 1, None)]
)
def test_a_busy_gateway_is_waited_for_within_limits(seconds: float | None, attempt: int, waited: float | None) -> None:
    assert _retry.wait_asked(_error(seconds), attempt) == waited
