"""Tables about names of sites: how often a host's cache was emptied."""

from __future__ import annotations

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
