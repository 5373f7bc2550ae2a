"""What has been loaded into which table, so that the same content is not loaded twice by a repeated call."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from run402_cli.core.db import Connection

# `xid` is the transaction of the rows: whether it was committed is asked of PostgreSQL, whenever the gateway died.
DDL = """
CREATE TABLE IF NOT EXISTS internal.core_load_events (
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  table_name text NOT NULL,
  sha256 text NOT NULL,
  xid text NOT NULL,
  row_count bigint NOT NULL,
  loaded_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, table_name, sha256)
);
"""
# Of a transaction that this PostgreSQL has not come to yet it was restored from elsewhere.
_GONE = """
known.loaded_at < now() - interval '1 day' OR CASE
  WHEN known.xid::xid8 < pg_snapshot_xmax(pg_current_snapshot())
  THEN coalesce(pg_xact_status(known.xid::xid8) = 'aborted', false)
  ELSE true END
"""
_NOTE = f"""
INSERT INTO internal.core_load_events AS known (project_id, table_name, sha256, xid, row_count)
VALUES (%(project_id)s, %(table)s, %(sha256)s, %(xid)s, %(rows)s)
ON CONFLICT (project_id, table_name, sha256)
DO UPDATE SET xid = excluded.xid, row_count = excluded.row_count, loaded_at = now()
WHERE %(again)s OR {_GONE}
RETURNING 1
"""
_BEFORE = f"""
SELECT row_count, loaded_at, CASE
  WHEN known.xid::xid8 < pg_snapshot_xmax(pg_current_snapshot())
  THEN coalesce(pg_xact_status(known.xid::xid8) = 'in progress', false)
  ELSE false END
FROM internal.core_load_events AS known
WHERE project_id = %s AND table_name = %s AND sha256 = %s AND NOT ({_GONE})
"""
_COLUMNS = """
SELECT a.attname, t.typcategory = 'A', coalesce(nullif(t.typbasetype, 0), t.oid) IN ('json'::regtype, 'jsonb'::regtype),
  a.atthasdef OR a.attidentity <> '' OR t.typdefault IS NOT NULL
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_type t ON t.oid = a.atttypid
WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""


class Column(NamedTuple):
    """Whether it holds arrays or JSON; and whether there is a default."""

    is_array: bool
    is_json: bool
    has_default: bool


@dataclass(frozen=True, slots=True)
class Loaded:
    """With `running` its transaction has not ended: whether the rows will be there, nobody knows yet."""

    rows: int
    at: datetime
    running: bool


async def columns(conn: Connection, slot: str, table: str) -> dict[str, Column]:
    """The columns of a table in its order. Empty when there is no such table."""
    cursor = await conn.execute(_COLUMNS, (slot, table))
    return {row[0]: Column(*row[1:]) for row in await cursor.fetchall()}


async def note(
    conn: Connection, project_id: str, table: str, sha256: str, *, xid: str, rows: int, again: bool
) -> Loaded | None:
    """Note what is about to be committed. When the same was loaded within a day, or is being loaded: that, and no note."""
    await conn.execute(
        "DELETE FROM internal.core_load_events WHERE project_id = %s AND loaded_at < now() - interval '1 day'",
        (project_id,),
    )
    values = {"project_id": project_id, "table": table, "sha256": sha256, "xid": xid, "rows": rows, "again": again}
    if (await (await conn.execute(_NOTE.encode(), values)).fetchone()) is not None:
        return None
    return await before(conn, project_id, table, sha256)


async def before(conn: Connection, project_id: str, table: str, sha256: str) -> Loaded | None:
    """When this content was loaded into this table within a day, or is being loaded."""
    row = await (await conn.execute(_BEFORE.encode(), (project_id, table, sha256))).fetchone()
    return None if row is None else Loaded(*row)
