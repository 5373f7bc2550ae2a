"""Which requests go through a proxy, and what is said of one that cannot be used."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from run402_cli.client.transport import LazyTransport, reason, refused_directly
from run402_cli.errors import EnvironmentFault
from run402_cli.proxies import Proxies, is_loopback, is_loopback_address

SECRET = "hunter2"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost", "LOCALHOST.", "a.b.localhost", "::ffff:127.0.0.1"]
)
def test_this_machine_is_never_reached_through_a_proxy(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "what://is this")
    assert is_loopback(host)
    assert Proxies().for_address("http", host, 4020) is None


@pytest.mark.parametrize("text", ["localhost", "a.localhost", "[::1]", "127.0.0.1%lo", "127.1", "", "10.0.0.1"])
def test_a_name_is_no_address_of_this_machine(text: str) -> None:
    assert not is_loopback_address(text)
    assert is_loopback_address("127.0.0.1")
    assert is_loopback_address("::1%lo")


@pytest.mark.parametrize("host", ["128.0.0.1", "localhost.example.com", "notlocalhost", "10.0.0.1"])
def test_other_hosts_are(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "proxy.example:3128")
    found = Proxies().for_address("http", host, None)
    assert found is not None
    assert found.url() == "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("entry", "host", "port", "direct"),
    [
        ("*", "any.example", 80, True),
        ("example.com", "example.com", 80, True),
        ("example.com", "api.example.com", 80, True),
        ("example.com", "notexample.com", 80, False),
        (".example.com", "api.example.com", 80, True),
        ("example.com:8080", "example.com", 8080, True),
        ("example.com:8080", "example.com", 80, False),
        ("10.0.0.0/8", "10.2.3.4", 80, True),
        ("10.0.0.0/8", "11.2.3.4", 80, False),
        ("fd00::/8", "fd12::1", 80, True),
        ("[fd00::1]:81", "fd00::1", 81, True),
        ("a.example, EXAMPLE.com", "example.com", None, True),
    ],
)
def test_exceptions(monkeypatch: pytest.MonkeyPatch, entry: str, host: str, port: int | None, direct: bool) -> None:
    monkeypatch.setenv("http_proxy", "http://p:1")
    monkeypatch.setenv("no_proxy", entry)
    assert (Proxies().for_address("http", host, port) is None) is direct


@pytest.mark.parametrize(
    "text", [f"socks4://u:{SECRET}@h:1", f"http://u:{SECRET}@h:99999", f"http://u:{SECRET}@", f"ht!tp://u:{SECRET}@x"]
)
def test_a_proxy_that_cannot_be_used_is_an_error_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", text)
    with pytest.raises(EnvironmentFault) as caught, httpx.Client(transport=LazyTransport()) as http:
        http.get("https://api.example/")
    assert "HTTPS_PROXY" in caught.value.message
    assert SECRET not in str(caught.value.envelope())


def test_socks_is_supported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", f"socks5://u:{SECRET}@127.0.0.1:9")
    with pytest.raises(httpx.TransportError) as caught, httpx.Client(transport=LazyTransport()) as http:
        http.get("http://api.example/")
    assert "socks5://127.0.0.1:9" in reason(caught.value)
    assert SECRET not in reason(caught.value)
    assert not refused_directly(caught.value)


def test_nothing_listens_is_said_of_a_refused_connection_only() -> None:
    with pytest.raises(httpx.TransportError) as caught, httpx.Client(transport=LazyTransport()) as http:
        http.get("http://127.0.0.1:9/")
    assert refused_directly(caught.value)
    assert not refused_directly(httpx.ConnectError("Name or service not known"))


class _Echo(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = self.headers["host"].encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Silence."""


@pytest.mark.parametrize("host", ["app.localhost", "a.b.localhost"])
def test_a_name_below_localhost_is_this_machine_whatever_the_resolver_says(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    resolve = socket.getaddrinfo

    def resolver(name: Any, *args: Any, **more: Any) -> Any:
        asked.append(name)
        if str(name).endswith(".localhost"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve(name, *args, **more)

    with ThreadingHTTPServer(("127.0.0.1", 0), _Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(socket, "getaddrinfo", resolver)
        url = f"http://{host}:{server.server_port}/x"
        with httpx.Client(transport=LazyTransport(), trust_env=False) as client:
            answer = client.get(url)
        server.shutdown()
    assert (answer.text, str(answer.request.url)) == (f"{host}:{server.server_port}", url)
    assert asked == ["127.0.0.1"]


def test_a_name_below_localhost_where_nothing_listens_is_refused_directly() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (
        httpx.Client(transport=LazyTransport(), trust_env=False) as client,
        pytest.raises(httpx.ConnectError) as caught,
    ):
        client.get(f"http://app.localhost:{port}/")
    assert refused_directly(caught.value)
