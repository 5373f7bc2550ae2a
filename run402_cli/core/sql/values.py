"""PostgreSQL's text values as the JSON of the SQL route, with every digit. Pure. See docs/local-gateway.md."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from datetime import UTC
from json.encoder import encode_basestring
from typing import Any, Final

from run402_cli.core.web.instants import date_time, iso

TYPE_NAMES = {
    16: "bool",
    20: "int8",
    21: "int2",
    23: "int4",
    25: "text",
    700: "float4",
    701: "float8",
    1043: "varchar",
    1082: "date",
    1114: "timestamp",
    1184: "timestamptz",
    1700: "numeric",
    2950: "uuid",
    3802: "jsonb",
    1009: "text[]",
}
# A longer text is written in pieces: each is one call into C, and nobody else is served during one.
_PIECE: Final = 1 << 20


def type_name(oid: int) -> str:
    """`int4`, `text`, ...; `oid:<n>` for a type without a name of its own here."""
    return TYPE_NAMES.get(oid, f"oid:{oid}")


def as_json(oid: int, raw: bytes | None) -> str:
    """One value of a result row as JSON text. int8 and numeric are strings, so that no reader loses digits."""
    if raw is None:
        return "null"
    return writer(oid)(raw.decode("utf-8", "replace"))


def writer(oid: int) -> Callable[[str], str]:
    """What makes JSON text of the values of a type."""
    element = _ELEMENT_OF.get(oid)
    if element is None:
        return _SCALARS.get(oid, text_json)
    of_element = writer(element)
    return lambda text: _array(text, of_element)


def text_json(text: str) -> str:
    """A string in JSON."""
    if len(text) <= _PIECE:
        return encode_basestring(text)
    pieces = (encode_basestring(text[at : at + _PIECE])[1:-1] for at in range(0, len(text), _PIECE))
    return f'"{"".join(pieces)}"'


def _float(text: str) -> str:
    value = float(text)
    if not math.isfinite(value):
        return text_json(text)
    if value.is_integer() and abs(value) < 1e21 and (value or not text.startswith("-")):
        return str(int(value))
    return text


# What PostgreSQL writes in UTC, the zone of the session.
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)(?: (\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(?:\+00)?)?")


def _moment(text: str) -> str:
    """ISO-8601 with Z and three digits of a second, or six where the value has microseconds."""
    found = _MOMENT.fullmatch(text)
    if found is not None:
        day, time, fraction = found.groups("")
        return f'"{day}T{time or "00:00:00"}.{fraction.ljust(3 if len(fraction) <= 3 else 6, "0")}Z"'
    # datetime knows neither infinity nor years BC or beyond 9999; PostgreSQL's own spelling stands for those.
    moment = date_time(text)
    if moment is None:
        return text_json(text)
    if moment.microsecond % 1000 == 0:
        return f'"{iso(moment)}"'
    return f'"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")}Z"'


def _bytea(text: str) -> str:
    if not text.startswith("\\x"):
        return text_json(text)
    pieces = (",".join(map(str, bytes.fromhex(text[at : at + 2 * _PIECE]))) for at in range(2, len(text), 2 * _PIECE))
    return f'{{"type":"Buffer","data":[{",".join(pieces)}]}}'


_INTERVAL_PART = re.compile(r"(-?\+?\d+) (year|mon|day)s?")
_INTERVAL_TIME = re.compile(r"([+-]?)(\d+):(\d\d):(\d\d)(?:\.(\d+))?")
_INTERVAL_NAMES = {"year": "years", "mon": "months", "day": "days"}


def _interval(text: str) -> str:
    parts: dict[str, int | float] = {_INTERVAL_NAMES[unit]: int(n) for n, unit in _INTERVAL_PART.findall(text)}
    if match := _INTERVAL_TIME.search(text):
        sign = -1 if match[1] == "-" else 1
        fraction = float(f"0.{match[5]}") * 1000 if match[5] else 0
        times = {"hours": int(match[2]), "minutes": int(match[3]), "seconds": int(match[4])}
        parts |= {name: sign * value for name, value in times.items() if value}
        if fraction:
            milliseconds = round(sign * fraction, 3)
            parts["milliseconds"] = int(milliseconds) if milliseconds.is_integer() else milliseconds
    return json.dumps(parts, separators=(",", ":"))


def _same(text: str) -> str:
    return text


_SCALARS: dict[int, Callable[[str], str]] = {
    16: lambda text: "true" if text == "t" else "false",
    17: _bytea,
    21: _same,
    23: _same,
    26: _same,
    114: _same,
    700: _float,
    701: _float,
    1082: _moment,
    1114: _moment,
    1184: _moment,
    1186: _interval,
    3802: _same,
}

# Array types by OID, with the OID of their elements.
_ELEMENT_OF = {
    199: 114, 1000: 16, 1001: 17, 1002: 18, 1003: 19, 1005: 21, 1007: 23, 1009: 25, 1014: 1042, 1015: 1043, 1016: 20,
    1021: 700, 1022: 701, 1028: 26, 1115: 1114, 1182: 1082, 1183: 1083, 1185: 1184, 1187: 1186, 1231: 1700,
    2951: 2950, 3807: 3802,
}  # fmt: skip

_ARRAY_ITEM = re.compile(r'"((?:[^"\\]|\\.)*)"|([^",{}]+)', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def _array(text: str, of_element: Callable[[str], str]) -> str:
    # An explicit lower bound ("[0:2]={...}") is dropped: JSON arrays have none.
    position = text.index("{")
    parts: list[str] = []
    while position < len(text):
        character = text[position]
        if match := _ARRAY_ITEM.match(text, position):
            quoted, plain = match.groups()
            if quoted is None:
                parts.append("null" if plain == "NULL" else of_element(plain))
            else:
                parts.append(of_element(_ESCAPED.sub(r"\1", quoted)))
            position = match.end()
            continue
        parts.append(_BRACKETS.get(character, character))
        position += 1
    return "".join(parts)


_BRACKETS = {"{": "[", "}": "]"}


class Digits(str):
    """A number of a JSON text that has a fraction or an exponent, as it was written: no float keeps its digits."""

    __slots__ = ()


def encode_parameter(value: Any, *, as_json: bool) -> str | None:
    """A JSON parameter as PostgreSQL input text; its type is settled by the statement.

    Objects are JSON. Lists are JSON for json/jsonb parameters and PostgreSQL arrays for all others.
    """
    if value is None:
        return None
    if isinstance(value, dict) or (as_json and isinstance(value, list)):
        return "".join(_written(value))
    if isinstance(value, list):
        return "{" + ",".join(_array_item(item) for item in value) + "}"
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value)


def _written(value: Any) -> Iterator[str]:
    """The JSON text of a value that came as JSON, in parts."""
    if isinstance(value, dict):
        yield "{"
        for index, (name, member) in enumerate(value.items()):
            yield f"{', ' if index else ''}{text_json(name)}: "
            yield from _written(member)
        yield "}"
    elif isinstance(value, list):
        yield "["
        for index, item in enumerate(value):
            yield ", " if index else ""
            yield from _written(item)
        yield "]"
    elif isinstance(value, Digits):
        yield value
    else:
        yield json.dumps(value, ensure_ascii=False)


def _array_item(item: Any) -> str:
    if item is None:
        return "NULL"
    if isinstance(item, list):
        return "{" + ",".join(_array_item(inner) for inner in item) + "}"
    text = encode_parameter(item, as_json=True) or ""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
