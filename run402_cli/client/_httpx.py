"""Import httpx, and httpcore below it, without the optional parts that this program does not use.

`import httpx` also imports `httpx._main`, its own command line, which pulls in click, rich and pygments (about 50 ms)
when those are installed, as they are here; httpcore imports anyio and trio, for async clients, and socksio, for SOCKS
proxies. Both handle that an optional part is not installed, which a None in sys.modules looks like. Import httpx from
here, nowhere else.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from run402_cli import interpreter


@contextlib.contextmanager
def _without(*names: str) -> Iterator[None]:
    """Inside, these modules are not installed; one that is there already costs nothing more and stays."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


if "httpx" not in sys.modules:
    with _without("httpx._main"):
        import httpx
else:
    import httpx


def load_core(*, socks: bool) -> None:
    """Call before the first transport is made: import httpcore, with what SOCKS proxies need only when there are some.

    In a caller's process everything is imported, for the caller may have async clients and proxies of its own.
    """
    if not interpreter.own or "httpcore" in sys.modules:
        return
    with _without("anyio", "trio", *(() if socks else ("socksio",))):
        import httpcore  # noqa: F401


__all__ = ["httpx", "load_core"]
