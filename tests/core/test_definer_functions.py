"""What a function that runs as its owner means by a name is not for its caller to say."""

from __future__ import annotations

from typing import Any

import httpx
import psycopg
import pytest
from copies_kit import branch, in_schema, restore, sql
from gateway_kit import Live

from run402_cli.core.bootstrap import bootstrap

SECRETIVE = (
    "DECLARE r text; BEGIN IF EXISTS (SELECT FROM members WHERE name = who) THEN SELECT word INTO r FROM vault; END IF"
)
FUNCTIONS = f"""
CREATE TABLE vault (word text); INSERT INTO vault VALUES ('hidden'); CREATE TABLE members (name text);
CREATE FUNCTION carry_out(q text) RETURNS void LANGUAGE plpgsql AS $f$ BEGIN EXECUTE q; END $f$;
CREATE FUNCTION told(who text) RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS
  $f$ {SECRETIVE}; RETURN coalesce(r, 'no member'); END $f$;
CREATE FUNCTION told_too(who text) RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = {{slot}} AS
  $f$ {SECRETIVE}; RETURN coalesce(r, 'no member'); END $f$;
CREATE FUNCTION "Qualified"(who text) RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = '' AS
  $f$ SELECT coalesce((SELECT 'no member' FROM {{slot}}.vault WHERE NOT EXISTS (SELECT FROM {{slot}}.members)), 'member') $f$;
"""
NAMES = ("carry_out", "told", "told_too", "Qualified")
STAND_IN = "CREATE TEMPORARY TABLE members AS SELECT 'mallory'::text AS name"
LOOSE = """
SELECT n.nspname, p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname ~ '^project_' AND p.prosecdef AND (p.proconfig IS NULL OR p.proconfig::text !~ 'pg_temp"?}$'
  OR (p.proname LIKE 'told%' AND p.proconfig::text !~ n.nspname)) ORDER BY p.proname
"""


@pytest.fixture
def app(client: httpx.Client, database_url: str) -> dict[str, Any]:
    project: dict[str, Any] = client.post("/projects/v1", json={"name": "app"}).json()
    in_schema(database_url, project["schema_slot"], FUNCTIONS.replace("{slot}", project["schema_slot"]))
    rpcs = [
        {"name": name, "signature": f"({'q' if name == 'carry_out' else 'who'} text)", "grant_to": ["anon"]}
        for name in NAMES
    ]
    url = f"/projects/v1/admin/{project['project_id']}/expose"
    answer = client.post(url, json={"version": "1", "rpcs": rpcs}, headers={"apikey": project["service_key"]})
    assert answer.status_code == 200, answer.text
    return project


def said(client: httpx.Client, project: dict[str, Any], before: str, call: str) -> str:
    """What a function says to a caller who runs something before in the same session, and may make temporary tables."""
    text = f"DO $do$ BEGIN {before}; RAISE '%', {call}; END $do$"
    answer = client.post("/admin/v1/rest/rpc/carry_out", json={"q": text}, headers={"apikey": project["service_key"]})
    return str(answer.json()["message"])


def loose(url: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as conn:
        return conn.execute(LOOSE.encode()).fetchall()


LOOK_UP = "BEGIN RETURN current_user || (SELECT word FROM vault); END"
TRAPS = {
    "type": "CREATE TYPE pg_temp.trap AS (i int)",
    "function": f"CREATE FUNCTION pg_temp.trap(a int) RETURNS text LANGUAGE plpgsql AS $t$ {LOOK_UP} $t$",
    "domain": "CREATE DOMAIN pg_temp.trap AS text CHECK (value <> '')",
    "table": STAND_IN,
    "view": "CREATE TEMPORARY VIEW trap AS SELECT 1",
    "operator": "CREATE OPERATOR pg_temp.<<< (FUNCTION = int4lt, LEFTARG = int, RIGHTARG = int)",
}


def try_trap(client: httpx.Client, app: dict[str, Any], text: str) -> str:
    answer = client.post("/rest/v1/rpc/carry_out", json={"q": text}, headers={"apikey": app["anon_key"]})
    return "made" if answer.status_code == 204 else str(answer.json()["code"])


@pytest.mark.parametrize("trap", TRAPS.values(), ids=TRAPS)
def test_anon_makes_nothing_that_a_function_of_the_owner_could_meet(
    client: httpx.Client, app: dict[str, Any], trap: str
) -> None:
    assert try_trap(client, app, trap) == "42501"


def test_a_temporary_table_that_the_owner_made_opens_nothing_for_the_caller(
    client: httpx.Client, app: dict[str, Any]
) -> None:
    made = "CREATE FUNCTION scratch() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS"
    body = "BEGIN CREATE TEMPORARY TABLE mine AS SELECT 7 AS n; RETURN (SELECT n FROM pg_temp.mine); END"
    sql(
        client,
        app,
        f"{made} $f$ {body} $f$; DO $do$ BEGIN EXECUTE 'GRANT EXECUTE ON FUNCTION scratch() TO anon'; END $do$",
    )
    assert try_trap(client, app, f"SELECT scratch(); {TRAPS['type']}") == "42501"
    sql(client, app, "CREATE TEMPORARY TABLE of_the_owner (id int)")


def test_a_database_of_an_older_version_loses_temporary_objects_at_a_start(
    client: httpx.Client, live: Live, app: dict[str, Any]
) -> None:
    with psycopg.connect(live.database_url, autocommit=True) as admin:
        name, own = admin.info.dbname, "(SELECT oid FROM pg_database WHERE datname = current_database())"
        admin.execute(f"GRANT TEMPORARY ON DATABASE {name} TO PUBLIC".encode())
        (group,) = admin.execute(f"SELECT format('run402_owners_%s', {own})".encode()).fetchone() or ("",)
        admin.execute(f"DROP OWNED BY {group}; DROP ROLE {group}".encode())
    assert try_trap(client, app, TRAPS["type"]) == "made"

    async def start_again() -> None:
        async with live.gateway.connection() as conn:
            await bootstrap(conn, live.gateway.settings)

    live.run(start_again())
    assert try_trap(client, app, TRAPS["type"]) == "42501"
    sql(client, app, "CREATE TEMPORARY TABLE of_the_owner (id int)")


@pytest.mark.parametrize("name", ["told", "told_too", '"Qualified"'])
def test_a_temporary_table_stands_in_for_none(client: httpx.Client, app: dict[str, Any], name: str) -> None:
    assert said(client, app, STAND_IN, f"{name}('mallory')") == "no member"
    assert said(client, app, "NULL", f"{name}('mallory')") == "no member"


def test_a_table_of_another_project_stands_in_for_none(client: httpx.Client, app: dict[str, Any]) -> None:
    other: dict[str, Any] = client.post("/projects/v1", json={"name": "other"}).json()
    slot = other["schema_slot"]
    sql(client, other, "CREATE TABLE members (name text); INSERT INTO members VALUES ('mallory')")
    grants = f"GRANT USAGE ON SCHEMA {slot} TO PUBLIC; GRANT ALL ON ALL TABLES IN SCHEMA {slot} TO PUBLIC"
    body = f"BEGIN EXECUTE '{grants}'; END"
    # Where no filter of words looks.
    made = f"CREATE FUNCTION open_up() RETURNS void LANGUAGE plpgsql AS $f$ {body} $f$"
    sql(client, other, f"DO $do$ BEGIN EXECUTE $x${made}$x$; END $do$")
    opened = client.post("/admin/v1/rest/rpc/open_up", json={}, headers={"apikey": other["service_key"]})
    assert opened.status_code == 204, opened.text
    path = f"PERFORM set_config('search_path', '{slot}, {app['schema_slot']}', true)"
    for name in ("told", "told_too"):
        assert said(client, app, path, f"{app['schema_slot']}.{name}('mallory')") == "no member"


def test_it_holds_in_copies_and_after_a_function_was_made_again(
    client: httpx.Client, live: Live, app: dict[str, Any]
) -> None:
    url, path = live.database_url, f"/projects/v1/{app['project_id']}"
    sql(
        client,
        app,
        f"CREATE OR REPLACE FUNCTION told(who text) RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS"
        f" $f$ {SECRETIVE}; RETURN coalesce(r, 'no member'); END $f$",
    )
    assert loose(url) == []
    taken = client.post(f"{path}/snapshots", json={}).json()
    branch(client, app)
    restore(client, path, taken["snapshot_id"])
    assert loose(url) == []
    assert said(client, app, STAND_IN, "told('mallory')") == "no member"


def test_what_an_older_version_left_is_mended_at_a_start(client: httpx.Client, live: Live, app: dict[str, Any]) -> None:
    slot = app["schema_slot"]
    in_schema(live.database_url, slot, "ALTER FUNCTION told(text) RESET search_path")
    in_schema(
        live.database_url, slot, "CREATE FUNCTION \"told %\"() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'"
    )
    assert loose(live.database_url) == [(slot, "told"), (slot, "told %")]

    async def start_again() -> None:
        async with live.gateway.connection() as conn:
            await bootstrap(conn, live.gateway.settings)

    live.run(start_again())
    assert loose(live.database_url) == []
    assert said(client, app, STAND_IN, "told('mallory')") == "no member"
