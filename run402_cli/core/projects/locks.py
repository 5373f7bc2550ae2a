"""One deploy at a time per project, across requests and across gateway processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from run402_cli.core.db import Connection
from run402_cli.core.gateway import Gateway

_waiting: WeakValueDictionary[tuple[int, str], asyncio.Lock] = WeakValueDictionary()


@asynccontextmanager
async def project_lock(gateway: Gateway, project_id: str) -> AsyncIterator[Connection]:
    """A connection that alone may deploy to the project.

    Waiting requests queue in memory first, so that they do not use up the pool. The lock in PostgreSQL is what counts:
    it also outlives a killed gateway for as long as its last statement still runs in the server.
    """
    key = (id(gateway), project_id)
    lock = _waiting.get(key)
    if lock is None:
        lock = _waiting[key] = asyncio.Lock()
    async with lock, gateway.connection() as conn:
        await conn.execute("SELECT pg_advisory_lock(hashtextextended('run402-deploy:' || %s, 0))", (project_id,))
        try:
            yield conn
        finally:
            if not conn.closed:
                await conn.execute("SELECT pg_advisory_unlock_all()")
