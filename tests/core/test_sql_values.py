from __future__ import annotations

import json

import pytest

from run402_cli.core.sql.values import Digits, as_json, encode_parameter, type_name
from run402_cli.core.web import json_text


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
        (1184, b"2026-01-01 02:00:00+00", "2026-01-01T02:00:00.000Z"),
        (1184, b"2026-01-01 02:00:00.1234+00", "2026-01-01T02:00:00.123400Z"),
        (1184, b"2026-01-01 02:00:00.000001+05:30", "2025-12-31T20:30:00.000001Z"),
        (1114, b"2026-01-01 02:00:00.25", "2026-01-01T02:00:00.250Z"),
        (1114, b"2026-01-01 02:00:00.123456", "2026-01-01T02:00:00.123456Z"),
        (1114, b"10000-01-01 00:00:00", "10000-01-01 00:00:00"),
        (1082, b"2026-01-01", "2026-01-01T00:00:00.000Z"),
        (17, b"\\x00ff", {"type": "Buffer", "data": [0, 255]}),
        (17, b"\\x", {"type": "Buffer", "data": []}),
        (17, b"a\\000", "a\\000"),
        (16, b"t", True),
        (701, b"NaN", "NaN"),
        (701, b"1e+300", 1e300),
        (701, b"2", 2),
        (20, b"9223372036854775807", "9223372036854775807"),
        (1700, b"1.10", "1.10"),
        (1007, b"[0:1]={1,2}", [1, 2]),
        (1007, b"{}", []),
        (1007, b"{{1,2},{3,NULL}}", [[1, 2], [3, None]]),
        (3807, b'{"{\\"a\\": 1}",NULL}', [{"a": 1}, None]),
        (1009, b'{"","a\\\\b","NULL","{}",\xc3\xa9}', ["", "a\\b", "NULL", "{}", "é"]),
        (25, None, None),
        (25, "a\"\n\x01é".encode() * 500_000, 'a"\n\x01é' * 500_000),
    ],
)  # fmt: skip
def test_text_values_become_json(oid: int, raw: bytes | None, value: object) -> None:
    assert json.loads(as_json(oid, raw)) == value


@pytest.mark.parametrize(
    ("oid", "raw"),
    [
        (114, '{"e": 1e400, "n": 0.12345678901234567891}'),
        (3802, "12345678901234567.890"),
        (3807, "{1e400,1.10}"),
        (701, "1e-07"),
        (701, "-0"),
        (701, "0.1"),
        (1022, "{1.5,1e+22}"),
    ],
)
def test_numbers_keep_the_digits_that_they_have(oid: int, raw: str) -> None:
    assert as_json(oid, raw.encode()).strip("[]") == raw.strip("{}" if oid in (3807, 1022) else "")


def test_types_without_a_name_show_their_oid() -> None:
    assert (type_name(23), type_name(114)) == ("int4", "oid:114")


def test_lists_are_arrays_unless_the_parameter_is_json() -> None:
    assert encode_parameter([1, "a,b", None, [True]], as_json=False) == '{"1","a,b",NULL,{"true"}}'
    assert encode_parameter([1, "a"], as_json=True) == '[1, "a"]'
    assert encode_parameter({"a": [1]}, as_json=False) == '{"a": [1]}'


def test_parameters_keep_the_digits_that_they_have() -> None:
    values = json_text.loads('[1.10, {"n": [0.12345678901234567891, 1e400, 7]}, [1.50]]', fraction=Digits)
    assert encode_parameter(values[0], as_json=False) == "1.10"
    assert encode_parameter(values[1], as_json=False) == '{"n": [0.12345678901234567891, 1e400, 7]}'
    assert encode_parameter(values[2], as_json=False) == '{"1.50"}'
