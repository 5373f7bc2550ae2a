"""Reading releases: the active one, one by id, the difference between two."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.callers.auth import caller_project
from run402_cli.core.callers.policies import DEPLOYER_OF_WHAT_IT_NAMES
from run402_cli.core.callers.reach import reach
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.releases.inventory import (
    DIFF_LIMIT,
    MAX_SITE_LIMIT,
    SITE_LIMIT,
    empty_inventory,
    inventory,
    release_diff,
)
from run402_cli.core.releases.rows import Release, fetch, owners
from run402_cli.core.web.http import query_limit, reply
from run402_cli.core.web.routing import Route


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
            400, "invalid_request", "Give `from` (empty, active or a release id) and `to` (active or a release id)."
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


ROUTES = [
    Route("/apply/v1/releases/active", get_active, methods=["GET"], who=DEPLOYER_OF_WHAT_IT_NAMES),
    Route("/apply/v1/releases/diff", get_diff, methods=["GET"], who=DEPLOYER_OF_WHAT_IT_NAMES),
    Route("/apply/v1/releases/{release_id}", get_release, methods=["GET"], who=DEPLOYER_OF_WHAT_IT_NAMES),
]


async def _owner(conn: Connection, request: Request, release_id: str) -> str | None:
    """The project to show a release of: named in the query, or the only one that has a release of this id."""
    found = reach.get()
    if (found is not None and found.project_id) or "project_id" in request.query_params:
        return request.query_params.get("project_id")
    projects = await owners(conn, release_id)
    return projects[0] if len(projects) == 1 else None
