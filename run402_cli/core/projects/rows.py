"""Projects: rows of internal.core_projects, one PostgreSQL schema each. The routes are in routes.py."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import sql

from run402_cli.core.callers.wallet_rows import OWNER, VISIBLE
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


async def set_schema(conn: Connection, project_id: str, slot: str) -> None:
    """The project's tables are those of another schema from now on."""
    await conn.execute(
        "UPDATE internal.core_projects SET schema_slot = %s, updated_at = now() WHERE project_id = %s",
        (slot, project_id),
    )


async def find(conn: Connection, project_id: str) -> Project | None:
    """The project of an id."""
    cursor = await conn.execute(f"SELECT {COLUMNS} FROM internal.core_projects WHERE project_id = %s", (project_id,))
    row = await cursor.fetchone()
    return None if row is None else project_from_row(row)


async def has_name(conn: Connection, name: str) -> bool:
    """Is a project called this?"""
    cursor = await conn.execute("SELECT 1 FROM internal.core_projects WHERE name = %s LIMIT 1", (name,))
    return await cursor.fetchone() is not None


async def find_by_key(conn: Connection, key: str) -> Project | None:
    """The project whose own anon or service key this is."""
    cursor = await conn.execute(
        f"SELECT {COLUMNS} FROM internal.core_projects WHERE anon_key = %(key)s OR service_key = %(key)s", {"key": key}
    )
    row = await cursor.fetchone()
    return None if row is None else project_from_row(row)


async def visible(
    conn: Connection,
    wallet: str | None,
    *,
    name: str | None = None,
    after: Project | None = None,
    limit: int | None = None,
    unowned: bool = True,
) -> list[Project]:
    """The projects that a wallet may see, or all of them without one; oldest first, those of a name where it is given."""
    cursor = await conn.execute(
        f"""SELECT {COLUMNS} FROM internal.core_projects p
            WHERE (%(at)s::timestamptz IS NULL OR (created_at, project_id) > (%(at)s::timestamptz, %(id)s::text))
            AND (%(name)s::text IS NULL OR name = %(name)s::text)
            AND {VISIBLE} ORDER BY created_at, project_id LIMIT %(limit)s""".encode(),
        {
            "wallet": wallet,
            "unowned": unowned,
            "name": name,
            "at": after.created_at if after else None,
            "id": after.project_id if after else None,
            "limit": limit,
        },
    )
    return [project_from_row(row) for row in await cursor.fetchall()]


async def lock_name(conn: Connection, name: str) -> None:
    """Whoever gives this name to a project waits here for the end of the others' transactions."""
    await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 403))", (name,))


async def called(
    conn: Connection, wallet: str | None, name: str, *, but: str | None = None, unowned: bool = True
) -> Project | None:
    """The project of this name that a wallet may use: its own before one that no wallet owns, then the oldest.

    Branches have names of their own kind. `but` is a project that does not count.
    """
    cursor = await conn.execute(
        f"""SELECT {COLUMNS} FROM internal.core_projects p
            WHERE name = %(name)s AND project_id IS DISTINCT FROM %(but)s::text AND {VISIBLE}
            AND NOT EXISTS (SELECT 1 FROM internal.core_branches b WHERE b.branch_project_id = p.project_id)
            ORDER BY ({OWNER} IS NOT DISTINCT FROM %(wallet)s::text) DESC, created_at, project_id LIMIT 1""".encode(),
        {"name": name, "but": but, "wallet": wallet, "unowned": unowned},
    )
    row = await cursor.fetchone()
    return project_from_row(row) if row else None


async def rename(conn: Connection, project_id: str, name: str) -> None:
    await conn.execute(
        "UPDATE internal.core_projects SET name = %s, updated_at = now() WHERE project_id = %s", (name, project_id)
    )


async def made_with(conn: Connection, key: str) -> tuple[str, str] | None:
    """What an idempotency key made: digest of the request, project id. Locks the key until the end of the transaction."""
    # Two equal requests at once: the second waits here and then finds the row of the first.
    await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 402))", (key,))
    cursor = await conn.execute(
        "SELECT request_sha256, project_id FROM internal.core_idempotency WHERE idempotency_key = %s", (key,)
    )
    row = await cursor.fetchone()
    return None if row is None else (row[0], row[1])


async def remember_key(conn: Connection, key: str, digest: str, project_id: str) -> None:
    await conn.execute(
        "INSERT INTO internal.core_idempotency (idempotency_key, request_sha256, project_id) VALUES (%s, %s, %s)"
        " ON CONFLICT (idempotency_key) DO UPDATE SET request_sha256 = excluded.request_sha256,"
        " project_id = excluded.project_id",
        (key, digest, project_id),
    )


async def table_bytes(conn: Connection, project: Project | None = None) -> int:
    """Tables and indexes of a project, or of all."""
    query = """
        SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::int8 FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN internal.core_projects p ON p.schema_slot = n.nspname
        WHERE c.relkind IN ('r', 'm') AND (%(id)s::text IS NULL OR p.project_id = %(id)s)
    """
    row: Any = await (await conn.execute(query, {"id": project.project_id if project else None})).fetchone()
    return int(row[0])
