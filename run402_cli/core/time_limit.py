"""A bound in time for a session of a project's owner in which something of the project may run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg

from run402_cli.core import tasks
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError

log = logging.getLogger("run402.core")

# PostgreSQL cancels a statement first, which says better what took so long.
MORE_SECONDS = 5
_END = """
SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
WHERE pid OPERATOR(pg_catalog.=) %s AND usename OPERATOR(pg_catalog.=) %s::pg_catalog.name
"""


def options(seconds: float) -> str:
    """Settings for the start of such a session."""
    return f"-c statement_timeout={round(seconds * 1000)}"


@asynccontextmanager
async def time_limit(conn: Connection, seconds: float, database_url: str) -> AsyncIterator[None]:
    """PostgreSQL ends the session when the block takes longer: a function can catch a timeout and go on, but not this.

    503 database_busy then. `conn` is new: nothing has run in it.
    """
    ended = asyncio.Event()
    watching = asyncio.create_task(_end_after(conn, seconds + MORE_SECONDS, database_url, ended))
    try:
        yield
    except psycopg.OperationalError as exc:
        if not ended.is_set():
            raise
        raise GatewayError(
            503,
            "database_busy",
            f"The database took longer than {seconds:.0f} seconds for this, so it was ended, and nothing was changed. A lock "
            "that another statement of the project holds, or a function of the project that runs on the way, keeps it. "
            "Repeat it when that has ended.",
            retryable=True,
        ) from exc
    finally:
        await tasks.end(watching)


async def _end_after(conn: Connection, seconds: float, database_url: str, ended: asyncio.Event) -> None:
    pid, role = conn.info.backend_pid, conn.info.user
    await asyncio.sleep(seconds)
    ended.set()
    log.warning("ended a session of %s after %.0f seconds", role, seconds)
    # A connection of its own: those of the pool may all wait for sessions like this one.
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as own:
        await own.execute(_END, (pid, role))
