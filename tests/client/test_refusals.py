"""What a refusal's headers tell, what a silent gateway is blamed on, and transports under threads."""

from __future__ import annotations

import json
import socket
import threading
from email.utils import formatdate
from pathlib import Path
from time import time
from typing import Any

import httpx
import pytest

from run402_cli.client import Client
from run402_cli.client import transport as transport_module
from run402_cli.client.response_hints import clock_hint, retry_after
from run402_cli.client.transport import LazyTransport
from run402_cli.errors import ApiError, NetworkError
from run402_cli.state import profile


def response(status: int, *, signed: bool = True, **headers: str) -> httpx.Response:
    request = httpx.Request("POST", "http://x/", headers={"SIGN-IN-WITH-X": "s"} if signed else {})
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, headers=named, request=request)


@pytest.mark.parametrize(
    ("status", "value", "expected"),
    [
        (429, "7", 7.0),
        (503, "0", 0.0),
        (429, " 12 ", 12.0),
        (500, "7", None),
        (200, "7", None),
        (429, "", None),
        (429, "-1", None),
        (429, "soon", None),
        (429, "1.5", None),
        (429, "9" * 400, 999999999.0),
    ],
)
def test_the_time_to_wait_is_read_from_the_header(status: int, value: str, expected: float | None) -> None:
    assert retry_after(response(status, Retry_After=value)) == expected


def test_a_date_to_wait_for_is_measured_on_the_gateways_clock() -> None:
    long_ago = 1_000_000_000
    headers = {"Retry_After": formatdate(long_ago + 30, usegmt=True), "Date": formatdate(long_ago, usegmt=True)}
    assert retry_after(response(429, **headers)) == 30.0
    past = {"Retry_After": formatdate(long_ago, usegmt=True), "Date": formatdate(long_ago + 30, usegmt=True)}
    assert retry_after(response(429, **past)) == 0.0
    assert retry_after(response(429, Retry_After=formatdate(long_ago, usegmt=True))) == 0.0


@pytest.mark.parametrize(
    ("status", "signed", "offset", "word"),
    [
        (401, True, -3600, "60 minutes ahead of"),
        (401, True, 3600, "60 minutes behind"),
        (401, True, 30, None),
        (401, False, 3600, None),
        (403, True, 3600, None),
    ],
)
def test_the_clock_is_named_only_when_it_may_be_the_cause(
    status: int, signed: bool, offset: int, word: str | None
) -> None:
    hint = clock_hint(response(status, signed=signed, Date=formatdate(time() + offset, usegmt=True)))
    assert (hint is None) if word is None else (hint is not None and word in hint)


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 99 Foo 2020 00:00:00 GMT"])
def test_a_date_that_is_none_blames_nothing(date: str) -> None:
    assert clock_hint(response(401, Date=date)) is None


def client_of(handler: Any, base: str, config_dir: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> Client:
    (config_dir / "target.json").write_text(json.dumps({"api_base": base, "target_kind": kind}))
    monkeypatch.setattr(profile, "_current", None)
    return Client(transport=httpx.MockTransport(handler) if handler else None)


def test_the_time_to_wait_is_in_the_envelope(config_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(429, json={"code": "RATE_LIMITED"}, headers={"Retry-After": "7"})

    with (
        client_of(busy, "http://127.0.0.1:9", config_dir, "cloud", monkeypatch) as client,
        pytest.raises(ApiError) as caught,
    ):
        client.request("GET", "/x", context="reading x")
    assert caught.value.retry_after == 7.0
    assert caught.value.envelope()["retry_after_seconds"] == 7


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(("host", "kind", "named"), [("127.0.0.1", "core", True), ("127.0.0.1", "cloud", False)])
def test_a_local_gateway_that_does_not_run_is_named_with_its_remedy(
    host: str, kind: str, named: bool, config_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    with (
        client_of(None, f"http://{host}:{port}", config_dir, kind, monkeypatch) as client,
        pytest.raises(NetworkError) as caught,
    ):
        client.request("GET", "/health", context="looking")
    envelope = caught.value.envelope()
    commands = [action["command"] for action in envelope.get("next_actions", [])]
    assert commands == ([f"run402 core start --port {port}"] if named else [])
    caught.value.extra["next_actions"] = [{"type": "retry", "command": "again"}]
    assert [action["command"] for action in caught.value.envelope()["next_actions"]] == [*commands, "again"]


@pytest.mark.parametrize(
    ("named", "pid", "command"),
    [
        (False, 7, "run402 core start --use"),
        (True, 7, "run402 core status"),
        (False, 8, "run402 core start --port 4999"),  # what answers there is another gateway
    ],
)
def test_a_gateway_that_runs_on_another_port_is_named(
    named: bool, pid: int, command: str, config_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.port == 4321:
            return httpx.Response(200, json={"status": "ok", "mode": "core", "pid": pid})
        raise httpx.ConnectError("refused", request=request) from ConnectionRefusedError()

    monkeypatch.setenv("RUN402_CORE_DATA_DIR", str(tmp_path / "core"))
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "gateway.json").write_text(json.dumps({"pid": 7, "url": "http://127.0.0.1:4321"}))
    saved = "http://127.0.0.1:4999"
    if named:
        monkeypatch.setenv("RUN402_API_BASE", saved)
    with client_of(answer, saved, config_dir, "core", monkeypatch) as client, pytest.raises(NetworkError) as caught:
        client.request("GET", "/x", context="looking")
    first = caught.value.envelope()["next_actions"][0]
    assert first["command"] == command
    assert ("http://127.0.0.1:4321" in first["why"]) is (pid == 7)


def test_the_default_port_is_not_spelled_out(config_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request) from ConnectionRefusedError()

    with (
        client_of(refused, "http://localhost:4020", config_dir, "core", monkeypatch) as client,
        pytest.raises(NetworkError) as caught,
    ):
        client.request("GET", "/health", context="looking")
    assert caught.value.envelope()["next_actions"][0]["command"] == "run402 core start"


def test_a_connection_that_broke_is_not_blamed_on_a_stopped_gateway(
    config_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reset(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("reset", request=request)

    with (
        client_of(reset, "http://127.0.0.1:4020", config_dir, "core", monkeypatch) as client,
        pytest.raises(NetworkError) as caught,
    ):
        client.request("GET", "/health", context="looking")
    assert "next_actions" not in caught.value.envelope()


def test_racing_threads_share_one_transport(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    together = threading.Barrier(8, timeout=10)

    class Slow(httpx.MockTransport):
        def __init__(self, **_options: Any) -> None:
            threading.Event().wait(0.02)
            made.append(self)
            super().__init__(lambda _request: httpx.Response(200))

    monkeypatch.setattr(transport_module.httpx, "HTTPTransport", Slow)
    transport = LazyTransport()

    def send() -> None:
        together.wait()
        transport.handle_request(httpx.Request("GET", "http://127.0.0.1:1/"))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
