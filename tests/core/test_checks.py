"""Checks run against the staged release and keep a bad one from going live."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from deploy_kit import commit, deploy, plan, site, stage


def wanted(project: dict[str, Any], *checks: Any, page: bytes = b"two", **sections: Any) -> dict[str, Any]:
    files = {"index.html": page, "a b.html": page}
    return {"project_id": project["project_id"], "site": {"replace": site(files)}, "checks": list(checks), **sections}


def check(path: str, status: Any = 200, **http: Any) -> dict[str, Any]:
    return {"name": f"{http.get('method', 'GET')} {path}", "http": {"path": path, "expect": {"status": status}, **http}}


def test_a_release_goes_live_when_its_checks_pass(client: httpx.Client, project: dict[str, Any]) -> None:
    checks = (
        check("/"),
        check("/none", 404),
        check("/", [404, 405], method="POST"),
        check("/a%20b.html?x=1"),
        {"name": "no status given", "http": {"path": "/index.html"}},
    )
    done = deploy(client, wanted(project, *checks), b"two")
    assert done["status"] == "ready"
    events = client.get(
        f"/apply/v1/operations/{done['operation_id']}/events", headers={"apikey": project["anon_key"]}
    ).json()["events"]
    (passed,) = [event for event in events if "checks" in event["details"]]
    assert [entry["actual_status"] for entry in passed["details"]["checks"]] == [200, 404, 405, 200, 200]


def test_a_failing_check_leaves_the_old_release_active(client: httpx.Client, project: dict[str, Any]) -> None:
    first = deploy(client, wanted(project, page=b"one"), b"one")
    planned = plan(client, wanted(project, check("/"), check("/gone.html")))
    stage(client, project, b"two")
    refused = commit(client, planned.json())
    assert (refused.status_code, refused.json()["code"]) == (422, "CHECKS_FAILED")
    assert [entry["status"] for entry in refused.json()["checks"]] == ["passed", "failed"]
    assert "/gone.html" in refused.json()["message"]
    assert client.get(f"/projects/v1/{project['project_id']}/static/").content == b"one"
    active = client.get("/apply/v1/releases/active", headers={"apikey": project["anon_key"]}).json()
    assert active["release_id"] == first["release_id"]


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"name": "x"},
        {"name": "x", "http": {}},
        {"name": "x", "http": {"path": "no-slash"}},
        {"name": "x", "http": {"path": "/", "method": "BREW"}},
        {"name": "x", "http": {"path": "/", "expect": {"status": 99}}},
        {"name": "x", "http": {"path": "/", "expect": {"body": "hi"}}},
        {"name": "x", "http": {"path": "/"}, "tcp": {}},
        {"name": "x", "http": {"path": "/\nSet-Cookie: a"}},
    ],
)
def test_a_check_that_cannot_be_run_is_refused(
    entry: dict[str, Any], client: httpx.Client, project: dict[str, Any]
) -> None:
    refused = plan(client, wanted(project, entry))
    assert (refused.status_code, refused.json()["code"]) == (400, "INVALID_SPEC")


def test_check_names_are_unique(client: httpx.Client, project: dict[str, Any]) -> None:
    assert plan(client, wanted(project, check("/"), check("/"))).status_code == 400
