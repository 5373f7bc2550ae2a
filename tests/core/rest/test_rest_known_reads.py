"""What a read of one shape was compiled to serves all of that shape: with any values, and only them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from library_kit import Library

from run402_cli.core.rest.compile import ReadCompiler
from run402_cli.core.rest.nodes import Filter, Query, Window
from run402_cli.core.rest.query import parse_query
from run402_cli.core.rest.reading import Compiled, compiled, shape
from run402_cli.core.rest.schema import Catalog, ColumnInfo, ForeignKey, Relation, relationships
from run402_cli.core.rest.statement import Parameters

COLUMNS = {name: ColumnInfo(name, "text", "text", None) for name in ("id", "a", "b", "up")}
RELATIONS = {name: Relation(name, "r", COLUMNS, ("id",), uniques=(frozenset({"id"}),)) for name in ("items", "groups")}
KEYS = [ForeignKey("items_up", "items", ("up",), "groups", ("id",))]
CATALOG = Catalog("shop", RELATIONS, relationships(RELATIONS, KEYS, ()))
WORDS = st.text("ab*%\\\"{},.() 1é'$", max_size=6)


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


# Filters as texts with room for values.
PLAIN = st.sampled_from(["eq.{}", "not.gt.{}", "like.{}", "ilike.{}", "fts(english).{}", "match.{}", "cs.{}"])
QUOTED = st.sampled_from(["in.({},{})", "not.in.({})", "is.null", "is.true", "is.not_null", "like(any).{{{}}}"])
NESTED = st.sampled_from(
    ["a.eq.{}", "b.not.in.({},{})", "a->>k.like.{}", "and(a.lt.{},b.is.null)", "groups.not.is.null"]
)


@st.composite
def queries(draw: st.DrawFn) -> list[tuple[str, str]]:
    """Texts of one query, where {} stands for a value."""
    pairs = [("select", draw(st.sampled_from(["*", "id,groups(a)", "id,...groups(b),a->x", "*,groups!inner(*)"])))]
    fields = st.sampled_from(["a", "b", "id", "a->>k", "groups.a"])
    pairs += draw(st.lists(st.tuples(fields, PLAIN | QUOTED), max_size=3))
    trees = draw(
        st.lists(
            st.tuples(st.sampled_from(["and", "or", "not.or"]), st.lists(NESTED, min_size=1, max_size=3)), max_size=2
        )
    )
    pairs += [(name, f"({','.join(tests)})") for name, tests in trees]
    pairs += draw(st.sampled_from([[], [("order", "a.desc,id")], [("order", "groups(a)")], [("limit", "3")]]))
    return [pair for pair in pairs if "groups" not in str(pair) or "groups" in pairs[0][1]]


def filled(pairs: list[tuple[str, str]], draw: st.DataObject) -> Query:
    made = []
    for name, text in pairs:
        if name in ("select", "order", "limit"):
            made.append((name, text))
            continue
        plain = not text.startswith("(") and "in.(" not in text and "{{" not in text
        count = text.replace("{{", "").replace("}}", "").count("{}")
        values = [draw.draw(WORDS) for _ in range(count)]
        made.append((name, text.format(*(values if plain else map(quoted, values)))))
    return parse_query(made)


def fresh(query: Query) -> tuple[Compiled, list[object], list[Filter], object]:
    parameters, filters = Parameters(), list[Filter]()
    compiler = ReadCompiler(CATALOG, query, parameters)
    read = compiler.read(compiler.source(RELATIONS["items"]), Window())
    form = shape(query, filters)
    sql = b"".join(part.as_bytes(None) for part in (read.rows, read.counted))
    return compiled(sql, parameters, filters), parameters.values, filters, form


@given(queries(), st.data())
def test_a_statement_of_one_query_serves_another_of_its_shape(
    pairs: list[tuple[str, str]], data: st.DataObject
) -> None:
    one, _, _, form = fresh(filled(pairs, data))
    other, values, filters, same = fresh(filled(pairs, data))
    assert form == same
    assert hash(form) == hash(same)
    assert one.sql == other.sql
    assert one.values_for(filters) == values


@given(st.lists(queries(), min_size=2, max_size=6), st.data())
def test_what_has_one_shape_has_one_statement(several: list[list[tuple[str, str]]], data: st.DataObject) -> None:
    made = [fresh(filled(pairs, data)) for pairs in several]
    for (one, *_, form), (other, *_, another) in itertools.combinations(made, 2):
        assert (form == another) <= (one.sql == other.sql and one.filters == other.filters)


@pytest.mark.parametrize("value", ["null", "true"])
def test_what_is_tests_for_is_no_value(value: str) -> None:
    assert shape(parse_query([("a", f"is.{value}")]), []) != shape(parse_query([("a", "is.false")]), [])


def test_values_of_one_shape_do_not_meet(library: Library) -> None:
    there = [row["id"] for row in library.service.get("/authors?select=id").json()]
    for number in (*there, -1):
        found = library.service.get(f"/authors?select=id&id=eq.{number}")
        assert found.json() == [{"id": number}] * (number in there)
        assert found.headers["content-location"].endswith(f"?id=eq.{number}&select=id")


def test_a_changed_table_is_read_as_it_is(library: Library) -> None:
    before = library.service.get("/places?id=eq.1").json()[0]
    library.sql("ALTER TABLE places ADD COLUMN later text DEFAULT 'new'")
    assert library.service.get("/places?id=eq.1").json() == [before | {"later": "new"}]
    library.sql("ALTER TABLE places DROP COLUMN later")


@pytest.mark.parametrize(
    "condition", ["current_setting('request.method') = 'GET'", "(SELECT current_setting('request.path')) = '/places'"]
)
def test_a_policy_sees_the_request(library: Library, condition: str) -> None:
    library.sql(
        f"ALTER TABLE places ENABLE ROW LEVEL SECURITY; CREATE POLICY looks ON places FOR SELECT USING ({condition})"
    )
    for _ in range(2):
        assert len(library.anon.get("/places?select=id").json()) == 2
    library.sql("DROP POLICY looks ON places; ALTER TABLE places DISABLE ROW LEVEL SECURITY")
