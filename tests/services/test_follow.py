"""Following logs against a server that goes away and comes back, over real connections."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from run402_cli.client import Client
from run402_cli.services import functions


class Gateway:
    """A log endpoint on one port that can be stopped and started again; its entries survive."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.entries: list[dict[str, Any]] = []
        self.cut = 0  # answers to break off in the middle
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps({"logs": gateway.entries}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if gateway.cut:
                    gateway.cut -= 1
                    self.wfile.write(body[: len(body) // 2])
                else:
                    self.wfile.write(body)
                self.close_connection = True

            def log_message(self, *_args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    server = Gateway()
    server.start()
    yield server
    server.stop()


def entry(second: int) -> dict[str, Any]:
    return {"timestamp": f"2026-03-15T00:00:{second:02}Z", "message": f"entry {second}", "event_id": f"e{second}"}


def test_following_survives_a_restart_and_loses_nothing(
    gateway: Gateway, config_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {"version": 1, "projects": {"prj_1": {"service_key": "svc_1"}}}
    (config_dir / "credentials").mkdir()
    (config_dir / "credentials" / "project-keys.v1.json").write_text(json.dumps(keys))
    monkeypatch.setenv("RUN402_API_BASE", f"http://127.0.0.1:{gateway.port}")
    script = iter(
        [
            lambda: gateway.entries.append(entry(2)),
            gateway.stop,
            lambda: None,
            lambda: (gateway.entries.append(entry(3)), gateway.start()),
            lambda: setattr(gateway, "cut", 1),
            lambda: gateway.entries.append(entry(4)),
            lambda: gateway.entries.append(entry(5)),
        ]
    )
    monkeypatch.setattr("time.sleep", lambda _seconds: next(script)())
    notes: list[str] = []
    gateway.entries.append(entry(1))
    with Client() as client:
        followed = functions.follow(client, "prj_1", "hello", note=notes.append)
        seen = [next(followed)["message"] for _ in range(5)]
    assert seen == [f"entry {number}" for number in range(1, 6)]
    assert [note.split(",")[0].rstrip(".") for note in notes] == ["Connection lost", "Connection restored"] * 2
