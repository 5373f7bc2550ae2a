"""The notation of tool inputs, and the JSON Schema it stands for."""

from __future__ import annotations

from typing import Any

import pytest

from run402_cli.mcp._types import schema_of

STRING, INT = {"type": "string"}, {"type": "integer"}


@pytest.mark.parametrize(
    ("notation", "schema"),
    [
        ("string", STRING),
        ("any", {}),
        ("a|b-c", {"type": "string", "enum": ["a", "b-c"]}),
        ("key:asc|key:desc", {"type": "string", "enum": ["key:asc", "key:desc"]}),
        ('"only-this"', {"type": "string", "enum": ["only-this"]}),
        ("string|null", {"type": ["string", "null"]}),
        ("a|null", {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "null"}]}),
        ("[[int]]", {"type": "array", "items": {"type": "array", "items": INT}}),
        ("{*: any}", {"type": "object", "additionalProperties": {}}),
        (
            '{$schema?: string, version: "1", yes?: true}',
            {
                "type": "object",
                "properties": {
                    "$schema": STRING,
                    "version": {"type": "string", "enum": ["1"]},
                    "yes": {"type": "boolean", "const": True},
                },
                "required": ["version"],
                "additionalProperties": False,
            },
        ),
    ],
)
def test_a_type_has_the_schema_it_says(notation: str, schema: dict[str, Any]) -> None:
    assert schema_of(notation) == schema


@pytest.mark.parametrize("notation", ["", "[string", "{a string}", "a|", "string string", "{*: }", "<a>"])
def test_what_is_no_type_is_refused(notation: str) -> None:
    with pytest.raises(ValueError, match=r"type|expected|unexpected"):
        schema_of(notation)
