"""Representations that an Accept header names: those of the project's own domains, and plans in place of an answer."""

from __future__ import annotations

import json

import httpx
import pytest
from library_kit import Library

MADE = r"""
CREATE DOMAIN "text/plain" AS text;
CREATE DOMAIN "text/html" AS text;
CREATE DOMAIN "image/png" AS bytea;
CREATE DOMAIN "application/x-books" AS bytea;
CREATE DOMAIN "text/x-rows" AS text;
CREATE DOMAIN "application/vnd.pgrst.object" AS text;
CREATE DOMAIN "text/csv" AS text;
CREATE DOMAIN "*/*" AS bytea;
CREATE FUNCTION page() RETURNS "text/html" LANGUAGE sql STABLE AS $$ SELECT '<p>é' $$;
CREATE FUNCTION plain() RETURNS "text/plain" LANGUAGE sql STABLE AS $$ SELECT 'plain' $$;
CREATE FUNCTION nothing_plain() RETURNS "text/plain" LANGUAGE sql STABLE AS $$ SELECT NULL $$;
CREATE FUNCTION only_text() RETURNS text LANGUAGE sql STABLE AS $$ SELECT 'plain' $$;
CREATE FUNCTION plains() RETURNS SETOF "text/plain" LANGUAGE sql STABLE AS $$ SELECT 'plain' $$;
CREATE FUNCTION image() RETURNS "image/png" LANGUAGE sql STABLE AS $$ SELECT '\x89504e00ff'::bytea $$;
CREATE FUNCTION anything() RETURNS "*/*" LANGUAGE sql STABLE AS $$ SELECT '\x61'::bytea $$;
CREATE FUNCTION choosy() RETURNS "*/*" LANGUAGE plpgsql AS $$
DECLARE accept text := current_setting('request.headers')::json->>'accept'; BEGIN
  IF accept = 'app/one' THEN
    PERFORM set_config('response.headers', '[{"Content-Type": "app/one"}]', true); RETURN 'one'::bytea;
  END IF;
  RAISE EXCEPTION 'no such media type' USING ERRCODE = 'PT406'; END $$;
CREATE FUNCTION add_book(so_far "application/x-books", b books) RETURNS "application/x-books" LANGUAGE sql IMMUTABLE AS
  $$ SELECT so_far || convert_to(b.title || E'\n', 'UTF8') $$;
CREATE AGGREGATE books_agg(books) (SFUNC = add_book, STYPE = "application/x-books", INITCOND = '');
CREATE FUNCTION add_csv(so_far "text/csv", b books) RETURNS "text/csv" LANGUAGE sql IMMUTABLE AS $$ SELECT so_far || 'own' $$;
CREATE AGGREGATE csv_agg(books) (SFUNC = add_csv, STYPE = "text/csv", INITCOND = '');
CREATE FUNCTION add_any(so_far "text/x-rows", r anyelement) RETURNS "text/x-rows" LANGUAGE sql IMMUTABLE AS
  $$ SELECT (so_far || r::text || E'\n')::"text/x-rows" $$;
CREATE AGGREGATE rows_agg(anyelement) (SFUNC = add_any, STYPE = "text/x-rows", INITCOND = '');
CREATE FUNCTION add_place(so_far "*/*", p places) RETURNS "*/*" LANGUAGE sql IMMUTABLE AS $$ SELECT so_far || 'p'::bytea $$;
CREATE AGGREGATE places_agg(places) (SFUNC = add_place, STYPE = "*/*", INITCOND = '');
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema} TO anon, service_role;
"""
ROWS = "id=lt.3&order=id"


@pytest.fixture(scope="module")
def made(filled: Library) -> Library:
    filled.sql(MADE)
    return filled


@pytest.fixture
def anon(made: Library) -> httpx.Client:
    made.restore()
    return made.anon


@pytest.mark.parametrize(
    ("path", "accept", "media", "body"),
    [
        ("/rpc/page", "text/html", "text/html", "<p>é".encode()),
        ("/rpc/page", "application/json;q=0.5, text/html", "text/html", "<p>é".encode()),
        ("/rpc/page", "application/json", "application/json; charset=utf-8", '"<p>é"'.encode()),
        ("/rpc/page", "*/*", "application/json; charset=utf-8", '"<p>é"'.encode()),
        ("/rpc/plain", "text/plain", "text/plain; charset=utf-8", b"plain"),
        ("/rpc/nothing_plain", "text/plain", "text/plain; charset=utf-8", b""),
        ("/rpc/image", "text/x-none, image/png, */*", "image/png", b"\x89PN\x00\xff"),
        ("/rpc/anything", "app/bingo", "application/octet-stream", b"a"),
        ("/rpc/anything", "*/*", "application/octet-stream", b"a"),
        ("/rpc/choosy", "app/one", "app/one", b"one"),
        (f"/books?{ROWS}", "application/x-books", "application/x-books", b"Engines\nPensees\n"),
        (f"/books?{ROWS}&select=*", "application/x-books", "application/x-books", b"Engines\nPensees\n"),
        ("/rpc/books_over?minimum=15", "application/x-books", "application/x-books", b"Sums\n"),
        ("/rpc/first_book", "application/x-books", "application/x-books", b"Engines\n"),
        (f"/books?{ROWS}", "text/csv", "text/csv; charset=utf-8", b"ownown"),
        ("/places?id=eq.1", "text/csv", "application/octet-stream", b"p"),
        ("/places?id=eq.1&select=id", "text/csv", "text/csv; charset=utf-8", b"id\n1"),
        (f"/books?{ROWS}&select=id,title", "text/x-rows", "text/x-rows", b"(1,Engines)\n(2,Pensees)\n"),
        ("/books?id=eq.1&select=id,full_title", "text/x-rows", "text/x-rows", b'(1,"Engines (1)")\n'),
        ("/rpc/squares?upto=2", "text/x-rows", "text/x-rows", b"(1,1)\n(2,4)\n"),
    ],
)
def test_a_domain_named_like_a_media_type_is_one(
    anon: httpx.Client, path: str, accept: str, media: str, body: bytes
) -> None:
    answer = (
        anon.post(path, headers={"Accept": accept}) if "choosy" in path else anon.get(path, headers={"Accept": accept})
    )
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, media, body)


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        ("/rpc/only_text", "text/plain"),
        ("/rpc/plains", "text/plain"),
        ("/rpc/page", "text/plain"),
        ("/books", "text/html"),
        ("/authors", "application/x-books"),
        ("/books?select=id", "application/x-books"),
        ("/books", "application/geo+json"),
    ],
)
def test_without_a_handler_it_is_not_acceptable(anon: httpx.Client, path: str, accept: str) -> None:
    refused = anon.get(path, headers={"Accept": accept})
    assert (refused.status_code, refused.json()["code"]) == (406, "PGRST107")


def test_a_function_refuses_a_media_type_itself(anon: httpx.Client) -> None:
    refused = anon.post("/rpc/choosy", headers={"Accept": "app/two"})
    assert (refused.status_code, refused.json()["code"]) == (406, "PT406")


def test_the_dialects_own_types_cannot_be_replaced(anon: httpx.Client) -> None:
    one = anon.get("/books?id=eq.1&select=id", headers={"Accept": "application/vnd.pgrst.object"})
    assert (one.headers["content-type"], one.json()) == ("application/vnd.pgrst.object+json; charset=utf-8", {"id": 1})


def test_a_write_answers_with_the_rows_in_that_type(made: Library) -> None:
    made.restore()
    headers = {"Accept": "application/x-books", "Prefer": "return=representation"}
    answer = made.service.patch("/books?id=eq.1", json={"title": "New"}, headers=headers)
    assert (answer.status_code, answer.content) == (200, b"New\n")
    refused = made.service.patch("/authors?id=eq.1", json={"name": "x"}, headers=headers)
    assert refused.status_code == 406
    assert made.service.get("/authors?id=eq.1&select=name").json() == [{"name": "Ada"}]


def test_an_aggregate_that_comes_later_is_seen(made: Library) -> None:
    accept = {"Accept": "text/x-late"}
    assert made.service.get("/authors", headers=accept).status_code == 406
    made.sql(
        """CREATE DOMAIN "text/x-late" AS text;
        CREATE FUNCTION add_late(s "text/x-late", r authors) RETURNS "text/x-late" LANGUAGE sql AS $$ SELECT s || r.name $$;
        CREATE AGGREGATE late_agg(authors) (SFUNC = add_late, STYPE = "text/x-late", INITCOND = '');
        GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema} TO service_role"""
    )
    assert made.service.get("/authors?order=id", headers=accept).text == "AdaBlaiseCarl"


PLAN = "application/vnd.pgrst.plan"


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        (PLAN, f'{PLAN}+text; for="application/json"; charset=utf-8'),
        (f"{PLAN}+text", f'{PLAN}+text; for="application/json"; charset=utf-8'),
        (f"{PLAN}+json", f'{PLAN}+json; for="application/json"; charset=utf-8'),
        (
            f'{PLAN}+json; for="application/vnd.pgrst.object"; options=verbose|analyze',
            f'{PLAN}+json; for="application/vnd.pgrst.object+json"; options=analyze|verbose; charset=utf-8',
        ),
        (f'{PLAN}; for="text/csv"; options=buffers', f'{PLAN}+text; for="text/csv"; options=buffers; charset=utf-8'),
    ],
)
def test_the_service_key_sees_plans(made: Library, accept: str, media: str) -> None:
    for path in ("/authors?id=eq.1", "/rpc/squares?upto=1"):
        answer = made.service.get(path, headers={"Accept": accept})
        assert (answer.status_code, answer.headers["content-type"]) == (200, media)
        if "+json" in accept:
            assert "Total Cost" in json.dumps(answer.json()[0]["Plan"])
            assert ("Actual Rows" in answer.text) == ("analyze" in accept)
        else:
            assert "cost=" in answer.text.splitlines()[0]


def test_a_plan_of_a_write_writes_only_when_it_is_analyzed(made: Library) -> None:
    made.restore()
    plan = {"Accept": f"{PLAN}+json", "Prefer": "return=representation"}
    assert made.service.post("/places", json={"id": 9}, headers=plan).status_code == 200
    assert made.service.patch("/places?id=eq.1", json={"name": "x"}, headers=plan).status_code == 200
    assert made.service.delete("/places?id=eq.9", headers=plan).status_code == 200
    assert made.service.get("/places?select=id,name&order=id").json()[0] == {"id": 1, "name": "Here"}
    analyzed = {"Accept": f"{PLAN}; options=analyze"}
    kept = made.service.post("/places", json={"id": 9}, headers={**analyzed, "Prefer": "tx=rollback"})
    assert kept.status_code == 200
    assert [place["id"] for place in made.service.get("/places?select=id&order=id").json()] == [1, 2]
    assert made.service.post("/places", json={"id": 9}, headers=analyzed).status_code == 200
    assert [place["id"] for place in made.service.get("/places?select=id&order=id").json()] == [1, 2, 9]


def test_nobody_else_sees_a_plan(made: Library) -> None:
    made.restore()
    for caller in (made.anon, made.user_a):
        for path in ("/books", "/rpc/squares?upto=1"):
            refused = caller.get(path, headers={"Accept": PLAN})
            assert (refused.status_code, refused.json()["code"]) == (406, "PGRST107")
            assert "service key" in refused.json()["hint"]
        answer = caller.get("/books?select=id&id=eq.1", headers={"Accept": f"{PLAN}, application/json"})
        assert answer.json() == [{"id": 1}]


def test_a_plan_for_what_cannot_be_made_is_not_acceptable(made: Library) -> None:
    for wanted in ("image/jpeg", PLAN, "text/plain"):
        refused = made.service.get("/authors", headers={"Accept": f'{PLAN}; for="{wanted}"'})
        assert refused.status_code == 406
