"""What the gateway remembers of callers and schemas is never older than the answer before, and costs few round trips."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from copies_kit import sql
from database_kit import owner_of
from gateway_kit import Live
from remembered_kit import expose, read, service, soon

from run402_cli.core import changes
from run402_cli.core.changes import Remembered
from run402_cli.core.daemon.batched_log import BatchedLog
from run402_cli.core.role_connection import RoleConnection


@pytest.fixture
def project(client: httpx.Client) -> dict[str, Any]:
    made: dict[str, Any] = client.post("/projects/v1", json={"name": "remembered"}).json()
    sql(client, made, "CREATE TABLE items (id int PRIMARY KEY, name text); INSERT INTO items VALUES (1, 'one')")
    expose(client, made, "items")
    return made


@pytest.fixture
def trips(live: Live, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Who made a round trip: `gateway` on its own connections, `role` on those of requests."""
    # From here on the listener makes none that nobody asked for.
    monkeypatch.setattr(changes, "QUIET_SECONDS", 3600.0)
    live.run(live.gateway.changes.close())
    live.run(live.gateway.changes.start())

    async def running() -> set[asyncio.Task[Any]]:
        return asyncio.all_tasks()

    # The gateway's workers, which look after their tables now and then.
    workers = live.run(running())
    seen: list[str] = []
    execute, together = psycopg.AsyncConnection.execute, RoleConnection.together

    async def executed(conn: psycopg.AsyncConnection[Any], *args: Any, **settings: Any) -> Any:
        if asyncio.current_task() not in workers:
            seen.append("gateway")
        return await execute(conn, *args, **settings)

    async def said(conn: RoleConnection, *args: Any, **settings: Any) -> Any:
        seen.append("role")
        return await together(conn, *args, **settings)

    monkeypatch.setattr(psycopg.AsyncConnection, "execute", executed)
    monkeypatch.setattr(RoleConnection, "together", said)
    yield seen


# -- round trips --------------------------------------------------------------------------------------------------------------


def test_a_read_and_a_plain_write_are_one_round_trip_and_any_write_at_most_three(
    client: httpx.Client, project: dict[str, Any], trips: list[str]
) -> None:
    anon = project["anon_key"]
    for _ in range(2):
        assert read(client, anon, query="id=eq.1").status_code == 200
    trips.clear()
    assert read(client, anon, query="id=eq.1").json() == [{"id": 1, "name": "one"}]
    assert trips == ["role"]
    trips.clear()
    assert client.post("/rest/v1/items", headers={"apikey": anon}, json={"id": 2}).status_code == 201
    assert trips == ["role"]
    sql(client, project, "CREATE SEQUENCE n; ALTER TABLE items ALTER COLUMN id SET DEFAULT nextval('n')")
    assert client.post("/rest/v1/items", headers={"apikey": anon}, json={"id": 3}).status_code == 201
    trips.clear()
    assert client.post("/rest/v1/items", headers={"apikey": anon}, json={"id": 4}).status_code == 201
    assert trips.count("role") == 2
    assert len(trips) <= 3


def test_a_read_that_runs_something_of_the_project_is_one_round_trip_too(
    client: httpx.Client, project: dict[str, Any], trips: list[str]
) -> None:
    sql(client, project, "CREATE VIEW shown AS SELECT * FROM items")
    anon = service(project)
    for _ in range(2):
        assert client.get("/admin/v1/rest/shown", headers=anon).status_code == 200
    trips.clear()
    assert len(client.get("/admin/v1/rest/shown", headers=anon).json()) == 1
    assert trips == ["role"]


# -- what stays prepared ------------------------------------------------------------------------------------------------------

PREPARED = "CREATE FUNCTION prepared() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM pg_prepared_statements'"
# A type whose check is a function of the project.
CHECKED = (
    "CREATE FUNCTION fine(text) RETURNS boolean LANGUAGE sql AS 'SELECT true';"
    "CREATE DOMAIN d AS text CHECK (fine(VALUE));"
)
LOUD = (
    "CREATE FUNCTION no(varchar, varchar) RETURNS boolean LANGUAGE sql AS 'SELECT true';"
    "CREATE OPERATOR = (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = no)",
    "CREATE FUNCTION json_agg(items) RETURNS json LANGUAGE sql AS $$ SELECT '[]'::json $$",
    "CREATE FUNCTION shout(items) RETURNS text LANGUAGE sql AS 'SELECT upper($1.name)'",
    "CREATE FUNCTION fold(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT $1'; CREATE INDEX ON items (fold(name))",
    "CREATE FUNCTION ok() RETURNS boolean LANGUAGE sql AS 'SELECT true';"
    "CREATE POLICY p ON items AS RESTRICTIVE USING (ok())",
    "CREATE DOMAIN d AS text; ALTER TABLE items ADD c d",
    "CREATE TABLE child () INHERITS (items)",
    CHECKED + "CREATE POLICY p ON items AS RESTRICTIVE USING (pg_input_is_valid('x', 'd'))",
    CHECKED + "CREATE POLICY p ON items AS RESTRICTIVE USING (domain_in('x', to_regtype('d')::oid, -1) IS NOT NULL)",
    CHECKED + "CREATE POLICY p ON items AS RESTRICTIVE USING (array_in('{x}', to_regtype('d')::oid, -1) IS NOT NULL)",
)


def kept(live: Live) -> int:
    return sum(len(conn._kept) for conn in live.gateway.logins._idle)


def test_nothing_stays_prepared_where_a_function_can_meet_it(
    client: httpx.Client, live: Live, project: dict[str, Any]
) -> None:
    sql(client, project, PREPARED)
    expose(client, project, "items", rpcs=[{"name": "prepared", "signature": "()", "grant_to": ["anon"]}])
    anon = project["anon_key"]
    for _ in range(3):
        assert read(client, anon, query="name=eq.one").json() == [{"id": 1, "name": "one"}]
    assert kept(live) > 0
    answer = client.post("/rest/v1/rpc/prepared", headers={"apikey": anon}, json={})
    assert (answer.json(), kept(live)) == (0, 0)
    assert read(client, anon, query="name=eq.one").status_code == 200


@pytest.mark.parametrize("change", LOUD, ids=range(len(LOUD)))
def test_a_table_that_something_of_the_project_runs_for_is_cleaned_up_after(
    client: httpx.Client, live: Live, project: dict[str, Any], change: str
) -> None:
    assert read(client, project["anon_key"]).status_code == 200
    assert kept(live) > 0
    sql(client, project, change)
    for _ in range(2):
        assert read(client, project["anon_key"]).status_code < 500
        assert kept(live) == 0


# -- who calls ----------------------------------------------------------------------------------------------------------------


def test_a_credential_is_refused_by_the_request_after_it_was_revoked(
    client: httpx.Client, project: dict[str, Any]
) -> None:
    url = f"/projects/v1/{project['project_id']}/credentials"
    for _ in range(5):
        made = client.post(url, json={"kind": "anon", "name": "phone"}, headers=service(project))
        assert made.status_code in (200, 201), made.text
        key = made.json().get("secret") or made.json().get("credential")
        assert [read(client, key).status_code for _ in range(3)] == [200] * 3
        identity = made.json()["credential_id"]
        assert client.delete(f"{url}/{identity}", headers=service(project)).is_success
        assert read(client, key).status_code == 401


def test_a_token_is_refused_by_the_request_after_its_session_has_ended(
    client: httpx.Client, project: dict[str, Any]
) -> None:
    key = {"apikey": project["anon_key"]}
    account = {"email": "a@example.com", "password": "correct horse battery"}
    assert client.post("/auth/v1/signup", headers=key, json=account).is_success
    for _ in range(3):
        token = client.post("/auth/v1/token?grant_type=password", headers=key, json=account).json()["access_token"]
        user = {**key, "Authorization": f"Bearer {token}"}
        assert [client.get("/rest/v1/items", headers=user).status_code for _ in range(3)] == [200] * 3
        assert client.post("/auth/v1/logout", headers=user, json={}).is_success
        assert client.get("/rest/v1/items", headers=user).status_code == 401


def test_the_keys_of_a_project_that_is_gone_are_refused(client: httpx.Client, project: dict[str, Any]) -> None:
    assert [read(client, project["anon_key"]).status_code for _ in range(2)] == [200] * 2
    assert client.delete(f"/projects/v1/{project['project_id']}", headers=service(project)).is_success
    assert read(client, project["anon_key"]).status_code == 401


def test_what_somebody_takes_away_in_the_database_is_noticed(
    client: httpx.Client, live: Live, project: dict[str, Any]
) -> None:
    assert read(client, project["anon_key"]).status_code == 200
    with psycopg.connect(live.database_url) as conn:
        conn.execute(
            "UPDATE internal.core_projects SET anon_sha256 = 'another' WHERE project_id = %s", (project["project_id"],)
        )
    assert soon(lambda: read(client, project["anon_key"]).status_code == 401)


# -- schemas ------------------------------------------------------------------------------------------------------------------


def test_ddl_of_others_is_noticed_and_nothing_is_remembered_without_a_listener(
    client: httpx.Client, live: Live, project: dict[str, Any]
) -> None:
    url = owner_of(live.database_url, project["schema_slot"])
    assert read(client, project["anon_key"], query="select=age").status_code == 400
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(f"ALTER TABLE {project['schema_slot']}.items ADD age int")
        assert soon(lambda: read(client, project["anon_key"], query="select=age").status_code == 200)
        listening: Any = live.gateway.changes._conn
        with psycopg.connect(live.database_url, autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(%s, 5000)", (listening.info.backend_pid,))
        conn.execute(f"ALTER TABLE {project['schema_slot']}.items DROP age")
        assert soon(lambda: read(client, project["anon_key"], query="select=age").status_code == 400)
    assert soon(lambda: live.gateway.changes.of_callers("") is not None)


def test_a_function_that_changes_the_schema_is_seen_by_the_next_request(
    client: httpx.Client, project: dict[str, Any]
) -> None:
    sql(client, project, "CREATE FUNCTION grow(n int) RETURNS void LANGUAGE plpgsql AS"
        " $f$ BEGIN EXECUTE format('ALTER TABLE items ADD c%s int', n); END $f$")  # fmt: skip
    for number in range(5):
        headers = service(project)
        assert client.post("/admin/v1/rest/rpc/grow", headers=headers, json={"n": number}).is_success
        assert client.get(f"/admin/v1/rest/items?select=c{number}", headers=headers).status_code == 200


def test_without_event_triggers_the_catalogs_are_looked_at(
    client: httpx.Client, live: Live, project: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live.gateway.changes, "hears_schemas", False)
    assert read(client, project["anon_key"], query="select=age").status_code == 400
    sql(client, project, "ALTER TABLE items ADD age int")
    assert read(client, project["anon_key"], query="select=age").status_code == 200


def test_a_project_neither_drops_nor_hears_what_tells_of_changes(
    client: httpx.Client, live: Live, project: dict[str, Any]
) -> None:
    with psycopg.connect(owner_of(live.database_url, project["schema_slot"]), autocommit=True) as conn:
        for text in (
            "DROP EVENT TRIGGER run402_schema_changed_end",
            "ALTER EVENT TRIGGER run402_schema_changed_end DISABLE",
            "SELECT name FROM internal.core_channel",
            "SELECT internal.core_tell('schema *')",
            "SET event_triggers = off",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(text.encode())


def test_what_is_remembered_is_bounded_by_its_size() -> None:
    kept: Remembered[str] = Remembered(10)
    for number in range(8):
        kept.put(number, "x", 3)
    assert [number for number in range(8) if kept.get(number)] == [5, 6, 7]
    kept.put("large", "y", 50)
    assert (kept.get("large"), kept.get(7)) == ("y", None)


# -- the log ------------------------------------------------------------------------------------------------------------------


def test_lines_of_the_log_are_written_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "log"
    handler = BatchedLog(logging.FileHandler(path))
    handler.handle(logging.makeLogRecord({"msg": "first", "levelno": logging.INFO}))
    handler.handle(logging.makeLogRecord({"msg": "second", "levelno": logging.ERROR}))
    assert path.read_text().split() == ["first", "second"]
    handler.handle(logging.makeLogRecord({"msg": "third", "levelno": logging.INFO}))
    assert soon(lambda: path.read_text().split()[-1] == "third")
    handler.close()
