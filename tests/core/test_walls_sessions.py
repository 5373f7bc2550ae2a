"""What SQL that was injected into a request leaves behind, in its session or on its role, and what the next request meets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
from copies_kit import sql
from database_kit import role_of
from gateway_kit import Live
from psycopg.conninfo import conninfo_to_dict

OWN = {"name": "notes", "expose": True, "policy": "user_owns_rows", "owner_column": "owner_id"}
SCHEMA = """
CREATE TABLE notes (id serial PRIMARY KEY, owner_id text NOT NULL DEFAULT uid(), body text);
CREATE TABLE vault (word text); INSERT INTO vault VALUES ('hidden');
CREATE FUNCTION run(q text) RETURNS text LANGUAGE plpgsql AS $f$ BEGIN EXECUTE q; RETURN 'ok'; END $f$;
CREATE FUNCTION search(q text) RETURNS text LANGUAGE plpgsql AS $f$ DECLARE r text; BEGIN EXECUTE q INTO r; RETURN r; END $f$;
"""


@pytest.fixture
def project(client: httpx.Client) -> dict[str, Any]:
    made: dict[str, Any] = client.post("/projects/v1", json={"name": "injectable"}).json()
    sql(client, made, SCHEMA)
    rpcs = [
        {"name": n, "signature": "(q text)", "grant_to": ["anon", "authenticated", "service_role"]}
        for n in ("run", "search")
    ]
    answer = client.post(
        f"/projects/v1/admin/{made['project_id']}/expose",
        json={"version": "1", "tables": [OWN], "rpcs": rpcs},
        headers={"Authorization": f"Bearer {made['service_key']}"},
    )
    assert answer.status_code == 200, answer.text
    return made


def as_user(client: httpx.Client, project: dict[str, Any], sub: str) -> dict[str, str]:
    answer = client.post("/auth/v1/dev-tokens", json={"project_id": project["project_id"], "sub": sub})
    return {"apikey": project["anon_key"], "Authorization": f"Bearer {answer.json()['token']}"}


def call(client: httpx.Client, headers: dict[str, str], name: str, text: str) -> httpx.Response:
    return client.post(f"/rest/v1/rpc/{name}", headers=headers, json={"q": text})


# -- what stays in the session ----------------------------------------------------------------------------------------------

REPLACE_PREPARED = """
DO $do$ DECLARE s record; BEGIN
  FOR s IN SELECT * FROM pg_prepared_statements WHERE statement LIKE '%request.jwt.claims%' LOOP
    EXECUTE 'DEALLOCATE ' || s.name;
    EXECUTE 'PREPARE ' || s.name || '(text, text, text, text, text, text, text) AS ' || replace(
      replace(s.statement, '$4', 'replace($4, ''alice'', ''mallory'')'), '::text', '');
  END LOOP; END $do$
"""


def test_no_statement_of_the_gateway_can_be_replaced_for_the_next_user(
    client: httpx.Client, project: dict[str, Any]
) -> None:
    alice, mallory = as_user(client, project, "alice"), as_user(client, project, "mallory")
    for _ in range(8):
        assert client.get("/rest/v1/notes", headers=mallory).json() == []
    assert call(client, mallory, "search", "SELECT count(*) FROM pg_prepared_statements").json() == "0"
    assert call(client, mallory, "run", REPLACE_PREPARED).status_code == 200
    # One that has the name that psycopg would choose.
    for name in ("_pg3_0", "_pg3_1", "_pg3_2", "mine"):
        assert call(client, mallory, "run", f"PREPARE {name} AS SELECT 1").status_code == 200
    for _ in range(8):
        assert client.post("/rest/v1/notes", headers=alice, json={"body": "of alice"}).status_code == 201
    assert client.get("/rest/v1/notes", headers=mallory).json() == []
    assert {row["owner_id"] for row in client.get("/rest/v1/notes", headers=alice).json()} == {"alice"}


LEFT = """
SELECT concat_ws(' ', (SELECT count(*) FROM pg_prepared_statements), (SELECT count(*) FROM pg_cursors WHERE is_holdable),
  (SELECT count(*) FROM pg_listening_channels()), (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'),
  coalesce(to_regclass('pg_temp.mine')::text, 'none'), current_setting('work_mem'), current_setting('TimeZone'),
  coalesce(nullif(current_setting('my.own', true), ''), 'none'), current_user = session_user)
"""


def test_nothing_that_a_request_leaves_in_its_session_is_there_for_the_next(
    client: httpx.Client, project: dict[str, Any]
) -> None:
    alice, mallory = as_user(client, project, "alice"), as_user(client, project, "mallory")
    before = call(client, alice, "search", LEFT).json()
    assert before.startswith("0 0 0 0 none ")
    client.post("/rest/v1/notes", headers=alice, json={"body": "x"})
    for statement in (
        "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
        "PREPARE p AS SELECT 1",
        "LISTEN gossip",
        "SELECT pg_advisory_lock(402)",
        "SET work_mem = '1MB'",
        "SET TimeZone = 'Asia/Tokyo'",
        "SET my.own = 'value'",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    ):
        assert call(client, mallory, "run", statement).status_code == 200, statement
        assert call(client, alice, "search", LEFT).json() == before, statement
    assert client.post("/rest/v1/notes", headers=alice, json={"body": "x"}).status_code == 201
    # lastval() would tell the number of another user's row.
    assert call(client, mallory, "search", "SELECT lastval()").json()["code"] == "55000"


def test_nobody_chooses_the_random_numbers_of_the_next_request(client: httpx.Client, project: dict[str, Any]) -> None:
    alice, mallory = as_user(client, project, "alice"), as_user(client, project, "mallory")
    seen = set()
    for _ in range(4):
        assert call(client, mallory, "run", "SELECT setseed(0.5)").status_code == 200
        seen.add(call(client, alice, "search", "SELECT random()").json())
    assert len(seen) == 4


def test_what_the_gateway_knows_of_a_schema_no_session_of_a_project_has_told_it(
    client: httpx.Client, live: Live, project: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    execute = psycopg.AsyncConnection.execute

    async def noting(conn: psycopg.AsyncConnection[Any], query: Any, *args: Any, **settings: Any) -> Any:
        if conn.info.user.startswith("r402_"):
            asked.append(query if isinstance(query, str) else "composed")
        return await execute(conn, query, *args, **settings)

    monkeypatch.setattr(psycopg.AsyncConnection, "execute", noting)
    sql(client, project, "CREATE TABLE fresh (id int)")
    asked.clear()
    service = {"apikey": project["service_key"]}
    assert client.get("/admin/v1/rest/fresh", headers=service).json() == []
    assert client.post("/admin/v1/rest/fresh", headers=service, json={"id": 1}).status_code == 201
    assert call(client, {"apikey": project["anon_key"]}, "search", "SELECT 1").json() == "1"
    assert asked
    assert not [text for text in asked if "pg_class" in text or "pg_proc" in text]


def test_a_name_that_is_sql_is_a_name(client: httpx.Client, project: dict[str, Any]) -> None:
    service = {"apikey": project["service_key"]}
    evil = "text), LATERAL (SELECT run($q$DROP TABLE vault$q$)) AS z(zz"
    sql(client, project, f'CREATE DOMAIN "{evil}" AS text; CREATE TABLE odd (id int, "{evil}" "{evil}")')
    assert client.post("/admin/v1/rest/odd", headers=service, json={"id": 1, evil: "x"}).status_code == 201
    assert client.patch("/admin/v1/rest/odd?id=eq.1", headers=service, json={evil: "y"}).is_success
    assert client.get("/admin/v1/rest/odd", headers=service).json() == [{"id": 1, evil: "y"}]
    assert sql(client, project, "SELECT word FROM vault") == [{"word": "hidden"}]


# -- what stays on the role -------------------------------------------------------------------------------------------------

HARM = (
    "SET application_name = 'x'",
    "IN DATABASE postgres SET application_name = 'x'",
    "IN DATABASE {database} SET statement_timeout = 1",
    "SET statement_timeout = 1",
    "SET local_preload_libraries = 'nothere'",
    "IN DATABASE {database} SET local_preload_libraries = 'nothere'",
    "SET search_path = pg_temp",
    "SET idle_session_timeout = 1",
    "SET client_encoding = 'SJIS'",
    "SET exit_on_error = on",
    "SET DateStyle = 'German'",
    "SET role = 'nobody'",
    "SET default_transaction_isolation = 'serializable'",
    "PASSWORD 'mine'",
)


@pytest.fixture
def blinded(client: httpx.Client, project: dict[str, Any]) -> Iterator[None]:
    """Operators and functions of another project, which the path of a role's settings leads to."""
    other: dict[str, Any] = client.post("/projects/v1", json={"name": "blinding"}).json()
    slot = other["schema_slot"]
    sql(
        client,
        other,
        "CREATE FUNCTION no(oid, oid) RETURNS boolean LANGUAGE sql AS 'SELECT false';"
        "CREATE FUNCTION no(oid, regrole) RETURNS boolean LANGUAGE sql AS 'SELECT false';"
        "CREATE FUNCTION no(name, name) RETURNS boolean LANGUAGE sql AS 'SELECT false';"
        "CREATE OPERATOR = (leftarg = oid, rightarg = oid, function = no);"
        "CREATE OPERATOR = (leftarg = oid, rightarg = regrole, function = no);"
        "CREATE OPERATOR = (leftarg = name, rightarg = name, function = no);",
    )
    path = f"ALTER ROLE current_user SET search_path = {slot}, pg_catalog"
    anon = {"apikey": project["anon_key"]}
    assert call(client, anon, "run", path).status_code == 200
    yield


def settings(live: Live) -> int:
    with psycopg.connect(live.database_url) as conn:
        return len(conn.execute("SELECT 1 FROM pg_db_role_setting").fetchall())


@pytest.mark.usefixtures("blinded")
@pytest.mark.parametrize("harm", HARM)
def test_settings_of_a_role_last_until_the_next_session(
    client: httpx.Client, live: Live, project: dict[str, Any], harm: str
) -> None:
    anon = {"apikey": project["anon_key"]}
    database = conninfo_to_dict(live.database_url)["dbname"]
    assert (
        call(client, anon, "run", f"ALTER ROLE current_user {harm.replace('{database}', str(database))}").json() == "ok"
    )
    live.run(live.gateway.logins.forget(""))
    assert call(client, anon, "search", "SELECT current_setting('DateStyle')").json() == "ISO, MDY"
    assert settings(live) == 0
    # What the role was given is not asked for at every request.
    live.run(live.gateway.logins.forget(""))
    assert call(client, anon, "search", "SELECT 1").json() == "1"


def test_an_owner_gets_out_of_what_it_set_for_itself(client: httpx.Client, live: Live, project: dict[str, Any]) -> None:
    for harm in HARM:
        text = (
            f"ALTER ROLE current_user {harm.replace('{database}', str(conninfo_to_dict(live.database_url)['dbname']))}"
        )
        sql(client, project, f"DO $do$ BEGIN EXECUTE $q${text}$q$; END $do$")
        assert sql(client, project, "SELECT 1 AS it") == [{"it": 1}], harm
        assert settings(live) == 0, harm


def test_a_role_that_is_being_changed_is_said_to_be(client: httpx.Client, live: Live, project: dict[str, Any]) -> None:
    role = role_of(live.database_url, project["schema_slot"], "anon")
    anon = {"apikey": project["anon_key"]}
    assert call(client, anon, "run", "ALTER ROLE current_user SET work_mem = '1MB'").status_code == 200
    with psycopg.connect(role) as holding:
        holding.execute("ALTER ROLE current_user SET work_mem = '2MB'")
        live.run(live.gateway.logins.forget(""))
        answer = call(client, anon, "search", "SELECT 1")
        assert (answer.status_code, answer.json()["code"]) == (503, "DATABASE_UNAVAILABLE")
        assert "ALTER ROLE" in answer.json()["message"]
        assert client.get("/health").status_code == 200
    assert call(client, anon, "search", "SELECT 1").json() == "1"
