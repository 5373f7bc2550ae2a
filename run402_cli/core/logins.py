"""Connections that log in as one project's roles: what such a session resets or sets leads to a role without power.

Those of requests are kept for the next one, a bounded number, the longest unused one goes first. Passwords are derived
from a secret of the data directory, and the database knows their verifiers only.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import select
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final
from weakref import WeakKeyDictionary

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus

from run402_cli.core.backends import Backends
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.role_connection import RoleConnection
from run402_cli.core.shares import Shares

# A connection that was seen alive this long ago is asked again before it is used.
TRUST_SECONDS = 5.0
MOST: Final = 24
# So many of them are kept for the next request.
KEPT: Final = 16

# What a session does must not depend on settings of its role: those of the start of a session outweigh them.
_FIRM = (
    "-c search_path=pg_catalog -c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0"
    " -c local_preload_libraries= -c default_transaction_read_only=off -c row_security=on -c client_encoding=UTF8"
)
# Every name and operator with its schema: no setting says what they mean.
_OWN_SETTINGS = """
SELECT 1 FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) s.setrole
WHERE r.rolname OPERATOR(pg_catalog.=) session_user
"""
_SETTINGS_OF = """
SELECT d.datname FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) s.setrole
LEFT JOIN pg_catalog.pg_database d ON d.oid OPERATOR(pg_catalog.=) s.setdatabase
WHERE r.rolname OPERATOR(pg_catalog.=) %s::pg_catalog.name
"""


def _in_database(name: str | None) -> sql.Composable:
    return sql.SQL("") if name is None else sql.SQL(" IN DATABASE {}").format(sql.Identifier(name))


class Liveness:
    """Is a connection that waited still good? The server is asked only now and then: a request takes several of them."""

    def __init__(self) -> None:
        self._seen: WeakKeyDictionary[Connection, float] = WeakKeyDictionary()

    async def check(self, conn: Connection) -> None:
        """Raise when the connection is dead."""
        now = time.monotonic()
        if now - self._seen.get(conn, 0) > TRUST_SECONDS or _something_to_read(conn):
            await conn.execute("")
            self._seen[conn] = now


def _something_to_read(conn: Connection) -> bool:
    """An idle connection has nothing to say but that it ends."""
    if not hasattr(select, "poll"):
        return bool(select.select([conn.fileno()], [], [], 0)[0])
    poll = select.poll()
    poll.register(conn.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def deleted_meanwhile() -> GatewayError:
    """404: a session outlives its role, but can do nothing any more."""
    return GatewayError(404, "project_not_found", "The project was deleted meanwhile.")


def _settings_stay(role: str) -> GatewayError:
    """503: something changes the role faster than it can be changed back."""
    return GatewayError(
        503,
        "database_unavailable",
        f"The database role {role} has settings of its own, which could not be taken away: a session of the project is "
        "changing them at this moment. Repeat in a few seconds. If it goes on, look for a function of the project that "
        "runs SQL made of text (ALTER ROLE), and take it out of the expose manifest.",
        retryable=True,
        retry_after_seconds=2,
    )


class Logins:
    """Opens, lends and keeps connections of the roles of projects."""

    def __init__(
        self,
        database_url: str,
        secret: str,
        administer: Callable[[], AbstractAsyncContextManager[Connection]],
        backends: Backends,
    ) -> None:
        self.database_url = database_url
        self._backends = backends
        self._options = str(conninfo_to_dict(database_url).get("options") or "")
        self._secret = secret
        self._administer = administer
        self._liveness = Liveness()
        # PostgreSQL refuses the second of two changes of one role.
        self._repairing = asyncio.Lock()
        self._shares = Shares(MOST, "requests")
        # Longest unused first.
        self._idle: OrderedDict[RoleConnection, str] = OrderedDict()

    def password(self, role: str) -> str:
        return hmac.new(self._secret.encode(), f"database role {role}".encode(), hashlib.sha256).hexdigest()

    def conninfo(self, role: str) -> str:
        """How to log in as a role."""
        return make_conninfo(self.database_url, user=role, password=self.password(role))

    async def open(self, role: str, *, options: str = "", **settings: Any) -> RoleConnection:
        """A new connection as a role, in autocommit mode; `settings` as of psycopg's connect.

        Every role may change its own settings and password, and a change would hold for all who log in after it. Raises
        GatewayError 503 when it cannot be taken back.
        """
        options = f"{self._options} {_FIRM} {options}".strip()
        # Never a prepared statement: what runs in the session can put another one in its place.
        settings = {"prepare_threshold": None, **settings, "options": options}
        try:
            conn = await self._connect(role, settings)
        except psycopg.OperationalError:
            # It has no password yet, or that of another data directory; or its session gave itself another.
            await self._repair(role, password=True)
            conn = await self._connect(role, settings)
        if conn is None:
            await self._repair(role, password=False)
            conn = await self._connect(role, settings)
        if conn is None:
            raise _settings_stay(role)
        return conn

    async def _connect(self, role: str, settings: dict[str, Any]) -> RoleConnection | None:
        """None when the role has settings of its own. Nothing of the project has run in this session when it is asked."""
        conn = await RoleConnection.connect(self.conninfo(role), autocommit=True, **settings)
        try:
            cursor = await conn.execute(_OWN_SETTINGS)
            if await cursor.fetchone() is None:
                conn.touched = False
                return conn
        except BaseException as exc:
            await conn.close()
            if isinstance(exc, psycopg.Error) and not isinstance(exc, psycopg.OperationalError):
                # Settings can make any statement fail.
                return None
            raise
        await conn.close()
        return None

    async def _repair(self, role: str, *, password: bool) -> None:
        """Take the settings that the role gave itself away, in every database that they name, and give it its password."""
        async with self._repairing, self._administer() as admin:
            name = sql.Identifier(role)
            found = await (await admin.execute(_SETTINGS_OF, (role,))).fetchall()
            resets = [
                sql.SQL("ALTER ROLE {}{} RESET ALL").format(name, _in_database(database)) for (database,) in found
            ]
            if password:
                verifier = admin.pgconn.encrypt_password(self.password(role).encode(), role.encode(), b"scram-sha-256")
                resets.append(sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(name, sql.Literal(verifier.decode())))
            try:
                async with admin.transaction():
                    # A session that is changing them at this moment holds a lock until it ends.
                    await admin.execute("SET LOCAL lock_timeout = 2000")
                    for statement in resets:
                        await admin.execute(statement)
            except psycopg.errors.UndefinedObject as exc:
                raise deleted_meanwhile() from exc
            except (psycopg.errors.LockNotAvailable, psycopg.errors.InternalError_) as exc:
                raise _settings_stay(role) from exc

    @asynccontextmanager
    async def lent(
        self, role: str, *, seconds: float, left: Callable[[], Awaitable[None]] | None = None
    ) -> AsyncIterator[RoleConnection]:
        """A connection for one request as `role`, for so many seconds at most, and until `left` returns. Nothing that it
        leaves behind in its session reaches the next.

        503 database_busy when all that the project may have are in use for too long, or when its time is over.
        """
        async with self._shares.taken("_".join(role.split("_")[:3])):
            conn = await self._take(role) or await self._open_within_bounds(role)
            clean = False
            try:
                async with self._backends.watched(conn, seconds=seconds, left=left) as watch:
                    try:
                        yield conn
                    finally:
                        clean = conn.pgconn.transaction_status == TransactionStatus.IDLE and await conn.clean()
            finally:
                # One that was to be ended may hear of it late.
                if clean and watch.reason is None:
                    self._idle[conn] = role
                else:
                    await conn.close()
                while len(self._idle) > KEPT:
                    await self._idle.popitem(last=False)[0].close()

    async def _take(self, role: str) -> RoleConnection | None:
        for conn in [conn for conn, its in reversed(self._idle.items()) if its == role]:
            # Another request may have taken it while one was asked.
            if self._idle.pop(conn, None) is None:
                continue
            try:
                await self._liveness.check(conn)
            except psycopg.Error:
                await conn.close()
            else:
                return conn
        return None

    async def _open_within_bounds(self, role: str) -> RoleConnection:
        while self._idle and len(self._idle) + self._shares.busy > MOST:
            conn, _ = self._idle.popitem(last=False)
            await conn.close()
        return await self.open(role, application_name="run402-rest")

    async def forget(self, base: str) -> None:
        """Close what is idle of the roles of a project (all of them for an empty text)."""
        for conn in [conn for conn, role in self._idle.items() if role.startswith(base)]:
            if self._idle.pop(conn, None) is not None:
                with contextlib.suppress(psycopg.Error):
                    await conn.close()
