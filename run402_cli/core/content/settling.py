"""Syncs what came in batches, a little after they came and beside the requests."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from run402_cli.core import tasks
from run402_cli.core.content.store import ContentStore

log = logging.getLogger("run402.core")

# Long enough for the batches of one deploy to be synced together, short enough for few to be read after a crash.
PAUSE_SECONDS: Final = 5


class Settling:
    """From the gateway's start to its end."""

    def __init__(self, store: ContentStore) -> None:
        self._store = store
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    def wake(self) -> None:
        """A batch has come."""
        self._wanted.set()

    async def close(self) -> None:
        """Sync what is left, then end."""
        if self._task is not None:
            await tasks.end(self._task)
            await self._settle()

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            await asyncio.sleep(PAUSE_SECONDS)
            self._wanted.clear()
            if not await self._settle():
                self._wanted.set()

    async def _settle(self) -> bool:
        try:
            await asyncio.to_thread(self._store.settle)
        except OSError:
            # Nothing is lost: the batches stay, and are read by the next start.
            log.exception("could not sync the content that came in batches; it is tried again")
            return False
        return True
