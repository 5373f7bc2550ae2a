"""The table of functions' secrets, sealed by vault.py."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from run402_cli.core.db import Connection

DDL = """
CREATE TABLE IF NOT EXISTS internal.core_function_secrets (
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  name text NOT NULL,
  scope text NOT NULL DEFAULT 'project',
  function_name text NOT NULL DEFAULT '',
  encrypted_value_ref text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, name, scope, function_name)
);
"""
# Name, scope, function ('' for all of them), sealed value.
Sealed = tuple[str, str, str, str]


async def of_function(conn: Connection, project_id: str, function_name: str) -> list[Sealed]:
    """What a function finds: values for all functions first, then its own."""
    cursor = await conn.execute(
        "SELECT name, scope, function_name, encrypted_value_ref FROM internal.core_function_secrets"
        " WHERE project_id = %s AND function_name IN ('', %s) ORDER BY function_name",
        (project_id, function_name),
    )
    return [(row[0], row[1], row[2], row[3]) for row in await cursor.fetchall()]


async def of_project(conn: Connection, project_id: str) -> list[Sealed]:
    cursor = await conn.execute(
        "SELECT name, scope, function_name, encrypted_value_ref FROM internal.core_function_secrets"
        " WHERE project_id = %s",
        (project_id,),
    )
    return [(row[0], row[1], row[2], row[3]) for row in await cursor.fetchall()]


async def set_among(conn: Connection, project_id: str, names: Sequence[str]) -> set[str]:
    """Those of the names that have a value, in any scope."""
    cursor = await conn.execute(
        "SELECT DISTINCT name FROM internal.core_function_secrets WHERE project_id = %s AND name = ANY(%s)",
        (project_id, list(names)),
    )
    return {row[0] for row in await cursor.fetchall()}


async def add(conn: Connection, project_id: str, name: str, scope: str, owner: str, sealed: str) -> None:
    """Unless the project has it."""
    await conn.execute(
        "INSERT INTO internal.core_function_secrets (project_id, name, scope, function_name,"
        " encrypted_value_ref) VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (project_id, name, scope, owner, sealed),
    )


async def put(
    conn: Connection, project_id: str, name: str, scope: str, owner: str, sealed: str
) -> tuple[datetime, datetime]:
    """Create or overwrite: when it was made and when it was last set."""
    cursor = await conn.execute(
        "INSERT INTO internal.core_function_secrets (project_id, name, scope, function_name, encrypted_value_ref)"
        " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (project_id, name, scope, function_name)"
        " DO UPDATE SET encrypted_value_ref = excluded.encrypted_value_ref, updated_at = now()"
        " RETURNING created_at, updated_at",
        (project_id, name, scope, owner, sealed),
    )
    row = await cursor.fetchone()
    assert row is not None
    return row[0], row[1]


async def listed(conn: Connection, project_id: str, only: str | None) -> list[tuple[str, str, str, datetime, datetime]]:
    """Name, scope, function, made and last set, by name; with `only` what that function finds."""
    cursor = await conn.execute(
        "SELECT name, scope, function_name, created_at, updated_at FROM internal.core_function_secrets"
        " WHERE project_id = %(project)s AND (%(only)s::text IS NULL OR function_name IN ('', %(only)s))"
        " ORDER BY name, function_name",
        {"project": project_id, "only": only},
    )
    return [(row[0], row[1], row[2], row[3], row[4]) for row in await cursor.fetchall()]


async def delete(conn: Connection, project_id: str, name: str) -> bool:
    """Whether the project had it."""
    cursor = await conn.execute(
        "DELETE FROM internal.core_function_secrets WHERE project_id = %s AND name = %s", (project_id, name)
    )
    return cursor.rowcount > 0
