"""Where others may aim a request, and what goes along: no credential, no body, and nothing to this machine.

Who answers may be anybody (a seller, a function of somebody's project), and so may be who wrote a manifest. They must neither
collect keys nor aim this program at what only this machine reaches, whatever name it has: transport.py looks at each new
connection. See docs/protocol/conventions.md, "Requests".
"""

from __future__ import annotations

from run402_cli import advice
from run402_cli.client.http import httpx
from run402_cli.errors import NetworkError
from run402_cli.proxies import is_loopback

_ASKED = "run402_asked"
_NAMED_BY = "run402_named_by"
# The error of a request that may not reach this machine, for whoever opens its connection.
NOT_HERE = "run402_not_here"
_CREDENTIALS = ("apikey", "SIGN-IN-WITH-X", "X-Run402-Write-Auth", "Authorization", "Cookie")
_BODILESS = ("GET", "HEAD")


def begin(request: httpx.Request) -> None:
    """Note where a request goes that this program makes; its redirected copies keep the note."""
    request.extensions = {**request.extensions, _ASKED: request.url}


def is_first(request: httpx.Request) -> bool:
    """Whether a request goes to the very address that this program asked for, and not where an answer sent it."""
    return bool(request.extensions.get(_ASKED) == request.url)


def named_by(source: str, *, anywhere: bool) -> dict[str, tuple[httpx.URL, bool]]:
    """Extensions of a request whose address is not the user's: an answer of the API at `source`, or a file, names it.

    It may be of this machine only where the API is: at its port, or `anywhere` on it.
    """
    return {_NAMED_BY: (httpx.URL(source), anywhere)}


def keep_at_home(request: httpx.Request) -> None:
    """Request hook: to another origin without credentials, and not at all with a body or to this machine (NetworkError)."""
    asked = request.extensions.get(_ASKED)
    if asked is None:
        return
    refusal = None
    if not _same_owner(asked, request.url):
        if not _same_server(asked, request.url):
            refusal = _refused(request, asked, "redirects this request to", "is an address of this machine")
        if refusal is not None and is_loopback(request.url.host):
            raise refusal
        if request.method not in _BODILESS:
            why = f"is another origin, and a {request.method} is for the one that was asked"
            raise _refused(request, asked, "redirects this request to", why)
        for name in _CREDENTIALS:
            request.headers.pop(name, None)
    elif (named := request.extensions.get(_NAMED_BY)) is not None and not _is_near(named, request.url):
        refusal = _refused(request, named[0], "is what this command asks, not", "is an address of this machine")
        if is_loopback(request.url.host):
            raise refusal
    request.extensions = {**request.extensions, NOT_HERE: refusal}


def _is_near(named: tuple[httpx.URL, bool], url: httpx.URL) -> bool:
    """Whether an address of this machine is no further than the API that it is named for."""
    source, anywhere = named
    local = is_loopback(source.host)
    if _same_server(source, url) or (anywhere and local):
        return True
    return source.host == url.host and not local


def _same_owner(asked: httpx.URL, now: httpx.URL) -> bool:
    upgraded = (asked.scheme, now.scheme, asked.port, now.port) == ("http", "https", None, None)
    return asked.host == now.host and (upgraded or (asked.scheme, asked.port) == (now.scheme, now.port))


def _same_server(asked: httpx.URL, now: httpx.URL) -> bool:
    """Whether both are one port of this machine: a local gateway has its sites at hosts of their own."""
    return is_loopback(asked.host) and (asked.scheme, asked.port) == (now.scheme, now.port)


def _refused(request: httpx.Request, asked: httpx.URL, does: str, why: str) -> NetworkError:
    there, here = request.url.netloc.decode("ascii"), asked.netloc.decode("ascii")
    return NetworkError(
        f"{here} {does} {there}, which {why}. Nothing was sent there.",
        read=request.method in _BODILESS,
        extra={
            "code": "REDIRECT_REFUSED",
            "retryable": False,
            "safe_to_retry": request.method in _BODILESS,
            "hint": f"If {there} is the right address, name it yourself. Where requests go: run402 status",
            "details": {"asked": here, "redirected_to": there},
            "next_actions": [advice.action("run_command", "status", why="It shows the gateway in use.")],
        },
    )
