"""The table of the event feed of a project. Events are kept 90 days. See docs/local-gateway-users.md, "Events"."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from run402_cli.core.callers.wallet_rows import VISIBLE
from run402_cli.core.db import Connection
from run402_cli.core.projects import lock_rows

# Events with an idempotency key are never removed, only no longer shown: the key stands for one fact for ever.
DDL = """
CREATE TABLE IF NOT EXISTS internal.core_project_events (
  id bigserial PRIMARY KEY,
  event_id text NOT NULL UNIQUE,
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  event_type text NOT NULL,
  class text NOT NULL,
  source text NOT NULL,
  payload jsonb NOT NULL,
  payload_truncated boolean NOT NULL DEFAULT false,
  idempotency_key text,
  occurred_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (project_id, idempotency_key)
);
CREATE INDEX IF NOT EXISTS core_project_events_feed ON internal.core_project_events (project_id, id);
CREATE INDEX IF NOT EXISTS core_project_events_time ON internal.core_project_events (project_id, occurred_at);
"""

KEPT_DAYS = 90


async def record(
    conn: Connection,
    project_id: str,
    event_type: str,
    payload: Mapping[str, Any],
    *,
    source: str = "platform",
    kind: str = "deploy",
    key: str | None = None,
    truncated: bool = False,
) -> tuple[dict[str, Any], bool]:
    """Write an event into the feed; (row, is it new). An event with the same `key` is not written again."""
    # Ids must appear in the order of commits, or a reader's cursor would pass an event that is not there yet.
    await lock_rows.take(conn, "feed")
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "INSERT INTO internal.core_project_events (event_id, project_id, event_type, class, source, payload,"
            " payload_truncated, idempotency_key) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (project_id, idempotency_key) DO NOTHING RETURNING *",
            (f"evt_{uuid.uuid4().hex}", project_id, event_type, kind, source, Jsonb(payload), truncated, key),
        )
        row = await cursor.fetchone()
        if row is not None:
            return row, True
        await cursor.execute(
            "SELECT * FROM internal.core_project_events WHERE project_id = %s AND idempotency_key = %s",
            (project_id, key),
        )
        found = await cursor.fetchone()
    assert found is not None
    return found, False


async def forget_old(conn: Connection, project_id: str) -> None:
    await conn.execute(
        "DELETE FROM internal.core_project_events WHERE project_id = %s AND idempotency_key IS NULL"
        " AND occurred_at < now() - make_interval(days => %s)",
        (project_id, KEPT_DAYS),
    )


async def after(
    conn: Connection,
    project_id: str | None,
    start: int,
    *,
    source: str | None,
    types: list[str] | None,
    limit: int,
    wallet: str | None = None,
    unowned: bool = True,
) -> list[dict[str, Any]]:
    """Events after the id `start`, oldest first; when no project is given, of all that the wallet may see."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT e.* FROM internal.core_project_events e WHERE id > %(start)s"
            " AND (%(project)s::text IS NULL OR project_id = %(project)s)"
            " AND occurred_at >= now() - make_interval(days => %(days)s)"
            " AND (%(source)s::text IS NULL OR source = %(source)s)"
            " AND (%(types)s::text[] IS NULL OR event_type = ANY(%(types)s))"
            f" AND (%(wallet)s::text IS NULL OR EXISTS (SELECT FROM internal.core_projects p"
            f" WHERE p.project_id = e.project_id AND {VISIBLE})) ORDER BY id LIMIT %(limit)s",
            {
                "wallet": wallet,
                "unowned": unowned,
                "start": start,
                "project": project_id,
                "days": KEPT_DAYS,
                "source": source,
                "types": types,
                "limit": limit,
            },
        )
        return await cursor.fetchall()


async def newest(conn: Connection, project_id: str, *, limit: int, offset: int) -> list[dict[str, Any]]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT * FROM internal.core_project_events WHERE project_id = %s"
            " AND occurred_at >= now() - make_interval(days => %s) ORDER BY id DESC LIMIT %s OFFSET %s",
            (project_id, KEPT_DAYS, limit, offset),
        )
        return await cursor.fetchall()


async def ends(conn: Connection, project_id: str | None) -> tuple[int, int]:
    """Ids of the earliest event that is still shown and of the latest; 0 for none."""
    cursor = await conn.execute(
        "SELECT coalesce(min(id) FILTER (WHERE occurred_at >= now() - make_interval(days => %(days)s)), 0),"
        " coalesce(max(id), 0) FROM internal.core_project_events"
        " WHERE %(project)s::text IS NULL OR project_id = %(project)s",
        {"project": project_id, "days": KEPT_DAYS},
    )
    row: Any = await cursor.fetchone()
    return row[0], row[1]


async def id_of(conn: Connection, project_id: str | None, event_id: str) -> int | None:
    row = await (
        await conn.execute(
            "SELECT id FROM internal.core_project_events WHERE event_id = %(id)s"
            " AND (%(project)s::text IS NULL OR project_id = %(project)s)",
            {"id": event_id.replace("\0", ""), "project": project_id},
        )
    ).fetchone()
    return row[0] if row else None


async def exists(conn: Connection, position: int) -> bool:
    row = await (await conn.execute("SELECT 1 FROM internal.core_project_events WHERE id = %s", (position,))).fetchone()
    return row is not None


async def release_switch(conn: Connection, project_id: str) -> tuple[str | None, str | None] | None:
    """Ids of the active release and of the one that it superseded; None for a project that is gone."""
    cursor = await conn.execute(
        "SELECT p.active_release_id, (SELECT r.release_id FROM internal.core_releases r"
        " WHERE r.project_id = p.project_id AND r.release_id <> p.active_release_id"
        " AND r.superseded_at IS NOT NULL ORDER BY r.superseded_at DESC LIMIT 1)"
        " FROM internal.core_projects p WHERE p.project_id = %s",
        (project_id,),
    )
    row = await cursor.fetchone()
    return None if row is None else (row[0], row[1])
