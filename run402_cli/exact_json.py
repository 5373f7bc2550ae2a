"""JSON that is passed on as it came: every number keeps its digits, and no key that occurs twice is dropped without a word.

The one reader and writer of what a gateway answers and of what is sent on: docs/protocol/conventions.md, "Numbers".
Python's own parser turns 1.10 into 1.1, 12345678901234567.89 into another number and 1e400 into infinity; each of them is a
`Number` here, a float that knows its digits. What Python writes as it came stays a plain int or float.
"""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")

# A text that no document holds: what has to be written otherwise than Python does it is marked, and the marks taken out.
_MARK = f"run402-{os.urandom(12).hex()}"
_MARKED = re.compile(rf'"{_MARK}(?:=([^"]*)"|\d+:)')
_MINUS_ZERO = re.compile(r"-0(?![\d.eE])")


class Number(float):
    """A float whose text is the digits that it came with."""

    __slots__ = ("digits",)
    digits: str

    def __new__(cls, digits: str) -> Number:
        number = super().__new__(cls, digits)
        number.digits = digits
        _seen.any = True
        return number

    def __repr__(self) -> str:
        return self.digits

    def __reduce__(self) -> tuple[type[Number], tuple[str]]:
        return Number, (self.digits,)


class Members(dict[str, Any]):
    """An object in which a key occurs twice: a dict with the last value of each, and all that there was in `pairs`."""

    __slots__ = ("pairs",)
    pairs: list[tuple[str, Any]]

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs
        _seen.any = True

    def repeated(self) -> list[str]:
        """The keys that occur more than once."""
        names = [name for name, _value in self.pairs]
        return [name for name in self if names.count(name) > 1]


class _Seen:
    """Whether this process has made one of them; else Python's own writer is enough."""

    any = False


_seen = _Seen()


class RepeatedKey(ValueError):
    """A key that occurs twice in one object of a document that may not have that."""


def loads(text: str | bytes) -> Any:
    """The value of a JSON text. ValueError for what is none (NaN and Infinity too), RecursionError when nested too deeply."""
    text = _decoded(text)
    try:
        return reader(text).decode(text)
    except json.JSONDecodeError:
        raise
    except ValueError:
        # Python reads no whole number of more than some thousand digits.
        return _ANY.decode(text)


def first(text: str, at: int, using: json.JSONDecoder) -> tuple[Any, int]:
    """The JSON value that begins at `at`, and where it ends; as `loads`. `using` the `reader` of the text."""
    try:
        return using.raw_decode(text, at)
    except json.JSONDecodeError:
        raise
    except ValueError:
        return _ANY.raw_decode(text, at)


def reader(text: str) -> json.JSONDecoder:
    """The one for a text: a minus before a zero is kept by one that takes longer for whole numbers."""
    return _ANY if "-0" in text and _MINUS_ZERO.search(text) else _ORDINARY


def loads_once(text: str | bytes) -> Any:
    """As `loads`, for what is written by hand: RepeatedKey names the key that an object has twice, and its place."""
    text = _decoded(text)
    value = loads(text)
    if _seen.any and (members := repeats(value)):
        raise RepeatedKey(_place(text, members[0]))
    return value


def dumps(value: Any, **style: Any) -> str:
    """The JSON text, each number with the digits that it came with; `style` as for json.dumps."""
    if not _seen.any:
        return json.dumps(value, **style)
    return _MARKED.sub(lambda found: '"' if found[1] is None else found[1], json.dumps(_marked(value), **style))


def repeats(value: Any) -> list[Members]:
    """The objects of a value in which a key occurs twice, the outermost first."""
    found: list[Members] = []
    level = [value] if _seen.any else []
    while level:
        found += [each for each in level if isinstance(each, Members)]
        level = [
            item
            for each in level
            if isinstance(each, dict | list)
            for item in (_values(each) if isinstance(each, dict) else each)
            if isinstance(item, dict | list)
        ]
    return found


def _values(found: dict[str, Any]) -> list[Any]:
    return [item for _name, item in found.pairs] if isinstance(found, Members) else list(found.values())


def _decoded(text: str | bytes) -> str:
    return text if isinstance(text, str) else text.decode(json.detect_encoding(text), "surrogatepass")


def _marked(value: Any) -> Any:
    """A copy in which what Python would write otherwise is marked. Without recursion, for it may be nested deeply."""
    root = [value]
    places: list[tuple[Any, Any]] = [(root, 0)] if isinstance(value, _SPECIAL) else []
    while places:
        holder, key = places.pop()
        found = holder[key]
        copy: Any
        if isinstance(found, Number):
            holder[key] = f"{_MARK}={found.digits}"
            continue
        if isinstance(found, Members):
            copy = {f"{_MARK}{place}:{name}": item for place, (name, item) in enumerate(found.pairs)}
        else:
            copy = dict(found) if isinstance(found, dict) else list(found)
        holder[key] = copy
        entries = copy.items() if isinstance(copy, dict) else enumerate(copy)
        places += [(copy, name) for name, item in entries if isinstance(item, _SPECIAL)]
    return root[0]


_SPECIAL = (dict, list, tuple, Number)


def _place(text: str, members: Members) -> str:
    """The first key of these that is repeated, with its line and column where it can be told."""
    name = members.repeated()[0]
    written = re.compile(re.escape(json.dumps(name, ensure_ascii=False)) + r"[ \t\r\n]*:")
    places = [found.start() for found in written.finditer(text)]
    if len(places) != 2:  # escapes, or the same name in other objects
        return f"the key {name!r} occurs twice in one object"
    start = places[1]
    line, column = text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start)
    return f"the key {name!r} occurs twice in one object: again in line {line} column {column}"


def _number(text: str) -> float:
    value = float(text)
    return value if repr(value) == text else Number(text)


def whole(keep: Callable[[str], T], digits: str) -> int | T:
    """A whole number, or what `keep` makes of one that Python does not read as it is: a minus before a zero, and thousands
    of digits."""
    return keep(digits) if digits == "-0" or len(digits) > _MOST_DIGITS else int(digits)


# Below the least limit that Python can be given.
_MOST_DIGITS = 640


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else Members(pairs)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


_ORDINARY = json.JSONDecoder(parse_float=_number, parse_constant=_no_constant, object_pairs_hook=_object)
_ANY = json.JSONDecoder(
    parse_int=functools.partial(whole, Number),
    parse_float=_number,
    parse_constant=_no_constant,
    object_pairs_hook=_object,
)
