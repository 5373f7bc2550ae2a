"""Functions of a row: as relationships to the rows that they give, and as columns."""

from __future__ import annotations

from typing import Any

import pytest
from library_kit import Library
from novels_kit import add_novels

FUNCTIONS = """
CREATE FUNCTION editors(writers) RETURNS SETOF writers ROWS 1 LANGUAGE sql STABLE AS
  $$ SELECT * FROM {schema}.writers WHERE id = $1.editor_id $$;
CREATE FUNCTION pupils(writers) RETURNS SETOF writers LANGUAGE sql STABLE AS
  $$ SELECT * FROM {schema}.writers WHERE editor_id = $1.id $$;
CREATE FUNCTION first_novel(writers) RETURNS novels LANGUAGE sql STABLE AS
  $$ SELECT n FROM {schema}.novels n WHERE writer_id = $1.id ORDER BY id LIMIT 1 $$;
CREATE FUNCTION shelves(novels) RETURNS SETOF shelves LANGUAGE sql STABLE AS
  $$ SELECT * FROM {schema}.shelves WHERE id = 3 $$;
CREATE FUNCTION shelves(writers) RETURNS SETOF shelves LANGUAGE sql STABLE AS
  $$ SELECT * FROM {schema}.shelves WHERE id = $1.id $$;
CREATE FUNCTION closed(writers) RETURNS SETOF novels LANGUAGE sql STABLE AS $$ SELECT * FROM {schema}.novels $$;
CREATE FUNCTION label(writers) RETURNS text LANGUAGE sql STABLE AS $$ SELECT 'w' || $1.id || $1.name $$;
CREATE FUNCTION label(novels) RETURNS text LANGUAGE sql STABLE AS $$ SELECT 'n' || $1.id || $1.title $$;
CREATE FUNCTION all_writers() RETURNS SETOF writers LANGUAGE sql STABLE AS $$ SELECT * FROM {schema}.writers $$;
REVOKE EXECUTE ON FUNCTION editors, pupils, first_novel, shelves(novels), shelves(writers), closed, label(writers),
  label(novels), all_writers FROM PUBLIC;
GRANT EXECUTE ON FUNCTION editors, pupils, first_novel, shelves(novels), shelves(writers), label(writers), label(novels),
  all_writers TO anon, service_role;
"""


@pytest.fixture(scope="module")
def novels(filled: Library) -> Library:
    add_novels(filled)
    filled.sql(FUNCTIONS)
    return filled


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        (
            "/writers?select=name,editors(name)&order=id",
            [
                {"name": "Ada", "editors": None},
                {"name": "Bo", "editors": {"name": "Ada"}},
                {"name": "Cy", "editors": {"name": "Ada"}},
            ],
        ),
        (
            "/writers?select=id,below:pupils(id,editors(name))&pupils.id=gt.2&id=eq.1",
            [{"id": 1, "below": [{"id": 3, "editors": {"name": "Ada"}}]}],
        ),
        (
            "/writers?select=id,pupils(id)&pupils.order=id.desc&pupils.limit=1&id=eq.1",
            [{"id": 1, "pupils": [{"id": 3}]}],
        ),
        ("/writers?select=id,pupils(id)&id=eq.2", [{"id": 2, "pupils": []}]),
        ("/writers?select=id,pupils!inner()", [{"id": 1}]),
        ("/writers?select=id,...editors(editor:name)&id=eq.2", [{"id": 2, "editor": "Ada"}]),
        ("/writers?select=id,...pupils(names:name)&pupils.order=name&id=eq.1", [{"id": 1, "names": ["Bo", "Cy"]}]),
        ("/writers?select=id,editors()&editors=is.null", [{"id": 1}]),
        ("/writers?select=id,editors()&or=(editors.is.null,id.eq.3)&order=id", [{"id": 1}, {"id": 3}]),
        ("/writers?select=id,editors()&order=editors(id).nullsfirst,id.desc", [{"id": 1}, {"id": 3}, {"id": 2}]),
        # A function that gives one row, and none where it gives NULL.
        (
            "/writers?select=id,first_novel(title)&id=gt.1&order=id",
            [{"id": 2, "first_novel": {"title": "N3"}}, {"id": 3, "first_novel": None}],
        ),
        # Named like a table it stands in place of the keys that lead there; the type of the row picks the overload.
        (
            "/novels?select=id,shelves(label),writers(shelves(label))&id=eq.3",
            [{"id": 3, "shelves": [{"label": "s3"}], "writers": {"shelves": [{"label": "s2"}]}}],
        ),
        (
            "/rpc/all_writers?select=label,shelves(label),editors(label)&id=eq.2",
            [{"label": "w2Bo", "shelves": [{"label": "s2"}], "editors": {"label": "w1Ada"}}],
        ),
        ("/novels?select=label&label=eq.n3N3&order=label", [{"label": "n3N3"}]),
    ],
)
def test_a_function_of_a_row_leads_to_rows(novels: Library, query: str, rows: list[dict[str, Any]]) -> None:
    assert novels.anon.get(query).json() == rows


def test_a_function_of_a_row_is_called_as_the_caller(novels: Library) -> None:
    refused = novels.anon.get("/writers?select=id,closed(id)")
    assert (refused.status_code, refused.json()["code"]) == (401, "42501")
    assert novels.anon.get("/writers?select=id,nothing_like_it(id)").json()["code"] == "PGRST200"
    assert novels.anon.get("/writers?select=id,pupils(id)&order=pupils(id)").json()["code"] == "PGRST118"


def test_a_function_is_noticed_when_it_comes_and_goes(novels: Library) -> None:
    novels.sql("CREATE FUNCTION lately(writers) RETURNS SETOF writers LANGUAGE sql STABLE AS $$ SELECT $1 $$")
    novels.sql("GRANT EXECUTE ON FUNCTION lately TO anon")
    assert novels.anon.get("/writers?select=id,lately(id)&id=eq.1").json() == [{"id": 1, "lately": [{"id": 1}]}]
    novels.sql("DROP FUNCTION lately")
    assert novels.anon.get("/writers?select=id,lately(id)").json()["code"] == "PGRST200"


def test_written_rows_have_them_too(novels: Library) -> None:
    made = novels.service.post(
        "/writers?select=name,label,editors(name),shelves(id)", json={"id": 3000, "name": "Di", "editor_id": 1}
    )
    changed = novels.service.patch("/writers?id=eq.3000&select=label", json={"name": "Do"})
    novels.service.delete("/writers?id=eq.3000")
    assert made.json() == [{"name": "Di", "label": "w3000Di", "editors": {"name": "Ada"}, "shelves": []}]
    assert changed.json() == [{"label": "w3000Do"}]


@pytest.mark.parametrize("name", ["to_jsonb", "row_to_json", "pg_typeof", "nope"])
def test_a_function_of_another_schema_is_no_column(novels: Library, name: str) -> None:
    for query in (f"select={name}", f"order={name}", f"{name}=is.null", f"select=id,novels({name})"):
        refused = novels.anon.get(f"/writers?{query}")
        assert (refused.status_code, refused.json()["code"]) == (400, "42703"), query


def test_a_partition_is_no_endpoint(novels: Library) -> None:
    novels.sql(
        "CREATE TABLE sales (day int PRIMARY KEY, novel_id int REFERENCES novels) PARTITION BY RANGE (day);"
        "CREATE TABLE sales_1 PARTITION OF sales FOR VALUES FROM (1) TO (10);"
        "INSERT INTO sales VALUES (1, 3); GRANT SELECT ON sales, sales_1 TO anon"
    )
    assert novels.anon.get("/sales?select=day,novels(title)").json() == [{"day": 1, "novels": {"title": "N3"}}]
    gone = novels.anon.get("/sales_1")
    assert (gone.status_code, gone.json()["code"]) == (404, "PGRST205")
    assert novels.anon.get("/novels?select=sales(day)&id=eq.3").json() == [{"sales": [{"day": 1}]}]
    assert novels.anon.get("/novels?select=sales_1(day)").json()["code"] == "PGRST200"
