"""Shell completion: candidates by position, from local files only, without command modules."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from run402_cli.completion import candidates
from run402_cli.main import _guarded


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUN402_CONFIG_DIR", str(tmp_path))
    folder = tmp_path / "profiles" / "ci" / "credentials"
    folder.mkdir(parents=True)
    store = {"version": 1, "projects": {"prj_abc": {"anon_key": "a"}}}
    (folder / "project-keys.v1.json").write_text(json.dumps(store))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["proj"], ["projects"]),
        (["projects", "sq"], ["sql"]),
        (["deploy", "release", "di"], ["diff"]),
        (["projects", "sql", "--fi"], ["--fields", "--file"]),
        (["--wallet", "x", "stat"], ["status"]),
        (["up", "ver"], ["verify"]),
        (["nonsense", ""], []),
    ],
)
def test_candidates_fit_the_place(words: list[str], expected: list[str], keys: None) -> None:
    assert candidates(words) == expected


def test_project_ids_and_wallets_come_from_the_local_files(keys: None) -> None:
    assert candidates(["projects", "get", "--project", ""]) == ["prj_abc"]
    assert candidates(["projects", "get", "prj_"]) == ["prj_abc"]
    assert candidates(["status", "--wallet", ""]) == ["ci", "default"]


def test_damaged_files_complete_to_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUN402_CONFIG_DIR", str(tmp_path))
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "project-keys.v1.json").write_bytes(b"\xff{")
    assert candidates(["projects", "get", "--project", ""]) == []


def test_completion_imports_no_third_party_code_and_no_command() -> None:
    code = (
        "import sys; from run402_cli.main import main; main(['__complete', 'projects', 'sql', '--f']);"
        "bad = [m for m in sys.modules if m.split('.')[0] in ('typer', 'click', 'httpx', 'pydantic')"
        " or m.startswith('run402_cli.commands')]; sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--file" in done.stdout.split()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_calls_back(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _guarded(["completion", shell]) == 0
    assert "run402 __complete" in capsys.readouterr().out


def test_bash_completes_through_the_script(tmp_path: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    script = tmp_path / "completion.bash"
    script.write_text(
        subprocess.run(
            [sys.executable, "-m", "run402_cli", "completion", "bash"], capture_output=True, text=True, check=True
        ).stdout
    )
    code = (
        f'run402() {{ {sys.executable} -m run402_cli "$@"; }}; . {script};'
        "COMP_WORDS=(run402 projects sq); COMP_CWORD=2; _run402; echo ${COMPREPLY[@]}"
    )
    done = subprocess.run([bash, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["sql"]


def test_an_unknown_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert _guarded(["completion", "tcsh"]) == 1
    assert json.loads(capsys.readouterr().err)["code"] == "BAD_FLAG"
