"""What the processes of a gateway are started with: names of the list, looked up in the processes themselves."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from functions_kit import Functions, handler
from gateway_kit import Live

from run402_cli.core import clean_environment
from run402_cli.core.copies import schemas
from run402_cli.core.daemon import datadir, launcher, pg_install, postgres
from run402_cli.core.daemon.launcher import StartOptions
from run402_cli.core.functions import node
from run402_cli.local_gateway import CONTROL_HEADER

CORE = Path(clean_environment.__file__).parent
PLANTED = {
    "MY_TOKEN": "planted",
    "AWS_SECRET_ACCESS_KEY": "planted",
    "GITHUB_TOKEN": "planted",
    "PGOPTIONS": "-c search_path=planted",
    "NODE_PATH": "/planted",
    "NPM_TOKEN": "planted",
    "RUN402_DELEGATE_TOKEN": "planted",
    "LD_PRELOAD_X": "planted",
    "npm_config_auth": "planted",
}
posix = pytest.mark.skipif(sys.platform == "win32", reason="programs that are shell scripts")


@pytest.fixture(autouse=True)
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("SSL_CERT_FILE", "/roots.pem")
    monkeypatch.setenv("LC_TIME", "C")


@pytest.fixture
def data_dir(open_dir: Path, tmp_path: Path) -> Iterator[Path]:
    path = open_dir / f"clean-{tmp_path.name}"
    yield path
    launcher.stop(path)
    if datadir.is_ours(path):
        launcher.reset(path)


def is_clean(environment: dict[str, str]) -> bool:
    return "PATH" in environment and not PLANTED.keys() & environment.keys() and "planted" not in environment.values()


@pytest.fixture
def wrapped(open_dir: Path, tmp_path: Path) -> Iterator[Path]:
    """A folder for programs that write down their environment before they are what they were."""
    folder = open_dir / f"wrapped-{tmp_path.name}"
    folder.mkdir()
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


def wrap(folder: Path, real: Path) -> Path:
    program = folder / real.name
    program.write_text(f'#!/bin/sh\nenv -0 > "{folder}/{real.name}.env"\nexec "{real}" "$@"\n')
    program.chmod(0o755)
    return program


def seen(folder: Path, program: str) -> dict[str, str]:
    words = (folder / f"{program}.env").read_text().split("\0")
    return dict(word.split("=", 1) for word in words if word)


def test_gateway_and_postgres_in_the_background(data_dir: Path) -> None:
    state = launcher.start(StartOptions(data_dir=data_dir, port=0))
    gateway = psutil.Process(state["pid"]).environ()
    assert is_clean(gateway)
    assert (gateway["HTTPS_PROXY"], gateway["SSL_CERT_FILE"]) == ("http://proxy.example:3128", "/roots.pem")
    assert gateway["HOME"] == os.environ["HOME"]
    running = postgres.EmbeddedPostgres(postgres.cluster_directory(data_dir), password="").postmaster()
    assert running is not None
    environment = psutil.Process(running.pid).environ()
    assert is_clean(environment)
    # It calls no other machine, and proxies may have passwords.
    assert "HTTPS_PROXY" not in environment


def test_a_module_in_the_working_directory_of_the_gateway_is_not_imported(data_dir: Path) -> None:
    launcher.start(StartOptions(data_dir=data_dir, port=0))
    launcher.stop(data_dir)
    for name in ("uvicorn.py", "psycopg.py", "sitecustomize.py"):
        (data_dir / name).write_text("raise SystemExit('imported from the working directory')\n")
    state = launcher.start(StartOptions(data_dir=data_dir, port=0))
    assert state["healthy"] is True


def test_a_relative_module_path_is_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", ".", "lib", str(tmp_path)]))
    parts = clean_environment.of_gateway()["PYTHONPATH"].split(os.pathsep)
    assert parts == [str(CORE.parents[1]), str(tmp_path)]


def began_request(data_dir: Path) -> socket.socket:
    """A request whose body does not come, after the gateway has begun with it."""
    state = json.loads((data_dir / datadir.STATE).read_text())
    sock = socket.create_connection(("127.0.0.1", state["port"]))
    sock.sendall(
        b"POST /projects/v1 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n"
        + f"{CONTROL_HEADER}: {state['control_token']}\r\n\r\n".encode()
    )
    assert sock.recv(100).startswith(b"HTTP/1.1 100 ")
    return sock


@posix
def test_gateway_in_the_foreground(data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "uvicorn.py").write_text("raise SystemExit('imported from the working directory')\n")
    command = [sys.executable, "-m", "run402_cli", "core", "start", "--foreground", "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(CORE.parents[1])}
    child = subprocess.Popen(
        [*command, "--data-dir", str(data_dir)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=tmp_path,
        env=environment,
    )
    try:
        assert child.stdout is not None
        answer = ""
        while not answer.rstrip().endswith("\n}"):
            line = child.stdout.readline()
            assert line, answer
            answer += line
        assert json.loads(answer)["pid"] == child.pid
        assert is_clean(psutil.Process(child.pid).environ())
        begun = began_request(data_dir)
    finally:
        child.send_signal(signal.SIGTERM)
        # A command ends within a second of the signal; a gateway first ends what it has begun.
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=1.5)
    assert child.poll() is None
    begun.close()
    child.communicate(timeout=60)
    assert child.returncode == 0


@posix
def test_programs_of_postgres(data_dir: Path, wrapped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = pg_install.binaries()
    for name in ("initdb", "pg_ctl"):
        wrap(wrapped, real / name)
    monkeypatch.setattr(pg_install, "binaries", lambda: wrapped)
    data_dir.mkdir()
    data_dir.chmod(0o711)
    with postgres.running(data_dir / "postgres", durable=False):
        pass
    shutil.rmtree(data_dir)
    for name in ("initdb", "pg_ctl"):
        assert is_clean(seen(wrapped, name)), name


@posix
def test_pg_dump(live: Live, wrapped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = wrap(wrapped, pg_install.binaries() / "pg_dump")
    monkeypatch.setattr(schemas, "_pg_dump", lambda: str(program))
    with pytest.raises(Exception, match="pg_dump"):
        live.run(schemas.dump(live.gateway, "r402_nobody", "public", "no-such-snapshot", "pre-data"))
    assert is_clean(seen(wrapped, "pg_dump"))


def test_workers_of_functions(live: Live, functions: Functions) -> None:
    functions.deploy({"env": handler("return Response.json({ pid: process.pid, env: process.env })")})
    answer = functions.call("env").json()
    environment = psutil.Process(answer["pid"]).environ()
    assert is_clean(environment)
    assert is_clean(answer["env"])
    assert "HTTPS_PROXY" not in environment
    assert {name for name in answer["env"] if name.startswith("RUN402_")} == {
        *("RUN402_API_BASE", "RUN402_PROJECT_ID", "RUN402_RELEASE_ID", "RUN402_FUNCTION_NAME"),
        *("RUN402_ANON_KEY", "RUN402_SERVICE_KEY"),
    }


@posix
def test_node_and_npm(wrapped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = node.find_node()
    npm = wrapped / "npm"
    npm.write_text(f'#!/bin/sh\nenv -0 > "{wrapped}/npm.env"\n')
    npm.chmod(0o755)
    mine = node.Node(wrap(wrapped, found.path), found.version, (str(npm),))
    monkeypatch.setattr(node, "find_node", lambda: mine)
    asyncio.run(node.install(tmp_path, ["left-pad"]))
    asyncio.run(node.check_modules(tmp_path, {"index.mjs": "export default 1"}, "index.mjs", "default"))
    (wrapped / "node.env").rename(wrapped / "check.env")
    assert node._node(mine.path, None) is not None
    for program in ("npm", "node", "check"):
        assert is_clean(seen(wrapped, program)), program
    # Packages come from another machine.
    assert seen(wrapped, "npm")["HTTPS_PROXY"] == "http://proxy.example:3128"


def test_every_process_that_the_gateway_starts_has_its_environment_from_the_list() -> None:
    """A new one without it fails here."""
    makers = {"environment", "_environment", "clean", "of_gateway", "_connection_environment"}
    started = []
    for path in CORE.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call):
                continue
            handed = [call.func, *call.args]
            if any(ast.unparse(each) in ("subprocess.run", "subprocess.Popen") for each in handed):
                env = next((word.value for word in call.keywords if word.arg == "env"), None)
                assert isinstance(env, ast.Call), f"{path}:{call.lineno}"
                assert ast.unparse(env.func).rpartition(".")[2] in makers, f"{path}:{call.lineno}"
                started.append(path)
        assert "os.spawn" not in path.read_text(encoding="utf-8")
    assert len(started) >= 7


def test_names_are_of_the_list_in_any_case_only_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"Path": "x", "lc_all": "y", "SystemRoot": "z", "Other": "o"})
    monkeypatch.setattr(clean_environment.sys, "platform", "win32")  # type: ignore[attr-defined]
    assert clean_environment.clean(OWN="1") == {"Path": "x", "lc_all": "y", "SystemRoot": "z", "OWN": "1"}
    monkeypatch.setattr(clean_environment.sys, "platform", "linux")  # type: ignore[attr-defined]
    assert clean_environment.clean() == {}


def test_libpq_has_its_variables_only_for_a_database_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "mine")
    assert "PGPASSWORD" not in pg_install.environment()
    external = launcher._libpq(StartOptions(database_url="postgresql://db.example/x"))
    assert clean_environment.of_gateway(*external)["PGPASSWORD"] == "mine"
    assert "PGPASSWORD" not in clean_environment.of_gateway(*launcher._libpq(StartOptions()))
