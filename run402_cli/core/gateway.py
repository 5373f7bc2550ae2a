"""The running gateway: settings, connection pool, content store. One object, reachable as `request.app.state.gateway`."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final
from weakref import WeakValueDictionary

import psycopg
from psycopg_pool import AsyncConnectionPool
from starlette.requests import Request

from run402_cli.core import change_rows
from run402_cli.core.afterwards import Afterwards
from run402_cli.core.aside import Aside
from run402_cli.core.attempts import Attempts
from run402_cli.core.backends import Backends
from run402_cli.core.background import Functions, Jobs, Mail
from run402_cli.core.changes import Changes, Remembered
from run402_cli.core.content.settling import Settling
from run402_cli.core.content.store import ContentStore
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.logins import Liveness, Logins, deleted_meanwhile
from run402_cli.core.projects import role_rows
from run402_cli.core.projects.rows import Project
from run402_cli.core.role_connection import RoleConnection
from run402_cli.core.settings import Settings
from run402_cli.core.shares import Shares
from run402_cli.core.tickets import Tickets
from run402_cli.core.unsettled import Unsettled

log = logging.getLogger("run402.core")

# Temporary tables come first where they are not named, and they are the project's.
_OWNER_PATH: Final = "-c search_path=pg_catalog,pg_temp"

# Of schemas: columns, of all that are remembered. Of callers: pairs of keys and tokens.
MOST_COLUMNS: Final = 200_000
MOST_CALLERS: Final = 5_000
# Of compiled reads.
MOST_BYTES_OF_READS: Final = 16 * 1024 * 1024

# What the gateway does itself as a project's owner: to grant, to look at a schema. And where rows are moved.
OWNER_SECONDS: Final = 120
ROWS_SECONDS: Final = 3600
MORE_SECONDS = 5

# What a name without a schema means must not depend on what somebody has put into `public`.
_OWN = "SET search_path = pg_catalog"
# Whoever waits on one of the few connections of the pool longer than this gets 503. Deploys and starts have their own.
LOCK, STATEMENT = "10s", "60s"
LONG_LOCK, LONG_STATEMENT = "5min", "30min"


class OwnConnection(psycopg.AsyncConnection[Any]):
    """A connection of the gateway's own. It goes no further when a schema of a project is on its search path: an
    overload that a project made there would run with the gateway's rights.
    """

    async def execute(self, *args: Any, **kwargs: Any) -> psycopg.AsyncCursor[Any]:
        cursor = await super().execute(*args, **kwargs)
        # The server reports changes, from PostgreSQL 18 on.
        path = self.info.parameter_status("search_path")
        if path not in (None, "", "pg_catalog"):
            await self.close()
            raise RuntimeError(f"The gateway's own connection had the search path {path}.")
        return cursor


class Gateway:
    """Settings, the two stores behind every handler, and the background workers. compose.py puts it together."""

    functions: Functions
    mail: Mail
    jobs: Jobs

    def __init__(self, settings: Settings, database_url: str) -> None:
        self.settings = settings
        self.database_url = database_url
        # For the gateway's own tables. No text that came from outside is run on it, nor anything that a project made.
        # check: a connection that died with its PostgreSQL is replaced before a handler gets it.
        self.pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            database_url,
            connection_class=OwnConnection,
            min_size=1,
            max_size=10,
            timeout=15,
            open=False,
            kwargs={"autocommit": True},
            configure=_configure,
            check=Liveness().check,
            # Its pauses between attempts double. After this long it gives up, and the next request tries at once, so that
            # it serves again within seconds, however long PostgreSQL was away.
            reconnect_timeout=5,
        )
        # For all that is a project's.
        self.backends = Backends(database_url)
        self.logins = Logins(database_url, settings.jwt_secret, self.connection, self.backends)
        self.changes = Changes(self._listening, self._room_for_changes)
        # What the rooms know of schemas and of callers, each with the mark of `changes` that it holds for.
        self.known_schemas: Remembered[Any] = Remembered(MOST_COLUMNS)
        # One request at a time reads a schema; a lock lives as long as somebody has it.
        self.reading_schemas: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self.known_callers: Remembered[Any] = Remembered(MOST_CALLERS)
        # By what they are made from.
        self.known_reads: Remembered[Any] = Remembered(MOST_BYTES_OF_READS)
        self.store = ContentStore(settings.content_dir)
        self.settling = Settling(self.store)
        # Deploys and admin SQL open connections of their own; more of them at once would use up what PostgreSQL allows.
        self.deploy_shares = Shares(10, "deploys")
        self.sql_shares = Shares(20, "SQL sessions")
        # Each is a file of up to 256 MiB until its reader has it.
        self.answer_shares = Shares(16, "large answers")
        self.aside = Aside()
        self.afterwards = Afterwards(self.connection)
        self.attempts = Attempts()
        self.tickets = Tickets()
        self.unsettled = Unsettled()
        # Tells what this data directory's gateway began from what another one on the same database did.
        self.identity = hashlib.sha256(str(settings.data_dir).encode()).hexdigest()[:24]
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
        await self.changes.close()
        await self.settling.close()
        await self.logins.forget("")
        await self.backends.close()
        await self.pool.close()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A pooled connection to the gateway's own tables, in autocommit mode; `conn.transaction()` for several statements.

        503 database_unavailable while the embedded PostgreSQL cannot be brought back.
        """
        self._refuse_lost()
        async with self.pool.connection() as conn:
            yield conn

    @asynccontextmanager
    async def apart(self) -> AsyncIterator[Connection]:
        """As `connection`, but none of the pool: for work that may take long. Closed at the end."""
        self._refuse_lost()
        async with await OwnConnection.connect(self.database_url, autocommit=True) as conn:
            await conn.execute(
                f"{_OWN}; SET lock_timeout = '{LONG_LOCK}'; SET statement_timeout = '{LONG_STATEMENT}';"
                " SET idle_in_transaction_session_timeout = 0"
            )
            yield conn

    @asynccontextmanager
    async def request_connection(
        self, project: Project, role: str, *, left: Callable[[], Awaitable[None]] | None = None
    ) -> AsyncIterator[RoleConnection]:
        """A connection of a small pool that logged in as what a request of this project runs as. 503 as `connection`, and
        database_busy while its manifest is taken back.

        What it runs ends when `left` returns: nobody waits for the answer any more.
        """
        self._refuse_lost()
        await self.unsettled.over(project.project_id)
        seconds = self.settings.request_seconds
        async with self.logins.lent(role_rows.name_of(project.roles, role), seconds=seconds, left=left) as conn:
            yield conn

    @asynccontextmanager
    async def owner_connection(
        self,
        roles: str,
        *,
        name: str = "run402-owner",
        options: str = "",
        seconds: float | None = OWNER_SECONDS,
        left: Callable[[], Awaitable[None]] | None = None,
    ) -> AsyncIterator[Connection]:
        """A connection of its own that logged in as the owner of a project's schema; closed at the end. As above.

        503 database_busy after so many seconds; None is for the user's own SQL alone.
        """
        self._refuse_lost()
        async with self.sql_shares.taken(roles):
            # PostgreSQL cancels a statement first, which says better what took so long.
            limit = "" if seconds is None else f"-c statement_timeout={round(seconds * 1000)}"
            ends = None if seconds is None else seconds + MORE_SECONDS
            role = role_rows.name_of(roles, "owner")
            conn = await self.logins.open(role, options=f"{_OWNER_PATH} {limit} {options}", application_name=name)
            try:
                async with self.backends.watched(conn, seconds=ends, left=left):
                    yield conn
            except psycopg.errors.UndefinedObject as exc:
                if not str(exc).startswith("invalid role OID"):
                    raise
                raise deleted_meanwhile() from exc
            finally:
                await conn.close()

    async def _room_for_changes(self) -> None:
        async with self.connection() as conn:
            if ended := await change_rows.relieve(conn):
                log.warning("%d sessions of projects kept the queue of notifications full, and were ended", ended)

    async def _listening(self) -> tuple[Connection, bool]:
        conn = await OwnConnection.connect(self.database_url, autocommit=True)
        try:
            await _configure(conn)
            return conn, await change_rows.listen(conn)
        except BaseException:
            await conn.close()
            raise

    def pool_in_use(self) -> bool:
        """Whether PostgreSQL is there, and others have all connections of `connection`."""
        return self.database_lost() is None and self.pool.get_stats().get("pool_size", 0) >= self.pool.max_size

    def _refuse_lost(self) -> None:
        lost = self.database_lost()
        if lost is not None:
            raise database_unavailable(lost)


async def _configure(conn: Connection) -> None:
    await conn.execute(f"{_OWN}; SET lock_timeout = '{LOCK}'; SET statement_timeout = '{STATEMENT}'".encode())


def database_unavailable(reason: str) -> GatewayError:
    """503: PostgreSQL is away. The embedded one is restarted by its supervisor, so a retry soon succeeds."""
    return GatewayError(
        503,
        "database_unavailable",
        f"PostgreSQL does not answer: {reason} Repeat in a few seconds; `run402 core logs` has the details.",
        retryable=True,
        retry_after_seconds=2,
    )


def database_busy(what: str) -> GatewayError:
    """503: PostgreSQL is there, and others have what this needs. `what` says what that is."""
    return GatewayError(503, "database_busy", f"{what} Repeat in a few seconds.", retryable=True, retry_after_seconds=2)


def gateway_of(request: Request) -> Gateway:
    gateway: Gateway = request.app.state.gateway
    return gateway
