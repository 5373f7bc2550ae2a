"""The one lexer of SQL text, strict and lenient."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run402_cli.core.sql.lexer import SqlTextError, each_statement, lex, statements, tokenize

TEXTS = st.text(alphabet="abnxE'\"$/*-;()., \n\t\\euU&1_é\u00a0", max_size=60)
# (text, its tokens): read alike by both modes.
HARD = [
    ("/* a /* nested */ ; */ 1", [("number", "1")]),
    ("/*/ a */ 1", [("number", "1")]),
    ("1 -- ; 'x\n2", [("number", "1"), ("number", "2")]),
    ("1 --x\r2", [("number", "1"), ("number", "2")]),
    ("- - 1", [("punct", "-"), ("punct", "-"), ("number", "1")]),
    ("'it''s;'", [("string", "'it''s;'")]),
    ("'a\\' b", [("string", "'a\\'"), ("word", "b")]),
    ("E'a\\';' b", [("string", "E'a\\';'"), ("word", "b")]),
    ("e'a''\\\\' b", [("string", "e'a''\\\\'"), ("word", "b")]),
    ("date'2020'", [("word", "date"), ("string", "'2020'")]),
    ("e 'a\\' b", [("word", "e"), ("string", "'a\\'"), ("word", "b")]),
    (
        "B'1' x'f' N'n' U&'\\0041'",
        [("string", "B'1'"), ("string", "x'f'"), ("string", "N'n'"), ("string", "U&'\\0041'")],
    ),
    ("u & 'a'", [("word", "u"), ("punct", "&"), ("string", "'a'")]),
    ('"we""ird;" X', [("quoted", 'we"ird;'), ("word", "x")]),
    ("$$ ; ' $$", [("string", "$$ ; ' $$")]),
    ("$a$ $b$ $$ $a$ 1", [("string", "$a$ $b$ $$ $a$"), ("number", "1")]),
    ("$1$1", [("param", "$1"), ("param", "$1")]),
    ("a$b$c", [("word", "a$b$c")]),
    ("t.5 .5 1.5", [("word", "t"), ("number", ".5"), ("number", ".5"), ("number", "1.5")]),
    ("Été;", [("word", "été"), ("punct", ";")]),
    ("\\d", [("punct", "\\"), ("word", "d")]),
]
# (text, its last token when read leniently): strict reading refuses them.
UNCLOSED = [
    ("SELECT 'open ; --", ("string", "'open ; --")),
    ("SELECT 'open''", ("string", "'open''")),
    ('SELECT "op""en', ("quoted", 'op"en')),
    ('SELECT "open""', ("quoted", 'open"')),
    ("SELECT /* /* */ open", ("word", "select")),
    ("SELECT $x$ open $y$", ("string", "$x$ open $y$")),
    ("E'open\\'", ("string", "E'open\\'")),
    ("E'open''\\'", ("string", "E'open''\\'")),
    ("E'open\\", ("string", "E'open\\")),
    ("U&'open", ("string", "U&'open")),
    ('U&"d\\0061t" ', ("quoted", "d\\0061t")),
    ('u&"op""en', ("quoted", 'op"en')),
]


def found(sql: str, *, lenient: bool = False) -> list[tuple[str, str]]:
    return [(token.kind, token.text) for token in tokenize(sql, lenient=lenient)]


@pytest.mark.parametrize(("sql", "tokens"), HARD)
def test_hard_cases_are_read_alike_by_both_modes(sql: str, tokens: list[tuple[str, str]]) -> None:
    assert found(sql) == tokens
    assert found(sql, lenient=True) == tokens


@pytest.mark.parametrize(("sql", "last"), UNCLOSED)
def test_what_is_never_closed_is_an_error_or_goes_on_to_the_end(sql: str, last: tuple[str, str]) -> None:
    with pytest.raises(SqlTextError):
        tokenize(sql)
    assert found(sql, lenient=True)[-1] == last


def test_a_no_break_space_hides_no_word_from_a_lenient_reader() -> None:
    assert found("grant\u00a0all", lenient=True) == [("word", "grant"), ("word", "all")]
    assert ("punct", "\u00a0") in found("grant\u00a0all")


@given(TEXTS)
def test_no_character_is_lost(sql: str) -> None:
    tokens = list(lex(sql, lenient=True, blanks=True))
    assert "".join(sql[token.start : token.end] for token in tokens) == sql
    assert all(token.start < token.end for token in tokens)
    for token in tokens:
        if token.kind == "blank":
            assert token.text.strip() == "" or token.text.lstrip().startswith(("--", "/*"))


@given(TEXTS)
def test_strict_reading_is_lenient_reading_or_one_error(sql: str) -> None:
    sql = sql.replace("\u00a0", " ")
    try:
        tokens = tokenize(sql)
    except SqlTextError:
        return
    assert tokens == tokenize(sql, lenient=True)


@given(st.text())
def test_lenient_reading_never_fails(sql: str) -> None:
    tokenize(sql, lenient=True)


def test_comments_and_quotes_hide_their_semicolons() -> None:
    sql = """/* a /* nested */ ; */ SELECT 'it\'\'s;' -- ; no
    , "we""ird;", $tag$ ; $$ ; $tag$, E'\\';' ; SELECT 2"""
    assert [[token.text for token in each][:4] for each in statements(sql)] == [
        ["select", "'it''s;'", ",", 'we"ird;'],
        ["select", "2"],
    ]


def test_an_atomic_function_body_is_one_statement() -> None:
    sql = """CREATE FUNCTION f(a int) RETURNS int BEGIN ATOMIC
      SELECT CASE WHEN a > 0 THEN 1 END; SELECT 2; END; CREATE TABLE t (id int)"""
    assert len(statements(sql)) == 2


ROWS = st.lists(
    st.sampled_from(
        ["values", "(", ")", "(1, 'a''b')", "'a'';'", "-2.5", ",", "null", "\n", ";", "x", "--c\n", "E'\\''", "$1"]
    ),
    max_size=30,
).map(" ".join)


@given(ROWS)
def test_plain_rows_in_one_token_are_the_tokens_that_they_consist_of(sql: str) -> None:
    each: list[tuple[str, str]] = []
    for token in tokenize(sql, lenient=True):
        each += found(token.text) if token.kind == "rows" else [(token.kind, token.text)]
    # The same text, without the word before rows.
    assert each == [
        (kind, text.replace("valuez", "values")) for kind, text in found(sql.replace("values", "valuez"), lenient=True)
    ]


def test_rows_that_are_plain_are_one_token_whatever_stands_in_them() -> None:
    assert found("insert into t values (1, 'a; --', null),\n (-2.5, 'it''s', true) returning id")[4:] == [
        ("rows", " (1, 'a; --', null),\n (-2.5, 'it''s', true)"),
        ("word", "returning"),
        ("word", "id"),
    ]


def test_statements_that_repeat_the_one_before_can_be_left_out() -> None:
    rows = "".join(f"INSERT INTO t (a) VALUES ({n}); -- {n}\n" for n in range(2500))
    text = f"{rows} drop table t; INSERT INTO t (a) VALUES (now()); insert into u values (1);{rows}"
    kept = [[token.text for token in each][:3] for each in each_statement(text, repeats=False)]
    assert ["drop", "table", "t"] in kept
    assert ["insert", "into", "u"] in kept
    assert len(kept) < 20
    assert len(list(each_statement(text))) == 5003
    assert list(each_statement("select 1; select 1; select 2", repeats=False)) == statements(
        "select 1; select 1; select 2"
    )
