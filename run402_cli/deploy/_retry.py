"""Calls that are made again: what all of them share, and how long a busy gateway is waited for."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TypeVar

from run402_cli.deploy._options import Emit
from run402_cli.errors import ApiError, DeployError

T = TypeVar("T")
Failure = ApiError | DeployError
Wait = Callable[[Failure, int], float | None]
Note = Callable[[Failure, int, float], None]

ATTEMPTS = 4
LONGEST_SECONDS = 60.0


def retrying(call: Callable[[], T], wait: Wait, note: Note, *, pause: Callable[[float], None] | None = None) -> T:
    """The call's answer. `wait(error, attempt)` has the seconds until the next attempt, or None to report the error.

    `note(error, attempt, seconds)` hears of every failure that is not reported. `pause` waits, and may give up by raising.
    """
    attempt = 1
    while True:
        try:
            return call()
        except (ApiError, DeployError) as exc:
            seconds = wait(exc, attempt)
            if seconds is None:
                raise
            note(exc, attempt, seconds)
        (pause or time.sleep)(seconds)
        attempt += 1


def announcing(emit: Emit, *, attempts: int, phase: str | None = None) -> Note:
    """A `deploy.retry` event for each wait; `phase` is told where the error names none."""

    def note(error: Failure, attempt: int, seconds: float) -> None:
        emit(
            {
                "type": "deploy.retry",
                "attempt": attempt,
                "nextAttempt": attempt + 1,
                "maxAttempts": attempts,
                "delayMs": math.ceil(round(seconds * 1000, 3)),
                "code": error.code,
                "phase": error.fields.get("phase", phase),
                "resource": error.fields.get("resource"),
                "operationId": error.fields.get("operation_id"),
                "planId": error.fields.get("plan_id"),
                "message": error.message,
            }
        )

    return note


def wait_asked(error: Failure, attempt: int) -> float | None:
    """The seconds of a 429 or 503 with Retry-After, within limits; None when the error should be reported."""
    seconds = error.retry_after
    return seconds if seconds is not None and attempt < ATTEMPTS and seconds <= LONGEST_SECONDS else None


def patiently(call: Callable[[], T], *, phase: str, emit: Emit) -> T:
    """The call's answer. A 429 or 503 with Retry-After says that nothing was done: wait, announce it, call again.

    The plan is not called like this: before it nothing has begun, and the caller can retry as well.
    """
    return retrying(call, wait_asked, announcing(emit, attempts=ATTEMPTS, phase=phase))
