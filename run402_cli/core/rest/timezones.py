"""The names of time zones that PostgreSQL knows, for `Prefer: timezone=...`. See docs/rest.md."""

from __future__ import annotations

from run402_cli.core.db import Connection

_NAMES = "SELECT name FROM pg_catalog.pg_timezone_names"
_cache: dict[tuple[str, str], frozenset[str]] = {}


async def timezone_names(conn: Connection) -> frozenset[str]:
    """The names, read once for each server.

    `conn` is one of the gateway's own: what is kept serves the callers of all projects.
    """
    key = (conn.info.host, str(conn.info.port))
    if key not in _cache:
        cursor = await conn.execute(_NAMES)
        _cache[key] = frozenset(str(row[0]) for row in await cursor.fetchall())
    return _cache[key]
