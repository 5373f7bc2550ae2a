"""/projects/v1/{project_id}/branches: create, list, renew, delete. See docs/local-gateway.md."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.callers.auth import project_by_id
from run402_cli.core.callers.policies import OWNER
from run402_cli.core.copies import branch_rows, branches, snapshot_rows
from run402_cli.core.copies.branches import DEFAULT_TTL_DAYS
from run402_cli.core.copies.views import branch_view
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import gateway_of
from run402_cli.core.projects.keys import keys_of
from run402_cli.core.projects.locks import project_lock
from run402_cli.core.projects.routes import new_name
from run402_cli.core.projects.rows import Project
from run402_cli.core.web.http import public_base, read_object, reply
from run402_cli.core.web.routing import Route, admitted

EMAIL_MODES = ("sandbox", "off")
MAX_TTL_DAYS = 30


async def create_branch(request: Request) -> Response:
    """POST /projects/v1/{project_id}/branches {from_snapshot_id?, name?, email_mode?, enable_cron?, ttl_days?}.

    201 branch with anon_key and service_key. 400 invalid_request, 404 snapshot_not_found, 409 branch_of_branch.
    docs/local-gateway.md
    """
    gateway = gateway_of(request)
    parent = admitted(request, Project)
    body = await read_object(request)
    async with gateway.connection() as conn:
        await branches.purge_expired(gateway, conn, parent.project_id)
        wish = await _wish(conn, parent, body)
    async with project_lock(gateway, parent.project_id) as conn:
        parent = await project_by_id(conn, parent.project_id)
        project = await branches.create(gateway, conn, parent, wish)
        branch = await branch_rows.fetch(conn, parent.project_id, project.project_id)
    own = keys_of(gateway.settings, project)
    keys = {"anon_key": own.anon, "service_key": own.service}
    ids = {"operation_id": branch.operation_id, "materialization_id": f"mat_{project.project_id.removeprefix('prj_')}"}
    return reply({**branch_view(branch, public_base(request)), **ids, **keys}, 201)


async def _wish(conn: Connection, parent: Project, body: Mapping[str, Any]) -> branches.Wish:
    email_mode = body.get("email_mode", "sandbox")
    enable_cron = body.get("enable_cron", False)
    snapshot_id = body.get("from_snapshot_id")
    if email_mode not in EMAIL_MODES:
        raise _invalid("`email_mode` must be sandbox or off.")
    if not isinstance(enable_cron, bool):
        raise _invalid("`enable_cron` must be true or false.")
    if snapshot_id is not None and not isinstance(snapshot_id, str):
        raise _invalid("`from_snapshot_id` must be the id of a snapshot: run402 snapshots list.")
    return branches.Wish(
        name=new_name(body["name"]) if body.get("name") else f"{parent.name[:100]} branch",
        email_mode=email_mode,
        enable_cron=enable_cron,
        ttl=_ttl(body),
        snapshot=await snapshot_rows.fetch(conn, parent.project_id, snapshot_id) if snapshot_id else None,
    )


def _ttl(body: Mapping[str, Any]) -> timedelta:
    days = body.get("ttl_days", DEFAULT_TTL_DAYS)
    if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= MAX_TTL_DAYS:
        raise _invalid(f"`ttl_days` must be a whole number from 1 to {MAX_TTL_DAYS}.")
    return timedelta(days=days)


def _invalid(message: str) -> GatewayError:
    return GatewayError(400, "invalid_request", message)


async def list_branches(request: Request) -> Response:
    """GET /projects/v1/{project_id}/branches: {branches}, oldest first, without keys. docs/local-gateway.md"""
    gateway = gateway_of(request)
    parent_id = admitted(request, Project).project_id
    async with gateway.connection() as conn:
        await branches.purge_expired(gateway, conn, parent_id)
        found = await branch_rows.of_parent(conn, parent_id)
    return reply({"branches": [branch_view(branch, public_base(request)) for branch in found]})


async def renew_branch(request: Request) -> Response:
    """POST /projects/v1/{project_id}/branches/{branch_id}/renew {ttl_days?}: 7 days from now by default. 200 branch."""
    project = admitted(request, Project)
    expires = datetime.now(UTC) + _ttl(await read_object(request))
    async with gateway_of(request).connection() as conn:
        branch = await branch_rows.fetch(conn, project.project_id, request.path_params["branch_id"])
        await branch_rows.renew(conn, branch.branch_project_id, expires)
        branch = await branch_rows.fetch(conn, project.project_id, branch.branch_project_id)
    return reply(branch_view(branch, public_base(request)))


async def delete_branch(request: Request) -> Response:
    """DELETE /projects/v1/{project_id}/branches/{branch_id}: schema, rows and content references go."""
    gateway = gateway_of(request)
    project = admitted(request, Project)
    async with gateway.connection() as conn:
        branch = await branch_rows.fetch(conn, project.project_id, request.path_params["branch_id"])
        await branches.remove(gateway, branch.branch_project_id)
    answer = {"branch_project_id": branch.branch_project_id, "parent_project_id": project.project_id}
    return reply({**answer, "status": "deleted"})


ROUTES = [
    Route("/projects/v1/{project_id}/branches", create_branch, methods=["POST"], who=OWNER),
    Route("/projects/v1/{project_id}/branches", list_branches, methods=["GET"], who=OWNER),
    Route("/projects/v1/{project_id}/branches/{branch_id}/renew", renew_branch, methods=["POST"], who=OWNER),
    Route("/projects/v1/{project_id}/branches/{branch_id}", delete_branch, methods=["DELETE"], who=OWNER),
]
