"""Where the tools of a server read and write: below its root, and over no file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import archive_kit as kit
import pytest
from pytest_httpx import HTTPXMock

from run402_cli.mcp._files import Files, files
from run402_cli.mcp._run import Content, Toolbox
from run402_cli.mcp.tools import TOOLS
from run402_cli.release.programs import Evaluated
from run402_cli.services import allowance
from run402_cli.state.profile import Profile, select

API = "https://api.example.test"
_EVALUATED = Evaluated({"site": {"replace": {"index.html": "x"}}}, "")
PROJECT = "prj_1"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The server's root, with a wallet elsewhere."""
    monkeypatch.setenv("RUN402_API_BASE", API)
    folder = tmp_path / "root"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/b.txt").write_text("x")
    monkeypatch.chdir(folder)
    profile = Profile(select(None))
    allowance.create(profile)
    profile.keys.upsert(PROJECT, {"anon_key": "anon-key-of-this-project", "service_key": "service-key-of-this-project"})
    return folder


def run(name: str, /, local: Files | None = None, **arguments: Any) -> Content:
    toolbox = Toolbox(TOOLS, local=local)
    return toolbox.call(toolbox.tools[name], arguments)


def reads(path: str) -> list[tuple[str, dict[str, Any]]]:
    return [
        ("assets_put", {"project_id": PROJECT, "key": "k", "local_path": path}),
        ("deploy_site_dir", {"project": PROJECT, "dir": path}),
        ("app_up", {"source": path, "yes": True}),
        ("app_up", {"source": ".", "manifest": path, "yes": True}),
        ("inspect_project_archive", {"archive_path": path}),
        ("verify_project_archive", {"archive_path": path}),
        ("import_project_archive", {"archive_path": path}),
        ("import_project_archive", {"archive_path": "a", "env_file": path}),
    ]


@pytest.mark.parametrize("where", range(len(reads(""))))
def test_no_tool_reads_outside_of_the_root(root: Path, httpx_mock: HTTPXMock, where: int) -> None:
    for path in ("../outside/b.txt", str(root.parent / "outside")):
        name, arguments = reads(path)[where]
        answer = run(name, **arguments)
        assert answer.failed
        assert "outside of the workspace" in answer.text, answer.text
        assert "run402 mcp --root" in answer.text
    assert httpx_mock.get_requests() == []


def test_every_tool_that_names_a_local_file_is_tried_here() -> None:
    named = ("local_path", "dir", "source", "manifest", "archive_path", "env_file", "output_path")
    found = {name for name, tool in TOOLS.items() for param in tool.params if param.name in named}
    tried = {name for name, _ in reads("")} | {name for name, _ in writes("")}
    others = {name for name, tool in TOOLS.items() for param in tool.params if param.name.endswith(("_file", "_path"))}
    assert (found | others) - tried <= set(NOT_FILES)


# Inputs of these names that are no files of this machine.
NOT_FILES = (
    *("apply_expose", "validate_manifest"),
    *("list_project_events", "test_notification", "create_notification_rule"),
)


def test_a_manifest_that_app_up_finds_is_bounded_by_the_root(root: Path, httpx_mock: HTTPXMock) -> None:
    (root / "sub/run402.deploy.json").write_text(
        json.dumps({"site": {"replace": {"a": {"path": "../../outside/b.txt"}}}})
    )
    assert "outside of the workspace" in run("app_up", source="sub", project_id=PROJECT, dry_run=True).text
    assert httpx_mock.get_requests() == []


PROGRAM = (
    'import { writeFileSync } from "node:fs"; writeFileSync("ran", ""); export default { site: { replace: {} } };\n'
)
APP = {
    "spec_version": 1,
    "app": {"id": "app"},
    "project": {"id": PROJECT},
    "release": {"site": {"replace": {"index.html": "x"}}},
}


@pytest.mark.parametrize("ending", ["mjs", "js", "cts"])
def test_no_tool_runs_a_manifest_that_is_a_program(
    root: Path, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    (root / f"m.{ending}").write_text(PROGRAM)
    ran: list[Path] = []
    monkeypatch.setattr("run402_cli.release.programs.evaluate", lambda path: ran.append(path) or _EVALUATED)
    for more in ({"dry_run": True}, {"yes": True}):
        answer = run("app_up", manifest=f"m.{ending}", project_id=PROJECT, **more)
        assert answer.failed
        assert "PROGRAM_NOT_ALLOWED" in answer.text
        assert "run402 mcp --allow-programs" in answer.text
    assert ran == []
    run("app_up", files(str(root), programs=True), manifest=f"m.{ending}", project_id=PROJECT, dry_run=True)
    assert ran == [root / f"m.{ending}"]
    assert httpx_mock.get_requests() == []


def test_no_tool_runs_build_commands(root: Path, httpx_mock: HTTPXMock) -> None:
    build = {"commands": [{"id": "b", "argv": ["touch", str(root / "ran")]}]}
    (root / "run402.json").write_text(json.dumps({**APP, "build": build}))
    answer = run("app_up", project_id=PROJECT, yes=True, allow_shell_build=True)
    assert "PROGRAM_NOT_ALLOWED" in answer.text, answer.text
    assert "--allow-programs" in answer.text
    assert answer.structured is not None
    assert answer.structured["status"] == "blocked"
    assert not (root / "ran").exists()
    assert httpx_mock.get_requests() == []
    allowed = run("app_up", files(str(root), programs=True), project_id=PROJECT, dry_run=True)
    assert "PROGRAM_NOT_ALLOWED" not in allowed.text


def test_an_import_sends_no_secret_file_and_nothing_to_an_address_of_the_client(
    root: Path, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = kit.write_directory(root / "a")
    for name in (".env", "sub/.env.local"):
        (root / name).write_text("API_TOKEN=hush\n")
        answer = run("import_project_archive", archive_path=str(archive), env_file=name)
        assert "SECRET_FILE_REFUSED" in answer.text
    (root / "values").write_text("API_TOKEN=mine\nOTHER=hush\n")
    given = {"archive_path": str(archive), "env_file": "values"}
    for address in ("http://127.0.0.1:8840", "https://collect.example.test"):
        answer = run("import_project_archive", core_url=address, **given)
        assert answer.failed
        assert "CORE_NOT_YOURS" in answer.text
        assert "RUN402_CORE_URL" in answer.text
    assert httpx_mock.get_requests() == []
    # The user's own word, in the environment of the server.
    monkeypatch.setenv("RUN402_CORE_URL", "https://core.example.test/")
    httpx_mock.add_response(
        method="POST", url="https://core.example.test/archives/v1/import", json={"status": "failed"}
    )
    run("import_project_archive", core_url="https://core.example.test", **given)
    assert json.loads(httpx_mock.get_requests()[-1].content)["secret_values"] == {"API_TOKEN": "mine"}


def test_an_import_does_not_read_the_stdin_of_the_server(root: Path, httpx_mock: HTTPXMock) -> None:
    archive = kit.write_directory(root / "a")
    answer = run("import_project_archive", archive_path=str(archive), env_file="-")
    assert "ENOENT" in answer.text or "CORE_NOT_FOUND" in answer.text, answer.text
    assert "stdin" not in answer.text
    assert [request for request in httpx_mock.get_requests() if request.method == "POST"] == []


@pytest.mark.parametrize("source", ["file:///etc", "https://example.com/a.git"])
def test_a_repository_leads_to_no_directory_of_this_machine(root: Path, source: str) -> None:
    assert run("app_up", source=source, manifest="/etc/passwd", yes=True).failed
    assert "Name a directory" in run("app_up", source=source, manifest="../../x.json", yes=True).text


def test_allow_outside_is_the_users_word_and_the_wallet_stays(
    root: Path, config_dir: Path, httpx_mock: HTTPXMock
) -> None:
    local = files(str(root), allow_outside=True)
    put = {"project_id": PROJECT, "key": "k"}
    assert "workspace" not in run("assets_put", local, local_path="/no/such/file", **put).text
    answer = run("assets_put", local, local_path=str(config_dir / "allowance.json"), **put)
    assert answer.failed
    assert "nothing is ever uploaded" in answer.text
    assert httpx_mock.get_requests() == []


def writes(path: str) -> list[tuple[str, dict[str, Any]]]:
    return [
        ("assets_get", {"project_id": PROJECT, "key": "k", "output_path": path}),
        ("jobs_download_artifact", {"project_id": PROJECT, "job_id": "job_1", "filename": "a", "output_path": path}),
        ("export_project_archive", {"project_id": PROJECT, "output_path": path}),
    ]


@pytest.mark.parametrize("where", range(len(writes(""))))
def test_no_tool_replaces_a_file_or_writes_outside(root: Path, httpx_mock: HTTPXMock, where: int) -> None:
    (root / "precious.csv").write_text("precious")
    name, arguments = writes("precious.csv")[where]
    answer = run(name, **arguments)
    assert answer.failed
    assert "overwrite: true" in answer.text
    for path in ("../new.csv", str(root.parent / "new.csv"), ".run402.json", ".git/hooks/pre-commit", "sub/.env"):
        name, arguments = writes(path)[where]
        assert run(name, overwrite=True, **arguments).failed
        # Also for who may read elsewhere.
        assert run(name, files(str(root), allow_outside=True), overwrite=True, **arguments).failed
    assert (root / "precious.csv").read_text() == "precious"
    assert httpx_mock.get_requests() == []


SETTINGS = (
    *(".run402/project.json", "sub/.RUN402/x/y.json", "run402.json", "run402.deploy.mjs", "app.json"),
    *(".claude/settings.json", ".vscode/tasks.json", ".github/workflows/ci.yml", "sub/.mcp.json", "CLAUDE.md"),
    *("package.json", "Makefile", "node_modules/p/index.js", "sub/conftest.py", "node_modules/p/x.png"),
    # What makes a git repository of a directory.
    *("docs/HEAD", "docs/config", "docs/objects/x", "docs/refs/x"),
    *("CLAUDE.local.md", "AGENTS.override.md", "opencode.json", "docker-compose.yml", "vite.config.js", "Cargo.toml"),
    *("build.rs", "Gemfile", "x.pth", "usercustomize.py", "json.py", "mise.toml", "deno.json", "requirements.txt"),
    *("package-lock.json", "x.png.sh", "x.png:y", "x", "a.json", "lib/python311.zip", "index.html", "Cargo.toml. "),
    *(
        "downloads/package.json",
        "downloads/CLAUDE.md",
        "downloads/AGENTS.override.md",
        "downloads/requirements-dev.txt",
    ),
    *(
        "downloads/vite.config.json",
        "downloads/json.py",
        "downloads/HEAD",
        "downloads/.x.json",
        "downloads/main.tf.json",
    ),
    *("downloads/docker-compose.yml", "linked/downloads/../a.json", "saved/a.json"),
)


@pytest.mark.parametrize("where", range(len(writes(""))))
@pytest.mark.parametrize("path", SETTINGS)
def test_no_tool_writes_what_programs_obey(root: Path, httpx_mock: HTTPXMock, where: int, path: str) -> None:
    name, arguments = writes(path)[where]
    answer = run(name, overwrite=True, **arguments)
    assert answer.failed
    assert "programs obey" in answer.text or "programs may obey" in answer.text, answer.text
    assert not (root / path).exists()
    assert httpx_mock.get_requests() == []


@pytest.mark.parametrize("path", SETTINGS)
def test_the_path_that_a_refusal_names_is_written(root: Path, httpx_mock: HTTPXMock, path: str) -> None:
    httpx_mock.add_response(url=f"{API}/storage/v1/blob/k", content=b"new")
    refused = run(*writes(path)[0][:1], **writes(path)[0][1])
    found = re.search(r"output_path: (downloads/\S+\.\w+)\.", refused.text)
    assert found is not None, refused.text
    name, arguments = writes(found[1])[0]
    answer = run(name, **arguments)
    assert not answer.failed, answer.text
    assert (root / found[1]).read_bytes() == b"new"


def test_a_directory_named_downloads_is_one_after_its_links(root: Path, httpx_mock: HTTPXMock) -> None:
    (root / "downloads").symlink_to(root / "sub", target_is_directory=True)
    name, arguments = writes("downloads/report.json")[0]
    assert "programs obey" in run(name, **arguments).text
    # From elsewhere the path is a whole one.
    local = files(str(root / "sub"))
    name, arguments = writes("sub/report.json")[0]
    assert f"output_path: {root / 'sub/downloads/report.json'}." in run(name, local, **arguments).text
    assert httpx_mock.get_requests() == []


@pytest.mark.parametrize(
    "path",
    [
        *("logo.png", "sub/clip.MP4", "font.woff2", "table.csv", "all.tar.gz", "shop.r402ar", "app.sqlite"),
        *("downloads/report.json", "sub/Downloads/page.html", "downloads/a/b/notes.md", "downloads/log-2026-11-30.log"),
    ],
)
def test_data_is_written_anywhere_and_text_below_downloads(root: Path, httpx_mock: HTTPXMock, path: str) -> None:
    httpx_mock.add_response(url=f"{API}/storage/v1/blob/k", content=b"new")
    name, arguments = writes(path)[0]
    answer = run(name, **arguments)
    assert not answer.failed, answer.text
    assert (root / path).read_bytes() == b"new"


def test_a_server_that_may_run_programs_may_write_them(root: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=f"{API}/storage/v1/blob/k", content=b"new")
    local = files(str(root), programs=True)
    name, arguments = writes("sub/json.py")[0]
    assert not run(name, local, **arguments).failed
    assert (root / "sub/json.py").read_bytes() == b"new"
    # But never into version control or over a file of credentials.
    for path in (".git/hooks/pre-commit", ".env"):
        assert run(name, local, **writes(path)[0][1]).failed


def test_names_above_the_root_are_the_users_own(root: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=f"{API}/storage/v1/blob/k", content=b"new")
    folder = root / ".cache" / "work"
    folder.mkdir(parents=True)
    name, arguments = writes(str(folder / "new.csv"))[0]
    assert not run(name, files(str(folder)), **arguments).failed
    assert (folder / "new.csv").read_bytes() == b"new"


def test_a_file_is_replaced_when_that_is_said(root: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=f"{API}/storage/v1/blob/k", content=b"new")
    (root / "old.csv").write_text("old")
    name, arguments = writes("old.csv")[0]
    answer = run(name, overwrite=True, **arguments)
    assert not answer.failed, answer.text
    assert (root / "old.csv").read_bytes() == b"new"


def test_a_home_directory_is_a_root_only_when_it_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert files().root == root
    (root / ".git").mkdir()
    monkeypatch.chdir(root / "sub")
    assert files().root == root
    for home in (root / "sub", root / "sub/deeper"):
        monkeypatch.setenv("HOME", str(home))
        monkeypatch.setenv("USERPROFILE", str(home))
        assert files().root is None
    assert files(str(root)).root == root
    answer = run("assets_put", project_id=PROJECT, key="k", local_path=str(root / "sub"))
    assert answer.failed
    assert "there is none here" in answer.text
