"""run402 dev, as typed, with a stand-in for npx."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from run_kit import BASE, Run

from run402_cli.services import dev

posix = pytest.mark.skipif(os.name == "nt", reason="the stand-in for npx is a shell script")


@pytest.fixture
def npx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory first on PATH; write the stand-in with `script`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def script(folder: Path, body: str) -> None:
    path = folder / "npx"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


@posix
def test_dev_runs_astro_with_the_project_in_its_environment(
    run: Run, npx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(npx, 'echo "$@ $RUN402_PROJECT_ID $RUN402_SERVICE_KEY $MINE"; exit 7')
    Path(".env.local").write_text("RUN402_SERVICE_KEY='sk_1'\nRUN402_PROJECT_ID=prj_file\nMINE=file\n")
    monkeypatch.setenv("MINE", "shell")
    outcome = run("dev", "--port", "5000", "--project", "prj_flag")
    assert outcome.exit == 7
    lines = outcome.out.splitlines()
    assert lines[-1] == "astro dev --port 5000 --host localhost prj_flag sk_1 shell"
    assert "prj_flag" in outcome.out
    assert BASE in outcome.out
    assert "loaded" in outcome.out
    assert "sk_1" not in "\n".join(lines[:-1])


def test_dev_needs_a_project_and_a_key(run: Run, wallet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("dev").error["code"] == "BAD_USAGE"  # the active project is not used
    assert "RUN402_SERVICE_KEY" in run("dev", "--project", "prj_1").error["message"]


def test_dev_without_npx_says_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("RUN402_SERVICE_KEY", "sk_1")
    outcome = run("dev", "--project", "prj_1")
    assert outcome.exit == 1
    assert '"NPX_NOT_FOUND"' in outcome.err
    assert "Node.js" in outcome.err


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_passed_on_and_ends_both(npx: Path, tmp_path: Path, number: int) -> None:
    started = tmp_path / "started"
    script(
        npx,
        f'exec {sys.executable} -c "import pathlib,signal,time; signal.signal(signal.SIGINT, signal.SIG_DFL); '
        f"pathlib.Path('{started}').touch(); time.sleep(60)\"",
    )
    env = {**os.environ, "RUN402_SERVICE_KEY": "sk_1", "RUN402_API_BASE": BASE}
    command = [sys.executable, "-m", "run402_cli", "dev", "--project", "prj_1"]
    process = subprocess.Popen(command, env=env, cwd=tmp_path, stdout=subprocess.PIPE)
    try:
        while not started.exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        assert process.wait(30) == -number
    finally:
        process.kill()
        process.communicate()


def test_the_env_file_is_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / ".env.local"
    path.write_text(
        "\ufeff A = 1 \n\n# B=2\nC='x y'\nD=\"q\nE=a=b # kept\nexport F=1\nno equals\n=x\nG=\nSET=new\nEMPTY=new\n"
    )
    env, loaded = dev.with_env_file({"SET": "old", "EMPTY": ""}, path)
    assert loaded
    assert env == {
        "SET": "old",
        "EMPTY": "new",
        "A": "1",
        "C": "x y",
        "D": '"q',
        "E": "a=b # kept",
        "export F": "1",
        "G": "",
    }
    assert dev.with_env_file({"A": "1"}, tmp_path / "missing") == ({"A": "1"}, False)
