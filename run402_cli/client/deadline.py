"""The moment by which one call has to be over, however slowly its parts come. See docs/protocol/conventions.md, "Bounds".

httpx limits each read and write for itself, so an answer that drips never ends. Here the limit that it hands to each of them
knows the common moment, and `Network` looks at it before each.
"""

from __future__ import annotations

import contextlib
import contextvars
import socket
import time
from collections.abc import Iterable, Iterator
from typing import Any

from run402_cli import global_options
from run402_cli.client.http import httpx

# Where nobody named a limit: for one read, and for all of an answer.
EACH_SECONDS = 300.0
WHOLE_SECONDS = 900.0
_WRITTEN_AT_ONCE = 16_384
# The error when a connection that is opened now leads to this machine; None: it may.
not_here: contextvars.ContextVar[Exception | None] = contextvars.ContextVar("not_here", default=None)


class Until(float):
    """Seconds that one operation may take, and none goes on after `at`; it counts from the first one when not begun."""

    def __new__(cls, each: float, whole: float, *, begun: bool) -> Until:
        self = super().__new__(cls, each)
        self.whole = whole
        self.at = time.monotonic() + whole if begun else None
        return self

    whole: float
    at: float | None

    def left(self) -> float:
        """Seconds that the next operation has; not above zero when the time is over."""
        now = time.monotonic()
        if self.at is None:
            self.at = now + self.whole
        return min(float(self), self.at - now)


def begin(request: httpx.Request) -> None:
    """Give a request its deadline. A body that is streamed may take as long as it moves; then only the answer has one."""
    limits = request.extensions.get("timeout")
    if not isinstance(limits, dict) or limits.get("read") is None:
        return
    each = float(limits["read"])
    asked = global_options.current.http_timeout
    whole = min(asked, each) if asked is not None else WHOLE_SECONDS if each >= EACH_SECONDS else each
    if isinstance(request.stream, httpx.ByteStream):
        ends = {name: None if limit is None else _until(limit, whole) for name, limit in limits.items()}
    else:
        ends = {**limits, "read": Until(each, whole, begun=False)}
    request.extensions = {**request.extensions, "timeout": ends}


def _until(limit: float, whole: float) -> Until:
    return Until(min(float(limit), whole), whole, begun=True)


def by_progress(request: httpx.Request) -> None:
    """Let the rest of an answer take as long as it moves: call between its head and its body."""
    limits = request.extensions.get("timeout")
    if isinstance(limits, dict) and limits.get("read") is not None:
        limits["read"] = float(limits["read"])


def watch(transport: httpx.HTTPTransport) -> None:
    """Make a transport keep deadlines; where its parts are named otherwise, each read keeps its own limit."""
    pool: Any = getattr(transport, "_pool", None)  # httpx hands no `network_backend` through
    if hasattr(pool, "_network_backend"):
        import httpcore

        pool._network_backend = _Network(pool._network_backend, httpcore)


class _Network:
    """httpcore's way to open connections, with the deadline of its request and not to where that may not go."""

    def __init__(self, inner: Any, httpcore: Any) -> None:
        self._inner, self._httpcore = inner, httpcore

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, **options: Any) -> Any:
        if not isinstance(timeout, Until):
            return self._opened(self._inner.connect_tcp(host, port, timeout, **options))
        failed: Exception | None = None
        for address in self._addresses(host, port):
            try:
                with _within(timeout, self._httpcore.ConnectTimeout) as left:
                    return self._opened(self._inner.connect_tcp(address, port, left, **options))
            except (self._httpcore.ConnectError, self._httpcore.ConnectTimeout) as exc:
                failed = failed or exc
        raise failed or self._httpcore.ConnectError(f"{host} has no address")

    def _opened(self, stream: Any) -> _Stream:
        """Before its first byte. Whatever name or address led here: both ends of it are this machine."""
        refusal = not_here.get()
        if refusal is not None and address(stream) == address(stream, "client_addr"):
            stream.close()
            raise refusal
        return _Stream(stream, self._httpcore)

    def _addresses(self, host: str, port: int) -> Iterable[str]:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as exc:
            raise self._httpcore.ConnectError(str(exc)) from exc
        return dict.fromkeys(str(each[4][0]) for each in found)

    def connect_unix_socket(self, path: str, timeout: float | None = None, **options: Any) -> Any:
        return _Stream(self._inner.connect_unix_socket(path, timeout, **options), self._httpcore)

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)


def address(stream: Any, end: str = "server_addr") -> str:
    """The address at one end of a connection; empty where it has none."""
    return str((stream.get_extra_info(end) or ("",))[0])


class _Stream:
    """A connection whose reads and writes end at the deadline."""

    def __init__(self, inner: Any, httpcore: Any) -> None:
        self._inner, self._httpcore = inner, httpcore

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with _within(timeout, self._httpcore.ReadTimeout) as left:
            data: bytes = self._inner.read(max_bytes, left)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # In pieces, for httpcore gives the whole limit to each part that the system takes.
        for start in range(0, len(buffer), _WRITTEN_AT_ONCE):
            with _within(timeout, self._httpcore.WriteTimeout) as left:
                self._inner.write(buffer[start : start + _WRITTEN_AT_ONCE], left)

    def start_tls(self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None) -> Any:
        with _within(timeout, self._httpcore.ConnectTimeout) as left:
            return _Stream(self._inner.start_tls(ssl_context, server_hostname, left), self._httpcore)

    def close(self) -> None:
        self._inner.close()

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


@contextlib.contextmanager
def _within(timeout: float | None, error: Any) -> Iterator[float | None]:
    """Seconds for one operation; `error` when the deadline was over before it, or ended it."""
    if not isinstance(timeout, Until):
        yield timeout
        return
    left = timeout.left()
    try:
        if left > 0:
            yield left
            return
    except error:
        if timeout.left() > 0:
            raise
    raise error(f"it was not over after {timeout.whole:g} s")
