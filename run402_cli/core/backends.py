"""Ends what a project runs in PostgreSQL when its time is over, or when nobody waits for it any more.

What runs in a session can take away a limit that the session was told (`SET LOCAL statement_timeout`), put work into its
COMMIT, and catch a cancellation. So the clock is here, and the session is ended from a connection of the gateway's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, Literal

import psycopg
from psycopg.pq import TransactionStatus

from run402_cli.core import tasks
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError

log = logging.getLogger("run402.core")

# Most uses of a connection are over before anybody begins to watch them.
UNWATCHED_SECONDS: Final = 1.0
ATTEMPTS: Final = 10
CLOSING_SECONDS: Final = 2.0

# Numbers of processes are used again: the role has to be the same too. It has no name any more when it was dropped.
_TERMINATE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE pid = %s AND backend_type = 'client backend' AND coalesce(usename = %s, true)
"""

Reason = Literal["deadline", "left"]


class Watch:
    """Why the session of a connection was ended; None while nobody has."""

    reason: Reason | None = None


def _ended(reason: Reason, seconds: float | None) -> GatewayError:
    if reason == "left":
        return GatewayError(499, "client_gone", "The client hung up, and what it had asked for was undone.", code=None)
    return GatewayError(
        503,
        "database_busy",
        f"This used the database for {seconds:.0f} seconds, which is the most, so it was ended, and nothing of it was kept. "
        "A long function or query, or a lock that another statement of the project holds, takes that long. Without a limit: "
        "run402 projects sql",
        retryable=False,
    )


class Backends:
    """Watches over sessions of projects, from the outside."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._ending: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Ends what is to be ended, within seconds: a PostgreSQL of somebody else goes on."""
        if self._ending:
            await asyncio.wait(self._ending, timeout=CLOSING_SECONDS)
        await tasks.end(*self._ending)

    @asynccontextmanager
    async def watched(
        self, conn: Connection, *, seconds: float | None, left: Callable[[], Awaitable[None]] | None
    ) -> AsyncIterator[Watch]:
        """During the block the session ends after `seconds` (503 database_busy), or when `left` returns. After an exception
        nothing of it runs on.
        """
        pid, role = conn.info.backend_pid, conn.info.user
        watch, started = Watch(), list[asyncio.Task[None]]()

        def begin() -> None:
            started.append(asyncio.create_task(self._watch(watch, pid, role, seconds, left)))

        wanted = seconds is not None or left is not None
        timer = asyncio.get_running_loop().call_later(UNWATCHED_SECONDS, begin) if wanted else None
        try:
            yield watch
        except psycopg.Error as exc:
            if watch.reason is None:
                raise
            raise _ended(watch.reason, seconds) from exc
        finally:
            if timer is not None:
                timer.cancel()
            if conn.closed or conn.pgconn.transaction_status == TransactionStatus.ACTIVE:
                # Closing a connection does not end what its session does.
                task = asyncio.create_task(self._end(pid, role))
                self._ending.add(task)
                task.add_done_callback(self._ending.discard)
            await tasks.end(*started)

    async def _watch(
        self, watch: Watch, pid: int, role: str, seconds: float | None, left: Callable[[], Awaitable[None]] | None
    ) -> None:
        try:
            async with asyncio.timeout(None if seconds is None else max(0, seconds - UNWATCHED_SECONDS)):
                await (left() if left is not None else asyncio.Event().wait())
            watch.reason = "left"
        except TimeoutError:
            watch.reason = "deadline"
        except Exception:
            # Nothing can be read from the client any more.
            watch.reason = "left"
        log.warning("a session of %s is ended: %s", role, watch.reason)
        await self._end(pid, role)

    async def _end(self, pid: int, role: str) -> None:
        for _ in range(ATTEMPTS):
            with contextlib.suppress(psycopg.Error):
                # One of its own: the pool may be what everybody waits for.
                async with await psycopg.AsyncConnection.connect(self._url, autocommit=True, connect_timeout=5) as conn:
                    await conn.execute("SET search_path = pg_catalog")
                    if (await conn.execute(_TERMINATE, (pid, role))).rowcount == 0:
                        return
            await asyncio.sleep(0.5)
