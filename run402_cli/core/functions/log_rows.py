"""The table of functions' logs. Entries are redacted before they come here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg.rows import dict_row

from run402_cli.core.db import Connection

DDL = """
CREATE TABLE IF NOT EXISTS internal.core_function_logs (
  id bigserial PRIMARY KEY,
  timestamp timestamptz NOT NULL,
  request_id text NOT NULL,
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  release_id text,
  function_name text NOT NULL,
  stream text NOT NULL,
  level text NOT NULL,
  message text NOT NULL,
  redacted boolean NOT NULL
);
CREATE INDEX IF NOT EXISTS core_function_logs_time ON internal.core_function_logs (project_id, timestamp);
CREATE INDEX IF NOT EXISTS core_function_logs_request ON internal.core_function_logs (request_id);
"""

KEEP = timedelta(hours=24)
KEEP_BYTES = 10 * 1024**2


async def insert(conn: Connection, entries: list[dict[str, Any]]) -> None:
    # A project may have been deleted since; its entries go with it.
    async with conn.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO internal.core_function_logs (timestamp, request_id, project_id, release_id, function_name,"
            " stream, level, message, redacted) SELECT %(timestamp)s, %(request_id)s, project_id, %(release_id)s,"
            " %(function_name)s, %(stream)s, %(level)s, %(message)s, %(redacted)s FROM internal.core_projects"
            " WHERE project_id = %(project_id)s",
            entries,
        )


async def prune(conn: Connection, project_id: str) -> None:
    await conn.execute(
        "DELETE FROM internal.core_function_logs WHERE project_id = %(project)s AND (timestamp < %(oldest)s"
        " OR id <= coalesce((SELECT max(id) FROM (SELECT id, sum(octet_length(message)) OVER"
        " (ORDER BY id DESC) AS total FROM internal.core_function_logs WHERE project_id = %(project)s) AS sizes"
        " WHERE total > %(bytes)s), -1))",
        {"project": project_id, "oldest": datetime.now(UTC) - KEEP, "bytes": KEEP_BYTES},
    )


async def newest(
    conn: Connection,
    project_id: str,
    *,
    function_name: str | None,
    request_id: str | None,
    since: datetime | None,
    limit: int,
) -> list[dict[str, Any]]:
    """The newest entries that fit, newest first. `since` is inclusive."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT id, timestamp, request_id, project_id, release_id, function_name, stream, level, message, redacted"
            " FROM internal.core_function_logs WHERE project_id = %(project)s"
            " AND (%(name)s::text IS NULL OR function_name = %(name)s)"
            " AND (%(request)s::text IS NULL OR request_id = %(request)s)"
            " AND (%(since)s::timestamptz IS NULL OR timestamp >= %(since)s) ORDER BY timestamp DESC, id DESC LIMIT %(tail)s",
            {"project": project_id, "name": function_name, "request": request_id, "since": since, "tail": limit},
        )
        return await cursor.fetchall()
