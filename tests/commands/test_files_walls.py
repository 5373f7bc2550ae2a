"""What commands read for upload and where they write: no file outside of the workspace, no secret, none replaced."""

from __future__ import annotations

import ast
import base64
import contextlib
import json
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from pytest_httpx import HTTPXMock
from run_kit import Run
from source_kit import PACKAGE, tree

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX links and pipes")

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
    ("functions", "invoke", "hello", "--output", "out.bin"),
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


def planting(httpx_mock: HTTPXMock, plant: Callable[[], None]) -> None:
    """Answers whatever WRITERS ask for; each answer comes after `plant`, as another process would act meanwhile."""

    def answer(request: httpx.Request) -> httpx.Response:
        plant()
        path = request.url.path
        if "/archives" in path and not path.endswith("/download"):
            return httpx.Response(200, json={"archive_id": "arc_1", "status": "ready", "byte_count": 3})
        if path == "/mailboxes/v1":
            return httpx.Response(200, json={"mailboxes": [{"mailbox_id": "mbx_1", "slug": "in"}]})
        if path.startswith("/generate-image"):
            image = base64.b64encode(b"new").decode()
            return httpx.Response(200, json={"aspect": "square", "content_type": "image/png", "image": image})
        return httpx.Response(200, content=b"new")

    httpx_mock.add_callback(answer, is_reusable=True)


def make_precious() -> None:
    Path("out.bin").write_text("precious")


@pytest.mark.parametrize("command", WRITERS, ids=lambda words: " ".join(words[:2]))
def test_what_appears_meanwhile_is_not_replaced(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, command: tuple[str, ...]
) -> None:
    planting(httpx_mock, make_precious)
    error = run(*command).error
    assert error["code"] == "FILE_EXISTS", error
    assert Path("out.bin").read_text() == "precious"
    assert [each.name for each in Path().iterdir()] == ["out.bin"]


@posix
@pytest.mark.parametrize("command", WRITERS, ids=lambda words: " ".join(words[:2]))
@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_is_never_written_through(
    run: Run, wallet: Path, tmp_path: Path, httpx_mock: HTTPXMock, command: tuple[str, ...], dangling: bool
) -> None:
    victim = tmp_path / "victim"
    if not dangling:
        victim.write_text("precious")

    def plant() -> None:
        with contextlib.suppress(FileExistsError):
            Path("out.bin").symlink_to(victim)

    planting(httpx_mock, plant)
    assert run(*command).error["code"] == "FILE_EXISTS"
    assert Path("out.bin").is_symlink()
    assert dangling or victim.read_text() == "precious"
    # Also one that was there, or comes meanwhile, and may be replaced.
    assert run(*command, "--overwrite").exit == 0
    assert not Path("out.bin").is_symlink()
    assert Path("out.bin").read_bytes() == b"new"
    assert victim.exists() is not dangling
    assert dangling or victim.read_text() == "precious"
    assert [each.name for each in Path().iterdir()] == ["out.bin"]


@posix
def test_a_private_file_stays_private(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    Path("out.bin").write_text("old")
    Path("out.bin").chmod(0o600)
    planting(httpx_mock, lambda: None)
    assert run(*WRITERS[1], "--overwrite").json["replaced"] is True
    assert Path("out.bin").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("command", WRITERS, ids=lambda words: " ".join(words[:2]))
def test_where_there_are_no_hard_links_it_is_the_same(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    def none(*_: Any, **__: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("run402_cli.services.output_file.os.link", none)
    planting(httpx_mock, lambda: None)
    assert run(*command).exit == 0
    assert Path("out.bin").read_bytes() == b"new"
    assert [each.name for each in Path().iterdir()] == ["out.bin"]
    Path("out.bin").unlink()
    httpx_mock.reset()
    planting(httpx_mock, make_precious)
    assert run(*command).error["code"] == "FILE_EXISTS"
    assert Path("out.bin").read_text() == "precious"


@posix
def test_a_pipe_is_written_to(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    os.mkfifo("out.bin")
    planting(httpx_mock, lambda: None)
    for command in WRITERS[:2]:
        reader = os.open("out.bin", os.O_RDONLY | os.O_NONBLOCK)
        assert run(*command).exit == 0
        assert os.read(reader, 10) == b"new"
        os.close(reader)
    assert stat.S_ISFIFO(Path("out.bin").lstat().st_mode)


def test_outputs_have_one_writer() -> None:
    """No service opens what --output names by itself."""
    for name in ("assets", "jobs", "archives", "email", "image", "download"):
        source = (PACKAGE / "services" / f"{name}.py").read_text(encoding="utf-8")
        assert 'FILE_EXISTS"' not in source
        assert "write_bytes" not in source
