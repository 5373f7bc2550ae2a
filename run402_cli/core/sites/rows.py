"""Names of sites: which project claimed one, and how often a host's cache was emptied.

The table of subdomains is made with the releases, which declare names too.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from run402_cli.core.db import Connection

DDL = """
CREATE TABLE IF NOT EXISTS internal.core_cache_generations (
  host text PRIMARY KEY,
  generation bigint NOT NULL
);
"""


async def next_generation(conn: Connection, host: str) -> int:
    """The cache of a host was emptied once more."""
    cursor = await conn.execute(
        "INSERT INTO internal.core_cache_generations AS g (host, generation) VALUES (%s, 1)"
        " ON CONFLICT (host) DO UPDATE SET generation = g.generation + 1 RETURNING generation",
        (host,),
    )
    row: Any = await cursor.fetchone()
    return int(row[0])


async def claim(conn: Connection, project_id: str, name: str) -> None:
    """The name is the project's, unless another has it: releases.rows.check_subdomains says so."""
    await conn.execute(
        "INSERT INTO internal.core_subdomains (name, project_id, origin) VALUES (%s, %s, 'claim')"
        " ON CONFLICT (name) DO UPDATE SET updated_at = now(), origin = 'claim'"
        " WHERE core_subdomains.project_id = excluded.project_id",
        (name, project_id),
    )


async def let_go(conn: Connection, project_id: str, name: str) -> bool:
    """Was the name the project's? It is not any more."""
    cursor = await conn.execute(
        "DELETE FROM internal.core_subdomains WHERE name = %s AND project_id = %s", (name, project_id)
    )
    return cursor.rowcount > 0


async def names_of(conn: Connection, project_id: str, name: str | None = None) -> list[tuple[str, datetime, datetime]]:
    """(name, claimed, updated) of a project's names, or of one of them."""
    cursor = await conn.execute(
        "SELECT name, claimed_at, updated_at FROM internal.core_subdomains"
        " WHERE project_id = %(project)s AND (%(name)s::text IS NULL OR name = %(name)s) ORDER BY name",
        {"project": project_id, "name": name},
    )
    return await cursor.fetchall()
