"""The port of the gateway, on every loopback address that a name of it may lead to."""

from __future__ import annotations

import contextlib
import errno
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from run402_cli import advice
from run402_cli.core.errors import CoreProcessError

HOST = "127.0.0.1"
# Browsers try it first for `localhost` and the names below: whoever listened there alone would have every project's origin.
HOST_6 = "::1"
_NO_IPV6 = {
    getattr(errno, name)
    for name in ("EADDRNOTAVAIL", "EAFNOSUPPORT", "WSAEADDRNOTAVAIL", "WSAEAFNOSUPPORT")
    if hasattr(errno, name)
}
_TRIES = 20


@contextmanager
def listening(port: int) -> Iterator[list[socket.socket]]:
    """Listening sockets, closed at the end; port 0 takes any that is free on all. CORE_PORT_IN_USE names a free one."""
    with ExitStack() as opened:
        yield [opened.enter_context(contextlib.closing(each)) for each in _listeners(port)]


def _listeners(port: int) -> list[socket.socket]:
    for attempt in range(_TRIES):
        first = _listener(socket.AF_INET, HOST, port)
        try:
            return [first, _listener(socket.AF_INET6, HOST_6, first.getsockname()[1])]
        except OSError as exc:
            if exc.errno in _NO_IPV6:
                return [first]
            first.close()
            raise
        except CoreProcessError:
            first.close()
            if port or attempt == _TRIES - 1:
                raise
    raise AssertionError  # the last attempt returns or raises


def _listener(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    # The protocol must be named: asyncio turns Nagle's algorithm off (40 ms per answer) only on sockets that say TCP.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform == "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            # Without it a restart has to wait for old connections to time out.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((host, port))
        listener.listen(512)
    except OSError as exc:
        listener.close()
        if exc.errno in _NO_IPV6 and family == socket.AF_INET6:
            raise
        raise _in_use(host, port, exc) from exc
    return listener


def _in_use(host: str, port: int, reason: OSError) -> CoreProcessError:
    free = _free_port_after(port)
    instead = ("core", "start", "--port", str(free))
    return CoreProcessError(
        "CORE_PORT_IN_USE",
        f"Port {port} of {host} cannot be used: {reason.strerror or reason}.",
        hint=f"Stop what listens there, or run: {advice.command(*instead)}",
        details={"port": port, "host": host, "free_port": free},
        next_actions=[advice.action("run_command", *instead)],
    )


def _free_port_after(port: int) -> int:
    """A port near `port` that nobody listens on right now."""
    for candidate in (*range(port + 1, min(port + 50, 65536)), 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, candidate))
            found: int = probe.getsockname()[1]
            with socket.socket(socket.AF_INET6) as other:
                try:
                    other.bind((HOST_6, found))
                except OSError as exc:
                    if exc.errno not in _NO_IPV6:
                        continue
            return found
    return 0
