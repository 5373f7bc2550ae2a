"""What a release holds and what changed between two, as the API shows them. See docs/deploy.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from run402_cli.core.db import Connection
from run402_cli.core.projects.rows import Project
from run402_cli.core.releases import diffs, migrations
from run402_cli.core.releases.rows import Release
from run402_cli.core.web.instants import iso
from run402_cli.release.sections import LIVE
from run402_cli.release.state import empty_state
from run402_cli.release.static_manifest import static_manifest_sha256

SCHEMA_VERSION = "agent-deploy-observability.v1"
SITE_LIMIT, MAX_SITE_LIMIT, DIFF_LIMIT = 5000, 25_000, 1000


def release_diff(before: Release | None, after: Release | None, limit: int = DIFF_LIMIT) -> dict[str, Any]:
    """The API's release_diff document; None is the empty state."""
    old = before.state if before else empty_state()
    new = after.state if after else empty_state()
    buckets = diffs.compare(old, new, cap=limit, present={p["content_sha256"] for p in new["site"]["paths"]})
    known = {(m["migration_id"], m["checksum_hex"]) for m in old["migrations"]}
    applied = [m["migration_id"] for m in new["migrations"] if (m["migration_id"], m["checksum_hex"]) not in known]
    return {
        "kind": "release_diff",
        "schema_version": SCHEMA_VERSION,
        "from_release_id": before.release_id if before else None,
        "to_release_id": after.release_id if after else None,
        "is_noop": diffs.changes_nothing(buckets) and not applied,
        "summary": diffs.summary(buckets, len(applied), False),
        "warnings": [],
        "migrations": {"applied_between_releases": applied},
        **buckets,
    }


async def inventory(conn: Connection, project: Project, release: Release, site_limit: int) -> dict[str, Any]:
    """The API's release_inventory document."""
    active = release.release_id == project.active_release_id
    state = release.state
    shown = contents(state)
    paths = shown["site"]["paths"]
    return {
        **empty_inventory(project),
        "release_id": release.release_id,
        "parent_id": release.parent_id,
        "status": "active" if active else "superseded",
        "manifest_digest": release.manifest_digest,
        "created_at": iso(release.created_at),
        "activated_at": iso(release.activated_at),
        "superseded_at": iso(release.superseded_at),
        "operation_id": release.operation_id,
        "plan_id": release.plan_id,
        "events_url": f"/apply/v1/operations/{release.operation_id}/events" if release.operation_id else None,
        "effective": active,
        "state_kind": "current_live" if active else "effective",
        "release_generation": release.generation,
        "static_manifest_sha256": static_manifest_sha256(state["static_manifest"]),
        "static_manifest_metadata": manifest_metadata(state["static_manifest"]),
        **shown,
        **({"site": {"paths": paths[:site_limit], "totals": {"paths": len(paths)}}} if len(paths) > site_limit else {}),
        "static_public_paths": shown["static_public_paths"][:site_limit],
        "migrations_applied": await _applied(conn, project, shown["migrations_applied"]),
    }


def empty_inventory(project: Project) -> dict[str, Any]:
    """The inventory of a project where nothing is live."""
    return {
        "kind": "release_inventory",
        "schema_version": SCHEMA_VERSION,
        "release_id": None,
        "project_id": project.project_id,
        "parent_id": None,
        "status": None,
        "manifest_digest": None,
        "created_at": None,
        "created_by": None,
        "actor": None,
        "activated_at": None,
        "superseded_at": None,
        "operation_id": None,
        "plan_id": None,
        "events_url": None,
        "effective": True,
        "state_kind": "current_live",
        "release_generation": None,
        "static_manifest_sha256": None,
        "static_manifest_metadata": None,
        **contents(empty_state()),
        "warnings": [],
    }


def contents(state: Mapping[str, Any]) -> dict[str, Any]:
    """What an inventory shows of a state alone, section by section."""
    return {key: value for section in LIVE for key, value in section.shown(state).items()}


def manifest_metadata(manifest: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """{file_count, total_bytes, cache_classes, cache_class_sources, spa_fallback} of a static manifest."""
    if manifest is None:
        return None
    files = manifest["files"].values()
    return {
        "file_count": len(files),
        "total_bytes": sum(entry["size"] for entry in files),
        "cache_classes": dict(Counter(entry["cache_class"] for entry in files)),
        "cache_class_sources": dict(Counter(entry["cache_class_source"] for entry in files)),
        "spa_fallback": manifest["spa_fallback"],
    }


async def _applied(conn: Connection, project: Project, entries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    known = await migrations.recorded(conn, project.project_id)
    return [
        {
            **entry,
            "applied_at": iso(known[entry["migration_id"]].applied_at) if entry["migration_id"] in known else None,
        }
        for entry in entries
    ]
