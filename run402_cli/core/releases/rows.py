"""The table of releases: immutable states of a project, one of them active."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.projects.rows import Project
from run402_cli.core.releases.plans import Plan
from run402_cli.core.web.instants import iso

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


async def made_at(conn: Connection, project_id: str, release_id: str) -> datetime | None:
    """When a release was made, without its state, which may be long."""
    cur = await conn.execute(
        "SELECT created_at FROM internal.core_releases WHERE project_id = %s AND release_id = %s",
        (project_id, release_id),
    )
    row = await cur.fetchone()
    return None if row is None else row[0]


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


async def insert_first(
    conn: Connection,
    project_id: str,
    release_id: str,
    state: dict[str, Any],
    digest: str,
    *,
    manifest_digest: str | None = None,
    operation_id: str | None = None,
) -> None:
    """The release that a project comes with, a branch or an import; `point_at` makes it the active one."""
    await conn.execute(
        "INSERT INTO internal.core_releases"
        " (project_id, release_id, digest, state, manifest_digest, operation_id, generation)"
        " VALUES (%s, %s, %s, %s, %s, %s, 1)",
        (project_id, release_id, digest, Jsonb(state), manifest_digest, operation_id),
    )


async def reactivate(conn: Connection, project_id: str, release_id: str) -> None:
    """An earlier release is the newest generation again; `point_at` makes it answer."""
    await conn.execute(
        "UPDATE internal.core_releases SET superseded_at = now() WHERE project_id = %s AND superseded_at IS NULL",
        (project_id,),
    )
    await conn.execute(
        "UPDATE internal.core_releases SET superseded_at = NULL, activated_at = now(), generation ="
        " (SELECT max(generation) + 1 FROM internal.core_releases WHERE project_id = %s)"
        " WHERE project_id = %s AND release_id = %s",
        (project_id, project_id, release_id),
    )


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
            phase="plan",
            resource="subdomains",
            retryable=False,
        )


async def release_urls(conn: Connection, project: Project, release_id: str | None, base: str) -> dict[str, str]:
    """Where a project answers: {project, site, origin, static, rest, storage, release?, subdomain?}."""
    root = f"{base}/projects/v1/{project.project_id}"
    urls = {
        "project": f"{root}/static/",
        "site": f"{root}/static/",
        "origin": host_url(base, project.public_id),
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


def endpoints(base: str, project: Project) -> dict[str, str]:
    """Where a project is reached, at the gateway's public address."""
    return {
        "rest_url": f"{base}/rest/v1",
        "static_base_url": f"{base}/projects/v1/{project.project_id}/static",
        "origin": host_url(base, project.public_id),
        "storage_base_url": f"{base}/projects/v1/{project.project_id}/storage",
    }


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


async def owners(conn: Connection, release_id: str) -> list[str]:
    """Ids of projects that have a release of this id, at most two."""
    cur = await conn.execute(
        "SELECT project_id FROM internal.core_releases WHERE release_id = %s LIMIT 2", (release_id,)
    )
    return [row[0] for row in await cur.fetchall()]
