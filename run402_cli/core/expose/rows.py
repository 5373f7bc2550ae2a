"""The tables of expose manifests: the last one of a project as it was sent, and the surfaces that it made; and what to go
back to while a deploy has applied a manifest and not yet switched to its release. Only the gateway says that it is owed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

from run402_cli.core.db import Connection

DDL = """
CREATE TABLE IF NOT EXISTS internal.core_expose (
  project_id text PRIMARY KEY REFERENCES internal.core_projects ON DELETE CASCADE,
  manifest json NOT NULL,
  surfaces json NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS internal.core_expose_owed (
  project_id text PRIMARY KEY REFERENCES internal.core_projects ON DELETE CASCADE,
  manifest json NOT NULL
);
DO $do$
BEGIN
  IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'internal.core_expose'::regclass AND attname = 'manifest_before'
             AND NOT attisdropped) THEN
    INSERT INTO internal.core_expose_owed (project_id, manifest)
    SELECT project_id, manifest_before FROM internal.core_expose WHERE manifest_before IS NOT NULL;
    ALTER TABLE internal.core_expose DROP COLUMN manifest_before;
  END IF;
END
$do$;
"""


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


async def owe(conn: Connection, project_id: str) -> None:
    """Before a manifest is applied for a release: note the one of now, 'null' for none. One that is owed already stays so."""
    await conn.execute(
        "INSERT INTO internal.core_expose_owed (project_id, manifest) SELECT %(project)s, coalesce("
        " (SELECT manifest FROM internal.core_expose WHERE project_id = %(project)s), 'null') ON CONFLICT DO NOTHING",
        {"project": project_id},
    )


async def keep(conn: Connection, project_id: str) -> None:
    """The release of the applied manifest is live, or it was never applied: there is no way back."""
    await conn.execute("DELETE FROM internal.core_expose_owed WHERE project_id = %s", (project_id,))


async def owed(conn: Connection, project_id: str | None = None) -> list[str]:
    """Projects (or this one) whose manifest was applied for a release that never went live."""
    query = (
        "SELECT project_id FROM internal.core_expose_owed WHERE project_id = %(project)s OR %(project)s::text IS NULL"
    )
    return [row[0] for row in await (await conn.execute(query, {"project": project_id})).fetchall()]


class Records(Protocol):
    """Where the manifest of the project whose schema is worked on is kept; `conn` is that of the schema's owner."""

    async def lock(self, conn: Connection) -> str | None:
        """One apply per project at a time, until the transaction ends. The schema's name, None when the project is gone."""
        ...

    async def find(self, conn: Connection) -> tuple[dict[str, Any], dict[str, str]] | None: ...

    async def put(
        self, conn: Connection, manifest: Mapping[str, Any], surfaces: Mapping[str, str], *, revocable: bool = False
    ) -> None: ...

    async def put_surfaces(self, conn: Connection, surfaces: Mapping[str, str]) -> None: ...


class Own:
    """Of the project whose owner logged in (projects/own_rows.py). A delete or a restore waits, or was quicker."""

    async def lock(self, conn: Connection) -> str | None:
        row = await (await conn.execute("SELECT schema_slot FROM run402.lock_expose()")).fetchone()
        return None if row is None else str(row[0])

    async def find(self, conn: Connection) -> tuple[dict[str, Any], dict[str, str]] | None:
        row = await (await conn.execute("SELECT manifest, surfaces FROM run402.expose()")).fetchone()
        return None if row is None else (row[0], row[1])

    async def before(self, conn: Connection) -> tuple[bool, dict[str, Any] | None]:
        """Is there a way back, and to which manifest?"""
        query = "SELECT manifest_before FROM run402.expose() WHERE manifest_before IS NOT NULL"
        row = await (await conn.execute(query)).fetchone()
        return row is not None, row[0] if row is not None else None

    async def put(
        self, conn: Connection, manifest: Mapping[str, Any], surfaces: Mapping[str, str], *, revocable: bool = False
    ) -> None:
        query = "SELECT run402.put_expose(%s::json, %s::json, %s)"
        await conn.execute(query, (json.dumps(manifest), json.dumps(surfaces), revocable))

    async def put_surfaces(self, conn: Connection, surfaces: Mapping[str, str]) -> None:
        await conn.execute("SELECT run402.put_surfaces(%s::json)", (json.dumps(surfaces),))


class Unborn:
    """Of a project that is being made: nobody else knows its schema, and its row is written with the project's."""

    def __init__(self, slot: str) -> None:
        self.slot = slot
        self.kept: tuple[dict[str, Any], dict[str, str]] | None = None

    async def lock(self, conn: Connection) -> str | None:
        return self.slot

    async def find(self, conn: Connection) -> tuple[dict[str, Any], dict[str, str]] | None:
        return self.kept

    async def put(
        self, conn: Connection, manifest: Mapping[str, Any], surfaces: Mapping[str, str], *, revocable: bool = False
    ) -> None:
        self.kept = dict(manifest), dict(surfaces)

    async def put_surfaces(self, conn: Connection, surfaces: Mapping[str, str]) -> None:
        if self.kept is not None:
            self.kept = self.kept[0], dict(surfaces)
