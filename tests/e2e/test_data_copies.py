"""Snapshots, branches and subdomains through the command line."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from e2e_kit import Cli

pytestmark = pytest.mark.e2e


def rows(cli: Cli, *flags: str) -> list[dict[str, Any]]:
    return list(cli.ok("projects", "sql", "select n from t order by n", *flags)["rows"])


def test_a_snapshot_is_taken_planned_and_restored(cli: Cli, project: dict[str, Any]) -> None:
    cli.ok("projects", "sql", "create table t (n int); insert into t values (1)")
    taken = cli.ok("snapshots", "create")
    assert taken["ok"] is True
    snapshot_id = taken["snapshot"]["snapshot_id"]
    cli.ok("projects", "sql", "drop table t; create table other (n int)")
    assert [entry["snapshot_id"] for entry in cli.ok("snapshots", "list")["snapshots"]] == [snapshot_id]
    planned = cli.ok("snapshots", "restore", snapshot_id)
    token = planned["restore_plan"]["confirm"]["token"]
    restored = cli.ok("snapshots", "restore", snapshot_id, "--confirm", token)
    assert restored["ok"] is True
    assert rows(cli) == [{"n": 1}]
    assert cli("projects", "sql", "select * from other").code == 1
    undo = restored["restore"]["pre_restore_snapshot_id"]
    token = cli.ok("snapshots", "restore", undo)["restore_plan"]["confirm"]["token"]
    cli.ok("snapshots", "restore", undo, "--confirm", token)
    assert cli.ok("projects", "sql", "select * from other")["rows"] == []
    assert cli.ok("snapshots", "delete", snapshot_id)["deleted"] is True
    assert cli("snapshots", "get", snapshot_id).envelope["code"] == "SNAPSHOT_NOT_FOUND"


def test_a_branch_is_made_used_and_deleted(cli: Cli, project: dict[str, Any], http: httpx.Client) -> None:
    cli.ok("projects", "sql", "create table t (n int); insert into t values (1)")
    manifest = {"site": {"replace": {"index.html": {"data": "parent"}}}}
    cli.ok("deploy", "apply", "--spec", json.dumps(manifest))
    branch = cli.ok("branches", "create", "--name", "try", "--ttl-days", "1")["branch"]
    branch_id = branch["branch_project_id"]
    cli.ok("projects", "sql", "insert into t values (2)", "--project", branch_id)
    changed = {"site": {"replace": {"index.html": {"data": "branch"}}}}
    deployed = cli.ok("deploy", "apply", "--project", branch_id, "--spec", json.dumps(changed))
    assert rows(cli, "--project", branch_id) == [{"n": 1}, {"n": 2}]
    assert rows(cli) == [{"n": 1}]
    assert http.get(deployed["urls"]["site"].rstrip("/") + "/").text == "branch"
    listed = cli.ok("branches", "list")["branches"]
    assert [(entry["branch_project_id"], entry["name"]) for entry in listed] == [(branch_id, "try")]
    renewed = cli.ok("branches", "renew", branch_id, "--ttl-days", "30", "--project", project["project_id"])
    assert renewed["branch"]["expires_at"] > listed[0]["expires_at"]
    assert cli.ok("branches", "delete", branch_id, "--project", project["project_id"])["deleted"] is True
    assert cli.ok("branches", "list")["branches"] == []
    assert cli("projects", "sql", "select 1", "--project", branch_id).code == 1


def test_a_subdomain_is_claimed_served_and_released(
    cli: Cli, gateway: dict[str, Any], project: dict[str, Any], http: httpx.Client
) -> None:
    name = "shop-" + project["project_id"].removeprefix("prj_")
    assert cli("subdomains", "claim", name).envelope["code"] == "NO_DEPLOYMENT"
    done = cli.ok("deploy", "apply", "--spec", '{"site":{"replace":{"index.html":{"data":"hello"}}}}')
    claimed = cli.ok("subdomains", "claim", name)
    assert claimed["deployment_id"] == done["release_id"]
    assert claimed["url"].startswith(f"http://{name}.localhost:")
    page = http.get(gateway["url"], headers={"Host": f"{name}.localhost"})
    assert (page.status_code, page.text) == (200, "hello")
    assert [entry["name"] for entry in cli.ok("subdomains", "list")] == [name]
    assert cli.ok("subdomains", "delete", name, "--confirm")["released"] is True
    assert http.get(gateway["url"], headers={"Host": f"{name}.localhost"}).status_code == 404
    refused = cli("domains", "connect", "shop.example", "--web").envelope
    assert (refused["http"], refused["capability"]) == (422, "domains.custom")
