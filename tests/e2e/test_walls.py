"""The local gateway and everybody else on this machine: who does not hold the token, and who listens in its place."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from e2e_kit import Cli, make

pytestmark = pytest.mark.e2e


@contextmanager
def squatter(port: int) -> Iterator[list[bytes]]:
    """A program on the port of a stopped gateway: what it was sent."""
    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", port)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(1)
                    seen.append(connection.recv(65536))
                    connection.sendall(
                        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
                    )

        threading.Thread(target=serve, daemon=True).start()
        yield seen
        server.shutdown(socket.SHUT_RDWR)


def test_a_squatter_on_the_port_gets_nothing(own_gateway: Cli) -> None:
    own_gateway.ok("init")
    own_gateway.ok("projects", "provision", "--name", "app")
    port = own_gateway.ok("core", "status")["port"]
    own_gateway.ok("core", "stop")
    with squatter(port) as seen:
        for words in (["projects", "sql", "select 1"], ["projects", "list"], ["tier", "status"], ["secrets", "list"]):
            envelope = own_gateway(*words).envelope
            assert envelope["code"] == "NETWORK_ERROR"
            assert envelope["next_actions"][0]["command"].startswith("run402 core start")
    assert seen == []


def test_nobody_without_the_token_drives_the_gateway(
    cli: Cli, project: dict[str, Any], gateway: dict[str, Any], http: httpx.Client
) -> None:
    url = gateway["url"]
    assert cli.ok("projects", "list")["projects"]
    for path in (
        "/projects/v1",
        f"/projects/v1/{project['project_id']}",
        f"/projects/v1/{project['project_id']}/snapshots",
    ):
        assert http.get(url + path).status_code == 401
    state = Path(gateway["data_dir"]) / "gateway.json"
    assert state.stat().st_mode & 0o77 == 0
    assert "control_token" in json.loads(state.read_text())
    assert "control_token" not in cli.ok("core", "status")


def test_an_open_gateway_says_so(tmp_path: Path, http: httpx.Client) -> None:
    cli = make(tmp_path, tmp_path / "data")
    try:
        started = cli("core", "start", "--open", "--use", "--port", "0")
        assert started.json["open"] is True
        assert [event["code"] for event in started.events] == ["GATEWAY_OPEN"]
        assert http.get(f"{started.json['url']}/projects/v1").status_code == 200
        status = cli("core", "status")
        assert (status.json["open"], [event["code"] for event in status.events]) == (True, ["GATEWAY_OPEN"])
        checks = {check["name"]: check["status"] for check in cli.ok("doctor")["checks"]}
        assert checks["local_gateway"] == "warning"
        again = cli("core", "start", "--open")
        assert again.json["already_running"] is True
        cli.ok("core", "stop")
        assert cli.ok("core", "start")["open"] is False
        assert cli("core", "start", "--open").envelope["code"] == "CORE_ALREADY_RUNNING"
        assert http.get(f"{started.json['url']}/projects/v1").status_code == 401
    finally:
        cli("core", "reset", "--yes")
