"""The page cache as seen from here: every page is made anew, so nothing is ever cached. See docs/local-gateway.md."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.callers.auth import project_by_id
from run402_cli.core.callers.surfaces import LOOPBACK_HOST
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import gateway_of
from run402_cli.core.sites import rows
from run402_cli.core.sites.lookup import project_of_host
from run402_cli.core.web.http import read_object, reply
from run402_cli.core.web.routing import HOLDER_OR_WALLET, Route

FORBIDDEN = "R402_CACHE_INVALIDATION_HOST_FORBIDDEN"


async def inspect(request: Request) -> Response:
    """GET /cache/v1/inspect?host&path&locale&release_id: {status: MISS, host, path, ...}, for nothing is cached here.

    403 R402_CACHE_INVALIDATION_HOST_FORBIDDEN for a host that no project of this gateway has. docs/local-gateway.md
    """
    host = _text(request.query_params.get("host"), "host").lower()
    path = _path(request.query_params.get("path", "/"), "path")
    async with gateway_of(request).connection() as conn:
        await _check_host(conn, host)
    optional = {key: request.query_params[key] for key in ("locale", "release_id") if key in request.query_params}
    name, _, search = path.partition("?")
    return reply({"status": "MISS", "host": host, "path": name, "search": search, "method": "GET", **optional})


async def invalidate(request: Request) -> Response:
    """POST /cache/v1/invalidate {kind: exact|prefix|all, host, path?|prefix?}: {deleted: 0, generation, host, path?}.

    The generation of the host goes up by one each time. 400 invalid_request, 403
    R402_CACHE_INVALIDATION_HOST_FORBIDDEN. docs/local-gateway.md
    """
    body = await read_object(request)
    host = _text(body.get("host"), "host").lower()
    kind = body.get("kind")
    if kind not in ("exact", "prefix", "all"):
        raise _invalid("`kind` must be exact, prefix or all.")
    part: dict[str, Any] = {}
    if kind == "exact":
        part = {"path": _path(body.get("path"), "path")}
    elif kind == "prefix":
        part = {"path": _path(body.get("prefix"), "prefix")}
    async with gateway_of(request).connection() as conn:
        await _check_host(conn, host)
        generation = await rows.next_generation(conn, host)
    return reply({"deleted": 0, "generation": str(generation), "host": host, **part})


async def _check_host(conn: Connection, host: str) -> None:
    name = host.partition(":")[0].rstrip(".")
    label, _, rest = name.partition(".")
    known = bool(LOOPBACK_HOST.fullmatch(host))
    if known and rest == "localhost":
        project_id = await project_of_host(conn, label)
        known = project_id is not None
        if project_id is not None:
            await project_by_id(conn, project_id)
    if not known:
        raise GatewayError(
            403,
            "cache_invalidation_host_forbidden",
            f"No project of this gateway answers at {host}. `run402 subdomains list` prints the names that one has.",
            code=FORBIDDEN,
            retryable=False,
        )


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _invalid(f"`{name}` is required.")
    return value.strip()


def _path(value: object, name: str) -> str:
    path = _text(value, name)
    if not path.startswith("/"):
        raise _invalid(f"`{name}` must begin with /.")
    return path


def _invalid(message: str) -> GatewayError:
    return GatewayError(400, "invalid_request", message)


ROUTES = [
    Route("/cache/v1/inspect", inspect, methods=["GET"], who=HOLDER_OR_WALLET),
    Route("/cache/v1/invalidate", invalidate, methods=["POST"], who=HOLDER_OR_WALLET),
]
