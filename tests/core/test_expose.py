"""Expose manifests against a real PostgreSQL: who sees and writes what, as anon, two users, an admin and service."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg
import pytest
from database_kit import owner_of
from gateway_kit import Live
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from run402_cli.core import expose
from run402_cli.core.callers.auth import project_by_id
from run402_cli.core.errors import GatewayError

A = "0f6d6a5e-0000-4000-8000-00000000000a"
B = "0f6d6a5e-0000-4000-8000-00000000000b"
Conn = psycopg.Connection[Any]
OWNED = {"name": "items", "expose": True, "policy": "user_owns_rows", "owner_column": "user_id"}
READ_ONLY = {"name": "items", "expose": True, "policy": "public_read_authenticated_write"}
OPEN = {
    "name": "items",
    "expose": True,
    "policy": "public_read_write_UNRESTRICTED",
    "i_understand_this_is_unrestricted": True,
}
VIEW = {"name": "titles", "base": "items", "select": ["title"]}


@pytest.fixture
def db(live: Live, project: dict[str, Any]) -> Iterator[Conn]:
    """The database as the owner of the project's schema, who may become its other roles (as nobody else may)."""
    owner = conninfo_to_dict(owner_of(live.database_url, project["schema_slot"]))["user"]
    with psycopg.connect(live.database_url, autocommit=True) as conn:
        conn.execute(sql.SQL("SET SESSION AUTHORIZATION {}").format(sql.Identifier(str(owner))))
        conn.execute(sql.SQL("SET search_path = {}, auth, extensions").format(sql.Identifier(project["schema_slot"])))
        conn.execute("CREATE TABLE items (id serial PRIMARY KEY, user_id uuid, title text)")
        conn.execute("INSERT INTO items (user_id, title) VALUES (%s, 'of a'), (%s, 'of b')", (A, B))
        yield conn


@pytest.fixture
def apply(client: httpx.Client, project: dict[str, Any], service: dict[str, str]) -> Callable[..., httpx.Response]:
    def send(*tables: dict[str, Any], **sections: Any) -> httpx.Response:
        body = {"version": "1", "tables": list(tables), **sections}
        return client.post(f"/projects/v1/admin/{project['project_id']}/expose", json=body, headers=service)

    return send


Apply = Callable[..., httpx.Response]


@contextmanager
def acting_as(db: Conn, role: str, user: str | None = None) -> Iterator[None]:
    """Inside: the statements run as a REST request of this caller would run them. Rolled back afterwards."""
    with db.transaction(force_rollback=True):
        db.execute("SELECT set_config('request.jwt.claims', %s, true)", (json.dumps({"role": role, "sub": user}),))
        row = db.execute("SELECT session_user::text").fetchone()
        assert row is not None
        login = sql.Identifier(row[0].removesuffix("owner") + role)
        db.execute(sql.SQL("SET LOCAL SESSION AUTHORIZATION {}").format(login))
        yield


def titles(db: Conn, role: str, user: str | None = None) -> list[str] | str:
    """What the caller reads from items, or `denied`."""
    return rows(db, "SELECT title FROM items ORDER BY id", role, user)


def rows(db: Conn, query: str, role: str, user: str | None = None) -> list[Any] | str:
    try:
        with acting_as(db, role, user):
            return [row[0] for row in db.execute(query.encode()).fetchall()]
    except psycopg.errors.InsufficientPrivilege:
        return "denied"


def writes(db: Conn, role: str, user: str | None = None) -> dict[str, int | str]:
    """Rows that an INSERT for user A, an UPDATE and a DELETE of everything touch, or `denied`."""
    found: dict[str, int | str] = {}
    for name, statement in {
        "insert": f"INSERT INTO items (user_id, title) VALUES ('{A}', 'new')",
        "update": "UPDATE items SET title = 'changed'",
        "delete": "DELETE FROM items",
    }.items():
        try:
            with acting_as(db, role, user):
                found[name] = db.execute(statement.encode()).rowcount
        except psycopg.errors.InsufficientPrivilege:
            found[name] = "denied"
    return found


DENIED = {"insert": "denied", "update": "denied", "delete": "denied"}
ALL = {"insert": 1, "update": 2, "delete": 2}


# --- policies ---


def test_a_table_is_hidden_until_it_is_declared(db: Conn, live: Live, project: dict[str, Any]) -> None:
    reapply(live, project)
    assert titles(db, "anon") == "denied"
    assert titles(db, "authenticated", A) == "denied"
    assert titles(db, "service_role") == ["of a", "of b"]
    assert writes(db, "service_role") == ALL


def test_user_owns_rows(db: Conn, apply: Apply) -> None:
    assert apply(OWNED).status_code == 200
    assert titles(db, "anon") == "denied"
    assert writes(db, "anon") == DENIED
    assert titles(db, "authenticated", A) == ["of a"]
    assert writes(db, "authenticated", A) == {"insert": 1, "update": 1, "delete": 1}
    assert titles(db, "authenticated", B) == ["of b"]
    assert writes(db, "authenticated", B) == {"insert": "denied", "update": 1, "delete": 1}
    assert titles(db, "authenticated", "not-a-uuid") == []
    assert titles(db, "authenticated", None) == []
    assert titles(db, "service_role") == ["of a", "of b"]
    assert writes(db, "service_role") == ALL


@pytest.mark.parametrize("table", [OWNED, READ_ONLY, OPEN])
def test_row_security_is_enabled_and_not_forced_on_the_service_key(
    db: Conn, apply: Apply, table: dict[str, Any]
) -> None:
    db.execute("ALTER TABLE items FORCE ROW LEVEL SECURITY")
    apply(table)
    query = "SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = 'items'::regclass"
    assert db.execute(query).fetchone() == (True, False)
    assert titles(db, "service_role") == ["of a", "of b"]


def test_a_row_cannot_be_given_to_another_user(db: Conn, apply: Apply) -> None:
    apply(OWNED)
    with pytest.raises(psycopg.errors.InsufficientPrivilege), acting_as(db, "authenticated", A):
        db.execute("UPDATE items SET user_id = %s", (B,))


def test_public_read_authenticated_write(db: Conn, apply: Apply) -> None:
    assert apply(READ_ONLY).status_code == 200
    assert titles(db, "anon") == ["of a", "of b"]
    assert writes(db, "anon") == DENIED
    for user in (A, B):
        assert titles(db, "authenticated", user) == ["of a", "of b"]
        assert writes(db, "authenticated", user) == ALL
    assert writes(db, "service_role") == ALL


def test_public_read_write_unrestricted(db: Conn, apply: Apply) -> None:
    assert apply(OPEN).status_code == 200
    for role, user in (("anon", None), ("authenticated", A), ("authenticated", B), ("service_role", None)):
        assert titles(db, role, user) == ["of a", "of b"]
        assert writes(db, role, user) == ALL


def test_custom_policies_decide_rows_and_commands(db: Conn, apply: Apply) -> None:
    custom = """
      CREATE POLICY seen ON items FOR SELECT USING (title = 'of a');
      CREATE POLICY "own; rows" ON items FOR UPDATE TO authenticated
        USING (user_id::text = uid()) WITH CHECK (user_id::text = auth.uid())
    """
    answer = apply({"name": "items", "expose": True, "policy": "custom", "custom_sql": custom})
    assert answer.status_code == 200, answer.text
    assert titles(db, "anon") == ["of a"]
    assert writes(db, "anon") == DENIED
    assert writes(db, "authenticated", A) == {"insert": "denied", "update": 1, "delete": "denied"}
    assert writes(db, "authenticated", B) == {"insert": "denied", "update": 1, "delete": "denied"}
    assert titles(db, "service_role") == ["of a", "of b"]


def test_an_owner_column_of_text_is_as_good_as_a_uuid_and_another_type_is_a_warning(db: Conn, apply: Apply) -> None:
    db.execute("CREATE TABLE notes (owner text, body text); INSERT INTO notes VALUES ('ann', 'x'), ('bob', 'y')")
    answer = apply({"name": "notes", "expose": True, "policy": "user_owns_rows", "owner_column": "owner"}).json()
    assert answer.get("warnings", []) == []
    assert rows(db, "SELECT body FROM notes", "authenticated", "ann") == ["x"]
    assert rows(db, "SELECT body FROM notes", "authenticated", "eve") == []
    db.execute("CREATE TABLE counted (owner bigint, body text)")
    answer = apply({"name": "counted", "expose": True, "policy": "user_owns_rows", "owner_column": "owner"}).json()
    assert [warning["type"] for warning in answer["warnings"]] == ["owner-column-type"]


def test_the_uuid_owner_comparison_can_use_the_owner_index(db: Conn, apply: Apply) -> None:
    apply(OWNED)
    db.execute("INSERT INTO items (user_id) SELECT gen_random_uuid() FROM generate_series(1, 3000); ANALYZE items")
    with acting_as(db, "authenticated", A):
        plan = "\n".join(row[0] for row in db.execute("EXPLAIN SELECT * FROM items").fetchall())
    assert "items_user_id_owner_idx" in plan


@pytest.mark.parametrize(("column", "user"), [("user_id uuid", A), ("owner text", "ann"), ("owner int", "42")])
def test_the_owner_is_filled_in_on_insert(db: Conn, apply: Apply, column: str, user: str) -> None:
    name = column.split()[0]
    db.execute(f"CREATE TABLE notes ({column}, body text)".encode())
    declared = {"expose": True, "policy": "user_owns_rows", "owner_column": name, "force_owner_on_insert": True}
    assert apply({"name": "notes", **declared}).status_code == 200
    insert = f"INSERT INTO notes (body) VALUES ('x') RETURNING {name}::text"
    assert rows(db, insert, "authenticated", user) == [user]
    assert rows(db, f"INSERT INTO notes VALUES ('{user}', 'x') RETURNING body", "authenticated", user) == ["x"]
    other = {"uuid": B, "text": "bob", "int": "7"}[column.split()[1]]
    assert rows(db, f"INSERT INTO notes VALUES ('{other}', 'x') RETURNING body", "authenticated", user) == "denied"
    assert rows(db, insert, "service_role") == [None]


def test_identity_and_serial_keys_work_for_writers_only(db: Conn, apply: Apply) -> None:
    db.execute("CREATE TABLE notes (id int GENERATED ALWAYS AS IDENTITY, n bigserial, body text)")
    apply({"name": "notes", **{key: OPEN[key] for key in OPEN if key != "name"}}, READ_ONLY)
    assert rows(db, "INSERT INTO notes (body) VALUES ('x') RETURNING id", "anon") == [1]
    assert rows(db, "SELECT nextval('items_id_seq')", "anon") == "denied"


# --- views and functions ---


def test_a_view_shows_what_its_caller_may_read(db: Conn, apply: Apply) -> None:
    filtered = {**VIEW, "name": "filtered", "filter": "title <> ');--' -- a comment"}
    assert apply(OWNED, views=[VIEW, filtered]).status_code == 200
    for name in ("titles", "filtered"):
        query = f"SELECT title FROM {name}"
        assert rows(db, query, "anon") == "denied"
        assert rows(db, query, "authenticated", A) == ["of a"]
        assert rows(db, query, "service_role") == ["of a", "of b"]


def test_a_hidden_view_is_only_for_service(db: Conn, apply: Apply) -> None:
    assert apply(READ_ONLY, views=[{**VIEW, "expose": False}]).status_code == 200
    assert rows(db, "SELECT title FROM titles", "anon") == "denied"
    assert rows(db, "SELECT title FROM titles", "service_role") == ["of a", "of b"]


def test_a_view_of_a_hidden_table_is_warned_about(db: Conn, apply: Apply) -> None:
    assert [w["type"] for w in apply(views=[VIEW]).json()["warnings"]] == ["view-base-hidden"]
    assert rows(db, "SELECT title FROM titles", "anon") == "denied"


def test_a_new_function_can_be_called_by_nobody_until_granted(db: Conn, apply: Apply) -> None:
    db.execute("CREATE FUNCTION add(a int, b int) RETURNS int LANGUAGE sql AS 'SELECT a + b'")
    db.execute("CREATE FUNCTION add(a text) RETURNS int LANGUAGE sql AS 'SELECT 1'")
    for role in ("anon", "authenticated"):
        assert rows(db, "SELECT add(1, 2)", role) == "denied"
    answer = apply(rpcs=[{"name": "add", "signature": "(INT4, b integer)", "grant_to": ["authenticated"]}])
    assert answer.json()["applied"]["rpcs"] == ["add"]
    assert rows(db, "SELECT add(1, 2)", "anon") == "denied"
    assert rows(db, "SELECT add(1, 2)", "authenticated") == [3]
    assert rows(db, "SELECT add('x')", "authenticated") == "denied"
    assert rows(db, "SELECT add('x')", "service_role") == [1]


def test_project_admin_has_the_rights_of_a_user_and_its_own_functions(db: Conn, apply: Apply) -> None:
    db.execute("CREATE FUNCTION wipe() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    apply(OWNED, rpcs=[{"name": "wipe", "signature": "()", "grant_to": ["project_admin"]}])
    assert titles(db, "project_admin", A) == ["of a"]
    assert rows(db, "SELECT wipe()", "project_admin") == [1]
    assert rows(db, "SELECT wipe()", "authenticated") == "denied"


# --- convergence ---


def fingerprint(db: Conn, slot: str) -> list[Any]:
    """Row versions of everything that an apply could touch: equal means that nothing was written."""
    query = """
      SELECT 'policy', p.oid::text, p.xmin::text FROM pg_policy p
      UNION ALL SELECT 'relation', c.oid::text, c.xmin::text FROM pg_class c WHERE relnamespace = %(slot)s::regnamespace
      UNION ALL SELECT 'function', p.oid::text, p.xmin::text FROM pg_proc p WHERE pronamespace = %(slot)s::regnamespace
      UNION ALL SELECT 'trigger', t.oid::text, t.xmin::text FROM pg_trigger t ORDER BY 1, 2
    """
    return db.execute(query, {"slot": slot}).fetchall()


def test_the_same_manifest_again_changes_nothing(db: Conn, apply: Apply, project: dict[str, Any]) -> None:
    db.execute("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TABLE notes (id int)")
    manifest: dict[str, Any] = {
        "views": [{**VIEW, "filter": "title > ''"}],
        "rpcs": [{"name": "f", "signature": "()", "grant_to": ["anon"]}],
    }
    custom = {
        "name": "notes",
        "expose": True,
        "policy": "custom",
        "custom_sql": "CREATE POLICY p ON notes USING (true)",
    }
    first = apply({**OWNED, "force_owner_on_insert": True}, custom, **manifest)
    before = fingerprint(db, project["schema_slot"])
    second = apply({**OWNED, "force_owner_on_insert": True}, custom, **manifest)
    assert first.status_code == second.status_code == 200
    assert second.json() == first.json()
    assert second.json()["dropped"] == {"tables": [], "views": [], "rpcs": []}
    assert fingerprint(db, project["schema_slot"]) == before


def test_what_is_missing_from_the_next_manifest_is_taken_away(db: Conn, apply: Apply, project: dict[str, Any]) -> None:
    db.execute("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    rpcs = [{"name": "f", "signature": "()", "grant_to": ["anon"]}]
    apply({**OWNED, "force_owner_on_insert": True}, views=[VIEW], rpcs=rpcs)
    answer = apply().json()
    assert answer["dropped"] == {"tables": ["items"], "views": ["titles"], "rpcs": ["f"]}
    assert titles(db, "authenticated", A) == "denied"
    assert rows(db, "SELECT f()", "anon") == "denied"
    assert db.execute("SELECT to_regclass('titles'), to_regproc('items_set_owner_fn')").fetchone() == (None, None)
    assert db.execute("SELECT count(*) FROM pg_policy").fetchone() == (0,)
    assert apply().json()["dropped"] == {"tables": [], "views": [], "rpcs": []}


def test_expose_false_hides_a_table_again(db: Conn, apply: Apply) -> None:
    apply(OPEN)
    answer = apply({"name": "items", "expose": False}).json()
    assert answer["dropped"]["tables"] == []
    assert titles(db, "anon") == "denied"
    assert titles(db, "service_role") == ["of a", "of b"]


def test_changing_the_policy_replaces_the_old_one(db: Conn, apply: Apply) -> None:
    custom = "CREATE POLICY wide ON items USING (true)"
    for table in (OPEN, {"name": "items", "expose": True, "policy": "custom", "custom_sql": custom}, OWNED):
        assert apply(table).status_code == 200
    assert titles(db, "anon") == "denied"
    assert titles(db, "authenticated", A) == ["of a"]
    names = [row[0] for row in db.execute("SELECT polname FROM pg_policy").fetchall()]
    assert sorted(names) == [f"run402_user_owns_rows_{c}" for c in ("delete", "insert", "select", "update")]


def test_policies_of_a_migration_survive_an_apply(db: Conn, apply: Apply) -> None:
    db.execute("CREATE POLICY by_hand ON items AS RESTRICTIVE USING (title <> 'of b')")
    apply(READ_ONLY)
    assert titles(db, "anon") == ["of a"]
    apply(OWNED)
    assert titles(db, "authenticated", B) == []


# --- reapply ---


def reapply(live: Live, project: dict[str, Any]) -> None:
    async def run() -> None:
        async with live.gateway.connection() as conn:
            found = await project_by_id(conn, project["project_id"])
        async with live.gateway.owner_connection(found.roles) as owner:
            await expose.reapply(owner, found)

    live.run(run())


def test_reapply_takes_stray_grants(db: Conn, live: Live, apply: Apply, project: dict[str, Any]) -> None:
    apply(READ_ONLY)
    db.execute("CREATE TABLE notes (id serial, body text); CREATE VIEW v AS SELECT * FROM notes")
    db.execute("GRANT ALL ON notes, v TO anon, PUBLIC; GRANT SELECT (body) ON notes TO authenticated")
    db.execute("GRANT ALL ON notes TO service_role")
    db.execute("GRANT DELETE ON items TO anon; GRANT ALL ON SEQUENCE notes_id_seq TO anon")
    reapply(live, project)
    for query in ("SELECT body FROM notes", "SELECT body FROM v", "SELECT nextval('notes_id_seq')"):
        assert rows(db, query, "anon") == "denied"
        assert rows(db, query, "authenticated", A) == "denied"
    assert rows(db, "INSERT INTO notes (body) VALUES ('x') RETURNING id", "service_role") == [1]
    assert titles(db, "anon") == ["of a", "of b"]
    assert writes(db, "anon") == DENIED


def test_reapply_protects_a_table_that_was_dropped_and_made_again(
    db: Conn, live: Live, apply: Apply, project: dict[str, Any]
) -> None:
    apply({**OWNED, "force_owner_on_insert": True})
    db.execute("DROP TABLE items; CREATE TABLE items (id serial, user_id uuid, title text)")
    db.execute("INSERT INTO items (user_id, title) VALUES (%s, 'of a'), (%s, 'of b')", (A, B))
    reapply(live, project)
    assert titles(db, "authenticated", A) == ["of a"]
    assert rows(db, "INSERT INTO items (title) VALUES ('x') RETURNING user_id::text", "authenticated", A) == [A]


@pytest.mark.parametrize(
    "damage",
    [
        "ALTER TABLE items DISABLE ROW LEVEL SECURITY",
        "DROP POLICY run402_user_owns_rows_select ON items",
        "ALTER POLICY run402_user_owns_rows_select ON items USING (true)",
        "ALTER POLICY run402_user_owns_rows_select ON items TO anon",
        "DROP VIEW titles; CREATE VIEW titles AS SELECT 'leak' AS title",
    ],
)
def test_reapply_repairs_a_damaged_surface(
    db: Conn, live: Live, apply: Apply, project: dict[str, Any], damage: str
) -> None:
    apply(OWNED, views=[VIEW])
    db.execute(damage.encode())
    reapply(live, project)
    assert titles(db, "authenticated", A) == ["of a"]
    assert rows(db, "SELECT title FROM titles", "authenticated", A) == ["of a"]


def test_reapply_hides_what_can_no_longer_be_protected(
    db: Conn, live: Live, apply: Apply, project: dict[str, Any]
) -> None:
    apply(OWNED, views=[VIEW])
    db.execute("ALTER TABLE items DROP COLUMN user_id CASCADE")
    reapply(live, project)
    assert titles(db, "authenticated", A) == "denied"
    db.execute("DROP TABLE items CASCADE")
    reapply(live, project)
    assert apply().json()["dropped"] == {"tables": ["items"], "views": ["titles"], "rpcs": []}


def test_a_renamed_table_is_hidden_and_can_be_exposed_again(
    db: Conn, live: Live, apply: Apply, project: dict[str, Any]
) -> None:
    apply({**OWNED, "force_owner_on_insert": True})
    db.execute("ALTER TABLE items RENAME TO things")
    reapply(live, project)
    assert rows(db, "SELECT title FROM things", "authenticated", A) == "denied"
    answer = apply({**OWNED, "name": "things", "force_owner_on_insert": True})
    assert answer.status_code == 200, answer.text
    assert rows(db, "INSERT INTO things (title) VALUES ('x') RETURNING user_id::text", "authenticated", A) == [A]


# --- refusals ---


def test_every_violation_is_listed_and_nothing_is_changed(db: Conn, apply: Apply) -> None:
    apply(READ_ONLY)
    db.execute("CREATE FUNCTION g(n int) RETURNS int AS 'SELECT 1' LANGUAGE sql")
    db.execute("CREATE FUNCTION g(n text) RETURNS int AS 'SELECT 1' LANGUAGE sql; CREATE VIEW v AS SELECT 1 AS x")
    answer = apply(
        {**OPEN, "i_understand_this_is_unrestricted": False},
        {"name": "itms", "expose": False},
        {"name": "v", "expose": False},
        views=[
            {"name": "a", "base": "nope", "select": ["x"]},
            {"name": "b", "base": "items", "select": ["nope"]},
            {"name": "c", "base": "a", "select": ["x"]},
            {"name": "g", "base": "items", "select": ["id"], "expose": "yes"},
        ],
        rpcs=[
            {"name": "g", "signature": "(n)", "grant_to": ["anon"]},
            {"name": "h", "signature": "()", "grant_to": ["root"]},
        ],
    )
    body = answer.json()
    assert (answer.status_code, body["error"], body["code"]) == (
        400,
        "invalid_expose_manifest",
        "EXPOSE_MANIFEST_INVALID",
    )
    assert sorted(issue["type"] for issue in body["errors"]) == [
        "ambiguous-rpc",
        "grant-to-role-unknown",
        "missing-column",
        "missing-rpc",
        "missing-table",
        "missing-table",
        "missing-view-base",
        "missing-view-base",
        "schema-shape",
        "unrestricted-ack-required",
    ]
    assert all(issue["severity"] == "error" and issue["detail"] for issue in body["errors"])
    assert writes(db, "anon") == DENIED
    assert titles(db, "anon") == ["of a", "of b"]


@pytest.mark.parametrize(
    "sections",
    [
        {"views": [{**VIEW, "filter": "nope > 1"}]},
        {"views": [{**VIEW, "filter": "title >"}]},
        {
            "tables": [
                {
                    "name": "items",
                    "expose": True,
                    "policy": "custom",
                    "custom_sql": "CREATE POLICY p ON items USING (no_such())",
                }
            ]
        },
        {
            "tables": [
                {"name": "items", "expose": True, "policy": "custom", "custom_sql": "CREATE POLICY by_hand ON items"}
            ]
        },
        {"tables": [{"name": "taken", "expose": True, "policy": "custom", "custom_sql": "CREATE POLICY old ON taken"}]},
        {"tables": [{**OWNED, "name": "taken", "force_owner_on_insert": True}]},
    ],
)
def test_what_postgresql_refuses_is_an_issue_and_rolls_everything_back(
    db: Conn, apply: Apply, project: dict[str, Any], sections: dict[str, Any]
) -> None:
    db.execute("CREATE POLICY by_hand ON items USING (true); CREATE TABLE taken (user_id uuid)")
    db.execute("CREATE POLICY old ON taken USING (true)")
    db.execute("CREATE FUNCTION taken_set_owner_fn() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    apply(READ_ONLY)
    before = fingerprint(db, project["schema_slot"])
    answer = apply(**{"tables": [OPEN], **sections})
    assert answer.status_code == 400, answer.text
    assert "PostgreSQL refused it" in answer.json()["errors"][0]["detail"]
    assert fingerprint(db, project["schema_slot"]) == before
    assert writes(db, "anon") == DENIED


def test_a_view_never_replaces_one_that_a_migration_made(db: Conn, apply: Apply) -> None:
    db.execute("CREATE VIEW titles AS SELECT 'mine' AS title")
    answer = apply(READ_ONLY, views=[VIEW])
    assert answer.status_code == 400
    assert "exists already" in answer.json()["errors"][0]["detail"]
    assert rows(db, "SELECT title FROM titles", "service_role") in (["mine"], "denied")


def test_apply_inside_a_callers_transaction_goes_with_it(db: Conn, live: Live, project: dict[str, Any]) -> None:
    async def run() -> None:
        async with live.gateway.connection() as conn:
            owner = await project_by_id(conn, project["project_id"])
        async with live.gateway.owner_connection(owner.roles) as conn:
            with pytest.raises(GatewayError):
                async with conn.transaction():
                    await expose.apply(conn, owner, {"tables": [OPEN]})
                    await expose.apply(conn, owner, {"tables": [{"name": "nope", "expose": False}]})
            async with conn.transaction():
                path = await (await conn.execute("SHOW search_path")).fetchone()
                await expose.apply(conn, owner, {"tables": [OWNED]})
                assert await (await conn.execute("SHOW search_path")).fetchone() == path

    live.run(run())
    assert titles(db, "anon") == "denied"
    assert titles(db, "authenticated", A) == ["of a"]


def test_concurrent_applies_leave_one_whole_manifest(db: Conn, apply: Apply) -> None:
    db.execute("CREATE TABLE notes (id int)")
    notes = {**READ_ONLY, "name": "notes"}
    statuses: list[int] = []

    def run(*tables: dict[str, Any]) -> None:
        for _ in range(4):
            statuses.append(apply(*tables).status_code)

    threads = [threading.Thread(target=run, args=tables) for tables in ((READ_ONLY,), (notes,), (READ_ONLY, notes), ())]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 16
    readable = {name: rows(db, f"SELECT count(*) FROM {name}", "anon") for name in ("items", "notes")}
    with_policies = {row[0] for row in db.execute("SELECT DISTINCT tablename FROM pg_policies").fetchall()}
    assert {name for name, found in readable.items() if found != "denied"} == with_policies


@pytest.mark.parametrize("name", ['we"ird', "Ünï ☃", "a;b'--", "%s {x}", "select", "x" * 63])
def test_names_with_odd_characters_work(db: Conn, apply: Apply, name: str) -> None:
    table = sql.Identifier(name)
    column = sql.Identifier(name[:40])
    db.execute(sql.SQL("CREATE TABLE {} ({} uuid, body text)").format(table, column))
    db.execute(sql.SQL("CREATE FUNCTION {}({} text) RETURNS int LANGUAGE sql AS 'SELECT 1'").format(table, column))
    view = {"name": "v " + name[:50], "base": name, "select": [name[:40], "body"]}
    rpc = {"name": name, "signature": "(text)", "grant_to": ["anon"]}
    owned = {**OWNED, "name": name, "owner_column": name[:40], "force_owner_on_insert": True}
    for _ in range(2):
        answer = apply(owned, views=[view], rpcs=[rpc])
        assert answer.status_code == 200, answer.text
    insert = sql.SQL("INSERT INTO {} (body) VALUES ('x') RETURNING {}::text").format(table, column).as_string()
    assert rows(db, insert, "authenticated", A) == [A]
    assert rows(db, sql.SQL("SELECT {}('x')").format(table).as_string(), "anon") == [1]
    assert apply().json()["dropped"]["tables"] == [name]


# --- through REST ---


@pytest.fixture
def rest(client: httpx.Client, project: dict[str, Any]) -> Callable[..., httpx.Response]:
    """A request to /rest/v1 as anon, or with a token of the user."""

    def send(method: str, path: str, user: str | None = None, prefer: str = "", **options: Any) -> httpx.Response:
        headers = {"apikey": project["anon_key"], "Prefer": f"return=representation{prefer}"}
        if user is not None:
            claim = {"project_id": project["project_id"], "sub": user}
            headers["Authorization"] = client.post("/auth/v1/dev-tokens", json=claim).json()["authorization"]
        return client.request(method, f"/rest/v1/{path}", headers=headers, **options)

    return send


def test_rest_callers_get_what_the_policy_says(db: Conn, apply: Apply, rest: Callable[..., httpx.Response]) -> None:
    assert rest("GET", "items").status_code in (401, 403, 404)
    apply({**OWNED, "force_owner_on_insert": True}, views=[VIEW])
    assert rest("GET", "items").status_code == 401
    assert rest("POST", "items", json={"title": "x"}).status_code == 401
    for user, title in ((A, "of a"), (B, "of b")):
        assert rest("GET", "items?select=title", user).json() == [{"title": title}]
        assert rest("GET", "titles", user).json() == [{"title": title}]
        assert rest("PATCH", "items?title=neq.none", user, json={"title": title}).json()[0]["user_id"] == user
    created = rest("POST", "items", A, json={"title": "mine"})
    assert (created.status_code, created.json()[0]["user_id"]) == (201, A)
    assert rest("POST", "items", A, json={"title": "x", "user_id": B}).status_code == 403
    assert [row["title"] for row in rest("DELETE", "items?id=gt.0", B).json()] == ["of b"]
    apply(READ_ONLY)
    assert len(rest("GET", "items").json()) == 2
    assert rest("POST", "items", json={"title": "x"}).status_code == 401
    assert rest("POST", "items", B, json={"title": "x"}).status_code == 201
    apply(OPEN)
    assert rest("POST", "items", json={"title": "from anyone"}).status_code == 201
    apply()
    assert rest("GET", "items").status_code in (401, 403, 404)


@pytest.mark.parametrize("kind", ["serial", "int GENERATED BY DEFAULT AS IDENTITY", "int GENERATED ALWAYS AS IDENTITY"])
def test_who_may_insert_may_leave_the_key_to_its_default(
    client: httpx.Client,
    project: dict[str, Any],
    service: dict[str, str],
    apply: Apply,
    rest: Callable[..., httpx.Response],
    kind: str,
) -> None:
    text = f"CREATE TABLE ticks (id {kind} PRIMARY KEY, n int DEFAULT 5, owner text)"
    made = client.post(f"/projects/v1/admin/{project['project_id']}/sql", content=text, headers=service)
    assert made.status_code == 200, made.text
    table = {"name": "ticks", "expose": True, "policy": "public_read_write_UNRESTRICTED"}
    apply({**table, "i_understand_this_is_unrestricted": True})
    rows: list[dict[str, Any]] = [{"n": 1}, {"owner": "x"}] if "ALWAYS" in kind else [{"n": 1}, {"id": 9}]
    for user in (None, A):
        made = rest("POST", "ticks?columns=id,n", user, json=rows, prefer=", missing=default")
        assert made.status_code == 201, made.text
        assert [row["n"] for row in made.json()] == [1, 5]
        assert rest("DELETE", "ticks?id=gt.0", user).status_code == 200
        changed = rest("PATCH", "ticks?columns=id,n&id=gt.0", user, json={}, prefer=", missing=default")
        assert (changed.status_code, changed.json()) == (200, [])


def test_rest_calls_only_granted_functions(
    client: httpx.Client,
    project: dict[str, Any],
    service: dict[str, str],
    apply: Apply,
    rest: Callable[..., httpx.Response],
) -> None:
    """The function is made by admin SQL, as a user would make it."""
    text = "CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT n * 2'"
    made = client.post(f"/projects/v1/admin/{project['project_id']}/sql", content=text, headers=service)
    assert made.status_code == 200, made.text
    assert rest("POST", "rpc/twice", json={"n": 4}).status_code >= 400
    apply(rpcs=[{"name": "twice", "signature": "(n int)", "grant_to": ["authenticated"]}])
    assert rest("POST", "rpc/twice", json={"n": 4}).status_code in (401, 403)
    assert rest("POST", "rpc/twice", A, json={"n": 4}).json() == 8


def test_admin_sql_that_opens_a_table_up_does_not_last(
    db: Conn, client: httpx.Client, project: dict[str, Any], service: dict[str, str], apply: Apply
) -> None:
    apply(OWNED)
    text = "ALTER TABLE items DISABLE ROW LEVEL SECURITY; CREATE TABLE later (id int)"
    answer = client.post(f"/projects/v1/admin/{project['project_id']}/sql", content=text, headers=service)
    assert answer.status_code == 200, answer.text
    assert titles(db, "authenticated", A) == ["of a"]
    assert rows(db, "SELECT id FROM later", "anon") == "denied"
    assert rows(db, "SELECT id FROM later", "service_role") == []


# --- routes ---


def test_reading_shows_the_live_surface_then_the_applied_manifest(
    db: Conn, client: httpx.Client, project: dict[str, Any], service: dict[str, str], apply: Apply
) -> None:
    path = f"/projects/v1/admin/{project['project_id']}/expose"
    before = client.get(path, headers=service).json()
    assert before["source"] == "introspected"
    assert before["manifest"] == {
        "version": "1",
        "tables": [{"name": "items", "expose": False}],
        "views": [],
        "rpcs": [],
    }
    apply(OWNED)
    assert client.get(path, headers=service).json() == {
        "status": "ok",
        "project_id": project["project_id"],
        "source": "applied",
        "manifest": {"version": "1", "tables": [OWNED], "views": [], "rpcs": []},
    }


def test_an_introspected_surface_can_be_applied_as_it_is(
    db: Conn, client: httpx.Client, project: dict[str, Any], service: dict[str, str]
) -> None:
    db.execute("ALTER TABLE items ENABLE ROW LEVEL SECURITY; GRANT SELECT ON items TO anon")
    db.execute("CREATE POLICY mine ON items FOR SELECT TO anon USING (title = 'of a')")
    db.execute("CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT 1'; GRANT EXECUTE ON FUNCTION f TO anon")
    path = f"/projects/v1/admin/{project['project_id']}/expose"
    manifest = client.get(path, headers=service).json()["manifest"]
    assert manifest["rpcs"] == [{"name": "f", "signature": "(a integer)", "grant_to": ["anon"]}]
    assert manifest["tables"][0]["policy"] == "custom"
    db.execute("DROP POLICY mine ON items")
    assert client.post(path, headers=service, json=manifest).status_code == 200
    assert titles(db, "anon") == ["of a"]
    assert rows(db, "SELECT f(1)", "anon") == [1]


def test_validation_sees_the_live_schema_and_the_migration_and_writes_nothing(
    db: Conn, client: httpx.Client, project: dict[str, Any], service: dict[str, str]
) -> None:
    path = f"/projects/v1/admin/{project['project_id']}/expose/validate"
    manifest = {"version": "1", "tables": [OWNED, {**READ_ONLY, "name": "later"}]}
    answer = client.post(path, headers=service, json={"manifest": manifest}).json()
    assert answer["hasErrors"] is True
    assert [issue["type"] for issue in answer["errors"]] == ["missing-table"]
    body = {"manifest": manifest, "migration_sql": "CREATE TABLE later (id int)"}
    assert client.post(path, headers=service, json=body).json() == {"hasErrors": False, "errors": [], "warnings": []}
    assert db.execute("SELECT to_regclass('later')").fetchone() == (None,)
    assert titles(db, "anon") == "denied"


def test_validation_without_a_project_uses_only_the_migration(client: httpx.Client) -> None:
    path = "/projects/v1/expose/validate"
    body = {"manifest": {"version": "1", "tables": [READ_ONLY]}, "migration_sql": "CREATE TABLE items (id int)"}
    assert client.post(path, json=body).json() == {"hasErrors": False, "errors": [], "warnings": []}
    answer = client.post(path, json={"manifest": "{not json"}).json()
    assert [issue["type"] for issue in answer["errors"]] == ["schema-shape"]
    assert client.post(path, json={}).status_code == 400
    assert client.post(path, json={"manifest": {}, "migration_sql": 1}).status_code == 400


@pytest.mark.parametrize(("method", "tail"), [("POST", ""), ("GET", ""), ("POST", "/validate")])
def test_the_service_key_is_needed(client: httpx.Client, project: dict[str, Any], method: str, tail: str) -> None:
    path = f"/projects/v1/admin/{project['project_id']}/expose{tail}"
    assert client.request(method, path, json={"manifest": {}}).status_code == 401
    anon = {"Authorization": f"Bearer {project['anon_key']}"}
    assert client.request(method, path, json={"manifest": {}}, headers=anon).status_code == 401
    unknown = "/projects/v1/admin/prj_0000000000000000/expose" + tail
    assert client.request(method, unknown, json={"manifest": {}}, headers=anon).status_code == 404
