"""What commands read for upload and where they write: no file outside of the workspace, no secret, none replaced."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from pytest_httpx import HTTPXMock
from run_kit import Run
from source_kit import PACKAGE, tree

MARKED = {"site": {"replace": {"index.html": "ok", "w.txt": {"path": "PATH"}}}}
FORMS: dict[str, Any] = {
    "site file": MARKED,
    "site patch": {"site": {"patch": {"put": {"w.txt": {"path": "PATH"}}}}},
    "function": {"functions": {"patch": {"set": {"f": {"source": {"path": "PATH"}}}}}},
    "function file": {"functions": {"replace": {"f": {"source": "x", "files": {"a.mjs": {"path": "PATH"}}}}}},
    "asset": {"assets": {"put": [{"key": "k", "source": {"path": "PATH"}}]}},
    "sql_path": {"database": {"migrations": [{"id": "1", "sql_path": "PATH"}]}},
    "sql_file": {"database": {"migrations": [{"id": "1", "sql_file": "PATH"}]}},
    "directory": {"site": {"replace": {"__source": "local-dir", "path": "FOLDER"}}},
}


def manifest(form: str, path: Path | str) -> str:
    text = json.dumps(FORMS[form])
    folder = str(Path(path).parent).replace("\\", "\\\\")
    return text.replace("PATH", str(path).replace("\\", "\\\\")).replace("FOLDER", folder)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("relative", [False, True])
def test_a_manifest_names_no_file_outside(
    run: Run, wallet: Path, tmp_path: Path, httpx_mock: HTTPXMock, form: str, relative: bool
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/x.mjs").write_text("export default () => 1")
    path = "../outside/x.mjs" if relative else str(tmp_path / "outside/x.mjs")
    Path("run402.deploy.json").write_text(manifest(form, path))
    for command in (
        ("up", "--check", "--project", "prj_1"),
        ("deploy", "apply", "--check", "--manifest", "run402.deploy.json"),
        ("deploy", "apply", "--check", "--spec", manifest(form, path)),
    ):
        error = run(*command).error
        assert error["code"] == "PATH_OUTSIDE_WORKSPACE"
        assert str(tmp_path / "outside") in error["message"]
        assert str(tmp_path / "cwd") in error["message"]
        assert "--allow-outside" in error["hint"]
        assert [each["argv"][-1] for each in error["next_actions"]] == ["--allow-outside"]
        assert run(*command, "--allow-outside").exit == 0
    assert httpx_mock.get_requests() == []


@pytest.mark.parametrize("form", FORMS)
def test_the_wallet_is_deployed_with_no_flag(run: Run, wallet: Path, httpx_mock: HTTPXMock, form: str) -> None:
    Path("run402.deploy.json").write_text(manifest(form, wallet / "allowance.json"))
    for flags in ((), ("--allow-outside",)):
        assert run("up", "--check", "--project", "prj_1", *flags).error["code"] == "SECRET_FILE_REFUSED"
        assert run("apply", "--manifest", "run402.deploy.json", *flags).error["code"] == "SECRET_FILE_REFUSED"
    assert httpx_mock.get_requests() == []


def test_a_sites_manifest_is_a_manifest(run: Run, wallet: Path, tmp_path: Path, httpx_mock: HTTPXMock) -> None:
    (tmp_path / "b.txt").write_text("x")
    Path("site.json").write_text(json.dumps({"files": [{"file": "b.txt", "path": "../b.txt"}]}))
    error = run("sites", "deploy", "--manifest", "site.json").error
    assert error["code"] == "PATH_OUTSIDE_WORKSPACE"
    Path("site.json").write_text(json.dumps({"files": [{"file": "b.txt", "path": str(wallet / "allowance.json")}]}))
    error = run("sites", "deploy", "--manifest", "site.json", "--allow-outside").error
    assert error["code"] == "SECRET_FILE_REFUSED"
    assert httpx_mock.get_requests() == []


@pytest.mark.parametrize(
    "command",
    [
        ("assets", "put", "FILE", "--key", "w"),
        ("functions", "deploy", "f", "--file", "FILE"),
        ("projects", "sql", "--file", "FILE"),
        ("secrets", "set", "KEY", "--file", "FILE"),
        ("jobs", "submit", "--file", "FILE"),
        ("sites", "deploy", "--manifest", "FILE"),
        ("core", "projects", "import", "FILE"),
        ("email", "send", "--to", "a@example.com", "--subject", "s", "--html", "h", "--attach", "FILE"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_what_is_typed_may_be_anywhere_but_is_never_the_wallet(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, command: tuple[str, ...]
) -> None:
    words = [word.replace("FILE", str(wallet / "allowance.json")) for word in command]
    assert run(*words).error["code"] == "SECRET_FILE_REFUSED"
    assert httpx_mock.get_requests() == []


def test_a_key_may_be_a_secret(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"ok": True})
    Path("tls.pem").write_text("value")
    assert run("secrets", "set", "TLS", "--file", "tls.pem").exit == 0
    assert run("assets", "put", "tls.pem").error["code"] == "SECRET_FILE_REFUSED"


WRITERS = [
    ("assets", "get", "k", "--output", "out.bin"),
    ("jobs", "artifacts", "get", "job_1", "--file", "a", "--output", "out.bin"),
    ("cloud", "archives", "download", "arc_1", "--output", "out.bin"),
    ("projects", "export", "--output", "out.bin"),
    ("cloud", "archives", "create", "--output", "out.bin"),
    ("email", "get-raw", "msg_1", "--output", "out.bin"),
    ("image", "generate", "a cat", "--output", "out.bin"),
]


@pytest.mark.parametrize("command", WRITERS, ids=lambda words: " ".join(words[:2]))
def test_no_output_replaces_a_file(run: Run, wallet: Path, httpx_mock: HTTPXMock, command: tuple[str, ...]) -> None:
    Path("out.bin").write_text("precious")
    error = run(*command).error
    assert error["code"] == "FILE_EXISTS"
    assert "--overwrite" in error["hint"]
    assert Path("out.bin").read_text() == "precious"
    assert httpx_mock.get_requests() == []


def test_every_command_with_an_output_file_is_in_that_list() -> None:
    """A command that writes what --output names has --overwrite."""
    found = []
    for path in sorted((PACKAGE / "commands").glob("*.py")):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef):
                source = ast.unparse(node.args)
                if "'--output'" in source or "OutputOpt" in source:
                    found.append((path.stem, node.name, "OverwriteOpt" in source))
    assert [entry for entry in found if not entry[2]] == []
    assert len(found) == len(WRITERS) - 1, "cloud archives create is projects export"
