"""A clone whose directories are links: nothing that a command writes into the work tree arrives elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pytest_httpx import HTTPXMock
from run_kit import BASE, Run

from run402_cli import work_tree
from run402_cli.errors import CommandError, ValidationError
from run402_cli.state import messaging
from run402_cli.state.workspace import WorkspaceLink, write_link

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX links")
LINK = ("ci", "link", "github", "--repo", "tal/myapp", "--branch", "main", "--repository-id", "892341")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


def untouched(elsewhere: Path) -> bool:
    return list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("linked", [".github", ".github/workflows"])
@pytest.mark.parametrize("more", [(), ("--force",), ("--workflow", "PATH")])
def test_ci_link_writes_no_workflow_elsewhere_and_makes_no_binding(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, elsewhere: Path, linked: str, more: tuple[str, ...]
) -> None:
    Path(linked).parent.mkdir(exist_ok=True)
    Path(linked).symlink_to(elsewhere)
    words = [word.replace("PATH", str(Path.cwd() / ".github/workflows/x.yml")) for word in more]
    error = run(*LINK, *words).error
    assert error["code"] == "PATH_OUTSIDE_WORKSPACE"
    assert str(elsewhere) in error["message"]
    assert error["next_actions"][0]["argv"] == ["rm", str(Path.cwd() / linked)]
    assert untouched(elsewhere)
    assert httpx_mock.get_requests() == []


def test_ci_link_replaces_a_linked_workflow(run: Run, wallet: Path, httpx_mock: HTTPXMock, elsewhere: Path) -> None:
    httpx_mock.add_response(method="POST", url=f"{BASE}/ci/v1/bindings", json={"id": "cib_1"})
    file = Path(".github/workflows/run402-deploy.yml")
    file.parent.mkdir(parents=True)
    file.symlink_to(elsewhere / "precious")
    assert run(*LINK, "--force").exit == 0
    assert not file.is_symlink()
    assert untouched(elsewhere)


@pytest.mark.parametrize("linked", [".claude", ".claude/skills", ".claude/skills/run402"])
def test_skill_install_writes_into_no_linked_directory(
    run: Run, config_dir: Path, tmp_path: Path, elsewhere: Path, linked: str
) -> None:
    project = tmp_path / "project"
    (project / linked).parent.mkdir(parents=True)
    (project / linked).symlink_to(elsewhere)
    error = run("skill", "install", "claude", "--dir", str(project)).error
    assert error["code"] == "PATH_OUTSIDE_WORKSPACE"
    assert untouched(elsewhere)
    # The project itself may be reached through a link.
    (tmp_path / "alias").symlink_to(tmp_path / "plain")
    (tmp_path / "plain").mkdir()
    assert run("skill", "install", "claude", "--dir", str(tmp_path / "alias")).exit == 0
    assert (tmp_path / "plain/.claude/skills/run402/SKILL.md").is_file()


def test_the_users_own_directories_may_be_links(
    run: Run, config_dir: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    (tmp_path / "home").mkdir()
    (tmp_path / "home/.claude").symlink_to(elsewhere)
    assert run("skill", "install", "claude").exit == 0
    assert (elsewhere / "skills/run402/SKILL.md").is_file()


def test_rooms_remember_nothing_elsewhere(run: Run, elsewhere: Path) -> None:
    Path(".run402").symlink_to(elsewhere)
    messaging.note_room("org/room", {"presence_id": "p1"})
    assert untouched(elsewhere)
    Path(".run402").unlink()
    messaging.note_room("org/room", {"presence_id": "p1"})
    assert messaging.read_room("org/room") == {"presence_id": "p1"}


def test_a_workspace_link_is_written_nowhere_else(run: Run, elsewhere: Path) -> None:
    Path(".run402").symlink_to(elsewhere)
    with pytest.raises(ValidationError) as caught:
        write_link(Path.cwd(), WorkspaceLink("prj_1"), replaces=None)
    assert caught.value.code == "RUN402_WORKSPACE_LINK_SYMLINK"
    assert untouched(elsewhere)


def test_a_binding_is_written_through_no_link(run: Run, wallet: Path, elsewhere: Path) -> None:
    (elsewhere / "precious").write_text('{"wallet": "default"}')
    Path(".run402.json").symlink_to(elsewhere / "precious")
    assert run("wallets", "bind", "default").exit == 0
    assert not Path(".run402.json").is_symlink()
    assert (elsewhere / "precious").read_text() == '{"wallet": "default"}'


@pytest.mark.parametrize("descriptors", [True, False])
def test_the_writer(tmp_path: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, descriptors: bool) -> None:
    monkeypatch.setattr(work_tree, "_DESCRIPTORS", descriptors and work_tree._DESCRIPTORS)
    base = tmp_path / "base"
    base.mkdir()
    work_tree.write(base, base / "a/b/c", b"1", mode=0o640)
    assert (base / "a/b/c").stat().st_mode & 0o777 == 0o640
    work_tree.write(base, base / "a/b/c", b"2")
    with pytest.raises(FileExistsError):
        work_tree.write(base, base / "a/b/c", b"3", replace=False)
    assert (base / "a/b/c").read_bytes() == b"2"
    (base / "a/link").symlink_to(base / "a/b")
    with pytest.raises(CommandError):
        work_tree.write(base, base / "a/link/d", b"x")
    assert sorted(path.name for path in base.rglob("*")) == ["a", "b", "c", "link"]


@pytest.mark.skipif(not work_tree._DESCRIPTORS, reason="needs openat")
def test_a_link_that_is_made_after_the_look_is_not_followed(
    tmp_path: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "linked").symlink_to(elsewhere)
    monkeypatch.setattr(work_tree, "require_own", lambda *_: None)
    with pytest.raises(OSError, match="linked"):
        work_tree.write(tmp_path, tmp_path / "linked/x", b"x")
    assert untouched(elsewhere)
