"""Two users of one machine: what the second one gets from the gateway, the files and the commands of the first."""

from __future__ import annotations

import encodings.idna  # noqa: F401 - resolving a name imports it, and the second user cannot read it
import hashlib
import http.client
import json
import multiprocessing
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil
import pytest
from e2e_kit import Cli, make
from secret_watch import WATCH

from run402_cli.core.daemon.datadir import KIND
from run402_cli.core.daemon.postgres import EmbeddedPostgres
from run402_cli.core.errors import CoreProcessError
from run402_cli.local_gateway import MARKER, RUN_LOCK

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root, to be two users"),
]
OTHER = 65533
ECHO = "export default async (req) => Response.json(Object.fromEntries(req.headers));\n"
FORGED = {
    "Run402-Control-Token": "",
    "X-Run402-User-Id": "00000000-0000-4000-8000-000000000001",
    "X-Run402-User-Role": "project_admin",
    "X-Run402-Actor-Token": "forged",
    "X-Run402-Project-Id": "forged",
    "X-Run402-Trigger": "function_run",
    "X-Forwarded-For": "127.0.0.1",
    "X-Forwarded-Host": "127.0.0.1",
    "Forwarded": "for=127.0.0.1",
}


@dataclass
class Owner:
    """The first user, with everything that there is to take."""

    cli: Cli
    project: dict[str, Any]
    port: int

    @property
    def state(self) -> dict[str, Any]:
        return dict(json.loads((self.cli.data_dir / "gateway.json").read_bytes()))

    def secrets(self) -> list[str]:
        """Values that nobody else may see."""
        wallet = json.loads((self.cli.config / "allowance.json").read_bytes())
        return [
            *(wallet["privateKey"][2:], self.project["service_key"], self.state["control_token"], "value-of-a-secret"),
            *json.loads((self.cli.data_dir / "private" / "secrets.json").read_bytes()).values(),
        ]

    def processes(self) -> list[psutil.Process]:
        """The gateway, its workers, and PostgreSQL."""
        gateway = psutil.Process(self.state["pid"])
        postmaster = int((self.cli.data_dir / "postgres" / "postmaster.pid").read_text().split()[0])
        heads = [gateway, psutil.Process(postmaster)]
        return [each for head in heads for each in (head, *head.children(recursive=True))]


@pytest.fixture(scope="module")
def shared() -> Iterator[Path]:
    """A directory that every user gets to: no closed parent helps the first one."""
    folder = Path(tempfile.mkdtemp(prefix="r402-users-")).resolve()
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def owner(shared: Path) -> Iterator[Owner]:
    cli = make(shared / "owner", shared / "owner" / "data")
    try:
        started = cli.ok("core", "start", "--use", "--port", "0")
        cli.ok("init")
        project = cli.ok("projects", "provision", "--name", "app")
        cli.ok("secrets", "set", "API_TOKEN", "--stdin", stdin="value-of-a-secret")
        cli.ok("projects", "sql", "create table t(secret text); insert into t values ('row-of-the-owner')")
        source = {"runtime": "node22", "source": {"data": ECHO}}
        document = {"site": {"replace": {"index.html": {"data": "page"}}}, "functions": {"replace": {"echo": source}}}
        (cli.cwd / "app.json").write_text(json.dumps(document))
        cli.ok("deploy", "apply", "--manifest", "app.json")
        yield Owner(cli, project, started["port"])
    finally:
        cli("core", "reset", "--yes")


def as_other(work: Callable[[], Any]) -> Any:
    """What a function returns that runs as the second user, in a process of its own."""
    fork = multiprocessing.get_context("fork")
    ours, theirs = fork.Pipe()
    process = fork.Process(target=_be_other, args=(work, theirs))
    process.start()
    theirs.close()
    try:
        return ours.recv()
    finally:
        process.join(60)
        assert process.exitcode == 0


def _be_other(work: Callable[[], Any], answer: Connection) -> None:
    os.setgroups([])
    os.setgid(OTHER)
    os.setuid(OTHER)
    answer.send(work())


def opened(paths: list[str]) -> list[str]:
    """Which of these may be read, listed, written or connected to."""
    found = []
    for path in paths:
        for flags in (os.O_RDONLY, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK):
            try:
                os.close(os.open(path, flags))
                found.append(path)
            except OSError:
                continue
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
                client.connect(path)
                found.append(path)
        except OSError:
            continue
    return found


def answered(
    port: int, method: str, path: str, headers: dict[str, str], body: bytes | None = None, *, host: str = "127.0.0.1"
) -> tuple[int, str]:
    connection = http.client.HTTPConnection(host, port, timeout=30)
    try:
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        return response.status, response.read().decode("utf-8", "replace")
    finally:
        connection.close()


def test_no_file_of_the_first_user_opens_for_the_second(owner: Owner) -> None:
    everything = [
        str(path)
        for top in (owner.cli.config, owner.cli.data_dir)
        for path in (top, *top.rglob("*"))
        if not path.is_symlink()
    ]
    for expected in ("allowance.json", "project-keys.v1.json", "gateway.json", "gateway.log", ".s.PGSQL.5432"):
        assert any(path.endswith(f"/{expected}") for path in everything), expected
    assert as_other(lambda: opened(everything)) == []
    written = str(owner.cli.cwd / "app.json")
    assert as_other(lambda: opened([written])) == [written]  # what is open to all is seen to be open


def test_doctor_finds_nothing_too_open_and_says_that_the_gateway_is_roots(owner: Owner) -> None:
    report = json.loads(owner.cli("doctor", "--no-scan").out)
    checks = {check["name"]: check["status"] for check in report["checks"]}
    assert "file_modes" not in checks
    assert checks["root"] == "warning"
    keys = owner.cli.config / "credentials" / "project-keys.v1.json"
    keys.chmod(0o644)
    try:
        report = json.loads(owner.cli("doctor", "--no-scan").out)
    finally:
        keys.chmod(0o600)
    (check,) = [check for check in report["checks"] if check["name"] == "file_modes"]
    assert [row["path"] for row in check["value"]["open"]] == [str(keys)]


def test_postgresql_is_on_no_port(owner: Owner) -> None:
    listening = [
        found
        for process in owner.processes()
        if "postgres" in process.name()
        for found in process.net_connections("inet")
        if found.status == psutil.CONN_LISTEN
    ]
    assert listening == []


def test_what_listens_beside_the_gateway_answers_nobody(owner: Owner) -> None:
    """Workers of functions come back on a port of loopback, with a token."""
    owner.cli.ok("functions", "invoke", "echo")
    ports = {
        found.laddr.port
        for process in owner.processes()
        for found in process.net_connections("inet")
        if found.status == psutil.CONN_LISTEN
    } - {owner.port}
    assert ports

    def talk() -> list[bytes]:
        said = []
        for port in sorted(ports):
            with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
                client.sendall(b'\x00\x00\x00\x12{"token":"forged"}')
                try:
                    said.append(client.recv(1000))
                except OSError:
                    said.append(b"")
        return said

    assert set(as_other(talk)) == {b""}
    assert owner.cli.ok("functions", "invoke", "echo")


def test_control_routes_refuse_the_second_user(owner: Owner) -> None:
    project = owner.project["project_id"]
    below = f"/projects/v1/{project}"
    calls: list[tuple[str, str, Any]] = [
        ("GET", "/projects/v1", None),
        ("POST", "/projects/v1", {"name": "mine"}),
        ("GET", below, None),
        ("DELETE", below, None),
        ("POST", f"{below}/credentials", {"name": "x", "kind": "service"}),
        ("GET", f"{below}/snapshots", None),
        ("POST", f"{below}/snapshots", {"name": "x"}),
        ("GET", f"/projects/v1/admin/{project}/secrets", None),
        ("POST", f"/projects/v1/admin/{project}/sql", "select * from t"),
        ("GET", f"/projects/v1/admin/{project}/functions/echo/logs", None),
        ("POST", "/apply/v1/plans", {"project_id": project, "site": {"replace": {}}}),
        ("POST", "/content/v1/plans", {"project_id": project, "content": []}),
        ("POST", "/auth/v1/dev-tokens", {"project_id": project, "role": "authenticated", "sub": "u"}),
        ("POST", "/functions/v1/echo", {}),
        ("GET", "/rest/v1/t", None),
        ("GET", "/_run402/", None),
        ("GET", "/_run402/mail", None),
        ("POST", "/_run402/tickets", {}),
        ("GET", "/_run402/enter?ticket=forged", None),
        ("GET", "/_run402/~forged/mail", None),
    ]
    wrong = {"apikey": "r402_service_" + "A" * 43, "Run402-Control-Token": "ab" * 32}

    def ask() -> list[tuple[str, str, int, str]]:
        answers = []
        for method, path, body in calls:
            for headers in ({}, FORGED, wrong, {**FORGED, **wrong}):
                sent = {"Content-Type": "application/json", **headers}
                data = None if body is None else json.dumps(body).encode()
                answers.append((method, path, *answered(owner.port, method, path, sent, data)))
        return answers

    answers = as_other(ask)
    assert [answer for answer in answers if answer[2] not in (401, 403)] == []
    assert [secret for secret in owner.secrets() for answer in answers if secret in answer[3]] == []
    assert "row-of-the-owner" not in json.dumps(answers)
    assert as_other(lambda: answered(owner.port, "POST", "/mcp", {}, b"{}"))[0] in (401, 403, 404)
    assert owner.cli.ok("projects", "list")["projects"][0]["project_id"] == project


def test_the_public_key_brings_no_forged_header_to_a_function(owner: Owner) -> None:
    headers = {"apikey": owner.project["anon_key"], **FORGED}
    status, text = as_other(lambda: answered(owner.port, "POST", "/functions/v1/echo", headers))
    assert status == 200
    seen = json.loads(text)
    assert seen["x-run402-project-id"] == owner.project["project_id"]
    assert "forged" not in text
    assert not {"x-run402-user-id", "x-run402-user-role", "x-run402-actor-token", "run402-control-token"} & seen.keys()


def test_processes_carry_no_secret_where_others_see_it(owner: Owner) -> None:
    secrets = owner.secrets()
    for process in owner.processes():
        root = Path("/proc") / str(process.pid)
        words = as_other(lambda root=root: (root / "cmdline").read_bytes().decode())  # type: ignore[misc]
        environment = (root / "environ").read_bytes().decode()
        assert [secret for secret in secrets if secret in words + environment] == []
        assert as_other(lambda root=root: opened([str(root / "environ")])) == []  # type: ignore[misc]


def test_a_binding_that_the_second_user_leaves_in_a_shared_directory_is_not_obeyed(owner: Owner, shared: Path) -> None:
    folder = shared / "public"
    folder.mkdir()
    folder.chmod(0o1777)
    (folder / "work").mkdir()
    owner.cli.ok("wallets", "new", "treasury")

    def leave() -> None:
        for name in (".run402.json", ".run402.local.json"):
            (folder / name).write_text('{"wallet": "treasury"}')

    as_other(leave)
    assert owner.cli.ok("wallets", "current", cwd=folder / "work")["local_label"] == "default"
    os.chown(folder / ".run402.local.json", 0, 0)
    assert (
        owner.cli.ok("wallets", "current", cwd=folder / "work")["local_label"] == "treasury"
    )  # it is read when it is one's own


def test_a_link_in_a_shared_temporary_directory_leads_no_write_elsewhere(owner: Owner, shared: Path) -> None:
    """Every name that commands and gateway may make in a shared temporary directory is there already, as a link."""
    folder = shared / "tmp"
    folder.mkdir()
    folder.chmod(0o1777)
    precious = shared / "precious"
    precious.write_text("kept")
    before = set(folder.iterdir())

    def plant() -> list[str]:
        names = ["run402", "run402-archive-", "run402-node-", "run402-app-source-", "run402-deploy-stage-", "worker-"]
        for name in names:
            (folder / name).symlink_to(precious)
        return names

    planted = as_other(plant)
    owner.cli.env["TMPDIR"] = str(folder)
    try:
        owner.cli.ok("deploy", "apply", "--manifest", "app.json")
        archive = str(owner.cli.cwd / "copy.r402ar")
        owner.cli.ok("projects", "export", owner.project["project_id"], "--output", archive)
        owner.cli.ok("core", "projects", "import", archive, "--name", "copy")
    finally:
        del owner.cli.env["TMPDIR"]
    assert precious.read_text() == "kept"
    assert {path.name for path in folder.iterdir()} - {path.name for path in before} == set(planted)


@pytest.mark.parametrize("planted", ["link", "open directory", "private directory"])
def test_what_is_planted_for_the_socket_of_postgresql_serves_nobody(
    shared: Path, monkeypatch: pytest.MonkeyPatch, planted: str
) -> None:
    """A socket whose path would be too long is below the temporary directory, under a name that can be known."""
    folder = shared / f"sockets {planted}"
    folder.mkdir()
    folder.chmod(0o1777)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    cluster = EmbeddedPostgres(folder / ("x" * 120), password="unused")
    name = folder / f"run402-{hashlib.sha256(os.fsencode(cluster.directory)).hexdigest()[:16]}"
    precious = shared / f"precious {planted}"
    precious.mkdir()

    def plant() -> None:
        if planted == "link":
            name.symlink_to(precious)
        else:
            name.mkdir(mode=0o755 if planted == "open directory" else 0o700)

    as_other(plant)
    if planted == "private directory":
        assert cluster._socket_dir() == name
        assert as_other(lambda: opened([str(name)])) == []
    else:
        with pytest.raises(CoreProcessError):
            cluster._socket_dir()
    assert precious.stat().st_uid == 0


def test_the_second_user_on_the_port_of_a_stopped_gateway_is_sent_nothing(owner: Owner) -> None:
    owner.cli.ok("core", "stop")
    fork = multiprocessing.get_context("fork")
    ours, theirs = fork.Pipe()
    process = fork.Process(target=_be_other, args=(lambda: _squat(owner.port, theirs), theirs))
    process.start()
    try:
        assert ours.recv() == "listening"
        for words in (["projects", "sql", "select 1"], ["secrets", "list"], ["projects", "list"]):
            assert owner.cli(*words).envelope["code"] == "NETWORK_ERROR"
        ours.send("enough")
        assert ours.recv() == []
    finally:
        process.join(30)
        owner.cli.ok("core", "start")
    WATCH.read_files()


@pytest.mark.parametrize("planted", ["directory", "marker", "secrets", "lock"])
def test_no_gateway_starts_in_what_the_second_user_prepared(owner: Owner, shared: Path, planted: str) -> None:
    folder = shared / f"prepared-{planted}"
    secrets = dict.fromkeys(("jwt_secret", "signed_read_secret", "postgres_password", "control_token"), "4" * 64)
    marker = json.dumps({"kind": KIND, "format": 1, "id": "4" * 20, "created_at": "2026-01-01T00:00:00Z"})

    def plant() -> None:
        if planted in ("directory", "marker"):
            (folder / MARKER).write_text(marker)
        elif planted == "lock":
            (folder / RUN_LOCK).touch()
        if planted in ("directory", "secrets"):
            (folder / "private").mkdir()
            (folder / "private" / "secrets.json").write_text(json.dumps(secrets))

    folder.mkdir()
    folder.chmod(0o777)
    if planted == "directory":
        os.chown(folder, OTHER, OTHER)
    elif planted != "marker":
        (folder / MARKER).write_text(marker)
    as_other(plant)
    before = sorted(path.name for path in folder.rglob("*"))
    asked = owner.cli("core", "start", "--data-dir", str(folder), "--port", "0")
    assert (asked.envelope["code"], "another user" in asked.envelope["message"]) == ("CORE_DATA_DIR_INVALID", True)
    if planted == "directory":
        for word in ("stop", "status", "logs"):
            assert owner.cli("core", word, "--data-dir", str(folder)).envelope["code"] == "CORE_DATA_DIR_INVALID"
    assert sorted(path.name for path in folder.rglob("*") if path.name != "start.lock") == before


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_ticket_that_the_second_user_saw_opens_nothing_for_them(owner: Owner, host: str) -> None:
    address = owner.cli.ok("open")["url"]
    path = address.partition(f":{owner.port}")[2]
    headers = {"Host": f"127.0.0.1:{owner.port}"}
    status, body = as_other(lambda: answered(owner.port, "GET", path, headers, host=host))
    assert (status, json.loads(body)["error"]) == (403, "origin_forbidden")
    # Nor was it used up: the first user's browser still comes in.
    assert answered(owner.port, "GET", path, headers, host=host)[0] == 303


def _squat(port: int, told: Connection) -> list[bytes]:
    seen = []
    with socket.create_server(("127.0.0.1", port)) as server:
        server.settimeout(0.2)
        told.send("listening")
        while not told.poll():
            try:
                connection, _ = server.accept()
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(1)
                seen.append(connection.recv(65536))
    return seen
