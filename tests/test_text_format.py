"""--format text: every value is there, whole and unescaped by nobody but us; it fits a terminal and feeds a pipe."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from run402_cli import text_format

LISTS = {
    "projects": [
        {"project_id": "prj_1", "name": "one", "tier": {"name": "free"}, "tags": ["a", "b"]},
        {"project_id": "prj_2", "name": None, "note": "line\nbreak\ttab \x1b[1mbold"},
    ],
    "has_more": True,
    "next_cursor": "cur_3",
}
leaf = st.none() | st.booleans() | st.integers() | st.text(max_size=60)
documents = st.recursive(
    leaf,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=5),
)


def ids(value: Any, inside: bool = False) -> Iterator[str]:
    """Every string under a key that ends in id, anywhere."""
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, str) and re.search(r"(^|_)id$", key):
                yield item
            yield from ids(item)
    elif isinstance(value, list):
        for item in value:
            yield from ids(item)


def test_a_pipe_gets_a_header_tabs_and_whole_values() -> None:
    shown, note = text_format.text(LISTS, "projects list")
    table, around = shown.split("\n\n")
    rows = [line.split("\t") for line in table.split("\n")]
    assert rows == [
        ["project_id", "name", "tier.name", "tags", "note"],
        ["prj_1", "one", "free", "a,b", ""],
        ["prj_2", "", "", "", "line\\nbreak\\ttab \\x1b[1mbold"],
    ]
    assert around.splitlines() == ["has_more\ttrue", "next_cursor\tcur_3"]
    assert note is None


def test_a_list_alone_has_no_title() -> None:
    shown, _ = text_format.text({"functions": [{"name": "f"}], "count": 1, "next_cursor": None}, "functions list")
    assert shown == "name\nf"


def test_the_rows_of_sql_are_what_is_shown() -> None:
    document = {"status": "ok", "schema": "p0001", "rows": [{"id": 1, "v": {"a": 1}}], "row_count": 1}
    assert text_format.text(document, "projects sql")[0] == "id\tv.a\n1\t1"


def test_every_part_of_a_document_is_shown() -> None:
    status = {
        "wallet": {"address": "0x1", "balance": None},
        "target": {"api_base": "http://127.0.0.1:4020"},
        "active_project_id": "prj_1",
        "projects": [{"project_id": "prj_1"}],
        "tiers": [{"name": "free", "price": 0}],
    }
    shown, _ = text_format.text(status, "status")
    for part in ("0x1", "http://127.0.0.1:4020", "active_project_id\tprj_1", "projects:\nproject_id\nprj_1", "tiers:"):
        assert part in shown


def test_an_empty_list_is_said() -> None:
    assert text_format.text([], "wallets list") == ("", "The list is empty.")
    assert text_format.text({"projects": [], "has_more": False}, "projects list") == ("", "projects is empty.")


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_terminal_gets_lines_of_its_width_with_long_values_last(width: int) -> None:
    rows = [{"url": "https://example.com/" + "x" * 60, "id": "a1", "name": "n" * 12}] * 2
    shown, _ = text_format.text({"rows": rows}, "projects sql", width=width)
    if width == 200:
        assert shown.splitlines()[0].split() == ["id", "name", "url"]
    assert "https://example.com/" + "x" * 60 in shown
    assert all(len(line) <= width or "https" in line for line in shown.splitlines())
    assert not [line for line in shown.splitlines() if line != line.rstrip()]


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=60)
@given(documents, st.none() | st.integers(20, 200))
def test_no_document_breaks_it_and_a_line_stays_a_line(document: Any, width: int | None) -> None:
    shown, _ = text_format.text(document, "projects list", width=width)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", shown.replace("\t", ""))
    if width is None:
        assert "\N{HORIZONTAL ELLIPSIS}" not in shown or "\N{HORIZONTAL ELLIPSIS}" in json.dumps(
            document, ensure_ascii=False
        )


def _described() -> list[Any]:
    """(command, its schema, the definitions that the schema refers to)."""
    folder = Path(text_format.__file__).parent / "schemas"
    found = []
    for path in sorted(folder.glob("[a-z]*.json")):
        described = json.loads(path.read_text(encoding="utf-8"))
        for name, entry in described["commands"].items():
            found.append(pytest.param(name, entry.get("schema"), described.get("$defs", {}), id=name))
    return found


def _example(schema: Any, defined: dict[str, Any], deep: int = 0, key: str = "") -> Any:
    """A value of a schema, with two items in each list and a string of its own for each id."""
    if not isinstance(schema, dict) or deep > 6:
        return "x"
    if "$ref" in schema:
        return _example(defined.get(schema["$ref"].split("/")[-1]), defined, deep + 1, key)
    for choice in ("oneOf", "anyOf", "allOf"):
        if choice in schema:
            return _example(schema[choice][0], defined, deep + 1, key)
    kind = schema.get("type")
    kind = next((each for each in kind if each != "null"), None) if isinstance(kind, list) else kind
    if "properties" in schema or kind == "object":
        inner = schema.get("properties", {})
        return {name: _example(item, defined, deep + 1, name) for name, item in inner.items()}
    if kind == "array":
        return [_example(schema.get("items"), defined, deep + 1, f"{key}{n}") for n in range(2)]
    return {"integer": 7, "number": 1.5, "boolean": True}.get(str(kind), f"{key}-{deep}")


@pytest.mark.parametrize(("name", "schema", "defined"), _described())
def test_every_id_of_every_command_is_in_the_text(name: str, schema: Any, defined: dict[str, Any]) -> None:
    document = _example(schema, defined)
    if name in text_format.PAYLOADS:
        payload = document[text_format.PAYLOADS[name]] if isinstance(document, dict) else document
        assert isinstance(payload, list | str)
        return
    for width in (None, 80):
        shown, _ = text_format.text(document, name, width=width)
        assert not [each for each in ids(document) if each not in shown]
        assert "\x1b" not in shown


@pytest.mark.parametrize("words", [["wallets", "list", "--format", "text"], ["status", "--format=text"], ["--help"]])
def test_no_variable_puts_an_escape_sequence_into_a_pipe(words: list[str]) -> None:
    colours = {"FORCE_COLOR": "1", "CLICOLOR_FORCE": "1", "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    env = {**os.environ, **colours, "RUN402_API_BASE": "http://127.0.0.1:9"}
    done = subprocess.run([sys.executable, "-m", "run402_cli", *words], env=env, capture_output=True, check=False)
    assert done.returncode == 0
    assert b"\x1b" not in done.stdout + done.stderr
