"""What is sent to a local address: the control token to this user's own gateway, nothing to who listens in its place."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from run402_cli.client import Client, own_gateway
from run402_cli.errors import NetworkError
from run402_cli.file_lock import FileLock
from run402_cli.local_gateway import MARKER, RUN_LOCK, STATE
from run402_cli.services.pay import pay
from run402_cli.state.profile import current, opened
from run402_cli.state.target import save_target

TOKEN = "ab" * 32


class Listener(ThreadingHTTPServer):
    """Any program on a port: it writes down what arrives."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[tuple[str, str | None]] = []
        self.to: str | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Listener

    def do_GET(self) -> None:
        self.server.seen.append((self.path, self.headers.get("Run402-Control-Token")))
        self.send_response(200 if self.server.to is None else 307)
        if self.server.to is not None:
            self.send_header("Location", self.server.to)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_POST = do_DELETE = do_GET

    def log_message(self, *_words: Any) -> None:
        pass


@contextmanager
def listening() -> Iterator[Listener]:
    with Listener() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as server:
        yield server


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "core"
    folder.mkdir()
    monkeypatch.setenv("RUN402_CORE_DATA_DIR", str(folder))
    return folder


@contextmanager
def running(folder: Path, url: str, **more: Any) -> Iterator[None]:
    """As a gateway leaves its data directory while it runs."""
    lock = FileLock(folder / RUN_LOCK)
    assert lock.acquire(1)
    (folder / STATE).write_text(json.dumps({"pid": 1, "url": url, "control_token": TOKEN, **more}))
    yield
    lock.release()


def asked(url: str, path: str = "/projects/v1") -> None:
    with Client(opened(api_base=url)) as client:
        client.request("GET", path, context="asking")


def refused(url: str) -> dict[str, Any]:
    with pytest.raises(NetworkError) as caught:
        asked(url)
    return dict(caught.value.envelope())


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_own_gateway_gets_the_token(data_dir: Path, listener: Listener, host: str) -> None:
    with running(data_dir, listener.url):
        asked(listener.url.replace("127.0.0.1", host))
    assert listener.seen == [("/projects/v1", TOKEN)]


def test_nothing_is_sent_to_who_listens_where_the_gateway_listened(data_dir: Path, listener: Listener) -> None:
    (data_dir / MARKER).write_text(json.dumps({"port": listener.server_port}))
    with running(data_dir, listener.url):
        pass  # killed: its file says still that it runs
    said = refused(listener.url)
    assert said["next_actions"][0]["command"].startswith("run402 core start")
    assert (said["code"], said["safe_to_retry"]) == ("NETWORK_ERROR", True)
    refused(listener.url.replace("127.0.0.1", "localhost"))
    # Who looks whether the gateway runs elsewhere asks for its health, without any credential.
    assert set(listener.seen) <= {("/health", None)}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root, to be two users")
@pytest.mark.parametrize("of_another", ["", STATE, RUN_LOCK])
@pytest.mark.parametrize("remembered", [True, False])
def test_what_another_user_put_where_the_data_directory_was_is_not_believed(
    data_dir: Path, listener: Listener, of_another: str, remembered: bool
) -> None:
    if remembered:
        save_target(
            current().dir, api_base=listener.url, kind="core", health={"health_status": "ok"}, data_dir=data_dir
        )
    (data_dir / MARKER).write_text(json.dumps({"port": listener.server_port}))
    with running(data_dir, listener.url):
        os.chown(data_dir / of_another, 65533, -1)
        with Client() if remembered else Client(opened(api_base=listener.url)) as client, pytest.raises(NetworkError):
            client.request("GET", "/projects/v1", context="asking")
        assert list(own_gateway.running(current())) == []
    assert set(listener.seen) <= {("/health", None)}


def test_nothing_is_sent_to_the_former_port_of_a_gateway_that_runs_elsewhere(
    data_dir: Path, listener: Listener
) -> None:
    save_target(current().dir, api_base=listener.url, kind="core", health={"health_status": "ok"}, data_dir=data_dir)
    with listening() as elsewhere, running(data_dir, elsewhere.url):
        with Client() as client, pytest.raises(NetworkError):
            client.request("GET", "/projects/v1", context="asking")
        assert TOKEN not in str(elsewhere.seen)
    assert listener.seen == []


def test_the_saved_target_knows_its_data_directory(
    tmp_path: Path, data_dir: Path, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    save_target(current().dir, api_base=listener.url, kind="core", health={"health_status": "ok"}, data_dir=other)
    with Client() as client, pytest.raises(NetworkError):
        client.request("GET", "/projects/v1", context="asking")
    with running(other, listener.url), Client(opened()) as client:
        client.request("GET", "/projects/v1", context="asking")
    assert listener.seen == [("/projects/v1", TOKEN)]


def test_an_address_that_is_no_gateway_of_this_user_is_the_users_own_word(data_dir: Path, listener: Listener) -> None:
    (data_dir / MARKER).write_text(json.dumps({"port": 1}))
    asked(listener.url)
    with running(data_dir, "http://127.0.0.1:1"):
        asked(listener.url)
    assert listener.seen == [("/projects/v1", None)] * 2


def test_no_redirect_leads_to_another_program_of_this_machine(data_dir: Path, listener: Listener) -> None:
    with listening() as elsewhere, running(data_dir, listener.url):
        listener.to = elsewhere.url + "/collect"
        assert refused(listener.url)["code"] == "REDIRECT_REFUSED"
        assert elsewhere.seen == []
    assert listener.seen == [("/projects/v1", TOKEN)]


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_whoever_answers_aims_no_request_at_the_own_gateway(data_dir: Path, listener: Listener, method: str) -> None:
    """As a hostile API does, and as a seller does to `run402 pay`."""
    with listening() as hostile, running(data_dir, listener.url):
        hostile.to = f"{listener.url}/projects/v1/prj_1/snapshots/snap_1"
        with Client(opened(api_base=hostile.url)) as client, pytest.raises(NetworkError) as caught:
            client.request(method, "/apps/v1/ver_1", context="asking")
        assert (caught.value.envelope()["code"], caught.value.envelope()["safe_to_retry"]) == (
            "REDIRECT_REFUSED",
            method == "GET",
        )
        with Client(opened(api_base=listener.url)) as client, pytest.raises(NetworkError):
            pay(client, f"{hostile.url}/x", method=method)
    assert listener.seen == []


def test_a_function_of_the_own_gateway_aims_nothing_at_its_control_plane(data_dir: Path, listener: Listener) -> None:
    with running(data_dir, listener.url):
        listener.to = "/projects/v1/prj_1/snapshots/snap_1"
        with Client(opened(api_base=listener.url)) as client, pytest.raises(NetworkError):
            client.request("DELETE", "/functions/v1/hello", context="asking")  # the listener redirects for ever
    assert listener.seen[0] == ("/functions/v1/hello", TOKEN)
    assert {token for _, token in listener.seen[1:]} == {None}


@pytest.mark.parametrize("path", ["/projects/v1/prj_1/credentials", "/_run402/tickets"])
def test_pay_is_nobody_to_the_own_gateway(data_dir: Path, listener: Listener, path: str) -> None:
    with running(data_dir, listener.url), Client(opened(api_base=listener.url)) as client:
        pay(client, listener.url + path, method="POST", body="{}")
    assert listener.seen == [(path, None)]


def test_a_look_at_health_needs_no_proof_and_carries_no_token(data_dir: Path, listener: Listener) -> None:
    (data_dir / MARKER).write_text(json.dumps({"port": listener.server_port}))
    with Client() as client:
        client.http.get(f"{listener.url}/health")
    assert listener.seen == [("/health", None)]


def test_an_open_gateway_is_told_to_doctor(data_dir: Path, listener: Listener) -> None:
    with running(data_dir, listener.url, open=True):
        assert own_gateway.open_one(current()) == listener.url
    assert own_gateway.open_one(current()) is None
