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
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final
from weakref import WeakKeyDictionary

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.conninfo import make_conninfo
from psycopg.pq import TransactionStatus
from psycopg_pool import PoolTimeout

from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError

# A connection that was seen alive this long ago is asked again before it is used.
TRUST_SECONDS = 5.0
MOST: Final = 16
PATIENCE_SECONDS: Final = 15


# What a function can leave behind in the session, where the next request would meet it.
_CLEAN = "RESET ROLE; RESET ALL; DISCARD TEMP; SELECT pg_catalog.pg_advisory_unlock_all()"


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


class Logins:
    """Opens, lends and keeps connections of the roles of projects."""

    def __init__(
        self, database_url: str, secret: str, administer: Callable[[], AbstractAsyncContextManager[Connection]]
    ) -> None:
        self.database_url = database_url
        self._secret = secret
        self._administer = administer
        self._liveness = Liveness()
        self._slots = asyncio.Semaphore(MOST)
        self._busy = 0
        # Longest unused first.
        self._idle: OrderedDict[Connection, str] = OrderedDict()

    def password(self, role: str) -> str:
        return hmac.new(self._secret.encode(), f"database role {role}".encode(), hashlib.sha256).hexdigest()

    def conninfo(self, role: str) -> str:
        """How to log in as a role."""
        return make_conninfo(self.database_url, user=role, password=self.password(role))

    async def open(self, role: str, **settings: Any) -> Connection:
        """A new connection as a role, in autocommit mode; `settings` as of psycopg's connect."""
        try:
            return await self._connect(role, settings)
        except psycopg.OperationalError:
            # It has no password yet, or that of another data directory; or its session gave itself another.
            await self._give_password(role)
            return await self._connect(role, settings)

    async def _connect(self, role: str, settings: dict[str, Any]) -> Connection:
        conn: Connection = await AsyncConnection.connect(self.conninfo(role), autocommit=True, **settings)
        # Every role may change its own settings; that of a request would hold for the requests after it.
        found = await conn.execute("SELECT 1 FROM pg_catalog.pg_db_role_setting WHERE setrole = session_user::regrole")
        if await found.fetchone() is None:
            return conn
        await conn.close()
        async with self._administer() as admin:
            name = sql.Identifier(role)
            database = sql.Identifier(admin.info.dbname)
            await admin.execute(
                sql.SQL("ALTER ROLE {} RESET ALL; ALTER ROLE {} IN DATABASE {} RESET ALL").format(name, name, database)
            )
        return await self._connect(role, settings)

    async def _give_password(self, role: str) -> None:
        async with self._administer() as conn:
            verifier = conn.pgconn.encrypt_password(self.password(role).encode(), role.encode(), b"scram-sha-256")
            try:
                await conn.execute(
                    sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(
                        sql.Identifier(role), sql.Literal(verifier.decode())
                    )
                )
            except psycopg.errors.UndefinedObject as exc:
                raise deleted_meanwhile() from exc

    @asynccontextmanager
    async def lent(self, role: str) -> AsyncIterator[Connection]:
        """A connection for one request as `role`. Nothing that it leaves behind in its session reaches the next.

        Raises PoolTimeout when all are in use for too long.
        """
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._slots.acquire()
        except TimeoutError:
            raise PoolTimeout(f"{MOST} requests use the database at this moment") from None
        self._busy += 1
        try:
            conn = await self._take(role) or await self._open_within_bounds(role)
            try:
                yield conn
            finally:
                if await self._clean(conn):
                    self._idle[conn] = role
                else:
                    await conn.close()
        finally:
            self._busy -= 1
            self._slots.release()

    async def _clean(self, conn: Connection) -> bool:
        """Whether the session is as new: SET LOCAL went with the transaction; settings, temporary tables and locks go here."""
        if conn.closed or conn.pgconn.transaction_status != TransactionStatus.IDLE:
            return False
        try:
            # Several statements at once cannot be prepared, which psycopg would try for a frequent query.
            await conn.execute(_CLEAN, prepare=False)
        except psycopg.Error:
            return False
        return True

    async def _take(self, role: str) -> Connection | None:
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

    async def _open_within_bounds(self, role: str) -> Connection:
        while self._idle and len(self._idle) + self._busy > MOST:
            conn, _ = self._idle.popitem(last=False)
            await conn.close()
        return await self.open(role, application_name="run402-rest")

    async def forget(self, base: str) -> None:
        """Close what is idle of the roles of a project (all of them for an empty text)."""
        for conn in [conn for conn, role in self._idle.items() if role.startswith(base)]:
            if self._idle.pop(conn, None) is not None:
                with contextlib.suppress(psycopg.Error):
                    await conn.close()
