from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest
from database_kit import role_of
from gateway_kit import Live
from heartbeat import heartbeat
from psycopg import sql as psql
from psycopg.conninfo import conninfo_to_dict

from run402_cli.core.sql import results


class Sql:
    def __init__(self, client: httpx.Client, project: dict[str, Any]) -> None:
        self.client = client
        self.project = project
        self.url = f"/projects/v1/admin/{project['project_id']}/sql"
        self.headers = {"Authorization": f"Bearer {project['service_key']}"}

    def send(self, text: str, params: list[Any] | None = None) -> httpx.Response:
        if params is not None:
            return self.client.post(self.url, json={"sql": text, "params": params}, headers=self.headers)
        return self.client.post(self.url, content=text, headers={**self.headers, "Content-Type": "text/plain"})

    def ok(self, text: str, params: list[Any] | None = None) -> dict[str, Any]:
        response = self.send(text, params)
        assert response.status_code == 200, response.text
        body: dict[str, Any] = response.json()
        return body

    def error(self, text: str, params: list[Any] | None = None, status: int = 400) -> dict[str, Any]:
        response = self.send(text, params)
        assert response.status_code == status, response.text
        body: dict[str, Any] = response.json()
        return body


@pytest.fixture
def run(client: httpx.Client, project: dict[str, Any]) -> Sql:
    return Sql(client, project)


def test_a_query_answers_rows_with_their_types(run: Sql) -> None:
    answer = run.ok(
        "select 1 as a, 'x'::text as b, array['a']::text[] d, 1.5::numeric e, '{\"a\":1}'::jsonb f,"
        " timestamptz '2026-11-21 02:43:51.682Z' as c"
    )
    assert answer == {
        "status": "ok",
        "schema": run.project["schema_slot"],
        "rows": [{"a": 1, "b": "x", "d": ["a"], "e": "1.5", "f": {"a": 1}, "c": "2026-11-21T02:43:51.682Z"}],
        "row_count": 1,
        "fields": [
            {"name": "a", "type": "int4"},
            {"name": "b", "type": "text"},
            {"name": "d", "type": "text[]"},
            {"name": "e", "type": "numeric"},
            {"name": "f", "type": "jsonb"},
            {"name": "c", "type": "timestamptz"},
        ],
    }


def test_values_of_every_kind_are_json(run: Sql) -> None:
    row = run.ok(
        "select 3000000000::int8 big, '\\x0001'::bytea by, interval '1 day' iv, date '2026-01-01' d,"
        " timestamp '2026-01-01' ts, 1.5::float8 f8, true b, null n, array[1,2] ia, '12:00'::time t,"
        " '{\"a\":1}'::json j, uid() u, interval '1 year -2 mons 03:04:05.5' iv2, 'infinity'::float8 inf,"
        " array[[1,null],[3,4]] nested, array['a\"b','NULL',null,'x,y'] quoted, 'infinity'::timestamptz never"
    )["rows"][0]
    assert row == {
        "big": "3000000000",
        "by": {"type": "Buffer", "data": [0, 1]},
        "iv": {"days": 1},
        "d": "2026-01-01T00:00:00.000Z",
        "ts": "2026-01-01T00:00:00.000Z",
        "f8": 1.5,
        "b": True,
        "n": None,
        "ia": [1, 2],
        "t": "12:00:00",
        "j": {"a": 1},
        "u": "service",
        "iv2": {"months": 10, "hours": 3, "minutes": 4, "seconds": 5, "milliseconds": 500},
        "inf": "Infinity",
        "nested": [[1, None], [3, 4]],
        "quoted": ['a"b', "NULL", None, "x,y"],
        "never": "infinity",
    }


def test_parameters_are_typed_by_the_statement(run: Sql) -> None:
    run.ok("create table t (id int, tags text[], doc jsonb, list jsonb, n numeric, ok boolean)")
    values = [7, ["a", 'q"uote', None], {"k": [1]}, [1, {"x": "y"}], 1.25, True]
    run.ok("insert into t values ($1, $2, $3, $4, $5, $6)", values)
    row = run.ok("select * from t where id = $1 and tags @> $2", ["7", ["a"]])["rows"][0]
    assert row == {"id": 7, "tags": values[1], "doc": {"k": [1]}, "list": [1, {"x": "y"}], "n": "1.25", "ok": True}


def test_several_statements_answer_the_last_result_and_the_sum_of_counts(run: Sql) -> None:
    run.ok("create table todos (id bigserial primary key, title text)")
    answer = run.ok("insert into todos(title) values ('one'),('two'); select id, title from todos")
    assert answer["rows"] == [{"id": "1", "title": "one"}, {"id": "2", "title": "two"}]
    assert answer["row_count"] == 4
    updated = run.ok("update todos set title = 'x'")
    assert (updated["rows"], updated["row_count"], updated["fields"]) == ([], 2, [])
    created = run.ok("create table other (id int)")
    assert (created["rows"], created["row_count"], created["fields"]) == ([], 0, [])


def test_an_error_undoes_all_statements_and_says_where(run: Sql) -> None:
    run.ok("create table t (id int primary key)")
    body = run.error("insert into t values (1);\nselect *\nfrom nope")
    assert body["error"] == "sql_error"
    assert body["message"] == 'relation "nope" does not exist'
    assert body["sqlstate"] == "42P01"
    assert body["line"] == 3
    assert body["position"] == len("insert into t values (1);\nselect *\nfrom ") + 1
    assert run.ok("select count(*)::int as n from t")["rows"] == [{"n": 0}]


def test_an_error_carries_detail_hint_and_constraint(run: Sql) -> None:
    run.ok("create table t (id int primary key); insert into t values (1)")
    body = run.error("insert into t values (1)")
    assert body["sqlstate"] == "23505"
    assert body["detail"] == "Key (id)=(1) already exists."
    assert body["constraint_name"] == "t_pkey"
    assert "hint" in run.error("select lenght('x')") or "hint" in run.error("select ide from t")


@pytest.mark.parametrize("ending", ["commit", "rollback", "reset all", "end"])
def test_transaction_control_does_not_leave_the_schema(run: Sql, ending: str) -> None:
    answer = run.ok(f"begin; select 1; {ending}; select current_schema()::text as s, uid() as u")
    assert answer["rows"] == [{"s": run.project["schema_slot"], "u": "service"}]


def test_a_table_made_after_commit_is_in_the_project(run: Sql, database_url: str) -> None:
    run.ok("begin; create table first (id int); commit; create table second (id int)")
    with psycopg.connect(database_url) as conn:
        found = conn.execute(
            "select schemaname, tablename from pg_tables where tablename in ('first', 'second') order by 2"
        ).fetchall()
    assert found == [(run.project["schema_slot"], "first"), (run.project["schema_slot"], "second")]


def test_nothing_of_a_session_reaches_the_next_request(run: Sql) -> None:
    run.ok("create temporary table mine (id int); set statement_timeout = 1; select pg_advisory_lock(1)")
    run.ok("select pg_sleep(0.05)")
    assert run.error("select * from mine")["sqlstate"] == "42P01"
    assert run.ok("select pg_try_advisory_lock(1) as free")["rows"] == [{"free": True}]


def test_many_requests_at_once_all_get_a_connection(run: Sql) -> None:
    with ThreadPoolExecutor(80) as pool:
        answers = list(pool.map(lambda n: run.send(f"select pg_sleep(0.05), {n} as n"), range(80)))
    assert [answer.json()["rows"][0]["n"] for answer in answers] == list(range(80))


def test_two_statements_with_parameters_are_refused(run: Sql) -> None:
    assert run.error("select 1; select $1::int", [1])["error"] == "sql_error"


def test_a_dump_with_rows_of_copy_runs(run: Sql) -> None:
    dump = (
        "\ufeff\\restrict abc\nCREATE TABLE t (id int, v text);\n"
        "COPY t (id, v) FROM stdin;\n1\tit's; \\\\ \\N\n2\t\\N\n\\.\n\n"
        'COPY t FROM stdin WITH (FORMAT csv);\n3,"a\nb"\n\\.\n'
        "\\unrestrict abc\nSELECT id, v FROM t ORDER BY id;\n"
    )
    answer = run.ok(dump)
    assert answer["rows"] == [{"id": 1, "v": "it's; \\ N"}, {"id": 2, "v": None}, {"id": 3, "v": "a\nb"}]
    assert answer["row_count"] == 6
    many = "COPY t (id) FROM stdin;\n" + "".join(f"{n}\n" for n in range(50_000)) + "\\.\n"
    assert run.ok(many)["row_count"] == 50_000


@pytest.mark.parametrize(
    ("text", "status", "line", "told"),
    [
        ("select 1;\ncopy t from stdin;", 403, 2, "a line of nothing but"),
        ("copy t from stdin", 403, 1, "a line of nothing but"),
        ("copy t from stdin; 1\n\\.\n", 403, 1, "a line of nothing but"),
        ("copy t from stdin;\n1\n\\.x\n", 403, 1, "a line of nothing but"),
        ("select 1;\n\\connect other\n", 403, 2, "\\connect other, a command of the program psql"),
        ("select 1 \\gexec", 403, 1, "\\gexec, a command of the program psql"),
        ("copy t from stdin;\n1\n\\.\ncreate table u (a public.x);\n", 403, 4, "the schema public"),
        (
            "insert into t values (5);\ncopy t from stdin;\n7\nx\n\\.\n",
            400,
            None,
            "invalid input syntax for type integer",
        ),
        ("copy t from stdin;\n7\n\\.\nselect\n  nothing", 400, 5, 'column "nothing" does not exist'),
    ],
)
def test_a_dump_that_cannot_run_is_told_where_and_runs_nothing(
    run: Sql, text: str, status: int, line: int | None, told: str
) -> None:
    run.ok("create table t (id int)")
    body = run.error(text, status=status)
    assert told in body["message"] + body.get("hint", ""), body
    assert body.get("line") == line
    assert run.ok("select * from t")["rows"] == []


def test_columns_of_one_name_all_arrive(run: Sql) -> None:
    answer = run.ok("select 1 as a, 'x' as b, 2 as a union all select 3, 'y', 4")
    assert answer["rows"] == [{"a": 2, "b": "x"}, {"a": 4, "b": "y"}]
    assert answer["values"] == [[1, "x", 2], [3, "y", 4]]
    assert [field["name"] for field in answer["fields"]] == ["a", "b", "a"]
    assert "values" not in run.ok("select 1 as a, 1 as b")


def test_values_arrive_with_every_digit(run: Sql) -> None:
    text = run.send(
        """select '{"e":1e400}'::json a, '{"p": 0.12345678901234567891, "n": 1.10}'::jsonb b, array['1e400'::json] c,
        timestamp '2024-01-01 10:00:00.123456' d, timestamptz '2024-01-01 10:00:00.12+00' e, '-0'::float8 f"""
    ).text
    rows = text[text.index('"rows":') : text.index(',"row_count"')]
    assert rows == (
        '"rows":[{"a":{"e":1e400},"b":{"n": 1.10, "p": 0.12345678901234567891},"c":[1e400],'
        '"d":"2024-01-01T10:00:00.123456Z","e":"2024-01-01T10:00:00.120Z","f":-0}]'
    )
    sent = '{"sql": "select $1::numeric::text a, $2::jsonb::text b", "params": [1.10, {"n": 1e400, "m": 1.50}]}'
    answer = run.client.post(run.url, content=sent, headers={**run.headers, "Content-Type": "application/json"}).json()
    assert answer["rows"][0]["a"] == "1.10"
    assert answer["rows"][0]["b"] == '{"m": 1.50, "n": 1' + "0" * 400 + "}"


def test_an_error_in_the_middle_of_the_rows_is_an_error(run: Sql) -> None:
    assert run.error("select 1 / (20000 - g) from generate_series(1, 20000) g")["sqlstate"] == "22012"
    assert run.ok("select 1; explain select 1; show timezone")["row_count"] == 3


def test_a_long_result_waits_in_a_file_and_is_the_same(run: Sql, live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    query = "select g as id, repeat('é', 300) as t, g as id from generate_series(1, 9000) g"
    with heartbeat(live) as pulse:
        answer = run.ok(f"select 'left out'; {query}")
    assert answer["rows"] == [{"id": n, "t": "é" * 300} for n in range(1, 9001)]
    assert answer["values"] == [[n, "é" * 300, n] for n in range(1, 9001)]
    assert pulse.longest < 1.0
    one = run.ok("select repeat('xyz', 2000000) as t")["rows"]
    assert one == [{"t": "xyz" * 2_000_000}]
    monkeypatch.setattr(results, "MOST_BYTES", 1_000_000)
    refused = run.error(f"create table kept (a int); {query}", status=413)
    assert (refused["error"], refused["code"]) == ("sql_result_too_large", "SQL_RESULT_TOO_LARGE")
    assert run.error("select * from kept")["sqlstate"] == "42P01"


def test_blocked_sql_answers_forbidden_with_an_alternative(run: Sql) -> None:
    body = run.error("grant select on t to anon", status=403)
    assert body["error"] == "sql_forbidden"
    assert body["code"] == "FORBIDDEN"
    assert "apply-expose" in body["hint"]


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"   ", "text/plain"),
        (b"", "text/plain"),
        (b"select '\x00'", "text/plain"),
        (b"\xff\xfe", "text/plain"),
        (b"{bad", "application/json"),
        (b'{"sql": "  "}', "application/json"),
        (b'{"sql": 5}', "application/json"),
        (b'["select 1"]', "application/json"),
        (b'{"sql": "select 1", "params": {}}', "application/json"),
        (b'{"sql": "select $1", "params": ["\\u0000"]}', "application/json"),
    ],
)
def test_malformed_requests_are_invalid(run: Sql, content: bytes, content_type: str) -> None:
    response = run.client.post(run.url, content=content, headers={**run.headers, "Content-Type": content_type})
    assert response.status_code == 400
    assert response.json()["error"] == "invalid_request"


def test_query_is_accepted_for_sql(run: Sql) -> None:
    body = run.client.post(run.url, json={"query": "select 1 as x", "params": []}, headers=run.headers).json()
    assert body["rows"] == [{"x": 1}]


def test_the_key_decides_who_may_run_sql(run: Sql, client: httpx.Client) -> None:
    other = client.post("/projects/v1", json={}).json()
    for headers, status in [
        ({"apikey": run.project["service_key"]}, 200),
        ({"apikey": run.project["anon_key"]}, 401),
        ({"apikey": other["service_key"]}, 401),
        ({"apikey": b"\xff\xfe"}, 401),
        ({}, 401),
    ]:
        assert client.post(run.url, content="select 1", headers=headers).status_code == status, headers
    missing = client.post("/projects/v1/admin/prj_0000000000000000/sql", content="select 1", headers=run.headers)
    assert (missing.status_code, missing.json()["error"]) == (404, "project_not_found")


def test_tables_made_by_sql_are_dark_to_anon_and_open_to_service(run: Sql, database_url: str) -> None:
    run.ok("create table notes (id serial primary key, body text)")
    run.ok("create function shout(t text) returns text language sql as 'select upper(t)'")
    slot = run.project["schema_slot"]
    table = psql.Identifier(slot, "notes")
    with psycopg.connect(database_url, autocommit=True) as conn:
        for kind, allowed in [("anon", False), ("authenticated", False), ("service_role", True)]:
            role = str(conninfo_to_dict(role_of(database_url, slot, kind))["user"])
            query = psql.SQL("select has_table_privilege({}, {}, 'select, insert, update, delete')")
            found = conn.execute(query.format(role, table.as_string(conn))).fetchone()
            assert found == (allowed,), role
        can_call = conn.execute(
            psql.SQL("select has_function_privilege('anon', {}, 'execute')").format(
                f"{run.project['schema_slot']}.shout(text)"
            )
        ).fetchone()
        assert can_call == (False,)


def test_schema_describes_tables_constraints_and_policies(run: Sql, client: httpx.Client) -> None:
    run.ok(
        "create table owners (id int primary key);"
        "create table notes (id serial primary key, owner int references owners, body text not null default 'x');"
        "alter table notes enable row level security;"
        "create policy mine on notes for select using (owner = 1)"
    )
    body = client.get(f"/projects/v1/admin/{run.project['project_id']}/schema", headers=run.headers).json()
    notes, owners = body["tables"]
    assert body["schema"] == run.project["schema_slot"]
    assert owners["rls_enabled"] is False
    assert notes["name"] == "notes"
    assert notes["columns"][2] == {"name": "body", "type": "text", "nullable": False, "default_value": "'x'::text"}
    assert notes["constraints"][0] == {"name": "notes_pkey", "type": "PRIMARY KEY", "definition": "PRIMARY KEY (id)"}
    assert notes["constraints"][1]["definition"] == "FOREIGN KEY (owner) REFERENCES owners(id)"
    assert notes["rls_enabled"] is True
    assert notes["row_estimate"] is None
    assert notes["policies"] == [
        {"name": "mine", "command": "SELECT", "using_expression": "(owner = 1)", "check_expression": None}
    ]
