"""The running gateway: settings, connection pool, content store. One object, reachable as `request.app.state.gateway`."""

from __future__ import annotations

import asyncio
import select
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from weakref import WeakKeyDictionary

from psycopg_pool import AsyncConnectionPool
from starlette.requests import Request

from run402_cli.core.afterwards import Afterwards
from run402_cli.core.attempts import Attempts
from run402_cli.core.background import Functions, Jobs, Mail
from run402_cli.core.content.store import ContentStore
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.settings import Settings

# A connection that was seen alive this long ago is asked again before it is used.
TRUST_SECONDS = 5.0


class Gateway:
    """Settings, the two stores behind every handler, and the background workers. compose.py puts it together."""

    functions: Functions
    mail: Mail
    jobs: Jobs

    def __init__(self, settings: Settings, database_url: str) -> None:
        self.settings = settings
        self.database_url = database_url
        self._seen_alive: WeakKeyDictionary[Connection, float] = WeakKeyDictionary()
        # check: a connection that died with its PostgreSQL is replaced before a handler gets it.
        self.pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            database_url,
            min_size=1,
            max_size=10,
            timeout=15,
            open=False,
            kwargs={"autocommit": True},
            check=self._check,
            # Its pauses between attempts double. After this long it gives up, and the next request tries at once, so that
            # it serves again within seconds, however long PostgreSQL was away.
            reconnect_timeout=5,
        )
        self.store = ContentStore(settings.content_dir)
        # Admin SQL opens connections of its own; more of them at once would use up what PostgreSQL allows.
        self.sql_slots = asyncio.Semaphore(20)
        self.afterwards = Afterwards(self.connection)
        self.attempts = Attempts()
        self.started_at = datetime.now(UTC)
        # {what, from, to} when this start brought tables of an older version up to date.
        self.database_upgraded: dict[str, Any] | None = None
        # Says why the embedded PostgreSQL is away, None while it is up; set by its supervisor.
        self.database_lost: Callable[[], str | None] = lambda: None

    async def close(self) -> None:
        """Stop the workers, then let go of the database."""
        await self.afterwards.close()
        await self.jobs.close()
        await self.mail.close()
        await self.functions.close()
        await self.pool.close()

    async def _check(self, conn: Connection) -> None:
        """Raise when the connection is dead. The server is asked only now and then: a request takes several connections."""
        now = time.monotonic()
        if now - self._seen_alive.get(conn, 0) > TRUST_SECONDS or _something_to_read(conn):
            await AsyncConnectionPool.check_connection(conn)
            self._seen_alive[conn] = now

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A pooled connection as the owner role, in autocommit mode; use `conn.transaction()` for more than one statement.

        503 database_unavailable while the embedded PostgreSQL cannot be brought back.
        """
        lost = self.database_lost()
        if lost is not None:
            raise database_unavailable(lost)
        async with self.pool.connection() as conn:
            yield conn


def _something_to_read(conn: Connection) -> bool:
    """An idle connection has nothing to say but that it ends."""
    if not hasattr(select, "poll"):
        return bool(select.select([conn.fileno()], [], [], 0)[0])
    poll = select.poll()
    poll.register(conn.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def database_unavailable(reason: str) -> GatewayError:
    """503: PostgreSQL is away. The embedded one is restarted by its supervisor, so a retry soon succeeds."""
    return GatewayError(
        503,
        "database_unavailable",
        f"PostgreSQL does not answer: {reason} Repeat in a few seconds; `run402 core logs` has the details.",
        retryable=True,
        retry_after_seconds=2,
    )


def gateway_of(request: Request) -> Gateway:
    gateway: Gateway = request.app.state.gateway
    return gateway
