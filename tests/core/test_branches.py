"""A branch has what its parent has, and what happens to it stays there."""

from __future__ import annotations

from typing import Any

import httpx
import psycopg
import pytest
from copies_kit import EXPOSE, PAGE, branch, schemas, sql
from deploy_kit import deploy, migration, site
from gateway_kit import Live

from run402_cli.core.copies.branches import contained_state
from run402_cli.core.purge import purge


@pytest.fixture
def parent(client: httpx.Client, project: dict[str, Any]) -> dict[str, Any]:
    """A project with a table, a row, a site and a subdomain."""
    database = {"migrations": [migration("001", "create table t (n serial, v text)")], "expose": EXPOSE}
    deploy(
        client,
        {
            "project": project["project_id"],
            "database": database,
            "site": {"replace": site({"index.html": PAGE}, core=True)},
            "subdomains": {"set": ["shop"]},
        },
        PAGE,
    )
    sql(client, project, "insert into t (v) values ('a')")
    return project


def test_a_branch_serves_the_data_and_site_of_its_parent(client: httpx.Client, parent: dict[str, Any]) -> None:
    made = branch(client, parent, name="try")
    assert (made["name"], made["status"], made["email_mode"], made["enable_cron"]) == (
        "try",
        "active",
        "sandbox",
        False,
    )
    assert made["anon_key"] != parent["anon_key"]
    rows = client.get("/rest/v1/t", headers={"apikey": made["anon_key"]})
    assert rows.json() == [{"n": 1, "v": "a"}]
    assert client.get(f"/projects/v1/{made['project_id']}/static/").content == PAGE
    host = httpx.URL(made["branch_url"]).host
    assert client.get("/", headers={"host": f"{host}:{client.base_url.port}"}).content == PAGE


def test_what_happens_on_a_branch_stays_there(client: httpx.Client, parent: dict[str, Any]) -> None:
    made = branch(client, parent)
    sql(client, made, "insert into t (v) values ('b'); alter table t add extra int")
    deploy(
        client, {"project": made["project_id"], "site": {"replace": site({"index.html": b"two"}, core=True)}}, b"two"
    )
    assert sql(client, parent, "select * from t") == [{"n": 1, "v": "a"}]
    assert client.get(f"/projects/v1/{parent['project_id']}/static/").content == PAGE
    assert client.get("/", headers={"host": "shop.localhost"}).content == PAGE
    assert client.get("/rest/v1/t", headers={"apikey": made["service_key"]}).status_code != 500


def test_migrations_of_the_parent_do_not_run_again_on_a_branch(client: httpx.Client, parent: dict[str, Any]) -> None:
    made = branch(client, parent)
    both = [migration("001", "create table t (n serial, v text)"), migration("002", "create table u (n int)")]
    deploy(client, {"project": made["project_id"], "database": {"migrations": both}})
    assert sql(client, made, "select count(*)::int as n from u") == [{"n": 0}]
    assert sql(client, parent, "select to_regclass('u')::text as u") == [{"u": None}]


def test_a_branch_can_start_from_a_snapshot(client: httpx.Client, parent: dict[str, Any]) -> None:
    taken = client.post(f"/projects/v1/{parent['project_id']}/snapshots", json={}).json()
    sql(client, parent, "insert into t (v) values ('later')")
    made = branch(client, parent, from_snapshot_id=taken["snapshot_id"])
    assert made["data_from"] == {"snapshot_id": taken["snapshot_id"], "captured_at": taken["captured_at"]}
    assert client.get("/rest/v1/t", headers={"apikey": made["anon_key"]}).json() == [{"n": 1, "v": "a"}]


def test_branches_are_listed_renewed_and_deleted(client: httpx.Client, live: Live, parent: dict[str, Any]) -> None:
    path = f"/projects/v1/{parent['project_id']}/branches"
    made = branch(client, parent, ttl_days=1)
    (listed,) = client.get(path).json()["branches"]
    assert listed["branch_project_id"] == made["project_id"]
    assert "service_key" not in listed
    renewed = client.post(f"{path}/{made['project_id']}/renew", json={"ttl_days": 30}).json()
    assert renewed["expires_at"] > listed["expires_at"]
    assert client.delete(f"{path}/{made['project_id']}").json()["status"] == "deleted"
    assert client.get(path).json() == {"branches": []}
    assert client.get(f"/projects/v1/{made['project_id']}").status_code == 404
    assert client.delete(f"{path}/{made['project_id']}").json()["code"] == "BRANCH_NOT_FOUND"
    assert schemas(live.database_url, "project") == [parent["schema_slot"]]


def test_an_expired_branch_is_removed(client: httpx.Client, live: Live, parent: dict[str, Any]) -> None:
    made = branch(client, parent)
    with psycopg.connect(live.database_url, autocommit=True) as conn:
        conn.execute("UPDATE internal.core_branches SET expires_at = now() - interval '1 second'")

    live.run(purge(live.gateway))
    assert client.get(f"/projects/v1/{made['project_id']}").status_code == 404
    assert not (live.gateway.store.root / "refs" / made["project_id"]).exists()


def test_a_deleted_project_takes_its_branches_along(client: httpx.Client, live: Live, parent: dict[str, Any]) -> None:
    made = branch(client, parent)
    key = {"Authorization": f"Bearer {parent['service_key']}"}
    assert client.delete(f"/projects/v1/{parent['project_id']}", headers=key).status_code == 200
    assert client.get(f"/projects/v1/{made['project_id']}").status_code == 404
    assert schemas(live.database_url, "project") == []


@pytest.mark.parametrize(
    "body", [{"ttl_days": 0}, {"ttl_days": 31}, {"ttl_days": True}, {"email_mode": "live"}, {"enable_cron": 1}]
)
def test_a_branch_with_impossible_wishes_is_refused(
    body: dict[str, Any], client: httpx.Client, project: dict[str, Any]
) -> None:
    assert client.post(f"/projects/v1/{project['project_id']}/branches", json=body).status_code == 400


def test_a_branch_has_no_branches(client: httpx.Client, project: dict[str, Any]) -> None:
    made = branch(client, project)
    refused = client.post(f"/projects/v1/{made['project_id']}/branches", json={})
    assert (refused.status_code, refused.json()["code"]) == (409, "BRANCH_OF_BRANCH")


def test_timers_are_off_on_a_branch_unless_wanted() -> None:
    timer = {"id": "a", "type": "schedule", "cron": "* * * * *"}
    mail = {"id": "b", "type": "email", "mailbox": "m", "events": ["bounced"]}
    entry = {"name": "f", "deps": [], "schedule": "* * * * *", "triggers": [timer, mail]}
    state = {
        "functions": [entry],
        "subdomains": {"names": ["shop"]},
        "secrets": {"keys": []},
        "site": {"paths": []},
        "migrations": [],
    }
    quiet = contained_state(state, enable_cron=False)
    assert quiet["functions"] == [{"name": "f", "deps": [], "schedule": None}]
    assert quiet["subdomains"] == {"names": []}
    assert contained_state(state, enable_cron=True)["functions"][0]["triggers"] == [timer]


def test_an_expired_branch_of_another_project_is_not_waited_for(
    client: httpx.Client, live: Live, parent: dict[str, Any]
) -> None:
    other = client.post("/projects/v1", json={"name": "attacker"}).json()
    theirs, mine = branch(client, other), branch(client, parent)
    with psycopg.connect(live.database_url, autocommit=True) as conn:
        conn.execute("UPDATE internal.core_branches SET expires_at = now() - interval '1 second'")
        # As a deploy to their branch has it.
        conn.execute("SELECT pg_advisory_lock(hashtextextended('run402-deploy:' || %s, 0))", (theirs["project_id"],))
        listed = client.get(f"/projects/v1/{parent['project_id']}/branches", timeout=5)
        assert listed.json() == {"branches": []}
    assert client.get(f"/projects/v1/{mine['project_id']}").status_code == 404
    assert client.get(f"/projects/v1/{theirs['project_id']}").status_code == 200
