"""Subdomains by name: claim, list and release `<name>.localhost` outside a deploy. See docs/local-gateway.md."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from run402_cli import advice
from run402_cli.core.callers.auth import key_owner
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.releases import rows as releases
from run402_cli.core.web.http import public_base, read_object, reply
from run402_cli.core.web.instants import iso

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
# What `localhost` and this gateway use themselves.
RESERVED = frozenset({"www", "api", "localhost", "run402"})


async def claim_subdomain(request: Request) -> Response:
    """POST /subdomains/v1 {name, deployment_id}, service key: {name, deployment_id, url, deployment_url, project_id, ...}.

    A name always shows the active release, so `deployment_id` is that or left out. 400 invalid_subdomain, 404
    release_not_found, 409 SUBDOMAIN_TAKEN, DEPLOYMENT_NOT_ACTIVE or NO_DEPLOYMENT. docs/local-gateway.md
    """
    body = await read_object(request)
    name, deployment_id = body.get("name"), body.get("deployment_id")
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name in RESERVED:
        raise GatewayError(
            400,
            "invalid_subdomain",
            f"{name!r} cannot be a subdomain. Use 3 to 63 lower-case letters, digits and inner hyphens, none of: "
            f"{', '.join(sorted(RESERVED))}.",
            code="INVALID_SUBDOMAIN",
        )
    async with gateway_of(request).connection() as conn:
        project = await _key_owner(conn, request)
        await _check_deployment(conn, project, deployment_id)
        async with conn.transaction():
            await conn.execute(
                "INSERT INTO internal.core_subdomains (name, project_id, origin) VALUES (%s, %s, 'claim')"
                " ON CONFLICT (name) DO UPDATE SET updated_at = now(), origin = 'claim'"
                " WHERE core_subdomains.project_id = excluded.project_id",
                (name, project.project_id),
            )
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
            code="NO_DEPLOYMENT",
            retryable=False,
            next_actions=[advice.entry("deploy", command)],
        )
    if deployment_id in (None, project.active_release_id):
        return
    if not isinstance(deployment_id, str) or not deployment_id:
        raise GatewayError(
            400,
            "invalid_request",
            "`deployment_id` is the id of the active release, or is left out.",
            code="INVALID_REQUEST",
        )
    await releases.fetch(conn, project.project_id, deployment_id)
    command = advice.command("deploy", "promote", deployment_id, "--project", project.project_id)
    raise GatewayError(
        409,
        "deployment_not_active",
        f"{deployment_id} is not the active release, and a subdomain always shows that one "
        f"({project.active_release_id}). Make it active first: `{command}`.",
        code="DEPLOYMENT_NOT_ACTIVE",
        retryable=False,
        next_actions=[advice.entry("run_command", command)],
    )


async def list_subdomains(request: Request) -> Response:
    """GET /subdomains/v1, service key: {subdomains}, by name, those of the active release included."""
    async with gateway_of(request).connection() as conn:
        project = await _key_owner(conn, request)
        return reply({"subdomains": await _entries(conn, request, project)})


async def release_subdomain(request: Request) -> Response:
    """DELETE /subdomains/v1/{name}, service key: {name, deployment_id, project_id, deleted_at}. 404 subdomain_not_found.

    A name that the release declares comes back with the next deploy, unless the manifest removes it too.
    """
    name = request.path_params["name"]
    async with gateway_of(request).connection() as conn:
        project = await _key_owner(conn, request)
        cur = await conn.execute(
            "DELETE FROM internal.core_subdomains WHERE name = %s AND project_id = %s", (name, project.project_id)
        )
    if cur.rowcount == 0:
        raise GatewayError(
            404,
            "subdomain_not_found",
            f"Project {project.project_id} has no subdomain {name}. `run402 subdomains list` prints the ones it has.",
            code="SUBDOMAIN_NOT_FOUND",
        )
    return reply(
        {
            "name": name,
            "deployment_id": project.active_release_id,
            "project_id": project.project_id,
            "deleted_at": iso(datetime.now(UTC)),
        }
    )


async def _key_owner(conn: Connection, request: Request) -> Project:
    problem = (
        "This route needs the service key of the project: `Authorization: Bearer <service_key>`. "
        "`run402 credentials project-keys status` shows where the keys are."
    )
    return await key_owner(conn, request, problem)


async def _entries(
    conn: Connection, request: Request, project: Project, name: str | None = None
) -> Sequence[dict[str, Any]]:
    cur = await conn.execute(
        "SELECT name, claimed_at, updated_at FROM internal.core_subdomains"
        " WHERE project_id = %(project)s AND (%(name)s::text IS NULL OR name = %(name)s) ORDER BY name",
        {"project": project.project_id, "name": name},
    )
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
        for label, claimed, updated in await cur.fetchall()
    ]


ROUTES = [
    Route("/subdomains/v1", claim_subdomain, methods=["POST"]),
    Route("/subdomains/v1", list_subdomains, methods=["GET"]),
    Route("/subdomains/v1/{name}", release_subdomain, methods=["DELETE"]),
]
