"""The real daemon: a process of its own with a PostgreSQL of its own, broken in every way that a machine can."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest
from gateway_kit import control

from run402_cli.core.daemon import datadir, postgres
from run402_cli.core.daemon import launcher as process
from run402_cli.core.daemon.launcher import StartOptions
from run402_cli.core.errors import CoreProcessError
from run402_cli.local_gateway import CONTROL_HEADER

Start = Callable[..., dict[str, Any]]
pytestmark = pytest.mark.usefixtures("forked_daemons")
# Whose gateway is started as a user's is, imports and all.
FOR_REAL = (
    "test_start_report_stop_and_start_again",
    "test_other_users_read_nothing_of_the_data_directory",
    "test_a_full_disk_at_first_start_is_a_clear_error",
    "test_an_external_database_is_used_and_left_running",
)


@pytest.fixture
def data_dir(open_dir: Path, tmp_path: Path) -> Iterator[Path]:
    # Below open_dir, because pytest's own directory is closed to the user that PostgreSQL runs as under root.
    path = open_dir / f"daemon-{tmp_path.name}"
    yield path
    process.stop(path)
    if datadir.is_ours(path):
        process.reset(path)


@pytest.fixture
def start(data_dir: Path, started_before: Callable[[Path], None]) -> Start:
    def run(**options: Any) -> dict[str, Any]:
        if os.name == "posix" and not data_dir.exists() and "database_url" not in options:
            started_before(data_dir)
        return process.start(StartOptions(**{"data_dir": data_dir, "port": 0, **options}))

    return run


def health(state: dict[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = httpx.get(f"{state['url']}/health", trust_env=False).json()
    return body


def create_project(state: dict[str, Any], name: str = "p") -> dict[str, Any]:
    response = httpx.post(
        f"{state['url']}/projects/v1", headers=control(state), json={"name": name}, trust_env=False, timeout=30
    )
    assert response.status_code == 201, response.text
    body: dict[str, Any] = response.json()
    return body


def names(state: dict[str, Any]) -> list[str]:
    body = httpx.get(f"{state['url']}/projects/v1", headers=control(state), trust_env=False, timeout=30).json()
    return [row["name"] for row in body["projects"]]


def postmaster(data_dir: Path) -> postgres.Postmaster | None:
    return postgres.EmbeddedPostgres(postgres.cluster_directory(data_dir), password="").postmaster()


def kill(pid: int) -> None:
    victim = psutil.Process(pid)
    victim.kill()
    psutil.wait_procs([victim], timeout=10)


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def test_start_report_stop_and_start_again(start: Start, data_dir: Path) -> None:
    state = start()
    assert state["already_running"] is False
    assert state["console_url"] == f"{state['url']}/_run402/"
    assert process.status(data_dir)["console_url"] == state["console_url"]
    assert state["healthy"] is True
    assert health(state)["pid"] == state["pid"]
    create_project(state, "kept")

    second = start(port=None)
    assert second["already_running"] is True
    assert (second["pid"], second["url"]) == (state["pid"], state["url"])

    seen = process.status(data_dir)
    assert (seen["running"], seen["healthy"], seen["pid"]) == (True, True, state["pid"])
    assert "process_created" not in seen
    assert any("ready on" in line for line in process.logs(data_dir)["lines"])

    stopped = process.stop(data_dir)
    assert (stopped["stopped"], stopped["was_running"], stopped["pid"]) == (True, True, state["pid"])
    until(lambda: not psutil.pid_exists(state["pid"]))  # what is left of it is taken away by the system
    assert postmaster(data_dir) is None
    assert process.status(data_dir)["running"] is False
    assert process.stop(data_dir)["was_running"] is False

    assert names(start()) == ["kept"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX file modes")
def test_secrets_are_private_and_stay_the_same(start: Start, data_dir: Path) -> None:
    start()
    path = data_dir / "private" / "secrets.json"
    before = path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert data_dir.stat().st_mode & 0o066 == 0
    assert (data_dir / "content").stat().st_mode & 0o077 == 0
    assert (data_dir / "postgres").stat().st_mode & 0o077 == 0
    process.stop(data_dir)
    start()
    assert path.read_text() == before
    everything = "\n".join(process.logs(data_dir)["lines"] + process.logs(data_dir, source="postgres")["lines"])
    for secret in json.loads(before).values():
        assert secret not in everything
        assert secret not in json.dumps(process.status(data_dir))


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX file modes")
def test_other_users_read_nothing_of_the_data_directory(start: Start, data_dir: Path) -> None:
    before = os.umask(0o000)
    try:
        start()
        process.stop(data_dir)
        # As an older version left them.
        for name in (datadir.LOG, datadir.STDERR_LOG):
            (data_dir / name).chmod(0o644)
        (data_dir / f"{datadir.LOG}.1").write_text("older")
        (data_dir / "functions").mkdir(exist_ok=True)
        (data_dir / "functions").chmod(0o755)
        state = start()
    finally:
        os.umask(before)
    create_project(state)
    open_to_others = {
        entry.name for entry in data_dir.iterdir() if entry.stat().st_mode & 0o077 and entry.name != "postgres"
    }
    assert open_to_others == set()
    assert (data_dir / datadir.LOG).stat().st_mode & 0o777 == 0o600
    cluster = postgres.cluster_directory(data_dir)
    assert cluster.stat().st_mode & 0o077 == 0
    assert (cluster / "server.log").stat().st_mode & 0o077 == 0


def test_a_busy_port_names_a_free_one(start: Start, data_dir: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(CoreProcessError) as caught:
            start(port=port)
    error = caught.value
    assert error.code == "CORE_PORT_IN_USE"
    assert f"--port {error.details['free_port']}" in (error.hint or "")
    assert error.details["free_port"] != port
    assert process.status(data_dir)["running"] is False
    assert postmaster(data_dir) is None


def test_the_port_is_taken_on_every_loopback_address(start: Start, data_dir: Path) -> None:
    try:
        other = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 on this machine")
    with other:
        port = other.getsockname()[1]
        with pytest.raises(CoreProcessError) as caught:
            start(port=port)
    # Somebody who has ::1 alone would get what a browser sends to localhost and the names below.
    assert (caught.value.code, caught.value.details["host"]) == ("CORE_PORT_IN_USE", "::1")
    state = start(port=port)
    for host in ("127.0.0.1", "[::1]", "localhost"):
        assert httpx.get(f"http://{host}:{port}/health", trust_env=False).json()["pid"] == state["pid"]
    # A header does not say who asks: wrong passwords are counted together, however they name their sender.
    token = {CONTROL_HEADER: json.loads((data_dir / datadir.STATE).read_text())["control_token"]}
    key = {
        "apikey": httpx.post(f"{state['url']}/projects/v1", headers=token, json={}, trust_env=False).json()["anon_key"]
    }
    tried = [
        httpx.post(
            f"{state['url']}/auth/v1/token",
            headers={**key, "X-Forwarded-For": f"10.0.0.{number}", "Forwarded": f"for=10.0.0.{number}"},
            json={"email": "ada@example.com", "password": "wrong"},
            trust_env=False,
        ).status_code
        for number in range(12)
    ]
    assert tried == [401] * 10 + [429] * 2


def test_a_stale_state_file_whose_pid_lives_on_as_another_process(start: Start, data_dir: Path) -> None:
    datadir.prepare(data_dir)
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        stale = {"pid": bystander.pid, "process_created": 1.0, "port": 1, "url": "http://127.0.0.1:1"}
        datadir.write_private(data_dir / datadir.STATE, stale)
        assert process.status(data_dir)["running"] is False
        assert process.stop(data_dir)["was_running"] is False
        assert bystander.poll() is None
        datadir.write_private(data_dir / datadir.STATE, stale)
        assert start()["already_running"] is False
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": "x"}', '{"pid": 1, "process_created": null, "port": 1}'])
def test_a_damaged_state_file_means_not_running(data_dir: Path, content: str) -> None:
    datadir.prepare(data_dir)
    (data_dir / datadir.STATE).write_text(content)
    assert process.status(data_dir)["running"] is False


def test_a_killed_gateway_loses_nothing_and_its_postgres_is_adopted(start: Start, data_dir: Path) -> None:
    state = start()
    create_project(state, "kept")
    before = postmaster(data_dir)
    assert before is not None
    kill(state["pid"])
    assert process.status(data_dir)["running"] is False
    again = start()
    assert again["already_running"] is False
    assert names(again) == ["kept"]
    after = postmaster(data_dir)
    assert after is not None
    assert after.pid == before.pid


def test_stop_also_stops_the_postgres_of_a_killed_gateway(start: Start, data_dir: Path) -> None:
    kill(start()["pid"])
    assert postmaster(data_dir) is not None
    assert process.stop(data_dir)["was_running"] is True
    assert postmaster(data_dir) is None


def test_a_killed_postmaster_is_replaced_while_the_gateway_runs(start: Start, data_dir: Path) -> None:
    state = start()
    create_project(state, "kept")
    before = postmaster(data_dir)
    assert before is not None
    kill(before.pid)
    response = httpx.get(f"{state['url']}/projects/v1", headers=control(state), trust_env=False, timeout=60)
    if response.status_code != 200:
        assert (response.status_code, response.json()["error"]) == (503, "database_unavailable")
    until(
        lambda: (
            httpx.get(f"{state['url']}/projects/v1", headers=control(state), trust_env=False, timeout=60).status_code
            == 200
        )
    )
    assert names(state) == ["kept"]
    after = postmaster(data_dir)
    assert after is not None
    assert after.pid != before.pid
    assert health(state)["pid"] == state["pid"]


def test_gateway_and_postmaster_both_killed(start: Start, data_dir: Path) -> None:
    state = start()
    create_project(state, "kept")
    running = postmaster(data_dir)
    assert running is not None
    kill(state["pid"])
    kill(running.pid)
    assert (postgres.cluster_directory(data_dir) / "postmaster.pid").exists()
    assert names(start()) == ["kept"]


def test_a_postmaster_pid_file_that_names_another_process(start: Start, data_dir: Path) -> None:
    state = start()
    create_project(state, "kept")
    process.stop(data_dir)
    # As after a reboot: the file is there, and its pid has gone to a program that has nothing to do with it.
    directory = postgres.cluster_directory(data_dir)
    (directory / "postmaster.pid").write_text(
        f"{os.getpid()}\n{directory}\n1700000000\n5432\n{directory}\n\n0\nready\n"
    )
    assert names(start()) == ["kept"]


def test_a_killed_backend_is_survived(start: Start, data_dir: Path) -> None:
    state = start()
    project = create_project(state, "kept")
    sql_url = f"{state['url']}/projects/v1/admin/{project['project_id']}/sql"
    headers = {"apikey": project["service_key"]}
    found = httpx.post(sql_url, content="select pg_backend_pid() as pid", headers=headers, trust_env=False).json()
    assert found["rows"][0]["pid"] > 0
    running = postmaster(data_dir)
    assert running is not None
    backend = next(
        child for child in psutil.Process(running.pid).children() if "postgres run402" in " ".join(child.cmdline())
    )
    backend.kill()
    until(
        lambda: (
            httpx.get(f"{state['url']}/projects/v1", headers=control(state), trust_env=False, timeout=60).status_code
            == 200
        )
    )
    assert names(state) == ["kept"]


def test_concurrent_starts_make_one_gateway(data_dir: Path) -> None:
    answers: list[dict[str, Any]] = []

    def run() -> None:
        script = (
            "import json, sys; from pathlib import Path; from run402_cli.core.daemon import launcher as process;"
            "print(json.dumps(process.start(process.StartOptions(port=0, data_dir=Path(sys.argv[1])))))"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, str(data_dir)], capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        answers.append(json.loads(done.stdout))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 3
    assert len({answer["pid"] for answer in answers}) == 1
    assert sorted(answer["already_running"] for answer in answers) == [False, True, True]


def test_concurrent_claims_of_a_new_directory_agree_on_its_identity(tmp_path: Path) -> None:
    def claim(path: Path) -> str:
        with datadir.locked(path):
            return datadir.identity(path)

    with ThreadPoolExecutor(8) as pool:
        for attempt in range(20):
            assert len(set(pool.map(claim, [tmp_path / str(attempt)] * 8))) == 1


def test_two_gateway_processes_never_share_a_directory(start: Start, data_dir: Path) -> None:
    state = start()
    command = [sys.executable, "-m", "run402_cli.core.serve", "--data-dir", str(data_dir), "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["code"] == "CORE_ALREADY_RUNNING"
    assert health(state)["pid"] == state["pid"]


def test_directories_that_are_not_ours_are_left_alone(start: Start, data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "thesis.txt").write_text("precious")
    attempts: list[Callable[[], object]] = [start, lambda: process.reset(data_dir)]
    for attempt in attempts:
        with pytest.raises(CoreProcessError) as caught:
            attempt()
        assert caught.value.code == "CORE_DATA_DIR_INVALID"
    assert process.stop(data_dir)["was_running"] is False
    assert [path.name for path in data_dir.iterdir()] == ["thesis.txt"]
    (data_dir / "thesis.txt").unlink()


def test_a_file_as_data_directory_is_refused(open_dir: Path) -> None:
    path = open_dir / "a-file"
    path.write_text("x")
    with pytest.raises(CoreProcessError) as caught:
        process.start(StartOptions(data_dir=path, port=0))
    assert caught.value.code == "CORE_DATA_DIR_INVALID"
    assert path.read_text() == "x"


def test_reset_stops_and_deletes_only_what_the_gateway_made(start: Start, data_dir: Path) -> None:
    state = start()
    create_project(state, "gone")
    (data_dir / "notes.txt").write_text("mine")
    answer = process.reset(data_dir)
    assert answer["kept"] == ["notes.txt"]
    until(lambda: not psutil.pid_exists(state["pid"]))  # what is left of it is taken away by the system
    assert [path.name for path in data_dir.iterdir()] == ["notes.txt"]
    (data_dir / "notes.txt").unlink()
    assert names(start()) == []
    assert process.reset(data_dir)["kept"] == []
    assert not data_dir.exists()
    assert process.reset(data_dir)["deleted"] == []


def test_damaged_secrets_are_reported_and_left_in_place(start: Start, data_dir: Path) -> None:
    datadir.prepare(data_dir)
    path = data_dir / "private" / "secrets.json"
    path.write_text("{broken")
    with pytest.raises(CoreProcessError) as caught:
        start()
    assert caught.value.code == "CORE_DATA_DIR_INVALID"
    assert str(path) in caught.value.message
    assert path.read_text() == "{broken"


def test_a_long_path_works(open_dir: Path) -> None:
    path = open_dir / ("deep-" + "x" * 60) / ("deeper-" + "y" * 60)
    path.parent.mkdir(mode=0o711)
    try:
        state = process.start(StartOptions(data_dir=path, port=0))
        create_project(state)
    finally:
        process.reset(path)
    assert not path.exists()


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root runs PostgreSQL as another user")
def test_as_root_a_closed_parent_stays_closed(open_dir: Path) -> None:
    closed = open_dir / "closed"
    closed.mkdir(mode=0o700)
    path = closed / "core"
    state = process.start(StartOptions(data_dir=path, port=0))
    try:
        create_project(state, "kept")
        assert closed.stat().st_mode & 0o777 == 0o700
        assert not (path / "postgres").exists()
        process.stop(path)
        assert names(process.start(StartOptions(data_dir=path, port=0))) == ["kept"]
        place = postgres.shared_cluster_directory(path).parent
        assert (place / "data_dir.txt").read_text().strip() == str(path)
        # A new directory at the same path must not find the rows of the old one.
        process.stop(path)
        shutil.rmtree(path)
        assert names(process.start(StartOptions(data_dir=path, port=0))) == []
        second_place = postgres.shared_cluster_directory(path).parent
        assert second_place != place
        shutil.rmtree(place)
    finally:
        process.reset(path)
    assert not second_place.exists()


@pytest.fixture
def small_disk(open_dir: Path) -> Iterator[Path]:
    """A 100 MB file system."""
    path = open_dir / "disk"
    path.mkdir(mode=0o711, exist_ok=True)
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("needs root to mount a small file system")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=100m,mode=0711", "tmpfs", str(path)], capture_output=True
    )
    if done.returncode != 0:
        pytest.skip("mounting is not allowed here")
    yield path
    process.stop(path / "core")
    subprocess.run(["umount", str(path)], check=True)


def fill(disk: Path) -> Path:
    ballast = disk / "ballast"
    with ballast.open("wb") as file:
        try:
            while True:
                file.write(b"x" * 65536)
                file.flush()
        except OSError:
            return ballast


def test_a_full_disk_at_first_start_is_a_clear_error(small_disk: Path) -> None:
    ballast = fill(small_disk)
    for _ in range(2):
        with pytest.raises(CoreProcessError) as caught:
            process.start(StartOptions(data_dir=small_disk / "core", port=0))
        assert caught.value.code == "CORE_DISK_FULL"
    ballast.unlink()
    state = process.start(StartOptions(data_dir=small_disk / "core", port=0))
    assert state["healthy"] is True


def test_a_disk_that_fills_up_loses_no_committed_row(small_disk: Path) -> None:
    data_dir = small_disk / "core"
    state = process.start(StartOptions(data_dir=data_dir, port=0))
    project = create_project(state, "kept")
    ballast = fill(small_disk)
    sql_url = f"{state['url']}/projects/v1/admin/{project['project_id']}/sql"
    headers = {"apikey": project["service_key"]}
    text = "create table big as select repeat('x', 1000) as x from generate_series(1, 50000)"
    response = httpx.post(sql_url, content=text, headers=headers, trust_env=False, timeout=60)
    assert response.status_code in (400, 503, 507), response.text
    assert response.json()["message"]
    ballast.unlink()
    until(
        lambda: (
            httpx.get(f"{state['url']}/projects/v1", headers=control(state), trust_env=False, timeout=60).status_code
            == 200
        ),
        60,
    )
    assert names(state) == ["kept"]
    process.stop(data_dir)
    assert names(process.start(StartOptions(data_dir=data_dir, port=0))) == ["kept"]


def test_an_external_database_is_used_and_left_running(
    start: Start, data_dir: Path, postgres_server: postgres.EmbeddedPostgres
) -> None:
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as admin:
        admin.execute("CREATE DATABASE external_gateway")
    state = start(database_url=postgres_server.url("external_gateway"))
    assert state["database"] == "external"
    create_project(state, "outside")
    assert postmaster(data_dir) is None
    assert postgres_server.url("external_gateway") not in " ".join(psutil.Process(state["pid"]).cmdline())
    process.stop(data_dir)
    with psycopg.connect(postgres_server.url("external_gateway")) as conn:
        assert conn.execute("select name from internal.core_projects").fetchall() == [("outside",)]


@pytest.mark.parametrize(
    "url",
    ["postgresql://nobody@127.0.0.1:1/none", "nonsense", "postgresql://u:s3cretpw@127.0.0.1:1/x"],
)
def test_an_unreachable_database_is_a_clear_error(start: Start, url: str) -> None:
    with pytest.raises(CoreProcessError) as caught:
        start(database_url=url)
    assert caught.value.code == "CORE_DATABASE_UNUSABLE"
    assert "s3cretpw" not in json.dumps(caught.value.as_dict())


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_foreground_gateway_ends_cleanly_on_a_signal(data_dir: Path, number: int) -> None:
    script = (
        "import json, sys; from pathlib import Path; from run402_cli.core.daemon import launcher as process;"
        "process.run_foreground(process.StartOptions(port=0, data_dir=Path(sys.argv[1])),"
        " lambda state: print(json.dumps(state), flush=True))"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(data_dir)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    state = json.loads(child.stdout.readline())
    assert health(state)["pid"] == child.pid == process.status(data_dir)["pid"]
    child.send_signal(number)
    _, stderr = child.communicate(timeout=60)
    assert child.returncode == 0, stderr
    assert "Traceback" not in stderr
    assert postmaster(data_dir) is None
    assert process.status(data_dir)["running"] is False


def test_looking_at_the_gateway_imports_no_server_library() -> None:
    script = (
        "import sys; from run402_cli.core.daemon import launcher as process; process.status();"
        "print([n for n in ('psycopg', 'starlette', 'uvicorn', 'pydantic', 'httpx', 'jwt') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_status_creates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "never"
    assert process.status(path) == {
        "running": False,
        "healthy": False,
        "data_dir": str(path),
        "initialized": False,
        "next_actions": [process.START],
    }
    assert not path.exists()
    with pytest.raises(CoreProcessError) as caught:
        process.logs(path)
    assert caught.value.code == "CORE_NOT_RUNNING"
