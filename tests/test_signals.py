"""SIGINT and SIGTERM in every phase of a command: it ends with 130 or 143, and what it started ends with it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import config_kit
import psutil
import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX signals")

RUN402 = [sys.executable, "-m", "run402_cli"]
# The shell's view of a process that ended by the signal itself is the same number.
CODES = {signal.SIGINT: (130, -signal.SIGINT), signal.SIGTERM: (143, -signal.SIGTERM)}
both = pytest.mark.parametrize("number", CODES)
ROWS = b'{"rows":[' + b",".join(b'{"id":%d,"text":"some words"}' % n for n in range(400_000)) + b"]}"


@pytest.fixture
def gateway() -> Iterator[str]:
    """Answers /projects/... SQL with many rows, and nothing else at all."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        open_: list[socket.socket] = []

        def serve(connection: socket.socket) -> None:
            head = connection.recv(65536)
            if b"/sql" in head.split(b"\r\n")[0]:
                length = str(len(ROWS)).encode()
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " + length)
                connection.sendall(b"\r\n\r\n" + ROWS)

        def accept() -> None:
            while True:
                try:
                    connection = server.accept()[0]
                except OSError:
                    return
                open_.append(connection)
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        for connection in open_:
            connection.close()


@pytest.fixture
def env(gateway: str, tmp_path: Path) -> dict[str, str]:
    config = tmp_path / "config"
    config_kit.keep_keys(config, prj_1={"service_key": "r402_service_1"})
    config_kit.keep_wallet(config)
    return {**os.environ, "RUN402_CONFIG_DIR": str(config), "RUN402_API_BASE": gateway}


def stop(process: subprocess.Popen[bytes], number: signal.Signals) -> bytes:
    """Send the signal, and return stderr. The limits are far above what the text promises: no test measures time here."""
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    try:
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode in CODES[number], err
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not [child for child in alive if child.status() != psutil.STATUS_ZOMBIE]
    assert b"Traceback" not in err
    return err


def begin(
    words: list[str], env: dict[str, str], cwd: Path, *, stdin: int = subprocess.DEVNULL
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*RUN402, *words], env=env, cwd=cwd, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def until(condition: object, process: subprocess.Popen[bytes]) -> None:
    assert callable(condition)
    for _ in range(1000):
        if condition():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    raise AssertionError("the phase never began")


def busy(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether the process (or a child) has used so much of the processor; the imports of a command take less."""
    me = psutil.Process(process.pid)
    return any(sum(each.cpu_times()[:2]) > seconds for each in [me, *me.children(recursive=True)])


def printed(process: subprocess.Popen[bytes]) -> bool:
    return bool(select.select([process.stdout], [], [], 0)[0])


def until_idle(process: subprocess.Popen[bytes]) -> None:
    """Until the command waits for something: asleep each time that it is looked at.

    How much of the processor it has used says nothing: a fast machine starts it within less than any figure. One that
    is starved, or that reads from a disk, is not asleep.
    """
    seen: list[bool] = []

    def idle() -> bool:
        seen.append(psutil.Process(process.pid).status() == psutil.STATUS_SLEEPING)
        return len(seen) >= 10 and all(seen[-10:])

    until(idle, process)


def has_read(process: subprocess.Popen[bytes], path: Path) -> bool:
    return any(opened.path == str(path) for opened in psutil.Process(process.pid).open_files())


def has_busy_child(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):  # another one, which is over by now
        return any(child.cpu_times().user > 0.3 for child in psutil.Process(pid).children())
    return False


def interrupted(err: bytes) -> None:
    assert json.loads(err.splitlines()[-1])["code"] == "INTERRUPTED"


@both
@pytest.mark.parametrize("program", ["last(range(1e12))", "range(1e12)", "def f: f; f"])
def test_a_jq_program_without_end(env: dict[str, str], tmp_path: Path, number: signal.Signals, program: str) -> None:
    process = begin(["wallets", "list", "--jq", program], env, tmp_path)
    until(lambda: has_busy_child(process.pid), process)
    interrupted(stop(process, number))


def test_a_jq_program_ends_with_a_command_that_was_killed(env: dict[str, str], tmp_path: Path) -> None:
    process = begin(["wallets", "list", "--jq", "last(range(1e12))"], env, tmp_path)
    until(lambda: has_busy_child(process.pid), process)
    children = psutil.Process(process.pid).children()
    process.kill()
    process.communicate()
    if sys.platform == "linux":
        assert not psutil.wait_procs(children, timeout=10)[1]
    for child in children:
        if child.is_running():
            child.kill()


@both
def test_waiting_for_stdin(env: dict[str, str], tmp_path: Path, number: signal.Signals) -> None:
    process = begin(["projects", "sql", "--stdin", "--project", "prj_1"], env, tmp_path, stdin=subprocess.PIPE)
    until_idle(process)
    interrupted(stop(process, number))


@both
def test_waiting_for_an_answer_to_a_write_is_not_called_safe(
    env: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    process = begin(["secrets", "set", "K", "v", "--project", "prj_1"], env, tmp_path)
    until(lambda: psutil.Process(process.pid).net_connections("tcp"), process)
    time.sleep(0.3)
    envelope = json.loads(stop(process, number).splitlines()[-1])
    assert (envelope["code"], envelope["safe_to_retry"], envelope["retryable"]) == ("INTERRUPTED", False, False)


@both
def test_waiting_for_a_lock(env: dict[str, str], tmp_path: Path, number: signal.Signals) -> None:
    config = Path(env["RUN402_CONFIG_DIR"])
    for name in ("credentials/project-keys.v1.json", "projects.json"):
        (config / f"{name}.lock").mkdir(parents=True)
    words = ["credentials", "project-keys", "remove", "--project", "prj_1"]
    process = begin(words, env, tmp_path)
    until_idle(process)
    interrupted(stop(process, number))


@both
def test_hashing_a_large_file(env: dict[str, str], tmp_path: Path, number: signal.Signals) -> None:
    large = tmp_path / "large.bin"
    with large.open("wb") as file:
        file.truncate(1 << 40)
    process = begin(["assets", "put", "large.bin", "--project", "prj_1"], env, tmp_path)
    until(lambda: has_read(process, large), process)
    interrupted(stop(process, number))


@both
def test_hashing_a_large_site(env: dict[str, str], tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    for n in range(20):
        with (folder / f"{n}.bin").open("wb") as file:
            file.truncate(1 << 36)
    process = begin(["sites", "deploy-dir", "site", "--project", "prj_1"], env, tmp_path)
    until(lambda: busy(process, 0.8), process)
    interrupted(stop(process, number))


@both
@pytest.mark.parametrize("style", ["text", "jsonl", "json"])
def test_making_the_text_of_many_rows(env: dict[str, str], tmp_path: Path, number: signal.Signals, style: str) -> None:
    process = begin(["projects", "sql", "select 1", "--project", "prj_1", "--format", style], env, tmp_path)
    # Lines come as they are made, and nobody reads them: then it waits.
    until(lambda: busy(process, 0.9) or printed(process), process)
    stop(process, number)


@both
def test_a_configuration_program_without_end(env: dict[str, str], tmp_path: Path, number: signal.Signals) -> None:
    begun = tmp_path / "begun"
    program = f"import fs from 'node:fs'; fs.writeFileSync({str(begun)!r}, ''); for (;;) {{}}\nexport default {{}};\n"
    (tmp_path / "run402.deploy.mjs").write_text(program)
    process = begin(["deploy", "apply", "--manifest", "run402.deploy.mjs", "--project", "prj_1"], env, tmp_path)
    until(begun.exists, process)
    interrupted(stop(process, number))


@both
def test_a_development_server_that_does_not_listen(env: dict[str, str], tmp_path: Path, number: signal.Signals) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    npx, begun = tools / "npx", tmp_path / "begun"
    npx.write_text(f"#!/bin/sh\ntrap '' INT TERM\ntouch {begun}\nwhile :; do sleep 0.05; done\n")
    npx.chmod(0o755)
    process = begin(
        ["dev", "--project", "prj_1"],
        {**env, "PATH": f"{tools}:{env['PATH']}", "RUN402_SERVICE_KEY": "sk_1"},
        tmp_path,
    )
    until(begun.exists, process)
    family = psutil.Process(process.pid).children()
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode not in (0, 1)
    assert not psutil.wait_procs(family, timeout=10)[1]


@both
def test_a_call_that_stays_inside_the_system(tmp_path: Path, number: signal.Signals) -> None:
    """A mutex that is held stands for a name that is looked up: it goes on waiting after a signal."""
    begun = tmp_path / "begun"
    code = (
        "import ctypes, pathlib, sys\nfrom run402_cli import main, signals\n"
        "signals.install(watch=True)\n"
        "libc, lock = ctypes.CDLL(None), ctypes.create_string_buffer(64)\n"
        f"libc.pthread_mutex_lock(lock)\npathlib.Path({str(begun)!r}).touch()\nlibc.pthread_mutex_lock(lock)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    until(begun.exists, process)
    time.sleep(0.2)
    interrupted(stop(process, number))


@both
def test_a_build_command_and_what_it_started(tmp_path: Path, number: signal.Signals) -> None:
    begun = tmp_path / "begun"
    code = (
        "import pathlib, sys\nfrom run402_cli import signals\nfrom run402_cli.up import _app_build\n"
        "signals.install(watch=True)\n"
        f"_app_build._run({{'shell': 'sleep 1000 & touch {begun}; sleep 1000'}}, pathlib.Path({str(tmp_path)!r}), {{}})\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    until(begun.exists, process)
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) >= 2
    process.send_signal(number)
    process.communicate(timeout=30)
    assert not left(family)


def left(family: list[psutil.Process]) -> list[psutil.Process]:
    """The processes that did not end; they are gone afterwards."""
    alive = psutil.wait_procs(family, timeout=10)[1]
    for process in alive:
        process.kill()
    return alive


# The moment between the start of a child and the return of Popen, made certain: the signal comes from inside Popen.
_EARLY = """
import os, pathlib, subprocess, sys
from run402_cli import signals
from run402_cli.release import node
from run402_cli.services import dev
from run402_cli.up import _app_build

class Popen(subprocess.Popen):
    def __init__(self, *args, **how):
        super().__init__(*args, **how)
        (folder / "pid").write_text(str(self.pid))
        os.kill(os.getpid(), int(sys.argv[1]))

folder = pathlib.Path(sys.argv[2])
signals.install(watch=True)
subprocess.Popen = Popen
"""
STARTS = {
    "build": "_app_build._run({'argv': [str(folder / 'npx')]}, folder, {})",
    "node": "node.run(node.Node(str(folder / 'npx'), (22, 0, 0)), [], start_s=60, work_s=60)",
    "dev": "dev.run_astro({'PATH': str(folder)}, port='1', host='h')",
}


@both
@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_a_child_that_has_just_started(tmp_path: Path, number: signal.Signals, start: str) -> None:
    npx = tmp_path / "npx"
    npx.write_text("#!/bin/sh\nexec /bin/sleep 1000\n")
    npx.chmod(0o755)
    words = [sys.executable, "-c", f"{_EARLY}{start}", str(int(number)), str(tmp_path)]
    with (tmp_path / "stderr").open("wb") as stderr:  # no pipe, which a child that lives on would hold open
        subprocess.run(words, stdout=stderr, stderr=stderr, timeout=60, check=False)
    assert b"Interrupted" in (tmp_path / "stderr").read_bytes()
    pid = int((tmp_path / "pid").read_text(encoding="utf-8"))
    assert not left([psutil.Process(pid)] if psutil.pid_exists(pid) else [])
