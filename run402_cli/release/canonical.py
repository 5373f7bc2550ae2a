"""Canonical JSON and the digests built on it. See docs/protocol/releases.md, "Digests"."""

from __future__ import annotations

import hashlib
import json.encoder
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from run402_cli.release.errors import INVALID_SPEC, ReleaseError

MATERIALIZED_RELEASE: Final = "run402-materialized-release-v1"
EVALUATED_PLAN: Final = "run402-evaluated-plan-v1"
REVIEWED_PLAN: Final = "run402-reviewed-plan-v1"

_MAX_SAFE_INTEGER: Final = 2**53 - 1
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_AS_IT_IS: Final = json.encoder.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"))
_SORTED: Final = json.encoder.JSONEncoder(
    ensure_ascii=False, check_circular=False, separators=(",", ":"), sort_keys=True
)
# A value that contains itself has no end.
_MOST_PLAIN: Final = 5_000_000
_FEW_KEYS: Final = 16


def canonical_json(value: Any) -> str:
    """`value` as canonical JSON: keys sorted by UTF-16 code unit, no spaces, JavaScript number and string forms.

    Raises ReleaseError (INVALID_SPEC) for what JSON cannot hold: NaN, infinities, non-string keys, other types,
    and nesting too deep to walk. docs/protocol/releases.md, "Digests".
    """
    return _write(value, sort_keys=True)


def canonical_object(members: Mapping[str, str]) -> str:
    """The canonical JSON of an object whose members are canonical JSON already."""
    return "{" + ",".join(f"{_string(key)}:{members[key]}" for key in code_unit_sorted(members)) + "}"


def compact_json(value: Any) -> str:
    """`value` as compact JSON in insertion order, otherwise as `canonical_json`."""
    return _write(value, sort_keys=False)


def sha256_hex(data: bytes) -> str:
    """Lowercase hex SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def canonical_sha256(value: Any) -> str:
    """Lowercase hex SHA-256 of the canonical JSON of `value`."""
    return sha256_hex(canonical_json(value).encode())


def digest(identity: str, value: Any) -> str:
    """`<identity>:<hex>`, the SHA-256 of the canonical JSON of `value` under a named identity."""
    return f"{identity}:{canonical_sha256(value)}"


def code_unit_key(text: str) -> bytes:
    """Sort key that orders strings by UTF-16 code unit, as JavaScript compares them."""
    return text.encode("utf-16-be", "surrogatepass")


def code_unit_sorted(texts: Iterable[str]) -> list[str]:
    """`texts` in UTF-16 code unit order."""
    items = list(texts)
    # Code point order is the same below U+10000, and most documents are ASCII.
    return sorted(items) if all(map(str.isascii, items)) else sorted(items, key=code_unit_key)


def _write(value: Any, *, sort_keys: bool) -> str:
    parts: list[str] = []
    try:
        if _is_plain(value):
            # The standard library writes such a value alike, many times as fast.
            return (_SORTED if sort_keys else _AS_IT_IS).encode(value)
        _append(value, parts.append, sort_keys)
    except RecursionError:
        raise ReleaseError(
            "The document is nested too deeply to be written as JSON. Flatten it.", code=INVALID_SPEC
        ) from None
    return "".join(parts)


def _is_plain(value: Any) -> bool:
    """Whether a value has only what Python and JavaScript write alike: no fractions, no long numbers, no character
    from the surrogates on, nothing that JSON does not have.
    """
    waiting = [value]
    seen: set[tuple[Any, ...]] = set()
    for item in waiting:
        kind = type(item)
        if kind is dict:
            # Entries of one kind have the same keys, in the same order.
            keys = tuple(item) if len(item) <= _FEW_KEYS else None
            if keys is None or keys not in seen:
                if not all(type(key) is str and (key.isascii() or max(key) < "\ud800") for key in item):
                    return False
                if keys is not None:
                    seen.add(keys)
            waiting += item.values()
        elif kind is list or kind is tuple:
            waiting += item
        elif kind is str:
            if not item.isascii() and max(item) >= "\ud800":
                return False
        elif kind is int:
            if not -_MAX_SAFE_INTEGER <= item <= _MAX_SAFE_INTEGER:
                return False
        elif item is not None and kind is not bool:
            return False
        if len(waiting) > _MOST_PLAIN:
            return False
    return True


def _append(value: Any, add: Any, sort_keys: bool) -> None:
    if isinstance(value, str):
        add(_string(value))
    elif value is None or isinstance(value, bool):
        add({None: "null", True: "true", False: "false"}[value])
    elif isinstance(value, (int, float)):
        add(_number(value))
    elif isinstance(value, Mapping):
        _append_object(value, add, sort_keys)
    elif isinstance(value, (list, tuple)):
        separator = "["
        for item in value:
            add(separator)
            _append(item, add, sort_keys)
            separator = ","
        add("]" if value else "[]")
    else:
        raise ReleaseError(f"A value of type {type(value).__name__} has no JSON form.", code=INVALID_SPEC)


def _append_object(value: Mapping[Any, Any], add: Any, sort_keys: bool) -> None:
    if not all(isinstance(key, str) for key in value):
        raise ReleaseError("JSON object keys must be strings.", code=INVALID_SPEC)
    separator = "{"
    for key in code_unit_sorted(value) if sort_keys else value:
        add(separator)
        add(_string(key))
        add(":")
        _append(value[key], add, sort_keys)
        separator = ","
    add("}" if value else "{}")


def _string(text: str) -> str:
    if not text.isascii() and _SURROGATE.search(text):
        # Adjacent halves are one character to JavaScript; only halves left alone are escaped.
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
        return _SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", json.encoder.encode_basestring(text))
    return json.encoder.encode_basestring(text)


def _number(value: int | float) -> str:
    if isinstance(value, int) and abs(value) <= _MAX_SAFE_INTEGER:
        return int.__repr__(value)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ReleaseError("A number in the document is not finite; JSON has no form for it.", code=INVALID_SPEC)
    return _javascript_float(number)


def _javascript_float(number: float) -> str:
    # Python and JavaScript agree on the shortest digits and differ on where the exponent starts.
    sign = "-" if number < 0 else ""
    mantissa, _, exponent = repr(abs(number)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return "0"
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if len(digits) <= point <= 21:
        return sign + digits.ljust(point, "0")
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    tail = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{tail}e{point - 1:+d}"
