"""A short notation for the types of tool inputs, and its JSON Schema (draft-07).

string, int, number, bool, any, null     as they say
a|b|c, "a"                               one of these words
X|Y                                      either
[X]                                      list of X
{key: X, other?: Y}                      object with exactly these keys; ? marks those that may be missing
{*: X}                                   object with any keys
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

_TOKEN = re.compile(r'\s*(?:([{}\[\]|,?])|"([^"]*)"|(\*)|([\w$.-]+(?::\w+)*)|(:))')
_PRIMITIVES: dict[str, Schema] = {
    "string": {"type": "string"},
    "int": {"type": "integer"},
    "number": {"type": "number"},
    "bool": {"type": "boolean"},
    "null": {"type": "null"},
    "true": {"type": "boolean", "const": True},
    "any": {},
}


def schema_of(notation: str) -> Schema:
    """The JSON Schema of a type. ValueError for something that is no type."""
    parser = _Parser(notation)
    schema = parser.union()
    parser.end()
    return schema


class _Parser:
    """Recursive descent over (kind, text) tokens; kind is mark, quoted or word."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._at = 0

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _take(self, *wanted: str) -> bool:
        kind, text = self._peek()
        if kind == "mark" and text in wanted:
            self._at += 1
            return True
        return False

    def _expect(self, mark: str) -> None:
        if not self._take(mark):
            raise ValueError(f"{mark} expected in {self._text!r}, not {self._peek()[1]!r}")

    def end(self) -> None:
        if self._peek()[0] != "end":
            raise ValueError(f"unexpected {self._peek()[1]!r} in {self._text!r}")

    def union(self) -> Schema:
        """One type, or several between |. Plain words become one enum."""
        options: list[Schema] = []
        words: list[str] = []
        while True:
            found = self._one()
            if isinstance(found, str):
                words.append(found)
            else:
                options.append(found)
            if not self._take("|"):
                break
        if words:
            options.insert(0, {"type": "string", "enum": words})
        return _merged(options)

    def _one(self) -> Schema | str:
        kind, text = self._peek()
        if self._take("["):
            items = self.union()
            self._expect("]")
            return {"type": "array", "items": items}
        if self._take("{"):
            return self._object()
        if kind not in ("word", "quoted"):
            raise ValueError(f"a type expected in {self._text!r}, not {text!r}")
        self._at += 1
        return dict(_PRIMITIVES[text]) if kind == "word" and text in _PRIMITIVES else text

    def _object(self) -> Schema:
        properties: dict[str, Schema] = {}
        required: list[str] = []
        while not self._take("}"):
            kind, key = self._peek()
            if kind not in ("word", "any key"):
                raise ValueError(f"a key expected in {self._text!r}, not {key!r}")
            self._at += 1
            optional = self._take("?")
            self._expect(":")
            value = self.union()
            if key == "*":
                self._expect("}")
                return {"type": "object", "additionalProperties": value}
            properties[key] = value
            required += [] if optional else [key]
            self._take(",")
        needed = {"required": required} if required else {}
        return {"type": "object", "properties": properties, **needed, "additionalProperties": False}


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"{text[at:]!r} is no type")
        mark, quoted, star, word, colon = match.groups()
        if quoted is not None:
            yield "quoted", quoted
        elif star:
            yield "any key", star
        else:
            yield ("word", word) if word else ("mark", mark or colon)
        at = match.end()


def _merged(options: list[Schema]) -> Schema:
    if len(options) == 1:
        return options[0]
    if all(set(option) == {"type"} for option in options):
        return {"type": [option["type"] for option in options]}
    return {"anyOf": options}
