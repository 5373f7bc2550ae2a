"""Work that wants the locks of a table: whoever comes after it waits too, so it gives up soon and tries again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import psycopg.errors

T = TypeVar("T")

# Nobody waits longer at a time for a table that such work wants and does not get.
LOCK_SECONDS = 2.0
PAUSE_SECONDS = 1.0
LOCKED: Final = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)


def lock_option() -> str:
    """libpq `options` of a session for such work."""
    return f"-c lock_timeout={round(LOCK_SECONDS * 1000)}"


async def patiently(work: Callable[[], Awaitable[T]], seconds: float) -> T:
    """What `work` returns; it is repeated from its start while it finds something locked, for so many seconds.

    `lock_patience` of the settings outlasts every request.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            return await work()
        except LOCKED:
            if time.monotonic() > end:
                raise
        await asyncio.sleep(PAUSE_SECONDS)
