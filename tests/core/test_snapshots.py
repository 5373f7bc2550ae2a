"""Snapshots bring a project's database back, and nothing but its database."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from copies_kit import EXPOSE, in_schema, restore, schemas, sql
from deploy_kit import deploy, migration, ref


@pytest.fixture
def path(project: dict[str, Any]) -> str:
    return f"/projects/v1/{project['project_id']}"


def test_restore_brings_rows_tables_and_migrations_back(
    client: httpx.Client, project: dict[str, Any], path: str
) -> None:
    first = migration("001", "create table t (n int)")
    then = deploy(client, {"project": project["project_id"], "database": {"migrations": [first], "expose": EXPOSE}})
    sql(client, project, "insert into t values (1)")
    taken = client.post(f"{path}/snapshots", json={})
    assert (taken.status_code, taken.json()["status"]) == (201, "ready")
    second = migration("002", "alter table t add m int; create table later (n int)")
    now = deploy(client, {"project": project["project_id"], "database": {"migrations": [first, second]}})
    sql(client, project, "insert into t values (2, 2)")
    done = restore(client, path, taken.json()["snapshot_id"])
    assert (done["status"], done["migration_registry_rows"]) == ("ready", 1)
    assert done["old_schema_slot"] != done["new_schema_slot"]
    releases = {"snapshot_live_release_id": then["release_id"], "current_live_release_id": now["release_id"]}
    assert done["release"] == releases
    wanted = [["snapshots", "restore"], ["deploy", "promote"], ["deploy", "apply"]]
    assert [action["argv"][1:3] for action in done["next_actions"]] == wanted
    assert done["migrations_taken_out"] == ["002"]
    assert "002" in done["next_actions"][2]["message"]
    assert f"{now['release_id']} stays live" in done["next_actions"][1]["message"]
    assert sql(client, project, "select * from t") == [{"n": 1}]
    seen = client.get("/rest/v1/t", headers={"apikey": project["anon_key"]})
    assert seen.json() == [{"n": 1}]
    denied = client.post("/rest/v1/t", json={"n": 3}, headers={"apikey": project["anon_key"]})
    assert denied.status_code == 401
    # What the registry forgot runs again.
    deploy(
        client,
        {
            "project": project["project_id"],
            "database": {"migrations": [first, second]},
            "site": {"replace": {"a.txt": ref(b"a")}},
        },
        b"a",
    )
    assert sql(client, project, "select m from t") == [{"m": None}]


def test_what_a_restore_replaced_can_be_restored_too(client: httpx.Client, project: dict[str, Any], path: str) -> None:
    slot = project["schema_slot"]
    sql(client, project, "create table t (n int); insert into t values (1)")
    sql(client, project, "create function total() returns bigint language sql as 'select sum(n) from t'")
    before = client.post(f"{path}/snapshots", json={}).json()
    sql(client, project, "insert into t values (2)")
    done = restore(client, path, before["snapshot_id"])
    assert sql(client, project, "select total()::int as n") == [{"n": 1}]
    assert len(done["next_actions"]) == 1, "no release is live: nothing to promote"
    restore(client, path, done["pre_restore_snapshot_id"])
    assert sql(client, project, "select total()::int as n") == [{"n": 3}]
    now = client.get(path).json()
    assert now["schema_slot"] not in (slot, done["new_schema_slot"])
    kinds = [entry["kind"] for entry in client.get(f"{path}/snapshots").json()["snapshots"]]
    assert kinds == ["pre_restore", "pre_restore", "manual"]


def test_functions_that_name_the_first_schema_survive_two_restores(
    client: httpx.Client, live: Any, project: dict[str, Any], path: str
) -> None:
    slot = project["schema_slot"]
    in_schema(
        live.database_url,
        slot,
        f"CREATE TABLE t (n int); CREATE FUNCTION c() RETURNS bigint LANGUAGE plpgsql AS"
        f" $$ BEGIN RETURN (SELECT count(*) FROM {slot}.t); END $$",
    )
    taken = client.post(f"{path}/snapshots", json={}).json()
    sql(client, project, "insert into t values (1)")
    done = restore(client, path, taken["snapshot_id"])
    assert sql(client, project, "select c()::int as n") == [{"n": 0}]
    restore(client, path, done["pre_restore_snapshot_id"])
    assert sql(client, project, "select c()::int as n") == [{"n": 1}]


def test_a_restore_needs_the_token_of_its_plan(client: httpx.Client, project: dict[str, Any], path: str) -> None:
    sql(client, project, "create table t (n int)")
    taken = client.post(f"{path}/snapshots", json={}).json()
    url = f"{path}/snapshots/{taken['snapshot_id']}/restore"
    assert client.post(url, json={"confirm": "rst_made_up"}).json()["code"] == "CONFIRM_TOKEN_INVALID"
    plan = client.post(url, json={"include": ["auth"]}).json()["restore_plan"]
    assert plan["auth"]["mode"] == "not_restored"
    assert plan["confirm"]["token"] in plan["next_actions"][0]["command"]
    assert client.post(url, json={"confirm": plan["confirm"]["token"]}).status_code == 200
    assert client.post(url, json={"confirm": plan["confirm"]["token"]}).status_code == 409


def test_a_failing_restore_changes_nothing(client: httpx.Client, live: Any, project: dict[str, Any], path: str) -> None:
    sql(client, project, "create table t (n int); insert into t values (1)")
    sql(client, project, "create function f(n int) returns int immutable language plpgsql as 'begin return n; end'")
    sql(client, project, "create index on t (f(n))")
    taken = client.post(f"{path}/snapshots", json={}).json()
    (slot,) = schemas(live.database_url, "snapshot")
    # From now on the index of the snapshot cannot be built again.
    broken = "CREATE OR REPLACE FUNCTION f(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS"
    in_schema(live.database_url, slot, f"{broken} $$ BEGIN RAISE EXCEPTION 'never again'; END $$")
    sql(client, project, "insert into t values (2)")
    before = client.get(path).json()["schema_slot"]
    url = f"{path}/snapshots/{taken['snapshot_id']}/restore"
    token = client.post(url, json={}).json()["restore_plan"]["confirm"]["token"]
    failed = client.post(url, json={"confirm": token})
    assert (failed.status_code, failed.json()["code"]) == (409, "SCHEMA_NOT_COPYABLE")
    assert "never again" in failed.json()["message"]
    assert sql(client, project, "select n from t") == [{"n": 1}, {"n": 2}]
    assert client.get(path).json()["schema_slot"] == before
    assert len(client.get(f"{path}/snapshots").json()["snapshots"]) == 1


def test_snapshots_are_listed_newest_first_in_pages(client: httpx.Client, project: dict[str, Any], path: str) -> None:
    made = [client.post(f"{path}/snapshots", json={}).json()["snapshot_id"] for _ in range(3)]
    first = client.get(f"{path}/snapshots", params={"limit": 2}).json()
    assert [entry["snapshot_id"] for entry in first["snapshots"]] == made[:0:-1]
    assert first["has_more"] is True
    rest = client.get(f"{path}/snapshots", params={"limit": 2, "after": first["next_cursor"]}).json()
    assert [entry["snapshot_id"] for entry in rest["snapshots"]] == made[:1]
    assert (rest["has_more"], rest["next_cursor"]) == (False, None)
    assert client.get(f"{path}/snapshots", params={"kind": "pre_restore"}).json()["snapshots"] == []
    assert client.get(f"{path}/snapshots", params={"kind": "other"}).status_code == 400
    assert client.get(f"{path}/snapshots", params={"limit": 0}).status_code == 400


def test_a_deleted_snapshot_is_gone_with_its_schema(
    client: httpx.Client, live: Any, project: dict[str, Any], path: str
) -> None:
    made = client.post(f"{path}/snapshots", json={}).json()
    assert client.get(f"{path}/snapshots/{made['snapshot_id']}").json() == made
    assert client.delete(f"{path}/snapshots/{made['snapshot_id']}").status_code == 200
    assert client.get(f"{path}/snapshots/{made['snapshot_id']}").json()["code"] == "SNAPSHOT_NOT_FOUND"
    assert schemas(live.database_url, "snapshot") == []


def test_a_deleted_project_takes_its_snapshots_along(
    client: httpx.Client, live: Any, project: dict[str, Any], service: dict[str, str], path: str
) -> None:
    client.post(f"{path}/snapshots", json={})
    assert len(schemas(live.database_url, "snapshot")) == 1
    assert client.delete(path, headers=service).status_code == 200
    assert schemas(live.database_url, "snapshot") == []


def test_project_sql_cannot_reach_a_snapshot(
    client: httpx.Client, live: Any, project: dict[str, Any], path: str
) -> None:
    sql(client, project, "create table t (n int)")
    client.post(f"{path}/snapshots", json={})
    (slot,) = schemas(live.database_url, "snapshot")
    answer = client.post(
        f"/projects/v1/admin/{project['project_id']}/sql",
        content=f"select * from {slot}.t",
        headers={"Authorization": f"Bearer {project['service_key']}"},
    )
    assert answer.status_code == 403
