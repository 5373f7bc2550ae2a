"""The pure half of expose: SQL text, signatures, the manifest's form, and names checked against migration SQL."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run402_cli.core.expose import signatures, validate_alone
from run402_cli.core.expose.custom_sql import check_expression
from run402_cli.core.expose.ddl_reader import Schema, read_migrations
from run402_cli.core.expose.model import MAX_NAME_BYTES, parse
from run402_cli.core.expose.policies import derived_name
from run402_cli.core.sql.lexer import SqlTextError, statements


def read(sql: str) -> Schema:
    schema = Schema()
    read_migrations(sql, schema, own_schema="project_a")
    return schema


def found(manifest: Any, migration_sql: str | None = None) -> list[tuple[str, str]]:
    report = validate_alone(manifest, migration_sql)
    return [(issue["severity"], issue["type"]) for issue in [*report.errors, *report.warnings]]


def table(**fields: Any) -> dict[str, Any]:
    return {"version": "1", "tables": [{"name": "items", "expose": True, **fields}]}


ITEMS = "CREATE TABLE items (id bigint PRIMARY KEY, user_id uuid NOT NULL, title text);"
OPEN = {"policy": "public_read_authenticated_write"}


# --- conditions ---


@pytest.mark.parametrize("sql", ["true); DROP TABLE x; --", "a) OR (b", "(a", "", "-- nothing", "x = $1", "a;b"])
def test_a_condition_cannot_leave_its_parentheses(sql: str) -> None:
    with pytest.raises(SqlTextError):
        check_expression(sql)


@pytest.mark.parametrize("sql", ["score > 0", "name = ');--'", "(a or b) and c -- why", "x in (1, 2)"])
def test_an_honest_condition_is_accepted(sql: str) -> None:
    check_expression(sql)


@given(st.text(alphabet="abc'\"$/*-;() \n\\EeuU&xX1_", max_size=60))
def test_any_text_is_read_or_refused_with_one_error_type(sql: str) -> None:
    try:
        statements(sql)
    except SqlTextError:
        return
    read(sql)


# --- signatures ---


@pytest.mark.parametrize(
    ("manifest", "catalog"),
    [
        ("()", "()"),
        ("(uuid)", "(user_id uuid)"),
        ("(user_id UUID)", "(uuid)"),
        ("(int, varchar(20))", "(a integer, b character varying)"),
        ("(timestamptz, float8)", "(timestamp with time zone, double precision)"),
        ("(ids int[])", "(integer array)"),
        ("(n numeric(10,2) default 1, s text = 'a')", "(numeric, text)"),
        ("(IN a text, OUT b int)", "(text)"),
        ("(x public.citext)", "(citext)"),
        ("(timestamp without time zone)", "(at timestamp)"),
        ('("Odd Name" int)', "(integer)"),
    ],
)
def test_the_same_arguments_in_two_spellings_are_equal(manifest: str, catalog: str) -> None:
    assert signatures.parse(manifest).types == signatures.parse(catalog).types


@pytest.mark.parametrize("text", ["", "int", "(int", "(int))", "(int) (text)", "(a;b)", "('x)"])
def test_what_is_no_argument_list_is_refused(text: str) -> None:
    with pytest.raises(SqlTextError):
        signatures.parse(text)


# --- migrations ---


def test_created_altered_renamed_and_dropped_names_are_followed() -> None:
    schema = read(
        """
        CREATE TABLE IF NOT EXISTS "Odd Table" ("Weird ""col" int, b double precision DEFAULT (1 + 2), UNIQUE (b),
          CONSTRAINT x CHECK (b > 0));
        CREATE UNLOGGED TABLE project_a.items (id serial, owner varchar(40) NOT NULL REFERENCES users (id));
        ALTER TABLE ONLY items ADD COLUMN IF NOT EXISTS score int, ADD note text, ADD CONSTRAINT c UNIQUE (score),
          DROP COLUMN note, ALTER COLUMN owner TYPE uuid USING owner::uuid;
        ALTER TABLE items RENAME COLUMN score TO points;
        ALTER TABLE "Odd Table" RENAME TO odd;
        CREATE TABLE gone (id int); DROP TABLE IF EXISTS gone CASCADE;
        CREATE TABLE elsewhere.hidden (id int); CREATE TEMP TABLE scratch (id int);
        CREATE OR REPLACE FUNCTION add(a int, b int default 2) RETURNS int LANGUAGE sql AS $$ SELECT 1; SELECT 2 $$;
        CREATE FUNCTION add(text) RETURNS text LANGUAGE sql AS 'select 1';
        DROP FUNCTION add(text);
        CREATE VIEW top (name, n) AS SELECT 1, 2;
        """
    )
    assert schema.doubts == []
    assert schema.relations["odd"].columns == {'Weird "col': "integer", "b": "double precision"}
    assert schema.relations["items"].columns == {"id": "integer", "owner": "uuid", "points": "integer"}
    assert set(schema.relations) == {"odd", "items", "top"}
    assert [signature.types for signature in schema.functions["add"]] == [("integer", "integer")]


@pytest.mark.parametrize(
    "sql",
    [
        "DO $$ BEGIN EXECUTE 'CREATE TABLE items (id int)'; END $$",
        "SET search_path = other",
        "CREATE TABLE items (id int); SELECT 'unclosed",
        "SELECT 1 AS id INTO things",
        "CREATE TABLE (id int)",
        "CALL make_tables()",
    ],
)
def test_sql_that_cannot_be_told_leaves_a_doubt(sql: str) -> None:
    assert read(sql).doubts


# --- the manifest's form ---


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        ([], "not a JSON object"),
        ({"version": 1}, "version"),
        ({"tables": {}}, "tables is"),
        ({"tables": ["items"]}, "tables[0]"),
        ({"tables": [{"expose": True}]}, "name is missing"),
        ({"tables": [{"name": "", "expose": False}]}, "name is empty"),
        ({"tables": [{"name": "é" * 32, "expose": False}]}, "longer than 63 bytes"),
        ({"tables": [{"name": "items"}]}, "expose is missing"),
        ({"tables": [{"name": "items", "expose": "yes"}]}, "expose is 'yes'"),
        (table(), "needs a policy"),
        (table(policy="public_read"), "policy 'public_read' is not known"),
        (table(policy="user_owns_rows"), "needs owner_column"),
        (table(policy="custom"), "needs custom_sql"),
        (table(**OPEN, polcy="x"), "unknown key 'polcy'"),
        ({"tables": [{"name": "a", "expose": False}, {"name": "a", "expose": False}]}, "declared twice"),
        ({"tables": [{"name": "a\0", "expose": False}]}, "U+0000"),
        ({"tables": [{"name": "\ud800", "expose": False}]}, "surrogate"),
        ({"views": [{"name": "v", "base": "items", "select": []}]}, "select is not a list"),
        ({"views": [{"name": "v", "base": "items", "select": ["a", "a"]}]}, "twice"),
        ({"views": [{"name": "v", "base": "items", "select": ["a"], "filter": "a) or (b"}]}, "filter"),
        ({"views": [{"name": "v", "base": "b", "select": ["a"], "fliter": "a"}]}, "unknown key"),
        ({"rpcs": [{"name": "f", "grant_to": ["anon"]}]}, "signature"),
        ({"rpcs": [{"name": "f", "signature": "(a;b)", "grant_to": ["anon"]}]}, "signature"),
        ({"rpcs": [{"name": "f", "signature": "()", "grant_to": []}]}, "grant_to"),
        (
            {"rpcs": [{"name": "f", "signature": s, "grant_to": ["anon"]} for s in ("(int)", "(a integer)")]},
            "declared twice",
        ),
    ],
)
def test_a_malformed_manifest_is_named_schema_shape(manifest: Any, expected: str) -> None:
    _, report = parse(manifest)
    assert [issue["type"] for issue in report.errors] == ["schema-shape"] * len(report.errors)
    assert any(expected in issue["detail"] for issue in report.errors), report.errors


def test_sections_version_and_null_options_may_be_left_out() -> None:
    for manifest in ({}, {"version": "1", "tables": None}, {"$schema": "x", **table(**OPEN, owner_column=None)}):
        _, report = parse(manifest)
        assert report.errors == [] and report.warnings == []


def test_an_unknown_section_is_only_a_warning() -> None:
    _, report = parse({"version": "1", "tabels": []})
    assert report.errors == []
    assert report.warnings[0].get("fix") == "Did you mean tables?"


def test_all_violations_are_reported_at_once() -> None:
    _, report = parse({"version": 2, "tables": [{"name": "a"}, {"expose": 1}], "rpcs": [{}]})
    assert len(report.errors) == 7


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("DROP TABLE items", "may only contain CREATE POLICY"),
        ("CREATE POLICY p ON items USING (true); GRANT ALL ON items TO anon", "may only contain CREATE POLICY"),
        ("CREATE POLICY p ON other USING (true)", "not on items"),
        ("CREATE POLICY p ON project_b.items USING (true)", "not on items"),
        ("CREATE POLICY p ON items USING (true); CREATE POLICY p ON items USING (true)", "twice"),
        ("CREATE POLICY run402_x ON items USING (true)", "kept for generated"),
        ("CREATE POLICY p", "`CREATE POLICY p` does not say ON"),
        ("-- nothing", "no statement"),
        ("CREATE POLICY p ON items USING ('open)", "could not be read"),
        ("CREATE POLICY p ON items USING (a = $1)", "parameter"),
    ],
)
def test_custom_sql_is_confined_to_policies_of_its_table(sql: str, expected: str) -> None:
    _, report = parse(table(policy="custom", custom_sql=sql), schema_slot="project_a")
    assert any(expected in issue["detail"] for issue in report.errors), report.errors


def test_custom_sql_may_quote_and_qualify() -> None:
    sql = 'CREATE POLICY "a;b" ON project_a."items" USING (true) /* ; */;'
    sql += " CREATE POLICY c ON items FOR INSERT WITH CHECK (true);"
    manifest, report = parse(table(policy="custom", custom_sql=sql), schema_slot="project_a")
    assert report.errors == []
    assert [policy.name for policy in manifest.tables[0].custom_policies] == ["a;b", "c"]


# --- names, without a project ---


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        (table(**OPEN), []),
        ({"tables": [{"name": "itms", "expose": True, **OPEN}]}, [("error", "missing-table")]),
        (table(policy="user_owns_rows", owner_column="user_id"), []),
        (table(policy="user_owns_rows", owner_column="owner"), [("error", "missing-column")]),
        (table(policy="user_owns_rows", owner_column="title"), []),
        (table(policy="user_owns_rows", owner_column="id"), [("warning", "owner-column-type")]),
        (table(policy="public_read_write_UNRESTRICTED"), [("error", "unrestricted-ack-required")]),
        (table(**OPEN, force_owner_on_insert=True), [("error", "force-owner-without-owner-column")]),
        ({"views": [{"name": "v", "base": "nope", "select": ["id"]}]}, [("error", "missing-view-base")]),
        (
            {**table(**OPEN), "views": [{"name": "v", "base": "items", "select": ["nope"]}]},
            [("error", "missing-column")],
        ),
        ({"rpcs": [{"name": "f", "signature": "(int)", "grant_to": ["anon"]}]}, [("error", "missing-rpc")]),
        ({"rpcs": [{"name": "g", "signature": "(n)", "grant_to": ["anon"]}]}, [("error", "ambiguous-rpc")]),
        ({"rpcs": [{"name": "g", "signature": "(text)", "grant_to": ["root"]}]}, [("error", "grant-to-role-unknown")]),
    ],
)
def test_names_are_checked_against_the_migration(manifest: Any, expected: list[tuple[str, str]]) -> None:
    functions = "CREATE FUNCTION g(n int) RETURNS int AS 'x'; CREATE FUNCTION g(n text) RETURNS int AS 'x';"
    assert found(manifest, ITEMS + functions) == expected


def test_a_sensitive_column_with_public_writes_is_a_warning() -> None:
    manifest = table(policy="public_read_write_UNRESTRICTED", i_understand_this_is_unrestricted=True)
    assert found(manifest, "CREATE TABLE items (id int, api_key text, monkey text)") == [
        ("warning", "sensitive-column-public-write")
    ]


def test_a_missing_name_is_only_a_warning_when_the_sql_is_unclear() -> None:
    assert found(table(**OPEN), "DO $$ BEGIN END $$") == [("warning", "validation-inconclusive")]


def test_without_project_and_sql_names_are_said_to_be_unchecked() -> None:
    assert found(table(**OPEN)) == [("warning", "validation-inconclusive")]
    assert found({}) == []


def test_derived_names_fit_and_stay_apart() -> None:
    assert derived_name("items", "_set_owner") == "items_set_owner"
    long = {derived_name("é" * 30 + tail, "_set_owner_fn") for tail in ("a", "b")}
    assert len(long) == 2
    assert all(len(name.encode()) <= MAX_NAME_BYTES for name in long)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["version", "tables", "views", "rpcs", "name", "expose", "policy", "select", "signature", "base"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(json_values)
def test_any_json_is_parsed_or_reported(manifest: Any) -> None:
    _, report = parse(manifest)
    assert report.errors or isinstance(manifest, dict)
