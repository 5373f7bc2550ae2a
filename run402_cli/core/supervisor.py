"""Watches the embedded PostgreSQL and brings it back. See docs/local-gateway.md."""

from __future__ import annotations

import asyncio
import logging

from run402_cli.core.errors import CoreProcessError
from run402_cli.core.gateway import Gateway
from run402_cli.core.postgres import EmbeddedPostgres

log = logging.getLogger("run402.core")

CHECK_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 15.0


class Supervisor:
    """One task: is the postmaster alive? If not, start it; while that fails, requests answer 503 with the reason."""

    def __init__(self, postgres: EmbeddedPostgres, gateway: Gateway) -> None:
        self.postgres = postgres
        self.gateway = gateway
        self.problem: str | None = None
        self._stopping = asyncio.Event()
        gateway.database_lost = lambda: self.problem

    async def run(self) -> None:
        """Until stop(). A restart in progress is waited for, so that nothing starts PostgreSQL after we stop it."""
        pause = CHECK_SECONDS
        while not self._stopping.is_set():
            if await asyncio.to_thread(self.postgres.postmaster) is None:
                pause = CHECK_SECONDS if await self._restart() else min(pause * 2, LONGEST_PAUSE_SECONDS)
            try:
                await asyncio.wait_for(self._stopping.wait(), pause)
            except TimeoutError:
                continue

    def stop(self) -> None:
        self._stopping.set()

    async def _restart(self) -> bool:
        log.error("PostgreSQL is gone; restarting it. %s", self.postgres.log_tail(3))
        try:
            await asyncio.to_thread(self.postgres.start)
        except (CoreProcessError, OSError) as exc:
            self.problem = str(exc)
            log.error("PostgreSQL did not come back: %s", exc)
            return False
        self.problem = None
        log.warning("PostgreSQL is back.")
        return True
