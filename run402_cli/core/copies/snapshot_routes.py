"""/projects/v1/{project_id}/snapshots: capture, list, restore in two steps, delete. See docs/local-gateway.md."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from run402_cli import advice
from run402_cli.core.callers.auth import project_by_id, same_secret
from run402_cli.core.callers.policies import OWNER
from run402_cli.core.copies import snapshot_rows, snapshots
from run402_cli.core.copies.snapshot_rows import AUTOMATIC_LIFETIME, Snapshot
from run402_cli.core.copies.views import snapshot_view
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError, run_command
from run402_cli.core.gateway import gateway_of
from run402_cli.core.projects.keys import digest
from run402_cli.core.projects.locks import project_lock
from run402_cli.core.projects.rows import Project
from run402_cli.core.releases import migrations
from run402_cli.core.web.http import page, query_limit, read_object, reply
from run402_cli.core.web.instants import iso
from run402_cli.core.web.routing import Route, admitted

KINDS = ("manual", "pre_migration", "pre_restore", "scheduled")
CONFIRM_LIFETIME = timedelta(minutes=15)
PAGE_SIZE, MAX_PAGE_SIZE = 20, 100


async def create_snapshot(request: Request) -> Response:
    """POST /projects/v1/{project_id}/snapshots: copies the database of the project now. 201 snapshot.

    404 project_not_found, 503 database_busy while somebody changes the tables. docs/local-gateway.md
    """
    gateway = gateway_of(request)
    project_id = admitted(request, Project).project_id
    async with project_lock(gateway, project_id) as conn:
        project = await project_by_id(conn, project_id)
        snapshot = await snapshots.capture(gateway, conn, project, "manual")
    return reply(snapshot_view(snapshot), 201)


async def list_snapshots(request: Request) -> Response:
    """GET /projects/v1/{project_id}/snapshots?limit&after&kind: {snapshots, has_more, next_cursor}, newest first."""
    limit = query_limit(request, "limit", PAGE_SIZE, MAX_PAGE_SIZE, capped=False)
    kind = request.query_params.get("kind")
    if kind is not None and kind not in KINDS:
        raise GatewayError(400, "invalid_request", f"`kind` must be one of {', '.join(KINDS)}.")
    async with gateway_of(request).connection() as conn:
        found = await snapshot_rows.page(
            conn,
            admitted(request, Project).project_id,
            kind=kind,
            after=request.query_params.get("after"),
            limit=limit + 1,
        )
    return reply(page("snapshots", found, limit, snapshot_view, lambda snapshot: snapshot.snapshot_id))


async def get_snapshot(request: Request) -> Response:
    """GET /projects/v1/{project_id}/snapshots/{snapshot_id}: one snapshot. 404 snapshot_not_found."""
    project = admitted(request, Project)
    async with gateway_of(request).connection() as conn:
        snapshot = await snapshot_rows.fetch(conn, project.project_id, request.path_params["snapshot_id"])
    return reply(snapshot_view(snapshot))


async def delete_snapshot(request: Request) -> Response:
    """DELETE /projects/v1/{project_id}/snapshots/{snapshot_id}: its schema goes. {snapshot_id, status}."""
    project = admitted(request, Project)
    async with project_lock(gateway_of(request), project.project_id) as conn:
        snapshot = await snapshot_rows.fetch(conn, project.project_id, request.path_params["snapshot_id"])
        await snapshots.drop(conn, snapshot.snapshot_id, snapshot.schema_slot)
    return reply({"snapshot_id": snapshot.snapshot_id, "project_id": project.project_id, "status": "deleted"})


async def restore_snapshot(request: Request) -> Response:
    """POST /projects/v1/{project_id}/snapshots/{snapshot_id}/restore {include?: [auth], confirm?}.

    Without `confirm`: {restore_plan} with a token that holds for 15 minutes. With it the project's tables become those
    of the snapshot in one transaction, and what was there before becomes a pre_restore snapshot. The release stays.
    404 snapshot_not_found, 409 confirm_token_invalid. docs/local-gateway.md
    """
    gateway = gateway_of(request)
    body = await read_object(request)
    if body.get("include") not in (None, [], ["auth"]):
        raise GatewayError(400, "invalid_request", '`include` may only be ["auth"].')
    confirm = body.get("confirm")
    snapshot_id = request.path_params["snapshot_id"]
    project = admitted(request, Project)
    async with gateway.connection() as conn:
        snapshot = await snapshot_rows.fetch(conn, project.project_id, snapshot_id)
        if confirm is None:
            return reply({"restore_plan": await _restore_plan(conn, project, snapshot)})
    async with project_lock(gateway, project.project_id) as conn:
        project = await project_by_id(conn, project.project_id)
        snapshot = await snapshot_rows.fetch(conn, project.project_id, snapshot_id)
        _check_token(snapshot, confirm)
        return reply(await snapshots.restore(gateway, conn, project, snapshot))


async def _restore_plan(conn: Connection, project: Project, snapshot: Snapshot) -> dict[str, Any]:
    token = f"rst_{secrets.token_hex(16)}"
    expires = datetime.now(UTC) + CONFIRM_LIFETIME
    await snapshot_rows.set_token(conn, snapshot.snapshot_id, digest(token), expires)
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
        "migrations_taken_out": await _taken_out(conn, snapshot),
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


async def _taken_out(conn: Connection, snapshot: Snapshot) -> list[str]:
    there = {entry["migration_id"] for entry in snapshot.migrations if entry["state"] == "applied"}
    return sorted(migrations.applied(await migrations.recorded(conn, snapshot.project_id)) - there)


def _check_token(snapshot: Snapshot, token: object) -> None:
    known = snapshot.confirm_sha256
    valid = isinstance(token, str) and known is not None and same_secret(digest(token), known)
    if valid and snapshot.confirm_expires_at is not None and snapshot.confirm_expires_at > datetime.now(UTC):
        return
    problem = "has expired" if valid else "is not the one of the latest restore plan"
    command = advice.command("snapshots", "restore", "--project", snapshot.project_id, snapshot.snapshot_id)
    raise GatewayError(
        409,
        "confirm_token_invalid",
        f"The confirm token {problem}. Nothing was changed. Run `{command}` for a new plan and token.",
        retryable=False,
        next_actions=[advice.entry("run_command", command)],
    )


ROUTES = [
    Route("/projects/v1/{project_id}/snapshots", create_snapshot, methods=["POST"], who=OWNER),
    Route("/projects/v1/{project_id}/snapshots", list_snapshots, methods=["GET"], who=OWNER),
    Route("/projects/v1/{project_id}/snapshots/{snapshot_id}", get_snapshot, methods=["GET"], who=OWNER),
    Route("/projects/v1/{project_id}/snapshots/{snapshot_id}", delete_snapshot, methods=["DELETE"], who=OWNER),
    Route("/projects/v1/{project_id}/snapshots/{snapshot_id}/restore", restore_snapshot, methods=["POST"], who=OWNER),
]
