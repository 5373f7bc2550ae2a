"""What a request passes on its way to a function: the gates of the function, then the call."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.callers.auth import existing_project
from run402_cli.core.errors import GatewayError
from run402_cli.core.functions.gates import Caller, SignInRedirect, caller_of, check_role, check_signed_in
from run402_cli.core.functions.invoke import call_from, invoke, refusal, respond
from run402_cli.core.gateway import Gateway, gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.sites.i18n import locale_of
from run402_cli.core.sites.lookup import Found, Site


async def call_route(request: Request, site: Site, found: Found, path: str, project: Project | None = None) -> Response:
    """Answer a request that a release's route leads to a function. `path` is the public one, percent-encoded.

    Public, but for the function's own gates. The function's response as it is; failures carry `request_id`.
    docs/local-gateway-functions.md
    """
    gateway = gateway_of(request)
    assert found.route is not None
    name = found.route["target"]["name"]
    try:
        project = project or await _project(gateway, site.project_id)
        caller = await through_gates(gateway, project, site, name, request)
        locale = locale_of(site.state, request)
        call = await call_from(
            request,
            "routed_http",
            path,
            caller=caller,
            route_pattern=found.route["pattern"],
            route_kind=found.route["kind"],
            locale=locale.locale,
            default_locale=locale.default,
        )
        return respond(await invoke(gateway, project, site, name, call), request.method)
    except SignInRedirect as exc:
        return Response(status_code=303, headers={"Location": exc.location, "Cache-Control": "private, no-store"})
    except GatewayError as exc:
        return refusal(exc, owner=False)


async def _project(gateway: Gateway, project_id: str) -> Project:
    async with gateway.connection() as conn:
        return await existing_project(conn, project_id)


async def through_gates(gateway: Gateway, project: Project, site: Site, name: str, request: Request) -> Caller | None:
    """The caller, once the gates let it pass. Takes a connection only for a user, and for a gate that asks a table."""
    entry, caller = _entry(site, name), await caller_of(gateway, project, request)
    if entry["require_role"] is None or caller is None:
        return check_signed_in(entry, caller, request)
    # The table may be a view, with functions of the project behind it: they run as the project's.
    async with gateway.request_connection(project, "service_role") as conn, conn.transaction():
        return await check_role(conn, project, entry, caller, request)


def _entry(site: Site, name: str) -> dict[str, Any]:
    entry: dict[str, Any] = next(entry for entry in site.state["functions"] if entry["name"] == name)
    return entry
