"""The routes of functions' secrets: set, listed by name, deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.callers.policies import SERVICE_KEY
from run402_cli.core.errors import GatewayError
from run402_cli.core.functions import secret_rows
from run402_cli.core.functions.functions_request import NAME
from run402_cli.core.functions.secrets import save_secret, view
from run402_cli.core.gateway import gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.web.http import read_object, reply
from run402_cli.core.web.routing import Route, admitted

SCOPES = ("project", "release", "function")


async def _store(request: Request, name: Any, value: Any, scope: str, owner: str) -> Mapping[str, Any]:
    gateway = gateway_of(request)
    project = admitted(request, Project)
    async with gateway.connection() as conn:
        shown = await save_secret(gateway, conn, project.project_id, name, value, scope=scope, owner=owner)
    gateway.functions.forget(project.project_id)
    return shown


async def set_secret(request: Request) -> Response:
    """POST /projects/v1/admin/{project_id}/secrets {key, value} (service key): create or overwrite.

    200 `{status: "set", key, ...}`; never the value. Functions see it from their next call on. 400
    invalid_secret_name or invalid_request. docs/local-gateway-functions.md
    """
    body = await read_object(request)
    stored = await _store(request, body.get("key"), body.get("value"), "project", "")
    return reply({"status": "set", **stored})


async def set_scoped_secret(request: Request) -> Response:
    """POST /projects/v1/{project_id}/functions/secrets {name, value, scope?, function_name?} (service key): 201."""
    body = await read_object(request)
    scope, owner = body.get("scope", "project"), body.get("function_name") or ""
    if scope not in SCOPES:
        raise GatewayError(400, "invalid_request", f"scope must be one of {', '.join(SCOPES)}.", code=None)
    if not isinstance(owner, str) or (owner and not NAME.fullmatch(owner)) or (scope == "function") != bool(owner):
        raise GatewayError(
            400,
            "invalid_function_name",
            "function_name must name a function when scope is function, and only then.",
            code=None,
        )
    return reply(await _store(request, body.get("name"), body.get("value"), scope, owner), 201)


async def list_secrets(request: Request) -> Response:
    """GET /projects/v1/admin/{project_id}/secrets and .../functions/secrets[?function_name] (service key): names only."""
    only = request.query_params.get("function_name")
    project = admitted(request, Project)
    async with gateway_of(request).connection() as conn:
        rows = await secret_rows.listed(conn, project.project_id, only)
    return reply({"secrets": [view(project.project_id, *row) for row in rows]})


async def delete_secret(request: Request) -> Response:
    """DELETE /projects/v1/admin/{project_id}/secrets/{key} (service key): `{status, key}`. 404 secret_not_found."""
    gateway = gateway_of(request)
    key = request.path_params["key"]
    project = admitted(request, Project)
    async with gateway.connection() as conn:
        had = await secret_rows.delete(conn, project.project_id, key)
    if not had:
        raise GatewayError(
            404,
            "secret_not_found",
            f"{project.project_id} has no secret {key}. `run402 secrets list` prints the names it has.",
        )
    gateway.functions.forget(project.project_id)
    return reply({"status": "deleted", "key": key})


ROUTES = [
    Route("/projects/v1/admin/{project_id}/secrets", set_secret, methods=["POST"], who=SERVICE_KEY),
    Route("/projects/v1/admin/{project_id}/secrets", list_secrets, methods=["GET"], who=SERVICE_KEY),
    Route("/projects/v1/admin/{project_id}/secrets/{key}", delete_secret, methods=["DELETE"], who=SERVICE_KEY),
    Route("/projects/v1/{project_id}/functions/secrets", set_scoped_secret, methods=["POST"], who=SERVICE_KEY),
    Route("/projects/v1/{project_id}/functions/secrets", list_secrets, methods=["GET"], who=SERVICE_KEY),
]
