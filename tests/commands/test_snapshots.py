"""run402 snapshots, as typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pytest_httpx import HTTPXMock
from run_kit import BASE, Run

LIST = f"{BASE}/projects/v1/prj_1/snapshots"
PLAN = {"restore_plan": {"data_loss_statement": "all", "confirm": {"token": 'to"k', "expires_at": "2030"}}}


@pytest.mark.parametrize(("status", "ok"), [("ready", True), ("running", False)])
def test_create_says_whether_the_snapshot_is_ready(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, status: str, ok: bool
) -> None:
    httpx_mock.add_response(method="POST", url=LIST, json={"status": status})
    assert run("snapshots", "create", "--kind", "ignored").json == {"ok": ok, "snapshot": {"status": status}}
    assert httpx_mock.get_requests()[0].content == b"{}"


def test_list_pages_and_filters(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"snapshots": [], "has_more": True, "next_cursor": "d"})
    page = run("snapshots", "list", "prj_2", "--kind", "manual", "--after", "c", "--limit", "100").json
    assert page == {"project_id": "prj_2", "snapshots": [], "has_more": True, "next_cursor": "d"}
    path = httpx_mock.get_requests()[0].url.raw_path.decode()
    assert path == "/projects/v1/prj_2/snapshots?limit=100&after=c&kind=manual"


def test_list_of_an_unreadable_answer_is_an_error(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(text="{", headers={"content-type": "application/json"})
    assert run("snapshots", "list").error["code"] == "ANSWER_UNREADABLE"


def test_an_unknown_kind_names_the_known_ones(run: Run, wallet: Path) -> None:
    error = run("snapshots", "list", "--kind", "odd").error
    allowed = ["manual", "pre_migration", "pre_restore", "scheduled"]
    assert (error["code"], error["details"]) == ("BAD_FLAG", {"field": "--kind", "value": "odd", "allowed": allowed})


@pytest.mark.parametrize("limit", ["0", "101", "x", "-5"])
def test_the_limit_has_bounds(run: Run, wallet: Path, limit: str) -> None:
    assert run("snapshots", "list", "--limit", limit).error["code"] == "BAD_FLAG"


def test_restore_without_a_token_plans_and_shows_the_second_command(
    run: Run, wallet: Path, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(method="POST", url=f"{LIST}/snap_1/restore", json=PLAN)
    command = "run402 snapshots restore prj_1 snap_1 --confirm 'to\"k' --include-auth --json"
    assert run("snapshots", "restore", "snap_1", "--include-auth").json == {
        "ok": True,
        "project_id": "prj_1",
        "snapshot_id": "snap_1",
        **PLAN,
        "confirm_command": command,
    }
    assert json.loads(httpx_mock.get_requests()[0].content) == {"include": ["auth"]}


@pytest.mark.parametrize(("answer", "ok"), [({"status": "ready"}, True), ({"status": "running"}, False), ({}, False)])
def test_restore_with_the_token_replaces_the_data(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, answer: Any, ok: bool
) -> None:
    httpx_mock.add_response(method="POST", url=f"{BASE}/projects/v1/prj_2/snapshots/snap_1/restore", json=answer)
    outcome = run("snapshots", "restore", "prj_2", "snap_1", "--confirm", "tok")
    assert outcome.json == {"ok": ok, "restore": answer}
    assert json.loads(httpx_mock.get_requests()[0].content) == {"confirm": "tok"}


def test_an_empty_token_is_refused(run: Run, wallet: Path) -> None:
    error = run("snapshots", "restore", "snap_1", "--confirm=").error
    assert (error["code"], error["details"]) == ("BAD_FLAG", {"flag": "--confirm"})


def test_get_and_delete(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="GET", url=f"{LIST}/snap_1", json={"status": "ready"})
    assert run("snapshots", "get", "snap_1").json == {"snapshot": {"status": "ready"}}
    httpx_mock.add_response(method="DELETE", url=f"{LIST}/snap_1", status_code=204)
    deleted = run("snapshots", "delete", "snap_1", "--project", "prj_1").json
    assert deleted == {"ok": True, "project_id": "prj_1", "snapshot_id": "snap_1", "deleted": True}


@pytest.mark.parametrize("action", ["get", "restore", "delete"])
def test_one_snapshot_is_named(run: Run, wallet: Path, action: str, httpx_mock: HTTPXMock) -> None:
    assert run("snapshots", action).error["code"] == "BAD_USAGE"
    assert run("snapshots", action, "a", "b").error["code"] == "BAD_USAGE"
    error = run("snapshots", action, "prj_2", "snap_1", "--project", "prj_1").error
    assert error["details"] == {"project_flag": "prj_1", "positional": "prj_2"}
    httpx_mock.add_response(json={})
    run("snapshots", action, "prj_alone")
    assert "/prj_1/snapshots/prj_alone" in str(httpx_mock.get_requests()[0].url)


def test_an_operator_session_sends_its_approval_for_this_capability_and_project(
    run: Run, config_dir: Path, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, dict[str, str]]] = []
    monkeypatch.setattr("run402_cli.state.sessions.control_plane_session", lambda: type("S", (), {"token": "cps"})())
    monkeypatch.setattr(
        "run402_cli.state.sessions.write_auth_token",
        lambda _session, *, api_origin, action, target: asked.append((action, target)) or "approval",
    )
    httpx_mock.add_response(json={"status": "ready"}, is_reusable=True)
    run("snapshots", "create", "--project", "prj_1")
    run("branches", "list", "--project", "prj_1")
    assert asked == [
        ("project.snapshots.manage", {"project_id": "prj_1"}),
        ("project.branches.manage", {"project_id": "prj_1"}),
    ]
    headers = httpx_mock.get_requests()[0].headers
    assert (headers["authorization"], headers["x-run402-write-auth"]) == ("Bearer cps", "Bearer approval")
