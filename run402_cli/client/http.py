"""Import httpx, and httpcore below it, without the optional parts that this program does not use.

`import httpx` also imports `httpx._main`, its own command line, which pulls in click, rich and pygments (about 50 ms)
when those are installed, as they are here; and for cookies, which no command keeps, half of urllib and email. httpcore
imports anyio and trio, for async clients, and socksio, for SOCKS proxies. Import httpx from here, nowhere else.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from run402_cli import interpreter
from run402_cli.partial_imports import instead, later, without


class _NoCookies:
    """Stands for `http.cookiejar.CookieJar`: keeps no cookie, and so sends none."""

    def extract_cookies(self, response: object, request: object) -> None:
        pass

    def add_cookie_header(self, request: object) -> None:
        pass

    def __iter__(self) -> Iterator[Any]:
        return iter(())


class _CookieRequest:
    """Stands for `urllib.request.Request`, which httpx makes for the jar alone."""

    def __init__(self, **_words: object) -> None:
        pass


def _unused(*_words: object) -> Any:
    raise NotImplementedError("run402 gives httpx its proxies and signs its requests")


def _without_cookies() -> None:
    with ExitStack() as stack:
        stack.enter_context(without("httpx._main"))
        stack.enter_context(later("email.message"))
        stack.enter_context(
            instead(
                http__cookiejar={"Cookie": _NoCookies, "CookieJar": _NoCookies},
                urllib__request={"Request": _CookieRequest, "getproxies": _unused, "parse_http_list": _unused},
            )
        )
        import httpx  # noqa: F401


if interpreter.own and "httpx" not in sys.modules:
    try:
        _without_cookies()
    except (ImportError, AttributeError):  # another release of httpx, which wants more of them: it gets everything
        for name in [name for name in sys.modules if name.partition(".")[0] == "httpx"]:
            del sys.modules[name]
with without(*(() if "httpx" in sys.modules else ("httpx._main",))):
    import httpx


def load_core(*, socks: bool) -> None:
    """Call before the first transport is made: import httpcore, with what SOCKS proxies need only when there are some.

    In a caller's process everything is imported, for the caller may have async clients and proxies of its own.
    """
    if not interpreter.own or "httpcore" in sys.modules:
        return
    with without("anyio", "trio", *(() if socks else ("socksio",))), later("certifi"):
        import httpcore  # noqa: F401


__all__ = ["httpx", "load_core"]
