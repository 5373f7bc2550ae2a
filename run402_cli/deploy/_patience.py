"""Calls after the plan wait as long as a busy gateway asks them to, within limits."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TypeVar

from run402_cli.deploy._options import Emit
from run402_cli.errors import ApiError, DeployError, Run402Error

T = TypeVar("T")

ATTEMPTS = 4
LONGEST_SECONDS = 60.0


def wait_asked(error: Run402Error, attempt: int) -> float | None:
    """Seconds to wait before attempt `attempt + 1`, or None when the error should be reported."""
    seconds = error.retry_after
    return seconds if seconds is not None and attempt < ATTEMPTS and seconds <= LONGEST_SECONDS else None


def patiently(call: Callable[[], T], *, phase: str, emit: Emit) -> T:
    """The call's answer. A 429 or 503 with Retry-After says that nothing was done: wait, announce it, call again.

    The plan is not called like this: before it nothing has begun, and the caller can retry as well.
    """
    attempt = 1
    while True:
        try:
            return call()
        except (ApiError, DeployError) as exc:
            seconds = wait_asked(exc, attempt)
            if seconds is None:
                raise
            emit(_announcement(exc, phase, attempt, seconds))
        time.sleep(seconds)
        attempt += 1


def _announcement(error: ApiError | DeployError, phase: str, attempt: int, seconds: float) -> dict[str, object]:
    return {
        "type": "deploy.retry",
        "attempt": attempt,
        "nextAttempt": attempt + 1,
        "maxAttempts": ATTEMPTS,
        "delayMs": math.ceil(seconds * 1000),
        "code": error.code,
        "phase": error.fields.get("phase", phase),
        "resource": error.fields.get("resource"),
        "operationId": error.fields.get("operation_id"),
        "planId": error.fields.get("plan_id"),
        "message": error.message,
    }
