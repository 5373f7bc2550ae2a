"""docs/coverage.md: the numbers are complete, and every test, command and page that it names exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from run402_cli.command_schemas import names

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "coverage.md"
SECTIONS = 32
ROWS = 304


def rows() -> list[tuple[int, int, str, list[str]]]:
    """(section, number, name, what shows it) of each row."""
    found = re.findall(r"^\| (\d+)\.(\d+) \| (.+?) \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return [
        (int(section), int(number), name, re.findall(r"`([^`]+)`", shown)) for section, number, name, shown in found
    ]


@cache
def defined_in(path: Path) -> frozenset[str]:
    """The names of the test functions of a module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(node.name for node in functions if node.name.startswith("test_"))


def missing(reference: str) -> bool:
    if reference.startswith("run402 "):
        return reference.removeprefix("run402 ") not in names()
    if reference.startswith("tests/"):
        path, _, name = reference.partition("::")
        return not (ROOT / path).is_file() or name not in defined_in(ROOT / path)
    return not (ROOT / reference).is_file()


def test_the_rows_are_numbered_without_a_gap_and_each_is_shown_by_something() -> None:
    numbers = [(section, number) for section, number, _, _ in rows()]
    assert len(numbers) == ROWS
    assert {section for section, _ in numbers} == set(range(1, SECTIONS + 1))
    for section in range(1, SECTIONS + 1):
        own = [number for each, number in numbers if each == section]
        assert own == list(range(1, len(own) + 1)), section
    assert [f"{a}.{b}" for a, b, _, shown in rows() if not shown] == []


def test_what_the_rows_name_exists() -> None:
    gone = [f"{a}.{b}: {each}" for a, b, _, shown in rows() for each in shown if missing(each)]
    assert gone == []


@pytest.mark.parametrize(
    "reference",
    [
        "run402 projects sqll",
        "tests/test_coverage.py::test_nothing",
        "tests/none.py::test_x",
        "docs/NONE.md",
        "run402 ci",
    ],
)
def test_a_reference_to_nothing_is_noticed(reference: str) -> None:
    assert missing(reference)
