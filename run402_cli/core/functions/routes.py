"""The ways to a function over HTTP: by route of a site, by name with a key, and the older invoke call."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.callers.auth import key_holder, presented_key, require_service_key
from run402_cli.core.callers.kinds import Kind
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.functions import log_routes, run_routes, schedule_routes, secret_routes
from run402_cli.core.functions.bundle_rows import function_not_found
from run402_cli.core.functions.gates import SignInRedirect
from run402_cli.core.functions.invoke import Call, call_from, invoke, refusal, respond
from run402_cli.core.functions.routed import through_gates
from run402_cli.core.functions.run_routes import function_name
from run402_cli.core.gateway import gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.sites.lookup import ALL_METHODS, live_sites
from run402_cli.core.web.body_limit import STREAMED
from run402_cli.core.web.http import read_object, reply
from run402_cli.core.web.instants import iso
from run402_cli.core.web.routing import Policy, Route, admitted


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """Who calls a function by name: the project of the key, and which key it is."""

    project: Project
    kind: Literal["anon", "service"]


async def _key_holder(conn: Connection, request: Request) -> KeyHolder:
    key = presented_key(request)
    holder = await key_holder(conn, key) if key else None
    if holder is None:
        raise GatewayError(
            401,
            "authentication_required",
            "A function called by name needs a key of its project in the `apikey` header. Routes of the site need none.",
        )
    return KeyHolder(*holder)


KEY = Policy(
    "key",
    "sends a key of the project, anon or service; the function may ask for a user besides.",
    frozenset({Kind.ANON_KEY, Kind.SERVICE_KEY}),
    _key_holder,
    of_the_caller=True,
)
SERVICE_KEY_OF_WHAT_IT_NAMES = Policy(
    "service key of what it names",
    "holds the service key of the project that the body names.",
    frozenset({Kind.SERVICE_KEY}),
    within="require_service_key",
)


async def call_by_name(request: Request) -> Response:
    """Any method /functions/v1/{name} with a project key in `apikey` (or as bearer): the function's response as it is.

    With the anon key an `Authorization: Bearer <token>` names the user. 401 authentication_required, 404
    function_not_found, failures as for routes; the service key also sees `details`. docs/local-gateway-functions.md
    """
    gateway = gateway_of(request)
    holder = admitted(request, KeyHolder)
    name, project = function_name(request), holder.project
    async with gateway.connection() as conn:
        site = await live_sites.active(conn, project.project_id)
    known = [entry["name"] for entry in site.state["functions"]] if site else []
    if site is None or name not in known:
        raise function_not_found(project, name, known)
    try:
        caller = await through_gates(gateway, project, site, name, request)
        path = f"/functions/v1/{name}"
        call = await call_from(request, "direct", path, caller=caller, route_pattern=path)
        return respond(await invoke(gateway, project, site, name, call), request.method)
    except SignInRedirect as exc:
        return Response(status_code=303, headers={"Location": exc.location, "Cache-Control": "private, no-store"})
    except GatewayError as exc:
        return refusal(exc, owner=holder.kind == "service")


async def invoke_function(request: Request) -> Response:
    """POST /functions/v1/invoke {project_id, function_name, release_id?} (service key): a call without a request.

    200 `{request_id, response: {status, headers?, cookies?, body?}, logs, duration_ms}`; the handler gets a plain object.
    404 release_not_found, 503 dynamic_runtime_unavailable. docs/local-gateway-functions.md
    """
    gateway = gateway_of(request)
    body = await read_object(request)
    project_id = body.get("project_id", body.get("projectId"))
    name = body.get("function_name", body.get("functionName"))
    if not isinstance(project_id, str) or not isinstance(name, str):
        raise GatewayError(400, "invalid_request", "Give project_id and function_name.", code=None)
    async with gateway.connection() as conn:
        project = await require_service_key(conn, request, project_id)
        site = await live_sites.active(conn, project_id)
        wanted = body.get("release_id") or (site.release_id if site else None)
        if site is None or wanted != site.release_id:
            raise GatewayError(
                404,
                "release_not_found",
                f"Only the active release runs functions; it is {site.release_id if site else 'not there yet'}.",
            )
        known = [entry["name"] for entry in site.state["functions"]]
        if name not in known:
            missing = function_not_found(project, name, known)
            details = {"function_name": name, "release_id": site.release_id}
            raise GatewayError(503, "dynamic_runtime_unavailable", missing.message, code=None, details=details)
    caller = await through_gates(gateway, project, site, name, request)
    call = Call("direct", plain=True, caller=caller)
    outcome = await invoke(gateway, project, site, name, call)
    printed = [entry for entry in outcome.log.entries if entry["stream"] != "platform"]
    return reply(
        {
            "request_id": outcome.request_id,
            "response": _envelope(outcome.reply.status, outcome.reply.headers, outcome.reply.body),
            "logs": [{**entry, "timestamp": iso(entry["timestamp"])} for entry in printed],
            "duration_ms": outcome.duration_ms,
        }
    )


def _envelope(status: int, headers: list[tuple[str, str]], body: bytes) -> dict[str, Any]:
    data = {"encoding": "base64", "data": base64.b64encode(body).decode(), "size": len(body)} if body else None
    return {
        "status": status,
        "headers": [[name, value] for name, value in headers if name != "set-cookie"],
        "cookies": [value for name, value in headers if name == "set-cookie"],
        "body": data,
    }


# Fixed words before names: "runs" and "invoke" are no functions.
ROUTES = [
    *secret_routes.ROUTES,
    *log_routes.ROUTES,
    *schedule_routes.ROUTES,
    *run_routes.ROUTES,
    Route("/functions/v1/invoke", invoke_function, methods=["POST"], who=SERVICE_KEY_OF_WHAT_IT_NAMES),
    Route("/functions/v1/{name}", call_by_name, methods=list(ALL_METHODS), who=KEY, body=STREAMED, settles=False),
]
