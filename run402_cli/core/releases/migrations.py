"""Migrations: SQL that runs once per project, each with the row that remembers it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.projects.role_rows import name_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.releases.migration_scripts import Migration, changed

DDL = """
CREATE TABLE IF NOT EXISTS internal.core_applied_migrations (
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  migration_id text NOT NULL,
  checksum_hex text NOT NULL,
  state text NOT NULL DEFAULT 'applied' CHECK (state IN ('applied', 'running', 'failed')),
  applied_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, migration_id)
);
"""

# What the session of a migration is called in the server.
SESSION = "run402-migration"
_FORMER_LOOKS = 1200


@dataclass(frozen=True, slots=True)
class Recorded:
    checksum: str
    state: str
    applied_at: datetime


async def recorded(conn: Connection, project_id: str) -> dict[str, Recorded]:
    """Migrations that the project knows, by id."""
    cur = await conn.execute(
        "SELECT migration_id, checksum_hex, state, applied_at FROM internal.core_applied_migrations"
        " WHERE project_id = %s ORDER BY applied_at, migration_id",
        (project_id,),
    )
    return {row[0]: Recorded(*row[1:]) for row in await cur.fetchall()}


def applied(known: Mapping[str, Recorded]) -> set[str]:
    """Ids of those whose work is in the database."""
    return {name for name, record in known.items() if record.state == "applied"}


def pending(migrations: Sequence[Migration], known: Mapping[str, Recorded]) -> list[Migration]:
    """Those that still have to run. 409 MIGRATION_CHECKSUM_MISMATCH when a known id comes with other SQL."""
    for migration in migrations:
        record = known.get(migration.id)
        if record and record.state == "applied" and record.checksum != migration.checksum:
            raise changed(
                "migration_checksum_conflict",
                f"Migration {migration.id} was applied with checksum {record.checksum} and now has "
                f"{migration.checksum}. Applied migrations cannot change: restore its SQL and put the change into a "
                "new migration (a new `id`, or `name` instead of `id` to have one made from the content).",
                migration.id,
            )
    return [m for m in migrations if m.id not in known or known[m.id].state != "applied"]


async def wait_for_former(conn: Connection, project: Project) -> None:
    """What a killed gateway began may still run in the server, after the lock of its deploy is gone.

    503 database_busy when it does not end. `conn` is the gateway's.
    """
    query = "SELECT count(*) FROM pg_stat_activity WHERE usename = %s AND application_name = %s"
    for _ in range(_FORMER_LOOKS):
        row = await (await conn.execute(query, (name_of(project.roles, "owner"), SESSION))).fetchone()
        if row is None or not row[0]:
            return
        await asyncio.sleep(0.1)
    raise GatewayError(
        503,
        "database_busy",
        "A migration of an earlier deploy, whose gateway was killed, still runs in the database. Repeat when it has ended.",
        retryable=True,
        retry_after_seconds=10,
    )


async def record_applied(conn: Connection, project_id: str, entries: Iterable[Mapping[str, Any]]) -> None:
    """Migrations of a release state whose tables are there already: they came with an archive."""
    for entry in entries:
        await conn.execute(
            "INSERT INTO internal.core_applied_migrations (project_id, migration_id, checksum_hex)"
            " VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            (project_id, entry["migration_id"], entry["checksum_hex"]),
        )
