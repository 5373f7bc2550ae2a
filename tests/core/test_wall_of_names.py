"""Whatever a project calls its functions, tables and operators, they run as nobody but the project's own roles."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from copies_kit import branch, in_schema, restore
from deploy_kit import migration, plan
from gateway_kit import Live

from run402_cli.core.app import ROUTES
from run402_cli.core.settings import LOCAL_ORG_ID
from run402_cli.core.web.routing import Route

CORE = Path(__file__).resolve().parents[2] / "run402_cli" / "core"
# Who may put a project's schema on the path of a connection: each is only ever given one of that project's.
SETS_THE_PATH = {
    "backends.py",  # pg_catalog
    "change_rows.py",  # pg_catalog
    "gateway.py",  # pg_catalog
    "projects/role_rows.py",  # empty
    "releases/migrating.py",
    "rest/execute.py",
    "sql/execution.py",
    "sql/meaning.py",
}
EXPOSED = {"name": "t", "expose": True, "policy": "public_read_authenticated_write"}
# Calls that fit better than what pg_catalog has for them, in queries that look into a schema.
OVERLOADS = (
    ("jsonb_build_object(text, name, text, text, text, boolean, text, text)", "jsonb", "'{}'"),
    ("jsonb_build_object(text, name, text, jsonb, text, jsonb, text, boolean, text, bigint, text, jsonb)", "jsonb", "'{}'"),
    ("jsonb_build_object(text, name, text, text, text, text)", "jsonb", "'{}'"),
    ("jsonb_build_object(text, name, text, text, text, text, text, text)", "jsonb", "'{}'"),
    ("json_build_array(name, \"char\", boolean, text, text, text)", "json", "'[]'"),
    ("json_build_array(name, text)", "json", "'[]'"),
    ("jsonb_agg(text)", "jsonb", "'[]'"),
    ("json_agg(text)", "json", "'[]'"),
    ("format(text, name, name)", "text", "''"),
    ("format(text, name)", "text", "''"),
    ("format(text, text, text)", "text", "''"),
    ("format(text, text)", "text", "''"),
    ("pg_get_expr(pg_node_tree, oid)", "text", "''"),
    ("format_type(oid, integer)", "text", "''"),
    ("to_regnamespace(text)", "regnamespace", "NULL"),
    ("quote_ident(text)", "text", "''"),
    ("count(name)", "bigint", "0"),
)  # fmt: skip
OPERATORS = (
    ("=", "oid", "regrole"), ("=", "oid", "regclass"), ("=", "oid", "regnamespace"),
    ("<", "real", "integer"), ("||", "name", "text"), ("<>", '"char"', "text"), ("=", '"char"', "text"),
    ("=", "name", "varchar"), (">", "smallint", "bigint"), ("->", "jsonb", "name"),
)  # fmt: skip


# Whoever runs it, and where it cannot be written down, because the transaction only reads, the request fails.
NOTE = """
CREATE TABLE seen (who text, what text);
CREATE FUNCTION note(what text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog AS $f$
BEGIN
  IF current_setting('transaction_read_only') = 'off' AND (current_user !~ '^r402_' OR pg_has_role(
      (SELECT relowner FROM pg_class WHERE oid = '{slot}.seen'::regclass), 'USAGE')) THEN
    INSERT INTO {slot}.seen VALUES (current_user, note.what);
  ELSIF current_user !~ '^r402_' THEN
    RAISE 'ran as %: %', current_user, note.what;
  END IF;
END $f$;
"""
# All that can run by itself. What is said to be immutable is taken by an index and a generated column.
TRAP = """
CREATE FUNCTION told(v text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS
  $f$ BEGIN PERFORM {slot}.note('text'); RETURN v; END $f$;
CREATE FUNCTION numbered(v integer) RETURNS integer IMMUTABLE LANGUAGE plpgsql AS
  $f$ BEGIN PERFORM {slot}.note('number'); RETURN v; END $f$;
CREATE FUNCTION on_row() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN PERFORM {slot}.note('row'); RETURN NEW; END $f$;
CREATE DOMAIN word AS text CHECK (told(VALUE) IS NOT NULL);
CREATE TABLE t (id serial PRIMARY KEY, w word DEFAULT told('d'), n integer DEFAULT 1 CHECK (numbered(n) > 0),
  g integer GENERATED ALWAYS AS (numbered(n)) STORED);
CREATE INDEX ON t (told(w)) WHERE numbered(n) > 0;
CREATE STATISTICS s ON (told(w)), n FROM t;
CREATE VIEW v AS SELECT told(w) AS w FROM t;
CREATE MATERIALIZED VIEW m AS SELECT told(w) AS w FROM t;
CREATE RULE r AS ON DELETE TO t DO ALSO SELECT told('rule');
CREATE TRIGGER g BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION on_row();
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON t USING (told(w) <> '');
INSERT INTO t (n) SELECT 1 FROM generate_series(1, 400);
ANALYZE t;
"""


def overloads(slot: str) -> Iterator[str]:
    body = "LANGUAGE plpgsql AS $f$ BEGIN PERFORM {}.note('{}'); RETURN {}; END $f$"
    for call, gives, value in OVERLOADS:
        yield f"CREATE FUNCTION {call} RETURNS {gives} " + body.format(slot, call, value)
    for number, (operator, left, right) in enumerate(OPERATORS):
        name = f"operator_{number}"
        yield f"CREATE FUNCTION {name}({left}, {right}) RETURNS boolean " + body.format(slot, operator, "false")
        yield f"CREATE OPERATOR {operator} (LEFTARG = {left}, RIGHTARG = {right}, FUNCTION = {name})"


@pytest.fixture
def project(client: httpx.Client, database_url: str) -> dict[str, Any]:
    made: dict[str, Any] = client.post("/projects/v1", json={"name": "trap"}).json()
    slot = made["schema_slot"]
    # Last, what would change the meaning of the rest.
    text = [NOTE.replace("{slot}", slot), TRAP.replace("{slot}", slot), "; ".join(overloads(slot))]
    in_schema(database_url, slot, "".join(text))
    return made


def migrate(client: httpx.Client, project: dict[str, Any], number: str, text: str) -> dict[str, Any]:
    spec = {"project": project["project_id"], "database": {"migrations": [migration(number, text)]}}
    planned = plan(client, spec).json()
    done: dict[str, Any] = client.post(f"/apply/v1/plans/{planned['plan_id']}/commit", json={}).json()
    assert done.get("status") == "committed", done
    return {"plan_id": planned["plan_id"], **done}


def requests(client: httpx.Client, project: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Method, path and body for every route, about this project; what deletes comes last, the project never."""
    project_id = project["project_id"]
    box = client.post("/mailboxes/v1", json={"slug": "box"}, headers={"apikey": project["service_key"]}).json()
    values = {**migrate(client, project, "1", "SELECT 1"), "mailbox_id": box["mailbox_id"], "project_id": project_id}
    values |= {"org_id": LOCAL_ORG_ID, "tier": "prototype", "part": "1", "path": "t", "tail": "x"}
    every = [(m, route.path) for route in ROUTES if isinstance(route, Route) for m in route.methods or ()]
    for method, route in sorted(set(every), key=lambda each: (each[0] == "DELETE", each)):
        if (method, route) == ("DELETE", "/projects/v1/{project_id}"):
            continue
        path = re.sub(r"{(\w+)(?::\w+)?}", lambda match: str(values.get(match[1], "x")), route)
        more = f"?project_id={project_id}&project={project_id}&name=t&path=/&from=empty&to=active"
        body: Any = {
            "project_id": project_id,
            "project": project_id,
            "content": [],
            "name": "x",
            "sql": "SELECT * FROM v",
        }
        if route.endswith("/expose") or "validate" in route:
            body = (
                {"version": "1", "tables": [EXPOSED]}
                if route.endswith("/expose")
                else {"manifest": {"tables": [EXPOSED]}}
            )
        elif route == "/apply/v1/plans":
            body = {"spec": {"project_id": project_id, "database": {"expose": {"version": "1", "tables": [EXPOSED]}}}}
        yield method, path + ("" if "/rest/" in route else more), None if method in ("GET", "HEAD") else body


@pytest.fixture
def only_own_roles(live: Live) -> Iterator[None]:
    """Whoever ran something of the trap, of whatever copy of it, was a role of a project."""
    seen: dict[str, set[str]] = {}
    yield
    with psycopg.connect(live.database_url, autocommit=True, options="-c search_path=pg_catalog") as conn:
        query = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE tablename = 'seen'"
        for (table,) in conn.execute(query).fetchall():
            for who, what in conn.execute(f"SELECT DISTINCT who, what FROM {table}".encode()).fetchall():
                seen.setdefault(who, set()).add(what)
    assert seen
    assert {who: what for who, what in seen.items() if not who.startswith("r402_")} == {}


@pytest.mark.usefixtures("only_own_roles")
def test_no_route_runs_what_a_project_made_as_the_gateway(client: httpx.Client, project: dict[str, Any]) -> None:
    failed, went_well = [], set()
    service = {"apikey": project["service_key"]}
    for method, path, body in requests(client, project):
        for headers in ({}, service, {"apikey": project["anon_key"]}):
            answer = client.request(method, path, json=body, headers=headers)
            if answer.status_code == 500:
                failed.append(f"{method} {path}: {answer.text[:200]}")
            if answer.status_code < 400:
                went_well.add(path.partition("?")[0].replace(project["project_id"], "*"))
    assert failed == []
    assert went_well >= {"/projects/v1/admin/*/schema", "/projects/v1/admin/*/expose", "/admin/v1/rest/t"}
    assert len(went_well) > 50


@pytest.mark.usefixtures("only_own_roles")
def test_no_copy_runs_what_a_project_made_as_the_gateway(client: httpx.Client, project: dict[str, Any]) -> None:
    path = f"/projects/v1/{project['project_id']}"
    taken = client.post(f"{path}/snapshots", json={})
    assert taken.status_code == 201, taken.text
    branch(client, project)
    restore(client, path, taken.json()["snapshot_id"])
    migrate(
        client,
        project,
        "2",
        "INSERT INTO t (id, n) VALUES (1000, 2); REFRESH MATERIALIZED VIEW m; REINDEX TABLE t; ANALYZE t",
    )
    url = f"/projects/v1/admin/{project['project_id']}/schema"
    shown = client.get(url, headers={"apikey": project["service_key"]}).json()
    assert {"t", "seen"} <= {each["name"] for each in shown["tables"]}


def test_a_schema_on_the_path_of_the_gateway_ends_its_connection(live: Live) -> None:
    async def put(statement: str) -> Any:
        async with live.gateway.connection() as conn, conn.transaction():
            await conn.execute(statement.encode())
            return await conn.execute("SELECT 1")

    for path in ("internal", "pg_catalog, auth", "auth, pg_catalog"):
        with pytest.raises(RuntimeError, match="search path"):
            live.run(put(f"SELECT set_config('search_path', '{path}', true)"))
        with pytest.raises(RuntimeError, match="search path"):
            live.run(put(f"SET search_path = {path}"))
    live.run(put("SELECT set_config('search_path', '', true)"))


def test_few_places_put_a_schema_on_a_path() -> None:
    found = set()
    for path in CORE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            text = node.value if isinstance(node, ast.Constant) else ""
            text = text.decode("latin-1") if isinstance(text, bytes) else text if isinstance(text, str) else ""
            text = " ".join(text.split())
            if (
                "'search_path'" in text
                or text == "search_path"
                or re.search("SET (LOCAL )?search_path = ?(p|$)", text.split("DEFINER")[0])
            ):
                found.add(path.relative_to(CORE).as_posix())
    found -= {"expose/ddl_reader.py", "sql/shared.py", "sql/guard.py"}  # they read the words of others
    assert found == SETS_THE_PATH
