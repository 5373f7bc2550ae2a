from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run402_cli.core.rest.errors import RestError
from run402_cli.core.rest.nodes import Column, Embed, Field, Filter, Logic, Order, Star, Step, Window
from run402_cli.core.rest.query import parse_filter, parse_logic, parse_order, parse_pairs, parse_query, parse_select
from run402_cli.core.rest.statement import array_literal


def test_pairs_are_decoded_as_utf8_with_plus_as_space() -> None:
    assert parse_pairs(b"a=b+c&&%C3%A9=%2B&x") == [("a", "b c"), ("é", "+"), ("x", "")]
    for raw in (b"a=%ff", b"%00=1", b"a=\x00", b"a=%ED%A0%80"):
        with pytest.raises(RestError) as caught:
            parse_pairs(raw)
        assert (caught.value.status, caught.value.code) == (400, "PGRST100")


def test_select_items() -> None:
    assert parse_select("*,a b:c-d::int,count()") == (
        Star(),
        Column(Field("c-d"), alias="a b", cast="int"),
        Column(None, aggregate="count"),
    )
    assert parse_select("x:j->a->>0::text[]") == (
        Column(Field("j", (Step("a", False), Step(0, True))), alias="x", cast="text[]"),
    )
    assert parse_select('"we,ird\\"":"a.b",amount.sum()::int') == (
        Column(Field("a.b"), alias='we,ird"'),
        Column(Field("amount"), aggregate="sum", aggregate_cast="int"),
    )
    assert parse_select("") == (Star(),)


def test_select_embeddings() -> None:
    assert parse_select("who:rel!fk!inner(*,deep()),...one(a)") == (
        Embed("rel", (Star(), Embed("deep", ())), alias="who", hint="fk", inner=True),
        Embed("one", (Column(Field("a")),), spread=True),
    )


def test_negative_and_large_array_steps_and_keys_that_begin_with_a_digit() -> None:
    assert parse_select("j->-1,j->1a") == (
        Column(Field("j", (Step(-1, False),))),
        Column(Field("j", (Step("1a", False),))),
    )


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("->!@#$%^&*_d->>e/f?", (Step("!@#$%^&*_d", False), Step("e/f?", True))),
        ("->a-b->>c d ", (Step("a-b", False), Step("c d", True))),
        ('->"x.y"->>"->"', (Step("x.y", False), Step("->", True))),
        ("->>é::int", (Step("é", True),)),
    ],
)
def test_keys_of_json_take_what_does_not_end_them(path: str, steps: tuple[Step, ...]) -> None:
    (column,) = parse_select(f"j{path}")
    assert isinstance(column, Column)
    assert column.field == Field("j", steps)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("eq.a.b,c)", Filter(Field("c"), "eq", "a.b,c)")),
        ('eq."x"', Filter(Field("c"), "eq", '"x"')),
        ("not.like.*a", Filter(Field("c"), "like", "*a", negated=True)),
        ("is.NULL", Filter(Field("c"), "is", "null")),
        ("in.(1, b,\"c,\\\"d\\\\\",\"e\"f)", Filter(Field("c"), "in", ("1", " b", 'c,"d\\', '"e"f'))),
        ("in.()", Filter(Field("c"), "in", ())),
        ("in.(  )", Filter(Field("c"), "in", ())),
        ("in.( ,b)", Filter(Field("c"), "in", (" ", "b"))),
        ("eq(any).{1}", Filter(Field("c"), "eq", "{1}", modifier="any")),
        ("wfts(english).x", Filter(Field("c"), "wfts", "x", language="english")),
        ("eq.", Filter(Field("c"), "eq", "")),
    ],
)  # fmt: skip
def test_filters(text: str, expected: Filter) -> None:
    assert parse_filter("c", text) == expected


def test_logic_trees_nest_and_quote() -> None:
    assert parse_logic("or", '(a.eq."x,)",not.and(b.in.(1,2),c.not.is.null),d.cs.{1,2},e->>f.gt.3)') == Logic(
        "or",
        (
            Filter(Field("a"), "eq", "x,)"),
            Logic(
                "and",
                (Filter(Field("b"), "in", ("1", "2")), Filter(Field("c"), "is", "null", negated=True)),
                negated=True,
            ),
            Filter(Field("d"), "cs", "{1,2}"),
            Filter(Field("e", (Step("f", True),)), "gt", "3"),
        ),
    )


def test_spaces_stand_anywhere_in_a_logic_tree() -> None:
    spaced = parse_logic("and", "( and ( a.in.(1,2) , not.or (b.eq.x, c.is.null) ) , or( d.eq.2,e.gt.3 ) )")
    assert spaced == parse_logic("and", "(and(a.in.(1,2),not.or(b.eq.x,c.is.null)),or(d.eq.2,e.gt.3 ))")


def test_order_terms() -> None:
    assert parse_order('a.desc.nullslast,"b.c",rel(d).asc,j->>k.nullsfirst') == (
        Order(Field("a"), descending=True, nulls="last"),
        Order(Field("b.c")),
        Order(Field("d"), relation="rel"),
        Order(Field("j", (Step("k", True),)), nulls="first"),
    )


def test_whole_query_with_paths() -> None:
    query = parse_query(
        [
            ("select", "a,rel(b)"),
            ("rel.b", "eq.1"),
            ("rel.not.or", "(b.eq.1,b.eq.2)"),
            ("rel.order", "b"),
            ("rel.limit", "2"),
            ("offset", "3"),
            ("columns", 'a,"b c"'),
            ("on_conflict", "a"),
        ]
    )
    assert query.conditions_at(("rel",)) == (
        Filter(Field("b"), "eq", "1"),
        Logic("or", (Filter(Field("b"), "eq", "1"), Filter(Field("b"), "eq", "2")), negated=True),
    )
    assert query.window_at(()) == Window(3, None)
    assert query.window_at(("rel",)) == Window(0, 2)
    assert query.order_at(("rel",)) == (Order(Field("b")),)
    assert (query.columns, query.on_conflict) == (("a", "b c"), ("a",))


def test_function_arguments_and_filters_are_told_apart() -> None:
    pairs = [("a", "1"), ("b", "eq.2"), ("c", "eq.3"), ("order", "a"), ("d", "4")]
    query = parse_query(pairs, arguments=frozenset("abc"), result_columns=frozenset("c"))
    assert query.arguments == (("a", "1"), ("b", "eq.2"), ("d", "4"))
    assert query.conditions_at(()) == (Filter(Field("c"), "eq", "3"),)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("a", "1"),
        ("a", "eq"),
        ("a", "foo.1"),
        ("a", "is.maybe"),
        ("a", "in.1"),
        ("a", "in.(1"),
        ("a", "in.(1)x"),
        ("a", "eq(some).1"),
        ("a", "neq(any).1"),
        ("a.b.", "eq.1"),
        ("a->", "eq.1"),
        ("a->(b", "eq.1"),
        ("select", "a->>--34"),
        ("select", "a->b-"),
        ("", "eq.1"),
        ("select", "a::"),
        ("select", "a b;c"),
        ("select", "a.median()"),
        ("select", "rel(a"),
        ("select", "a," * 3),
        ("order", "a.up"),
        ("columns", ""),
        ("columns", "a,"),
        ("limit", "1_0"),
        ("limit", "٣"),
        ("or", "()"),
        ("and", "(a.eq.1"),
        ("or", "(" * 5000),
        ("or", "(or" * 5000),
        ("select", "a(" * 5000),
    ],
)
def test_mistakes_are_parse_errors_that_point_at_the_place(key: str, value: str) -> None:
    with pytest.raises(RestError) as caught:
        parse_query([(key, value)])
    assert (caught.value.status, caught.value.code) == (400, "PGRST100")
    assert len(str(caught.value.body())) < 1500


_GRAMMAR = st.lists(
    st.sampled_from(
        [*list('().,:!*"\\->{} '), "::", "->>", "not.", "eq.", "in.(", "or(", "and", "is.null", "rel(", "a", "count()"]
    ),
    max_size=30,
).map("".join)
_KEYS = st.one_of(
    st.sampled_from(
        ["select", "order", "or", "and", "not.and", "limit", "offset", "columns", "on_conflict", "r.order"]
    ),
    _GRAMMAR,
    st.text(max_size=20),
)


@given(st.lists(st.tuples(_KEYS, st.one_of(_GRAMMAR, st.text(max_size=60))), max_size=4), st.booleans())
def test_any_input_parses_or_is_a_client_error(pairs: list[tuple[str, str]], function: bool) -> None:
    try:
        parse_query(pairs, arguments=frozenset({"a"}) if function else None)
    except RestError as error:
        assert 400 <= error.status < 500
        assert error.body()["message"]


@given(st.binary(max_size=80))
def test_any_bytes_decode_or_are_a_client_error(raw: bytes) -> None:
    try:
        parse_query(parse_pairs(raw))
    except RestError as error:
        assert error.status in (400, 416)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@given(st.text(min_size=1), st.lists(st.text(), min_size=1))
def test_quoting_carries_any_text(name: str, values: list[str]) -> None:
    text = ",".join(map(_quoted, values))
    tree = parse_logic("or", f"({_quoted(name)}.in.({text}),x.eq.{_quoted(values[0])})")
    assert tree.conditions == (Filter(Field(name), "in", tuple(values)), Filter(Field("x"), "eq", values[0]))
    assert parse_select(f"{_quoted(name)}:{_quoted(values[0])}") == (Column(Field(values[0]), alias=name),)


def test_array_literal_quotes_every_element() -> None:
    assert array_literal(["a", 'b"c', "d\\e", "", "NULL"]) == r'{"a","b\"c","d\\e","","NULL"}'


def test_a_negative_offset_counts_as_none_and_text_after_the_last_parenthesis_is_ignored() -> None:
    windows = parse_query([("offset", "-4"), ("a.offset", "-1"), ("a.limit", "2")]).windows
    assert dict(windows) == {(): Window(), ("a",): Window(limit=2)}
    assert parse_logic("or", "(a.eq.1,b.eq.2)x,y") == parse_logic("or", "(a.eq.1,b.eq.2)")
    assert parse_select("a,b(c))d") == parse_select("a,b(c)")
    for refused in ("a)", "a,b(c),d)"):
        with pytest.raises(RestError):
            parse_select(refused)


def test_blanks_stand_around_listed_values_and_a_dash_begins_an_index() -> None:
    assert parse_filter("a", 'in.( "x y" , "z")').value == ("x y", "z")
    assert parse_select("a->>-3") == (Column(Field("a", (Step(-3, True),))),)
    for refused in ("a->>--3", "a->-3x", "a->-"):
        with pytest.raises(RestError):
            parse_select(refused)
