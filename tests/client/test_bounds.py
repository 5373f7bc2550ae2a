"""What the other side sends has bounds: unpacked bytes, the memory of its JSON, and the time of a whole call."""

from __future__ import annotations

import gzip
import json
import os
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from run402_cli.client import bounded, deadline
from run402_cli.client.transport import LazyTransport
from run402_cli.main import _guarded
from run402_cli.state import profile

Talk = Callable[[socket.socket], None]
_MIB = 1 << 20


@contextmanager
def peer(talk: Talk) -> Iterator[str]:
    """The address of a server that leaves each of its connections to `talk`, after the head of a request came."""
    listener = socket.create_server(("127.0.0.1", 0))
    ending = threading.Event()

    def one(connection: socket.socket) -> None:
        with connection:
            try:
                while b"\r\n\r\n" not in connection.recv(65_536):
                    pass
                talk(connection)
            except OSError:
                pass

    def accept() -> None:
        while not ending.is_set():
            try:
                connection, _address = listener.accept()
            except OSError:
                return
            threading.Thread(target=one, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        ending.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def answering(body: bytes, *headers: str, status: str = "200 OK") -> Talk:
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "content-type: application/json", *headers]
    head = ("\r\n".join(lines) + "\r\n\r\n").encode()
    return lambda connection: connection.sendall(head + body)


def dripping(begin: bytes, drop: bytes) -> Talk:
    def talk(connection: socket.socket) -> None:
        connection.sendall(begin)
        while True:
            connection.sendall(drop)
            time.sleep(0.05)

    return talk


def bomb(size: int = 1 << 30, wbits: int = 31) -> bytes:
    packer, piece = zlib.compressobj(9, zlib.DEFLATED, wbits), b" " * _MIB
    return b"".join(packer.compress(piece) for _ in range(size // _MIB)) + packer.flush()


@pytest.fixture(scope="module")
def gigabyte() -> bytes:
    return bomb()


DRIPS = {
    "body": (b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n", b" "),
    "head": (b"HTTP/1.1 200 OK\r\nx-long: ", b"a"),
    "many heads": (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "size of a chunk": (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;", b"a"),
    "chunks": (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
}


@pytest.mark.parametrize("begin, drop", DRIPS.values(), ids=DRIPS)
def test_a_drip_ends_at_the_http_timeout_in_whatever_part_it_is(
    begin: bytes, drop: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started = time.monotonic()
    with peer(dripping(begin, drop)) as url:
        monkeypatch.setenv("RUN402_API_BASE", url)
        assert _guarded(["projects", "list", "--http-timeout", "0.4"]) == 1
    assert time.monotonic() - started < 20  # it would drip for hours
    error = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert error["code"] == "NETWORK_ERROR"
    assert "0.4 s" in error["message"]


def test_redirects_share_one_deadline(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def talk(connection: socket.socket) -> None:
        time.sleep(0.3)
        connection.sendall(b"HTTP/1.1 302 Found\r\nlocation: /again\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")

    started = time.monotonic()
    with peer(talk) as url:
        monkeypatch.setenv("RUN402_API_BASE", url)
        assert _guarded(["projects", "list", "--http-timeout", "0.5"]) == 1
    assert time.monotonic() - started < 5  # twenty redirects take six
    assert "0.5 s" in capsys.readouterr().err


def test_a_request_that_nobody_takes_ends_at_its_deadline() -> None:
    with peer(lambda _connection: time.sleep(5)) as url, bounded.Client(LazyTransport(), timeout=0.5) as http:
        started = time.monotonic()
        with pytest.raises(httpx.TimeoutException):
            http.post(url, content=b"x" * (64 * _MIB))
        assert time.monotonic() - started < 4.5


def test_a_download_goes_on_as_long_as_bytes_come() -> None:
    begin = b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n"
    with peer(dripping(begin, b"x")) as url, bounded.Client(LazyTransport(), timeout=0.3) as http:
        response = http.send(http.build_request("GET", url), stream=True)
        deadline.by_progress(response.request)
        assert b"".join(response.iter_bytes()) == b"x" * 20  # a second, in which no pause was long


def test_a_stream_that_is_sent_may_take_as_long_as_it_moves() -> None:
    def talk(connection: socket.socket) -> None:
        connection.settimeout(5)
        got = b""
        while b"0\r\n\r\n" not in got:
            got += connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    def slowly() -> Iterator[bytes]:
        for _ in range(8):
            time.sleep(0.1)
            yield b"x"

    with peer(talk) as url, bounded.Client(LazyTransport(), timeout=0.4) as http:
        assert http.put(url, content=slowly()).text == "ok"


def test_each_call_has_a_deadline_where_none_is_named() -> None:
    request = httpx.Request("GET", "http://x.test/", extensions={"timeout": httpx.Timeout(300, connect=30).as_dict()})
    deadline.begin(request)
    limits = request.extensions["timeout"]
    assert all(isinstance(limit, deadline.Until) and limit.whole == 900 for limit in limits.values())
    assert limits["connect"] == 30


# -- size ----------------------------------------------------------------------------------------------------------------


# The peak of this very program; getrusage would count the process that it was forked from.
_MEASURED = """
import re, sys
from pathlib import Path
from run402_cli.main import _guarded
status = _guarded(sys.argv[1:])
print(status, re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


def _memory_of(command: list[str], env: dict[str, str]) -> tuple[int, dict[str, object]]:
    """(peak memory in MiB, error envelope) of the program in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, *command],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    status, peak = done.stdout.split()
    assert status == "1"
    return int(peak) // 1024, json.loads(done.stderr.splitlines()[-1])


_DICTS = b"[" + b"{}," * (10 * _MIB) + b"{}]"
BOMBS: dict[str, Callable[[bytes], Talk]] = {
    "gzip": lambda packed: answering(packed, "content-encoding: gzip"),
    "an error": lambda packed: answering(packed, "content-encoding: gzip", status="500 Oops"),
    "a redirect": lambda packed: answering(
        packed, "content-encoding: gzip", "location: /elsewhere", status="302 Found"
    ),
    "gzip in gzip": lambda packed: answering(gzip.compress(packed), "content-encoding: gzip, gzip"),
    "not packed": lambda _packed: answering(b" " * (80 * _MIB)),
    "deflate": lambda _packed: answering(bomb(400 * _MIB, 15), "content-encoding: deflate"),
    "br": lambda packed: answering(packed, "content-encoding: br"),
    "many values": lambda _packed: answering(gzip.compress(_DICTS), "content-encoding: gzip"),
}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak of one program")
@pytest.mark.parametrize("kind", BOMBS)
def test_an_answer_that_unpacks_without_end_costs_little_memory_and_is_an_error(
    kind: str, gigabyte: bytes, config_dir: Path
) -> None:
    with peer(BOMBS[kind](gigabyte)) as url:
        peak, error = _memory_of(["projects", "list"], {"RUN402_API_BASE": url, "RUN402_CONFIG_DIR": str(config_dir)})
    assert peak < 300
    assert error["code"] == ("ANSWER_UNREADABLE" if kind in ("br", "gzip in gzip") else "ANSWER_TOO_LARGE")
    assert error["safe_to_retry"] is True  # it was a read
    assert error["retryable"] is False
    assert error["hint"]


def test_a_write_whose_answer_is_too_large_may_have_been_done(
    gigabyte: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = {"service_key": "r402_service_1", "anon_key": "r402_anon_1"}
    profile.activate(profile.select(None)).keys.upsert("prj_a", keys)
    with peer(answering(gigabyte, "content-encoding: gzip")) as url:
        monkeypatch.setenv("RUN402_API_BASE", url)
        assert _guarded(["projects", "sql", "prj_a", "insert into t values (1)"]) == 1
    error = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert error["code"] == "ANSWER_TOO_LARGE"
    assert error["safe_to_retry"] is False


@pytest.mark.parametrize("wbits", [31, 15, -15], ids=["gzip", "zlib", "raw deflate"])
def test_what_is_packed_is_unpacked(wbits: int) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, wbits)
    plain = os.urandom(300_000) + b"a" * 5_000_000 + os.urandom(70_000)
    packed = packer.compress(plain) + packer.flush()
    coding = "gzip" if wbits == 31 else "deflate"
    with (
        peer(answering(packed, f"content-encoding: {coding}")) as url,
        bounded.Client(LazyTransport(), timeout=9) as http,
    ):
        assert http.get(url).content == plain
        streamed = http.send(http.build_request("GET", url), stream=True)
        pieces = list(streamed.iter_bytes())
        assert b"".join(pieces) == plain
        assert max(map(len, pieces)) <= 65_536


def test_a_download_is_as_large_as_it_is(gigabyte: bytes) -> None:
    with (
        peer(answering(gigabyte, "content-encoding: gzip")) as url,
        bounded.Client(LazyTransport(), timeout=60) as http,
    ):
        response = http.send(http.build_request("GET", url), stream=True)
        assert sum(map(len, response.iter_bytes())) == 1 << 30


def test_only_what_can_be_unpacked_is_asked_for() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text=request.headers["accept-encoding"])

    with bounded.Client(httpx.MockTransport(handle), timeout=1) as http:
        assert http.get("http://x.test/").text == "gzip, deflate"
