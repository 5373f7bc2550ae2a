"""PostgreSQL's text values as the JSON of the SQL route. Pure. See docs/local-gateway.md."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

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


def type_name(oid: int) -> str:
    """`int4`, `text`, ...; `oid:<n>` for a type without a name of its own here."""
    return TYPE_NAMES.get(oid, f"oid:{oid}")


def decode(oid: int, raw: bytes | None) -> Any:
    """One value of a result row. int8 and numeric stay strings, so that no reader loses digits."""
    if raw is None:
        return None
    text = raw.decode("utf-8", "replace")
    element = _ELEMENT_OF.get(oid)
    if element is not None:
        return _array(text, element)
    return _SCALARS.get(oid, str)(text)


def _float(text: str) -> int | float | str:
    value = float(text)
    if not math.isfinite(value):
        return text
    return int(value) if value.is_integer() and abs(value) < 1e21 else value


def _moment(text: str) -> str:
    # datetime knows neither infinity nor years BC or beyond 9999; PostgreSQL's own spelling stands for those.
    moment = date_time(text)
    return text if moment is None else iso(moment)


def _bytea(text: str) -> dict[str, Any]:
    return {"type": "Buffer", "data": list(bytes.fromhex(text.removeprefix("\\x")))}


_INTERVAL_PART = re.compile(r"(-?\+?\d+) (year|mon|day)s?")
_INTERVAL_TIME = re.compile(r"([+-]?)(\d+):(\d\d):(\d\d)(?:\.(\d+))?")
_INTERVAL_NAMES = {"year": "years", "mon": "months", "day": "days"}


def _interval(text: str) -> dict[str, int | float]:
    parts: dict[str, int | float] = {_INTERVAL_NAMES[unit]: int(n) for n, unit in _INTERVAL_PART.findall(text)}
    if match := _INTERVAL_TIME.search(text):
        sign = -1 if match[1] == "-" else 1
        fraction = float(f"0.{match[5]}") * 1000 if match[5] else 0
        times = {"hours": int(match[2]), "minutes": int(match[3]), "seconds": int(match[4])}
        parts |= {name: sign * value for name, value in times.items() if value}
        if fraction:
            milliseconds = round(sign * fraction, 3)
            parts["milliseconds"] = int(milliseconds) if milliseconds.is_integer() else milliseconds
    return parts


_SCALARS: dict[int, Callable[[str], Any]] = {
    16: lambda text: text == "t",
    17: _bytea,
    21: int,
    23: int,
    26: int,
    114: json.loads,
    700: _float,
    701: _float,
    1082: _moment,
    1114: _moment,
    1184: _moment,
    1186: _interval,
    3802: json.loads,
}

# Array types by OID, with the OID of their elements.
_ELEMENT_OF = {
    199: 114, 1000: 16, 1001: 17, 1002: 18, 1003: 19, 1005: 21, 1007: 23, 1009: 25, 1014: 1042, 1015: 1043, 1016: 20,
    1021: 700, 1022: 701, 1028: 26, 1115: 1114, 1182: 1082, 1183: 1083, 1185: 1184, 1187: 1186, 1231: 1700,
    2951: 2950, 3807: 3802,
}  # fmt: skip

_ARRAY_ITEM = re.compile(r'"((?:[^"\\]|\\.)*)"|([^",{}]+)', re.DOTALL)


def _array(text: str, element: int) -> list[Any]:
    # An explicit lower bound ("[0:2]={...}") is dropped: JSON arrays have none.
    position = text.index("{")
    stack: list[list[Any]] = [[]]
    while position < len(text):
        character = text[position]
        if character == "{":
            stack.append([])
        elif character == "}":
            done = stack.pop()
            stack[-1].append(done)
        elif match := _ARRAY_ITEM.match(text, position):
            quoted, plain = match.groups()
            if quoted is None and plain == "NULL":
                stack[-1].append(None)
            else:
                value = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL)
                stack[-1].append(decode(element, value.encode()))
            position = match.end()
            continue
        position += 1
    result: list[Any] = stack[0][0]
    return result


def encode_parameter(value: Any, *, as_json: bool) -> str | None:
    """A JSON parameter as PostgreSQL input text; its type is settled by the statement.

    Objects are JSON. Lists are JSON for json/jsonb parameters and PostgreSQL arrays for all others.
    """
    if value is None:
        return None
    if isinstance(value, dict) or (as_json and isinstance(value, list)):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return "{" + ",".join(_array_item(item) for item in value) + "}"
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value)


def _array_item(item: Any) -> str:
    if item is None:
        return "NULL"
    if isinstance(item, list):
        return "{" + ",".join(_array_item(inner) for inner in item) + "}"
    text = encode_parameter(item, as_json=True) or ""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
