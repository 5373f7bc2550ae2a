"""Projects: rows of internal.core_projects, one PostgreSQL schema each. The routes are in routes.py."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

import psycopg
from psycopg import sql

from run402_cli.core.callers.wallet_rows import OWNER, VISIBLE
from run402_cli.core.db import Connection
from run402_cli.core.projects import lock_rows, role_rows

PROJECT_ID = re.compile(r"prj_[a-z0-9_]{1,96}")
SCHEMA_SLOT = re.compile(r"[a-z_][a-z0-9_]*")
COLUMNS = (
    "project_id, name, schema_slot, public_id, active_release_id, created_at, roles, anon_sha256, service_sha256,"
    " keys_sealed"
)

DDL = """
CREATE TABLE IF NOT EXISTS internal.core_projects (
  project_id text PRIMARY KEY,
  name text NOT NULL,
  schema_slot text NOT NULL UNIQUE,
  public_id text NOT NULL UNIQUE,
  active_release_id text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE internal.core_projects ADD COLUMN IF NOT EXISTS roles text UNIQUE,
  ADD COLUMN IF NOT EXISTS anon_sha256 text UNIQUE, ADD COLUMN IF NOT EXISTS service_sha256 text UNIQUE,
  ADD COLUMN IF NOT EXISTS keys_sealed text;
CREATE TABLE IF NOT EXISTS internal.core_schemas_in_making (
  schema_slot text PRIMARY KEY,
  roles text,
  gateway text NOT NULL,
  since timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS internal.core_idempotency (
  idempotency_key text PRIMARY KEY,
  request_sha256 text NOT NULL,
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  created_at timestamptz NOT NULL DEFAULT now()
);
"""


class StoredKeys(NamedTuple):
    """Digests of the anon and the service key, and both keys sealed (keys.py)."""

    anon_sha256: str
    service_sha256: str
    sealed: str


@dataclass(frozen=True, slots=True)
class Project:
    project_id: str
    name: str
    schema_slot: str
    public_id: str
    active_release_id: str | None
    created_at: datetime
    roles: str
    anon_sha256: str
    service_sha256: str
    keys_sealed: str

    @property
    def keys(self) -> StoredKeys:
        return StoredKeys(self.anon_sha256, self.service_sha256, self.keys_sealed)


def project_from_row(row: Sequence[Any]) -> Project:
    """A row selected with COLUMNS."""
    return Project(*row)


async def insert_project(
    conn: Connection, name: str, keys: StoredKeys, *, slot: str | None = None, roles: str | None = None
) -> Project:
    """A new project: its row, its roles, its schema, which nobody else may use. Call inside a transaction.

    A schema that is there already (`slot`) is taken over, with all that is in it. With `roles` it is theirs already, and
    its owner opens it.
    """
    suffix = secrets.token_hex(8)
    there = slot is not None
    slot = slot or f"project_{suffix}"
    base = roles or await role_rows.create(conn)
    cursor = await conn.execute(
        f"""INSERT INTO internal.core_projects (project_id, name, schema_slot, public_id, roles, anon_sha256,
            service_sha256, keys_sealed) VALUES (%s, %s, %s, %s, %s, %s, %s, %s) RETURNING {COLUMNS}""",
        (
            f"prj_{suffix}",
            name,
            slot,
            f"local_{secrets.token_hex(10)}",
            base,
            *keys,
        ),
    )
    row = await cursor.fetchone()
    assert row is not None
    if not there:
        await role_rows.make_schema(conn, slot, base)
    elif roles is None:
        await role_rows.take_over(conn, slot, base)
    if roles is None:
        await role_rows.open_schema(conn, slot, base)
    return project_from_row(row)


async def begin_schema(conn: Connection, slot: str, gateway: str, roles: str | None = None) -> str:
    """An empty schema that is not a project's yet; committed before it is filled by its owner. The base of its roles.

    Where `roles` is None it gets roles of its own. A start of the gateway that wrote it here removes what it left.
    """
    async with conn.transaction():
        base = roles or await role_rows.create(conn)
        await role_rows.make_schema(conn, slot, base)
        await conn.execute(
            "INSERT INTO internal.core_schemas_in_making (schema_slot, roles, gateway) VALUES (%s, %s, %s)",
            (slot, None if roles else base, gateway),
        )
    return base


async def end_schema(conn: Connection, slot: str) -> None:
    """The schema has found its place. In the transaction that gives it one."""
    await conn.execute("DELETE FROM internal.core_schemas_in_making WHERE schema_slot = %s", (slot,))


async def unfinished(conn: Connection, gateway: str) -> list[str]:
    """Schemas that a gateway began and has not ended."""
    query = "SELECT schema_slot FROM internal.core_schemas_in_making WHERE gateway = %s"
    return [row[0] for row in await (await conn.execute(query, (gateway,))).fetchall()]


async def drop_unfinished(conn: Connection, gateway: str, slot: str) -> None:
    """Remove a schema that a gateway began and has not ended, with its roles; nothing when there is none."""
    query = "SELECT roles FROM internal.core_schemas_in_making WHERE gateway = %s AND schema_slot = %s"
    found = await (await conn.execute(query, (gateway, slot))).fetchone()
    if found is None:
        return
    async with conn.transaction():
        await conn.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(slot)))
        if found[0] is not None:
            await role_rows.drop(conn, found[0])
        await end_schema(conn, slot)


LONG_SECONDS = 3
_ATTEMPTS = 5
_END_LONG = """
SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a JOIN internal.core_projects p
  ON starts_with(a.usename, p.roles || '_')
WHERE a.xact_start < clock_timestamp() - make_interval(secs => %(seconds)s) AND (p.project_id = %(id)s OR p.project_id IN (
  SELECT branch_project_id FROM internal.core_branches WHERE parent_project_id = %(id)s))
"""


async def drop_project(conn: Connection, project: Project) -> list[str]:
    """Schema, roles, snapshots, branches, every bookkeeping row; the ids of the projects that went. Inside a transaction."""
    for attempt in range(_ATTEMPTS):
        try:
            async with conn.transaction():
                return await _drop(conn, project)
        except psycopg.errors.LockNotAvailable:
            # Somebody uses its tables, and for long by now.
            if attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError


async def _drop(conn: Connection, project: Project) -> list[str]:
    await conn.execute(f"SET LOCAL lock_timeout = '{LONG_SECONDS + 1}s'; SELECT pg_stat_clear_snapshot()".encode())
    # What has been running in its schema for long is not waited for.
    await conn.execute(_END_LONG, {"id": project.project_id, "seconds": LONG_SECONDS})
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
    query = "DELETE FROM internal.core_projects WHERE project_id = %s RETURNING roles"
    row = await (await conn.execute(query, (project_id,))).fetchone()
    if row is not None and row[0] is not None:
        await role_rows.drop(conn, row[0])


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


async def find_by_key(conn: Connection, sha256: str) -> tuple[Project, Literal["anon", "service"]] | None:
    """The project whose own anon or service key has this digest, and which of them it is."""
    query = f"SELECT {COLUMNS} FROM internal.core_projects WHERE anon_sha256 = %(key)s OR service_sha256 = %(key)s"
    row = await (await conn.execute(query, {"key": sha256})).fetchone()
    if row is None:
        return None
    project = project_from_row(row)
    return project, "service" if project.keys.service_sha256 == sha256 else "anon"


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
    await lock_rows.take(conn, "project name", name)


async def called(
    conn: Connection, wallet: str | None, name: str, *, but: str | None = None, unowned: bool
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
    await lock_rows.take(conn, "idempotency key", key)
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
