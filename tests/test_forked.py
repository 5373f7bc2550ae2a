"""A command in a forked process does what one does that was started (tests/kits/forked_kit.py)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import forked_kit
import psutil
import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is forked here")
FRESH = [sys.executable, "-m", "run402_cli"]


def run(command: list[str], args: list[str], folder: Path, **more: object) -> tuple[int, bytes, bytes]:
    environment = {**os.environ, "RUN402_CONFIG_DIR": str(folder / "config"), "RUN402_API_BASE": "http://127.0.0.1:9"}
    given = {"env": environment, "cwd": folder, "input": b"", "capture_output": True, "check": False, **more}
    done = subprocess.run([*command, *args], **given)  # type: ignore[call-overload]
    return done.returncode, done.stdout, done.stderr.replace(str(folder).encode(), b"FOLDER")


@pytest.mark.parametrize(
    "args",
    [
        ["--version"],
        ["secrets", "set", "--help"],
        ["nope"],
        ["wallets", "list", "--jq", ".wallets | length"],
        ["status", "--format", "text"],
        ["projects", "list"],
        ["docs", "secrets"],
        ["doctor", "--offline"],
        ["secrets", "set", "K", "\udcff"],
        ["up", "--plan"],
    ],
    ids=" ".join,
)
def test_the_same_is_printed(args: list[str], tmp_path: Path) -> None:
    answers = []
    for kind in ("fresh", "forked"):
        folder = tmp_path / kind
        folder.mkdir()
        answers.append(run(FRESH if kind == "fresh" else forked_kit.words(), args, folder))
    assert answers[0] == answers[1]


def test_its_streams_directory_and_umask_are_those_of_its_client(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        code, _, err = run(forked_kit.words(), ["skill", "install", "codex", "--dir", "."], tmp_path)
    finally:
        os.umask(before)
    assert code == 0, err
    (made,) = tmp_path.rglob("SKILL.md")
    assert made.stat().st_mode & 0o777 == 0o640
    code, out, err = run(
        forked_kit.words(), ["secrets", "set", "K", "--stdin", "--project", "prj_1"], tmp_path, input=b"v" * 5000
    )
    assert (code, out) == (1, b"") and b"4096" in err


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], psutil.Process]]:
    """A client whose command waits for its input, and the process of the command."""
    environment = {**os.environ, "RUN402_CONFIG_DIR": str(tmp_path)}
    words = [*forked_kit.words(environment), "deploy", "apply", "--manifest", "-"]
    servers = [child for child in psutil.Process().children() if forked_kit.__file__ in child.cmdline()]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    client = subprocess.Popen(words, env=environment, **pipes)  # type: ignore[call-overload]
    family: list[psutil.Process] = []
    while not family:
        assert client.poll() is None, client.communicate()
        time.sleep(0.01)
        below = [child for server in servers for child in server.children(recursive=True)]
        family = [child for child in below if child.status() != psutil.STATUS_ZOMBIE]
    (command,) = family
    yield client, command
    client.kill()
    client.communicate()


def test_it_ends_with_its_client(waiting: tuple[subprocess.Popen[bytes], psutil.Process]) -> None:
    client, command = waiting
    client.kill()
    assert psutil.wait_procs([command], timeout=10)[1] == []


def test_its_client_ends_as_it_ends(waiting: tuple[subprocess.Popen[bytes], psutil.Process]) -> None:
    client, command = waiting
    command.kill()
    assert client.wait(10) == -signal.SIGKILL
