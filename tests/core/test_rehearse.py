"""A rehearsal tells what a plan would do, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
from copies_kit import EXPOSE, PAGE, schemas, sql
from deploy_kit import commit, deploy, migration, plan, ref, site, stage
from gateway_kit import Live

from run402_cli.core.copies.schemas import _connection_environment
from run402_cli.core.daemon.pg_install import binaries

FIRST = migration("001", "create table t (n int not null)")


@pytest.fixture
def running(client: httpx.Client, project: dict[str, Any]) -> dict[str, Any]:
    deploy(
        client,
        {
            "project_id": project["project_id"],
            "database": {"migrations": [FIRST], "expose": EXPOSE},
            "site": {"replace": site({"index.html": PAGE})},
            "subdomains": {"set": ["shop"]},
        },
        PAGE,
    )
    sql(client, project, "insert into t values (1)")
    return project


def rehearse(client: httpx.Client, planned: httpx.Response, **body: Any) -> dict[str, Any]:
    answer = client.post(f"/apply/v1/plans/{planned.json()['plan_id']}/rehearse", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def spec(project: dict[str, Any], *migrations: dict[str, Any], **sections: Any) -> dict[str, Any]:
    database = {"migrations": [FIRST, *migrations], "expose": EXPOSE}
    return {"project_id": project["project_id"], "database": database, **sections}


def dump(live: Live, slot: str) -> bytes:
    """Everything in a schema, as bytes; without the random line that pg_dump adds."""
    command = [str(binaries() / "pg_dump"), f"--schema={slot}", "--inserts"]
    env = {**os.environ, **_connection_environment(live.database_url)}
    text = subprocess.run(command, env=env, check=True, capture_output=True).stdout
    return b"\n".join(line for line in text.splitlines() if b"restrict" not in line)


def test_a_passing_rehearsal_reports_and_removes_its_branch(
    client: httpx.Client, live: Live, running: dict[str, Any]
) -> None:
    second = migration("002", "alter table t add m int default 5; insert into t values (2)")
    new = b"<h1>two</h1>"
    wanted = spec(
        running,
        second,
        site={"replace": site({"index.html": new})},
        subdomains={"set": ["shop"]},
        checks=[{"name": "home", "http": {"path": "/", "expect": {"status": 200}}}],
    )
    before = dump(live, running["schema_slot"])
    content = {path.name for path in (live.gateway.store.root / "refs" / running["project_id"]).glob("*/*")}
    planned = plan(client, wanted, mode="reviewed_plan")
    stage(client, running, new)
    done = rehearse(client, planned)
    report = done["report"]
    assert report["status"] == "passed", report
    assert report["migrations"] == [{"id": "001", "status": "skipped"}, {"id": "002", "status": "passed"}]
    assert [(c["type"], c["name"], c["status"]) for c in report["checks"]] == [
        ("static", "GET /", "passed"),
        ("static", "GET /index.html", "passed"),
        ("declared", "home", "passed"),
    ]
    assert report["teardown"] == {"policy": "on_pass", "action": "deleted"}
    assert planned.json()["plan_fingerprint"] in report["next_actions"][0]["command"]
    polled = client.get(done["poll_url"], headers={"apikey": running["anon_key"]}).json()
    assert (polled["status"], polled["rehearsal_report"]) == ("ready", report)
    assert dump(live, running["schema_slot"]) == before
    assert schemas(live.database_url, "project") == [running["schema_slot"]]
    assert client.get("/", headers={"host": "shop.localhost"}).content == PAGE
    now = {path.name for path in (live.gateway.store.root / "refs" / running["project_id"]).glob("*/*")}
    assert now == content | {ref(new)["sha256"]}
    # The plan is as good as before.
    assert commit(client, planned.json()).status_code == 200
    assert sql(client, running, "select count(*)::int as n from t") == [{"n": 2}]


def test_a_failing_migration_is_found_with_the_projects_own_data(
    client: httpx.Client, live: Live, running: dict[str, Any]
) -> None:
    broken = migration("002", "alter table t add constraint big check (n > 1)")
    later = migration("003", "create table u (n int)")
    before = dump(live, running["schema_slot"])
    report = rehearse(client, plan(client, spec(running, broken, later)))["report"]
    assert report["status"] == "failed"
    assert [entry["status"] for entry in report["migrations"]] == ["skipped", "failed", "skipped"]
    assert "big" in report["migrations"][1]["error"]
    assert report["error"]["code"] == "MIGRATION_FAILED"
    assert report["teardown"] == {"policy": "on_pass", "action": "kept"}
    kept = client.get(f"/projects/v1/{running['project_id']}/branches").json()["branches"]
    assert [entry["branch_project_id"] for entry in kept] == [report["branch_project_id"]]
    assert dump(live, running["schema_slot"]) == before


def test_a_failing_check_fails_the_rehearsal(client: httpx.Client, running: dict[str, Any]) -> None:
    wanted = spec(running, checks=[{"name": "health", "http": {"path": "/health-page"}}])
    report = rehearse(client, plan(client, {**wanted, "site": {"patch": {"delete": ["x.html"]}}}), teardown="always")
    assert report["report"]["status"] == "failed"
    check = report["report"]["checks"][-1]
    assert (check["name"], check["status"], check["actual_status"]) == ("health", "failed", 404)
    assert client.get(f"/projects/v1/{running['project_id']}/branches").json() == {"branches": []}


def test_the_first_plan_of_a_project_can_be_rehearsed(client: httpx.Client, project: dict[str, Any]) -> None:
    report = rehearse(client, plan(client, spec(project)), teardown="keep")["report"]
    assert (report["status"], report["migrations"]) == ("passed", [{"id": "001", "status": "passed"}])
    assert report["teardown"]["action"] == "kept"
    assert sql(client, project, "select to_regclass('t')::text as t") == [{"t": None}]


def test_a_plan_that_was_overtaken_is_not_rehearsed(client: httpx.Client, running: dict[str, Any]) -> None:
    planned = plan(client, spec(running, migration("002", "select 1")))
    deploy(client, {"project_id": running["project_id"], "site": {"patch": {"put": site({"b.html": b"b"})}}}, b"b")
    refused = client.post(f"/apply/v1/plans/{planned.json()['plan_id']}/rehearse", json={})
    assert (refused.status_code, refused.json()["code"]) == (409, "BASE_RELEASE_CONFLICT")


def test_missing_uploads_are_a_finding(client: httpx.Client, live: Live, running: dict[str, Any]) -> None:
    planned = plan(client, spec(running, site={"replace": site({"index.html": b"never uploaded"})}))
    report = rehearse(client, planned, teardown="always")["report"]
    assert report["error"]["code"] == "CONTENT_DIGEST_MISSING"
    assert schemas(live.database_url, "project") == [running["schema_slot"]]


def test_unknown_plans_and_policies_are_refused(client: httpx.Client) -> None:
    assert client.post("/apply/v1/plans/plan_none/rehearse", json={}).status_code == 404
    assert client.post("/apply/v1/plans/plan_none/rehearse", json={"teardown": "x"}).status_code == 400


def test_the_password_of_the_database_stays_out_of_arguments() -> None:
    env = _connection_environment("postgresql://me:secret@db.example:7/app?sslmode=require")
    expected = {"PGUSER": "me", "PGPASSWORD": "secret", "PGHOST": "db.example", "PGPORT": "7", "PGDATABASE": "app"}
    assert expected.items() <= env.items()
    assert env["PGSSLMODE"] == "require"
    assert Path(binaries() / "pg_dump").exists() or (binaries() / "pg_dump.exe").exists()
