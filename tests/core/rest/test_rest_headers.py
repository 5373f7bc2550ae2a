from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run402_cli.core.rest.body import parse_body
from run402_cli.core.rest.errors import RestError
from run402_cli.core.rest.media import Answer, negotiate
from run402_cli.core.rest.nodes import Window
from run402_cli.core.rest.preferences import content_range, parse_prefer, parse_range
from run402_cli.core.rest.views import view_origins


def test_prefer_is_read_from_all_headers_and_the_first_wins() -> None:
    prefer = parse_prefer(["return=minimal, count=exact", "return=representation,resolution=merge-duplicates"])
    assert (prefer.returning, prefer.count, prefer.resolution) == ("minimal", "exact", "merge-duplicates")
    assert prefer.applied({"return", "count"}) == {"Preference-Applied": "return=minimal, count=exact"}


def test_a_write_answers_without_rows_unless_asked() -> None:
    assert parse_prefer([]).returning == "minimal"
    assert parse_prefer([]).applied({"return", "count"}) == {}
    assert parse_prefer(["nonsense", "count=some"]).count is None


def test_strict_handling_refuses_unknown_preferences() -> None:
    with pytest.raises(RestError) as caught:
        parse_prefer(["handling=strict, nonsense=1"])
    assert caught.value.code == "PGRST122"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, Answer()),
        ("*/*", Answer()),
        ("text/csv", Answer("csv")),
        ("text/html, */*;q=0.1", Answer()),
        ("application/json;q=0.5, text/csv", Answer("csv")),
        ("application/vnd.pgrst.object+json;nulls=stripped", Answer("object", True)),
        ("application/vnd.pgrst.object", Answer("object")),
    ],
)
def test_accept(header: str | None, expected: Answer) -> None:
    assert negotiate(header) == expected


@pytest.mark.parametrize("header", ["application/pdf", "application/json;q=0", "garbage", ";;,"])
def test_accept_without_a_match_is_406(header: str) -> None:
    with pytest.raises(RestError) as caught:
        negotiate(header)
    assert (caught.value.status, caught.value.code) == (406, "PGRST107")


@pytest.mark.parametrize(
    ("header", "window", "expected"),
    [
        ("0-9", Window(), Window(0, 10)),
        ("items=5-", Window(), Window(5, None)),
        ("bytes=0-5", Window(2, 3), Window(2, 3)),
        ("2-8", Window(4, 100), Window(4, 5)),
        ("0-100", Window(4, 3), Window(4, 3)),
        ("20-30", Window(0, 10), Window(20, 0)),
        (None, Window(1, 2), Window(1, 2)),
    ],
)
def test_range_cuts_the_window(header: str | None, window: Window, expected: Window) -> None:
    assert parse_range(header, window) == expected


@given(st.text(max_size=30))
def test_any_range_header_is_harmless(header: str) -> None:
    try:
        found = parse_range(header, Window())
    except RestError as error:
        assert error.status == 416
    else:
        assert found.offset >= 0


def test_content_range() -> None:
    assert content_range(0, 3, None) == "0-2/*"
    assert content_range(5, 5, 20) == "5-9/20"
    assert content_range(0, 0, 0) == "*/0"


@given(
    st.binary(max_size=60), st.sampled_from(["application/json", "text/csv", "application/x-www-form-urlencoded", ""])
)
def test_any_body_parses_or_is_a_client_error(raw: bytes, content_type: str) -> None:
    try:
        payload = parse_body(raw, content_type)
    except RestError as error:
        assert (error.status, error.code) == (400, "PGRST102")
    else:
        value = json.loads(payload.text)
        rows = value if payload.is_array else [value]
        assert (len(rows), isinstance(value, list)) == (payload.rows, payload.is_array)
        assert not rows or rows[0] == payload.first
        assert payload.objects == all(isinstance(row, dict) for row in rows)
        if payload.objects:
            assert set(payload.keys) == {key for row in rows for key in row}
            assert payload.uneven == any(row.keys() != rows[0].keys() for row in rows)


def test_view_origins_reads_only_the_outermost_targets() -> None:
    action = (
        "({QUERY :rtable ({RANGETBLENTRY :subquery {QUERY :targetList ({TARGETENTRY :expr {VAR :x 1} :resno 1 "
        ":resname \\} :ressortgroupref 0 :resorigtbl 9 :resorigcol 9 :resjunk false})}}) :targetList "
        "({TARGETENTRY :expr {VAR :varno 1} :resno 1 :resname id :ressortgroupref 0 :resorigtbl 100 :resorigcol 2 "
        ":resjunk false} {TARGETENTRY :expr {CONST} :resno 2 :resname c :ressortgroupref 0 :resorigtbl 0 :resorigcol 0 "
        ":resjunk false})})"
    )
    assert view_origins(action) == {1: (100, 2)}
