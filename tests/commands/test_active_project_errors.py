"""An error about a project that was not named says which one it was, and where the directory is linked to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pytest_httpx import HTTPXMock
from run_kit import Run

from run402_cli.state import wallets
from run402_cli.state.workspace import WorkspaceLink, write_link

NO_FUNCTION = {"error": "function_not_found", "code": "FUNCTION_NOT_FOUND", "message": "no function tick"}
NO_TABLE = {"error": "sql_error", "code": "SQL_ERROR", "message": "no table", "sqlstate": "42P01"}
NO_SYNTAX = {"error": "sql_error", "code": "SQL_ERROR", "message": "syntax error", "sqlstate": "42601"}


@pytest.fixture
def linked(run: Run, tmp_path: Path) -> None:
    write_link(tmp_path / "cwd", WorkspaceLink("prj_2", "two", "unknown"), replaces=None)


def refused(run: Run, httpx_mock: HTTPXMock, answer: dict[str, Any], *words: str, status: int = 404) -> dict[str, Any]:
    httpx_mock.add_response(status_code=status, json=answer)
    return run(*words).error


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        (NO_FUNCTION, 404, ("functions", "runs", "list", "tick")),
        (NO_TABLE, 400, ("projects", "sql", "select 1 from nope")),
    ],
)
def test_the_active_project_is_named(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, answer: dict[str, Any], status: int, words: tuple[str, ...]
) -> None:
    assert refused(run, httpx_mock, answer, *words, status=status)["note"].startswith("prj_1 is the active project")
    assert "note" not in refused(run, httpx_mock, answer, *words, "--project", "prj_1", status=status)


@pytest.mark.usefixtures("linked")
def test_a_read_in_a_linked_directory_comes_again_on_the_linked_project(
    run: Run, wallet: Path, httpx_mock: HTTPXMock
) -> None:
    error = refused(run, httpx_mock, NO_FUNCTION, "functions", "runs", "list", "tick")
    assert "linked to prj_2" in error["note"]
    assert error["next_actions"][0]["command"] == "run402 functions runs list tick --project prj_2"


@pytest.mark.usefixtures("linked")
def test_what_writes_comes_last_and_what_deletes_is_not_repeated(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    first = {"type": "run_command", "command": "run402 functions list", "argv": ["run402", "functions", "list"]}
    answer = {**NO_FUNCTION, "next_actions": [first]}
    created = refused(run, httpx_mock, answer, "functions", "update", "tick", "--memory", "256")
    assert [action["argv"][-1] for action in created["next_actions"]][-1] == "prj_2"
    assert created["next_actions"][0]["argv"][:3] == first["argv"]
    deleted = refused(run, httpx_mock, NO_FUNCTION, "functions", "delete", "tick")
    assert "linked to prj_2" in deleted["note"]
    assert "prj_2" not in json.dumps(deleted.get("next_actions", []))


@pytest.mark.usefixtures("linked")
def test_an_error_that_is_the_same_on_every_project_has_no_note(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    assert "note" not in refused(run, httpx_mock, NO_SYNTAX, "projects", "sql", "selec 1", status=400)


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        (("projects", "use", "shop"), "run402 projects use prj_2"),
        (("projects", "get", "--project=shop"), "run402 projects get --project prj_2"),
    ],
)
def test_a_name_in_place_of_an_id_brings_the_command_with_the_id(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, typed: tuple[str, ...], wanted: str
) -> None:
    answer = {"error": "invalid_project_id", "code": "INVALID_PROJECT_ID", "message": "no id", "project_id": "prj_2"}
    error = refused(run, httpx_mock, answer, *typed, status=400)
    assert [action["command"] for action in error["next_actions"]] == [wanted]


def test_a_name_is_never_replaced_in_a_command_that_deletes(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    answer = {"error": "invalid_project_id", "code": "INVALID_PROJECT_ID", "message": "no id", "project_id": "prj_2"}
    error = refused(run, httpx_mock, answer, "branches", "delete", "shop", status=400)
    assert "prj_2" not in json.dumps(error.get("next_actions", []))


def test_use_says_the_name(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"project_id": "prj_2", "name": "shop"})
    assert run("projects", "use", "prj_2").json["name"] == "shop"


@pytest.mark.usefixtures("linked")
def test_the_link_of_a_clone_leads_to_no_command(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    Path(".git").mkdir()
    for words in (("functions", "runs", "list", "tick"), ("functions", "update", "tick", "--memory", "256")):
        error = refused(run, httpx_mock, NO_FUNCTION, *words)
        assert error["note"] == "prj_1 is the active project; the command names none."
        assert "prj_2" not in json.dumps(error)
    wallets.confirm(Path.cwd() / ".run402/project.json", "prj_2")
    assert "linked to prj_2" in refused(run, httpx_mock, NO_FUNCTION, "functions", "runs", "list", "tick")["note"]
