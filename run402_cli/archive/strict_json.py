"""JSON of a stranger: valid UTF-8, no key twice, no NaN, not too deep. See docs/protocol/archive-format.md, "JSON"."""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final, NoReturn

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]]')
_COLON: Final = re.compile(r"[ \t\r\n]*:")


class JsonFault(Exception):
    """Why a text is refused: `code` of the diagnostic, message, and its `context`."""

    def __init__(self, code: str, message: str, context: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.context = context


class _DuplicateKey(Exception):
    pass


def parse(data: bytes, max_depth: int) -> Any:
    """The value. JsonFault ARCHIVE_MALFORMED_JSON, ARCHIVE_DUPLICATE_JSON_KEY or ARCHIVE_DESCRIPTOR_TOO_DEEP."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise _malformed(f"it is not UTF-8 (byte {exc.start})") from exc
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_float)
    except _DuplicateKey:
        key, offset = _find_duplicate(text)
        raise JsonFault(
            "ARCHIVE_DUPLICATE_JSON_KEY",
            f"the key {key!r} occurs twice in one object, the second time at byte {offset}",
            {"key": key, "offset": offset},
        ) from None
    except RecursionError:
        raise _too_deep(max_depth) from None
    except ValueError as exc:
        raise _malformed(str(exc)) from exc
    if _deeper_than(value, max_depth):
        raise _too_deep(max_depth)
    return value


def _malformed(why: str) -> JsonFault:
    return JsonFault("ARCHIVE_MALFORMED_JSON", why, {"error": why})


def _too_deep(max_depth: int) -> JsonFault:
    return JsonFault(
        "ARCHIVE_DESCRIPTOR_TOO_DEEP", f"it is nested more than {max_depth} levels deep", {"max_depth": max_depth}
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _DuplicateKey
    return value


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:32]} is too large")
    return value


def _deeper_than(value: Any, depth: int) -> bool:
    level = [value] if isinstance(value, dict | list) else []
    while level:
        if depth == 0:
            return True
        depth -= 1
        level = [
            item
            for container in level
            for item in (container.values() if isinstance(container, dict) else container)
            if isinstance(item, dict | list)
        ]
    return False


def _find_duplicate(text: str) -> tuple[str, int]:
    """The first key that repeats another of its object, and its byte offset. The text is valid up to there."""
    open_keys: list[set[str]] = []
    for match in _TOKEN.finditer(text):
        token = match.group()
        if token in "{[":
            open_keys.append(set())
        elif token in "}]":
            open_keys.pop()
        elif _COLON.match(text, match.end()):
            key = json.loads(token)
            if key in open_keys[-1]:
                return key, len(text[: match.start()].encode())
            open_keys[-1].add(key)
    raise AssertionError("no duplicate key")
