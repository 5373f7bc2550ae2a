"""Work with the database that an answer does not wait for, so that its time does not tell what the work is."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from run402_cli.core import tasks
from run402_cli.core.db import Connection

log = logging.getLogger("run402.core")

MAX_WAITING = 1000
PATIENCE_SECONDS = 5
# Nothing takes so long that does not wait for something; what comes after it is not to wait, too.
WORK_SECONDS = 10
Work = Callable[[Connection], Awaitable[None]]


class Afterwards:
    """One piece of work after the other, each in a transaction of its own, from the gateway's start to its end."""

    def __init__(self, connection: Callable[[], AbstractAsyncContextManager[Connection]]) -> None:
        self._connection = connection
        self._queue: asyncio.Queue[tuple[Work, bool]] = asyncio.Queue(MAX_WAITING)
        self._task: asyncio.Task[None] | None = None
        self.unfinished = 0

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Do what is left, then end."""
        if self._task is not None:
            await self.settled()
            await tasks.end(self._task)

    async def put(self, work: Work, *, keep: bool) -> None:
        """Do this soon. Without `keep` it is done and taken back: it takes as long as if it counted."""
        self.unfinished += 1
        await self._queue.put((work, keep))

    async def settled(self) -> None:
        """Wait until all that was put has been done, for those who want to see it; a few seconds at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._queue.join()

    async def _run(self) -> None:
        while True:
            work, keep = await self._queue.get()
            try:
                async with (
                    asyncio.timeout(WORK_SECONDS),
                    self._connection() as conn,
                    conn.transaction(force_rollback=not keep),
                ):
                    await work(conn)
            except Exception:
                log.exception("work after an answer failed")
            finally:
                self.unfinished -= 1
                self._queue.task_done()
