"""What the gateway finds after a crash, a shortage or a change behind its back, what it makes of it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest
from gateway_kit import control

from run402_cli import file_lock
from run402_cli.core import bootstrap
from run402_cli.core.daemon import datadir, pg_install, postgres, run_lock
from run402_cli.core.daemon import launcher as process
from run402_cli.core.daemon.launcher import StartOptions
from run402_cli.core.errors import CannotLook, CoreProcessError

Start = Callable[..., dict[str, Any]]
pytestmark = pytest.mark.usefixtures("forked_daemons")
# Whose gateway is started as a user's is, imports and all.
FOR_REAL = ("test_an_older_data_directory_and_database_are_upgraded_and_both_are_said",)


@pytest.fixture
def data_dir(open_dir: Path, tmp_path: Path) -> Iterator[Path]:
    path = open_dir / f"recovery-{tmp_path.name}"
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


def get(state: dict[str, Any], path: str) -> httpx.Response:
    return httpx.get(state["url"] + path, headers=control(state), trust_env=False, timeout=30)


def create_project(state: dict[str, Any], name: str) -> None:
    made = httpx.post(
        f"{state['url']}/projects/v1", json={"name": name}, headers=control(state), trust_env=False, timeout=30
    )
    assert made.status_code == 201, made.text


def names(state: dict[str, Any]) -> list[str]:
    return [row["name"] for row in get(state, "/projects/v1").json()["projects"]]


def cluster(data_dir: Path) -> postgres.EmbeddedPostgres:
    return postgres.EmbeddedPostgres(postgres.cluster_directory(data_dir), password="")


def postmaster(data_dir: Path) -> postgres.Postmaster:
    found = cluster(data_dir).postmaster()
    assert found is not None
    return found


def kill(*pids: int) -> None:
    victims = [psutil.Process(pid) for pid in pids]
    for victim in victims:
        victim.kill()
    psutil.wait_procs(victims, timeout=10)


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process of the user that PostgreSQL runs as, with nothing to do with it."""
    script = [sys.executable, "-c", "import time; time.sleep(600)"]
    program = script if not pg_install.is_root() else ["sleep", "600"]
    child = subprocess.Popen(program, cwd="/", **pg_install.as_system_user())
    yield child
    child.kill()
    child.wait()


def locks(data_dir: Path) -> list[Path]:
    """The files that hold a PostgreSQL's pid, wherever it keeps its socket."""
    running = postmaster(data_dir)
    return [cluster(data_dir).directory / "postmaster.pid", Path(running.socket_dir) / f"{postgres.SOCKET_NAME}.lock"]


# -- F1 --------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="PostgreSQL keeps no socket there")
@pytest.mark.parametrize("deep", [False, True], ids=["socket beside the cluster", "socket in the temp directory"])
def test_a_dead_servers_locks_whose_pid_is_somebody_else(
    open_dir: Path, tmp_path: Path, deep: bool, bystander: subprocess.Popen[bytes]
) -> None:
    path = open_dir / (f"deep-{'x' * 90}" if deep else "flat") / tmp_path.name
    path.parent.mkdir(mode=0o711, exist_ok=True)
    path.parent.chmod(0o711)
    try:
        for _ in range(3):
            state = process.start(StartOptions(data_dir=path, port=0))
            create_project(state, "kept")
            files = locks(path)
            kill(state["pid"], postmaster(path).pid)
            for file in files:
                file.write_text("\n".join([str(bystander.pid), *file.read_text().splitlines()[1:]]) + "\n")
            assert (files[1].parent == files[0].parent) is not deep
        state = process.start(StartOptions(data_dir=path, port=0))
        assert names(state) == ["kept"] * 3
        assert bystander.poll() is None
    finally:
        process.reset(path)


@pytest.mark.skipif(sys.platform == "win32", reason="PostgreSQL keeps no socket there")
def test_the_locks_of_a_living_server_stay(start: Start, data_dir: Path) -> None:
    state = start()
    before = {file: file.read_text() for file in locks(data_dir)}
    kill(state["pid"])
    start()
    assert {file: file.read_text() for file in locks(data_dir)} == before


def test_the_first_restart_of_a_killed_server_works(start: Start, data_dir: Path) -> None:
    state = start()
    for _ in range(3):
        before = postmaster(data_dir).pid
        kill(before)
        until(lambda: get(state, "/health").status_code == 200 and cluster(data_dir).postmaster() is not None)
        assert postmaster(data_dir).pid != before
    said = process.logs(data_dir)["lines"]
    assert not [line for line in said if "did not come back" in line]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no zombies")
def test_a_zombie_is_dead(tmp_path: Path) -> None:
    # Its parent never collects it, as the first process of a container.
    script = "import os, sys, time; pid = os.fork()\nif pid == 0: os._exit(0)\nprint(pid, flush=True); time.sleep(60)"
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    try:
        pid = int(parent.stdout.readline())
        until(lambda: psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
        (tmp_path / "postmaster.pid").write_text(f"{pid}\n{tmp_path}\n1\n5432\n{tmp_path}\n\n0\nready\n")
        assert postgres.EmbeddedPostgres(tmp_path, password="").postmaster() is None
        assert run_lock.began(pid) is None
    finally:
        parent.kill()
        parent.communicate()


# -- F3 --------------------------------------------------------------------------------------------------------------


def forget_state(data_dir: Path) -> None:
    (data_dir / datadir.STATE).unlink()


def step_the_clock(data_dir: Path) -> None:
    """As after a step: the time at which the process began, by the wall clock, is another one."""
    path = data_dir / datadir.STATE
    path.write_text(json.dumps({**json.loads(path.read_text()), "process_created": 1.0, "started_at": "2001-01-01"}))


def point_elsewhere(data_dir: Path) -> None:
    (data_dir / datadir.STATE).write_text(json.dumps({"pid": os.getpid(), "port": 1, "url": "http://127.0.0.1:1"}))


def forget_both(data_dir: Path) -> None:
    forget_state(data_dir)
    (data_dir / datadir.RUN_LOCK).write_text("")


@pytest.mark.parametrize("change", [forget_state, step_the_clock, point_elsewhere])
def test_whoever_holds_the_run_lock_is_the_gateway(
    change: Callable[[Path], None], start: Start, data_dir: Path
) -> None:
    state = start()
    change(data_dir)
    seen = process.status(data_dir)
    assert (seen["running"], seen["healthy"], seen["pid"], seen["url"]) == (True, True, state["pid"], state["url"])
    assert start()["pid"] == state["pid"]
    stopped = process.stop(data_dir)
    assert (stopped["was_running"], stopped["pid"]) == (True, state["pid"])
    until(lambda: not psutil.pid_exists(state["pid"]))  # what is left of it is taken away by the system
    assert cluster(data_dir).postmaster() is None
    assert start()["already_running"] is False


@pytest.mark.skipif(sys.platform == "win32", reason="open files of others cannot be listed there")
def test_a_gateway_that_nothing_describes_is_still_found_and_stopped(start: Start, data_dir: Path) -> None:
    state = start()
    forget_both(data_dir)
    seen = process.status(data_dir)
    assert (seen["running"], seen["healthy"], seen["pid"]) == (True, False, state["pid"])
    assert process.stop(data_dir)["pid"] == state["pid"]
    assert process.status(data_dir)["running"] is False
    assert start()["already_running"] is False


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_stop_never_says_stopped_while_it_is_served(start: Start, data_dir: Path) -> None:
    state = start()
    with pytest.MonkeyPatch.context() as unseen, pytest.raises(CoreProcessError) as caught:
        unseen.setattr(run_lock, "holder", lambda _: run_lock.Holder(None))
        process.stop(data_dir)
    assert caught.value.code == "CORE_STOP_FAILED"
    assert get(state, "/health").status_code == 200


def test_looking_does_not_disturb_a_start(tmp_path: Path) -> None:
    lock = run_lock.RunLock(tmp_path)
    assert not file_lock.is_held(lock.path)
    assert lock.take()
    assert file_lock.is_held(lock.path)
    found = run_lock.holder(tmp_path)
    assert found is not None
    assert (found.pid, found.state) == (os.getpid(), None)
    lock.tell({"port": 1, "data_dir": "x"})
    assert run_lock.holder(tmp_path) == run_lock.Holder(os.getpid(), {"port": 1, "data_dir": str(tmp_path)})
    lock.release()
    assert run_lock.holder(tmp_path) is None


# -- F9, cannot look -------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are POSIX")
def test_without_descriptors_nothing_is_concluded_removed_or_ended(start: Start, data_dir: Path) -> None:
    start()
    before = postmaster(data_dir)
    files = {file: file.read_text() for file in locks(data_dir)}
    script = """
import resource, sys
from pathlib import Path
from run402_cli.core.daemon import datadir, postgres, run_lock
from run402_cli.core.errors import CannotLook
import psutil, psycopg
data_dir = Path(sys.argv[1])
server = postgres.EmbeddedPostgres(postgres.cluster_directory(data_dir), password="")
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
for look in (server.postmaster, server.restart, server.stop, lambda: run_lock.holder(data_dir),
             lambda: datadir.is_ours(data_dir)):
    try:
        print(look())
    except CannotLook as exc:
        print(exc.code)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(data_dir)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.splitlines() == ["CORE_STATE_UNKNOWN"] * 5, done.stderr
    assert postmaster(data_dir) == before
    assert {file: file.read_text() for file in files} == files


def test_no_permission_is_unknown_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "postmaster.pid").write_text(f"{os.getpid()}\n{tmp_path}\n1\n5432\n{tmp_path}\n\n0\nready\n")

    def denied(self: psutil.Process) -> str:
        raise psutil.AccessDenied(self.pid)

    monkeypatch.setattr(psutil.Process, "name", lambda self: "postgres")
    monkeypatch.setattr(psutil.Process, "cwd", denied)
    with pytest.raises(CannotLook):
        postgres.EmbeddedPostgres(tmp_path, password="").stop()
    assert (tmp_path / "postmaster.pid").exists()


# -- F11 -------------------------------------------------------------------------------------------------------------


def test_start_of_a_gateway_whose_server_was_just_killed_waits_until_it_is_healthy(
    start: Start, data_dir: Path
) -> None:
    state = start()
    for _ in range(3):
        kill(postmaster(data_dir).pid)
        again = start()
        assert (again["already_running"], again["healthy"], again["pid"]) == (True, True, state["pid"])
        assert get(state, "/projects/v1").status_code == 200


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_start_fails_when_the_running_gateway_does_not_become_healthy(start: Start, data_dir: Path) -> None:
    state = start()
    os.kill(state["pid"], signal.SIGSTOP)
    try:
        with pytest.MonkeyPatch.context() as impatient, pytest.raises(CoreProcessError) as caught:
            impatient.setattr(process, "HEALTHY_TIMEOUT_SECONDS", 1)
            start()
    finally:
        os.kill(state["pid"], signal.SIGCONT)
    assert (caught.value.code, state["url"] in caught.value.message) == ("CORE_START_FAILED", True)


# -- F12 -------------------------------------------------------------------------------------------------------------


def edit_marker(data_dir: Path, **fields: Any) -> str:
    path = data_dir / datadir.MARKER
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))
    return path.read_text()


def test_a_newer_data_directory_is_refused_with_the_name_of_what_made_it(start: Start, data_dir: Path) -> None:
    datadir.prepare(data_dir)
    text = edit_marker(data_dir, format=99, made_by="run402 9.9.9")
    listing = sorted(path.name for path in data_dir.rglob("*"))
    for attempt in (start, lambda: process.stop(data_dir), lambda: process.reset(data_dir)):
        with pytest.raises(CoreProcessError) as caught:
            attempt()
        assert caught.value.code == "CORE_FORMAT_NEWER"
        assert "run402 9.9.9" in caught.value.message
    assert (data_dir / datadir.MARKER).read_text() == text
    assert sorted(path.name for path in data_dir.rglob("*")) == listing
    shutil.rmtree(data_dir)


def test_an_older_data_directory_and_database_are_upgraded_and_both_are_said(start: Start, data_dir: Path) -> None:
    create_project(start(), "kept")
    with psycopg.connect(cluster(data_dir).url(), autocommit=True) as conn:
        conn.execute("DROP TABLE internal.core_format")
    process.stop(data_dir)
    marker = json.loads((data_dir / datadir.MARKER).read_text())
    del marker["made_by"]
    (data_dir / datadir.MARKER).write_text(json.dumps({**marker, "format": 1, "ours": "unknown to this version"}))
    state = start()
    assert state["upgraded"] == [
        {"what": "data_dir", "from": 1, "to": datadir.FORMAT},
        {"what": "database", "from": 0, "to": bootstrap.FORMAT},
    ]
    assert names(state) == ["kept"]
    after = json.loads((data_dir / datadir.MARKER).read_text())
    assert (after["format"], after["made_by"]) == (datadir.FORMAT, datadir.MADE_BY)
    assert after["ours"] == "unknown to this version"
    assert "upgraded" not in start()


def test_a_newer_database_is_refused_and_left_as_it_is(start: Start, data_dir: Path) -> None:
    start()
    with psycopg.connect(cluster(data_dir).url(), autocommit=True) as conn:
        conn.execute("UPDATE internal.core_format SET format = 99, made_by = 'run402 9.9.9'")
        conn.execute("DROP FUNCTION auth.project_id()")
    process.stop(data_dir)
    with pytest.raises(CoreProcessError) as caught:
        start()
    assert caught.value.code == "CORE_FORMAT_NEWER"
    assert "run402 9.9.9" in caught.value.message
    server = cluster(data_dir)
    server.restart()
    with psycopg.connect(server.url(), autocommit=True) as conn:
        assert conn.execute("SELECT to_regprocedure('auth.project_id()')").fetchone() == (None,)
    server.stop()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"kind": "else"}', '{"kind": "run402-core-data", "format": "2"}'])
def test_a_damaged_marker_is_never_taken_for_none(data_dir: Path, content: str) -> None:
    datadir.prepare(data_dir)
    marker = data_dir / datadir.MARKER
    marker.write_text(content)
    options = StartOptions(data_dir=data_dir, port=0)
    attempts: list[Callable[[], object]] = [
        lambda: process.start(options),
        lambda: process.stop(data_dir),
        lambda: process.status(data_dir),
        lambda: process.reset(data_dir),
    ]
    for attempt in attempts:
        with pytest.raises(CoreProcessError) as caught:
            attempt()
        assert (caught.value.code, str(marker) in caught.value.message) == ("CORE_DATA_DIR_INVALID", True)
    assert marker.read_text() == content
    shutil.rmtree(data_dir)


def test_files_of_one_kind_of_database_are_not_served_with_the_other(
    start: Start, data_dir: Path, postgres_server: postgres.EmbeddedPostgres
) -> None:
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as admin:
        admin.execute("CREATE DATABASE tied")
    url = postgres_server.url("tied")
    start(database_url=url)
    with pytest.raises(CoreProcessError) as caught:
        datadir.upgrade(data_dir, external=False)
    assert (caught.value.code, "--database-url" in (caught.value.hint or "")) == ("CORE_DATA_DIR_INVALID", True)
    assert "not touched" in process.reset(data_dir)["note"]
    start()
    with pytest.raises(CoreProcessError) as caught:
        start(database_url=url)
    assert caught.value.code == "CORE_ALREADY_RUNNING"
    assert "embedded" in caught.value.message


def test_a_gateway_comes_back_on_its_port(start: Start, data_dir: Path) -> None:
    """Whoever saved its address finds it again; another port that was asked for is never quietly left out."""
    first = start()
    other = first["port"] + 1 if first["port"] < 65535 else first["port"] - 1
    with pytest.raises(CoreProcessError) as caught:
        start(port=other)
    assert (caught.value.code, str(other) in caught.value.message) == ("CORE_ALREADY_RUNNING", True)
    assert caught.value.next_actions[-1]["argv"][-2:] == ["--port", str(other)]
    assert start(port=first["port"])["already_running"] is True
    process.stop(data_dir)
    assert start(port=None)["port"] == first["port"]


def test_a_url_that_never_worked_binds_nobody(start: Start) -> None:
    with pytest.raises(CoreProcessError):
        start(database_url="postgresql://nobody@127.0.0.1:1/none")
    assert start()["database"] == "embedded"


# -- F14 -------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="open files cannot be deleted there")
def test_a_deleted_data_directory_ends_the_gateway_and_nothing_is_made_in_its_place(
    start: Start, data_dir: Path
) -> None:
    state = start()
    running = postmaster(data_dir)
    shutil.rmtree(data_dir)
    gone = [psutil.Process(state["pid"]), psutil.Process(running.pid)]
    _, alive = psutil.wait_procs(gone, timeout=60)
    assert alive == []
    assert not data_dir.exists()


def test_a_supervisor_never_creates_a_cluster(tmp_path: Path) -> None:
    with pytest.raises(CoreProcessError) as caught:
        postgres.EmbeddedPostgres(tmp_path / "postgres", password="").restart()
    assert caught.value.code == "CORE_DATA_DIR_GONE"
    assert list(tmp_path.iterdir()) == []
