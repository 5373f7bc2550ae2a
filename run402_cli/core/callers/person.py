"""A person at this machine, in a browser: the pass in the address, and what tells a look from a page's request."""

from __future__ import annotations

import re
from contextvars import ContextVar

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from run402_cli.core.callers.peer import is_another_user
from run402_cli.core.callers.surfaces import is_bare
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import gateway_of
from run402_cli.local_gateway import CONSOLE
from run402_cli.proxies import is_loopback_address

# Where the pages are for whoever asks: with a pass, its links have it too.
place: ContextVar[str] = ContextVar("run402_console", default=CONSOLE)
_PASS = "run402.pass"
# Under these names a browser says that nobody looks yet.
_AHEAD = ("sec-purpose", "purpose", "x-moz", "x-purpose")
_ANY_PASS = re.compile(r"~[A-Za-z0-9_-]{20,}")
_WITH_PASS = re.compile(r"/+_run402/+~([A-Za-z0-9_-]+)(?:/(.*))?", re.DOTALL)


class Passes:
    """ASGI middleware: takes the pass out of the address, so that no route, log or page knows it but by `place`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = _WITH_PASS.fullmatch(scope["path"]) if scope["type"] == "http" else None
        if found is None:
            await self.app(scope, receive, send)
            return
        scope[_PASS] = found[1]
        # In place: who looks at the scope after the answer sees it as the routes did.
        scope["path"] = CONSOLE + (found[2] or "")
        scope["raw_path"] = scope["path"].encode()
        before = place.set(f"{CONSOLE}~{found[1]}/")
        try:
            await self.app(scope, receive, send)
        finally:
            place.reset(before)


def without_pass(path: str) -> str:
    """A path as it may be logged, however a pass stands in it."""
    return _ANY_PASS.sub("~...", path)


def has_pass(request: Request) -> bool:
    given = request.scope.get(_PASS)
    return given is not None and gateway_of(request).tickets.admits(given)


def look(request: Request) -> None:
    """Is this a person who looks, or a program? 403 origin_forbidden for what a page could do.

    The peer is this machine, and a way here from elsewhere is a click, not a script's doing.
    A sandboxed page has no origin, so that the browser calls the console's own links cross-site too; nobody but the person
    can read the page (it is sandboxed, no script, no frame), and looking changes nothing.
    """
    headers = request.headers
    peer = request.client.host if request.client else ""
    if not is_loopback_address(peer):
        raise _refused(f"{peer or 'A caller without an address'} is not this machine.")
    if not is_bare(headers):
        raise _refused("The Host header is not a name of the gateway.")
    how = (headers.get("sec-fetch-mode", "navigate"), headers.get("sec-fetch-dest", "document"))
    if how != ("navigate", "document") or "origin" in headers:
        raise _refused("The console is for a person to look at, not for a page to read.")
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and headers.get("sec-fetch-user") != "?1":
        raise _refused("A page opened the console without a click.")


def redeemed(request: Request) -> str:
    """The pass for the ticket in the query. 401 ticket_invalid; who looks ahead or is another user does not use it up."""
    ahead = any("prefetch" in request.headers.get(name, "").lower() for name in _AHEAD)
    if ahead or request.method != "GET":
        raise _refused("A ticket opens once: it is not for looking ahead.")
    # The list of processes shows every user the address that an opener got.
    if is_another_user(request):
        raise _refused("Another user of this machine opened an address of the console.")
    made = gateway_of(request).tickets.redeem(request.query_params.get("ticket", ""))
    if made is None:
        raise GatewayError(
            401, "ticket_invalid", "This address was used already, or is too old. `run402 open` makes a new one."
        )
    return made


def _refused(reason: str) -> GatewayError:
    return GatewayError(
        403, "origin_forbidden", f"{reason} Type the address into the browser of this machine, or run `run402 open`."
    )
