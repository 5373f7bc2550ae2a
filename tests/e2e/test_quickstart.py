"""`make quickstart` does what the README says: the guestbook answers with a page and a row."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.e2e
SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "examples" / "guestbook" / "quickstart.py"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The console script of this environment, as a user would call it."""
    path = Path(sys.executable).parent / ("run402.exe" if os.name == "nt" else "run402")
    assert path.exists(), "the package is not installed in this environment"
    return path


def test_the_guestbook_answers_and_takes_an_entry(tmp_path: Path, program: Path) -> None:
    home = tmp_path / "home"
    command = [sys.executable, str(SCRIPT), "--run402", str(program), "--home", str(home)]
    env = {**os.environ, "RUN402_CONFIG_DIR": str(home / "config"), "RUN402_CORE_DATA_DIR": str(home / "data")}
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
        first = json.loads(done.stdout)
        steps = done.stderr.splitlines()
        assert steps[0] == "quickstart: starting the local gateway and its PostgreSQL"
        assert len(steps) == 5
        assert all(line.startswith("quickstart: ") for line in steps)
        assert first["page_title"] == "Guestbook"
        assert first["first_row"]["message"] == "Hello from a real PostgreSQL."
        page = httpx.get(first["url"]).text
        assert "guestbook.js" in page
        settings = httpx.get(first["url"] + "api/config", timeout=30).json()
        headers = {"apikey": settings["anonKey"], "Origin": first["gateway"]}
        assert settings["url"] == first["gateway"]
        assert 'id="login"' in httpx.get(first["sign_in"]).text
        known = {"email": "ada@example.com", "password": "correct horse battery"}
        httpx.post(f"{settings['url']}/auth/v1/signup", json=known, headers=headers).raise_for_status()
        session = httpx.post(f"{settings['url']}/auth/v1/token", json=known, headers=headers).json()
        bearer = {"authorization": f"Bearer {session['access_token']}"}
        made = httpx.post(first["url"] + "api/entries", json={"message": "Hi"}, headers=headers | bearer, timeout=30)
        assert made.status_code == 201, made.text
        again = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout)
        assert again["project_id"] == first["project_id"]
        rows = httpx.get(f"{settings['url']}/rest/v1/entries?select=author&order=id", headers=headers).json()
        assert rows == [{"author": "run402"}, {"author": "ada"}]
    finally:
        subprocess.run([str(program), "core", "reset", "--yes"], env=env, capture_output=True, check=False, timeout=60)


@pytest.mark.skipif(os.name == "nt" or shutil.which("make") is None, reason="needs make and a POSIX shell")
def test_make_says_each_step_on_stderr_and_only_the_document_on_stdout(tmp_path: Path) -> None:
    """With an interpreter that makes no environment and installs nothing, but talks as pip does."""
    root = SCRIPT.parents[3]
    shutil.copy(root / "Makefile", tmp_path)
    shutil.copy(root / "pyproject.toml", tmp_path)
    (tmp_path / "run402_cli").mkdir()
    stub = tmp_path / "python-stub"
    stub.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        '  "-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;\n'
        '  "-m pip"*) echo Collecting everything ;;\n'
        '  *quickstart.py*) echo \'{"url": "u"}\' ;;\n'
        "esac\n"
    )
    stub.chmod(0o755)
    command = ["make", "quickstart", f"PYTHON={stub}"]
    # Below another make, as here, make itself tells on stdout which directory it enters.
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout) == {"url": "u"}
    first, second, third = done.stderr.splitlines()
    assert (first.startswith("quickstart: "), second.startswith("quickstart: ")) == (True, True)
    assert third == "Collecting everything"
