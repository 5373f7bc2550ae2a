"""Watches the data directory and the embedded PostgreSQL, and brings the latter back. See docs/local-gateway.md."""

from __future__ import annotations

import asyncio
import logging

from run402_cli.core.daemon import datadir
from run402_cli.core.daemon.postgres import EmbeddedPostgres
from run402_cli.core.errors import CannotLook, CoreProcessError
from run402_cli.core.gateway import Gateway

log = logging.getLogger("run402.core")

CHECK_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 15.0


class Supervisor:
    """One task: is the postmaster alive? If not, start it; while that fails, requests answer 503 with the reason.

    What cannot be looked at is left alone. A problem is what the latest look found, so it ends with the next good one.
    """

    def __init__(self, gateway: Gateway, postgres: EmbeddedPostgres | None) -> None:
        self.postgres = postgres
        self.gateway = gateway
        self.problem: str | None = None
        self._data_dir_id = datadir.identity(gateway.settings.data_dir)
        self._pause = CHECK_SECONDS
        self._blind = False
        self._stopping = asyncio.Event()
        gateway.database_lost = lambda: self.problem

    async def run(self) -> None:
        """Until stop(); a restart in progress is waited for, so that nothing starts PostgreSQL after we stop it.

        Raises CORE_DATA_DIR_GONE when the data directory was deleted: there is nothing left to serve.
        """
        while not self._stopping.is_set():
            try:
                await self._look()
                self._blind = False
            except CannotLook as exc:
                if not self._blind:
                    log.warning("%s", exc)
                self._blind, self._pause = True, CHECK_SECONDS
            try:
                await asyncio.wait_for(self._stopping.wait(), self._pause)
            except TimeoutError:
                continue

    def stop(self) -> None:
        self._stopping.set()

    async def _look(self) -> None:
        data_dir = self.gateway.settings.data_dir
        await asyncio.to_thread(datadir.check_still_there, data_dir)
        if self.postgres is None:
            return
        running = await asyncio.to_thread(self.postgres.postmaster)
        if running is not None:
            self._pause = CHECK_SECONDS
            if running.ready:
                self.problem = None
            return
        if await asyncio.to_thread(datadir.identity, data_dir) != self._data_dir_id:
            raise datadir.gone(data_dir)
        self._pause = (
            CHECK_SECONDS if await self._restart(self.postgres) else min(self._pause * 2, LONGEST_PAUSE_SECONDS)
        )

    async def _restart(self, postgres: EmbeddedPostgres) -> bool:
        log.error("PostgreSQL is gone; restarting it. %s", postgres.log_tail(3))
        self.problem = "it ended and is being started again."
        try:
            await asyncio.to_thread(postgres.restart)
        except CannotLook:
            raise
        except (CoreProcessError, OSError) as exc:
            if isinstance(exc, CoreProcessError) and exc.code == "CORE_DATA_DIR_GONE":
                raise
            self.problem = str(exc)
            log.error("PostgreSQL did not come back: %s", exc)
            return False
        self.problem = None
        log.warning("PostgreSQL is back.")
        return True
