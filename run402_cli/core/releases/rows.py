"""Releases: immutable states of a project, one of them active; and the routes that read them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from run402_cli.core.content.uploads import caller_project
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.releases import diffs, migrations
from run402_cli.core.releases.plans import Plan
from run402_cli.core.web.http import iso, reply
from run402_cli.release.state import empty_state
from run402_cli.release.static_manifest import static_manifest_sha256

DDL = """
CREATE TABLE IF NOT EXISTS internal.core_releases (
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  release_id text NOT NULL,
  digest text NOT NULL,
  state jsonb NOT NULL,
  manifest_digest text,
  parent_id text,
  plan_id text,
  operation_id text,
  generation int NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  activated_at timestamptz NOT NULL DEFAULT now(),
  superseded_at timestamptz,
  PRIMARY KEY (project_id, release_id)
);
CREATE TABLE IF NOT EXISTS internal.core_subdomains (
  name text PRIMARY KEY,
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  claimed_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE internal.core_subdomains ADD COLUMN IF NOT EXISTS updated_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE internal.core_subdomains ADD COLUMN IF NOT EXISTS origin text NOT NULL DEFAULT 'release';
"""

SCHEMA_VERSION = "agent-deploy-observability.v1"
SITE_LIMIT, MAX_SITE_LIMIT, DIFF_LIMIT = 5000, 25_000, 1000
COLUMNS = (
    "release_id, digest, state, manifest_digest, parent_id, plan_id, operation_id, generation, created_at,"
    " activated_at, superseded_at"
)


@dataclass(frozen=True, slots=True)
class Release:
    release_id: str
    digest: str
    state: dict[str, Any]
    manifest_digest: str | None
    parent_id: str | None
    plan_id: str | None
    operation_id: str | None
    generation: int
    created_at: datetime
    activated_at: datetime
    superseded_at: datetime | None


async def find(conn: Connection, project_id: str, release_id: str) -> Release | None:
    cur = await conn.execute(
        f"SELECT {COLUMNS} FROM internal.core_releases WHERE project_id = %s AND release_id = %s",
        (project_id, release_id),
    )
    row = await cur.fetchone()
    return None if row is None else Release(*row)


async def newest(conn: Connection, project_id: str, *, limit: int, offset: int) -> list[dict[str, Any]]:
    """{release_id, parent_id, generation, activated_at} of a project's releases, the latest activated first."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT release_id, parent_id, generation, activated_at FROM internal.core_releases WHERE project_id = %s"
            " ORDER BY generation DESC, release_id LIMIT %s OFFSET %s",
            (project_id, limit, offset),
        )
        return await cursor.fetchall()


async def fetch(conn: Connection, project_id: str, release_id: str) -> Release:
    """The release, or 404 RELEASE_NOT_FOUND."""
    release = await find(conn, project_id, release_id)
    if release is None:
        raise release_not_found(404, project_id, release_id)
    return release


def release_not_found(status: int, project_id: str, release_id: str) -> GatewayError:
    return GatewayError(
        status,
        "release_not_found",
        f"Project {project_id} has no release {release_id}. `run402 deploy list` shows the releases of its deploys.",
        code="RELEASE_NOT_FOUND",
        resource="release_id",
        release_id=release_id,
    )


async def activate_plan(conn: Connection, plan: Plan) -> None:
    """Make the plan's target the active release. Call inside a transaction that holds the project row."""
    await conn.execute(
        "UPDATE internal.core_releases SET superseded_at = now()"
        " WHERE project_id = %s AND superseded_at IS NULL AND release_id <> %s",
        (plan.project_id, plan.target_release_id),
    )
    await conn.execute(
        "INSERT INTO internal.core_releases"
        " (project_id, release_id, digest, state, manifest_digest, parent_id, plan_id, operation_id, generation)"
        " SELECT %(project)s, %(release)s, %(digest)s, %(state)s, %(manifest)s, %(parent)s, %(plan)s, %(operation)s,"
        " coalesce(max(generation), 0) + 1 FROM internal.core_releases WHERE project_id = %(project)s"
        " ON CONFLICT (project_id, release_id) DO UPDATE SET generation = excluded.generation,"
        " plan_id = excluded.plan_id, operation_id = excluded.operation_id, activated_at = now(), superseded_at = NULL",
        {
            "project": plan.project_id,
            "release": plan.target_release_id,
            "digest": plan.target_release_digest,
            "state": Jsonb(plan.target_release),
            "manifest": plan.manifest_digest,
            "parent": plan.base_release_id,
            "plan": plan.plan_id,
            "operation": plan.operation_id,
        },
    )
    await point_at(conn, plan.project_id, plan.target_release_id, plan.target_release["subdomains"]["names"])


async def point_at(conn: Connection, project_id: str, release_id: str, subdomains: list[str]) -> None:
    """Move the active pointer and the subdomains with it. 409 SUBDOMAIN_TAKEN when another project has one."""
    await check_subdomains(conn, project_id, subdomains)
    # A name that was claimed by itself is none of the release's business.
    await conn.execute(
        "DELETE FROM internal.core_subdomains WHERE project_id = %s AND origin = 'release' AND NOT name = ANY(%s)",
        (project_id, subdomains),
    )
    await conn.execute(
        "INSERT INTO internal.core_subdomains (name, project_id) SELECT unnest(%s::text[]), %s ON CONFLICT DO NOTHING",
        (subdomains, project_id),
    )
    # A name that another deploy claimed a moment ago was skipped by the insert: look again, now under its lock.
    await check_subdomains(conn, project_id, subdomains)
    await conn.execute(
        "UPDATE internal.core_projects SET active_release_id = %s, updated_at = now() WHERE project_id = %s",
        (release_id, project_id),
    )


async def check_subdomains(conn: Connection, project_id: str, names: list[str]) -> None:
    """409 SUBDOMAIN_TAKEN when another project of this gateway holds one of the names."""
    if not names:
        return
    cur = await conn.execute(
        "SELECT name, project_id FROM internal.core_subdomains WHERE name = ANY(%s) AND project_id <> %s LIMIT 1",
        (names, project_id),
    )
    row = await cur.fetchone()
    if row is not None:
        raise GatewayError(
            409,
            "subdomain_taken",
            f"The subdomain {row[0]} belongs to project {row[1]} on this gateway. Choose another name, or remove it there.",
            code="SUBDOMAIN_TAKEN",
            phase="plan",
            resource="subdomains",
            retryable=False,
        )


async def release_urls(conn: Connection, project: Project, release_id: str | None, base: str) -> dict[str, str]:
    """Where a project answers: {project, site, static, rest, storage, release?, subdomain?}."""
    root = f"{base}/projects/v1/{project.project_id}"
    urls = {
        "project": f"{root}/static/",
        "site": f"{root}/static/",
        "static": f"{root}/static",
        "rest": f"{base}/rest/v1",
        "storage": f"{root}/storage",
    }
    if release_id is not None:
        urls["release"] = f"{base}/apply/v1/releases/{release_id}"
    cur = await conn.execute(
        "SELECT name FROM internal.core_subdomains WHERE project_id = %s ORDER BY name LIMIT 1", (project.project_id,)
    )
    row = await cur.fetchone()
    if row is not None:
        urls["subdomain"] = host_url(base, row[0])
    return urls


def host_url(base: str, label: str) -> str:
    """The address of `<label>.localhost` at the gateway whose own URL is `base`."""
    scheme, _, host = base.partition("://")
    port = host.rpartition("]")[2].partition(":")[2]
    return f"{scheme}://{label}.localhost{':' + port if port else ''}/"


async def bindings(conn: Connection, project_id: str) -> list[dict[str, Any]]:
    """subdomain_bindings of a commit: {host, claimed_at, kvs_synced_at}; a local name is in force at once."""
    cur = await conn.execute(
        "SELECT name, claimed_at FROM internal.core_subdomains WHERE project_id = %s ORDER BY name", (project_id,)
    )
    return [
        {"host": f"{name}.localhost", "claimed_at": iso(at), "kvs_synced_at": iso(at)}
        for name, at in await cur.fetchall()
    ]


async def get_active(request: Request) -> Response:
    """GET /apply/v1/releases/active?site_limit: inventory of what is live; release_id null when nothing is."""
    limit = query_limit(request, "site_limit", SITE_LIMIT, MAX_SITE_LIMIT)
    async with gateway_of(request).connection() as conn:
        project = await caller_project(conn, request, request.query_params.get("project_id"))
        if project.active_release_id is None:
            return reply(empty_inventory(project))
        release = await fetch(conn, project.project_id, project.active_release_id)
        return reply(await inventory(conn, project, release, limit))


async def get_release(request: Request) -> Response:
    """GET /apply/v1/releases/{release_id}?site_limit: inventory of one release. 404 release_not_found."""
    limit = query_limit(request, "site_limit", SITE_LIMIT, MAX_SITE_LIMIT)
    release_id = request.path_params["release_id"]
    async with gateway_of(request).connection() as conn:
        project = await caller_project(conn, request, await _owner(conn, request, release_id))
        return reply(await inventory(conn, project, await fetch(conn, project.project_id, release_id), limit))


async def get_diff(request: Request) -> Response:
    """GET /apply/v1/releases/diff?from&to&limit: what changed between two releases.

    `from` is empty, active or an id, `to` active or an id; `limit` bounds each site list. 404 release_not_found.
    """
    limit = query_limit(request, "limit", DIFF_LIMIT, MAX_SITE_LIMIT)
    names = [request.query_params.get(key, "") for key in ("from", "to")]
    if not all(names) or names[1] == "empty":
        raise GatewayError(
            400,
            "invalid_request",
            "Give `from` (empty, active or a release id) and `to` (active or a release id).",
            code="INVALID_REQUEST",
        )
    async with gateway_of(request).connection() as conn:
        project = await caller_project(conn, request, await _owner(conn, request, names[1]))
        before, after = [await _named(conn, project, name) for name in names]
    return reply(release_diff(before, after, limit))


async def _named(conn: Connection, project: Project, name: str) -> Release | None:
    release_id = project.active_release_id if name == "active" else name
    if name == "empty" or release_id is None:
        return None
    return await fetch(conn, project.project_id, release_id)


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


async def _owner(conn: Connection, request: Request, release_id: str) -> str | None:
    """The project to show a release of: named in the query, or the only one that has a release of this id."""
    if request.headers.get("apikey") or "project_id" in request.query_params:
        return request.query_params.get("project_id")
    cur = await conn.execute(
        "SELECT project_id FROM internal.core_releases WHERE release_id = %s LIMIT 2", (release_id,)
    )
    owners = [row[0] for row in await cur.fetchall()]
    return owners[0] if len(owners) == 1 else None


async def inventory(conn: Connection, project: Project, release: Release, site_limit: int) -> dict[str, Any]:
    """The API's release_inventory document."""
    active = release.release_id == project.active_release_id
    state = release.state
    paths = [
        {"path": p["path"], "content_sha256": p["content_sha256"], "content_type": p["content_type"]}
        for p in state["site"]["paths"][:site_limit]
    ]
    total = len(state["site"]["paths"])
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
        "site": {"paths": paths, "totals": {"paths": total}} if total > site_limit else {"paths": paths},
        "static_public_paths": public_paths(state["static_manifest"])[:site_limit],
        "functions": [_function(entry) for entry in state["functions"]],
        "secrets": state["secrets"],
        "subdomains": state["subdomains"],
        "routes": state["routes"],
        "migrations_applied": await _applied(conn, project, state["migrations"]),
        "i18n": state["i18n"],
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
        "site": {"paths": []},
        "static_public_paths": [],
        "functions": [],
        "secrets": {"keys": []},
        "subdomains": {"names": []},
        "routes": {"manifest_sha256": None, "entries": []},
        "migrations_applied": [],
        "i18n": None,
        "warnings": [],
    }


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


def public_paths(manifest: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """static_public_paths of an inventory, by public path."""
    optional = ("route_id", "methods")
    return [
        {
            "public_path": public,
            "asset_path": entry["asset_path"],
            "reachability_authority": entry["authority"],
            "direct": entry["direct"],
            "cache_class": entry["cache_class"],
            "content_type": entry["content_type"],
            **{key: entry[key] for key in optional if key in entry},
        }
        for public, entry in sorted((manifest or {"files": {}})["files"].items())
    ]


def _function(entry: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("name", "code_hash", "runtime", "timeout_seconds", "memory_mb", "schedule", "triggers")
    return {key: entry[key] for key in keys if key in entry}


async def _applied(conn: Connection, project: Project, entries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    known = await migrations.recorded(conn, project.project_id)
    return [
        {
            "migration_id": entry["migration_id"],
            "checksum_hex": entry["checksum_hex"],
            "applied_at": iso(known[entry["migration_id"]].applied_at) if entry["migration_id"] in known else None,
        }
        for entry in entries
    ]


def query_limit(request: Request, name: str, default: int, maximum: int) -> int:
    """A query parameter as a whole number of 1 or more, capped. 400 invalid_request otherwise."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < 1:
        raise GatewayError(
            400, "invalid_request", f"{name} must be a whole number of 1 or more.", code="INVALID_REQUEST"
        )
    return min(int(text), maximum)


ROUTES = [
    Route("/apply/v1/releases/active", get_active, methods=["GET"]),
    Route("/apply/v1/releases/diff", get_diff, methods=["GET"]),
    Route("/apply/v1/releases/{release_id}", get_release, methods=["GET"]),
]
