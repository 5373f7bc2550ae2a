"""Keeps web pages away from the control plane, and adds CORS to the surfaces that are theirs.

The gateway listens on loopback and many of its routes need no credential: that is safe only as long as nobody but a
local program can call them. A page in the user's browser is not a local program. It gives itself away by an Origin or
Sec-Fetch-Site header (a cross-site request), or by a Host that is not the gateway's own (a site's page, DNS rebinding).
See docs/local-gateway.md.
"""

from __future__ import annotations

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from run402_cli.core.callers.auth import bearer_of, key_holder, presented_key, project_id_of
from run402_cli.core.callers.control_token import FROM_PAGE
from run402_cli.core.callers.surfaces import (
    CORS_PATH,
    is_bare,
    is_below_a_site,
    is_public,
    site_label,
    starts_worker,
)
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import gateway_of
from run402_cli.core.sites.lookup import project_of_host
from run402_cli.core.web.addresses import path_of

CORS_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Content-Encoding, Content-Location, Content-Range, Content-Type, Date, Location, "
    "Preference-Applied, Range-Unit, Server, Transfer-Encoding",
}
_PREFLIGHT_HEADERS = {
    **CORS_HEADERS,
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PATCH, PUT, DELETE, OPTIONS",
    "Access-Control-Max-Age": "86400",
}
# A function may take a header of its own for a sign that no page sent the request, so its pages have these alone.
_HEADERS_FOR_FUNCTIONS = ["authorization", "apikey", "prefer", "content-type", "range", "range-unit", "accept"]
_HEADERS_FOR_FUNCTIONS += ["accept-profile", "content-profile", "x-client-info"]
_HEADER_NAMES = re.compile(r"\s*[A-Za-z0-9!#$%&'*+.^_`|~-]+(?:\s*,\s*[A-Za-z0-9!#$%&'*+.^_`|~-]+)*\s*")


class Cors:
    """ASGI middleware: REST answers any page, because a key and row-level security decide there, not the origin."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not CORS_PATH.fullmatch(scope["path"]):
            await self.app(scope, receive, send)
            return
        if scope["method"] == "OPTIONS" and "access-control-request-method" in Headers(scope=scope):
            headers = {**_PREFLIGHT_HEADERS, "Access-Control-Allow-Headers": _allowed_headers(scope)}
            await Response(status_code=204, headers=headers)(scope, receive, send)
            return

        async def send_with_cors(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(CORS_HEADERS)
            await send(message)

        await self.app(scope, receive, send_with_cors)


def _allowed_headers(scope: Scope) -> str:
    """What a page may send: to REST and sign-in all that it asks for, since no header but a key opens anything there."""
    if scope["path"].startswith("/functions/"):
        return ", ".join(_HEADERS_FOR_FUNCTIONS)
    asked = Headers(scope=scope).get("access-control-request-headers", "")
    names = asked.split(",") if _HEADER_NAMES.fullmatch(asked) else []
    return ", ".join(dict.fromkeys(["authorization", *(name.strip().lower() for name in names)]))


class Guard:
    """ASGI middleware: 403 origin_forbidden for what may come from a page, 421 misdirected_request for the control plane
    at the host of a site. docs/local-gateway.md."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = Request(scope)
            if is_below_a_site(request.headers):
                raise _misdirected(request)
            label = site_label(request.headers)
            if label is None and starts_worker(request.headers):
                raise _no_worker()
            reason = refusal(request)
            if label is not None and (reason is not None or await _of_another(request, label)):
                raise _misdirected(request)
            if reason is not None:
                if not await _holds_service_key(request):
                    raise GatewayError(
                        403,
                        "origin_forbidden",
                        f"{reason} Call this route from a local program, or send the project's service key.",
                    )
                # The key opens what it is for; the token is not a page's to have, and --open not meant for pages.
                scope[FROM_PAGE] = True
        await self.app(scope, receive, send)


def refusal(request: Request) -> str | None:
    """Why this request may come from a web page and must not reach the control plane; None when it may pass."""
    if is_public(path_of(request), request.headers):
        return None
    if not is_bare(request.headers):
        return f"The Host header {request.headers.get('host', '')!r} is not a name of the gateway."
    if _is_look(request):
        return None
    origin = request.headers.get("origin")
    if origin is not None:
        return f"This request comes from a web page ({origin}); pages may not drive the gateway."
    # "none" is the address bar. A same-origin page is a deployed site, which is not the gateway's owner either.
    if request.headers.get("sec-fetch-site", "none").lower() != "none":
        return "This request comes from a web page (Sec-Fetch-Site); pages may not drive the gateway."
    return None


def _no_worker() -> GatewayError:
    return GatewayError(
        403,
        "origin_forbidden",
        "No script runs as a worker at the gateway's own host. Open the project at its own origin: `urls.origin` of a deploy.",
    )


async def _of_another(request: Request, label: str) -> bool:
    """Does a key or a user's token of another project come to the host of this one, whose page the answer would be?"""
    sent = {request.headers.get("apikey"), bearer_of(request)} if CORS_PATH.fullmatch(path_of(request)) else set()
    credentials = [credential for credential in sent if credential]
    if not credentials:
        return False
    gateway = gateway_of(request)
    async with gateway.connection() as conn:
        project_id = await project_of_host(conn, label)
        opened = {await project_id_of(conn, gateway.settings, credential) for credential in credentials}
    return bool(opened - {None, project_id})


def _misdirected(request: Request) -> GatewayError:
    base = gateway_of(request).settings.public_url
    return GatewayError(
        421,
        "misdirected_request",
        f"{request.headers.get('host', '')} does not answer {request.url.path} to this request: the host of a site has that "
        f"site and its project's routes for pages. The gateway is at {base}. Send the request there.",
        url=f"{base}{request.url.path}",
    )


def _is_look(request: Request) -> bool:
    """Is a person about to look at one of the gateway's own pages? Whoever sent them there cannot read it."""
    headers = request.headers
    return (
        request.url.path.startswith("/_run402/")
        and request.method == "GET"
        and "origin" not in headers
        and (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")) == ("navigate", "document")
    )


async def _holds_service_key(request: Request) -> bool:
    key = presented_key(request)
    if key is None:
        return False
    async with gateway_of(request).connection() as conn:
        holder = await key_holder(conn, key)
    return holder is not None and holder[1] == "service"
