"""Secrets of functions: set, listed by name, deleted; values leave the database only into a function's environment.

The table is made in plans.py, because a plan without functions may require secrets too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from run402_cli.core.callers.auth import require_service_key
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.functions.spec import NAME
from run402_cli.core.gateway import Gateway, gateway_of
from run402_cli.core.web.http import read_object, reply
from run402_cli.core.web.instants import iso

SECRET_NAME = re.compile(r"[A-Z_][A-Z0-9_]{0,127}")
MAX_VALUE_BYTES = 4096
SCOPES = ("project", "release", "function")


async def values_for(gateway: Gateway, conn: Connection, project_id: str, function_name: str) -> dict[str, str]:
    """What a function finds in its environment; its own value beats the project's."""
    cursor = await conn.execute(
        "SELECT name, scope, function_name, encrypted_value_ref FROM internal.core_function_secrets"
        " WHERE project_id = %s AND function_name IN ('', %s) ORDER BY function_name",
        (project_id, function_name),
    )
    found: dict[str, str] = {}
    vault = gateway.functions.vault
    for name, scope, owner, sealed in await cursor.fetchall():
        value = vault.open((project_id, name, scope, owner), sealed)
        if value is not None:
            found[name] = value
    return found


async def copy_secrets(gateway: Gateway, conn: Connection, source_id: str, target_id: str) -> None:
    """Give one project the secrets of another; each is sealed for its own project."""
    cursor = await conn.execute(
        "SELECT name, scope, function_name, encrypted_value_ref FROM internal.core_function_secrets"
        " WHERE project_id = %s",
        (source_id,),
    )
    vault = gateway.functions.vault
    for name, scope, owner, sealed in await cursor.fetchall():
        value = vault.open((source_id, name, scope, owner), sealed)
        if value is not None:
            await conn.execute(
                "INSERT INTO internal.core_function_secrets (project_id, name, scope, function_name,"
                " encrypted_value_ref) VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                (target_id, name, scope, owner, vault.seal((target_id, name, scope, owner), value)),
            )


async def _store(request: Request, name: Any, value: Any, scope: str, owner: str) -> Mapping[str, Any]:
    gateway = gateway_of(request)
    async with gateway.connection() as conn:
        project = await require_service_key(conn, request, request.path_params["project_id"])
        view = await save_secret(gateway, conn, project.project_id, name, value, scope=scope, owner=owner)
    gateway.functions.forget(project.project_id)
    return view


async def save_secret(
    gateway: Gateway,
    conn: Connection,
    project_id: str,
    name: Any,
    value: Any,
    *,
    scope: str = "project",
    owner: str = "",
) -> Mapping[str, Any]:
    """Create or overwrite one secret; what is shown of it. 400 invalid_secret_name or invalid_request."""
    check_secret(name, value)
    sealed = gateway.functions.vault.seal((project_id, name, scope, owner), value)
    cursor = await conn.execute(
        "INSERT INTO internal.core_function_secrets (project_id, name, scope, function_name, encrypted_value_ref)"
        " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (project_id, name, scope, function_name)"
        " DO UPDATE SET encrypted_value_ref = excluded.encrypted_value_ref, updated_at = now()"
        " RETURNING created_at, updated_at",
        (project_id, name, scope, owner, sealed),
    )
    row = await cursor.fetchone()
    assert row is not None
    return _view(project_id, name, scope, owner, *row)


def check_secret(name: Any, value: Any) -> None:
    """400 invalid_secret_name or invalid_request for what cannot be a secret."""
    if not isinstance(name, str) or not SECRET_NAME.fullmatch(name) or name.startswith("RUN402_"):
        raise GatewayError(
            400,
            "invalid_secret_name",
            f"{name!r} cannot name a secret: capital letters, digits and _, not starting with a digit or RUN402_. "
            "Example: STRIPE_KEY",
            code="INVALID_SECRET_NAME",
        )
    if not isinstance(value, str) or "\x00" in value:
        raise GatewayError(400, "invalid_request", f"The value of {name} must be text without NUL characters.")
    if len(value.encode(errors="surrogatepass")) > MAX_VALUE_BYTES:
        raise GatewayError(400, "invalid_request", f"The value of {name} is longer than {MAX_VALUE_BYTES} bytes.")


def _view(
    project_id: str, name: str, scope: str, owner: str, created: datetime, updated: datetime
) -> Mapping[str, Any]:
    return {
        "project_id": project_id,
        "name": name,
        "key": name,
        "scope": scope,
        "function_name": owner or None,
        "created_at": iso(created),
        "updated_at": iso(updated),
    }


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
        raise GatewayError(400, "invalid_request", f"scope must be one of {', '.join(SCOPES)}.")
    if not isinstance(owner, str) or (owner and not NAME.fullmatch(owner)) or (scope == "function") != bool(owner):
        raise GatewayError(
            400, "invalid_function_name", "function_name must name a function when scope is function, and only then."
        )
    return reply(await _store(request, body.get("name"), body.get("value"), scope, owner), 201)


async def list_secrets(request: Request) -> Response:
    """GET /projects/v1/admin/{project_id}/secrets and .../functions/secrets[?function_name] (service key): names only."""
    only = request.query_params.get("function_name")
    async with gateway_of(request).connection() as conn:
        project = await require_service_key(conn, request, request.path_params["project_id"])
        cursor = await conn.execute(
            "SELECT name, scope, function_name, created_at, updated_at FROM internal.core_function_secrets"
            " WHERE project_id = %(project)s AND (%(only)s::text IS NULL OR function_name IN ('', %(only)s))"
            " ORDER BY name, function_name",
            {"project": project.project_id, "only": only},
        )
        rows = await cursor.fetchall()
    return reply({"secrets": [_view(project.project_id, *row) for row in rows]})


async def delete_secret(request: Request) -> Response:
    """DELETE /projects/v1/admin/{project_id}/secrets/{key} (service key): `{status, key}`. 404 secret_not_found."""
    gateway = gateway_of(request)
    key = request.path_params["key"]
    async with gateway.connection() as conn:
        project = await require_service_key(conn, request, request.path_params["project_id"])
        cursor = await conn.execute(
            "DELETE FROM internal.core_function_secrets WHERE project_id = %s AND name = %s",
            (project.project_id, key),
        )
    if cursor.rowcount == 0:
        raise GatewayError(
            404,
            "secret_not_found",
            f"{project.project_id} has no secret {key}. `run402 secrets list` prints the names it has.",
            code="SECRET_NOT_FOUND",
        )
    gateway.functions.forget(project.project_id)
    return reply({"status": "deleted", "key": key})


ROUTES = [
    Route("/projects/v1/admin/{project_id}/secrets", set_secret, methods=["POST"]),
    Route("/projects/v1/admin/{project_id}/secrets", list_secrets, methods=["GET"]),
    Route("/projects/v1/admin/{project_id}/secrets/{key}", delete_secret, methods=["DELETE"]),
    Route("/projects/v1/{project_id}/functions/secrets", set_scoped_secret, methods=["POST"]),
    Route("/projects/v1/{project_id}/functions/secrets", list_secrets, methods=["GET"]),
]
