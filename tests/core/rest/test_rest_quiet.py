"""Which tables are read in a session that needs no cleaning: nothing that a project wrote can change it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import psycopg
import pytest
from database_kit import Databases

from run402_cli.core.rest import quiet

SCHEMA = """
CREATE SCHEMA shop; SET search_path = shop;
CREATE TABLE plain (id int PRIMARY KEY);
CREATE FUNCTION mine(owner text) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT true';
CREATE TABLE policed (id int PRIMARY KEY, owner text, body text);
ALTER TABLE policed ENABLE ROW LEVEL SECURITY;
"""
Found = Callable[[str], quiet.Quiet]
Tables = Callable[[str], frozenset[str]]


@pytest.fixture
def found(databases: Databases) -> Iterator[Found]:
    """What is quiet after a statement."""

    async def look(url: str) -> quiet.Quiet:
        async with await psycopg.AsyncConnection.connect(url, options="-c search_path=pg_catalog") as conn:
            return await quiet.relations(conn, "shop")

    with databases.one() as url, psycopg.connect(url, autocommit=True) as owner:
        owner.execute(SCHEMA)

        def after(statement: str) -> quiet.Quiet:
            owner.execute(statement.encode())
            return asyncio.run(look(url))

        yield after


@pytest.fixture
def tables(found: Found) -> Tables:
    return lambda statement: found(statement).relations


@pytest.mark.parametrize("condition", ["true", "owner = auth.uid()", "lower(body) = body AND id > 3"])
def test_a_policy_of_claims_and_columns_does_not_look_at_the_request(found: Found, condition: str) -> None:
    assert found(f"CREATE POLICY p ON policed USING ({condition})").unasking == {"plain", "policed"}


@pytest.mark.parametrize(
    "condition",
    [
        "current_setting('request.headers', true) LIKE '%a%'",
        "body = current_setting('request.method')",
        "EXISTS (SELECT FROM pg_catalog.pg_settings WHERE name = 'request.path')",
        "body IN (SELECT setting FROM pg_catalog.pg_show_all_settings() WHERE name = 'request.cookies')",
    ],
)
def test_a_policy_that_may_look_at_it_does(found: Found, condition: str) -> None:
    silent = found(f"CREATE POLICY p ON policed FOR SELECT USING ({condition})")
    assert "policed" not in silent.unasking
    assert "plain" in silent.unasking


@pytest.mark.parametrize(
    "condition", ["true", "owner = auth.uid()", "lower(body) = body", "id < extract(year FROM now())", "body ~ '^a'"]
)
def test_a_policy_that_only_compares_is_quiet(tables: Tables, condition: str) -> None:
    assert tables(f"CREATE POLICY p ON policed USING ({condition})") == {"plain", "policed"}


@pytest.mark.parametrize(
    "condition",
    [
        "set_config('run402.left', body, false) IS NOT NULL",
        "query_to_xml('select 1', true, true, '') IS NOT NULL",
        "table_to_xml('pg_class', true, true, '') IS NOT NULL",
        "id > 0 AND CASE WHEN owner IS NULL THEN pg_try_advisory_lock(id) ELSE true END",
        "EXISTS (SELECT FROM plain)",
        "mine(owner)",
    ],
)
@pytest.mark.parametrize("use", ["USING", "FOR INSERT WITH CHECK"])
def test_a_policy_that_may_change_the_session_is_not(tables: Tables, condition: str, use: str) -> None:
    assert tables(f"CREATE POLICY p ON policed {use} ({condition})") == {"plain"}


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE FUNCTION shown(policed) RETURNS text LANGUAGE sql STABLE AS 'SELECT 1'",
        "CREATE FUNCTION anything(anyelement) RETURNS text LANGUAGE sql STABLE AS 'SELECT 1'",
        "CREATE FUNCTION count(int) RETURNS int LANGUAGE sql STABLE AS 'SELECT 1'",
        "CREATE OPERATOR = (LEFTARG = int, RIGHTARG = text, FUNCTION = int4eq_text)",
    ],
)
def test_names_that_a_compiled_statement_uses_must_be_postgresqls(tables: Tables, statement: str) -> None:
    tables("CREATE FUNCTION int4eq_text(int, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'")
    assert tables(statement) == frozenset()


def test_views_and_columns_of_own_types_are_not_quiet(tables: Tables) -> None:
    tables("CREATE TYPE mood AS ENUM ('fine')")
    tables("CREATE TABLE moods (mood mood)")
    tables("CREATE TABLE parts (id int) PARTITION BY RANGE (id)")
    tables("CREATE TABLE part PARTITION OF parts DEFAULT")
    assert "shown" not in tables("CREATE VIEW shown AS SELECT * FROM plain")
    assert {"moods", "parts"}.isdisjoint(tables("SELECT 1"))


def test_a_write_of_plain_columns_is_quiet(found: Found) -> None:
    made = """CREATE TABLE lines (id uuid DEFAULT gen_random_uuid(), at timestamptz DEFAULT now(),
      owner text DEFAULT auth.uid(), name text DEFAULT lower('A') CHECK (length(name) < 9),
      twice text GENERATED ALWAYS AS (name || name) STORED)"""
    assert found(made).written == {"plain", "policed", "lines"}


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER t AFTER INSERT ON lines EXECUTE FUNCTION tell()",
        "CREATE RULE r AS ON INSERT TO lines DO ALSO INSERT INTO plain VALUES (1)",
        "ALTER TABLE lines ADD COLUMN n serial",
        "ALTER TABLE lines ADD COLUMN n int GENERATED ALWAYS AS IDENTITY",
        "ALTER TABLE lines ADD FOREIGN KEY (id) REFERENCES plain",
        "ALTER TABLE lines ALTER COLUMN id SET DEFAULT mine('a')::int",
        "ALTER TABLE lines ALTER COLUMN name SET DEFAULT set_config('run402.left', 'a', false)",
        "ALTER TABLE lines ADD CHECK (set_config('run402.left', name, false) <> '')",
        "ALTER TABLE lines ADD CHECK (query_to_xml(name, true, true, '') IS NOT NULL)",
        "ALTER TABLE lines ADD CHECK (domain_in('1', 'int4'::regtype, -1) IS NOT NULL)",
        "ALTER TABLE lines ADD UNIQUE (name) DEFERRABLE INITIALLY DEFERRED",
        "CREATE UNIQUE INDEX ON lines (sure(name))",
    ],
)
def test_a_write_that_runs_more_is_not(found: Found, statement: str) -> None:
    found("CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
    found("CREATE FUNCTION sure(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1'")
    assert "lines" in found("CREATE TABLE lines (id int, name text)").written
    assert "lines" not in found(statement).written


def test_a_part_of_a_table_is_written_by_the_rules_of_the_whole(found: Found) -> None:
    found("CREATE TABLE whole (id int) PARTITION BY RANGE (id)")
    silent = found("CREATE TABLE part PARTITION OF whole DEFAULT")
    assert {"whole", "part"}.isdisjoint(silent.written)
