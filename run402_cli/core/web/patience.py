"""How long the gateway waits for a caller: a connection that sends no complete request in time is closed.

uvicorn limits only the pause after an answer. Without this, a caller that connects and says nothing, or stops in the middle
of a request, holds a descriptor for ever, and there are few of them. See docs/local-gateway.md, "Limits of a connection".
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.auto import AutoHTTPProtocol

REQUEST_SECONDS = 60.0
# A body that keeps coming at this rate is never cut off, however long it is.
SLOWEST_BYTES_PER_SECOND = 16_384

_TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


def patient_protocol(seconds: float = REQUEST_SECONDS) -> type[asyncio.Protocol]:
    """uvicorn's HTTP protocol, with at most `seconds` for each request to arrive."""
    base: Any = AutoHTTPProtocol

    class PatientProtocol(base):  # type: ignore[misc]
        def __init__(self, config: Config, *args: Any, **kwargs: Any) -> None:
            super().__init__(config, *args, **kwargs)
            self._wait = _Wait(self, seconds)

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._wait.begin()

        def connection_lost(self, exc: Exception | None) -> None:
            self._wait.end()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._wait.received(len(data))

        def on_response_complete(self) -> None:
            super().on_response_complete()
            # A request that came meanwhile has been handed on by now.
            self._wait.begin()

    return PatientProtocol


class _Wait:
    """The time that one connection has left to complete its request."""

    def __init__(self, protocol: Any, seconds: float) -> None:
        self.protocol, self.seconds = protocol, seconds
        self.loop = asyncio.get_running_loop()
        self.deadline = 0.0
        self.has_data = False
        self.timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """A request may come from now on, unless one is there already."""
        self.end()
        self.deadline, self.has_data = self.loop.time() + self.seconds, False
        if self._waiting():
            self.timer = self.loop.call_at(self.deadline, self._look)

    def received(self, size: int) -> None:
        self.has_data = True
        self.deadline += size / SLOWEST_BYTES_PER_SECOND
        if not self._waiting():
            self.end()

    def end(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def _waiting(self) -> bool:
        cycle = self.protocol.cycle
        return cycle is None or cycle.response_complete or cycle.more_body

    def _look(self) -> None:
        self.timer = None
        transport = self.protocol.transport
        if transport.is_closing() or transport.get_protocol() is not self.protocol:
            return
        if self.protocol.flow.read_paused:
            # We are the slow one: what was sent has not been taken yet.
            self.deadline = self.loop.time() + self.seconds
        if self.loop.time() < self.deadline:
            self.timer = self.loop.call_at(self.deadline, self._look)
            return
        cycle = self.protocol.cycle
        answering = cycle is not None and not cycle.response_complete and cycle.response_started
        if self.has_data and not answering:
            transport.write(_TOO_LATE)
        transport.close()
