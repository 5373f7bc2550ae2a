"""Spreads of one and of many rows, aggregates in them, and names that mean a column or an embedded resource."""

from __future__ import annotations

from typing import Any

import pytest
from library_kit import Library
from novels_kit import add_novels


@pytest.fixture(scope="module")
def novels(filled: Library) -> Library:
    add_novels(filled)
    return filled


def read(library: Library, query: str) -> Any:
    return library.anon.get(query).json()


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        (
            "/writers?select=name,...novels(titles:title,pages)&novels.order=pages&order=id",
            [
                {"name": "Ada", "titles": ["N2", "N1"], "pages": [50, 100]},
                {"name": "Bo", "titles": ["N3"], "pages": [70]},
                {"name": "Cy", "titles": [], "pages": []},
            ],
        ),
        # Every column of a star, a filter, a limit, an order by what is not selected.
        (
            "/writers?select=...novels(*)&novels.order=title.desc&novels.limit=1&novels.pages=gt.10&id=eq.1",
            [{"id": [2], "title": ["N2"], "pages": [50], "writer_id": [1]}],
        ),
        ("/writers?select=name,...novels!inner(title)&novels.pages=gt.60&id=eq.1", [{"name": "Ada", "title": ["N1"]}]),
        ("/writers?select=name,...novels!inner(title)&id=eq.3", []),
        ("/writers?select=name,...novels(title)&novels=is.null", [{"name": "Cy", "title": []}]),
        (
            "/writers?select=id,...novels(title)&novels=not.is.null&novels.order=id&id=lt.2",
            [{"id": 1, "title": ["N1", "N2"]}],
        ),
        # Many-to-many; a row without a value is null.
        ("/shelves?select=label,...novels(pages)&novels.order=id&id=eq.1", [{"label": "s1", "pages": [100, 50]}]),
        # A spread in a spread: arrays of one row each, arrays of arrays, objects, arrays of objects.
        (
            "/shelves?select=id,...novels(title,...writers(name))&novels.order=id&order=id",
            [
                {"id": 1, "title": ["N1", "N2"], "name": ["Ada", "Ada"]},
                {"id": 2, "title": ["N3"], "name": ["Bo"]},
                {"id": 3, "title": [], "name": []},
            ],
        ),
        (
            "/writers?select=id,...novels(title,...shelves(label))&novels.order=id&id=lte.2&order=id",
            [
                {"id": 1, "title": ["N1", "N2"], "label": [["s1"], ["s1"]]},
                {"id": 2, "title": ["N3"], "label": [["s2"]]},
            ],
        ),
        (
            "/shelves?select=...novels(writers(name),novel_shelf(shelf_id))&novels.order=id&id=eq.2",
            [{"writers": [{"name": "Bo"}], "novel_shelf": [[{"shelf_id": 2}]]}],
        ),
        # Inside a to-one spread it is lifted to the top; inside an object its arrays are keys of it.
        ("/novels?select=id,...writers(name,...novels(n:id))&id=eq.3", [{"id": 3, "name": "Bo", "n": [3]}]),
        ("/novels?select=id,writers(name,...novels(n:id))&id=eq.3", [{"id": 3, "writers": {"name": "Bo", "n": [3]}}]),
        (
            "/shelves?select=...novels(title,...writers())&novels.order=writers(name).desc,id.desc&id=eq.1",
            [{"title": ["N2", "N1"]}],
        ),
        ("/novels?select=id,..writers(name)&id=eq.3", [{"id": 3, "name": "Bo"}]),
    ],
)
def test_a_spread_of_many_rows_gives_arrays(novels: Library, query: str, rows: list[dict[str, Any]]) -> None:
    assert read(novels, query) == rows


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        (
            "/novels?select=...writers(name,count())&order=writers(name)",
            [{"name": "Ada", "count": 2}, {"name": "Bo", "count": 1}, {"name": None, "count": 0}],
        ),
        ("/novels?select=pages.sum(),...writers(n:id.max())", [{"sum": 220, "n": 2}]),
        (
            "/novel_shelf?select=shelf_id,...novels(pages.sum())&order=shelf_id",
            [{"shelf_id": 1, "sum": 150}, {"shelf_id": 2, "sum": 70}],
        ),
        (
            "/shelves?select=label,novel_shelf(...novels(...writers(name),pages.max()))&id=lt.3&order=id",
            [
                {"label": "s1", "novel_shelf": [{"name": "Ada", "max": 100}]},
                {"label": "s2", "novel_shelf": [{"name": "Bo", "max": 70}]},
            ],
        ),
        # Two levels of spreads, a star beside an aggregate, a cast of the result, an embed in the group.
        (
            "/novel_shelf?select=...novels(pages.avg()::int,...writers(writer:name,writers:count()))&order=novels(avg)",
            [{"avg": 70, "writer": "Bo", "writers": 1}, {"avg": 75, "writer": "Ada", "writers": 2}],
        ),
        (
            "/novels?select=count(),...writers(*)&writers.id=eq.2&writers=not.is.null",
            [{"count": 1, "id": 2, "name": "Bo", "editor_id": 1, "rival_id": None}],
        ),
        ("/novels?select=writers(name),pages.min()&writer_id=eq.1", [{"writers": {"name": "Ada"}, "min": 50}]),
        (
            "/novels?select=...writers(who:name,count())&order=writers(who).desc.nullslast&limit=1",
            [{"who": "Bo", "count": 1}],
        ),
        (
            "/writers?select=*,...novels(title)&id=eq.3",
            [{"id": 3, "name": "Cy", "editor_id": 1, "rival_id": None, "title": []}],
        ),
    ],
)
def test_an_aggregate_in_a_spread_is_made_where_the_spread_goes(
    novels: Library, query: str, rows: list[dict[str, Any]]
) -> None:
    assert read(novels, query) == rows


def test_a_spread_of_many_rows_takes_no_aggregate(novels: Library) -> None:
    for query in ("/writers?select=...novels(pages.sum())", "/shelves?select=id,...novels(...writers(count()))"):
        refused = novels.anon.get(query)
        assert (refused.status_code, refused.json()["code"]) == (400, "PGRST127")


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        (
            "/novels?select=title,writer_id,who:writer_id(name)&writer_id=eq.2",
            [{"title": "N3", "writer_id": 2, "who": {"name": "Bo"}}],
        ),
        (
            "/novels?select=title,writer_id(name)&or=(writer_id.eq.2,id.eq.99)",
            [{"title": "N3", "writer_id": {"name": "Bo"}}],
        ),
        ("/novels?select=id,who:writer_id(name)&writer_id=is.null", [{"id": 4, "who": None}]),
        ("/novels?select=id,who:writer_id()&who=is.null", [{"id": 4}]),
        ("/novels?select=id,writer_id()&writer_id=not.is.null&writer_id.name=eq.Bo", [{"id": 3}]),
    ],
)
def test_a_name_in_a_filter_is_a_column_unless_presence_is_asked_for(
    novels: Library, query: str, rows: list[dict[str, Any]]
) -> None:
    assert read(novels, query) == rows


def test_an_alias_leaves_the_name_of_the_table_to_the_embed_without_alias(novels: Library) -> None:
    found = read(novels, "/writers?select=short:novels(id),novels(id)&novels.pages=gt.60&short.pages=lt.60&id=eq.1")
    assert found == [{"short": [{"id": 2}], "novels": [{"id": 1}]}]


def test_a_table_in_itself(novels: Library) -> None:
    novels.sql("UPDATE writers SET rival_id = 3 WHERE id = 2")
    one = novels.anon.get("/writers?id=eq.1&select=id,pupils:writers!editor_id(id)&pupils.order=id").json()
    assert one == [{"id": 1, "pupils": [{"id": 2}, {"id": 3}]}]
    assert one == read(novels, "/writers?id=eq.1&select=id,pupils:writers!writers_editor_id_fkey(id)&pupils.order=id")
    assert read(novels, "/writers?id=eq.2&select=editor_id(name),rival_id(id)") == [
        {"editor_id": {"name": "Ada"}, "rival_id": {"id": 3}}
    ]
    # Of a unique key there is at most one row below.
    assert read(novels, "/writers?id=eq.3&select=by:writers!rival_id(id)") == [{"by": {"id": 2}}]
    assert novels.anon.get("/writers?select=writers(id)").json()["code"] == "PGRST201"


@pytest.mark.parametrize(
    "query", ["novels(novel_shelf(shelves()))", "novels()", "...novels(novel_shelf())", "novels(...writers())"]
)
def test_an_embed_without_a_column_has_no_key(novels: Library, query: str) -> None:
    assert read(novels, f"/writers?select=id,{query}&id=eq.1") == [{"id": 1}]
    inner = query.replace("(", "!inner(", 1)
    assert [row["id"] for row in read(novels, f"/writers?select=id,{inner}&order=id")] == [1, 2]


def test_an_embed_with_one_column_keeps_its_key(novels: Library) -> None:
    found = read(novels, "/writers?select=id,novels(novel_shelf(shelves()),title)&id=eq.2")
    assert found == [{"id": 2, "novels": [{"title": "N3"}]}]


def test_a_written_row_has_its_spreads_too(novels: Library) -> None:
    made = novels.service.post(
        "/novels?select=id,...writers(name,...novels(titles:title))", json={"id": 90, "title": "N90", "writer_id": 3}
    )
    novels.sql("DELETE FROM novels WHERE id = 90")
    assert made.json() == [{"id": 90, "name": "Cy", "titles": []}]
