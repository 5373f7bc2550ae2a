"""`public.` is refused, and an extension of the list serves every project, whoever asked for it first."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from copies_kit import branch, sql
from deploy_kit import commit, migration, plan
from gateway_kit import Live

from run402_cli.core.sql.shared import SharedNameError, prepare

CITEXT = "create extension if not exists citext; create table e (v citext); insert into e values ('X')"


def make(client: httpx.Client, name: str) -> dict[str, Any]:
    project: dict[str, Any] = client.post("/projects/v1", json={"name": name}).json()
    return project


def migrate(client: httpx.Client, project: dict[str, Any], text: str) -> httpx.Response:
    spec = {"project_id": project["project_id"], "database": {"migrations": [migration("1", text)]}}
    return commit(client, plan(client, spec).json())


def test_an_extension_serves_projects_in_any_order_and_outlives_the_first(client: httpx.Client, tmp_path: Path) -> None:
    first, second = make(client, "first"), make(client, "second")
    for project in (first, second):
        answer = migrate(client, project, CITEXT)
        assert answer.json().get("status") == "ready", answer.text
    path = f"/projects/v1/{first['project_id']}"
    assert client.post(f"{path}/snapshots", json={}).status_code == 201
    child = client.get(f"/projects/v1/{branch(client, first, name='b')['project_id']}").json()
    assert sql(client, child, "select count(*)::int as n from e where v = 'x'") == [{"n": 1}]
    archive = client.post(f"{path}/archives", json={}).json()["archive_id"]
    while client.get(f"{path}/archives/{archive}").json()["status"] == "running":
        time.sleep(0.05)
    file = tmp_path / "a.r402ar"
    file.write_bytes(client.get(f"{path}/archives/{archive}/download").content)
    service = {"Authorization": f"Bearer {first['service_key']}"}
    assert client.delete(path, headers=service).status_code == 200
    assert sql(client, second, "select count(*)::int as n from e where v = 'x'") == [{"n": 1}]
    answer = client.post("/archives/v1/import", json={"archive_path": str(file), "name": "again"})
    copy = client.get(f"/projects/v1/{answer.json()['project_id']}").json()
    assert sql(client, copy, "select count(*)::int as n from e where v = 'x'") == [{"n": 1}]


def test_an_extension_in_admin_sql_is_installed_beside_the_project(
    client: httpx.Client, project: dict[str, Any], live: Live
) -> None:
    sql(client, project, "create extension citext; create table e (v citext)")
    with psycopg.connect(live.database_url) as conn:
        row = conn.execute(
            "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'citext'"
        ).fetchone()
    assert row == ("extensions",)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("create table public.common (a int)", "Drop the prefix"),
        ('select 1; create table "public".common (a int)', "Drop the prefix"),
        ("create table t (a int references public.u)", "Drop the prefix"),
        ("set search_path = public", "Remove the statement"),
        ("set search_path to 'public'", "Remove the statement"),
        ("create extension dblink", "There are: btree_gin"),
        ("create extension pg_trmg", "Did you mean pg_trgm?"),
    ],
)
def test_what_names_something_shared_runs_nothing(
    client: httpx.Client, project: dict[str, Any], live: Live, text: str, told: str
) -> None:
    answer = migrate(client, project, f"create table before_it (a int); {text}")
    assert (answer.status_code, answer.json()["code"]) == (400, "MIGRATION_FAILED")
    assert told in answer.json()["message"]
    url = f"/projects/v1/admin/{project['project_id']}/sql"
    headers = {"Authorization": f"Bearer {project['service_key']}"}
    refused = client.post(url, content=f"create table before_it (a int); {text}", headers=headers)
    assert (refused.status_code, refused.json()["error"]) == (403, "sql_forbidden")
    with psycopg.connect(live.database_url) as conn:
        query = "SELECT relname FROM pg_class WHERE relname IN ('common', 'before_it')"
        assert conn.execute(query).fetchall() == []


@pytest.mark.parametrize(
    "text",
    [
        "select 'public.x'",
        "create table t (a int) -- public.t",
        "select t.public.x from t",
        "grant select on t to public",
        "create function f() returns int language sql as $$ select 1 from public.t $$",
    ],
)
def test_other_uses_of_the_word_pass(text: str) -> None:
    assert prepare(text).text == text


def test_positions_stay_where_they_were() -> None:
    text = "create extension if not exists citext;\nselect nope"
    prepared = prepare(text)
    assert prepared.extensions == ("citext",)
    assert (len(prepared.text), prepared.text.index("select")) == (len(text), text.index("select"))
    with pytest.raises(SharedNameError) as caught:
        prepare("select 1;\nselect * from public.t")
    assert caught.value.line == 2
