"""A connection that completes no request in time is closed, wherever it stopped; one that keeps sending is not (F9)."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from run402_cli.core.web.patience import REQUEST_SECONDS, SLOWEST_BYTES_PER_SECOND, patient_protocol

PATIENCE = 0.4


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Reads all of the body; /slow answers long after the patience is over."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    if scope["path"] == "/slow":
        await asyncio.sleep(PATIENCE * 4)
    body = str(size).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, lifespan="off", log_level="warning", http=patient_protocol(PATIENCE))
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join(10)


def talk(port: int, *parts: bytes, pause: float = 0) -> bytes:
    """Send the parts, then read until the other side closes; an error when it does not within ten seconds."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as caller:
        for part in parts:
            caller.sendall(part)
            time.sleep(pause)
        received = b""
        while chunk := caller.recv(65536):
            received += chunk
        return received


@pytest.mark.parametrize(
    "said",
    [b"", b"GET / HT", b"GET / HTTP/1.1\r\nhost: x\r\n", b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nab"],
    ids=["nothing", "half a line", "half the headers", "half the body"],
)
def test_a_caller_that_stops_is_hung_up_on(port: int, said: bytes) -> None:
    answer = talk(port, said)
    assert answer == b"" if not said else answer.startswith(b"HTTP/1.1 408 ")


def test_a_caller_that_stops_in_its_second_request_is_hung_up_on(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as caller:
        caller.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        answer = b""
        while not answer.endswith(b"\r\n\r\n0"):
            answer += caller.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200 ")
        caller.sendall(b"GET /again HT")
        assert caller.recv(65536).startswith(b"HTTP/1.1 408 ")
        assert caller.recv(65536) == b""


def test_dripping_bytes_buys_no_time(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as caller:
        caller.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n")
        with pytest.raises(OSError):
            for _ in range(200):
                caller.sendall(b"a: b\r\n")
                time.sleep(0.05)


def test_a_body_that_keeps_coming_is_taken_however_long_it_takes(port: int) -> None:
    part = b"x" * (SLOWEST_BYTES_PER_SECOND // 4)
    head = b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % (len(part) * 10)
    answer = talk(port, head, *[part] * 10, pause=PATIENCE / 3)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"%d" % (len(part) * 10))


def test_an_answer_may_take_longer(port: int) -> None:
    answer = talk(port, b"GET /slow HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_the_gateway_waits_a_minute() -> None:
    assert REQUEST_SECONDS == 60
