from __future__ import annotations

import pytest

from run402_cli.core.sql.values import decode, encode_parameter, type_name


@pytest.mark.parametrize(
    ("oid", "raw", "value"),
    [
        (1186, b"1 day", {"days": 1}),
        (1186, b"-1 years +2 mons", {"years": -1, "months": 2}),
        (1186, b"-03:04:05.25", {"hours": -3, "minutes": -4, "seconds": -5, "milliseconds": -250}),
        (1186, b"00:00:00", {}),
        (1184, b"2026-01-01 02:00:00.5+02", "2026-01-01T00:00:00.500Z"),
        (1082, b"0044-03-15 BC", "0044-03-15 BC"),
        (1114, b"-infinity", "-infinity"),
        (701, b"NaN", "NaN"),
        (701, b"1e+300", 1e300),
        (701, b"2", 2),
        (20, b"9223372036854775807", "9223372036854775807"),
        (1700, b"1.10", "1.10"),
        (1007, b"[0:1]={1,2}", [1, 2]),
        (1007, b"{}", []),
        (3807, b'{"{\\"a\\": 1}",NULL}', [{"a": 1}, None]),
        (1009, b'{"","a\\\\b"}', ["", "a\\b"]),
        (25, None, None),
    ],
)  # fmt: skip
def test_text_values_become_json(oid: int, raw: bytes | None, value: object) -> None:
    assert decode(oid, raw) == value


def test_types_without_a_name_show_their_oid() -> None:
    assert (type_name(23), type_name(114)) == ("int4", "oid:114")


def test_lists_are_arrays_unless_the_parameter_is_json() -> None:
    assert encode_parameter([1, "a,b", None, [True]], as_json=False) == '{"1","a,b",NULL,{"true"}}'
    assert encode_parameter([1, "a"], as_json=True) == '[1, "a"]'
    assert encode_parameter({"a": [1]}, as_json=False) == '{"a": [1]}'
