"""A limit and a time of the query, read the same way by every route."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.requests import Request

from run402_cli.core.errors import GatewayError
from run402_cli.core.web.http import instant_of, page, query_limit


def request(**query: str) -> Request:
    return Request({"type": "http", "query_string": urlencode(query).encode(), "headers": []})


@pytest.mark.parametrize(
    ("text", "capped", "wanted"),
    [
        (None, True, 50),
        ("1", False, 1),
        ("0200", False, 200),
        ("201", True, 200),
        ("9" * 5000, True, 200),
        ("0" * 20 + "7", True, 7),
    ],
)
def test_a_limit_is_a_whole_number_from_1(text: str | None, capped: bool, wanted: int) -> None:
    query = {} if text is None else {"limit": text}
    assert query_limit(request(**query), "limit", 50, 200, capped=capped) == wanted


@pytest.mark.parametrize("text", ["", "0", "000", "-1", "1.5", "1e2", " 7", "٣", "x"])
def test_anything_else_is_refused_in_the_words_of_the_route(text: str) -> None:
    with pytest.raises(GatewayError) as caught:
        query_limit(request(tail=text), "tail", 50, 200, error="invalid_tail", field="tail")
    body = caught.value.body()
    assert body.pop("message") == "`tail` must be a whole number from 1 to 200."
    assert (caught.value.status, body) == (400, {"error": "invalid_tail", "code": "INVALID_TAIL", "field": "tail"})


@pytest.mark.parametrize("text", ["201", "0000000201", "9" * 5000])
def test_more_than_the_most_is_refused_where_it_is_not_cut(text: str) -> None:
    with pytest.raises(GatewayError, match="from 1 to 200"):
        query_limit(request(limit=text), "limit", 50, 200, capped=False)


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({}, {"error": "invalid_timestamp", "code": "INVALID_TIMESTAMP", "field": "since"}),
        ({"code": None}, {"error": "invalid_timestamp", "field": "since"}),
        ({"error": "invalid_request"}, {"error": "invalid_request", "code": "INVALID_REQUEST", "field": "since"}),
    ],
)
def test_a_time_that_is_none_is_refused_in_the_words_of_the_route(
    asked: dict[str, Any], wanted: dict[str, Any]
) -> None:
    with pytest.raises(GatewayError) as caught:
        instant_of(request(since="yesterday"), "since", **asked)
    body = caught.value.body()
    assert "since is 'yesterday'" in body.pop("message")
    assert body == wanted


def test_a_page_has_a_cursor_while_there_is_more() -> None:
    assert page("rows", [1, 2, 3], 2, str, lambda row: f"row_{row}") == {
        "rows": ["1", "2"],
        "has_more": True,
        "next_cursor": "row_2",
    }
    assert page("rows", [1, 2], 2, str, lambda row: f"row_{row}") == {
        "rows": ["1", "2"],
        "has_more": False,
        "next_cursor": None,
    }
    assert page("rows", [], 2, str, str)["next_cursor"] is None
