"""Projects: rows of internal.core_projects, one PostgreSQL schema each. The routes are in routes.py."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import sql

from run402_cli.core.db import Connection

PROJECT_ID = re.compile(r"prj_[a-z0-9_]{1,96}")
SCHEMA_SLOT = re.compile(r"[a-z_][a-z0-9_]*")
COLUMNS = "project_id, name, schema_slot, public_id, anon_key, service_key, active_release_id, created_at"

DDL = """
CREATE TABLE IF NOT EXISTS internal.core_projects (
  project_id text PRIMARY KEY,
  name text NOT NULL,
  schema_slot text NOT NULL UNIQUE,
  public_id text NOT NULL UNIQUE,
  anon_key text NOT NULL UNIQUE,
  service_key text NOT NULL UNIQUE,
  active_release_id text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS internal.core_idempotency (
  idempotency_key text PRIMARY KEY,
  request_sha256 text NOT NULL,
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  created_at timestamptz NOT NULL DEFAULT now()
);
"""


@dataclass(frozen=True, slots=True)
class Project:
    project_id: str
    name: str
    schema_slot: str
    public_id: str
    anon_key: str
    service_key: str
    active_release_id: str | None
    created_at: datetime


def project_from_row(row: Sequence[Any]) -> Project:
    """A row selected with COLUMNS."""
    return Project(*row)


async def insert_project(conn: Connection, name: str) -> Project:
    """A new project: its row, its schema, and privileges for service_role only. Call inside a transaction."""
    suffix = secrets.token_hex(8)
    slot = f"project_{suffix}"
    cursor = await conn.execute(
        f"""INSERT INTO internal.core_projects (project_id, name, schema_slot, public_id, anon_key, service_key)
            VALUES (%s, %s, %s, %s, %s, %s) RETURNING {COLUMNS}""",
        (
            f"prj_{suffix}",
            name,
            slot,
            f"local_{secrets.token_hex(10)}",
            f"r402_anon_{secrets.token_hex(24)}",
            f"r402_service_{secrets.token_hex(24)}",
        ),
    )
    row = await cursor.fetchone()
    assert row is not None
    await create_project_schema(conn, slot)
    return project_from_row(row)


async def create_project_schema(conn: Connection, slot: str) -> None:
    """The schema of a project. What is not exposed stays dark: only service_role gets default privileges."""
    schema = sql.Identifier(slot)
    await conn.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
    await conn.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO anon, authenticated, service_role").format(schema))
    for kind in ("TABLES", "SEQUENCES", "FUNCTIONS"):
        await conn.execute(
            sql.SQL("ALTER DEFAULT PRIVILEGES IN SCHEMA {} GRANT ALL ON {} TO service_role").format(
                schema, sql.SQL(kind)
            )
        )


async def drop_project(conn: Connection, project: Project) -> list[str]:
    """Schema, snapshots, branches, every bookkeeping row; the ids of the projects that went. Inside a transaction."""
    # The row first: whoever is about to write to the schema holds it, and must not meet a schema that is half gone.
    await conn.execute("SELECT 1 FROM internal.core_projects WHERE project_id = %s FOR UPDATE", (project.project_id,))
    cursor = await conn.execute(
        "SELECT branch_project_id FROM internal.core_branches WHERE parent_project_id = %s", (project.project_id,)
    )
    gone = [*(row[0] for row in await cursor.fetchall()), project.project_id]
    for project_id in gone:
        await _drop_one(conn, project_id)
    return gone


async def _drop_one(conn: Connection, project_id: str) -> None:
    cursor = await conn.execute(
        "SELECT schema_slot FROM internal.core_projects WHERE project_id = %(id)s"
        " UNION ALL SELECT schema_slot FROM internal.core_snapshots WHERE project_id = %(id)s",
        {"id": project_id},
    )
    for (slot,) in await cursor.fetchall():
        await conn.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(slot)))
    await conn.execute("DELETE FROM internal.core_projects WHERE project_id = %s", (project_id,))


async def find(conn: Connection, project_id: str) -> Project | None:
    """The project of an id."""
    cursor = await conn.execute(f"SELECT {COLUMNS} FROM internal.core_projects WHERE project_id = %s", (project_id,))
    row = await cursor.fetchone()
    return None if row is None else project_from_row(row)


async def find_by_key(conn: Connection, key: str) -> Project | None:
    """The project whose own anon or service key this is."""
    cursor = await conn.execute(
        f"SELECT {COLUMNS} FROM internal.core_projects WHERE anon_key = %(key)s OR service_key = %(key)s", {"key": key}
    )
    row = await cursor.fetchone()
    return None if row is None else project_from_row(row)
