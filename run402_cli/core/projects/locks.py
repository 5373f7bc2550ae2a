"""One deploy at a time per project, across requests and across gateway processes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

import psycopg

from run402_cli.core.db import Connection
from run402_cli.core.gateway import Gateway
from run402_cli.core.projects import lock_rows

_waiting: WeakValueDictionary[tuple[int, str], asyncio.Lock] = WeakValueDictionary()


@asynccontextmanager
async def project_lock(gateway: Gateway, project_id: str) -> AsyncIterator[Connection]:
    """A connection that alone may deploy to the project; in autocommit, with as much time as it needs.

    Waiting requests queue in memory first. What counts is the row that another connection holds in a transaction of its
    own. Neither is of the pool, where SQL of a deploy that does not end would be in the way of everybody.
    """
    key = (id(gateway), project_id)
    lock = _waiting.get(key)
    if lock is None:
        lock = _waiting[key] = asyncio.Lock()
    async with lock, gateway.deploy_shares.taken(project_id), gateway.apart() as holder, gateway.apart() as conn:
        await holder.execute("BEGIN")
        await lock_rows.take(holder, "deploy", project_id)
        # The portal of the statement above would keep its snapshot, and CREATE INDEX CONCURRENTLY of a migration waits for it.
        await holder.execute("SELECT 1")
        try:
            yield conn
        finally:
            # What was done is done, whatever became of the lock.
            with contextlib.suppress(psycopg.Error):
                await holder.execute("ROLLBACK")
