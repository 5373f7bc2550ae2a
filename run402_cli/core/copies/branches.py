"""Branches: contained copies of a project, with keys and an end of their own. See docs/local-gateway.md."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from run402_cli import advice
from run402_cli.core import expose
from run402_cli.core.callers.auth import project_by_id
from run402_cli.core.copies import snapshots
from run402_cli.core.copies.schemas import copy_schema, copying, drop_schema, open_schema
from run402_cli.core.copies.snapshots import Snapshot
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import Gateway, gateway_of
from run402_cli.core.projects.locks import project_lock
from run402_cli.core.projects.routes import new_name
from run402_cli.core.projects.rows import Project, drop_project, insert_project
from run402_cli.core.releases import operation_rows as operations
from run402_cli.core.releases import rows as releases
from run402_cli.core.releases.section_list import SECTIONS
from run402_cli.core.web.http import public_base, read_object, reply
from run402_cli.core.web.instants import iso
from run402_cli.release.state import normalize_state, state_digest

DDL = """
CREATE TABLE IF NOT EXISTS internal.core_branches (
  branch_project_id text PRIMARY KEY REFERENCES internal.core_projects ON DELETE CASCADE,
  parent_project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  operation_id text NOT NULL,
  name text NOT NULL,
  email_mode text NOT NULL,
  enable_cron boolean NOT NULL,
  snapshot_id text,
  captured_at timestamptz NOT NULL,
  parent_release_id text,
  branch_release_id text,
  expires_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS core_branches_parent ON internal.core_branches (parent_project_id);
"""

DEFAULT_TTL_DAYS, MAX_TTL_DAYS = 7, 30
EMAIL_MODES = ("sandbox", "off")
COLUMNS = (
    "b.branch_project_id, b.parent_project_id, b.operation_id, b.name, b.email_mode, b.enable_cron, b.snapshot_id,"
    " b.captured_at, b.parent_release_id, b.branch_release_id, b.expires_at, b.created_at, p.public_id"
)
SELECT = (
    f"SELECT {COLUMNS} FROM internal.core_branches b"
    " JOIN internal.core_projects p ON p.project_id = b.branch_project_id WHERE b.expires_at > now()"
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a branch should be like."""

    name: str
    email_mode: str = "sandbox"
    enable_cron: bool = False
    ttl: timedelta = timedelta(days=DEFAULT_TTL_DAYS)
    snapshot: Snapshot | None = None


@dataclass(frozen=True, slots=True)
class Branch:
    """A row of internal.core_branches, with the public id of its project."""

    branch_project_id: str
    parent_project_id: str
    operation_id: str
    name: str
    email_mode: str
    enable_cron: bool
    snapshot_id: str | None
    captured_at: datetime
    parent_release_id: str | None
    branch_release_id: str | None
    expires_at: datetime
    created_at: datetime
    public_id: str

    def view(self, base: str) -> dict[str, Any]:
        """The API's branch; `base` is the gateway's own URL."""
        name = ("--project", self.parent_project_id, self.branch_project_id)
        return {
            "branch_project_id": self.branch_project_id,
            "parent_project_id": self.parent_project_id,
            "name": self.name,
            "branch_url": releases.host_url(base, self.public_id),
            "subdomain": None,
            "status": "active",
            "email_mode": self.email_mode,
            "enable_cron": self.enable_cron,
            "data_from": {"snapshot_id": self.snapshot_id, "captured_at": iso(self.captured_at)},
            "release": {
                "parent_release_id": self.parent_release_id,
                "branch_release_id": self.branch_release_id,
            },
            "expires_at": iso(self.expires_at),
            "created_at": iso(self.created_at),
            "next_actions": [
                advice.action(
                    "deploy_to_branch",
                    "deploy",
                    "apply",
                    "--project",
                    self.branch_project_id,
                    message="Try a release on the branch; its parent does not notice.",
                ),
                advice.action("renew_branch", "branches", "renew", *name, message="Keep it for longer."),
                advice.action("delete_branch", "branches", "delete", *name, message="Remove it with its data."),
            ],
        }


async def create_branch(request: Request) -> Response:
    """POST /projects/v1/{project_id}/branches {from_snapshot_id?, name?, email_mode?, enable_cron?, ttl_days?}.

    201 branch with anon_key and service_key. 400 invalid_request, 404 snapshot_not_found, 409 branch_of_branch.
    docs/local-gateway.md
    """
    gateway = gateway_of(request)
    body = await read_object(request)
    parent_id = request.path_params["project_id"]
    async with gateway.connection() as conn:
        parent = await project_by_id(conn, parent_id)
        await purge_expired(gateway, conn)
        wish = await _wish(conn, parent, body)
    async with project_lock(gateway, parent_id) as conn:
        parent = await project_by_id(conn, parent_id)
        project = await create(gateway, conn, parent, wish)
        branch = await fetch(conn, parent_id, project.project_id)
    keys = {"anon_key": project.anon_key, "service_key": project.service_key}
    ids = {"operation_id": branch.operation_id, "materialization_id": f"mat_{project.project_id.removeprefix('prj_')}"}
    return reply({**branch.view(public_base(request)), **ids, **keys}, 201)


async def _wish(conn: Connection, parent: Project, body: Mapping[str, Any]) -> Wish:
    email_mode = body.get("email_mode", "sandbox")
    enable_cron = body.get("enable_cron", False)
    snapshot_id = body.get("from_snapshot_id")
    if email_mode not in EMAIL_MODES:
        raise _invalid("`email_mode` must be sandbox or off.")
    if not isinstance(enable_cron, bool):
        raise _invalid("`enable_cron` must be true or false.")
    if snapshot_id is not None and not isinstance(snapshot_id, str):
        raise _invalid("`from_snapshot_id` must be the id of a snapshot: run402 snapshots list.")
    return Wish(
        name=new_name(body["name"]) if body.get("name") else f"{parent.name[:100]} branch",
        email_mode=email_mode,
        enable_cron=enable_cron,
        ttl=_ttl(body),
        snapshot=await snapshots.fetch(conn, parent.project_id, snapshot_id) if snapshot_id else None,
    )


def _ttl(body: Mapping[str, Any]) -> timedelta:
    days = body.get("ttl_days", DEFAULT_TTL_DAYS)
    if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= MAX_TTL_DAYS:
        raise _invalid(f"`ttl_days` must be a whole number from 1 to {MAX_TTL_DAYS}.")
    return timedelta(days=days)


def _invalid(message: str) -> GatewayError:
    return GatewayError(400, "invalid_request", message, code="INVALID_REQUEST")


async def create(gateway: Gateway, conn: Connection, parent: Project, wish: Wish) -> Project:
    """Make a branch; the caller holds the parent's lock and is in no transaction. 409 branch_of_branch.

    It gets the tables of the parent (or of one of its snapshots), the parent's active release without subdomains and
    without timers, its secrets, and sight of its content.
    """
    await _refuse_nesting(conn, parent)
    operation_id = await operations.record(conn, "branch", parent.project_id, f"Branched {parent.project_id}")
    async with copying(conn):
        branch = await insert_project(conn, wish.name)
        # The copy brings a schema of its own.
        await drop_schema(conn, branch.schema_slot)
        snapshot = wish.snapshot
        source = snapshot.schema_slot if snapshot else parent.schema_slot
        former = snapshot.former_slots if snapshot else ()
        await copy_schema(gateway, conn, source, branch.schema_slot, former_names=former)
        await open_schema(conn, branch.schema_slot)
        await _copy_records(conn, parent, branch, snapshot)
        await asyncio.to_thread(gateway.store.share, parent.project_id, branch.project_id)
        for part in SECTIONS:
            await part.branched(gateway, conn, parent.project_id, branch.project_id)
        release_id = await _copy_release(gateway, conn, parent, branch, wish)
        await conn.execute(
            "INSERT INTO internal.core_branches (branch_project_id, parent_project_id, operation_id, name, email_mode,"
            " enable_cron, snapshot_id, captured_at, parent_release_id, branch_release_id, expires_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                branch.project_id,
                parent.project_id,
                operation_id,
                wish.name,
                wish.email_mode,
                wish.enable_cron,
                snapshot.snapshot_id if snapshot else None,
                snapshot.captured_at if snapshot else datetime.now(UTC),
                parent.active_release_id,
                release_id,
                datetime.now(UTC) + wish.ttl,
            ),
        )
    return replace(branch, active_release_id=release_id)


async def _refuse_nesting(conn: Connection, parent: Project) -> None:
    cur = await conn.execute(
        "SELECT parent_project_id FROM internal.core_branches WHERE branch_project_id = %s", (parent.project_id,)
    )
    row = await cur.fetchone()
    if row is not None:
        command = advice.command("branches", "create", "--project", row[0])
        raise GatewayError(
            409,
            "branch_of_branch",
            f"{parent.project_id} is a branch itself, and a branch has none. Branch its parent: `{command}`.",
            code="BRANCH_OF_BRANCH",
            next_actions=[advice.entry("run_command", command)],
        )


async def _copy_records(conn: Connection, parent: Project, branch: Project, snapshot: Snapshot | None) -> None:
    values = {"parent": parent.project_id, "branch": branch.project_id}
    if snapshot is not None:
        await snapshots.adopt_records(conn, branch, snapshot.snapshot_id)
        return
    await conn.execute(
        "INSERT INTO internal.core_applied_migrations (project_id, migration_id, checksum_hex, state, applied_at)"
        " SELECT %(branch)s, migration_id, checksum_hex, state, applied_at FROM internal.core_applied_migrations"
        " WHERE project_id = %(parent)s",
        values,
    )
    await conn.execute(
        "INSERT INTO internal.core_expose (project_id, manifest, surfaces) SELECT %(branch)s, manifest, surfaces"
        " FROM internal.core_expose WHERE project_id = %(parent)s",
        values,
    )
    await expose.reapply(conn, branch)


async def _copy_release(gateway: Gateway, conn: Connection, parent: Project, branch: Project, wish: Wish) -> str | None:
    """The parent's active release as the branch's first one; its id there, None when nothing is active."""
    if parent.active_release_id is None:
        return None
    release = await releases.fetch(conn, parent.project_id, parent.active_release_id)
    state = contained_state(release.state, enable_cron=wish.enable_cron)
    digest = state_digest(state)
    release_id = f"rel_{digest.partition(':')[2][:24]}"
    await conn.execute(
        "INSERT INTO internal.core_releases (project_id, release_id, digest, state, manifest_digest, generation)"
        " VALUES (%s, %s, %s, %s, %s, 1)",
        (branch.project_id, release_id, digest, Jsonb(state), release.manifest_digest),
    )
    await releases.point_at(conn, branch.project_id, release_id, [])
    for part in SECTIONS:
        await part.switched(gateway, conn, branch.project_id, state)
    return release_id


def contained_state(state: Mapping[str, Any], *, enable_cron: bool) -> dict[str, Any]:
    """A release state that acts on nothing outside: no subdomains, no e-mail triggers, no timers unless wanted."""
    functions = []
    for entry in state["functions"]:
        triggers = [t for t in entry.get("triggers") or () if enable_cron and t["type"] == "schedule"]
        schedule = entry.get("schedule") if enable_cron else None
        functions.append({**entry, "schedule": schedule, "triggers": triggers})
    return normalize_state({**state, "subdomains": {"names": []}, "functions": functions})


async def fetch(conn: Connection, parent_id: str, branch_id: str) -> Branch:
    """The branch, or 404 BRANCH_NOT_FOUND (also when its time is over)."""
    cur = await conn.execute(
        f"{SELECT} AND b.parent_project_id = %s AND b.branch_project_id = %s", (parent_id, branch_id)
    )
    row = await cur.fetchone()
    if row is None:
        command = advice.command("branches", "list", "--project", parent_id)
        raise GatewayError(
            404,
            "branch_not_found",
            f"Project {parent_id} has no branch {branch_id}; its time may be over. `{command}` prints the ones it has.",
            code="BRANCH_NOT_FOUND",
            branch_project_id=branch_id,
            next_actions=[advice.entry("run_command", command)],
        )
    return Branch(*row)


async def list_branches(request: Request) -> Response:
    """GET /projects/v1/{project_id}/branches: {branches}, oldest first, without keys. docs/local-gateway.md"""
    gateway = gateway_of(request)
    async with gateway.connection() as conn:
        project = await project_by_id(conn, request.path_params["project_id"])
        await purge_expired(gateway, conn)
        cur = await conn.execute(
            f"{SELECT} AND b.parent_project_id = %s ORDER BY b.created_at, b.branch_project_id", (project.project_id,)
        )
        found = [Branch(*row) for row in await cur.fetchall()]
    return reply({"branches": [branch.view(public_base(request)) for branch in found]})


async def renew_branch(request: Request) -> Response:
    """POST /projects/v1/{project_id}/branches/{branch_id}/renew {ttl_days?}: 7 days from now by default. 200 branch."""
    body = await read_object(request)
    expires = datetime.now(UTC) + _ttl(body)
    async with gateway_of(request).connection() as conn:
        project = await project_by_id(conn, request.path_params["project_id"])
        branch = await fetch(conn, project.project_id, request.path_params["branch_id"])
        # A renewal never shortens.
        await conn.execute(
            "UPDATE internal.core_branches SET expires_at = greatest(expires_at, %s) WHERE branch_project_id = %s",
            (expires, branch.branch_project_id),
        )
        branch = await fetch(conn, project.project_id, branch.branch_project_id)
    return reply(branch.view(public_base(request)))


async def delete_branch(request: Request) -> Response:
    """DELETE /projects/v1/{project_id}/branches/{branch_id}: schema, rows and content references go."""
    gateway = gateway_of(request)
    async with gateway.connection() as conn:
        project = await project_by_id(conn, request.path_params["project_id"])
        branch = await fetch(conn, project.project_id, request.path_params["branch_id"])
        await remove(gateway, branch.branch_project_id)
    answer = {"branch_project_id": branch.branch_project_id, "parent_project_id": project.project_id}
    return reply({**answer, "status": "deleted"})


async def remove(gateway: Gateway, branch_id: str) -> None:
    """Delete a branch with everything in it, after a deploy to it that may be running."""
    async with project_lock(gateway, branch_id) as conn:
        project = await project_by_id(conn, branch_id)
        async with conn.transaction():
            await drop_project(conn, project)
    await asyncio.to_thread(gateway.store.forget, branch_id)


async def purge_expired(gateway: Gateway, conn: Connection) -> int:
    """Remove branches whose time is over; how many there were."""
    cur = await conn.execute("SELECT branch_project_id FROM internal.core_branches WHERE expires_at <= now()")
    expired = [row[0] for row in await cur.fetchall()]
    for branch_id in expired:
        await remove(gateway, branch_id)
    return len(expired)


ROUTES = [
    Route("/projects/v1/{project_id}/branches", create_branch, methods=["POST"]),
    Route("/projects/v1/{project_id}/branches", list_branches, methods=["GET"]),
    Route("/projects/v1/{project_id}/branches/{branch_id}/renew", renew_branch, methods=["POST"]),
    Route("/projects/v1/{project_id}/branches/{branch_id}", delete_branch, methods=["DELETE"]),
]
