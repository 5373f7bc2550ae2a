"""The table of snapshots. Each has a schema, which copies/schemas.py makes and removes."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from run402_cli.core.db import Connection, check_cursor
from run402_cli.core.errors import GatewayError, run_command
from run402_cli.core.projects.rows import Project

DDL = """
CREATE TABLE IF NOT EXISTS internal.core_snapshots (
  snapshot_id text PRIMARY KEY,
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  operation_id text NOT NULL,
  kind text NOT NULL,
  schema_slot text NOT NULL UNIQUE,
  former_slots text[] NOT NULL DEFAULT '{}',
  size_bytes bigint NOT NULL,
  live_release_id text,
  migrations jsonb NOT NULL,
  expose json,
  confirm_sha256 text,
  confirm_expires_at timestamptz,
  expires_at timestamptz,
  captured_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
ALTER TABLE internal.core_snapshots DROP COLUMN IF EXISTS confirm_token, ADD COLUMN IF NOT EXISTS confirm_sha256 text;
CREATE INDEX IF NOT EXISTS core_snapshots_project ON internal.core_snapshots (project_id, captured_at);
"""

Kind = Literal["manual", "pre_migration", "pre_restore", "scheduled"]
# Those that the gateway makes by itself go by themselves.
AUTOMATIC_LIFETIME = timedelta(days=7)
_COLUMNS = (
    "snapshot_id, project_id, operation_id, kind, schema_slot, former_slots, size_bytes, live_release_id, migrations,"
    " confirm_sha256, confirm_expires_at, expires_at, captured_at, updated_at"
)
# What belongs to the schema although it is kept beside it: which migrations ran, and what is exposed.
_REGISTRY = """
(SELECT coalesce(jsonb_agg(jsonb_build_object('migration_id', migration_id, 'checksum_hex', checksum_hex,
   'state', state, 'applied_at', applied_at) ORDER BY applied_at, migration_id), '[]')
 FROM internal.core_applied_migrations WHERE project_id = %(project)s)
"""
_EXPOSE = """
(SELECT json_build_object('manifest', manifest, 'surfaces', surfaces)
 FROM internal.core_expose WHERE project_id = %(project)s)
"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A row of internal.core_snapshots. `former_slots` are earlier names of its schema."""

    snapshot_id: str
    project_id: str
    operation_id: str
    kind: str
    schema_slot: str
    former_slots: list[str]
    size_bytes: int
    live_release_id: str | None
    migrations: list[dict[str, Any]]
    confirm_sha256: str | None
    confirm_expires_at: datetime | None
    expires_at: datetime | None
    captured_at: datetime
    updated_at: datetime


def new_id() -> str:
    return f"snap_{secrets.token_hex(12)}"


async def insert(
    conn: Connection,
    project: Project,
    snapshot_id: str,
    operation_id: str,
    kind: Kind,
    slot: str,
    former: Sequence[str],
    size: int,
) -> None:
    """A capture of the project as it is now. `former` are earlier names of the schema `slot`, `size` is in bytes."""
    values = {
        "id": snapshot_id,
        "project": project.project_id,
        "operation": operation_id,
        "kind": kind,
        "slot": slot,
        "former": list(former),
        "size": size,
        "release": project.active_release_id,
        "expires": None if kind == "manual" else datetime.now(UTC) + AUTOMATIC_LIFETIME,
    }
    await conn.execute(
        "INSERT INTO internal.core_snapshots (snapshot_id, project_id, operation_id, kind, schema_slot, former_slots,"
        " size_bytes, live_release_id, expires_at, migrations, expose) VALUES (%(id)s, %(project)s, %(operation)s,"
        f" %(kind)s, %(slot)s, %(former)s, %(size)s, %(release)s, %(expires)s, {_REGISTRY}, {_EXPOSE})",
        values,
    )


async def fetch(conn: Connection, project_id: str, snapshot_id: str) -> Snapshot:
    """The snapshot, or 404 SNAPSHOT_NOT_FOUND."""
    cur = await conn.execute(
        f"SELECT {_COLUMNS} FROM internal.core_snapshots WHERE project_id = %s AND snapshot_id = %s"
        " AND (expires_at IS NULL OR expires_at > now())",
        (project_id, snapshot_id),
    )
    row = await cur.fetchone()
    if row is None:
        raise GatewayError(
            404,
            "snapshot_not_found",
            f"Project {project_id} has no snapshot {snapshot_id}. `run402 snapshots list` prints the ones it has.",
            snapshot_id=snapshot_id,
            next_actions=[run_command("snapshots", "list", "--project", project_id)],
        )
    return Snapshot(*row)


async def page(conn: Connection, project_id: str, *, kind: str | None, after: str | None, limit: int) -> list[Snapshot]:
    """The snapshots of a project, newest first, beyond the snapshot `after`."""
    if after is not None:
        await check_cursor(conn, "after", after, "core_snapshots", snapshot_id=after, project_id=project_id)
    cur = await conn.execute(
        f"SELECT {_COLUMNS} FROM internal.core_snapshots WHERE project_id = %(project)s"
        " AND (expires_at IS NULL OR expires_at > now()) AND (%(kind)s::text IS NULL OR kind = %(kind)s)"
        " AND (%(after)s::text IS NULL OR (captured_at, snapshot_id) < (SELECT captured_at, snapshot_id"
        " FROM internal.core_snapshots WHERE snapshot_id = %(after)s AND project_id = %(project)s))"
        " ORDER BY captured_at DESC, snapshot_id DESC LIMIT %(limit)s",
        {"project": project_id, "kind": kind, "after": after, "limit": limit},
    )
    return [Snapshot(*row) for row in await cur.fetchall()]


async def delete(conn: Connection, snapshot_id: str) -> None:
    await conn.execute("DELETE FROM internal.core_snapshots WHERE snapshot_id = %s", (snapshot_id,))


async def older(conn: Connection, project_id: str, kind: Kind, count: int) -> list[tuple[str, str]]:
    """Id and schema of all but the latest `count` snapshots of a kind."""
    cur = await conn.execute(
        "SELECT snapshot_id, schema_slot FROM internal.core_snapshots WHERE project_id = %s AND kind = %s"
        " ORDER BY captured_at DESC OFFSET %s",
        (project_id, kind, count),
    )
    return await cur.fetchall()


async def expired(conn: Connection) -> list[tuple[str, str]]:
    """Id and schema of every snapshot whose time is over."""
    cur = await conn.execute("SELECT snapshot_id, schema_slot FROM internal.core_snapshots WHERE expires_at <= now()")
    return await cur.fetchall()


async def set_token(conn: Connection, snapshot_id: str, sha256: str, expires_at: datetime) -> None:
    """The digest of the token that confirms a restore; an earlier one holds no longer."""
    await conn.execute(
        "UPDATE internal.core_snapshots SET confirm_sha256 = %s, confirm_expires_at = %s WHERE snapshot_id = %s",
        (sha256, expires_at, snapshot_id),
    )


async def mark_restored(conn: Connection, snapshot_id: str) -> None:
    """Its token is used up."""
    await conn.execute(
        "UPDATE internal.core_snapshots SET confirm_sha256 = NULL, updated_at = clock_timestamp()"
        " WHERE snapshot_id = %s",
        (snapshot_id,),
    )


async def copy_records(conn: Connection, snapshot_id: str, project_id: str) -> int:
    """A project gets the migration registry and expose manifest of a snapshot instead of its own.

    The number of registry rows.
    """
    values = {"project": project_id, "snapshot": snapshot_id}
    await conn.execute("DELETE FROM internal.core_applied_migrations WHERE project_id = %(project)s", values)
    await conn.execute("DELETE FROM internal.core_expose WHERE project_id = %(project)s", values)
    await conn.execute("DELETE FROM internal.core_expose_owed WHERE project_id = %(project)s", values)
    cur = await conn.execute(
        "INSERT INTO internal.core_applied_migrations (project_id, migration_id, checksum_hex, state, applied_at)"
        " SELECT %(project)s, m.* FROM internal.core_snapshots s, jsonb_to_recordset(s.migrations)"
        " AS m(migration_id text, checksum_hex text, state text, applied_at timestamptz)"
        " WHERE s.snapshot_id = %(snapshot)s",
        values,
    )
    rows = cur.rowcount
    await conn.execute(
        "INSERT INTO internal.core_expose (project_id, manifest, surfaces)"
        " SELECT %(project)s, expose->'manifest', expose->'surfaces' FROM internal.core_snapshots"
        " WHERE snapshot_id = %(snapshot)s AND expose IS NOT NULL",
        values,
    )
    return rows
