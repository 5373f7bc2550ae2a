"""Numbers keep the digits that a server sent, and no key that occurs twice is dropped, whatever a command prints."""

from __future__ import annotations

import copy
import pickle
import random
from collections.abc import Iterator
from typing import Any

import pytest

from run402_cli import exact_json, jq_filter, output, text_format

NUMBERS = [
    *("0", "-0", "-0.0", "1.10", "1.0", "1e5", "1E+05", "100e-2", "1e400", "-1e-400", "0.12345678901234567891"),
    *("9007199254740993", "12345678901234567.89", "-123456789012345678901234567890", "3." + "1" * 400, "7" * 5000),
]


def compact(value: Any) -> str:
    return output.dumps(value, compact=True)


@pytest.mark.parametrize("digits", NUMBERS, ids=lambda digits: digits[:24])
def test_a_number_is_printed_with_its_digits(digits: str) -> None:
    for text in (digits, f'{{"a":[{digits},{{"b":{digits}}}]}}'):
        value = exact_json.loads(text.encode())
        assert compact(value) == text
        assert compact(copy.deepcopy(value)) == text
        assert compact(pickle.loads(pickle.dumps(value))) == text
    assert text_format.cell([exact_json.loads(digits), "x"]) == f"{digits},x"


def documents(seed: int) -> Iterator[str]:
    """JSON texts without blanks, of numbers of every form, texts, and keys that may occur twice."""
    chance = random.Random(seed)

    def number() -> str:
        whole = str(chance.randrange(10 ** chance.choice((1, 3, 16, 25))))
        fraction = f".{chance.randrange(10**20):0{chance.choice((1, 5, 22))}d}" if chance.random() < 0.6 else ""
        exponent = f"{chance.choice('eE')}{chance.choice(('', '+', '-'))}{chance.randrange(500)}"
        return chance.choice(("", "-")) + whole + fraction + (exponent if chance.random() < 0.3 else "")

    def value(depth: int) -> str:
        kind = chance.random()
        if depth > 3 or kind < 0.5:
            words = ("true", "null", '"a-0 b"', '"run402"', '"\\"1.10"')
            return number() if chance.random() < 0.7 else chance.choice(words)
        items = [value(depth + 1) for _ in range(chance.randrange(4))]
        if kind < 0.75:
            return f"[{','.join(items)}]"
        return "{" + ",".join(f'"{chance.choice("abc")}":{item}' for item in items) + "}"

    for _ in range(200):
        yield value(0)


@pytest.mark.parametrize("seed", range(10))
def test_any_document_is_printed_as_it_came(seed: int) -> None:
    for text in documents(seed):
        value = exact_json.loads(text)
        assert compact(value) == text
        indented = output.dumps(value, compact=False)
        assert compact(exact_json.loads(indented)) == text


def test_what_python_writes_as_it_came_stays_a_plain_number() -> None:
    assert [type(item) for item in exact_json.loads("[1, 1.5, 12345678901234567890]")] == [int, float, int]
    tenth = exact_json.loads("1.10")
    assert (tenth + 1, tenth == 1.1, isinstance(tenth, float), str(tenth)) == (2.1, True, True, "1.10")


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a": -Infinity}', "[1,]", ""])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a JSON value|Expecting|Illegal"):
        exact_json.loads(text)


def test_a_key_twice_is_named_with_its_place() -> None:
    with pytest.raises(exact_json.RepeatedKey, match="'b' occurs twice in one object: again in line 2 column 3"):
        exact_json.loads_once('{"a": [{"b": 1,\n  "b": 2}]}')
    with pytest.raises(exact_json.RepeatedKey, match="'b' occurs twice"):
        exact_json.loads_once('{"a": {"b": 0}, "c": {"b": 1, "\\u0062": 2}}')
    assert exact_json.loads_once('{"a": {"b": 0}, "b": {"b": 1}}') == {"a": {"b": 0}, "b": {"b": 1}}


PROGRAMS = [".", ".[]", "map(.)", "{a: .[0]}", ".[0] as $x | $x", "to_entries | map(.value)", ". # said", "def f: .; f"]


@pytest.mark.parametrize("program", PROGRAMS)
def test_jq_keeps_what_it_only_passes_on(program: str) -> None:
    digits = ["9007199254740993", "12345678901234567.89", "1.10", "-0", "123456789012345678901234567890"]
    printed = compact(jq_filter.results(program, exact_json.loads(f"[{','.join(digits)}]")))
    wanted = digits[:1] if program in ("{a: .[0]}", ".[0] as $x | $x") else digits
    assert all(number in printed for number in wanted), printed
    assert compact(jq_filter.results(".", exact_json.loads("1e400"))) == "[1E+400]"  # in jq's own spelling


def test_jq_rounds_what_it_computes_with() -> None:
    assert jq_filter.results(".+1", 9007199254740993) == [9007199254740992 + 2 - 2]
    assert jq_filter.results(". == 9007199254740992", 9007199254740993) == [False]


@pytest.mark.parametrize(
    ("program", "wanted"), [(".[0] #\\", [1]), (".[0] # x", [1]), ("halt", []), ("1, 2 | . + 1", [2, 3])]
)
def test_jq_programs_mean_what_they_meant(program: str, wanted: list[Any]) -> None:
    assert jq_filter.results(program, [1]) == wanted


@pytest.mark.parametrize("program", ['"gone" | halt_error', '"gone" | halt_error(3)', '1, ("gone" | halt_error)'])
def test_a_jq_program_that_ends_itself_with_an_error_is_an_error(program: str) -> None:
    with pytest.raises(ValueError, match="gone"):
        jq_filter.results(program, 1)


def test_jq_reads_past_half_a_surrogate_pair() -> None:
    assert jq_filter.results(".b", exact_json.loads('{"a": "x\\ud800", "b": 1}')) == [1]
