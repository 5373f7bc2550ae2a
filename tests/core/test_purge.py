"""A start throws away what is old and unused, and nothing that anything still needs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from copies_kit import sql
from deploy_kit import commit, deploy, migration, plan, sha256, site, stage
from gateway_kit import Live

from run402_cli.core.purge import KEPT_DAYS, purge


@pytest.fixture
def age(live: Live) -> Any:
    """Make everything look as if it happened eight days ago."""

    def make_old() -> None:
        for path in live.gateway.store.root.rglob("*"):
            stat = path.stat()
            os.utime(path, (stat.st_atime, stat.st_mtime - (KEPT_DAYS + 1) * 86400))
        with psycopg.connect(live.database_url, autocommit=True) as conn:
            conn.execute("UPDATE internal.core_apply_plans SET created_at = created_at - interval '8 days'")

    return make_old


def stored(live: Live, data: bytes) -> bool:
    path: Path = live.gateway.store.path(sha256(data))
    return path.exists()


def test_content_of_releases_and_young_content_stays(
    client: httpx.Client, live: Live, project: dict[str, Any], age: Any
) -> None:
    spec = {"project_id": project["project_id"], "site": {"replace": site({"index.html": b"one"})}}
    deploy(client, spec, b"one")
    deploy(client, {**spec, "site": {"replace": site({"index.html": b"two"})}}, b"two")
    stage(client, project, b"forgotten")
    age()
    stage(client, project, b"young")
    live.run(purge(live.gateway))
    # The first release can be promoted again, so its bytes count.
    assert [stored(live, data) for data in (b"one", b"two", b"young", b"forgotten")] == [True, True, True, False]
    assert client.get(f"/projects/v1/{project['project_id']}/static/").content == b"two"
    assert not live.gateway.store.ref_path(project["project_id"], sha256(b"forgotten")).exists()


def test_an_open_plan_keeps_its_content_until_it_is_old_itself(
    client: httpx.Client, live: Live, project: dict[str, Any], age: Any
) -> None:
    spec = {"project_id": project["project_id"], "site": {"replace": site({"index.html": b"planned"})}}
    stage(client, project, b"planned")
    age()
    planned = plan(client, spec).json()
    live.run(purge(live.gateway))
    assert stored(live, b"planned")
    age()
    live.run(purge(live.gateway))
    assert not stored(live, b"planned")
    assert commit(client, planned).status_code == 404
    operation = client.get(f"/apply/v1/operations/{planned['operation_id']}", headers={"apikey": project["anon_key"]})
    assert operation.status_code == 404


def test_a_finished_deploy_outlives_its_plan(
    client: httpx.Client, live: Live, project: dict[str, Any], age: Any
) -> None:
    spec = {"project_id": project["project_id"], "database": {"migrations": [migration("1", "create table t (n int)")]}}
    done = deploy(client, spec)
    age()
    live.run(purge(live.gateway))
    resumed = client.post(f"/apply/v1/operations/{done['operation_id']}/resume", json={})
    assert (resumed.status_code, resumed.json()["status"]) == (200, "ready")
    deploy(client, spec)
    assert sql(client, project, "select count(*)::int as n from t") == [{"n": 0}]


def test_content_of_another_database_over_the_same_directory_stays(
    client: httpx.Client, live: Live, project: dict[str, Any], age: Any
) -> None:
    store = live.gateway.store
    store.put("prj_elsewhere", sha256(b"theirs"), b"theirs")
    age()
    live.run(purge(live.gateway))
    assert stored(live, b"theirs")


def test_bytes_that_an_asset_or_any_other_row_mentions_stay(
    client: httpx.Client, live: Live, project: dict[str, Any], age: Any
) -> None:
    stage(client, project, b"mentioned")
    with psycopg.connect(live.database_url, autocommit=True) as conn:
        conn.execute("CREATE TABLE internal.core_something (a jsonb)")
        conn.execute("INSERT INTO internal.core_something VALUES (%s)", (f'{{"deep": ["{sha256(b"mentioned")}"]}}',))
    age()
    live.run(purge(live.gateway))
    assert stored(live, b"mentioned")


def test_what_cannot_be_thrown_away_keeps_nothing_else(
    client: httpx.Client, live: Live, project: dict[str, Any], age: Any
) -> None:
    """One project's broken snapshot, and its content stays for ever? No."""
    url = f"/projects/v1/{project['project_id']}/snapshots"
    made = [client.post(url, json={}).json()["snapshot_id"] for _ in range(2)]
    stage(client, project, b"forgotten")
    age()
    with psycopg.connect(live.database_url, autocommit=True) as conn:
        conn.execute("UPDATE internal.core_snapshots SET expires_at = now() - interval '1 second'")
        conn.execute(
            "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'refused'; END$$"
        )
        conn.execute(
            "CREATE TRIGGER refuse BEFORE DELETE ON internal.core_snapshots"
            f" FOR EACH ROW WHEN (OLD.snapshot_id = '{made[0]}') EXECUTE FUNCTION public.refuse()".encode()
        )
    live.run(purge(live.gateway))
    with psycopg.connect(live.database_url) as conn:
        assert conn.execute("SELECT snapshot_id FROM internal.core_snapshots").fetchall() == [(made[0],)]
    assert not stored(live, b"forgotten")
