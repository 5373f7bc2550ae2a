"""A deploy that could lose something takes a snapshot first, and says which."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from copies_kit import restore, schemas, sql
from deploy_kit import commit, deploy, migration, plan
from gateway_kit import Live

from run402_cli.core.releases.restore_points import KEPT, only_adds


def spec(project: dict[str, Any], *scripts: str) -> dict[str, Any]:
    made = [migration(f"{index:03}", script) for index, script in enumerate(scripts)]
    return {"project_id": project["project_id"], "database": {"migrations": made}}


def test_a_deploy_that_drops_a_table_can_be_undone(client: httpx.Client, project: dict[str, Any]) -> None:
    first = deploy(client, spec(project, "create table t (n int); insert into t values (1)"))
    assert not first.keys() & {"restore_point", "snapshot_skipped_reason"}
    sql(client, project, "insert into t values (2)")
    second = deploy(client, spec(project, "create table t (n int); insert into t values (1)", "drop table t"))
    snapshot_id = second["restore_point"]["snapshot_id"]
    listed = client.get(f"/projects/v1/{project['project_id']}/snapshots").json()["snapshots"]
    assert [(entry["snapshot_id"], entry["kind"]) for entry in listed] == [(snapshot_id, "pre_migration")]
    assert second["restore_point"]["restore_url"].endswith(f"/{snapshot_id}/restore")
    assert listed[0]["live_release_id"] == first["release_id"]
    restore(client, f"/projects/v1/{project['project_id']}", snapshot_id)
    assert sql(client, project, "select n from t order by n") == [{"n": 1}, {"n": 2}]


def test_a_migration_that_fails_names_the_restore_point(client: httpx.Client, project: dict[str, Any]) -> None:
    first = "create table t (n int); insert into t values (1)"
    deploy(client, spec(project, first))
    planned = plan(client, spec(project, first, "alter table nowhere add m int")).json()
    failed = commit(client, planned).json()
    assert failed["code"] == "MIGRATION_FAILED"
    assert failed["restore_point"]["snapshot_id"].startswith("snap_")


def test_a_repeated_commit_names_the_same_restore_point(client: httpx.Client, project: dict[str, Any]) -> None:
    first = "create table t (n int); insert into t values (1)"
    deploy(client, spec(project, first))
    planned = plan(client, spec(project, first, "delete from t")).json()
    answer = commit(client, planned).json()
    assert "restore_point" in answer
    assert commit(client, planned).json() == answer


def test_an_empty_project_needs_none(client: httpx.Client, project: dict[str, Any]) -> None:
    done = deploy(client, spec(project, "create table t (n int); alter table t add m int"))
    assert done["snapshot_skipped_reason"] == "no_data"


def test_only_the_latest_are_kept(client: httpx.Client, live: Live, project: dict[str, Any]) -> None:
    scripts = [
        "create table t (n int); insert into t values (1)",
        *(f"alter table t add c{n} int" for n in range(KEPT + 2)),
    ]
    for count in range(1, len(scripts) + 1):
        deploy(client, spec(project, *scripts[:count]))
    assert len(schemas(live.database_url, "snapshot")) == KEPT


@pytest.mark.parametrize(
    ("script", "adds"),
    [
        ("create table t (n int); insert into t values (1); comment on table t is 'drop table'", True),
        ("-- drop table t\nselect 1", True),
        ("create or replace view v as select 1", False),
        ("insert into t values (1) on conflict (n) do update set n = 2", False),
        ("update t set n = 1", False),
        ("do $$ begin delete from t; end $$", False),
        ("with gone as (delete from t returning 1) select 1", False),
        ("select 'unclosed", False),
    ],
)
def test_what_only_adds_is_recognized(script: str, adds: bool) -> None:
    assert only_adds(script) is adds
