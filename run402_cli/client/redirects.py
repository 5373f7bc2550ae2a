"""What goes along when an answer sends a request on to another origin: no credential, no body, and nothing to this machine.

Who answers may be anybody (a seller, a function of somebody's project), and must neither collect keys nor aim this program
at what only this machine reaches. See docs/protocol/conventions.md, "Requests".
"""

from __future__ import annotations

from run402_cli import advice
from run402_cli.client.http import httpx
from run402_cli.errors import NetworkError
from run402_cli.proxies import is_loopback

_ASKED = "run402_asked"
_CREDENTIALS = ("apikey", "SIGN-IN-WITH-X", "X-Run402-Write-Auth", "Authorization", "Cookie")
_BODILESS = ("GET", "HEAD")


def begin(request: httpx.Request) -> None:
    """Note where a request goes that this program makes; its redirected copies keep the note."""
    request.extensions = {**request.extensions, _ASKED: request.url}


def is_first(request: httpx.Request) -> bool:
    """Whether a request goes to the very address that this program asked for, and not where an answer sent it."""
    return bool(request.extensions.get(_ASKED) == request.url)


def keep_at_home(request: httpx.Request) -> None:
    """Request hook: to another origin without credentials, and not at all with a body or to this machine (NetworkError)."""
    asked = request.extensions.get(_ASKED)
    if asked is None or _same_owner(asked, request.url):
        return
    if is_loopback(request.url.host) and not _same_server(asked, request.url):
        raise _refused(request, asked, "is an address of this machine")
    if request.method not in _BODILESS:
        raise _refused(request, asked, f"is another origin, and a {request.method} is for the one that was asked")
    for name in _CREDENTIALS:
        request.headers.pop(name, None)


def _same_owner(asked: httpx.URL, now: httpx.URL) -> bool:
    upgraded = (asked.scheme, now.scheme, asked.port, now.port) == ("http", "https", None, None)
    return asked.host == now.host and (upgraded or (asked.scheme, asked.port) == (now.scheme, now.port))


def _same_server(asked: httpx.URL, now: httpx.URL) -> bool:
    """Whether both are one port of this machine: a local gateway has its sites at hosts of their own."""
    return is_loopback(asked.host) and (asked.scheme, asked.port) == (now.scheme, now.port)


def _refused(request: httpx.Request, asked: httpx.URL, why: str) -> NetworkError:
    there, here = request.url.netloc.decode("ascii"), asked.netloc.decode("ascii")
    return NetworkError(
        f"{here} redirects this request to {there}, which {why}. Nothing was sent there.",
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
