"""A copy of a schema is the same in all that a user can see, and independent of its source."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from copies_kit import in_schema
from gateway_kit import Live

from run402_cli.core.copies import schemas as copies
from run402_cli.core.copies.schemas import copy_schema
from run402_cli.core.errors import CoreProcessError, GatewayError
from run402_cli.core.projects.role_rows import open_schema
from run402_cli.core.projects.rows import begin_schema, find

SCRIPT = """
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE DOMAIN email AS text CHECK (VALUE LIKE '%@%');
CREATE TYPE pair AS (a int, b mood);
CREATE FUNCTION email_json(email) RETURNS json LANGUAGE sql IMMUTABLE AS 'SELECT to_json($1)';
CREATE CAST (email AS json) WITH FUNCTION email_json(email) AS IMPLICIT;
CREATE CAST (text AS mood) WITH INOUT AS ASSIGNMENT;
CREATE FUNCTION length_of(pair, int, boolean) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1.a';
CREATE CAST (pair AS int) WITH FUNCTION length_of(pair, int, boolean);
CREATE TABLE people (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL UNIQUE,
  mood mood DEFAULT 'happy',
  moods mood[],
  mail email,
  pair pair,
  shout text GENERATED ALWAYS AS (upper(name)) STORED
);
CREATE TABLE notes (
  id serial PRIMARY KEY,
  person int REFERENCES people ON DELETE CASCADE,
  body text CHECK (length(body) > 1),
  at timestamptz DEFAULT now()
);
CREATE INDEX notes_body ON notes (lower(body));
CREATE TABLE parts (k int, v text) PARTITION BY RANGE (k);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE VIEW happy AS SELECT name FROM people WHERE mood = 'happy';
CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM people;
CREATE FUNCTION people_count() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM people';
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.body := NEW.body || '!'; RETURN NEW; END $$;
CREATE TRIGGER stamp BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION stamp();
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes FOR SELECT TO authenticated USING (auth.uid() = body);
GRANT SELECT (name) ON people TO anon;
COMMENT ON TABLE people IS 'who';
INSERT INTO people (name, moods, mail, pair) VALUES ('ann', '{sad,happy}', 'a@b', '(1,sad)');
INSERT INTO people (name, mood) VALUES ('bob', 'sad');
INSERT INTO notes (person, body) VALUES (1, 'hello');
INSERT INTO parts VALUES (3, 'three');
REFRESH MATERIALIZED VIEW counted;
"""
CATALOG = """
SELECT 'column', table_name || '.' || column_name, data_type || coalesce(column_default, '') || is_nullable
FROM information_schema.columns WHERE table_schema = %(slot)s
UNION ALL SELECT 'constraint', conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = %(slot)s::regnamespace
UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = %(slot)s
UNION ALL SELECT 'policy', policyname, coalesce(qual, '') || roles::text FROM pg_policies WHERE schemaname = %(slot)s
UNION ALL SELECT 'view', viewname, definition FROM pg_views WHERE schemaname = %(slot)s
UNION ALL SELECT 'trigger', tgname, pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
WHERE relnamespace = %(slot)s::regnamespace AND NOT tgisinternal
UNION ALL SELECT 'function', proname, pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = %(slot)s::regnamespace
UNION ALL SELECT 'relation', relname, relkind::text || relrowsecurity::text || coalesce(relacl::text, '')
FROM pg_class WHERE relnamespace = %(slot)s::regnamespace
UNION ALL SELECT 'grant', attname, attacl::text FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
WHERE relnamespace = %(slot)s::regnamespace AND attacl IS NOT NULL
UNION ALL SELECT 'comment', relname, obj_description(oid) FROM pg_class
WHERE relnamespace = %(slot)s::regnamespace AND obj_description(oid) IS NOT NULL
UNION ALL SELECT 'cast', castsource::regtype::text || ' ' || casttarget::regtype::text,
  castmethod::text || castcontext::text || castfunc::regprocedure::text
FROM pg_cast JOIN pg_type t ON t.oid IN (castsource, casttarget) WHERE t.typnamespace = %(slot)s::regnamespace
UNION ALL SELECT 'default', defaclobjtype::text, defaclacl::text FROM pg_default_acl
WHERE defaclnamespace = %(slot)s::regnamespace
UNION ALL SELECT 'schema', '', nspacl::text FROM pg_namespace WHERE nspname = %(slot)s
ORDER BY 1, 2, 3
"""


def catalog(url: str, slot: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True, options=f"-c search_path={slot}") as conn:
        rows = conn.execute(CATALOG.encode(), {"slot": slot}).fetchall()
    return [tuple(str(value).replace(slot, "SLOT") for value in row) for row in rows]


@pytest.fixture
def copied(live: Live, project: dict[str, Any]) -> Callable[[str], str]:
    def copy(script: str) -> str:
        in_schema(live.database_url, project["schema_slot"], script)
        target = "project_" + "c0" * 8

        async def work() -> None:
            async with live.gateway.connection() as conn:
                source = await find(conn, project["project_id"])
                assert source is not None
                await begin_schema(conn, target, live.gateway.identity, source.roles)
                await copy_schema(live.gateway, source.roles, source.schema_slot, target)
                await open_schema(conn, target, source.roles)

        live.run(work())
        return target

    return copy


def test_everything_in_the_schema_is_copied(live: Live, project: dict[str, Any], copied: Callable[[str], str]) -> None:
    target = copied(SCRIPT)
    original = catalog(live.database_url, project["schema_slot"])
    assert {row[0] for row in original} >= {"column", "policy", "trigger", "view", "grant", "comment", "cast"}
    assert catalog(live.database_url, target) == original


@pytest.mark.parametrize("table", ["people", "notes", "parts", "happy", "counted"])
def test_rows_are_copied(table: str, live: Live, project: dict[str, Any], copied: Callable[[str], str]) -> None:
    target = copied(SCRIPT)
    query = f"SELECT t::text FROM {table} t ORDER BY 1"
    rows = in_schema(live.database_url, target, query)
    assert rows and rows == in_schema(live.database_url, project["schema_slot"], query)


def test_sequences_go_on_where_they_were(live: Live, project: dict[str, Any], copied: Callable[[str], str]) -> None:
    target = copied(SCRIPT)
    assert in_schema(live.database_url, target, "INSERT INTO people (name) VALUES ('cyd') RETURNING id") == [(3,)]
    assert in_schema(live.database_url, target, "INSERT INTO notes (body) VALUES ('xy') RETURNING id") == [(2,)]
    slot = project["schema_slot"]
    assert in_schema(live.database_url, slot, "INSERT INTO people (name) VALUES ('dan') RETURNING id") == [(3,)]


def test_a_copy_does_not_touch_its_source(live: Live, project: dict[str, Any], copied: Callable[[str], str]) -> None:
    target = copied(SCRIPT)
    in_schema(live.database_url, target, "DELETE FROM people; DROP VIEW happy; ALTER TYPE mood ADD VALUE 'new'")
    slot = project["schema_slot"]
    assert in_schema(live.database_url, slot, "SELECT people_count(), (SELECT count(*) FROM happy)") == [(2, 1)]
    assert in_schema(live.database_url, target, "SELECT people_count()") == [(0,)]


def test_functions_that_name_their_schema_mean_the_copy(
    live: Live, project: dict[str, Any], copied: Callable[[str], str]
) -> None:
    slot = project["schema_slot"]
    target = copied(
        f"CREATE TABLE t (n int); CREATE FUNCTION rows() RETURNS bigint LANGUAGE plpgsql AS"
        f" $$ BEGIN RETURN (SELECT count(*) FROM {slot}.t); END $$; INSERT INTO t VALUES (1)"
    )
    in_schema(live.database_url, slot, "INSERT INTO t VALUES (2)")
    assert in_schema(live.database_url, target, "SELECT rows()") == [(1,)]


def test_an_empty_schema_can_be_copied(live: Live, copied: Callable[[str], str]) -> None:
    target = copied("SELECT 1")
    assert in_schema(live.database_url, target, "CREATE TABLE t (n int)") == []


def test_checks_may_call_functions_of_the_project(live: Live, copied: Callable[[str], str]) -> None:
    target = copied(
        "CREATE FUNCTION small() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 3';"
        "CREATE FUNCTION ok(n int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN n < small(); END';"
        "CREATE TABLE t (n int CHECK (ok(n))); INSERT INTO t VALUES (1)"
    )
    assert in_schema(live.database_url, target, "SELECT n FROM t") == [(1,)]


def test_without_the_wheel_pg_dump_is_taken_from_the_path_or_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> Path:
        raise CoreProcessError("CORE_DEPENDENCIES_MISSING", "The embedded PostgreSQL is not installed.")

    monkeypatch.setattr(copies, "binaries", missing)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GatewayError) as caught:
        copies._pg_dump()
    assert (caught.value.status, "pg_dump" in caught.value.message) == (422, True)
    program = tmp_path / ("pg_dump.exe" if os.name == "nt" else "pg_dump")
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert copies._pg_dump() == str(program)
