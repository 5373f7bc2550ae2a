"""What a starting gateway throws away: old plans, expired copies, and content that nothing mentions any more.

See docs/local-gateway.md, "What it keeps".
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Collection
from pathlib import Path
from typing import Final, TypeVar

from psycopg import sql

from run402_cli.core.archives import files as archives
from run402_cli.core.content.store import SHA256, ContentStore
from run402_cli.core.copies import branch_rows, branches, snapshot_rows, snapshots
from run402_cli.core.db import Connection
from run402_cli.core.gateway import Gateway
from run402_cli.core.projects.rows import drop_unfinished, unfinished
from run402_cli.core.releases.take_backs import hold

log = logging.getLogger("run402.core")

_T = TypeVar("_T")
KEPT_DAYS: Final = 7
# Sessions of projects may go on in a PostgreSQL of somebody else, and hold locks.
LOCKS_SECONDS: Final = 30
# An operation that stands for something that happened stays; a plan that nobody committed leaves no trace.
_OLD_PLANS = """
WITH old AS (
  DELETE FROM internal.core_apply_plans p USING internal.core_operations o
  WHERE o.operation_id = p.operation_id AND p.created_at < now() - make_interval(days => %(days)s)
    AND o.status IN ('planning', 'ready', 'failed')
  RETURNING p.operation_id
), gone AS (
  DELETE FROM internal.core_operations WHERE status = 'planning' AND operation_id IN (SELECT operation_id FROM old)
)
SELECT count(*) FROM old
"""
_OLD_UPLOADS = "DELETE FROM internal.core_content_plans WHERE expires_at < now() - make_interval(days => %(days)s)"
# Texts of programs, not references: too long to search, and what they mention may go.
_TABLES = """
SELECT relname FROM pg_class WHERE relnamespace = 'internal'::regnamespace AND relkind = 'r'
  AND relname NOT LIKE '%%\\_logs' AND relname NOT LIKE '%%\\_events'
"""


async def purge(gateway: Gateway) -> None:
    """Run before the first request is taken, so that nothing is being written. Never fails a start, and never keeps one:
    it runs nothing that a project made, and waits for no lock of one for long.
    """
    try:
        async with gateway.apart() as conn:
            await hold(gateway, conn)
            gone = await _apart("copies", _copies(gateway, conn), seconds=LOCKS_SECONDS)
            plans = await _apart("old plans", _old_plans(conn))
            await _apart("old uploads", conn.execute(_OLD_UPLOADS, {"days": KEPT_DAYS}))
            objects = await _apart("content", purge_content(gateway.store, conn))
            await _apart("archives", archives.sweep(gateway, conn))
        log.info("purged %s copies, %s plans, %s objects", gone, plans, objects)
    except Exception:
        log.exception("could not purge; the next start tries again")


async def _apart(what: str, work: Awaitable[_T], *, seconds: float | None = None) -> _T | None:
    """What cannot be thrown away, or not within `seconds`, keeps nothing else."""
    try:
        async with asyncio.timeout(seconds):
            return await work
    except Exception:
        log.exception("could not purge: %s; the next start tries again", what)
        return None


async def _copies(gateway: Gateway, conn: Connection) -> int:
    """Schemas that a killed gateway left half made, and copies whose time is over; how many of those."""
    for slot in await _apart("unfinished schemas", unfinished(conn, gateway.identity)) or ():
        await _apart(slot, drop_unfinished(conn, gateway.identity, slot))
    gone = 0
    for branch_id in await _apart("branches", branch_rows.expired(conn, None)) or ():
        await _apart(branch_id, branches.remove(gateway, branch_id))
        gone += 1
    for snapshot_id, slot in await _apart("snapshots", snapshot_rows.expired(conn)) or ():
        await _apart(snapshot_id, snapshots.drop(conn, snapshot_id, slot))
        gone += 1
    return gone


async def _old_plans(conn: Connection) -> int:
    row = await (await conn.execute(_OLD_PLANS, {"days": KEPT_DAYS})).fetchone()
    return row[0] if row else 0


async def purge_content(store: ContentStore, conn: Connection) -> int:
    """Delete objects that are old and that no bookkeeping row mentions; how many."""
    before = time.time() - KEPT_DAYS * 86400
    candidates = await asyncio.to_thread(_old_objects, store.root, before)
    if not candidates:
        return 0
    candidates -= await _mentioned(conn)
    cur = await conn.execute("SELECT project_id FROM internal.core_projects")
    projects = [row[0] for row in await cur.fetchall()]
    return await asyncio.to_thread(_delete, store, candidates, projects, before)


def _old_objects(root: Path, before: float) -> set[str]:
    files = (root / "cas").glob("*/*")
    return {path.name for path in files if SHA256.fullmatch(path.name) and path.stat().st_mtime < before}


async def _mentioned(conn: Connection) -> set[str]:
    """Every digest in any row, whichever part of the gateway wrote it: releases, open plans, assets, functions..."""
    found: set[str] = set()
    tables = [row[0] for row in await (await conn.execute(_TABLES)).fetchall()]
    for table in tables:
        query = sql.SQL("SELECT DISTINCT m[1] FROM internal.{} t, regexp_matches(t::text, '[0-9a-f]{{64}}', 'g') m")
        cur = await conn.execute(query.format(sql.Identifier(table)))
        found.update(row[0] for row in await cur.fetchall())
    return found


def _delete(store: ContentStore, digests: Collection[str], projects: Collection[str], before: float) -> int:
    refs = store.root / "refs"
    for project_id in projects:
        for sha256 in digests:
            ref = store.ref_path(project_id, sha256)
            if ref.exists() and ref.stat().st_mtime < before:
                ref.unlink()
    deleted = 0
    # A reference of a project that this database does not know belongs to another database over the same directory.
    referenced = {path.name for path in refs.glob("*/*/*")}
    for sha256 in digests:
        if sha256 not in referenced:
            store.path(sha256).unlink(missing_ok=True)
            deleted += 1
    return deleted
