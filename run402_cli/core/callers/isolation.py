"""What keeps projects apart in a browser on every host that is not a site's: there what all of them serve has one origin.

So it is on the gateway's own host, and on a name or address by which it is reached otherwise. There no answer of a project is
a page with that origin (it is sandboxed), none leaves anything behind, and cookies are neither taken nor given. The hosts of
sites have an origin each; see surfaces.py and docs/local-gateway.md, "Origins".
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from run402_cli.core.callers.surfaces import from_browser, site_label, starts_worker
from run402_cli.local_gateway import CONSOLE

_Pair = tuple[bytes, bytes]
_Drops = Callable[[bytes, bytes], bool]
# They act on the whole origin, or on what comes after.
_LASTING = frozenset(
    {
        *(b"service-worker-allowed", b"clear-site-data", b"nel", b"report-to", b"set-login", b"alt-svc"),
        *(b"strict-transport-security", b"origin-agent-cluster", b"accept-ch", b"critical-ch"),
    }
)
# Several policies hold together, so this one holds beside what a file brings.
_SANDBOX = [(b"content-security-policy", b"sandbox"), (b"x-content-type-options", b"nosniff")]


class Isolation:
    """ASGI middleware: see above."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        dropped: _Drops = _for_every_site
        added: list[_Pair] = []
        if site_label(headers) is None:
            dropped, added = _apart(scope, headers)

        async def send_apart(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [pair for pair in message["headers"] if not dropped(pair[0].lower(), pair[1])]
                message["headers"] = [*kept, *added]
            await send(message)

        await self.app(scope, receive, send_apart)


def _apart(scope: Scope, headers: Headers) -> tuple[_Drops, list[_Pair]]:
    """Which headers of the answer go, and which come; the request of a browser loses its cookies here."""
    lasting = _LASTING
    if from_browser(headers):
        scope["headers"] = [pair for pair in scope["headers"] if pair[0] != b"cookie"]
        lasting = _LASTING | {b"set-cookie"}
    # The gateway's own pages have a policy of their own (web/pages.py).
    added = [] if scope["path"].startswith(CONSOLE) else _SANDBOX
    if starts_worker(headers):
        # Also one that an older version let in comes for its script from time to time.
        added = [*added, (b"clear-site-data", b'"storage"')]
    return lambda name, _value: name in lasting, added


def _for_every_site(name: bytes, value: bytes) -> bool:
    """Is this a cookie for all hosts below localhost? Browsers refuse one too."""
    if name != b"set-cookie":
        return False
    words = [part.strip().lower() for part in value.split(b";")[1:]]
    return any(
        word.partition(b"=")[0].strip() == b"domain"
        and word.partition(b"=")[2].strip(b' ."') in (b"localhost", b"127.0.0.1")
        for word in words
    )
