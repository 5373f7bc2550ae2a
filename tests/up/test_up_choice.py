"""Which file may choose the project of `up`: the user's own, or one that the user agreed to at the command line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from up_kit import CoreGateway, Workspace

from run402_cli.mcp._run import Toolbox
from run402_cli.mcp.tools import TOOLS
from run402_cli.state import bindings

REFUSED = (1, "BINDING_NOT_CONFIRMED")


def up(workspace: Workspace, *more: str) -> tuple[int, object]:
    done = workspace.run("up", *more)
    return done.code, done.envelope["code"] if done.code else None


@pytest.fixture
def linked(workspace: Workspace, gateway: CoreGateway) -> Workspace:
    """A directory whose link names prj_1; prj_2 is the active project."""
    workspace.keys("prj_1", "prj_2")
    workspace.active("prj_2")
    workspace.manifest()
    workspace.linked("prj_1")
    return workspace


@pytest.mark.parametrize("marker", [".git", ".hg", ".svn", ".jj", ".bzr", ".fslckout", ".pijul", "CVS/Root"])
def test_a_link_in_any_work_tree_is_confirmed_once_whatever_an_index_says(linked: Workspace, marker: str) -> None:
    assert up(linked, "--yes", "--plan") == (0, None)
    (linked.path / marker).mkdir(parents=True)
    assert up(linked, "--yes") == REFUSED
    assert up(linked, "--project", "prj_1", "--yes") == (0, None)
    assert up(linked, "--yes") == (0, None)


def test_nobody_is_asked_about_the_project_that_would_be_deployed_to_anyway(
    linked: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    (linked.path / ".git").mkdir()
    with monkeypatch.context() as patch:
        patch.setenv("RUN402_PROJECT_ID", "prj_1")
        assert up(linked, "--yes") == (0, None)
    linked.active("prj_1")
    assert up(linked, "--yes") == (0, None)
    # Without a word the active project is not deployed to, nor is it when a file names it.
    assert up(linked) == REFUSED


def test_what_was_confirmed_holds_for_all_files_of_the_directory(linked: Workspace) -> None:
    (linked.path / ".git").mkdir()
    assert up(linked, "--project", "prj_1", "--yes") == (0, None)
    linked.link.unlink()
    linked.manifest(project="prj_1", site={"replace": {"index.html": "x"}})
    assert up(linked, "--yes") == (0, None)
    linked.manifest(project="prj_3", site={"replace": {"index.html": "x"}})
    assert up(linked, "--yes") == REFUSED


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_link_to_what_was_confirmed_elsewhere_is_another_file(linked: Workspace, what: str) -> None:
    (linked.path / ".git").mkdir()
    assert up(linked, "--project", "prj_1", "--yes") == (0, None)
    clone = linked.path / "clone"
    (clone / ".git").mkdir(parents=True)
    (clone / "run402.deploy.json").write_text((linked.path / "run402.deploy.json").read_text())
    try:
        if what == "folder":
            (clone / ".run402").symlink_to(linked.link.parent, target_is_directory=True)
        else:
            (clone / ".run402").mkdir()
            (clone / ".run402/project.json").symlink_to(linked.link)
    except OSError:
        pytest.skip("no links here")
    assert up(linked, "clone", "--yes") == REFUSED


@pytest.mark.parametrize("versioned", [True, False])
def test_an_mcp_client_chooses_for_its_own_call_alone(
    linked: Workspace, gateway: CoreGateway, monkeypatch: pytest.MonkeyPatch, versioned: bool
) -> None:
    if versioned:
        (linked.path / ".git").mkdir()
    else:
        linked.link.unlink()
    toolbox = Toolbox(TOOLS)
    answer = toolbox.call(toolbox.tools["app_up"], {"dir": ".", "project_id": "prj_1", "yes": True})
    assert not answer.failed, answer.text
    assert json.loads(linked.link.read_text())["project_id"] == "prj_1"
    assert up(linked, "--yes") == REFUSED
    again = toolbox.call(toolbox.tools["app_up"], {"dir": ".", "yes": True})
    assert "BINDING_NOT_CONFIRMED" in again.text
    assert up(linked, "--project", "prj_1", "--yes") == (0, None)
    assert up(linked, "--yes") == (0, None)


def test_what_cannot_be_looked_at_is_not_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "run402.deploy.json"
    file.write_text("{}")
    assert not bindings.came_along(file)
    marker = os.fspath(tmp_path / ".hg")
    lstat = Path.lstat

    def refuses(path: Path) -> os.stat_result:
        if os.fspath(path) == marker:
            raise PermissionError(13, "Permission denied")
        return lstat(path)

    monkeypatch.setattr(Path, "lstat", refuses)
    assert bindings.came_along(file)
