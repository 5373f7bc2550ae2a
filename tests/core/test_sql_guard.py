from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run402_cli.core.sql import guard
from run402_cli.core.sql.guard import find_blocked, statements

REFUSED = [
    "copy members to program 'id'",
    "select 1; copy members from '/etc/passwd'",
    "ALTER SYSTEM SET fsync = off",
    "set search_path to public",
    "set local search_path to public",
    "create function f() returns int language sql set search_path = public as 'select 1'",
    "set role anon",
    "SET SESSION AUTHORIZATION postgres",
    "reset role",
    "create schema other",
    "drop schema public cascade",
    "grant select on members to anon",
    "alter default privileges grant select on tables to anon",
    "revoke all on members from service_role",
    "create role x",
    "create user x superuser",
    "drop role anon",
    "alter role anon superuser",
    "drop database run402",
    "select * from internal.core_projects",
    'select * from "internal" . core_projects',
    "select auth.uid()",
    "select * from project_0123456789abcdef.todos",
    "select postgrest . pre_config()",
    "select 'it''s' ; grant all on t to anon",
    "select E'\\'' ; grant all on t to anon",
    "select $a$ $b$ $a$; grant all on t to anon",
    "select 1 /* /* nested */ still */; drop schema x",
]
ALLOWED = [
    "select 'GRANT' as g, $$ drop schema x $$ as d",
    "select 1 -- grant",
    "select 1 /* drop schema x */",
    'select 1 as "grant"',
    'select "create" "extension" from t',
    "update members set role = 'admin' where id = 1",
    "insert into m (id, role) values (1, 'a') on conflict (id) do update set role = excluded.role",
    "select m.role, project_members.id from project_members join m on true",
    "create table courses (id int, copy text, program text)",
    "select t.revoke from t",
    "select uid()",
    "select E'a\\'; grant all on t to anon; --'",
    "create function f() returns int language plpgsql as $fn$ begin return 1; end $fn$",
    "begin; insert into t values (1); commit",
]


@pytest.mark.parametrize("text", REFUSED)
def test_guarded_statements_are_refused_with_an_alternative(text: str) -> None:
    blocked = find_blocked(text)
    assert blocked is not None
    assert blocked.hint


@pytest.mark.parametrize("text", ALLOWED)
def test_the_same_words_as_data_are_allowed(text: str) -> None:
    assert find_blocked(text) is None


@given(st.text(alphabet="abgrnt'\"$/*-\\;. \nEeU&1é", max_size=60))
def test_any_text_is_tokenized_without_an_exception(text: str) -> None:
    list(statements(text))
    find_blocked(text)


@given(st.text(alphabet="ab'$ \n", max_size=30))
def test_a_grant_after_a_closed_literal_is_found(inner: str) -> None:
    literal = "'" + inner.replace("'", "''") + "'"
    assert find_blocked(f"select {literal}; grant all on t to anon") is not None


def test_a_statement_has_so_many_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "MOST_TOKENS", 100)
    assert find_blocked("SELECT 1" + ",1" * 49 + "; SELECT 1" + ",1" * 49) is None
    found = find_blocked("SELECT 1; SELECT 1" + ",1" * 50)
    assert found is not None
    assert "100 words" in found.statement and "--body-file" in found.hint
    # What stands before it is told first.
    assert find_blocked("GRANT x; SELECT 1" + ",1" * 50) == find_blocked("GRANT x")
