"""No answer and no file aims a request at this machine, whatever the address is called."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from run402_cli.client import Client
from run402_cli.client.transport import NEAR
from run402_cli.errors import NetworkError
from run402_cli.services import content
from run402_cli.state.profile import opened
from run402_cli.up._verify import Verifier

# Names that only the resolver knows to be of this machine.
SHOP, INNER = "shop.test", "inner.test"


class Listener(ThreadingHTTPServer):
    """A program on a port that writes down what arrives, and answers as it is told."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[str] = []
        self.status, self.to = 200, ""


class _Handler(BaseHTTPRequestHandler):
    server: Listener

    def do_GET(self) -> None:
        self.server.seen.append(f"{self.command} {self.path}")
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(self.server.status)
        if self.server.to:
            self.send_header("location", self.server.to)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_PUT = do_POST = do_GET

    def log_message(self, *_words: Any) -> None:
        pass


def listening() -> Listener:
    server = Listener()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    return server


@pytest.fixture
def shop() -> Iterator[Listener]:
    with listening() as server:
        yield server
        server.shutdown()


@pytest.fixture
def inner() -> Iterator[Listener]:
    """What only this machine reaches."""
    with listening() as server:
        yield server
        server.shutdown()


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = socket.getaddrinfo

    def resolver(name: Any, *args: Any, **more: Any) -> Any:
        return resolve("127.0.0.1" if str(name).endswith(".test") else name, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolver)


@pytest.mark.parametrize(
    "host", [INNER, "0.0.0.0", "127.1", "2130706433", "0x7f.1", "[::ffff:0.0.0.0]", "[::]", "0", "127.0.0.1."]
)
@pytest.mark.parametrize("limits", [{}, {"timeout": None}])
def test_a_redirect_sends_nothing_to_this_machine(
    shop: Listener, inner: Listener, host: str, limits: dict[str, Any]
) -> None:
    shop.status, shop.to = 302, f"http://{host}:{inner.server_port}/admin"
    with Client() as client, pytest.raises(NetworkError) as caught:
        client.http.get(f"http://{SHOP}:{shop.server_port}/x", **limits)
    assert caught.value.envelope()["code"] == "REDIRECT_REFUSED"
    assert (shop.seen, inner.seen) == (["GET /x"], [])


def test_what_the_user_named_is_asked_and_so_are_its_own_redirects(shop: Listener) -> None:
    with Client() as client:
        assert client.http.get(f"http://{SHOP}:{shop.server_port}/x").status_code == 200
        shop.status, shop.to = 302, "/y"
        with pytest.raises(Exception, match="redirect"):
            client.http.get(f"http://{SHOP}:{shop.server_port}/x")
    assert shop.seen[:3] == ["GET /x", "GET /x", "GET /y"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", INNER, "127.1"])
def test_an_api_on_another_machine_names_no_upload_address_on_this_one(inner: Listener, host: str) -> None:
    url = f"http://{host}:{inner.server_port}/_bulk"
    with Client(opened(api_base="https://api.test")) as client, pytest.raises(NetworkError) as caught:
        content.put(client, url, b"bytes", length=5, checksum="x")
    assert "api.test is what this command asks" in str(caught.value)
    assert inner.seen == []


@pytest.mark.parametrize("api", ["http://127.0.0.1:4020", "http://shop.test:4020"])
def test_a_local_api_has_its_store_on_the_same_machine(inner: Listener, api: str) -> None:
    host = SHOP if SHOP in api else "localhost"
    with Client(opened(api_base=api)) as client:
        answer = content.put(client, f"http://{host}:{inner.server_port}/k", b"bytes", length=5, checksum="x")
    assert (answer.status_code, inner.seen) == (200, ["PUT /k"])


@pytest.mark.parametrize("api", ["https://api.test", "http://127.0.0.1:4020"])
@pytest.mark.parametrize("host", ["127.0.0.1", INNER])
def test_a_check_of_a_manifest_asks_nothing_else_on_this_machine(inner: Listener, api: str, host: str) -> None:
    check = {"id": "x", "url": f"http://{host}:{inner.server_port}/local-admin?do=delete", "expect": {"status": 200}}
    with Client(opened(api_base=api)) as client:
        results, _rollup = Verifier(client, "prj_1", None, 0.0, wait=False).run([check])
    assert results[0]["status"] == "failed"
    assert not [line for line in inner.seen if "local-admin" in line]


def test_a_402_says_whether_it_came_from_this_machine(shop: Listener) -> None:
    shop.status = 402
    with Client() as client:
        assert client.http.get(f"http://{SHOP}:{shop.server_port}/x").extensions[NEAR] is True
