"""What doctor says about files and ports that others of this machine can use: each check when it is bad and when it is not."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from run402_cli import ownership
from run402_cli.file_lock import FileLock
from run402_cli.local_gateway import RUN_LOCK, STATE
from run402_cli.services import exposure
from run402_cli.state.profile import current

posix = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="this system has no modes of files")


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "core"
    (folder / "private").mkdir(parents=True)
    folder.chmod(0o700)
    monkeypatch.setenv("RUN402_CORE_DATA_DIR", str(folder))
    for name in (RUN_LOCK, "gateway.log", "private/secrets.json"):
        (folder / name).touch(mode=0o600)
    (folder / "private").chmod(0o700)
    return folder


@pytest.fixture(autouse=True)
def user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's root, and no address but loopback: what the machine of the test is does not matter."""
    monkeypatch.setattr(exposure, "_is_root", lambda: False)
    monkeypatch.setattr(exposure, "_own_addresses", list)


@contextmanager
def running(folder: Path, **state: Any) -> Iterator[None]:
    """As a gateway leaves its data directory while it runs."""
    lock = FileLock(folder / RUN_LOCK)
    assert lock.acquire(1)
    (folder / STATE).touch(mode=0o600)
    (folder / STATE).write_text(json.dumps({"pid": 7, "url": "http://127.0.0.1:4020", **state}))
    yield
    lock.release()


def found() -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in exposure.checks(current())}


def test_nothing_is_said_when_all_is_closed(config_dir: Path, data_dir: Path) -> None:
    (config_dir / "allowance.json").touch(mode=0o600)
    with running(data_dir):
        assert found() == {}


@posix
@pytest.mark.parametrize(
    ("path", "mode"),
    [
        ("config/allowance.json", 0o644),
        ("config/profiles/shop/credentials/project-keys.v1.json", 0o604),
        ("config/control-plane-session.json", 0o666),
        ("config/profiles/shop/payment-attempts", 0o755),
        ("config", 0o755),
        ("data/gateway.log", 0o604),
        ("data/private/secrets.json", 0o644),
        ("data/private", 0o705),
        ("data", 0o755),
    ],
)
def test_what_others_can_use_is_an_error_with_the_command_that_closes_it(
    config_dir: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch, path: str, mode: int
) -> None:
    monkeypatch.setattr(ownership, "others_arrive", lambda folder: True)
    place, _, rest = path.partition("/")
    opened = (config_dir if place == "config" else data_dir) / rest
    if not opened.exists():
        opened.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        opened.touch() if opened.suffix else opened.mkdir()
    for folder in (config_dir, *config_dir.rglob("*")):
        folder.chmod(0o700 if folder.is_dir() else 0o600)
    opened.chmod(mode)
    check = found()["file_modes"]
    assert check["status"] == "error"
    (row,) = check["value"]["open"]
    assert (row["path"], row["problem"], row["reachable"]) == (str(opened), f"mode {mode:o}", True)
    command = row["next_actions"][0]["command"]
    assert command in check["hint"]
    subprocess.run(shlex.split(command), check=True)
    assert found() == {}


@posix
def test_behind_a_closed_directory_it_is_a_warning_and_a_directory_that_is_listed_is_nothing(config_dir: Path) -> None:
    keys = config_dir / "credentials" / "project-keys.v1.json"
    keys.parent.mkdir()
    keys.parent.chmod(0o755)
    keys.touch(mode=0o600)
    assert found() == {}
    keys.chmod(0o644)
    check = found()["file_modes"]
    assert (check["status"], check["value"]["open"][0]["reachable"]) == ("warning", False)
    keys.chmod(0o600)
    config_dir.chmod(0o777)
    assert found()["file_modes"]["value"]["open"][0]["next_actions"][0]["argv"] == ["chmod", "700", str(config_dir)]


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root, to give a file away")
def test_a_file_of_somebody_else_is_an_error(config_dir: Path) -> None:
    wallet = config_dir / "allowance.json"
    wallet.touch(mode=0o600)
    os.chown(wallet, 65534, 65534)
    check = found()["file_modes"]
    assert check["status"] == "error"
    assert check["value"]["open"][0]["next_actions"][0]["argv"][0] == "chown"


@posix
def test_one_closed_directory_on_the_way_keeps_others_out(tmp_path: Path) -> None:
    inner = tmp_path / "closed" / "inner"
    inner.mkdir(parents=True)
    inner.chmod(0o755)
    inner.parent.chmod(0o700)
    assert not ownership.others_arrive(inner)
    assert ownership.others_arrive(Path("/"))


def test_a_gateway_of_root_is_a_warning(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposure, "_is_root", lambda: True)
    assert "root" not in found()
    with running(data_dir):
        check = found()["root"]
    assert (check["status"], "runs as root" in check["message"]) == ("warning", True)
    assert "run402 core stop" in check["hint"]


class _Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"pid": 7}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: Any) -> None:
        pass


@pytest.mark.parametrize(("pid", "exposed"), [(7, True), (8, False)])
def test_a_port_that_leads_to_the_gateway_from_outside_is_an_error(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, pid: int, exposed: bool
) -> None:
    # The address stands for one of a network card: tests listen on loopback only.
    monkeypatch.setattr(exposure, "_own_addresses", lambda: ["127.0.0.1"])
    with ThreadingHTTPServer(("127.0.0.1", 0), _Health) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        with running(data_dir, pid=pid, port=server.server_port):
            check = found().get("exposed_port")
        server.shutdown()
    if not exposed:
        assert check is None
        return
    assert check is not None
    assert (check["status"], check["value"]) == ("error", {"port": server.server_port, "addresses": ["127.0.0.1"]})


def test_nothing_listens_and_the_port_is_closed(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposure, "_own_addresses", lambda: ["127.0.0.1"])
    with running(data_dir, port=1):
        assert found() == {}


@pytest.mark.parametrize(("tls", "told"), [(False, True), (True, False), (None, False)])
def test_a_database_on_another_machine_without_tls_is_a_warning(data_dir: Path, tls: bool | None, told: bool) -> None:
    with running(data_dir, database_tls=tls):
        check = found().get("database_tls")
    assert (check is not None) is told
    assert check is None or check["status"] == "warning"
