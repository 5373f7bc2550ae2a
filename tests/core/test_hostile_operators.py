"""Operators and functions of a project have no say in what the gateway asks of the catalogs, and in what it grants."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import archive_kit
import httpx
import psycopg
import pytest
from copies_kit import branch, in_schema, restore, sql
from database_kit import role_of
from deploy_kit import deploy, migration
from gateway_kit import Live
from remembered_kit import soon

TYPES = (
    "oid",
    "regclass",
    "regnamespace",
    "regrole",
    "regproc",
    "name",
    "text",
    "varchar",
    '"char"',
    "smallint",
    "integer",
)
SIGNS = ("=", "<>", "~")
CALLS = (
    ("to_regnamespace", "name"), ("quote_ident", "name"), ("quote_ident", "varchar"), ("aclexplode", "text"),
    ("pg_has_role", "oid, varchar"), ("format_type", "oid, oid"), ("set_config", "varchar, varchar, boolean"),
    ("current_setting", "varchar"), ("unnest", "oidvector"), ("array_agg", "varchar"), ("substr", "text, bigint"),
    ("pg_get_expr", "pg_node_tree, regclass"), ("setval", "regclass, integer, boolean"), ("pg_export_snapshot", "text"),
    ("json_build_array", 'name, "char", boolean, text, text, text'), ("json_build_array", "text, \"char\", text"),
    ("json_build_array", "name, text, boolean"), ("json_build_array", "name, text"),
    ("jsonb_build_object", "text, name, text, text, text, boolean, text, text"), ("left", "text, bigint"),
)  # fmt: skip
SECRETS = "CREATE TABLE secrets (id int, v text); INSERT INTO secrets VALUES (1, 'hidden')"
# The least that switched everything off: oid = regnamespace exists by coercion only.
NO = """
CREATE FUNCTION no(oid, regnamespace) RETURNS boolean LANGUAGE sql AS 'SELECT false';
CREATE OPERATOR = (LEFTARG = oid, RIGHTARG = regnamespace, FUNCTION = no);
"""
GRANT = "DO $$ BEGIN EXECUTE 'GRANT SELECT ON secrets TO anon'; END $$"
MANIFEST: dict[str, Any] = {
    "version": "1",
    "tables": [
        {"name": "notes", "expose": True, "policy": "user_owns_rows", "owner_column": "owner", "force_owner_on_insert": True},
        {"name": "posts", "expose": True, "policy": "custom", "custom_sql": "CREATE POLICY p ON posts USING (title <> '')"},
    ],
    "views": [{"name": "titles", "base": "posts", "select": ["title"], "filter": "title <> ''"}],
    "rpcs": [{"name": "told", "signature": "()", "grant_to": ["anon"]}],
}  # fmt: skip
TABLES = """
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TABLE notes (id serial PRIMARY KEY, owner varchar, m mood DEFAULT 'good', n int CHECK (n > 0));
CREATE TABLE posts (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, title text, twice int GENERATED ALWAYS AS (2) STORED);
INSERT INTO posts (title) VALUES ('one');
CREATE MATERIALIZED VIEW m AS SELECT title FROM posts;
CREATE FUNCTION told() RETURNS text LANGUAGE sql SECURITY DEFINER AS $f$ SELECT title FROM posts LIMIT 1 $f$;
"""


def hostile(slot: str) -> Iterator[str]:
    """An operator for every pair of types, and overloads of what queries call. A sequence remembers, after a rollback too."""
    yield "CREATE SEQUENCE called"
    body = f"LANGUAGE plpgsql AS $f$ BEGIN PERFORM pg_catalog.setval('{slot}.called', {{}}); RETURN {{}}; END $f$"
    pairs = [(left, right) for left in TYPES for right in TYPES]
    for number, (left, right) in enumerate(pairs, 1):
        yield f"CREATE FUNCTION no_{number}({left}, {right}) RETURNS boolean " + body.format(number, "false")
        for sign in SIGNS:
            yield f"CREATE OPERATOR {sign} (LEFTARG = {left}, RIGHTARG = {right}, FUNCTION = no_{number})"
    for number, (name, arguments) in enumerate(CALLS, 1001):
        yield f"CREATE FUNCTION {name}({arguments}) RETURNS text " + body.format(number, "NULL")


def called(url: str) -> list[str]:
    """What was called, in the project or in any copy of it."""
    words = {
        number: f"{left}, {right}" for number, (left, right) in enumerate(((a, b) for a in TYPES for b in TYPES), 1)
    }
    words |= {number: " ".join(call) for number, call in enumerate(CALLS, 1001)}
    with psycopg.connect(url) as conn:
        found = conn.execute("SELECT last_value FROM pg_sequences WHERE sequencename = 'called'").fetchall()
    return [words[number] for (number,) in found if number is not None]


def expose(client: httpx.Client, project: dict[str, Any], manifest: dict[str, Any]) -> httpx.Response:
    url = f"/projects/v1/admin/{project['project_id']}/expose"
    answer = client.post(url, json=manifest, headers={"apikey": project["service_key"]})
    assert answer.status_code == 200, answer.text
    return answer


def read(client: httpx.Client, project: dict[str, Any], table: str = "secrets") -> int:
    return client.get(f"/rest/v1/{table}", headers={"apikey": project["anon_key"]}).status_code


def archived(client: httpx.Client, project: dict[str, Any], path: Path) -> Path:
    url = f"/projects/v1/{project['project_id']}/archives"
    archive = client.post(url, json={}).json()
    for _ in range(600):
        if archive["status"] != "running":
            break
        time.sleep(0.05)
        archive = client.get(f"{url}/{archive['archive_id']}").json()
    assert archive["status"] == "ready", archive
    path.write_bytes(client.get(archive["download_url"]).content)
    return path


def imported(client: httpx.Client, path: Path, name: str) -> dict[str, Any]:
    answer = client.post("/archives/v1/import", json={"archive_path": str(path), "name": name}, timeout=120)
    assert answer.status_code == 201, answer.text
    project: dict[str, Any] = client.get(f"/projects/v1/{answer.json()['project_id']}").json()
    return project


def test_no_operator_of_a_project_is_called(
    client: httpx.Client, live: Live, project: dict[str, Any], tmp_path: Path
) -> None:
    slot, project_id, service = project["schema_slot"], project["project_id"], {"apikey": project["service_key"]}
    sql(client, project, TABLES)
    in_schema(live.database_url, slot, ";".join(hostile(slot)))
    expose(client, project, MANIFEST)
    for path in ("expose", "schema"):
        assert client.get(f"/projects/v1/admin/{project_id}/{path}", headers=service).status_code == 200
    sql(client, project, "CREATE TABLE later (id int)")
    deploy(client, {"project_id": project_id, "database": {"migrations": [migration("1", "CREATE TABLE t (n int)")]}})
    hidden = {"version": "1", "tables": MANIFEST["tables"][1:]}
    deploy(client, {"project_id": project_id, "database": {"expose": hidden}})
    expose(client, project, MANIFEST)
    assert [read(client, project, table) for table in ("posts", "titles", "notes", "later", "t")] == [
        200,
        200,
        401,
        401,
        401,
    ]
    assert client.post("/rest/v1/rpc/told", headers={"apikey": project["anon_key"]}).json() == "one"
    snapshot = client.post(f"/projects/v1/{project_id}/snapshots", json={})
    assert snapshot.status_code == 201, snapshot.text
    copy = branch(client, project)
    restore(client, f"/projects/v1/{project_id}", snapshot.json()["snapshot_id"])
    again = imported(client, archived(client, project, tmp_path / "a.tar"), "again")
    for each in (project, copy, again):
        each = client.get(f"/projects/v1/{each['project_id']}").json()
        assert [read(client, each, table) for table in ("posts", "titles", "later")] == [200, 200, 401]
    assert called(live.database_url) == []


def test_an_operator_opens_no_table(client: httpx.Client, project: dict[str, Any], tmp_path: Path) -> None:
    sql(client, project, SECRETS + ";" + NO)
    sql(client, project, GRANT)
    assert read(client, project) == 401
    expose(client, project, {"version": "1"})
    assert read(client, project) == 401
    again = imported(client, archived(client, project, tmp_path / "a.tar"), "again")
    assert read(client, again) == 401
    sql(client, again, GRANT)
    assert read(client, again) == 401


def test_an_archive_opens_no_table_that_is_made_later(client: httpx.Client, live: Live, tmp_path: Path) -> None:
    content = archive_kit.documents()
    content["database.pre_data_sql"] += NO + (
        "ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO anon, PUBLIC;"
        "ALTER DEFAULT PRIVILEGES IN SCHEMA run402_project_schema GRANT ALL ON SEQUENCES TO authenticated;"
        "ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC;"
    )
    project = imported(client, archive_kit.write_tar(tmp_path / "a.tar", content), "brought")
    sql(client, project, SECRETS)
    assert read(client, project) == 401
    # Not even where nothing looks after it: in a function that a SELECT calls.
    in_schema(
        live.database_url,
        project["schema_slot"],
        "CREATE TABLE dark (id serial); CREATE FUNCTION f() RETURNS int RETURN 1",
    )
    assert soon(lambda: read(client, project, "dark") == 401)
    query = """
        SELECT d.defaclobjtype, a.grantee::regrole::text FROM pg_default_acl d CROSS JOIN LATERAL aclexplode(d.defaclacl) a
        WHERE d.defaclrole <> a.grantee OR d.defaclnamespace <> 0
    """
    with psycopg.connect(live.database_url) as conn:
        assert conn.execute(query).fetchall() == []
        may = "SELECT has_function_privilege('anon', (SELECT oid FROM pg_proc WHERE proname = 'f'), 'EXECUTE')"
        assert conn.execute(may).fetchone() == (False,)


@pytest.mark.parametrize(
    "text",
    [
        # Temporary tables come first where they are not named.
        f"CREATE TEMP TABLE pg_class AS SELECT * FROM pg_catalog.pg_class WHERE relname <> 'secrets'; {GRANT}",
        f"CREATE TEMP VIEW pg_namespace AS SELECT * FROM pg_catalog.pg_namespace WHERE false; {GRANT}",
        # A path that was not written as one, in what the gateway writes down again.
        "DO $x$ DECLARE s text := current_schema(); BEGIN PERFORM set_config('search_path', 'a;GRANT/**/SELECT/**/ON/**/' || s"
        " || '.secrets/**/TO/**/anon--', true); EXECUTE format('CREATE FUNCTION %I.d() RETURNS int LANGUAGE plpgsql"
        " SECURITY DEFINER SET search_path FROM CURRENT AS $f$ BEGIN RETURN 1; END $f$', s); END $x$",
        # What happens only when the transaction ends, and what ends it itself.
        "CREATE TABLE late (i int); CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS"
        " $f$ BEGIN EXECUTE 'GRANT SELECT ON secrets TO anon'; RETURN NULL; END $f$;"
        " CREATE CONSTRAINT TRIGGER c AFTER INSERT ON late DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION g();"
        " INSERT INTO late VALUES (1)",
        f"ROLLBACK; {GRANT}",
        f"{GRANT}; COMMIT; SET default_transaction_read_only = on",
        f"{GRANT}; COMMIT; SELECT 1 / 0",
        "DO $$ BEGIN EXECUTE format('GRANT CREATE ON SCHEMA %I TO ' || replace(current_user, '_owner', '_anon'),"
        " current_schema()); END $$",
    ],
)  # fmt: skip
def test_what_sql_grants_is_taken_back_whatever_it_does_about_it(
    client: httpx.Client, live: Live, project: dict[str, Any], text: str
) -> None:
    sql(client, project, SECRETS)
    slot, service = project["schema_slot"], {"apikey": project["service_key"]}
    answer = client.post(f"/projects/v1/admin/{project['project_id']}/sql", content=text, headers=service)
    assert answer.status_code == (400 if "/ 0" in text else 200), answer.text
    assert read(client, project) == 401
    with psycopg.connect(role_of(live.database_url, slot, "anon")) as conn:
        table = "(SELECT oid FROM pg_class WHERE relname = 'secrets')"
        query = f"SELECT has_schema_privilege(%s, 'CREATE'), has_table_privilege({table}, 'SELECT')"
        assert conn.execute(query.encode(), (slot,)).fetchone() == (False, False)


@pytest.mark.parametrize("more", [{}, {"transaction": "none"}])
def test_what_a_migration_grants_at_its_end_is_taken_back(
    client: httpx.Client, project: dict[str, Any], more: dict[str, Any]
) -> None:
    late = (
        SECRETS + "; CREATE TABLE late (i int); CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS"
        " $f$ BEGIN EXECUTE 'GRANT SELECT ON secrets TO anon'; RETURN NULL; END $f$;"
        " CREATE CONSTRAINT TRIGGER c AFTER INSERT ON late DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION g();"
        " INSERT INTO late VALUES (1)"
    )
    deploy(client, {"project_id": project["project_id"], "database": {"migrations": [migration("1", late, **more)]}})
    assert read(client, project) == 401
