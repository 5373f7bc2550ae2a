"""The `postgrest` package's own client, as an outside judge of the dialect."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from library_kit import Library
from postgrest import AsyncPostgrestClient, CountMethod, ReturnMethod, SyncPostgrestClient
from postgrest.base_request_builder import BaseFilterRequestBuilder
from postgrest.exceptions import APIError


def connect(library: Library, prefix: str, headers: dict[str, str]) -> SyncPostgrestClient:
    return SyncPostgrestClient(f"{library.base_url}{prefix}", headers=headers)


@pytest.fixture
def anon(library: Library) -> Iterator[SyncPostgrestClient]:
    key = library.project["anon_key"]
    with connect(library, "/rest/v1", {"apikey": key, "Authorization": f"Bearer {key}"}) as client:
        yield client


@pytest.fixture
def admin(library: Library) -> Iterator[SyncPostgrestClient]:
    key = library.project["service_key"]
    library.dirty = True
    with connect(library, "/admin/v1/rest", {"apikey": key, "Authorization": f"Bearer {key}"}) as client:
        yield client


def test_select_and_filters(anon: SyncPostgrestClient) -> None:
    table = anon.from_("books")
    assert table.select("id", "title").eq("id", 1).execute().data == [{"id": 1, "title": "Engines"}]

    def ids(query: object) -> list[int]:
        return [row["id"] for row in query.execute().data]  # type: ignore[attr-defined]

    def books() -> object:
        return anon.from_("books").select("id").order("id")

    for query, expected in [
        (books().neq("id", 1), [2, 3, 4]),  # type: ignore[attr-defined]
        (books().gt("price", 8).lt("price", 20), [1]),  # type: ignore[attr-defined]
        (books().gte("stock", 3).lte("stock", 9), [1, 3]),  # type: ignore[attr-defined]
        (books().like("title", "%s"), [1, 2, 3]),  # type: ignore[attr-defined]
        (books().ilike("title", "*EN*"), [1, 2]),  # type: ignore[attr-defined]
        (books().like_any_of("title", "E%,S%"), [1, 3]),  # type: ignore[attr-defined]
        (books().is_("price", None), [4]),  # type: ignore[attr-defined]
        (books().not_.is_("price", None), [1, 2, 3]),  # type: ignore[attr-defined]
        (books().in_("title", ["Sums", "a,b", 'q"uote']), [3]),  # type: ignore[attr-defined]
        (books().contains("tags", ["math"]), [1, 3]),  # type: ignore[attr-defined]
        (books().contained_by("tags", ["math", "x"]), [3, 4]),  # type: ignore[attr-defined]
        (books().overlaps("tags", ["old"]), [1, 2]),  # type: ignore[attr-defined]
        (books().contains("meta", {"pages": 300}), [2]),  # type: ignore[attr-defined]
        (books().eq("meta->lang->>code", "en"), [1]),  # type: ignore[attr-defined]
        (books().or_("id.eq.1,and(stock.eq.0,title.like.P*)"), [1, 2]),  # type: ignore[attr-defined]
        (books().match({"id": 3, "title": "Sums"}), [3]),  # type: ignore[attr-defined]
        (books().text_search("title", "engine"), [1]),  # type: ignore[attr-defined]
        (books().limit(2).offset(1), [2, 3]),  # type: ignore[attr-defined]
        (books().range(1, 2), [2, 3]),  # type: ignore[attr-defined]
    ]:
        assert ids(query) == expected


def test_range_filters(anon: SyncPostgrestClient) -> None:
    def samples() -> object:
        return anon.from_("samples").select("id")

    for query in (
        samples().range_lt("span", ("5", "9")),  # type: ignore[attr-defined]
        samples().range_gt("span", ("-9", "0")),  # type: ignore[attr-defined]
        samples().range_adjacent("span", ("4", "9")),  # type: ignore[attr-defined]
        samples().overlaps("span", "[2,3)"),  # type: ignore[attr-defined]
    ):
        assert query.execute().data == [{"id": 1}]


def test_embedding_with_its_own_order_limit_and_filters(anon: SyncPostgrestClient) -> None:
    query = anon.from_("authors").select("name, books!inner(title, categories(name))").order("name", desc=True)
    query = query.eq("books.categories.name", "science").order("title", foreign_table="books")
    data = query.limit(1, foreign_table="books").execute().data
    assert data[0] == {"name": "Carl", "books": [{"title": "Sums", "categories": [{"name": "science"}]}]}
    spread = anon.from_("books").select("title, ...authors(name)").eq("id", 2).single().execute()
    assert spread.data == {"title": "Pensees", "name": "Blaise"}


def test_counts(anon: SyncPostgrestClient) -> None:
    assert anon.from_("books").select("*", count=CountMethod.exact).limit(1).execute().count == 4
    head = anon.from_("books").select("*", count=CountMethod.exact, head=True).execute()
    assert (head.count, head.data) == (4, [])
    assert anon.from_("books").select("*", count=CountMethod.planned).execute().count is not None
    assert anon.from_("books").select("*", count=CountMethod.estimated).execute().count == 4


def test_single_and_maybe_single(anon: SyncPostgrestClient) -> None:
    assert anon.from_("books").select("title").eq("id", 1).single().execute().data == {"title": "Engines"}
    with pytest.raises(APIError) as caught:
        anon.from_("books").select("*").single().execute()
    assert caught.value.code == "PGRST116"
    found = anon.from_("books").select("title").eq("id", 1).maybe_single().execute()
    assert found is not None
    assert found.data == {"title": "Engines"}
    nothing = anon.from_("books").select("title").eq("id", 99).maybe_single().execute()
    assert nothing is None or nothing.data is None


def test_csv_and_stripped_nulls(anon: SyncPostgrestClient) -> None:
    csv = anon.from_("categories").select("id", "name").order("id").limit(2).csv().execute()
    assert csv.data == "id,name\n1,science\n2,faith"
    stripped = anon.from_("authors").select("name", "bio").eq("id", 2).strip_nulls().execute()
    assert stripped.data == [{"name": "Blaise"}]


def test_insert_bulk_insert_and_defaults(admin: SyncPostgrestClient) -> None:
    one = admin.from_("authors").insert({"name": "Dora"}).execute()
    assert one.data == [{"id": 4, "name": "Dora", "bio": None}]
    rows = [{"title": "A", "stock": 1}, {"title": "B", "price": 2}]
    many = admin.from_("books").insert(rows, count=CountMethod.exact, default_to_null=False).execute()
    assert [(row["stock"], row["price"]) for row in many.data] == [(1, None), (7, 2.00)]
    assert many.count == 2
    nulls = admin.from_("books").insert(rows).execute()
    assert [row["stock"] for row in nulls.data] == [1, None]
    quiet = admin.from_("authors").insert({"name": "Q"}, returning=ReturnMethod.minimal).execute()
    assert quiet.data == []
    chosen = admin.from_("authors").insert({"name": "R"}).select("name").execute()
    assert chosen.data == [{"name": "R"}]


def test_upsert(admin: SyncPostgrestClient) -> None:
    rows = [{"id": 1, "name": "changed"}, {"id": 7, "name": "new"}]
    assert admin.from_("categories").upsert(rows).execute().data == rows
    ignored = admin.from_("categories").upsert({"id": 1, "name": "no"}, ignore_duplicates=True).execute()
    assert ignored.data == []
    by_name = admin.from_("categories").upsert({"id": 7, "name": "new"}, on_conflict="name").execute()
    assert by_name.data == [{"id": 7, "name": "new"}]


def test_update_and_delete(admin: SyncPostgrestClient) -> None:
    changed = admin.from_("books").update({"stock": 2}).gt("price", 10).execute()
    assert {row["stock"] for row in changed.data} == {2}
    counted = admin.from_("books").update({"stock": 3}, count=CountMethod.exact).in_("id", [1, 2]).execute()
    assert counted.count == 2
    assert admin.from_("book_categories").delete().eq("book_id", 1).execute().data == [{"book_id": 1, "category_id": 1}]
    gone = admin.from_("books").delete(count=CountMethod.exact, returning=ReturnMethod.minimal).eq("id", 4).execute()
    assert (gone.count, gone.data) == (1, [])
    with pytest.raises(APIError) as caught:
        admin.from_("books").delete().gt("id", 0).max_affected(1).execute()
    assert caught.value.code == "PGRST124"


def test_rpc(anon: SyncPostgrestClient) -> None:
    assert anon.rpc("add", {"a": 1, "b": 2}).execute().data == 3
    assert anon.rpc("add", {"a": "1"}, get=True).execute().data == 11
    rows = anon.rpc("books_over", {"minimum": 5}, count=CountMethod.exact).select("title").gt("stock", 0).order("title")
    answer = rows.execute()
    assert answer.data == [{"title": "Engines"}, {"title": "Sums"}]
    assert answer.count == 2
    assert anon.rpc("squares", {"upto": 1}).single().execute().data == {"n": 1, "square": 1}
    assert anon.rpc("nothing", {}).execute().data == []


def test_errors_reach_the_client_whole(anon: SyncPostgrestClient) -> None:
    with pytest.raises(APIError) as caught:
        anon.rpc("fail", {"code": "P0001"}).execute()
    assert (caught.value.code, caught.value.hint, caught.value.details) == ("P0001", "the hint", "the detail")
    with pytest.raises(APIError) as caught:
        anon.from_("books").insert({"title": "no"}).execute()
    assert caught.value.code == "42501"
    with pytest.raises(APIError) as caught:
        anon.from_("missing").select("*").execute()
    assert caught.value.code == "PGRST205"


def test_user_token_by_auth(library: Library, anon: SyncPostgrestClient) -> None:
    library.dirty = True
    anon.auth(library.token("user-a"))
    made = anon.from_("notes").insert({"body": "mine"}).execute()
    assert made.data[0]["owner"] == "user-a"
    assert len(anon.from_("notes").select("*").execute().data) == 3


# One call of each filter that the package has on books or samples, and the ids that it must find.
FILTERS: list[tuple[str, str, tuple[Any, ...], list[int]]] = [
    ("books", "filter", ("title", "match", "^[ES]"), [1, 3]),
    ("books", "eq", ("title", "Sums"), [3]),
    ("books", "neq", ("id", 1), [2, 3, 4]),
    ("books", "gt", ("price", 12.5), [3]),
    ("books", "gte", ("price", 12.5), [1, 3]),
    ("books", "lt", ("price", 12.5), [2]),
    ("books", "lte", ("price", 12.5), [1, 2]),
    ("books", "is_", ("meta", None), [3, 4]),
    ("books", "like", ("title", "%s"), [1, 2, 3]),
    ("books", "like_all_of", ("title", "%s,E%"), [1]),
    ("books", "like_any_of", ("title", "E%,S%"), [1, 3]),
    ("books", "ilike", ("title", "e%"), [1]),
    ("books", "ilike_all_of", ("title", "%S,e%"), [1]),
    ("books", "ilike_any_of", ("title", "e%,s%"), [1, 3]),
    ("books", "or_", ("id.eq.1,and(stock.eq.0,title.like.P*)",), [1, 2]),
    ("samples", "fts", ("words", "fox"), [1]),
    ("samples", "plfts", ("words", "quick foxes"), [1]),
    ("samples", "phfts", ("words", "quick foxes"), [1]),
    ("samples", "wfts", ("words", "slow or foxes"), [1]),
    ("books", "in_", ("title", ["Sums", "a,b", 'q"uote']), [3]),
    ("books", "cs", ("tags", ["math"]), [1, 3]),
    ("books", "contains", ("meta", {"pages": 300}), [2]),
    ("books", "cd", ("tags", ["math", "x"]), [3, 4]),
    ("books", "contained_by", ("tags", ["math", "x"]), [3, 4]),
    ("books", "ov", ("tags", ["old"]), [1, 2]),
    ("books", "overlaps", ("tags", ["old"]), [1, 2]),
    ("samples", "sl", ("span", ("7", "9")), [1]),
    ("samples", "sr", ("span", ("-9", "0")), [1]),
    ("samples", "nxl", ("span", ("0", "9")), [1]),
    ("samples", "nxr", ("span", ("0", "9")), [1]),
    ("samples", "adj", ("span", ("4", "9")), [1]),
    ("samples", "range_gt", ("span", ("-9", "0")), [1]),
    ("samples", "range_gte", ("span", ("0", "9")), [1]),
    ("samples", "range_lt", ("span", ("7", "9")), [1]),
    ("samples", "range_lte", ("span", ("0", "9")), [1]),
    ("samples", "range_adjacent", ("span", ("4", "9")), [1]),
    ("books", "match", ({"id": 3, "title": "Sums"},), [3]),
]


@pytest.mark.parametrize(("table", "method", "arguments", "found"), FILTERS)
def test_every_filter(
    anon: SyncPostgrestClient, table: str, method: str, arguments: tuple[Any, ...], found: list[int]
) -> None:
    query = getattr(anon.from_(table).select("id").order("id"), method)(*arguments)
    assert [row["id"] for row in query.execute().data] == found


def test_no_filter_of_the_package_is_left_out() -> None:
    there = {name for name in vars(BaseFilterRequestBuilder) if not name.startswith("__")}
    assert there - {method for _, method, _, _ in FILTERS} == {"not_", "max_affected"}


def test_order_with_nulls_and_below(anon: SyncPostgrestClient) -> None:
    first = anon.from_("books").select("id").order("price", desc=True, nullsfirst=True).order("id").execute()
    assert [row["id"] for row in first.data] == [4, 3, 1, 2]
    below = anon.from_("authors").select("id,books(id)").order("id").offset(0).limit(1, foreign_table="books").execute()
    assert below.data[0] == {"id": 1, "books": [{"id": 1}]}


def test_text_search(anon: SyncPostgrestClient) -> None:
    for kind, text in (("plain", "quick foxes"), ("phrase", "quick foxes"), ("web_search", "foxes or slow")):
        query = anon.from_("samples").select("id").text_search("words", text, {"type": kind, "config": "english"})
        assert query.execute().data == [{"id": 1}], kind


def test_functions_in_every_form(anon: SyncPostgrestClient) -> None:
    assert anon.rpc("squares", {"upto": 1}).csv().execute().data == "n,square\n1,1"
    nothing = anon.rpc("squares", {"upto": 0}).maybe_single().execute()
    assert nothing is None or nothing.data is None
    one = anon.rpc("squares", {"upto": 1}).maybe_single().execute()
    assert one is not None
    assert one.data == {"n": 1, "square": 1}
    head = anon.rpc("books_over", {"minimum": 5}, count=CountMethod.exact, head=True).execute()
    assert (head.count, head.data) == (3, [])
    assert anon.rpc("evens", {"upto": 4}).execute().data == [2, 4]
    assert anon.rpc("glue", {"parts": ["a", "b"]}).execute().data == "a-b"


def test_schemas(anon: SyncPostgrestClient) -> None:
    assert anon.schema("public").from_("books").select("id").eq("id", 1).execute().data == [{"id": 1}]
    with pytest.raises(APIError) as caught:
        anon.schema("private").from_("books").select("id").execute()
    assert caught.value.code == "PGRST106"


def test_the_asynchronous_client(library: Library) -> None:
    library.dirty = True
    key = library.project["service_key"]

    async def calls() -> tuple[Any, Any, Any]:
        url = f"{library.base_url}/admin/v1/rest"
        async with AsyncPostgrestClient(url, headers={"apikey": key, "Authorization": f"Bearer {key}"}) as client:
            made = await client.from_("authors").insert({"name": "Zoe"}).execute()
            read = await client.from_("books").select("id", count=CountMethod.exact).limit(1).order("id").execute()
            called = await client.rpc("add", {"a": 1, "b": 2}).execute()
            return made.data[0]["name"], (read.count, read.data), called.data

    assert asyncio.run(calls()) == ("Zoe", (4, [{"id": 1}]), 3)


def test_explain_with_the_service_key(admin: SyncPostgrestClient, anon: SyncPostgrestClient) -> None:
    shown = admin.from_("books").select("id").explain(analyze=True, format="text").execute()
    assert "Scan on books" in str(shown)
    plan = admin.from_("books").select("id").explain(format="json").execute()
    assert "Plan" in str(plan)
    with pytest.raises(APIError) as caught:
        anon.from_("books").select("id").explain(format="json").execute()
    assert caught.value.code == "PGRST107"
