"""What an export reads in one snapshot of the database: a project at one moment. See docs/archives.md."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from run402_cli.core.archives import rows
from run402_cli.core.archives.rows import ArchiveRecord
from run402_cli.core.callers.auth import project_by_id
from run402_cli.core.db import Connection
from run402_cli.core.expose import rows as expose_rows
from run402_cli.core.functions import bundle_rows, secret_rows
from run402_cli.core.functions.bundle_rows import Bundle
from run402_cli.core.projects.rows import Project
from run402_cli.core.releases import rows as releases
from run402_cli.core.storage import object_rows
from run402_cli.core.storage.object_rows import StoredObject
from run402_cli.release.state import empty_state


@dataclass(frozen=True, slots=True)
class Picture:
    """A project as it is at one moment, apart from its content and its rows."""

    project: Project
    state: dict[str, Any]
    bundles: dict[str, Bundle]
    objects: list[StoredObject]
    subjects: list[dict[str, Any]]
    secrets: list[dict[str, Any]]
    expose: Any
    postgres_version: str
    subdomains: list[str]


async def take(conn: Connection, record: ArchiveRecord) -> Picture:
    """Call inside `copies.schemas.copying`, under the project's lock."""
    project = await project_by_id(conn, record.project_id)
    release = await releases.find(conn, project.project_id, project.active_release_id or "")
    state = json.loads(json.dumps(release.state)) if release else empty_state()
    subdomains = state["subdomains"]["names"]
    state["subdomains"] = {"names": []}
    expose = await _expose(conn, project)
    return Picture(
        project=project,
        state=state,
        bundles=await bundle_rows.load(conn, project.project_id, project.active_release_id),
        objects=await object_rows.of_project(conn, project.project_id),
        subjects=await _subjects(conn, project, expose) if record.auth_export == "stubs" else [],
        secrets=await _secrets(conn, project, state),
        expose=expose,
        postgres_version=conn.info.parameter_status("server_version") or "",
        subdomains=subdomains,
    )


async def _expose(conn: Connection, project: Project) -> Any:
    found = await expose_rows.find(conn, project.project_id)
    return json.loads(json.dumps(found[0]).replace(f"{project.schema_slot}.", "")) if found else None


async def _subjects(conn: Connection, project: Project, expose: Any) -> list[dict[str, Any]]:
    owned = [
        f"{table['name']}.{table['owner_column']}"
        for table in (expose or {}).get("tables") or ()
        if isinstance(table, dict) and isinstance(table.get("owner_column"), str)
    ]
    return [
        {"subject_id": subject, "disabled": True, "references": owned if references is None else references}
        for subject, references in await rows.subjects(conn, project.project_id)
    ]


async def _secrets(conn: Connection, project: Project, state: Mapping[str, Any]) -> list[dict[str, Any]]:
    owners: dict[str, list[str]] = {}
    for name, _scope, owner, *_moments in await secret_rows.listed(conn, project.project_id, None):
        known = owners.setdefault(name, [])
        if owner and owner not in known:
            known.append(owner)
    required = set(state["secrets"]["keys"])
    found = []
    for name in sorted({*owners, *required}):
        targets = [f"function:{owner}" for owner in owners.get(name, [])]
        found.append({"name": name, "required": name in required, **({"targets": targets} if targets else {})})
    return found
