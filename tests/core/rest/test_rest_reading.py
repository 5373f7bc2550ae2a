from __future__ import annotations

from typing import Any

import httpx
import pytest
from library_kit import Library


def titles(response: httpx.Response) -> list[Any]:
    assert response.status_code in (200, 206), response.text
    return [row["title"] for row in response.json()]


def test_rows_come_as_json_built_by_postgresql(library: Library) -> None:
    response = library.anon.get("/samples?order=id&limit=1")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert response.headers["cache-control"] == "private, no-store"
    assert response.headers["content-range"] == "0-0/*"
    assert '"big":9007199254740993,"exact":1.10' in response.text
    row = response.json()[0]
    assert row["moment"].startswith("2024-01-02T03:04:05.678")
    assert row["bytes"] == "\\x00ff"
    assert row["numbers"] == [1, 2]
    assert row["doc"] == {"b": 1, "a": 2}
    assert row["span"] == "[1,5)"
    assert row["flag"] is True


def test_select_takes_columns_aliases_casts_and_json_paths(library: Library) -> None:
    select = "heading:title,price::text,meta->>pages,code:meta->lang->>code,first:meta->list->0"
    response = library.anon.get("/books", params={"select": select, "id": "eq.1"})
    assert response.json() == [{"heading": "Engines", "price": "12.50", "pages": "100", "code": "en", "first": 1}]


@pytest.mark.parametrize(
    ("cast", "value"),
    [
        ("text", "1"),
        ("int", 1),
        ("BIGINT", 1),
        ("double  precision", 1),
        ("numeric", 1),
        ("decimal", 1),
        ("bool", True),
    ],
)
def test_casts_to_plain_types(library: Library, cast: str, value: Any) -> None:
    response = library.anon.get("/books", params={"select": f"x:id::{cast}", "id": "eq.1"})
    assert response.json() == [{"x": value}]
    rows = library.anon.get("/samples", params={"select": f"x:numbers::{cast}[]", "limit": "1", "order": "id"})
    assert rows.json() == [{"x": [value, value if cast == "bool" else type(value)(2)]}]


@pytest.mark.parametrize("array", ["", "[]"])
@pytest.mark.parametrize(
    "cast",
    [
        *("regclass", "REGCLASS", "regproc", "regprocedure", "regoper", "regoperator", "regtype", "regrole"),
        *("regnamespace", "regconfig", "regdictionary", "regcollation", "oid", "name", "xid", "pg_lsn", "aclitem"),
        *("seen", "books", "pg_class", "record", "cstring", "xml", "any"),
    ],
)
def test_casts_that_look_up_the_catalog_are_refused(library: Library, cast: str, array: str) -> None:
    library.sql("DROP DOMAIN IF EXISTS seen; CREATE DOMAIN seen AS regclass")
    response = library.anon.get("/books", params={"select": f"id::{cast}{array}"})
    assert (response.status_code, response.json()["code"]) == (400, "PGRST100"), response.text
    aggregate = library.anon.get("/books", params={"select": f"count()::{cast}{array}"})
    assert (aggregate.status_code, aggregate.json()["code"]) == (400, "PGRST100"), aggregate.text


@pytest.mark.parametrize("cast", ["pg_catalog.regclass", '"regclass"', "public.text", "regclass ", "text::regclass"])
def test_no_other_spelling_of_a_type_gets_through(library: Library, cast: str) -> None:
    response = library.anon.get("/books", params={"select": f"id::{cast}"})
    assert response.status_code == 400, response.text


@pytest.mark.parametrize("language", ["13000", '"pg_catalog.english"', '"internal.x"', "pg_catalog.english"])
def test_a_text_search_configuration_is_of_the_project_or_of_postgresql(library: Library, language: str) -> None:
    assert library.anon.get("/books", params={"title": f"fts({language}).engine"}).status_code == 400
    assert titles(library.anon.get("/books", params={"title": "fts(english).engine"})) == ["Engines"]


def test_computed_column_of_a_row_function(library: Library) -> None:
    assert library.anon.get("/books?select=full_title&id=eq.1").json() == [{"full_title": "Engines (1)"}]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("id=eq.2", ["Pensees"]),
        ("id=neq.2", ["Engines", "Sums", "Orphan"]),
        ("id=not.eq.2", ["Engines", "Sums", "Orphan"]),
        ("price=gt.8", ["Engines", "Sums"]),
        ("price=gte.8.00&price=lt.20", ["Engines", "Pensees"]),
        ("stock=lte.1", ["Pensees", "Orphan"]),
        ("title=like.*s", ["Engines", "Pensees", "Sums"]),
        ("title=ilike.%25EN%25", ["Engines", "Pensees"]),
        ("title=match.^[EP]", ["Engines", "Pensees"]),
        ("title=imatch.^o", ["Orphan"]),
        ("title=eq(any).{Sums,Orphan}", ["Sums", "Orphan"]),
        ("title=like(all).{*n*,*s*}", ["Engines", "Pensees"]),
        ("title=not.like(any).{E*,P*}", ["Sums", "Orphan"]),
        ("id=in.(1,3)", ["Engines", "Sums"]),
        ("id=in.()", []),
        ("id=not.in.(1,3)", ["Pensees", "Orphan"]),
        ('title=in.("Sums","a,b\\"c")', ["Sums"]),
        ("price=is.null", ["Orphan"]),
        ("price=not.is.null&meta=is.not_null", ["Engines", "Pensees"]),
        ("author_id=isdistinct.1", ["Pensees", "Sums", "Orphan"]),
        ("tags=cs.{math}", ["Engines", "Sums"]),
        ("tags=cd.{math,new}", ["Sums", "Orphan"]),
        ("tags=ov.{old,new}", ["Engines", "Pensees"]),
        ('meta=cs.{"pages":300}', ["Pensees"]),
        ("meta->lang->>code=eq.fr", ["Pensees"]),
        ("meta->pages=gt.200", ["Pensees"]),
        ("title=fts.engine", ["Engines"]),
        ("title=plfts(simple).sums", ["Sums"]),
        ("title=phfts.engines", ["Engines"]),
        ("title=wfts.sums or engines", ["Engines", "Sums"]),
        ("title=not.fts.engine", ["Pensees", "Sums", "Orphan"]),
        ("or=(id.eq.1,id.eq.4)", ["Engines", "Orphan"]),
        ("or=(price.gt.20,and(stock.eq.3,title.like.E*))", ["Engines", "Sums"]),
        ("not.or=(id.eq.1,id.eq.4)", ["Pensees", "Sums"]),
        ("and=(id.gt.1,not.or(id.eq.2,price.is.null))", ["Sums"]),
        ('or=(title.in.("Sums","x"),tags.cs.{old})', ["Engines", "Pensees", "Sums"]),
        ('title=eq."Sums"', []),
        ("full_title=eq.Sums (3)", ["Sums"]),
    ],
)
def test_horizontal_filters(library: Library, query: str, expected: list[str]) -> None:
    assert titles(library.anon.get(f"/books?select=title&order=id&{query}")) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("span=cs.[2,3)", [1]),
        ("span=sl.[5,9)", [1]),
        ("span=sr.[-5,0)", [1]),
        ("span=nxr.[2,5)", [1]),
        ("span=nxl.[0,1)", [1]),
        ("span=adj.[5,9)", [1]),
        ("flag=is.true", [1]),
        ("flag=is.unknown", [2]),
        ("words=fts(english).fox", [1]),
        ("numbers=cs.{2}", [1]),
        ("ref=eq.5f8b0c4e-1111-4222-8333-444455556666", [1]),
        ("moment=lt.2024-02-01", [1]),
    ],
)
def test_filters_on_other_types(library: Library, query: str, expected: list[int]) -> None:
    response = library.anon.get(f"/samples?select=id&order=id&{query}")
    assert [row["id"] for row in response.json()] == expected


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("title.desc", ["Sums", "Pensees", "Orphan", "Engines"]),
        ("price", ["Pensees", "Engines", "Sums", "Orphan"]),
        ("price.desc", ["Orphan", "Sums", "Engines", "Pensees"]),
        ("price.desc.nullslast,id", ["Sums", "Engines", "Pensees", "Orphan"]),
        ("price.nullsfirst", ["Orphan", "Pensees", "Engines", "Sums"]),
        ("meta->>pages.desc.nullslast,title.asc", ["Pensees", "Engines", "Orphan", "Sums"]),
        ("stock.asc&order=id.asc", ["Pensees", "Orphan", "Engines", "Sums"]),
    ],
)
def test_order(library: Library, order: str, expected: list[str]) -> None:
    assert titles(library.anon.get(f"/books?select=title&order={order}")) == expected


def test_limit_offset_and_range_windows(library: Library) -> None:
    assert titles(library.anon.get("/books?order=id&limit=2&offset=1")) == ["Pensees", "Sums"]
    ranged = library.anon.get("/books?order=id", headers={"Range-Unit": "items", "Range": "1-2"})
    assert titles(ranged) == ["Pensees", "Sums"]
    assert ranged.headers["content-range"] == "1-2/*"
    assert titles(library.anon.get("/books?order=id&limit=2", headers={"Range": "1-"})) == ["Pensees"]
    empty = library.anon.get("/books?limit=0")
    assert (empty.status_code, empty.json(), empty.headers["content-range"]) == (200, [], "*/*")


def test_exact_count_gives_206_for_a_part_and_416_beyond_the_end(library: Library) -> None:
    count = {"Prefer": "count=exact"}
    part = library.anon.get("/books?limit=3", headers=count)
    assert (part.status_code, part.headers["content-range"]) == (206, "0-2/4")
    assert part.headers["preference-applied"] == "count=exact"
    whole = library.anon.get("/books", headers=count)
    assert (whole.status_code, whole.headers["content-range"]) == (200, "0-3/4")
    none = library.anon.get("/books?id=eq.99", headers=count)
    assert (none.status_code, none.headers["content-range"]) == (200, "*/0")
    beyond = library.anon.get("/books?offset=9", headers=count)
    assert (beyond.status_code, beyond.json()["code"]) == (416, "PGRST103")
    assert beyond.headers["content-range"] == "*/4"
    head = library.anon.head("/books?order=id", headers={"Range": "1-2", "Prefer": "count=exact"})
    assert (head.status_code, head.headers["content-range"]) == (200, "0-3/4")
    backwards = library.anon.get("/books", headers={"Range": "5-2"})
    assert (backwards.status_code, backwards.json()["code"]) == (416, "PGRST103")


@pytest.mark.parametrize("kind", ["planned", "estimated"])
def test_planned_and_estimated_counts_answer_a_number(library: Library, kind: str) -> None:
    response = library.anon.get("/books?limit=1&author_id=gt.0", headers={"Prefer": f"count={kind}"})
    assert int(response.headers["content-range"].split("/")[1]) >= 1


def test_head_answers_headers_without_a_body(library: Library) -> None:
    response = library.anon.head("/books", headers={"Prefer": "count=exact"})
    assert response.headers["content-range"] == "0-3/4"
    assert response.content == b""
    assert int(response.headers["content-length"]) == len(library.anon.get("/books").content)


# embedding


def test_many_to_one_and_one_to_many(library: Library) -> None:
    books = library.anon.get("/books?select=title,authors(name)&order=id").json()
    assert books[0] == {"title": "Engines", "authors": {"name": "Ada"}}
    assert books[3] == {"title": "Orphan", "authors": None}
    authors = library.anon.get("/authors?select=name,works:books(title)&order=id").json()
    assert authors[0] == {"name": "Ada", "works": [{"title": "Engines"}]}
    library.sql("DELETE FROM book_categories; DELETE FROM books WHERE author_id = 1")
    assert library.anon.get("/authors?select=books(id)&id=eq.1").json() == [{"books": []}]


def test_one_to_one_embeds_an_object_both_ways(library: Library) -> None:
    authors = library.anon.get("/authors?select=name,passports(number)&order=id&limit=2").json()
    assert [a["passports"] for a in authors] == [{"number": "P1"}, None]
    assert library.anon.get("/passports?select=authors(name)").json() == [{"authors": {"name": "Ada"}}]


def test_many_to_many_through_a_junction(library: Library) -> None:
    books = library.anon.get("/books?select=title,categories(name)&categories.order=name&order=id").json()
    assert [[c["name"] for c in b["categories"]] for b in books] == [["science"], ["faith", "science"], ["science"], []]


def test_embedding_takes_filters_order_limit_and_nests(library: Library) -> None:
    params = {
        "select": "name,books(title,categories(name))",
        "books.price": "gt.10",
        "books.or": "(id.eq.1,id.eq.3)",
        "books.categories.name": "eq.science",
        "books.order": "title.desc",
        "books.limit": "1",
        "order": "id",
    }
    rows = library.anon.get("/authors", params=params).json()
    assert rows[0]["books"] == [{"title": "Engines", "categories": [{"name": "science"}]}]
    assert rows[1]["books"] == []


def test_inner_embedding_drops_rows_and_counts_them_out(library: Library) -> None:
    params = {"select": "title,authors!inner(name)", "authors.name": "in.(Ada,Carl)", "order": "id", "limit": "1"}
    response = library.anon.get("/books", params=params, headers={"Prefer": "count=exact"})
    assert titles(response) == ["Engines"]
    assert response.headers["content-range"] == "0-0/2"
    many = library.anon.get("/categories?select=name,books!inner()&order=id", headers={"Prefer": "count=exact"})
    assert many.json() == [{"name": "science"}, {"name": "faith"}]
    assert many.headers["content-range"] == "0-1/2"


def test_presence_of_an_embedding_is_a_filter(library: Library) -> None:
    assert library.anon.get("/categories?select=name,books()&books=is.null").json() == [{"name": "empty"}]
    some = library.anon.get("/books?select=title,authors()&or=(authors.is.null,id.eq.1)&order=id")
    assert titles(some) == ["Engines", "Orphan"]
    counted = library.anon.get("/books?select=id,authors()&authors=not.is.null", headers={"Prefer": "count=exact"})
    assert counted.headers["content-range"] == "0-2/3"


def test_spread_and_related_order(library: Library) -> None:
    rows = library.anon.get("/books?select=title,...authors(author:name)&order=authors(name).desc.nullslast").json()
    assert rows[0] == {"title": "Sums", "author": "Carl"}
    assert rows[-1] == {"title": "Orphan", "author": None}


def test_self_reference_by_table_and_by_column(library: Library) -> None:
    rows = library.anon.get("/employees?select=name,boss:manager_id(name),staff:employees(name)&order=id").json()
    assert rows[0] == {"name": "Boss", "boss": None, "staff": [{"name": "Left"}, {"name": "Right"}]}
    assert rows[1]["boss"] == {"name": "Boss"}
    for hint in ("manager_id", "employees_manager_id_fkey"):
        hinted = library.anon.get(f"/employees?select=staff:employees!{hint}(name)&id=eq.1").json()
        assert hinted == [{"staff": [{"name": "Left"}, {"name": "Right"}]}]


def test_two_keys_to_one_table_need_a_hint(library: Library) -> None:
    ambiguous = library.anon.get("/shipments?select=places(name)")
    assert (ambiguous.status_code, ambiguous.json()["code"]) == (300, "PGRST201")
    assert len(ambiguous.json()["details"]) == 2
    hints = "origin:places!shipment_origin(name),goal:places!goal_id(name),by_column:origin_id(name)"
    assert library.anon.get(f"/shipments?select={hints}").json() == [
        {"origin": {"name": "Here"}, "goal": {"name": "There"}, "by_column": {"name": "Here"}}
    ]


def test_view_keeps_the_keys_of_its_table_under_its_own_names(library: Library) -> None:
    rows = library.anon.get("/catalog?select=name,authors(name)&book=eq.1").json()
    assert rows == [{"name": "Engines", "authors": {"name": "Ada"}}]
    assert library.anon.get("/authors?select=catalog(name)&id=eq.3").json() == [{"catalog": [{"name": "Sums"}]}]


def test_unknown_relationship_and_unembedded_filter(library: Library) -> None:
    unknown = library.anon.get("/books?select=title,author(name)")
    assert (unknown.status_code, unknown.json()["code"]) == (400, "PGRST200")
    assert "authors" in unknown.json()["hint"]
    loose = library.anon.get("/books?authors.name=eq.Ada")
    assert (loose.status_code, loose.json()["code"]) == (400, "PGRST108")


def test_aggregates_group_by_the_other_columns(library: Library) -> None:
    assert library.anon.get("/books?select=count()").json() == [{"count": 4}]
    grouped = library.anon.get("/books?select=old:tags->>9,count(),total:stock.sum()").json()
    assert grouped == [{"old": None, "count": 4, "total": 13}]
    assert library.anon.get("/authors?select=name,books(count)&id=eq.1").json() == [
        {"name": "Ada", "books": [{"count": 1}]}
    ]


def test_errors_speak_of_the_relation_and_not_of_our_aliases(library: Library) -> None:
    assert library.anon.get("/books?nope=eq.1").json()["message"] == "column books.nope does not exist"
    message = library.anon.get("/books?select=authors(nope)").json()["message"]
    assert message == "column authors.nope does not exist"
    assert (
        library.service.patch("/books?nope=eq.1", json={"stock": 1}).json()["message"].startswith("column books.nope")
    )


def test_a_table_met_twice_in_one_query_keeps_its_rows_apart(library: Library) -> None:
    select = "name,staff:employees(name,boss:manager_id(name,staff:employees(name)))"
    boss = library.anon.get(f"/employees?select={select}&id=eq.1&staff.id=eq.2").json()[0]
    assert boss["staff"] == [{"name": "Left", "boss": {"name": "Boss", "staff": [{"name": "Left"}, {"name": "Right"}]}}]


def test_nothing_selected_gives_empty_objects(library: Library) -> None:
    assert library.anon.get("/authors?select=books()&limit=2").json() == [{}, {}]


def test_planned_count_with_parameters_in_order_only(library: Library) -> None:
    response = library.anon.get("/books?select=id&order=meta->>pages", headers={"Prefer": "count=planned"})
    assert response.status_code in (200, 206), response.text


# representations


def test_single_object_and_its_406(library: Library) -> None:
    accept = {"Accept": "application/vnd.pgrst.object+json"}
    one = library.anon.get("/books?id=eq.1&select=title", headers=accept)
    assert one.json() == {"title": "Engines"}
    assert one.headers["content-type"] == "application/vnd.pgrst.object+json; charset=utf-8"
    for query, rows in (("id=eq.99", 0), ("id=gt.1", 3)):
        refused = library.anon.get(f"/books?{query}", headers=accept)
        assert (refused.status_code, refused.json()["code"]) == (406, "PGRST116")
        assert refused.json()["details"] == f"The result contains {rows} rows"
        assert refused.headers["proxy-status"] == "PostgREST; error=PGRST116"


def test_nulls_are_stripped_on_request(library: Library) -> None:
    accept = {"Accept": "application/vnd.pgrst.array+json;nulls=stripped"}
    assert library.anon.get("/authors?select=name,bio&id=eq.2", headers=accept).json() == [{"name": "Blaise"}]


def test_csv(library: Library) -> None:
    response = library.anon.get("/authors?select=name,bio&order=id", headers={"Accept": "text/csv"})
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.text == 'name,bio\nAda,"Wrote *notes*"\nBlaise,\nCarl,"Counts, (sums)"'
    library.sql(r"""UPDATE authors SET bio = 'back\slash "quoted"' WHERE id = 1""")
    response = library.anon.get("/authors?select=bio&id=eq.1", headers={"Accept": "text/csv"})
    assert response.text == 'bio\n"back\\slash ""quoted"""'
    assert library.anon.get("/authors?id=eq.99", headers={"Accept": "text/csv"}).text == ""


def test_unsupported_media_type_is_406(library: Library) -> None:
    response = library.anon.get("/books", headers={"Accept": "application/pdf"})
    assert (response.status_code, response.json()["code"]) == (406, "PGRST107")
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    assert library.anon.get("/books", headers=browser).status_code == 200


# names and hostile input


def test_odd_names_are_quoted_everywhere(library: Library) -> None:
    library.service.post('/Odd "Name', json={"a column": 1, "select": "x"})
    url = "/Odd%20%22Name?select=%22a%20column%22,%22select%22,%22per%25cent%22&%22a%20column%22=eq.1"
    response = library.anon.get(url)
    assert response.json() == [{"a column": 1, "select": "x", "per%cent": None}] or response.json() == [
        {"a column": 1, "select": "x", "per%cent": "it's \\ fine"}
    ]


@pytest.mark.parametrize(
    "text",
    ["'; DROP TABLE books; --", "\\'; --", "1) OR (1=1", "$1", "%s", "%(x)s", "{}", '"', "E'\\''", "\u202e", "a\\"],
)
def test_injection_in_every_position_changes_nothing(library: Library, text: str) -> None:
    before = library.sql("SELECT count(*) FROM books")
    positions: list[dict[str, str]] = [
        {"title": f"eq.{text}"},
        {"title": f"like.{text}"},
        {"title": f"in.({text})"},
        {"title": f'in.("{text}")'},
        {"or": f"(title.eq.{text},id.eq.1)"},
        {"select": text},
        {"select": f'"{text}"'},
        {"select": f"title::{text}"},
        {"select": f"x:{text}"},
        {"select": f"meta->>{text}"},
        {"select": f'meta->>"{text}"'},
        {"select": f"authors!{text}(*)"},
        {"order": text},
        {"order": f'"{text}".desc'},
        {"limit": text},
        {"offset": text},
        {text: "eq.1"},
        {f'"{text}"': "eq.1"},
        {"title": f"fts({text}).x"},
        {"title": f"fts.{text}"},
        {"title": text},
    ]
    for params in positions:
        response = library.anon.get("/books", params=params)
        assert response.status_code in (200, 400, 404), (params, response.text)
        if response.status_code != 200:
            assert set(response.json()) >= {"code", "details", "hint", "message"}, params
    assert library.anon.get(f"/{httpx.URL(path='/' + text).raw_path.decode()[1:]}").status_code == 404
    assert library.sql("SELECT count(*) FROM books") == before
    assert titles(library.anon.get("/books", params={"title": f"eq.{text}", "select": "title"})) == []


@pytest.mark.parametrize(
    "query",
    [
        "title=eq.%00",
        "%00=eq.1",
        "title=eq.%ff%fe",
        "select=%00",
        "title=eq.%ED%A0%80",
        "id=eq.abc",
        "id=eq.99999999999999999999",
        "id=in.(1,x)",
        "nope=eq.1",
        "select=nope",
        "order=nope",
        "id",
        "id=",
        "id=1",
        "id=eq",
        "id=foo.1",
        "id=is.maybe",
        "or=",
        "or=(",
        "or=()",
        "or=(id.eq.1",
        "select=a(",
        "select=a)",
        "select=,",
        'select="',
        "order=id.sideways",
        "limit=many",
        "limit=1e3",
        "title=match.(",
        "select=title::no_such_type",
        "select=" + "a(" * 200 + ")" * 200,
        "or=" + "(and" * 2000,
        "or=" + "(or" * 30 + "(id.eq.1,id.eq.2)" + ")" * 30,
    ],
)
def test_bad_queries_are_4xx_in_the_error_form(library: Library, query: str) -> None:
    response = library.anon.get(f"/books?{query}")
    assert 400 <= response.status_code < 500, response.text
    assert set(response.json()) - {"next_actions"} == {"code", "details", "hint", "message"}
    assert "Traceback" not in response.text


def test_negative_limit_is_416(library: Library) -> None:
    assert library.anon.get("/books?limit=-1").status_code == 416


def test_long_in_list_is_one_parameter(library: Library) -> None:
    wanted = ",".join(map(str, range(1, 8001)))
    assert len(library.anon.get(f"/books?id=in.({wanted})").json()) == 4


def test_unknown_table_and_deep_path(library: Library) -> None:
    unknown = library.anon.get("/book")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "PGRST205")
    assert "books" in unknown.json()["hint"]
    for path in ("/a/b", "/pg_class", "/..%2fbooks", "/books%00"):
        assert library.anon.get(path).status_code == 404, path


def test_schema_changes_are_seen_at_once(library: Library) -> None:
    assert library.anon.get("/late").status_code == 404
    library.sql("CREATE TABLE late (id int PRIMARY KEY, n numeric(6,2)); GRANT SELECT ON late TO anon")
    try:
        assert library.anon.get("/late").json() == []
        assert library.service.post("/late", json={"id": 1, "n": 1.234}).json() == [{"id": 1, "n": 1.23}]
        library.sql("ALTER TABLE late ALTER n TYPE numeric(6,3)")
        assert library.service.post("/late", json={"id": 2, "n": 1.234}).json() == [{"id": 2, "n": 1.234}]
        library.sql("ALTER TABLE late ADD author int REFERENCES authors")
        assert library.anon.get("/late?select=id,authors(name)&id=eq.1").json() == [{"id": 1, "authors": None}]
        library.sql("ALTER TABLE late RENAME n TO m")
        assert library.service.post("/late", json={"id": 3, "m": 2}).status_code == 201
        library.sql("ALTER TABLE late DROP CONSTRAINT late_author_fkey")
        assert library.anon.get("/late?select=authors(name)").json()["code"] == "PGRST200"
    finally:
        library.sql("DROP TABLE late")
    assert library.anon.get("/late").status_code == 404


def test_content_location_names_the_content_in_one_order(library: Library) -> None:
    one = library.anon.get("/books?title=neq.a%20b%26c&select=id&order=id&id=gt.1&id=lt.4")
    other = library.anon.head("/books?order=id&id=gt.1&id=lt.4&select=id&title=neq.a+b%26c")
    there = "/rest/v1/books?id=gt.1&id=lt.4&order=id&select=id&title=neq.a+b%26c"
    assert one.headers["content-location"] == other.headers["content-location"] == there
    assert library.anon.get(there.removeprefix("/rest/v1")).json() == one.json() == [{"id": 2}, {"id": 3}]
    assert library.service.get("/Odd%20%22Name").headers["content-location"] == "/admin/v1/rest/Odd%20%22Name"
    assert "content-location" not in library.anon.get("/rpc/evens?upto=2").headers
    assert "content-location" not in library.service.patch("/books?id=eq.9", json={"stock": 1}).headers
