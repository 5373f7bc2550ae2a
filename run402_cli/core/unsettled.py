"""Projects whose last manifest has yet to be taken back: until it is, no request of theirs sees what it opened."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Final

from run402_cli.core.errors import GatewayError

PATIENCE_SECONDS: Final = 15


class Unsettled:
    """Those that are waited for. `woken` is set when there is one more."""

    def __init__(self) -> None:
        self._waits: dict[str, asyncio.Event] = {}
        self.woken = asyncio.Event()

    def add(self, project_id: str) -> None:
        self._waits.setdefault(project_id, asyncio.Event())
        self.woken.set()

    def remove(self, project_id: str) -> None:
        waits = self._waits.pop(project_id, None)
        if waits is not None:
            waits.set()

    def all(self) -> Collection[str]:
        return list(self._waits)

    async def over(self, project_id: str) -> None:
        """Returns when nothing of this project has to be taken back. 503 database_busy after a while."""
        waits = self._waits.get(project_id)
        if waits is None:
            return
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await waits.wait()
        except TimeoutError:
            raise GatewayError(
                503,
                "database_busy",
                "A deploy of this project ended after its expose manifest was applied and before its release was live. The "
                "manifest is being taken back, and until then its tables answer nobody; a statement of the project holds a "
                "lock. Repeat in a few seconds, deploy again, or apply one now: run402 projects apply-expose",
                retryable=True,
                retry_after_seconds=5,
            ) from None
