"""The body of a refusal: where its `code` comes from, and where it stands."""

from __future__ import annotations

from typing import Any

import pytest

from run402_cli.core.errors import GatewayError


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({}, {"code": "UPLOAD_NOT_FOUND"}),
        ({"field": "id"}, {"code": "UPLOAD_NOT_FOUND", "field": "id"}),
        ({"code": None, "field": None}, {"field": None}),
        ({"field": "id", "code": "INVALID_AUTH"}, {"field": "id", "code": "INVALID_AUTH"}),
    ],
)
def test_the_code_is_the_error_in_capitals_unless_another_or_none_is_given(
    fields: dict[str, Any], wanted: dict[str, Any]
) -> None:
    body = GatewayError(404, "upload_not_found", "It is not there.", **fields).body()
    assert list(body.items()) == [("error", "upload_not_found"), ("message", "It is not there."), *wanted.items()]
