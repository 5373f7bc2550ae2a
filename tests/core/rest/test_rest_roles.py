from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import jwt
import psycopg
import pytest
from gateway_kit import CONTROL
from library_kit import Library

from run402_cli.core.settings import Settings

MINIMAL = {"Prefer": "return=minimal"}


def bodies(response: httpx.Response) -> list[Any]:
    assert response.status_code == 200, response.text
    return [row["body"] for row in response.json()]


def test_each_user_reads_own_rows_anon_none_service_all(library: Library) -> None:
    path = "/notes?select=body&order=id"
    assert bodies(library.user_a.get(path)) == ["a1", "a2"]
    assert bodies(library.user_b.get(path)) == ["b1"]
    assert bodies(library.anon.get(path)) == []
    assert bodies(library.service.get(path)) == ["a1", "a2", "b1"]


def test_users_write_only_their_rows(library: Library) -> None:
    made = library.user_a.post("/notes", json={"body": "a3"})
    assert made.json()[0]["owner"] == "user-a"
    forged = library.user_a.post("/notes", json={"owner": "user-b", "body": "forged"})
    assert (forged.status_code, forged.json()["code"]) == (403, "42501")
    assert library.user_b.patch("/notes?body=eq.a1", json={"body": "stolen"}).json() == []
    assert library.user_b.delete("/notes").json()[0]["body"] == "b1"
    assert bodies(library.service.get("/notes?select=body&order=id")) == ["a1", "a2", "a3"]


def test_anon_write_is_401_and_user_denial_403(library: Library) -> None:
    anon = library.anon.post("/notes", json={"body": "x"})
    assert (anon.status_code, anon.json()["code"]) == (401, "42501")
    assert anon.headers["www-authenticate"] == "Bearer"
    assert library.anon.delete("/books?id=eq.1").status_code == 401
    user = library.user_a.get("/dark")
    assert (user.status_code, user.json()["code"]) == (403, "42501")
    assert library.anon.get("/dark").status_code == 401
    assert library.service.get("/dark").status_code == 200


def test_insert_only_table_takes_minimal_inserts(library: Library) -> None:
    assert library.anon.post("/inbox", json={"message": "hello"}, headers=MINIMAL).status_code == 201
    assert library.anon.post("/inbox", json={"message": "again"}).status_code == 401
    assert library.sql("SELECT message FROM inbox") == [("hello",)]


def test_column_privileges_hold(library: Library) -> None:
    library.sql(
        "CREATE TABLE partly (id int PRIMARY KEY, shown text, hidden text);"
        "GRANT SELECT (id, shown), INSERT (id, shown) ON partly TO anon"
    )
    try:
        made = library.anon.post("/partly?select=id,shown", json={"id": 1, "shown": "s"})
        assert made.json() == [{"id": 1, "shown": "s"}]
        assert library.anon.get("/partly?select=shown").json() == [{"shown": "s"}]
        for path in (
            "/partly",
            "/partly?select=hidden",
            "/partly?select=id&hidden=eq.x",
            "/partly?select=id&order=hidden",
        ):
            assert library.anon.get(path).status_code == 401, path
    finally:
        library.sql("DROP TABLE partly")


def test_functions_see_role_claims_and_search_path(library: Library) -> None:
    project, slot = library.project["project_id"], library.project["schema_slot"]
    path = f"{slot}, auth, extensions, pg_temp"
    seen = {"uid": "user-a", "role": "authenticated", "project": project}
    answer = library.user_a.get("/rpc/who").json()
    assert answer.pop("user").endswith("_authenticated")
    assert answer == {**seen, "path": answer["path"]}
    assert answer["path"].replace('"', "") == path
    anon = library.anon.get("/rpc/who").json()
    assert (anon["uid"], anon["role"]) == (None, "anon")
    assert anon["user"].endswith("_anon")
    service = library.service.get("/rpc/who").json()
    assert service["uid"] == "service"
    assert service["user"].endswith("_service_role")


def test_nothing_of_a_request_is_left_for_the_next(library: Library) -> None:
    for _ in range(12):
        assert library.user_a.get("/rpc/who").json()["uid"] == "user-a"
        assert library.anon.get("/rpc/who").json()["uid"] is None
        assert library.anon.get("/books?select=nope").status_code == 400


def test_what_a_function_sets_in_its_session_ends_with_the_request(library: Library) -> None:
    library.sql(
        """CREATE FUNCTION litter() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
             PERFORM pg_advisory_lock(402);
             PERFORM set_config('search_path', 'pg_catalog', false), set_config('statement_timeout', '1', false);
             PERFORM set_config('request.jwt.claims', '{"sub": "user-b"}', false), set_config('role', session_user, false);
           END $$;
           GRANT EXECUTE ON FUNCTION litter() TO authenticated"""
    )
    try:
        for _ in range(12):
            assert library.user_a.post("/rpc/litter").status_code == 204
            assert library.user_a.get("/rpc/who").json()["uid"] == "user-a"
            assert len(library.user_a.post("/rpc/books_over", json={"minimum": 0}).json()) == 3
        with psycopg.connect(library.database_url, autocommit=True) as conn:
            row = conn.execute("SELECT pg_try_advisory_lock(402)").fetchone()
        assert row == (True,)
    finally:
        library.sql("DROP FUNCTION litter()")


def test_a_lost_connection_is_503_and_the_next_request_works(library: Library) -> None:
    library.sql(
        """CREATE FUNCTION hang_up() RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(20)';
           CREATE FUNCTION pretend() RETURNS void LANGUAGE plpgsql AS
             $$ BEGIN RAISE EXCEPTION 'not really' USING ERRCODE = '57P01'; END $$"""
    )
    try:
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(library.service.post, "/rpc/hang_up")
            with psycopg.connect(library.database_url, autocommit=True) as conn:
                query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
                while not conn.execute(query).fetchall():
                    threading.Event().wait(0.02)
            lost = waiting.result()
        assert (lost.status_code, lost.json()["code"]) == (503, "DATABASE_UNAVAILABLE")
        assert library.anon.get("/books?select=id&id=eq.1").json() == [{"id": 1}]
        raised = library.service.post("/rpc/pretend")
        assert (raised.status_code, raised.json()["code"]) == (500, "57P01")
    finally:
        library.sql("DROP FUNCTION hang_up(), pretend()")


def test_slow_statements_are_stopped(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Settings, "statement_milliseconds", 50)
    library.sql("CREATE FUNCTION dream() RETURNS void LANGUAGE sql AS $$ SELECT pg_sleep(20) $$")
    try:
        response = library.service.post("/rpc/dream")
        assert (response.status_code, response.json()["code"]) == (500, "57014")
    finally:
        library.sql("DROP FUNCTION dream()")


# keys and tokens


def test_keys_decide_the_door(library: Library) -> None:
    anon, service = library.project["anon_key"], library.project["service_key"]
    cases: list[tuple[str, dict[str, str], int, str | None]] = [
        ("/rest/v1", {}, 401, None),
        ("/rest/v1", {"apikey": "r402_anon_" + "0" * 48}, 401, None),
        ("/rest/v1", {"Authorization": f"Bearer {anon}"}, 401, None),
        ("/rest/v1", {"apikey": service}, 403, "ADMIN_REQUIRED"),
        ("/rest/v1", {"apikey": anon, "Authorization": f"Bearer {service}"}, 403, "ADMIN_REQUIRED"),
        ("/rest/v1", {"apikey": anon, "Authorization": f"Bearer {anon}"}, 200, None),
        ("/rest/v1", {"apikey": anon, "Authorization": "Basic eDp5"}, 401, None),
        ("/rest/v1", {"apikey": anon, "Authorization": "Bearer nonsense"}, 401, None),
        ("/rest/v1", {"apikey": anon, "Authorization": "Bearer a.b.c"}, 401, None),
        ("/admin/v1/rest", {}, 401, None),
        ("/admin/v1/rest", {"apikey": anon}, 401, None),
        ("/admin/v1/rest", {"apikey": service}, 200, None),
        ("/admin/v1/rest", {"apikey": service, "Authorization": f"Bearer {service}"}, 200, None),
    ]
    for prefix, headers, status, error_code in cases:
        response = httpx.get(f"{library.base_url}{prefix}/books", headers=headers, trust_env=False)
        assert response.status_code == status, (prefix, headers, response.text)
        if error_code:
            assert response.json()["code"] == error_code


@pytest.mark.parametrize(
    ("claims", "status", "error"),
    [
        ({"project_id": "prj_0000000000000000"}, 403, "project_token_mismatch"),
        ({"project_id": None}, 403, "project_token_mismatch"),
        ({"role": "service_role"}, 403, "role_forbidden"),
        ({"role": "postgres"}, 403, "role_forbidden"),
        ({"role": None}, 403, "role_forbidden"),
        ({"exp": 1_000_000_000}, 401, "authentication_required"),
    ],
)
def test_tokens_that_are_refused(library: Library, claims: dict[str, Any], status: int, error: str) -> None:
    response = library.caller(library.user_headers("user-a", **claims)).get("/notes")
    assert (response.status_code, response.json()["error"]) == (status, error)


def test_tokens_that_are_accepted(library: Library) -> None:
    future = library.caller(library.user_headers("user-a", exp=int(time.time()) + 600))
    assert len(future.get("/notes").json()) == 2
    as_anon = library.caller(library.user_headers("user-a", role="anon"))
    assert as_anon.get("/notes").json() == []


def test_forged_tokens_are_401(library: Library) -> None:
    claims = {"sub": "user-a", "role": "authenticated", "project_id": library.project["project_id"]}
    unsigned = jwt.encode(claims, None, algorithm="none")
    foreign = jwt.encode(claims, "another secret of enough length....", algorithm="HS256")
    for token in (unsigned, foreign, library.token("user-a")[:-3] + "abc"):
        headers = {"apikey": library.project["anon_key"], "Authorization": f"Bearer {token}"}
        assert library.caller(headers).get("/notes").status_code == 401


def test_another_projects_keys_do_not_open_this_one(library: Library) -> None:
    other = httpx.post(f"{library.base_url}/projects/v1", json={}, headers=CONTROL, trust_env=False).json()
    headers = {"apikey": other["anon_key"], "Authorization": f"Bearer {library.token('user-a')}"}
    assert library.caller(headers).get("/notes").status_code == 403
    assert library.caller({"apikey": other["anon_key"]}).get("/books").status_code == 404
    bearer = {"apikey": library.project["anon_key"], "Authorization": f"Bearer {other['anon_key']}"}
    assert library.caller(bearer).get("/books").status_code == 403


# functions


def test_scalar_functions_by_post_and_get(library: Library) -> None:
    assert library.anon.post("/rpc/add", json={"a": 1, "b": 2}).json() == 3
    assert library.anon.post("/rpc/add", json={"a": 1}).json() == 11
    assert library.anon.get("/rpc/add?a=5&b=6").json() == 11
    assert library.anon.get("/rpc/shout", params={"words": "eq.not a filter"}).json() == "EQ.NOT A FILTER"
    assert library.anon.post("/rpc/shout", json={"words": None}).text == "null"
    assert library.anon.post("/rpc/glue", json={"parts": ["a", "b"]}).json() == "a-b"
    assert library.anon.get("/rpc/glue?parts=x&parts=y,z").json() == "x-y,z"


def test_set_returning_functions_take_select_filters_order_and_windows(library: Library) -> None:
    response = library.anon.post(
        "/rpc/books_over?select=title,authors(name)&order=price.desc&stock=gt.0", json={"minimum": 5}
    )
    assert response.json() == [
        {"title": "Sums", "authors": {"name": "Carl"}},
        {"title": "Engines", "authors": {"name": "Ada"}},
    ]
    part = library.anon.get(
        "/rpc/books_over?minimum=5&limit=1&order=id&title=neq.Engines", headers={"Prefer": "count=exact"}
    )
    assert (part.status_code, part.headers["content-range"]) == (206, "0-0/2")
    assert library.anon.get("/rpc/squares?upto=3&square=gt.3").json() == [{"n": 2, "square": 4}, {"n": 3, "square": 9}]
    assert library.anon.get("/rpc/evens?upto=6").json() == [2, 4, 6]
    assert library.anon.get("/rpc/evens?upto=6&limit=1&offset=1").json() == [4]


def test_composite_void_and_whole_body_functions(library: Library) -> None:
    assert library.anon.post("/rpc/first_book?select=title").json() == {"title": "Engines"}
    nothing = library.anon.post("/rpc/nothing")
    assert (nothing.status_code, nothing.content) == (204, b"")
    assert library.anon.post("/rpc/echo", json={"any": [1, {"b": 2}]}).json() == {"any": [1, {"b": 2}]}
    csv = library.anon.get("/rpc/squares?upto=2", headers={"Accept": "text/csv"})
    assert csv.text == "n,square\n1,1\n2,4"
    single = library.anon.get("/rpc/squares?upto=1", headers={"Accept": "application/vnd.pgrst.object+json"})
    assert single.json() == {"n": 1, "square": 1}


def test_get_never_writes(library: Library) -> None:
    refused = library.service.get("/rpc/leave?words=x")
    assert (refused.status_code, refused.json()["code"]) == (405, "25006")
    assert library.service.post("/rpc/leave", json={"words": "x"}).json() == 1


def test_function_errors_choose_their_answer(library: Library) -> None:
    raised = library.anon.post("/rpc/fail", json={"code": "P0001"})
    assert raised.status_code == 400
    assert raised.json() == {"code": "P0001", "details": "the detail", "hint": "the hint", "message": "no P0001"}
    assert library.anon.post("/rpc/fail", json={"code": "PT402"}).status_code == 402
    assert library.anon.post("/rpc/fail", json={"code": "23505"}).status_code == 409
    tea = library.anon.post("/rpc/teapot")
    assert (tea.status_code, tea.headers["x-tea"], tea.json()) == (218, "green", "tea")
    assert library.anon.post("/rpc/shout", json={"words": "x"}).status_code == 200


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("response.status", "99", "PGRST112"),
        ("response.status", "200 OK", "PGRST112"),
        ("response.headers", '[{"X": "a\\\\r\\\\nSet-Cookie: b"}]', "PGRST111"),
        ("response.headers", '[{"X y": "a"}]', "PGRST111"),
        ("response.headers", "[1]", "PGRST111"),
        ("response.headers", "nonsense", "PGRST111"),
    ],
)
def test_answers_that_a_function_may_not_shape(library: Library, name: str, value: str, code: str) -> None:
    library.sql(
        f"CREATE FUNCTION shape() RETURNS int LANGUAGE sql AS $$ SELECT set_config('{name}', E'{value}', true); SELECT 1 $$"
    )
    try:
        response = library.service.post("/rpc/shape")
        assert (response.status_code, response.json()["code"]) == (500, code)
    finally:
        library.sql("DROP FUNCTION shape()")


def test_raised_json_is_the_answer(library: Library) -> None:
    library.sql(
        """CREATE FUNCTION refuse(status text, header text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN
             RAISE sqlstate 'PGRST' USING message = '{"code": "PAY", "message": "pay first", "hint": "soon"}',
               detail = format('{"status": %s, "headers": {"X-Why": "%s"}}', status, header); END $$"""
    )
    try:
        response = library.service.post("/rpc/refuse", json={"status": "402", "header": "because"})
        assert (response.status_code, response.headers["x-why"]) == (402, "because")
        assert response.json() == {"code": "PAY", "details": None, "hint": "soon", "message": "pay first"}
        for status, header in (("99", "x"), ('"no"', "x"), ("402", "a\\nb")):
            broken = library.service.post("/rpc/refuse", json={"status": status, "header": header})
            assert (broken.status_code, broken.json()["code"]) == (500, "PGRST121")
    finally:
        library.sql("DROP FUNCTION refuse(text, text)")


def test_unknown_forbidden_and_ill_called_functions(library: Library) -> None:
    unknown = library.anon.post("/rpc/ad", json={"a": 1})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "PGRST202")
    assert "add" in unknown.json()["hint"]
    for arguments in ({}, {"b": 1}, {"a": 1, "c": 2}):
        assert library.anon.post("/rpc/add", json=arguments).json()["code"] == "PGRST202"
    for role in (library.anon, library.user_a):
        forbidden = role.post("/rpc/secret")
        assert (forbidden.status_code, forbidden.json()["error"]) == (403, "forbidden_function")
    assert library.service.post("/rpc/secret").json() == 42
    assert library.anon.put("/rpc/add", json={"a": 1}).json()["code"] == "PGRST101"
    assert library.anon.get("/rpc/add?a=x").json()["code"] == "22P02"
    assert library.anon.post("/rpc/add", content=b"[1]").status_code == 404
    assert library.anon.post("/rpc/pg_sleep", json={"": 1}).status_code == 404
    assert library.anon.get("/rpc/shout?words=x&order=words").status_code == 400


def test_overloads_are_told_apart_by_argument_names(library: Library) -> None:
    library.sql(
        "CREATE FUNCTION pick(a int) RETURNS text LANGUAGE sql AS $$ SELECT 'a' $$;"
        "CREATE FUNCTION pick(a int, b int) RETURNS text LANGUAGE sql AS $$ SELECT 'ab' $$;"
        "CREATE FUNCTION pick(a text) RETURNS text LANGUAGE sql AS $$ SELECT 'text' $$"
    )
    try:
        assert library.service.post("/rpc/pick", json={"a": 1, "b": 2}).json() == "ab"
        several = library.service.post("/rpc/pick", json={"a": 1})
        assert (several.status_code, several.json()["code"]) == (300, "PGRST203")
    finally:
        library.sql("DROP FUNCTION pick(int), pick(int, int), pick(text)")


def test_injection_by_function_name_and_arguments(library: Library) -> None:
    for text in ["add(1);--", 'add"', "'", "$1", "%s"]:
        path = httpx.URL(path=f"/rpc/{text}").raw_path.decode()
        assert library.anon.post(path, content=json.dumps({"a": 1})).status_code == 404
        assert library.anon.post("/rpc/add", json={text: 1}).status_code == 404
        assert library.anon.get("/rpc/add", params={text: "1", "a": "1"}).status_code == 404
        assert library.anon.post("/rpc/shout", json={"words": text}).json() == text.upper()
        assert library.anon.get("/rpc/shout", params={"words": text}).json() == text.upper()


def test_pages_may_ask_first(library: Library) -> None:
    preflight = {"Origin": "http://blog.localhost:4020", "Access-Control-Request-Method": "POST"}
    response = httpx.options(f"{library.base_url}/rest/v1/books", headers=preflight, trust_env=False)
    assert response.status_code == 204
    assert httpx.options(f"{library.base_url}/rest/v1/books", trust_env=False).status_code == 401
