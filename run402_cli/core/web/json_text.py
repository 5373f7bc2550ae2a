"""JSON of a request, read when it has not too many values: to read it takes as long as they are many, and nobody else is
served meanwhile.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from typing import Any, Final

from run402_cli import exact_json

# Reading this many takes about a third of a second.
MOST_VALUES: Final = 1_000_000
# To read so many escaped characters takes as long as to read a value.
_ESCAPES: Final = 16
_BEGINS: Final = (",", "[", "{")
_STRING: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)


# Short values, such as names and numbers, have more bytes than this, with what is around them.
_BYTES_OF_A_VALUE: Final = 64


def most_values(most_bytes: int) -> int:
    """How many values a body of so many bytes may have."""
    return min(most_bytes // _BYTES_OF_A_VALUE, MOST_VALUES)


class TooManyValues(ValueError):
    """The text has more than `most` values: entries of arrays and members of objects, at all depths, and escapes."""

    def __init__(self, most: int) -> None:
        super().__init__(f"it has more than {most:,} values")
        self.most = most


def loads(text: str, most: int = MOST_VALUES, *, fraction: Callable[[str], Any] | None = None) -> Any:
    """The value of a JSON text. ValueError for what is no JSON, nested too deeply, or TooManyValues.

    `fraction` makes the value of a number with a fraction or an exponent; else it is a float. And of what Python reads as no
    whole number: a minus before a zero, and thousands of digits.
    """
    # Each value has a character at least.
    if len(text) > most and (
        text.count("\\") // _ESCAPES > most or (_begins(text, 0, len(text)) > most and _exceeds(text, most))
    ):
        raise TooManyValues(most)
    try:
        whole = None if fraction is None else functools.partial(exact_json.whole, fraction)
        return json.loads(text, parse_constant=_no_constant, parse_float=fraction, parse_int=whole)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _begins(text: str, start: int, end: int) -> int:
    """Every value but the outermost comes after one of these, and only so many others do."""
    return sum(text.count(char, start, end) for char in _BEGINS)


def _exceeds(text: str, most: int) -> bool:
    """Without the commas and brackets of strings. It stops when it knows."""
    found = at = 0
    for strings, string in enumerate(_STRING.finditer(text)):
        found += _begins(text, at, string.start())
        at = string.end()
        # A member has two strings at most, its name and its value.
        if found > most or strings > 2 * most:
            return True
    return found + _begins(text, at, len(text)) > most


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")
