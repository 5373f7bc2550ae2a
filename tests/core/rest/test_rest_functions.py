"""Functions: which overload a request means, what is given to it, and what its declaration makes of the answer."""

from __future__ import annotations

import httpx
import pytest
from library_kit import Library

DECLARED = """
CREATE DOMAIN small AS int CHECK (VALUE < 100);
CREATE DOMAIN a_book AS books;
CREATE DOMAIN a_book_too AS a_book;
CREATE FUNCTION s_scalar() RETURNS small LANGUAGE sql STABLE AS 'SELECT 4::small';
CREATE FUNCTION s_array() RETURNS int[] LANGUAGE sql STABLE AS $$ SELECT '{1,2}'::int[] $$;
CREATE FUNCTION s_set() RETURNS SETOF text LANGUAGE sql STABLE AS $$ VALUES ('a'), ('b') $$;
CREATE FUNCTION s_out(OUT n int) LANGUAGE sql STABLE AS 'SELECT 6';
CREATE FUNCTION s_inout(INOUT n int) LANGUAGE sql STABLE AS 'SELECT n + 1';
CREATE FUNCTION s_outs(a int, OUT n int, OUT t text) LANGUAGE sql STABLE AS $$ SELECT a, 'x' $$;
CREATE FUNCTION s_table() RETURNS TABLE (id int) LANGUAGE sql STABLE AS 'SELECT 1 UNION ALL SELECT 2';
CREATE FUNCTION s_set_out(OUT n int) RETURNS SETOF int LANGUAGE sql STABLE AS 'VALUES (1), (2), (3)';
CREATE FUNCTION s_domain() RETURNS a_book_too LANGUAGE sql STABLE AS 'SELECT books FROM books ORDER BY id LIMIT 1';
CREATE FUNCTION s_domains() RETURNS SETOF a_book LANGUAGE sql STABLE AS 'SELECT books FROM books';
CREATE FUNCTION s_record() RETURNS record LANGUAGE sql STABLE AS $$ SELECT 1 AS n, 'x' AS t $$;
CREATE FUNCTION s_records() RETURNS SETOF record LANGUAGE sql STABLE AS $$ SELECT i AS n FROM generate_series(1, 2) i $$;
CREATE FUNCTION s_plain_record() RETURNS record LANGUAGE plpgsql STABLE AS
  $$ DECLARE found record; BEGIN SELECT 7 AS seven INTO found; RETURN found; END $$;

CREATE TYPE corner AS (x int, y int);
CREATE FUNCTION corners() RETURNS TABLE (id int, at corner, doc json) LANGUAGE sql STABLE AS
  $$ VALUES (1, ROW(3, 4)::corner, '{"a":[5]}'::json), (2, ROW(6, 7)::corner, '{"a":[8]}') $$;
CREATE FUNCTION pick() RETURNS SETOF int LANGUAGE sql STABLE AS 'SELECT 1 UNION SELECT 2';
CREATE FUNCTION pick(json) RETURNS int LANGUAGE sql STABLE AS 'SELECT 99';
CREATE FUNCTION body_of(json) RETURNS text LANGUAGE sql STABLE AS $$ SELECT 'json ' || $1::text $$;
CREATE FUNCTION body_of(text) RETURNS text LANGUAGE sql STABLE AS $$ SELECT 'text ' || $1 $$;
CREATE FUNCTION body_of(bytea) RETURNS text LANGUAGE sql STABLE AS $$ SELECT 'bytes ' || encode($1, 'hex') $$;
CREATE FUNCTION body_of(xml) RETURNS text LANGUAGE sql STABLE AS $$ SELECT 'xml ' || $1::text $$;
CREATE FUNCTION twice(json) RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';
CREATE FUNCTION twice(jsonb) RETURNS int LANGUAGE sql STABLE AS 'SELECT 2';
CREATE FUNCTION pair(a int, b text DEFAULT 'none') RETURNS text LANGUAGE sql STABLE AS $$ SELECT a || b $$;
CREATE FUNCTION wide(c char(10), b bit(4), d char(3)[]) RETURNS text LANGUAGE sql STABLE AS $$ SELECT c || b || d::text $$;
CREATE FUNCTION long_titles() RETURNS SETOF books LANGUAGE sql STABLE AS 'SELECT * FROM books';

CREATE FUNCTION cookies() RETURNS text LANGUAGE sql AS $$ SELECT set_config('response.headers',
  '[{"Set-Cookie":"a=1"},{"Set-Cookie":"b=2"},{"Cache-Control":"max-age=5"},{"Content-Type":"text/x-own"}]', true) $$;
CREATE FUNCTION void_cookies() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM cookies(); END $$;
CREATE FUNCTION on_write() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM cookies(); RETURN NEW; END $$;
CREATE TABLE hooked (id int PRIMARY KEY);
CREATE TRIGGER hook BEFORE INSERT OR UPDATE ON hooked FOR EACH ROW EXECUTE FUNCTION on_write();
CREATE FUNCTION sent(what text) RETURNS json LANGUAGE sql STABLE AS $$ SELECT current_setting('request.' || what)::json $$;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema} TO anon, service_role;
GRANT ALL ON hooked TO service_role;
"""


@pytest.fixture(scope="module")
def declared(filled: Library) -> Library:
    filled.sql(DECLARED)
    return filled


@pytest.fixture
def anon(declared: Library) -> httpx.Client:
    declared.restore()
    return declared.anon


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("s_scalar", 4),
        ("s_array", [1, 2]),
        ("s_set", ["a", "b"]),
        ("s_out", {"n": 6}),
        ("s_inout?n=1", {"n": 2}),
        ("s_outs?a=5", {"n": 5, "t": "x"}),
        ("s_outs?a=5&select=t", {"t": "x"}),
        ("s_table", [{"id": 1}, {"id": 2}]),
        ("s_table?select=other:id&order=id.desc&id=gt.1", [{"other": 2}]),
        ("corners?select=at->y,at->>x&order=at->x.desc", [{"y": 7, "x": "6"}, {"y": 4, "x": "3"}]),
        ("corners?select=doc->a->0&at->x=gt.3", [{"a": 8}]),
        ("s_set_out?n=neq.2", [{"n": 1}, {"n": 3}]),
        ("s_domain?select=title,authors(name)", {"title": "Engines", "authors": {"name": "Ada"}}),
        ("s_domains?select=title&title=like.S*", [{"title": "Sums"}]),
        ("s_record", {"n": 1, "t": "x"}),
        ("s_records", [{"n": 1}, {"n": 2}]),
        ("s_plain_record", {"seven": 7}),
    ],
)
def test_the_declaration_gives_the_shape(anon: httpx.Client, name: str, answer: object) -> None:
    got = anon.get(f"/rpc/{name}")
    assert (got.status_code, got.json()) == (200, answer)


@pytest.mark.parametrize("name", ["s_scalar", "s_set", "s_record", "s_records"])
@pytest.mark.parametrize("query", ["select=n", "order=n", "n=gt.1"])
def test_what_has_no_known_columns_cannot_be_selected(anon: httpx.Client, name: str, query: str) -> None:
    assert anon.get(f"/rpc/{name}?{query}").json()["code"] == "PGRST100"


def test_an_unknown_argument_of_a_get_is_no_body(anon: httpx.Client) -> None:
    assert anon.get("/rpc/pick").json() == [1, 2]
    for query in ("zzz=1", "zzz=1&yyy=2"):
        missing = anon.get(f"/rpc/pick?{query}")
        assert (missing.status_code, missing.json()["code"]) == (404, "PGRST202")
    assert anon.get("/rpc/twice").status_code == 404
    assert anon.post("/rpc/pick", json={"zzz": 1}).json() == 99
    assert anon.post("/rpc/pick", json={}).json() == [1, 2]


@pytest.mark.parametrize(
    ("media", "body", "answer"),
    [
        ("application/json", b'{"a": 1}', 'json {"a": 1}'),
        ("application/json", b"[1, 2]", "json [1, 2]"),
        ("text/plain; charset=utf-8", "\ufeffplain é".encode(), "text \ufeffplain é"),
        ("text/plain", b"", "text "),
        ("text/xml", b"<a>1</a>", "xml <a>1</a>"),
        ("application/octet-stream", b"\x00\xff", "bytes 00ff"),
    ],
)
def test_one_unnamed_parameter_takes_the_body_of_its_type(
    anon: httpx.Client, media: str, body: bytes, answer: str
) -> None:
    got = anon.post("/rpc/body_of", content=body, headers={"Content-Type": media})
    if media == "text/xml" and got.status_code == 400 and got.json()["code"] == "0A000":
        # PostgreSQL without libxml: the overload was found, and its type is not there.
        return
    assert (got.status_code, got.json()) == (200, answer)


def test_bodies_that_no_function_takes(anon: httpx.Client) -> None:
    def post(name: str, body: bytes, media: str) -> httpx.Response:
        return anon.post(f"/rpc/{name}", content=body, headers={"Content-Type": media})

    for name in ("pick", "pair"):
        raw = post(name, b"x", "text/plain")
        assert (raw.status_code, raw.json()["code"]) == (404, "PGRST202")
        assert "a single unnamed text parameter" in raw.json()["details"]
    assert "unnamed json/jsonb parameter" in post("pair", b"{}", "application/json").json()["details"]
    assert post("body_of", b"a\n1", "text/csv").status_code == 404
    several = post("twice", b"{}", "application/json")
    assert (several.status_code, several.json()["code"]) == (300, "PGRST203")
    for media in ("image/png", "application/yaml"):
        other = post("pair", b'{"a": 1}', media)
        assert (other.status_code, other.json()["code"]) == (400, "PGRST102")
        assert media in other.json()["message"]
    assert post("body_of", b"\xff", "text/plain").status_code == 400
    assert post("body_of", b"a\x00b", "text/plain").status_code == 400


def test_a_table_takes_no_raw_body(anon: httpx.Client) -> None:
    for media in ("text/plain", "image/png"):
        refused = anon.post("/inbox", content=b'{"message": "x"}', headers={"Content-Type": media})
        assert (refused.status_code, refused.json()["code"]) == (400, "PGRST102")


def test_arguments_from_json_forms_and_csv(anon: httpx.Client) -> None:
    assert anon.post("/rpc/pair", json=[{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]).json() == "1x"
    assert anon.post("/rpc/pair", data={"a": "1", "b": "f"}).json() == "1f"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert anon.post("/rpc/pair", content=b"a=1&a=2", headers=form).json() == "2none"
    assert anon.post("/rpc/s_set", content=b"", headers=form).json() == ["a", "b"]
    assert anon.post("/rpc/glue", content=b"parts=x&parts=y", headers=form).json() == "x-y"
    csv = anon.post("/rpc/pair", content=b"a,b\n7,z\n8,w\n", headers={"Content-Type": "text/csv"})
    assert csv.json() == "7z"
    # What the query string of a POST says is about the result.
    assert anon.post("/rpc/s_table?id=eq.2", json={}).json() == [{"id": 2}]
    assert anon.post("/rpc/pair?a=1", json={"a": 1}).status_code == 400


def test_columns_name_the_keys_that_are_arguments(anon: httpx.Client) -> None:
    body = {"a": 3, "b": "x", "more": 1}
    assert anon.post("/rpc/pair", json=body).status_code == 404
    assert anon.post("/rpc/pair?columns=a,b", json=body).json() == "3x"
    assert anon.post("/rpc/pair?columns=a", json=body).json() == "3none"
    assert anon.post("/rpc/pair?columns=a", data={"a": "3", "more": "1"}).json() == "3none"


def test_text_of_a_declared_length_is_not_cut(anon: httpx.Client) -> None:
    given = {"c": "abcdef", "b": "1010", "d": ["xyz", "uvw"]}
    assert anon.post("/rpc/wide", json=given).json() == "abcdef1010{xyz,uvw}"
    assert anon.get("/rpc/wide?c=abcdef&b=1010&d={xyz,uvw}").json() == "abcdef1010{xyz,uvw}"


def test_every_header_that_a_function_sets_is_sent(declared: Library) -> None:
    service = declared.service
    answers = [
        service.post("/rpc/cookies"),
        service.post("/rpc/void_cookies"),
        service.post("/hooked", json={"id": 1}, headers={"Prefer": "return=minimal"}),
        service.patch("/hooked?id=eq.1", json={"id": 1}, headers={"Prefer": "return=minimal"}),
        service.patch("/hooked?id=eq.1", json={"id": 1}, headers={"Prefer": "return=representation"}),
    ]
    assert [answer.status_code for answer in answers] == [200, 204, 201, 204, 200]
    for answer in answers:
        assert answer.headers.get_list("Set-Cookie") == ["a=1", "b=2"]
        assert answer.headers.get_list("Cache-Control") == ["max-age=5"]
        assert answer.headers.get_list("Content-Type") == ["text/x-own"]


def test_cookies_are_apart_from_headers_and_keys_are_in_neither(anon: httpx.Client) -> None:
    cookies = {"Cookie": 'theme=dark; name="x y"', "X-Mine": "1"}
    assert anon.get("/rpc/sent?what=cookies", headers=cookies).json() == {"theme": "dark", "name": "x y"}
    assert anon.get("/rpc/sent?what=cookies").json() == {}
    headers = anon.get(
        "/rpc/sent?what=headers", headers={**cookies, "Authorization": f"Bearer {anon.headers['apikey']}"}
    )
    assert headers.json()["x-mine"] == "1"
    assert not {"cookie", "apikey", "authorization"} & set(headers.json())


def test_the_head_of_a_call_has_no_length(anon: httpx.Client) -> None:
    for name in ("s_table", "s_scalar"):
        head = anon.head(f"/rpc/{name}")
        assert head.status_code == 200
        assert "Content-Length" not in head.headers
