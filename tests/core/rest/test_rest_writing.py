from __future__ import annotations

from typing import Any

import httpx
import pytest
from library_kit import Library

MINIMAL = {"Prefer": "return=minimal"}


def code(response: httpx.Response) -> tuple[int, Any]:
    return response.status_code, response.json()["code"]


# insert


def test_a_write_answers_the_rows_when_asked_and_else_nothing(library: Library) -> None:
    made = library.service.post("/authors", json={"name": "Dora"}, headers={"Prefer": "return=representation"})
    assert made.status_code == 201
    assert made.json() == [{"id": 4, "name": "Dora", "bio": None}]
    assert made.headers["preference-applied"] == "return=representation"
    assert made.headers["content-range"] == "*/*"
    quiet = library.service.post("/authors", json={"name": "Eve"}, headers=MINIMAL)
    assert (quiet.status_code, quiet.content) == (201, b"")
    assert quiet.headers["preference-applied"] == "return=minimal"
    assert library.sql("SELECT name FROM authors WHERE id = 5") == [("Eve",)]
    for method, path, body, status in (
        ("POST", "/authors", {"name": "Fay"}, 201),
        ("PATCH", "/authors?id=eq.6", {"bio": "b"}, 204),
        ("PUT", "/categories?id=eq.9", {"id": 9, "name": "nine"}, 204),
        ("DELETE", "/authors?id=eq.6", None, 204),
    ):
        silent = library.service.request(method, path, json=body, headers={"Prefer": ""})
        assert (silent.status_code, silent.content) == (status, b""), method
        assert "preference-applied" not in silent.headers
        assert "content-type" not in silent.headers


def test_insert_returns_the_selected_columns_and_embeddings(library: Library) -> None:
    response = library.service.post(
        "/books?select=title,writer:authors(name),full_title", json={"title": "New", "author_id": 1}
    )
    assert response.json() == [{"title": "New", "writer": {"name": "Ada"}, "full_title": "New (5)"}]


def test_insert_as_single_object(library: Library) -> None:
    accept = {"Accept": "application/vnd.pgrst.object+json"}
    assert library.service.post("/categories", json={"id": 9, "name": "n"}, headers=accept).json() == {
        "id": 9,
        "name": "n",
    }
    two = library.service.post("/categories", json=[{"id": 10, "name": "x"}, {"id": 11, "name": "y"}], headers=accept)
    assert code(two) == (406, "PGRST116")
    assert library.sql("SELECT id FROM categories WHERE id > 9") == []


def test_location_with_headers_only(library: Library) -> None:
    response = library.service.post(
        "/book_categories", json={"book_id": 4, "category_id": 3}, headers={"Prefer": "return=headers-only"}
    )
    assert (response.status_code, response.content) == (201, b"")
    assert response.headers["location"] == "/admin/v1/rest/book_categories?book_id=eq.4&category_id=eq.3"
    assert library.service.get(response.headers["location"].removeprefix("/admin/v1/rest")).json()


def test_bulk_insert_keeps_every_type_exact(library: Library) -> None:
    rows = (
        '[{"id": 10, "big": 9007199254740993, "exact": 0.1000, "doc": {"z":1,"a":[1,  2]}, "numbers": [3,4]},'
        ' {"id": 11, "big": null, "exact": "12.5", "doc": "text", "numbers": "{5}"}]'
    )
    response = library.service.post("/samples", content=rows, headers={"Content-Type": "application/json"})
    assert response.status_code == 201, response.text
    assert library.sql("SELECT big, exact::text, doc::text, numbers FROM samples WHERE id >= 10 ORDER BY id") == [
        (9007199254740993, "0.1000", '{"z":1,"a":[1,  2]}', [3, 4]),
        (None, "12.5", '"text"', [5]),
    ]


def test_bulk_insert_needs_equal_keys_or_columns_or_missing_default(library: Library) -> None:
    rows = [{"title": "One", "stock": 1}, {"title": "Two"}]
    assert code(library.service.post("/books", json=rows)) == (400, "PGRST102")
    nulls = library.service.post("/books?columns=title,stock&select=stock", json=rows)
    assert nulls.json() == [{"stock": 1}, {"stock": None}]
    prefer = {"Prefer": "return=representation,missing=default"}
    filled = library.service.post("/books?columns=title,stock&select=stock", json=rows, headers=prefer)
    assert filled.json() == [{"stock": 1}, {"stock": 7}]
    assert filled.headers["preference-applied"] == "missing=default, return=representation"
    assert library.service.post("/books?select=stock", json=rows, headers=prefer).json() == filled.json()


def test_missing_default_reaches_identity_null_and_odd_defaults(library: Library) -> None:
    prefer = {"Prefer": "missing=default,return=representation"}
    rows = [{"name": "X", "bio": None}, {"id": 77, "name": "Y"}]
    made = library.service.post("/authors?columns=id,name,bio", json=rows, headers=prefer)
    assert made.json() == [{"id": 4, "name": "X", "bio": None}, {"id": 77, "name": "Y", "bio": None}]
    odd = library.service.post(
        '/Odd "Name?columns="a column","per%25cent"&select="per%25cent"', json=[{"a column": 3}], headers=prefer
    )
    assert odd.json() == [{"per%cent": "it's \\ fine"}]


def test_columns_drops_other_keys_and_unknown_columns_are_named(library: Library) -> None:
    kept = library.service.post("/authors?columns=name", json={"name": "Z", "bogus": 1})
    assert kept.status_code == 201
    unknown = library.service.post("/authors", json={"nam": "Z"})
    assert code(unknown) == (400, "PGRST204")
    assert "name" in unknown.json()["hint"]


def test_empty_object_and_empty_array(library: Library) -> None:
    assert library.service.post("/inbox", json={}).json() == [{"id": 1, "message": None}]
    assert len(library.service.post("/inbox", json=[{}, {}]).json()) == 2
    nothing = library.service.post("/inbox", json=[])
    assert (nothing.status_code, nothing.json()) == (201, [])


def test_form_and_csv_bodies(library: Library) -> None:
    assert library.service.post("/authors", data={"name": "Form", "bio": "b"}).json()[0]["name"] == "Form"
    text = 'name,bio\n"C, S",NULL\nV,""\n'
    made = library.service.post("/authors?select=name,bio", content=text, headers={"Content-Type": "text/csv"})
    assert made.json() == [{"name": "C, S", "bio": None}, {"name": "V", "bio": ""}]
    uneven = library.service.post("/authors", content="name,bio\nx\n", headers={"Content-Type": "text/csv"})
    assert code(uneven) == (400, "PGRST102")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b"[1,2]",
        b"3",
        b'"text"',
        b'{"name": NaN}',
        b"\xff\xfe",
        b'{"name": "\xff"}',
        b'{"name": "\\u0000"}',
        b'{"name": "\\ud800"}',
        b"[" * 100_000,
        b'{"name":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
        b'{"name": null}',
        b'{"id": "x", "name": "n"}',
        b'{"": 1}',
    ],
)
def test_bad_bodies_are_4xx_in_the_error_form(library: Library, body: bytes) -> None:
    response = library.service.post("/authors", content=body, headers={"Content-Type": "application/json"})
    assert 400 <= response.status_code < 500, response.text
    assert set(response.json()) - {"next_actions"} == {"code", "details", "hint", "message"}
    assert library.sql("SELECT count(*) FROM authors") == [(3,)]


def test_body_over_the_limit_is_413(library: Library) -> None:
    response = library.service.post("/authors", content=b" " * (16 * 1024 * 1024 + 1))
    assert code(response) == (413, "PGRST102")


def test_injection_by_keys_and_columns_changes_nothing(library: Library) -> None:
    for name in ['name") VALUES (1); --', "name'", "$1", "%s", "name; --", 'x" int); DROP TABLE books; --']:
        assert code(library.service.post("/authors", json={name: "x"})) == (400, "PGRST204")
        assert library.service.post("/authors", params={"columns": name}, json={"name": "x"}).status_code == 400
        assert library.service.post("/authors", params={"columns": f'"{name}"'}, json=[]).status_code == 400
        assert library.service.patch("/authors?id=eq.1", json={name: "x"}).status_code == 400
        conflict = {"on_conflict": f'"{name}"'}
        prefer = {"Prefer": "resolution=merge-duplicates,return=representation"}
        assert library.service.post("/authors", params=conflict, json={"name": "x"}, headers=prefer).status_code == 400
    assert library.sql("SELECT count(*) FROM authors") == [(3,)]


# upsert


def test_upsert_merges_or_ignores_by_primary_key(library: Library) -> None:
    rows = [{"id": 1, "name": "changed"}, {"id": 8, "name": "new"}]
    merged = library.service.post(
        "/categories", json=rows, headers={"Prefer": "resolution=merge-duplicates,return=representation"}
    )
    assert merged.json() == rows
    assert merged.headers["preference-applied"] == "resolution=merge-duplicates, return=representation"
    again = [{"id": 1, "name": "ignored"}, {"id": 9, "name": "newer"}]
    ignored = library.service.post(
        "/categories", json=again, headers={"Prefer": "resolution=ignore-duplicates,return=representation"}
    )
    assert ignored.json() == [{"id": 9, "name": "newer"}]
    assert library.sql("SELECT name FROM categories WHERE id = 1") == [("changed",)]


def test_upsert_on_another_unique_column(library: Library) -> None:
    prefer = {"Prefer": "resolution=merge-duplicates,return=representation"}
    row = {"id": 30, "name": "science"}
    assert code(library.service.post("/categories", json=row, headers=prefer)) == (409, "23505")
    library.sql("DELETE FROM book_categories")
    response = library.service.post("/categories?on_conflict=name", json=row, headers=prefer)
    assert response.json() == [row]
    assert library.sql("SELECT count(*) FROM categories") == [(3,)]


def test_put_replaces_the_row_that_the_url_names(library: Library) -> None:
    made = library.service.put("/categories?id=eq.5", json={"id": 5, "name": "five"})
    assert (made.status_code, made.json()) == (201, [{"id": 5, "name": "five"}])
    library.service.put("/categories?id=eq.5", json={"id": 5, "name": "cinq"}, headers=MINIMAL)
    assert library.sql("SELECT name FROM categories WHERE id = 5") == [("cinq",)]
    other = library.service.put("/categories?id=eq.6", json={"id": 5, "name": "x"})
    assert code(other) == (400, "PGRST115")
    for query in ("", "?name=eq.x", "?id=gt.5", "?id=eq.5&name=eq.x"):
        assert code(library.service.put(f"/categories{query}", json={"id": 5, "name": "x"})) == (405, "PGRST105")
    assert code(library.service.put("/categories?id=eq.5&limit=1", json={"id": 5, "name": "x"})) == (400, "PGRST114")


# update and delete


def test_update_changes_what_the_filters_match(library: Library) -> None:
    response = library.service.patch("/books?price=gt.10&select=title,stock&order=id", json={"stock": 1})
    assert response.status_code == 200
    assert response.json() == [{"title": "Engines", "stock": 1}, {"title": "Sums", "stock": 1}]
    assert response.headers["content-range"] == "0-1/*"
    none = library.service.patch("/books?id=eq.99", json={"stock": 1})
    assert (none.status_code, none.json(), none.headers["content-range"]) == (200, [], "*/*")
    quiet = library.service.patch("/books?id=eq.1", json={"stock": 2}, headers=MINIMAL)
    assert (quiet.status_code, quiet.content) == (204, b"")
    counted = library.service.patch(
        "/books?id=lt.3", json={"stock": 4}, headers={"Prefer": "count=exact,return=representation"}
    )
    assert counted.headers["content-range"] == "0-1/2"


def test_update_with_an_empty_object_changes_nothing(library: Library) -> None:
    assert library.service.patch("/books", json={}).json() == []
    assert code(library.service.patch("/books", json=[{"stock": 1}, {"stock": 2}])) == (400, "PGRST102")


def test_update_and_delete_by_logic_and_json_path(library: Library) -> None:
    response = library.service.patch("/books?or=(id.eq.1,meta->>pages.eq.300)&select=id", json={"meta": None})
    assert sorted(row["id"] for row in response.json()) == [1, 2]
    gone = library.service.delete("/books?tags=cs.{old}&stock=eq.0&select=title,authors(name)")
    assert gone.json() == [{"title": "Pensees", "authors": {"name": "Blaise"}}]
    assert gone.headers["content-range"] == "*/*"
    quiet = library.service.delete("/books?id=eq.1", headers={"Prefer": "return=minimal,count=exact"})
    assert (quiet.status_code, quiet.headers["content-range"]) == (204, "*/1")


def test_limited_update_and_delete_need_an_order(library: Library) -> None:
    assert code(library.service.delete("/books?limit=1")) == (400, "PGRST109")
    gone = library.service.delete("/books?limit=1&order=id.desc&id=lt.4&select=title")
    assert gone.json() == [{"title": "Sums"}]
    changed = library.service.patch("/books?limit=1&offset=1&order=id&select=title", json={"stock": 5})
    assert changed.json() == [{"title": "Pensees"}]


def test_filter_on_something_not_embedded_never_widens_a_write(library: Library) -> None:
    for headers in ({}, MINIMAL):
        assert code(library.service.delete("/books?authors.name=eq.Ada", headers=headers)) == (400, "PGRST108")
    assert library.sql("SELECT count(*) FROM books") == [(4,)]


def test_max_affected_rolls_back_under_strict_handling(library: Library) -> None:
    prefer = {"Prefer": "handling=strict,max-affected=2,return=representation"}
    assert code(library.service.delete("/book_categories", headers=prefer)) == (400, "PGRST124")
    assert library.sql("SELECT count(*) FROM book_categories") == [(4,)]
    assert library.service.delete("/book_categories?book_id=eq.2", headers=prefer).status_code == 200
    unknown = library.service.delete("/book_categories", headers={"Prefer": "handling=strict,nonsense=1"})
    assert code(unknown) == (400, "PGRST122")


def test_single_object_update_rolls_back_when_it_meets_more_rows(library: Library) -> None:
    accept = {"Accept": "application/vnd.pgrst.object+json"}
    assert code(library.service.patch("/books", json={"stock": 99}, headers=accept)) == (406, "PGRST116")
    assert library.sql("SELECT count(*) FROM books WHERE stock = 99") == [(0,)]


def test_write_through_a_view(library: Library) -> None:
    assert library.service.patch("/catalog?book=eq.1", json={"name": "Renamed"}).json()[0]["name"] == "Renamed"
    made = library.service.post(
        "/catalog?columns=book,name",
        json=[{"name": "By view"}],
        headers={"Prefer": "missing=default,return=representation"},
    )
    assert made.json() == [{"book": 5, "name": "By view", "writer": None}]


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("POST", "/categories", {"id": 1, "name": "x"}, (409, "23505")),
        ("POST", "/books", {"title": "x", "author_id": 99}, (409, "23503")),
        ("DELETE", "/categories?id=eq.1", None, (409, "23503")),
        ("POST", "/books", {"title": None}, (400, "23502")),
        ("POST", "/books", {"title": "x", "stock": -1}, (400, "23514")),
        ("POST", "/books", {"title": "x", "price": 1e9}, (400, "22003")),
        ("POST", "/books", {"title": "x", "published": "someday"}, (400, "22007")),
        ("POST", "/notes", {"id": 5, "body": "x"}, (400, "428C9")),
        ("PATCH", "/books?nope=eq.1", {"stock": 1}, (400, "42703")),
    ],
)
def test_database_errors_keep_their_sqlstate(
    library: Library, method: str, path: str, body: Any, expected: tuple[int, str]
) -> None:
    response = library.service.request(method, path, json=body)
    assert code(response) == expected
    assert response.json()["message"]
