"""Reading operations: what became of a plan, phase by phase."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from run402_cli import advice
from run402_cli.core.callers.auth import caller_project
from run402_cli.core.callers.policies import DEPLOYER_OF_WHAT_IT_NAMES
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.releases.operation_rows import DEFAULT_LIMIT, MAX_LIMIT, Operation, events_of, fetch, newest
from run402_cli.core.releases.rows import release_urls
from run402_cli.core.web.http import public_base, query_limit, reply
from run402_cli.core.web.instants import iso
from run402_cli.core.web.routing import Route


async def get_operation(request: Request) -> Response:
    """GET /apply/v1/operations/{operation_id}: the snapshot. 404 operation_not_found. docs/local-gateway.md"""
    async with gateway_of(request).connection() as conn:
        operation, project = await visible(conn, request)
        return reply(operation.snapshot(await release_urls(conn, project, operation.release_id, public_base(request))))


async def list_operations(request: Request) -> Response:
    """GET /apply/v1/operations?limit&cursor: {operations, cursor}, newest first. docs/local-gateway.md"""
    limit = query_limit(request, "limit", DEFAULT_LIMIT, MAX_LIMIT)
    cursor = request.query_params.get("cursor")
    async with gateway_of(request).connection() as conn:
        project = await caller_project(conn, request, request.query_params.get("project_id"))
        found = await newest(conn, project.project_id, limit=limit + 1, after=cursor)
        urls = await release_urls(conn, project, None, public_base(request))
    more = found[limit - 1].operation_id if len(found) > limit else None
    return reply({"operations": [operation.snapshot(urls) for operation in found[:limit]], "cursor": more})


async def list_events(request: Request) -> Response:
    """GET /apply/v1/operations/{operation_id}/events?limit&cursor: recorded events after the id `cursor`.

    {events: [commit.phase.detail], cursor?}; `cursor` is present while there are more. docs/local-gateway.md
    """
    limit = query_limit(request, "limit", DEFAULT_LIMIT, MAX_LIMIT)
    cursor = request.query_params.get("cursor", "0")
    if not re.fullmatch(r"[0-9]{1,18}", cursor):
        raise GatewayError(400, "invalid_request", "cursor must be the id of an event.")
    async with gateway_of(request).connection() as conn:
        operation, _ = await visible(conn, request)
        rows = await events_of(conn, operation.operation_id, after=int(cursor), limit=limit + 1)
    body: dict[str, Any] = {"events": [_event(operation, *row) for row in rows[:limit]]}
    if len(rows) > limit:
        body["cursor"] = str(rows[limit - 1][0])
    return reply(body)


async def edge_coherence(request: Request) -> Response:
    """GET /apply/v1/operations/{operation_id}/edge-coherence: always coherent once active, for there is no edge.

    The gateway itself serves every request from the active release. docs/local-gateway.md
    """
    async with gateway_of(request).connection() as conn:
        operation, project = await visible(conn, request)
    coherent = operation.status == "ready" and operation.release_id == project.active_release_id
    return reply(
        {
            "coherent": coherent,
            "operation_id": operation.operation_id,
            "project_id": operation.project_id,
            "release_id": operation.release_id,
            "release_generation": None,
            "paths": [],
            "pending_count": 0,
            "paths_truncated": False,
            "path_count": 0,
            "total_path_count": 0,
            "vantage": "local_gateway",
            "probe_may_have_warmed_cache": False,
            "pointer_updates": {},
            "next_actions": [] if coherent else [_what_is_active(operation, project)],
            "probe_basis": "no_mutable_paths",
        }
    )


def _what_is_active(operation: Operation, project: Project) -> str:
    if operation.status != "ready":
        return f"Operation is {operation.status}: {advice.command('deploy', 'resume', operation.operation_id)}"
    return f"Another release is active ({project.active_release_id}): run402 deploy release active"


async def visible(conn: Connection, request: Request) -> tuple[Operation, Project]:
    """The operation of the path; a key of another project does not see it."""
    operation = await fetch(conn, request.path_params["operation_id"])
    return operation, await caller_project(conn, request, operation.project_id)


def _event(
    operation: Operation, event_id: int, phase: str, status: str, message: str, details: Any, at: datetime
) -> dict[str, Any]:
    return {
        "type": "commit.phase.detail",
        "id": str(event_id),
        "operation_id": operation.operation_id,
        "project_id": operation.project_id,
        "phase": phase,
        "status": status,
        "message": message,
        "details": details,
        "created_at": iso(at),
        "updated_at": iso(at),
    }


ROUTES = [
    Route("/apply/v1/operations", list_operations, methods=["GET"], who=DEPLOYER_OF_WHAT_IT_NAMES),
    Route("/apply/v1/operations/{operation_id}", get_operation, methods=["GET"], who=DEPLOYER_OF_WHAT_IT_NAMES),
    Route("/apply/v1/operations/{operation_id}/events", list_events, methods=["GET"], who=DEPLOYER_OF_WHAT_IT_NAMES),
    Route(
        "/apply/v1/operations/{operation_id}/edge-coherence",
        edge_coherence,
        methods=["GET"],
        who=DEPLOYER_OF_WHAT_IT_NAMES,
    ),
]
