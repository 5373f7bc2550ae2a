"""A database of the first release, in which all projects shared their roles, gets the walls of this one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from copies_kit import restore, sql
from database_kit import Databases
from gateway_kit import CONTROL, prepared
from psycopg.sql import SQL, Identifier

# What pg_dump wrote of a gateway of the first release with two projects, each with the same tables.
DUMP = Path(__file__).with_name("first_release.sql")
FORMER = ("anon", "authenticated", "service_role", "authenticator")


@pytest.fixture
def upgraded(databases: Databases, tmp_path: Path) -> Iterator[tuple[httpx.Client, str]]:
    """A client of a gateway that started on the old database, and the database's URL."""
    name = "run402_first_release"
    server = databases.server
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute(SQL("CREATE DATABASE {} TEMPLATE template0").format(Identifier(name)))
        for role in FORMER:
            if admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone() is None:
                admin.execute(SQL("CREATE ROLE {}").format(Identifier(role)))
    url = server.url(name)
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(DUMP.read_bytes())
    running = prepared(tmp_path / "data", url)
    running.start()
    try:
        with httpx.Client(base_url=running.settings.public_url, timeout=60, trust_env=False, headers=CONTROL) as client:
            yield client, url
    finally:
        running.stop()
        databases.drop(name)


def projects(url: str) -> list[dict[str, Any]]:
    with psycopg.connect(url) as conn:
        rows = conn.execute("SELECT to_jsonb(p) FROM internal.core_projects p ORDER BY created_at").fetchall()
    return [row[0] for row in rows]


def keys() -> list[dict[str, str]]:
    """The keys that the projects had, as the dump has them."""
    found = [line for line in DUMP.read_text().splitlines() if line.startswith("INSERT INTO internal.core_projects")]
    values = [[part.strip(" ');") for part in line.partition("VALUES (")[2].split(",")] for line in found]
    return [{"project_id": v[0], "schema_slot": v[2], "anon_key": v[4], "service_key": v[5]} for v in values]


def test_a_project_of_the_first_release_works_as_before(upgraded: tuple[httpx.Client, str]) -> None:
    client, _ = upgraded
    for project in keys():
        anon, service = {"apikey": project["anon_key"]}, {"apikey": project["service_key"]}
        assert [row["body"] for row in client.get("/rest/v1/notes", headers=anon).json()] == ["one", "two"]
        assert client.post("/rest/v1/notes", headers=anon, json={"body": "three"}).status_code == 201
        assert client.get("/rest/v1/vault", headers=anon).status_code == 401
        assert client.get("/admin/v1/rest/vault", headers=service).json() == [{"word": "hidden"}]
        assert client.post("/rest/v1/rpc/shout", headers=anon, json={"q": "x"}).json() == "X"
        sql(
            client,
            project,
            "refresh materialized view counted; alter table notes add n int; alter type mood add value 'new'",
        )
        sql(
            client,
            project,
            "drop view bodies; create or replace function shout(q text) returns text language sql as 'select q'",
        )
        path = f"/projects/v1/{project['project_id']}"
        snapshot = client.post(f"{path}/snapshots", json={}).json()["snapshot_id"]
        restore(client, path, snapshot)
        assert len(client.get("/rest/v1/notes", headers=anon).json()) == 3


def test_the_walls_stand_around_it(upgraded: tuple[httpx.Client, str]) -> None:
    client, url = upgraded
    first, second = keys()
    peek = f"do $$ begin perform * from {second['schema_slot']}.notes; end $$"
    headers = {"Authorization": f"Bearer {first['service_key']}"}
    answer = client.post(f"/projects/v1/admin/{first['project_id']}/sql", content=peek, headers=headers)
    assert answer.json()["sqlstate"] == "42501"
    with psycopg.connect(url) as conn:
        superuser = conn.info.user
        for project in projects(url):
            slot = project["schema_slot"]
            query = (
                "SELECT c.relname FROM pg_class c WHERE c.relnamespace = %(s)s::regnamespace AND c.relowner = %(u)s::regrole"
                " UNION ALL SELECT p.proname FROM pg_proc p WHERE p.pronamespace = %(s)s::regnamespace"
                " AND p.proowner = %(u)s::regrole UNION ALL SELECT t.typname FROM pg_type t"
                " WHERE t.typnamespace = %(s)s::regnamespace AND t.typowner = %(u)s::regrole"
            )
            assert conn.execute(query, {"s": slot, "u": superuser}).fetchall() == []
            for role in FORMER:
                query = (
                    "SELECT bool_or(has_schema_privilege(%(r)s, n, 'USAGE')) FROM unnest(ARRAY[%(s)s, 'internal']) n"
                )
                assert conn.execute(query, {"r": role, "s": slot}).fetchone() == (False,)
            kept = "SELECT evtname FROM pg_event_trigger WHERE evtname !~ '^run402_schema_changed_'"
            assert conn.execute(kept).fetchall() == []


def test_its_keys_are_digests_from_now_on(upgraded: tuple[httpx.Client, str]) -> None:
    client, url = upgraded
    kept = str(projects(url))
    for project in keys():
        shown = client.get(f"/projects/v1/{project['project_id']}").json()
        assert (shown["anon_key"], shown["service_key"]) == (project["anon_key"], project["service_key"])
        assert project["anon_key"] not in kept
        assert project["service_key"] not in kept


def test_roles_of_it_go_with_it(upgraded: tuple[httpx.Client, str]) -> None:
    client, url = upgraded
    for project in keys():
        headers = {"Authorization": f"Bearer {project['service_key']}"}
        assert client.delete(f"/projects/v1/{project['project_id']}", headers=headers).status_code == 200
    with psycopg.connect(url) as conn:
        query = (
            "SELECT rolname FROM pg_roles WHERE starts_with(rolname,"
            " format('r402_%s_', (SELECT oid FROM pg_database WHERE datname = current_database())))"
        )
        assert conn.execute(query.encode()).fetchall() == []
