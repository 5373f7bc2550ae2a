"""Ends tasks for good."""

from __future__ import annotations

import asyncio
from typing import Any

# How long a task may take to clean up before it is cancelled again.
PATIENCE_SECONDS = 0.5


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel the tasks and wait until they have ended, whatever they end with.

    One cancellation can be lost: `asyncio.wait_for` of Python 3.11, which the connection pool uses too, swallows one that
    comes together with what it waits for.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=PATIENCE_SECONDS)
    await asyncio.gather(*tasks, return_exceptions=True)
