"""The workspace link: what is read, what is refused, what a write replaces."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from run402_cli.errors import CommandError, ValidationError
from run402_cli.state.catalogue import WORKSPACE_SCHEMA
from run402_cli.state.files import DamagedState
from run402_cli.state.workspace import WorkspaceLink, link_path, read_link, write_link


def put(workspace: Path, text: str) -> None:
    link_path(workspace).parent.mkdir(exist_ok=True)
    link_path(workspace).write_text(text)


def test_no_file_is_no_link(tmp_path: Path) -> None:
    assert read_link(tmp_path) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        json.dumps({"project_id": "prj_1"}),
        json.dumps({"schema_version": "run402.workspace-project.v2", "project_id": "prj_1"}),
        json.dumps({"schema_version": WORKSPACE_SCHEMA}),
        json.dumps({"schema_version": WORKSPACE_SCHEMA, "project_id": ""}),
        "[" * 100_000,
    ],
)
def test_a_damaged_link_is_an_error_that_names_the_file(tmp_path: Path, text: str) -> None:
    put(tmp_path, text)
    with pytest.raises(DamagedState) as caught:
        read_link(tmp_path)
    assert (caught.value.code, caught.value.path) == ("RUN402_WORKSPACE_LINK_INVALID", link_path(tmp_path))


def test_a_link_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_link(tmp_path, WorkspaceLink("prj_1", "shop", "core"), replaces=None)
    read = read_link(tmp_path)
    assert read is not None
    assert read.identity == ("prj_1", "shop", "core", None)
    text = link_path(tmp_path).read_text()
    assert text.endswith("}\n")
    assert list(json.loads(text)) == ["schema_version", "project_id", "name", "target", "created_at", "updated_at"]
    assert [path.name for path in link_path(tmp_path).parent.iterdir()] == ["project.json"]


def test_a_link_names_an_id_and_no_code(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as caught:
        write_link(tmp_path, WorkspaceLink("prj_$(id)", "shop", "core"), replaces=None)
    assert caught.value.code == "BAD_PROJECT_ID"
    assert not link_path(tmp_path).exists()


def test_a_new_link_keeps_the_time_of_the_first(tmp_path: Path) -> None:
    put(tmp_path, json.dumps({"schema_version": WORKSPACE_SCHEMA, "project_id": "prj_1", "created_at": "then"}))
    write_link(tmp_path, WorkspaceLink("prj_2", None, "core"), replaces=read_link(tmp_path))
    document = json.loads(link_path(tmp_path).read_text())
    assert (document["project_id"], document["created_at"], "name" in document) == ("prj_2", "then", False)


def test_a_link_that_changed_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    write_link(tmp_path, WorkspaceLink("prj_1", None, "core"), replaces=None)
    before = link_path(tmp_path).read_bytes()
    with pytest.raises(ValidationError) as caught:
        write_link(tmp_path, WorkspaceLink("prj_2", None, "core"), replaces=None)
    assert caught.value.code == "RUN402_WORKSPACE_LINK_CONFLICT"
    assert caught.value.details["current_project_id"] == "prj_1"
    assert link_path(tmp_path).read_bytes() == before


@pytest.mark.skipif(os.name != "posix", reason="symlinks need a privilege on Windows")
@pytest.mark.parametrize("name", [".run402", ".run402/project.json"])
def test_a_link_is_never_written_through_a_symlink(tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    workspace = tmp_path / "workspace"
    (workspace / name).parent.mkdir(parents=True)
    (workspace / name).symlink_to(elsewhere if name == ".run402" else elsewhere / "file")
    with pytest.raises(ValidationError) as caught:
        write_link(workspace, WorkspaceLink("prj_1"), replaces=None)
    assert (caught.value.code, caught.value.details["symlink"]) == (
        "RUN402_WORKSPACE_LINK_SYMLINK",
        str(workspace / name),
    )
    assert list(elsewhere.iterdir()) == []


def test_a_workspace_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / ".run402").write_text("a file where the directory should be")
    with pytest.raises(DamagedState) as caught:
        write_link(tmp_path, WorkspaceLink("prj_1"), replaces=None)
    assert caught.value.path == tmp_path / ".run402"
