"""The table of expose manifests: the last one of a project as it was sent, and the surfaces that it made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from run402_cli.core.db import Connection

DDL = """
CREATE TABLE IF NOT EXISTS internal.core_expose (
  project_id text PRIMARY KEY REFERENCES internal.core_projects ON DELETE CASCADE,
  manifest json NOT NULL,
  surfaces json NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
);
"""


async def lock(conn: Connection, project_id: str) -> str | None:
    """One apply per project at a time; held until the transaction ends. The project's schema, None when it is gone.

    A delete or a restore waits, or was quicker.
    """
    await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 402))", (f"expose:{project_id}",))
    cursor = await conn.execute(
        "SELECT schema_slot FROM internal.core_projects WHERE project_id = %s FOR KEY SHARE", (project_id,)
    )
    row = await cursor.fetchone()
    return None if row is None else str(row[0])


async def find(conn: Connection, project_id: str) -> tuple[dict[str, Any], dict[str, str]] | None:
    """Manifest and surfaces."""
    query = "SELECT manifest, surfaces FROM internal.core_expose WHERE project_id = %s"
    row = await (await conn.execute(query, (project_id,))).fetchone()
    return None if row is None else (row[0], row[1])


async def put(conn: Connection, project_id: str, manifest: Mapping[str, Any], surfaces: Mapping[str, str]) -> None:
    await conn.execute(
        "INSERT INTO internal.core_expose (project_id, manifest, surfaces) VALUES (%s, %s::json, %s::json)"
        " ON CONFLICT (project_id) DO UPDATE"
        " SET manifest = excluded.manifest, surfaces = excluded.surfaces, applied_at = now()",
        (project_id, json.dumps(manifest), json.dumps(surfaces)),
    )
