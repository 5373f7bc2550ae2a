"""Domains whose casts say how their values are written in json and in filters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from library_kit import Library

# A colour is a number that is written as #RRGGBB; an amount is cents that are written as text with two digits.
TABLES = """
CREATE DOMAIN colour AS int CHECK (VALUE BETWEEN 0 AND 16777215);
CREATE DOMAIN amount AS int DEFAULT 250;
CREATE FUNCTION colour_json(colour) RETURNS json LANGUAGE sql IMMUTABLE AS
  $$ SELECT to_json(CASE WHEN $1 IS NULL THEN 'none' ELSE '#' || lpad(upper(to_hex($1)), 6, '0') END) $$;
CREATE FUNCTION to_colour(text) RETURNS colour LANGUAGE sql IMMUTABLE AS
  $$ SELECT (('x' || lpad(ltrim($1, '#'), 8, '0'))::bit(32)::int)::colour $$;
CREATE FUNCTION to_colour(json) RETURNS colour LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT to_colour($1 #>> '{}') $$;
CREATE FUNCTION amount_json(int) RETURNS json LANGUAGE sql IMMUTABLE STRICT AS
  $$ SELECT to_json(($1 / 100.0)::numeric(10, 2)::text) $$;
CREATE CAST (colour AS json) WITH FUNCTION colour_json(colour) AS IMPLICIT;
CREATE CAST (text AS colour) WITH FUNCTION to_colour(text) AS IMPLICIT;
CREATE CAST (json AS colour) WITH FUNCTION to_colour(json) AS IMPLICIT;
CREATE CAST (amount AS json) WITH FUNCTION amount_json(int) AS IMPLICIT;
CREATE TABLE walls (id int PRIMARY KEY, paint colour, cost amount, name text);
CREATE TABLE swatches (paint colour PRIMARY KEY, wall int REFERENCES walls);
CREATE VIEW painted AS SELECT id AS number, paint AS coat FROM walls;
CREATE FUNCTION darker(walls) RETURNS colour LANGUAGE sql STABLE AS 'SELECT ($1.paint / 2)::colour';
CREATE FUNCTION cheap() RETURNS SETOF walls LANGUAGE sql STABLE AS 'SELECT * FROM walls WHERE cost < 1000';
INSERT INTO walls VALUES (1, 255, 1250, 'blue'), (2, 65280, 5, 'green'), (3, NULL, NULL, 'bare');
INSERT INTO swatches VALUES (255, 1), (16, 1);
GRANT ALL ON walls, swatches, painted TO authenticated;
GRANT SELECT ON walls, swatches, painted TO anon;
GRANT EXECUTE ON FUNCTION colour_json(colour), to_colour(text), to_colour(json), amount_json(int), darker(walls), cheap()
  TO authenticated;
"""
GONE = """
DROP TABLE walls CASCADE; DROP TABLE swatches CASCADE;
DROP FUNCTION colour_json(colour), to_colour(text), to_colour(json), amount_json(int) CASCADE;
DROP DOMAIN colour, amount;
"""
ROWS = {"Prefer": "return=representation"}


@pytest.fixture
def walls(library: Library) -> Iterator[Library]:
    library.sql(TABLES)
    yield library
    library.sql(GONE)


BLUE = {"id": 1, "paint": "#0000FF", "cost": "12.50", "name": "blue"}
GREEN = {"id": 2, "paint": "#00FF00", "cost": "0.05", "name": "green"}
BARE = {"id": 3, "paint": "none", "cost": None, "name": "bare"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/walls?order=id", [BLUE, GREEN, BARE]),
        ("/walls?select=id,p:paint,cost&id=eq.1", [{"id": 1, "p": "#0000FF", "cost": "12.50"}]),
        ("/walls?select=paint::text,t:paint->>x&id=eq.1", [{"paint": '"#0000FF"', "t": None}]),
        ("/walls?select=darker&order=id", [{"darker": "#00007F"}, {"darker": "#007F80"}, {"darker": "none"}]),
        ("/painted?number=eq.2", [{"number": 2, "coat": "#00FF00"}]),
        ("/swatches?select=paint,walls(*)&paint=eq.FF", [{"paint": "#0000FF", "walls": BLUE}]),
        (
            "/swatches?select=p:paint,...walls(paint,cost)&paint=eq.10",
            [{"p": "#000010", "paint": "#0000FF", "cost": "12.50"}],
        ),
        (
            "/walls?select=id,swatches(paint)&swatches.order=paint&id=eq.1",
            [{"id": 1, "swatches": [{"paint": "#000010"}, {"paint": "#0000FF"}]}],
        ),
        (
            "/walls?select=id,...swatches(p:paint)&swatches.order=paint&id=eq.1",
            [{"id": 1, "p": ["#000010", "#0000FF"]}],
        ),
        (
            "/walls?select=id,...swatches(*)&swatches.order=paint&id=eq.1",
            [{"id": 1, "paint": ["#000010", "#0000FF"], "wall": [1, 1]}],
        ),
        ("/swatches?select=...walls(p:paint,n:count())", [{"p": "#0000FF", "n": 2}]),
        ("/swatches?select=...walls(paint.max())", [{"max": 255}]),
        ("/swatches?select=...walls(*),paint.max()", [{**BLUE, "max": 255}]),
        (
            "/swatches?select=paint,walls(paint),count()&paint=eq.FF",
            [{"paint": "#0000FF", "walls": {"paint": "#0000FF"}, "count": 1}],
        ),
        ("/rpc/cheap", [GREEN]),
        ("/rpc/cheap?select=cost", [{"cost": "0.05"}]),
        # What is stored decides, not what is shown.
        ("/walls?select=id&order=cost.desc.nullslast", [{"id": 1}, {"id": 2}, {"id": 3}]),
        ("/walls?select=paint.max(),cost.sum()", [{"max": 65280, "sum": 1255}]),
        ("/swatches?select=paint,count()&paint=eq.FF", [{"paint": "#0000FF", "count": 1}]),
    ],
)
def test_values_are_shown_as_their_cast_says(walls: Library, path: str, expected: Any) -> None:
    response = walls.user_a.get(path)
    assert (response.status_code, response.json()) == (200, expected)


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("paint=eq.%230000FF", [1]),
        ("paint=neq.%230000FF", [2]),
        ("paint=gt.FF", [2]),
        ("paint=in.(%230000FF,00FF00)", [1, 2]),
        ("paint=not.in.(FF)", [2]),
        ("paint=eq(any).{FF,00FF00}", [1, 2]),
        ("paint=isdistinct.FF", [2, 3]),
        ("or=(paint.eq.FF,and(paint.eq.FF00,id.eq.2))", [1, 2]),
        ("paint=is.null", [3]),
        ("select=id,swatches!inner()&swatches.paint=eq.%2310", [1]),
        ("darker=eq.7F", [1]),
        # Without a cast from text a value is what it is.
        ("cost=eq.5", [2]),
    ],
)
def test_filters_read_their_values_as_the_cast_from_text_says(walls: Library, query: str, ids: list[int]) -> None:
    query = query if "select=" in query else f"select=id&{query}"
    response = walls.user_a.get(f"/walls?{query}&order=id")
    assert (response.status_code, [row["id"] for row in response.json()]) == (200, ids)


def test_bodies_are_read_as_the_cast_from_json_says(walls: Library) -> None:
    row = {"id": 4, "paint": "#000010", "cost": 7, "name": "x"}
    made = walls.user_a.post("/walls", json=row)
    assert (made.status_code, made.json()) == (201, [{**row, "cost": "0.07"}])
    some = walls.user_a.post(
        "/walls?columns=id,paint&select=paint,name", json=[{**row, "id": 5}, {"id": 6, "paint": None}]
    )
    assert some.json() == [{"paint": "#000010", "name": None}, {"paint": "none", "name": None}]
    filled = {"Prefer": "missing=default, return=representation"}
    made = walls.user_a.post(
        "/walls?columns=id,paint,cost&select=id,paint,cost",
        json=[{"id": 7}, {"id": 8, "paint": "1", "cost": 1}],
        headers=filled,
    )
    assert made.json() == [{"id": 7, "paint": "none", "cost": "2.50"}, {"id": 8, "paint": "#000001", "cost": "0.01"}]
    changed = walls.user_a.patch("/walls?paint=eq.10&select=id,paint&order=id", json={"paint": "FF"})
    assert changed.json() == [{"id": 4, "paint": "#0000FF"}, {"id": 5, "paint": "#0000FF"}]
    assert walls.user_a.patch("/walls?id=eq.4&select=darker,paint", json={"paint": "FF00"}).json() == [
        {"darker": "#007F80", "paint": "#00FF00"}
    ]
    through = walls.user_a.patch("/painted?coat=eq.1", json={"coat": "2"})
    assert through.json() == [{"number": 8, "coat": "#000002"}]
    assert walls.user_a.patch("/walls?id=eq.8", json={"paint": "nonsense"}).json()["code"] == "22P02"
    assert len(walls.user_a.delete("/walls?paint=eq.2").json()) == 1


def test_upsert_and_put_know_a_key_by_its_form(walls: Library) -> None:
    merge = {"Prefer": "resolution=merge-duplicates, return=representation"}
    again = walls.user_a.post("/swatches", json=[{"paint": "#FF", "wall": 2}], headers=merge)
    assert (again.status_code, again.json()) == (200, [{"paint": "#0000FF", "wall": 2}])
    put = walls.user_a.put(
        "/swatches?paint=eq.%23000010", json=[{"paint": "10", "wall": 2}, {"paint": "11", "wall": 2}]
    )
    assert (put.status_code, put.json()) == (200, [{"paint": "#000010", "wall": 2}])
    assert walls.sql("SELECT paint FROM swatches WHERE wall = 2 ORDER BY 1") == [(16,), (255,)]
    made = walls.user_a.post("/swatches", json={"paint": "#ABC"}, headers={"Prefer": "return=headers-only"})
    assert made.headers["location"] == "/rest/v1/swatches?paint=eq.%23000ABC"
    found = walls.user_a.get(made.headers["location"].removeprefix("/rest/v1"))
    assert found.json() == [{"paint": "#000ABC", "wall": None}]


def test_a_form_is_for_who_may_call_its_function(walls: Library) -> None:
    plain = [{"id": 1, "paint": 255, "cost": 1250, "name": "blue"}]
    assert walls.anon.get("/walls?paint=eq.255").json() == plain
    assert walls.service.get("/walls?id=eq.1").json() == [BLUE]
    walls.sql("GRANT EXECUTE ON FUNCTION colour_json(colour) TO anon")
    assert walls.anon.get("/walls?paint=eq.255").json() == [{**plain[0], "paint": "#0000FF"}]
    walls.sql("REVOKE EXECUTE ON FUNCTION colour_json(colour) FROM anon")
    assert walls.anon.get("/walls?paint=eq.255").json() == plain
    walls.sql("DROP CAST (colour AS json)")
    assert walls.service.get("/walls?select=paint&id=eq.1").json() == [{"paint": 255}]
    walls.sql("CREATE CAST (colour AS json) WITH FUNCTION colour_json(colour) AS ASSIGNMENT")
    assert walls.service.get("/walls?select=paint&id=eq.1").json() == [{"paint": 255}]


def test_a_cast_function_runs_as_the_caller_and_nowhere_else(walls: Library) -> None:
    walls.sql(
        """CREATE SEQUENCE called; GRANT USAGE ON called TO authenticated;
           CREATE OR REPLACE FUNCTION colour_json(colour) RETURNS json LANGUAGE sql VOLATILE AS
             $$ SELECT to_json(nextval('called') || ' ' || current_user || ' ' || session_user) $$"""
    )
    try:

        def shown(caller: httpx.Client) -> list[str]:
            changed = caller.patch("/walls?select=paint&id=eq.1", json={"name": "x"})
            return str(changed.json()[0]["paint"]).split()

        assert walls.user_a.get("/walls?select=name&id=eq.1").json() == [{"name": "blue"}]
        number, current, session = shown(walls.user_a)
        assert (number, current) == ("1", session)
        assert session.endswith("_authenticated")
        assert shown(walls.service)[1].endswith("_service_role")
    finally:
        walls.sql("DROP SEQUENCE called")
