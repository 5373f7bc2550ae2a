"""Subdomains by name: claim, list and release `<name>.localhost` outside a deploy. See docs/local-gateway.md."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from run402_cli import advice
from run402_cli.core.callers.policies import SERVICE_KEY_OF_A_PROJECT
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.releases import rows as releases
from run402_cli.core.sites import rows
from run402_cli.core.web.http import public_base, read_object, reply
from run402_cli.core.web.instants import iso
from run402_cli.core.web.routing import Route, admitted

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
# What `localhost` and this gateway use themselves.
RESERVED = frozenset({"www", "api", "localhost", "run402"})


async def claim_subdomain(request: Request) -> Response:
    """POST /subdomains/v1 {name, deployment_id}, service key: {name, deployment_id, url, deployment_url, project_id, ...}.

    A name always shows the active release, so `deployment_id` is that or left out. 400 invalid_subdomain, 404
    release_not_found, 409 SUBDOMAIN_TAKEN, DEPLOYMENT_NOT_ACTIVE or NO_DEPLOYMENT. docs/local-gateway.md
    """
    project = admitted(request, Project)
    body = await read_object(request)
    name, deployment_id = body.get("name"), body.get("deployment_id")
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name in RESERVED:
        raise GatewayError(
            400,
            "invalid_subdomain",
            f"{name!r} cannot be a subdomain. Use 3 to 63 lower-case letters, digits and inner hyphens, none of: "
            f"{', '.join(sorted(RESERVED))}.",
        )
    async with gateway_of(request).connection() as conn:
        await _check_deployment(conn, project, deployment_id)
        async with conn.transaction():
            await rows.claim(conn, project.project_id, name)
            await releases.check_subdomains(conn, project.project_id, [name])
        (entry,) = await _entries(conn, request, project, name)
    return reply(entry, 201)


async def _check_deployment(conn: Connection, project: Project, deployment_id: object) -> None:
    if project.active_release_id is None:
        command = advice.command("deploy", "apply", "--project", project.project_id)
        raise GatewayError(
            409,
            "no_deployment",
            f"Project {project.project_id} has no release that the name could show. Deploy one first: `{command}`.",
            retryable=False,
            next_actions=[advice.entry("deploy", command)],
        )
    if deployment_id in (None, project.active_release_id):
        return
    if not isinstance(deployment_id, str) or not deployment_id:
        raise GatewayError(400, "invalid_request", "`deployment_id` is the id of the active release, or is left out.")
    await releases.fetch(conn, project.project_id, deployment_id)
    command = advice.command("deploy", "promote", deployment_id, "--project", project.project_id)
    raise GatewayError(
        409,
        "deployment_not_active",
        f"{deployment_id} is not the active release, and a subdomain always shows that one "
        f"({project.active_release_id}). Make it active first: `{command}`.",
        retryable=False,
        next_actions=[advice.entry("run_command", command)],
    )


async def list_subdomains(request: Request) -> Response:
    """GET /subdomains/v1, service key: {subdomains}, by name, those of the active release included."""
    async with gateway_of(request).connection() as conn:
        return reply({"subdomains": await _entries(conn, request, admitted(request, Project))})


async def release_subdomain(request: Request) -> Response:
    """DELETE /subdomains/v1/{name}, service key: {name, deployment_id, project_id, deleted_at}. 404 subdomain_not_found.

    A name that the release declares comes back with the next deploy, unless the manifest removes it too.
    """
    name, project = request.path_params["name"], admitted(request, Project)
    async with gateway_of(request).connection() as conn:
        found = await rows.let_go(conn, project.project_id, name)
    if not found:
        raise GatewayError(
            404,
            "subdomain_not_found",
            f"Project {project.project_id} has no subdomain {name}. `run402 subdomains list` prints the ones it has.",
        )
    return reply(
        {
            "name": name,
            "deployment_id": project.active_release_id,
            "project_id": project.project_id,
            "deleted_at": iso(datetime.now(UTC)),
        }
    )


async def _entries(
    conn: Connection, request: Request, project: Project, name: str | None = None
) -> Sequence[dict[str, Any]]:
    base = public_base(request)
    return [
        {
            "name": label,
            "deployment_id": project.active_release_id,
            "url": releases.host_url(base, label),
            "deployment_url": f"{base}/projects/v1/{project.project_id}/static/",
            "project_id": project.project_id,
            "created_at": iso(claimed),
            "updated_at": iso(updated),
        }
        for label, claimed, updated in await rows.names_of(conn, project.project_id, name)
    ]


ROUTES = [
    Route("/subdomains/v1", claim_subdomain, methods=["POST"], who=SERVICE_KEY_OF_A_PROJECT),
    Route("/subdomains/v1", list_subdomains, methods=["GET"], who=SERVICE_KEY_OF_A_PROJECT),
    Route("/subdomains/v1/{name}", release_subdomain, methods=["DELETE"], who=SERVICE_KEY_OF_A_PROJECT),
]
