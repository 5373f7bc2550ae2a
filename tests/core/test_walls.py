"""What hostile SQL of a project reaches, whatever door it takes: nothing of another project, the gateway or the machine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import archive_kit
import httpx
import psycopg
import pytest
from copies_kit import branch, restore, schemas, sql
from database_kit import owner_of, role_of
from deploy_kit import commit, deploy, migration, plan, ref
from gateway_kit import Live
from psycopg.conninfo import conninfo_to_dict
from starlette.requests import Request

from run402_cli.core.errors import GatewayError
from run402_cli.core.expose import rows as expose_rows
from run402_cli.core.functions.routed import through_gates
from run402_cli.core.projects import rows as project_rows
from run402_cli.core.purge import purge
from run402_cli.core.releases import take_backs

OPEN = {
    "name": "pub",
    "expose": True,
    "policy": "public_read_write_UNRESTRICTED",
    "i_understand_this_is_unrestricted": True,
}
KINDS = ("anon", "authenticated", "project_admin", "service_role")
# What no statement of a project may do. {other} is the schema of another project.
FORBIDDEN = (
    "SELECT word FROM {other}.vault",
    "INSERT INTO {other}.vault VALUES ('x')",
    "SELECT t FROM {other}.pub",
    "SELECT service_sha256 FROM internal.core_projects",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_ls_dir('.')::text",
    "COPY (SELECT 1) TO PROGRAM 'id'",
    "COPY pub FROM '/etc/passwd'",
    "SELECT lo_import('/etc/passwd')::text",
    "SELECT lo_from_bytea(0, 'x')::text",
    "SET ROLE postgres",
    "SET ROLE service_role",
    "SET ROLE anon",
    "SELECT set_config('role', 'postgres', false)",
    "SET SESSION AUTHORIZATION postgres",
    "CREATE ROLE evil",
    "GRANT pg_read_server_files TO CURRENT_USER",
    "CREATE SCHEMA evil",
    "CREATE TABLE public.evil (a int)",
    "CREATE TABLE extensions.evil (a int)",
    "CREATE FUNCTION auth.uid2() RETURNS text LANGUAGE sql AS 'SELECT 1::text'",
    "CREATE OR REPLACE FUNCTION auth.uid() RETURNS text LANGUAGE sql AS 'SELECT ''x''::text'",
    "CREATE EXTENSION citext",
    "CREATE PUBLICATION p FOR ALL TABLES",
    "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "COMMENT ON DATABASE {database} IS 'x'",
    "ALTER SYSTEM SET work_mem = '1MB'",
    "CREATE FOREIGN DATA WRAPPER w",
    "CREATE LANGUAGE evil HANDLER plpgsql_call_handler",
    "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE usename <> session_user",
    "ALTER ROLE postgres PASSWORD 'x'",
    "DROP SCHEMA {other} CASCADE",
)
OWN_DOOR = "SELECT run402.own_project()"

Sql = Callable[..., Any]


@pytest.fixture
def other(client: httpx.Client) -> dict[str, Any]:
    return make(client, "other")


def make(client: httpx.Client, name: str) -> dict[str, Any]:
    project: dict[str, Any] = client.post("/projects/v1", json={"name": name}).json()
    sql(client, project, "CREATE TABLE pub (id serial PRIMARY KEY, t text); CREATE TABLE vault (word text)")
    sql(client, project, "INSERT INTO pub (t) VALUES ('public'); INSERT INTO vault VALUES ('hidden')")
    body = "LANGUAGE plpgsql AS $f$ DECLARE r text; BEGIN EXECUTE q{}; RETURN r; END $f$"
    sql(client, project, "CREATE FUNCTION run(q text) RETURNS text " + body.format(" INTO r"))
    sql(client, project, "CREATE FUNCTION carry_out(q text) RETURNS text " + body.format(""))
    rpcs = [{"name": n, "signature": "(q text)", "grant_to": list(KINDS[:2])} for n in ("run", "carry_out")]
    manifest = {"version": "1", "tables": [OPEN], "rpcs": rpcs}
    answer = client.post(
        f"/projects/v1/admin/{project['project_id']}/expose", json=manifest, headers=service_of(project)
    )
    assert answer.status_code == 200, answer.text
    return project


def service_of(project: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {project['service_key']}"}


def filled(statement: str, live: Live, other: dict[str, Any]) -> str:
    database = conninfo_to_dict(live.database_url)["dbname"]
    return statement.replace("{other}", other["schema_slot"]).replace("{database}", str(database))


def injected(client: httpx.Client, project: dict[str, Any], statement: str) -> httpx.Response:
    name = "run" if statement.startswith("SELECT") else "carry_out"
    return client.post(f"/rest/v1/rpc/{name}", headers={"apikey": project["anon_key"]}, json={"q": statement})


@pytest.fixture
def unharmed(live: Live, other: dict[str, Any]) -> Iterator[None]:
    """What a test did has left the other project, and the places that all share, as they were."""
    shared = (
        "SELECT (SELECT count(*) FROM pg_class WHERE relnamespace IN ('public'::regnamespace, 'extensions'::regnamespace)),"
        " (SELECT count(*) FROM pg_proc WHERE pronamespace = 'auth'::regnamespace), (SELECT count(*) FROM pg_publication),"
        " (SELECT count(*) FROM pg_largeobject_metadata), (SELECT count(*) FROM pg_event_trigger)"
    )
    with psycopg.connect(live.database_url, autocommit=True) as conn:
        before = conn.execute(shared.encode()).fetchall()
        yield
        assert conn.execute(shared.encode()).fetchall() == before
        vault = f"SELECT word FROM {other['schema_slot']}.vault"
        assert conn.execute(vault.encode()).fetchall() == [("hidden",)]


@pytest.mark.usefixtures("unharmed")
def test_a_function_that_runs_what_it_is_given_leaves_anon_where_it_was(
    client: httpx.Client, live: Live, other: dict[str, Any]
) -> None:
    attacked = make(client, "attacked")
    for statement in (*FORBIDDEN, "SELECT word FROM vault", "DROP TABLE pub", "CREATE TABLE evil (a int)"):
        answer = injected(client, attacked, filled(statement, live, other))
        # 25001: not inside a transaction, which is all that there is.
        assert answer.status_code >= 400, statement
        assert answer.json()["code"] in ("42501", "25001"), (statement, answer.text)
    for statement in ("RESET ROLE", "RESET SESSION AUTHORIZATION", "SET ROLE NONE", "DISCARD TEMP"):
        assert (
            injected(client, attacked, f"DO $$ BEGIN {statement}; PERFORM word FROM vault; END $$").status_code == 401
        )
    # The door of owners: nobody else has a project there.
    assert injected(client, attacked, OWN_DOOR).json() is None
    assert injected(client, attacked, "SELECT run402.put_expose('{}', '{}', false)").json()["code"] == "23502"
    assert injected(client, attacked, "SELECT session_user || current_user").text.count("_anon") == 2


@pytest.mark.usefixtures("unharmed")
def test_admin_sql_stays_in_its_project(client: httpx.Client, live: Live, other: dict[str, Any]) -> None:
    project = make(client, "attacker")
    url = f"/projects/v1/admin/{project['project_id']}/sql"
    for statement in FORBIDDEN:
        # Where no filter of words looks.
        text = "DO $do$ BEGIN EXECUTE $q$" + filled(statement, live, other) + "$q$; END $do$"
        answer = client.post(url, content=text, headers=service_of(project))
        assert answer.status_code == 400, (statement, answer.text)
        assert answer.json()["sqlstate"] in ("42501", "25001"), (statement, answer.text)


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("transaction", ["default", "none"])
def test_a_migration_stays_in_its_project(
    client: httpx.Client, live: Live, other: dict[str, Any], transaction: str
) -> None:
    project = make(client, "attacker")
    for number, statement in enumerate(FORBIDDEN[:20]):
        text = f"RESET ROLE; RESET SESSION AUTHORIZATION; {filled(statement, live, other)}"
        extra = {} if transaction == "default" else {"transaction": "none"}
        spec = {
            "project_id": project["project_id"],
            "database": {"migrations": [migration(str(number), text, **extra)]},
        }
        answer = commit(client, plan(client, spec).json())
        assert (answer.status_code, answer.json()["code"]) == (400, "MIGRATION_FAILED"), statement
    assert sql(client, project, OWN_DOOR) == [{"own_project": project["project_id"]}]


def test_the_roles_of_a_project_have_no_power(client: httpx.Client, live: Live) -> None:
    project = make(client, "weak")
    slot = project["schema_slot"]
    with psycopg.connect(live.database_url) as conn:
        for kind in KINDS:
            role = conninfo_to_dict(role_of(live.database_url, slot, kind))["user"]
            query = "SELECT rolsuper, rolcreaterole, rolcreatedb, rolbypassrls FROM pg_roles WHERE rolname = %s"
            assert conn.execute(query, (role,)).fetchone() == (False,) * 4
            query = (
                "SELECT g.rolname, m.set_option, m.admin_option FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid"
                " WHERE m.member = to_regrole(%s) ORDER BY g.rolname"
            )
            owner = [str(conninfo_to_dict(owner_of(live.database_url, slot))["user"])] if kind == "service_role" else []
            assert conn.execute(query, (role,)).fetchall() == [(name, False, False) for name in (*owner, kind)]
            query = "SELECT nspname FROM pg_namespace WHERE nspname ~ '^project_' AND has_schema_privilege(%s, oid, 'USAGE')"
            assert conn.execute(query, (role,)).fetchall() == [(slot,)]


@pytest.mark.usefixtures("unharmed")
def test_a_sequence_of_another_project_is_not_found_by_its_number(
    client: httpx.Client, live: Live, other: dict[str, Any]
) -> None:
    project = make(client, "attacker")
    with psycopg.connect(live.database_url) as conn:
        row = conn.execute("SELECT to_regclass(%s)::oid::int", (f"{other['schema_slot']}.pub_id_seq",)).fetchone()
    assert row is not None
    assert injected(client, project, f"SELECT nextval({row[0]}::regclass)").json()["code"] == "42501"
    url = "/admin/v1/rest/rpc/run"
    answer = client.post(
        url, headers={"apikey": project["service_key"]}, json={"q": f"SELECT nextval({row[0]}::regclass)"}
    )
    assert answer.json()["code"] == "42501"
    assert injected(client, other, "SELECT nextval('pub_id_seq')").json() == "2"


def test_statistics_of_another_project_are_not_seen(client: httpx.Client, live: Live, other: dict[str, Any]) -> None:
    project = make(client, "attacker")
    sql(client, other, "INSERT INTO vault SELECT 'hidden' FROM generate_series(1, 300); ANALYZE vault")
    query = f"SELECT count(*)::int FROM pg_stats WHERE schemaname = '{other['schema_slot']}'"
    assert sql(client, project, query) == [{"count": 0}]
    answer = client.post("/admin/v1/rest/rpc/run", headers={"apikey": project["service_key"]}, json={"q": query})
    assert answer.json() == "0"
    assert sql(client, other, query) != [{"count": 0}]


def test_what_a_session_does_to_its_own_role_ends_with_it(client: httpx.Client, live: Live) -> None:
    project = make(client, "persistent")
    harm = "ALTER ROLE CURRENT_USER PASSWORD 'mine'; ALTER ROLE CURRENT_USER SET row_security = off"
    assert injected(client, project, harm).status_code == 200
    live.run(live.gateway.logins.forget(""))
    assert client.get("/rest/v1/pub", headers={"apikey": project["anon_key"]}).json()[0]["t"] == "public"
    with psycopg.connect(live.database_url) as conn:
        assert conn.execute("SELECT count(*) FROM pg_db_role_setting").fetchone() == (0,)


def test_a_schema_opened_by_hand_is_closed_again(client: httpx.Client, live: Live, other: dict[str, Any]) -> None:
    stranger = conninfo_to_dict(role_of(live.database_url, other["schema_slot"], "anon"))["user"]
    project = make(client, "careless")
    slot = project["schema_slot"]
    sql(client, project, f"DO $$ BEGIN EXECUTE 'GRANT USAGE ON SCHEMA {slot} TO anon, PUBLIC, {stranger}'; END $$")
    assert injected(client, other, f"SELECT t FROM {slot}.pub").json()["code"] == "42501"


def test_what_lies_in_public_is_nothing_to_the_gateway(client: httpx.Client, live: Live) -> None:
    # What a project of an older version may have left there: a better match for a call of the gateway's own.
    body = "BEGIN RAISE EXCEPTION 'caught %', current_user; END"
    with psycopg.connect(live.database_url, autocommit=True) as conn:
        for call in ("hashtextextended(text, integer)", "format(text, text, text)"):
            conn.execute(f"CREATE FUNCTION public.{call} RETURNS bigint LANGUAGE plpgsql AS $$ {body} $$".encode())
    assert client.post("/projects/v1", json={"name": "safe"}).status_code == 201
    make(client, "safer")


@pytest.mark.usefixtures("unharmed")
def test_a_policy_runs_as_nobody_else(client: httpx.Client, other: dict[str, Any]) -> None:
    project = make(client, "attacker")
    # A literal of a row type calls the checks of its domains when the statement is read, not when it is run.
    look = f"PERFORM word FROM {other['schema_slot']}.vault; RETURN true;"
    sql(client, project, f"CREATE FUNCTION look(t text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN {look} END $$")
    sql(client, project, "CREATE DOMAIN looking AS text CHECK (look(VALUE)); CREATE TYPE pair AS (a looking)")
    policy = "CREATE POLICY p ON pub USING (('(x)'::pair) IS NOT NULL)"
    body = {"version": "1", "tables": [{"name": "pub", "expose": True, "policy": "custom", "custom_sql": policy}]}
    answer = client.post(f"/projects/v1/admin/{project['project_id']}/expose", json=body, headers=service_of(project))
    assert answer.status_code == 400
    assert "42501" in answer.json()["errors"][0]["detail"]
    read = "CREATE POLICY p ON pub USING (pg_read_file('/etc/passwd') <> '')"
    body["tables"][0]["custom_sql"] = read
    client.post(f"/projects/v1/admin/{project['project_id']}/expose", json=body, headers=service_of(project))
    assert client.get("/rest/v1/pub", headers={"apikey": project["anon_key"]}).json()["code"] == "42501"


def test_the_table_of_a_role_gate_may_be_a_view_that_reaches_no_further(
    client: httpx.Client, live: Live, other: dict[str, Any]
) -> None:
    project = make(client, "gated")
    peek = f"perform word from {other['schema_slot']}.vault; return 'admin';"
    sql(client, project, f"create function peek() returns text language plpgsql as $$ begin {peek} end $$")
    sql(client, project, "create view members as select 'u'::text as user_id, peek() as role")
    gate = {"table": "members", "idColumn": "user_id", "roleColumn": "role", "allowed": ["admin"]}
    site: Any = SimpleNamespace(state={"functions": [{"name": "f", "require_auth": True, "require_role": gate}]})
    body = {"project_id": project["project_id"], "sub": "u"}
    token = client.post("/auth/v1/dev-tokens", json=body).json()["token"]
    request = Request({"type": "http", "method": "GET", "headers": [(b"authorization", f"Bearer {token}".encode())]})

    async def ask() -> None:
        async with live.gateway.connection() as conn:
            found = await project_rows.find(conn, project["project_id"])
        assert found is not None
        await through_gates(live.gateway, found, site, "f", request)

    with pytest.raises(GatewayError, match=f"schema {other['schema_slot']}"):
        live.run(ask())


# -- code that came with an archive, a copy, a restore -----------------------------------------------------------------------


def archive_with(tmp_path: Path, code: str) -> Path:
    content = archive_kit.documents()
    content["database.pre_data_sql"] += code
    return archive_kit.write_tar(tmp_path / "hostile.r402ar", content)


def imported(client: httpx.Client, path: Path) -> dict[str, Any]:
    answer = client.post("/archives/v1/import", json={"archive_path": str(path), "name": "copy"}, timeout=120)
    assert answer.status_code == 201, answer.text
    project: dict[str, Any] = client.get(f"/projects/v1/{answer.json()['project_id']}").json()
    return project


GRAB = """
create table stolen (val text);
create function grab(n bigint) returns boolean language plpgsql as $$
declare t record;
begin
  insert into stolen values (current_user || ' ' || session_user);
  for t in select schemaname, tablename from pg_tables where tableowner = current_user and schemaname <> current_schema() loop
    execute format('insert into stolen select x::text from %I.%I x', t.schemaname, t.tablename);
  end loop;
  return true;
end $$;
alter table notes add check (grab(id));
"""
LOOT = """
create table loot (val text);
create function take() returns trigger language plpgsql as
  $$ begin insert into loot values (pg_read_file('/etc/passwd', 0, 40)); return new; end $$;
"""
TAKE = "create trigger t before insert on notes for each row execute function take();"


def test_the_checks_of_an_archive_see_no_project_that_was_imported_before(
    client: httpx.Client, live: Live, tmp_path: Path
) -> None:
    first = imported(client, archive_kit.write_tar(tmp_path / "plain.r402ar"))
    sql(client, first, "create table vault (secret text); insert into vault values ('hidden')")
    client.patch(f"/projects/v1/{first['project_id']}", json={"name": "first"})
    second = imported(client, archive_with(tmp_path, GRAB))
    owner = conninfo_to_dict(owner_of(live.database_url, second["schema_slot"]))["user"]
    seen = {row["val"] for row in sql(client, second, "select distinct val from stolen")}
    # Besides who it was it saw the rows on their way into its own table.
    assert f"{owner} {owner}" in seen
    assert not [value for value in seen if "hidden" in value]


def test_the_trigger_of_an_archive_has_the_rights_of_its_project_for_ever(client: httpx.Client, tmp_path: Path) -> None:
    content = archive_kit.documents()
    content["database.pre_data_sql"] += LOOT
    content["database.post_data_sql"] += TAKE
    project = imported(client, archive_kit.write_tar(tmp_path / "hostile.r402ar", content))
    insert = "insert into notes (body) values ('x')"
    for place in (project, branch_of(client, project)):
        url = f"/projects/v1/admin/{place['project_id']}/sql"
        refused = client.post(url, content=insert, headers=service_of(place))
        assert (refused.status_code, refused.json()["sqlstate"]) == (400, "42501")
        assert sql(client, place, "select * from loot") == []


def branch_of(client: httpx.Client, project: dict[str, Any]) -> dict[str, Any]:
    made = branch(client, project, name="b")
    found: dict[str, Any] = client.get(f"/projects/v1/{made['project_id']}").json()
    return found


def test_copies_and_restores_run_a_projects_code_as_its_owner(client: httpx.Client, live: Live) -> None:
    project = make(client, "checked")
    who = "insert into seen values (current_user || ' ' || session_user); return true;"
    sql(client, project, "create table seen (who text)")
    sql(client, project, f"create function who(n int) returns boolean language plpgsql as $$ begin {who} end $$")
    sql(client, project, "create table t (id int check (who(id))); insert into t values (1); truncate seen")
    owner = conninfo_to_dict(owner_of(live.database_url, project["schema_slot"]))["user"]
    base = f"/projects/v1/{project['project_id']}"
    snapshot = client.post(f"{base}/snapshots", json={}).json()["snapshot_id"]
    restore(client, base, snapshot)
    assert {row["who"] for row in sql(client, project, "select who from seen")} == {f"{owner} {owner}"}
    child = branch_of(client, project)
    mine = conninfo_to_dict(owner_of(live.database_url, child["schema_slot"]))["user"]
    assert mine != owner
    sql(client, child, "truncate seen; insert into t values (2)")
    assert sql(client, child, "select who from seen") == [{"who": f"{mine} {mine}"}]
    # The parent's owner, who made the copy, has no way into it.
    url = f"/projects/v1/admin/{project['project_id']}/sql"
    peek = f"do $$ begin perform * from {child['schema_slot']}.vault; end $$"
    assert client.post(url, content=peek, headers=service_of(project)).json()["sqlstate"] == "42501"


# -- roles come and go with their project -----------------------------------------------------------------------------------


def roles(live: Live) -> int:
    with psycopg.connect(live.database_url) as conn:
        query = (
            "SELECT count(*) FROM pg_roles WHERE starts_with(rolname,"
            " format('r402_%s_', (SELECT oid FROM pg_database WHERE datname = current_database())))"
        )
        row = conn.execute(query.encode()).fetchone()
    return int(row[0]) if row else 0


def test_roles_go_with_the_project(client: httpx.Client, live: Live) -> None:
    project = make(client, "short")
    branch(client, project, name="b")
    assert client.get("/rest/v1/pub", headers={"apikey": project["anon_key"]}).status_code == 200
    assert roles(live) == 10
    assert client.delete(f"/projects/v1/{project['project_id']}", headers=service_of(project)).status_code == 200
    assert (roles(live), schemas(live.database_url, "project")) == (0, [])


def test_a_start_removes_the_copy_that_a_killed_gateway_was_making(client: httpx.Client, live: Live) -> None:
    project = make(client, "kept")

    async def begin() -> None:
        async with live.gateway.connection() as conn:
            await project_rows.begin_schema(conn, "project_" + "ab" * 8, live.gateway.identity)
            await project_rows.begin_schema(conn, "project_" + "cd" * 8, "another gateway")

    live.run(begin())
    live.run(purge(live.gateway))
    assert schemas(live.database_url, "project") == sorted([project["schema_slot"], "project_" + "cd" * 8])
    assert roles(live) == 10


@pytest.mark.parametrize("dies", ["with an error", "without a word"])
def test_a_manifest_and_its_release_are_there_together_or_not_at_all(
    client: httpx.Client, live: Live, monkeypatch: pytest.MonkeyPatch, dies: str
) -> None:
    project = make(client, "atomic")
    deploy(client, spec_of(project, b"one", OPEN), b"one")
    hidden = spec_of(project, b"two", {"name": "pub", "expose": False})
    planned = plan(client, hidden).json()
    client.post("/content/v1/plans", json={"content": [ref(b"two")], "project_id": project["project_id"]})

    async def fail(conn: Any, project_id: str) -> None:
        raise psycopg.OperationalError("gone")

    with monkeypatch.context() as broken:
        broken.setattr(expose_rows, "keep", fail)
        if dies == "without a word":
            broken.setattr("run402_cli.core.releases.commit.take_back", nothing)
        assert commit(client, planned).status_code >= 500
    if dies == "without a word":
        assert read(client, project).status_code == 401
        live.run(purge(live.gateway))
        live.run(take_backs.settle(live.gateway))
    assert read(client, project).status_code == 200
    assert commit(client, planned).json()["status"] == "ready"
    assert read(client, project).status_code == 401
    live.run(purge(live.gateway))
    assert read(client, project).status_code == 401


async def nothing(*_: Any) -> None: ...


def spec_of(project: dict[str, Any], page: bytes, table: dict[str, Any]) -> dict[str, Any]:
    return {"project_id": project["project_id"], "database": {"expose": {"version": "1", "tables": [table]}}}


def read(client: httpx.Client, project: dict[str, Any]) -> httpx.Response:
    return client.get("/rest/v1/pub", headers={"apikey": project["anon_key"]})


def test_many_requests_at_once_share_few_connections(client: httpx.Client, live: Live) -> None:
    projects = [make(client, f"p{n}") for n in range(6)]
    answers: list[int] = []

    def ask(project: dict[str, Any]) -> None:
        with httpx.Client(base_url=live.base_url, timeout=60, trust_env=False) as session:
            for _ in range(5):
                answers.append(read(session, project).status_code)

    threads = [threading.Thread(target=ask, args=(project,)) for project in projects * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 120
    with psycopg.connect(live.database_url) as conn:
        row = conn.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'run402-rest'").fetchone()
    assert row is not None
    assert 0 < row[0] <= 16
