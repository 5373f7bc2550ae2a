"""Snapshots: a project's database as it was, kept as a schema of its own. See docs/local-gateway.md."""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from psycopg import sql
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from run402_cli import advice
from run402_cli.core import expose
from run402_cli.core.callers.auth import project_by_id
from run402_cli.core.copies.schemas import (
    close_schema,
    copy_schema,
    copying,
    drop_schema,
    new_slot,
    open_schema,
    schema_bytes,
)
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError, run_command
from run402_cli.core.gateway import Gateway, gateway_of
from run402_cli.core.projects.locks import project_lock
from run402_cli.core.projects.rows import Project
from run402_cli.core.releases import operation_rows as operations
from run402_cli.core.web.http import read_object, reply
from run402_cli.core.web.instants import iso

DDL = """
CREATE TABLE IF NOT EXISTS internal.core_snapshots (
  snapshot_id text PRIMARY KEY,
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  operation_id text NOT NULL,
  kind text NOT NULL,
  schema_slot text NOT NULL UNIQUE,
  former_slots text[] NOT NULL DEFAULT '{}',
  size_bytes bigint NOT NULL,
  live_release_id text,
  migrations jsonb NOT NULL,
  expose json,
  confirm_token text,
  confirm_expires_at timestamptz,
  expires_at timestamptz,
  captured_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX IF NOT EXISTS core_snapshots_project ON internal.core_snapshots (project_id, captured_at);
"""

Kind = Literal["manual", "pre_migration", "pre_restore", "scheduled"]
KINDS = ("manual", "pre_migration", "pre_restore", "scheduled")
# Those that the gateway makes by itself go by themselves.
AUTOMATIC_LIFETIME = timedelta(days=7)
CONFIRM_LIFETIME = timedelta(minutes=15)
PAGE_SIZE, MAX_PAGE_SIZE = 20, 100
COLUMNS = (
    "snapshot_id, project_id, operation_id, kind, schema_slot, former_slots, size_bytes, live_release_id, migrations,"
    " confirm_token, confirm_expires_at, expires_at, captured_at, updated_at"
)
# What belongs to the schema although it is kept beside it: which migrations ran, and what is exposed.
REGISTRY = """
(SELECT coalesce(jsonb_agg(jsonb_build_object('migration_id', migration_id, 'checksum_hex', checksum_hex,
   'state', state, 'applied_at', applied_at) ORDER BY applied_at, migration_id), '[]')
 FROM internal.core_applied_migrations WHERE project_id = %(project)s)
"""
EXPOSE = """
(SELECT json_build_object('manifest', manifest, 'surfaces', surfaces)
 FROM internal.core_expose WHERE project_id = %(project)s)
"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A row of internal.core_snapshots. `former_slots` are earlier names of its schema."""

    snapshot_id: str
    project_id: str
    operation_id: str
    kind: str
    schema_slot: str
    former_slots: list[str]
    size_bytes: int
    live_release_id: str | None
    migrations: list[dict[str, Any]]
    confirm_token: str | None
    confirm_expires_at: datetime | None
    expires_at: datetime | None
    captured_at: datetime
    updated_at: datetime

    def view(self) -> dict[str, Any]:
        """The API's snapshot; size in bytes."""
        name = ("--project", self.project_id, self.snapshot_id)
        return {
            "snapshot_id": self.snapshot_id,
            "operation_id": self.operation_id,
            "project_id": self.project_id,
            "kind": self.kind,
            "profile": "snapshot",
            "status": "ready",
            "manifest_sha256": None,
            "size_bytes": self.size_bytes,
            "live_release_id": self.live_release_id,
            "captured_at": iso(self.captured_at),
            "expires_at": iso(self.expires_at),
            "error": None,
            "created_at": iso(self.captured_at),
            "updated_at": iso(self.updated_at),
            "next_actions": [
                advice.action(
                    "restore_snapshot",
                    "snapshots",
                    "restore",
                    *name,
                    message="Show what a restore would lose, and get the token that confirms it.",
                ),
                advice.action(
                    "create_branch",
                    "branches",
                    "create",
                    "--project",
                    self.project_id,
                    "--from-snapshot",
                    self.snapshot_id,
                    message="Look at this data in a project of its own.",
                ),
                advice.action("delete_snapshot", "snapshots", "delete", *name, message="Free the space."),
            ],
        }


async def create_snapshot(request: Request) -> Response:
    """POST /projects/v1/{project_id}/snapshots: copies the database of the project now. 201 snapshot.

    404 project_not_found, 503 database_busy while somebody changes the tables. docs/local-gateway.md
    """
    gateway = gateway_of(request)
    project_id = request.path_params["project_id"]
    async with gateway.connection() as conn:
        await project_by_id(conn, project_id)
    async with project_lock(gateway, project_id) as conn:
        project = await project_by_id(conn, project_id)
        snapshot = await capture(gateway, conn, project, "manual")
    return reply(snapshot.view(), 201)


async def capture(gateway: Gateway, conn: Connection, project: Project, kind: Kind) -> Snapshot:
    """Copy the project's schema into a snapshot. The caller holds the project's lock and is in no transaction."""
    slot = new_slot("snapshot")
    snapshot_id = f"snap_{secrets.token_hex(12)}"
    operation_id = await operations.record(conn, "snapshot", project.project_id, f"Captured {snapshot_id}")
    async with copying(conn):
        await copy_schema(gateway, conn, project.schema_slot, slot)
        await close_schema(conn, slot)
        size = await schema_bytes(conn, slot)
        await _insert(conn, project, snapshot_id, operation_id, kind, slot, [], size)
    return await fetch(conn, project.project_id, snapshot_id)


async def _insert(
    conn: Connection,
    project: Project,
    snapshot_id: str,
    operation_id: str,
    kind: Kind,
    slot: str,
    former: Sequence[str],
    size: int,
) -> None:
    values = {
        "id": snapshot_id,
        "project": project.project_id,
        "operation": operation_id,
        "kind": kind,
        "slot": slot,
        "former": list(former),
        "size": size,
        "release": project.active_release_id,
        "expires": None if kind == "manual" else datetime.now(UTC) + AUTOMATIC_LIFETIME,
    }
    await conn.execute(
        "INSERT INTO internal.core_snapshots (snapshot_id, project_id, operation_id, kind, schema_slot, former_slots,"
        " size_bytes, live_release_id, expires_at, migrations, expose) VALUES (%(id)s, %(project)s, %(operation)s,"
        f" %(kind)s, %(slot)s, %(former)s, %(size)s, %(release)s, %(expires)s, {REGISTRY}, {EXPOSE})",
        values,
    )


async def fetch(conn: Connection, project_id: str, snapshot_id: str) -> Snapshot:
    """The snapshot, or 404 SNAPSHOT_NOT_FOUND."""
    cur = await conn.execute(
        f"SELECT {COLUMNS} FROM internal.core_snapshots WHERE project_id = %s AND snapshot_id = %s"
        " AND (expires_at IS NULL OR expires_at > now())",
        (project_id, snapshot_id),
    )
    row = await cur.fetchone()
    if row is None:
        raise GatewayError(
            404,
            "snapshot_not_found",
            f"Project {project_id} has no snapshot {snapshot_id}. `run402 snapshots list` prints the ones it has.",
            code="SNAPSHOT_NOT_FOUND",
            snapshot_id=snapshot_id,
            next_actions=[run_command("snapshots", "list", "--project", project_id)],
        )
    return Snapshot(*row)


async def list_snapshots(request: Request) -> Response:
    """GET /projects/v1/{project_id}/snapshots?limit&after&kind: {snapshots, has_more, next_cursor}, newest first."""
    limit = _page_size(request.query_params.get("limit"))
    kind = request.query_params.get("kind")
    if kind is not None and kind not in KINDS:
        raise GatewayError(400, "invalid_request", f"`kind` must be one of {', '.join(KINDS)}.", code="INVALID_REQUEST")
    async with gateway_of(request).connection() as conn:
        project = await project_by_id(conn, request.path_params["project_id"])
        cur = await conn.execute(
            f"SELECT {COLUMNS} FROM internal.core_snapshots WHERE project_id = %(project)s"
            " AND (expires_at IS NULL OR expires_at > now()) AND (%(kind)s::text IS NULL OR kind = %(kind)s)"
            " AND (%(after)s::text IS NULL OR (captured_at, snapshot_id) < (SELECT captured_at, snapshot_id"
            " FROM internal.core_snapshots WHERE snapshot_id = %(after)s AND project_id = %(project)s))"
            " ORDER BY captured_at DESC, snapshot_id DESC LIMIT %(limit)s",
            {
                "project": project.project_id,
                "kind": kind,
                "after": request.query_params.get("after"),
                "limit": limit + 1,
            },
        )
        found = [Snapshot(*row) for row in await cur.fetchall()]
    more = len(found) > limit
    page = found[:limit]
    return reply(
        {
            "snapshots": [snapshot.view() for snapshot in page],
            "has_more": more,
            "next_cursor": page[-1].snapshot_id if more else None,
        }
    )


def _page_size(text: str | None) -> int:
    if text is None:
        return PAGE_SIZE
    if not re.fullmatch(r"[0-9]{1,3}", text) or not 1 <= int(text) <= MAX_PAGE_SIZE:
        raise GatewayError(
            400, "invalid_request", f"`limit` must be a number from 1 to {MAX_PAGE_SIZE}.", code="INVALID_REQUEST"
        )
    return int(text)


async def get_snapshot(request: Request) -> Response:
    """GET /projects/v1/{project_id}/snapshots/{snapshot_id}: one snapshot. 404 snapshot_not_found."""
    async with gateway_of(request).connection() as conn:
        project = await project_by_id(conn, request.path_params["project_id"])
        return reply((await fetch(conn, project.project_id, request.path_params["snapshot_id"])).view())


async def delete_snapshot(request: Request) -> Response:
    """DELETE /projects/v1/{project_id}/snapshots/{snapshot_id}: its schema goes. {snapshot_id, status}."""
    gateway = gateway_of(request)
    async with gateway.connection() as conn:
        project = await project_by_id(conn, request.path_params["project_id"])
    async with project_lock(gateway, project.project_id) as conn:
        snapshot = await fetch(conn, project.project_id, request.path_params["snapshot_id"])
        await _drop(conn, snapshot.snapshot_id, snapshot.schema_slot)
    return reply({"snapshot_id": snapshot.snapshot_id, "project_id": project.project_id, "status": "deleted"})


async def _drop(conn: Connection, snapshot_id: str, slot: str) -> None:
    async with conn.transaction():
        await drop_schema(conn, slot)
        await conn.execute("DELETE FROM internal.core_snapshots WHERE snapshot_id = %s", (snapshot_id,))


async def keep_latest(conn: Connection, project_id: str, kind: Kind, count: int) -> None:
    """Remove all but the latest `count` snapshots of a kind."""
    cur = await conn.execute(
        "SELECT snapshot_id, schema_slot FROM internal.core_snapshots WHERE project_id = %s AND kind = %s"
        " ORDER BY captured_at DESC OFFSET %s",
        (project_id, kind, count),
    )
    for snapshot_id, slot in await cur.fetchall():
        await _drop(conn, snapshot_id, slot)


async def purge_expired(conn: Connection) -> int:
    """Remove snapshots whose time is over; how many there were."""
    cur = await conn.execute("SELECT snapshot_id, schema_slot FROM internal.core_snapshots WHERE expires_at <= now()")
    expired = await cur.fetchall()
    for snapshot_id, slot in expired:
        await _drop(conn, snapshot_id, slot)
    return len(expired)


async def restore_snapshot(request: Request) -> Response:
    """POST /projects/v1/{project_id}/snapshots/{snapshot_id}/restore {include?: [auth], confirm?}.

    Without `confirm`: {restore_plan} with a token that holds for 15 minutes. With it the project's tables become those
    of the snapshot in one transaction, and what was there before becomes a pre_restore snapshot. The release stays.
    404 snapshot_not_found, 409 confirm_token_invalid. docs/local-gateway.md
    """
    gateway = gateway_of(request)
    body = await read_object(request)
    if body.get("include") not in (None, [], ["auth"]):
        raise GatewayError(400, "invalid_request", '`include` may only be ["auth"].', code="INVALID_REQUEST")
    confirm = body.get("confirm")
    snapshot_id = request.path_params["snapshot_id"]
    async with gateway.connection() as conn:
        project = await project_by_id(conn, request.path_params["project_id"])
        snapshot = await fetch(conn, project.project_id, snapshot_id)
        if confirm is None:
            return reply({"restore_plan": await _restore_plan(conn, project, snapshot)})
    async with project_lock(gateway, project.project_id) as conn:
        project = await project_by_id(conn, project.project_id)
        snapshot = await fetch(conn, project.project_id, snapshot_id)
        _check_token(snapshot, confirm)
        return reply(await restore(gateway, conn, project, snapshot))


async def _restore_plan(conn: Connection, project: Project, snapshot: Snapshot) -> dict[str, Any]:
    token = f"rst_{secrets.token_hex(16)}"
    expires = datetime.now(UTC) + CONFIRM_LIFETIME
    await conn.execute(
        "UPDATE internal.core_snapshots SET confirm_token = %s, confirm_expires_at = %s WHERE snapshot_id = %s",
        (token, expires, snapshot.snapshot_id),
    )
    return {
        "snapshot_id": snapshot.snapshot_id,
        "project_id": project.project_id,
        "snapshot_at": iso(snapshot.captured_at),
        "data_loss_statement": (
            f"Every row and table of {project.project_id} written since {iso(snapshot.captured_at)} leaves the project. "
            f"It is kept for {AUTOMATIC_LIFETIME.days} days in a pre_restore snapshot."
        ),
        "auth": {
            "mode": "not_restored",
            "users": 0,
            "passkeys": 0,
            "message": "A snapshot of a local gateway holds the project's own tables, not sign-in accounts.",
        },
        "release": {
            "snapshot_live_release_id": snapshot.live_release_id,
            "current_live_release_id": project.active_release_id,
        },
        "target": {
            "current_schema_slot": project.schema_slot,
            "behavior": "The project moves to a copy of the snapshot in one transaction; the snapshot stays.",
        },
        "confirm": {"token": token, "expires_at": iso(expires)},
        "next_actions": [
            run_command(
                "snapshots", "restore", "--project", project.project_id, snapshot.snapshot_id, "--confirm", token
            )
        ],
    }


def _check_token(snapshot: Snapshot, token: object) -> None:
    known = snapshot.confirm_token
    valid = isinstance(token, str) and known is not None and hmac.compare_digest(token.encode(), known.encode())
    if valid and snapshot.confirm_expires_at is not None and snapshot.confirm_expires_at > datetime.now(UTC):
        return
    problem = "has expired" if valid else "is not the one of the latest restore plan"
    command = advice.command("snapshots", "restore", "--project", snapshot.project_id, snapshot.snapshot_id)
    raise GatewayError(
        409,
        "confirm_token_invalid",
        f"The confirm token {problem}. Nothing was changed. Run `{command}` for a new plan and token.",
        code="CONFIRM_TOKEN_INVALID",
        retryable=False,
        next_actions=[advice.entry("run_command", command)],
    )


async def restore(gateway: Gateway, conn: Connection, project: Project, snapshot: Snapshot) -> dict[str, Any]:
    """Move the project to a copy of the snapshot. The caller holds the project's lock and is in no transaction."""
    slot, old_slot = new_slot("project"), new_slot("snapshot")
    old_id = f"snap_{secrets.token_hex(12)}"
    operation_id = await operations.record(
        conn, "restore", project.project_id, f"Restored {snapshot.snapshot_id}; before that: {old_id}"
    )
    async with copying(conn):
        await copy_schema(gateway, conn, snapshot.schema_slot, slot, former_names=snapshot.former_slots)
        await open_schema(conn, slot)
        size = await schema_bytes(conn, project.schema_slot)
        await _insert(conn, project, old_id, operation_id, "pre_restore", old_slot, [project.schema_slot], size)
        # Renamed, not copied: even a row that is being written at this moment stays with the old tables.
        await conn.execute(
            sql.SQL("ALTER SCHEMA {} RENAME TO {}").format(
                sql.Identifier(project.schema_slot), sql.Identifier(old_slot)
            )
        )
        await close_schema(conn, old_slot)
        await conn.execute(
            "UPDATE internal.core_projects SET schema_slot = %s, updated_at = now() WHERE project_id = %s",
            (slot, project.project_id),
        )
        rows = await adopt_records(conn, replace(project, schema_slot=slot), snapshot.snapshot_id)
        await conn.execute(
            "UPDATE internal.core_snapshots SET confirm_token = NULL, updated_at = clock_timestamp()"
            " WHERE snapshot_id = %s",
            (snapshot.snapshot_id,),
        )
    undo = advice.command("snapshots", "restore", "--project", project.project_id, old_id)
    return {
        "operation_id": operation_id,
        "project_id": project.project_id,
        "snapshot_id": snapshot.snapshot_id,
        "pre_restore_snapshot_id": old_id,
        "old_schema_slot": project.schema_slot,
        "new_schema_slot": slot,
        "migration_registry_rows": rows,
        "status": "ready",
        "next_actions": [advice.entry("restore_snapshot", undo, message="Go back to before this restore.")],
    }


async def adopt_records(conn: Connection, project: Project, snapshot_id: str) -> int:
    """Give a project the migration registry and expose manifest of a snapshot; the number of registry rows."""
    values = {"project": project.project_id, "snapshot": snapshot_id}
    for table in ("core_applied_migrations", "core_expose"):
        await conn.execute(
            sql.SQL("DELETE FROM internal.{} WHERE project_id = {}").format(
                sql.Identifier(table), sql.Literal(project.project_id)
            )
        )
    cur = await conn.execute(
        "INSERT INTO internal.core_applied_migrations (project_id, migration_id, checksum_hex, state, applied_at)"
        " SELECT %(project)s, m.* FROM internal.core_snapshots s, jsonb_to_recordset(s.migrations)"
        " AS m(migration_id text, checksum_hex text, state text, applied_at timestamptz)"
        " WHERE s.snapshot_id = %(snapshot)s",
        values,
    )
    rows = cur.rowcount
    await conn.execute(
        "INSERT INTO internal.core_expose (project_id, manifest, surfaces)"
        " SELECT %(project)s, expose->'manifest', expose->'surfaces' FROM internal.core_snapshots"
        " WHERE snapshot_id = %(snapshot)s AND expose IS NOT NULL",
        values,
    )
    await expose.reapply(conn, project)
    return rows


ROUTES = [
    Route("/projects/v1/{project_id}/snapshots", create_snapshot, methods=["POST"]),
    Route("/projects/v1/{project_id}/snapshots", list_snapshots, methods=["GET"]),
    Route("/projects/v1/{project_id}/snapshots/{snapshot_id}", get_snapshot, methods=["GET"]),
    Route("/projects/v1/{project_id}/snapshots/{snapshot_id}", delete_snapshot, methods=["DELETE"]),
    Route("/projects/v1/{project_id}/snapshots/{snapshot_id}/restore", restore_snapshot, methods=["POST"]),
]
