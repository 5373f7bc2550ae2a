"""docs/error-codes.md has every code that this program raises, once in its half, and none that it does not know."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "docs"))

import static_scan  # noqa: E402

# Codes that are put together at run time around a word.
MADE_OF = ("R402_AUTH_{}", "IDENTITY_LINK_{}", "DESTRUCTIVE_{}_REMOVAL")
PAGE = (ROOT / "docs" / "error-codes.md").read_text(encoding="utf-8")
COMMAND_LINE, GATEWAY = PAGE.split("\n## Of the local gateway\n")


def rows(text: str) -> list[list[str]]:
    """The cells of each table row, without the heads."""
    lines = [line.strip("|").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line] for line in lines]


def listed(text: str) -> list[str]:
    return [code for row in rows(text) for code in re.findall(r"`([A-Z][A-Z0-9_]+)`", row[0])]


def command_line_codes() -> set[str]:
    """What the manifest of commands has: `run402 schema` prints the same."""
    tree = json.loads((ROOT / "run402_cli" / "schemas" / "_commands.json").read_text(encoding="utf-8"))
    entries = [tree["every_command"], tree["calls_gateway"], *tree["commands"].values()]
    return {code for entry in entries for code in entry.get("error_codes", ())}


def test_every_code_of_the_command_line_has_its_row() -> None:
    codes = command_line_codes()
    assert len(codes) > 150
    assert codes - set(listed(COMMAND_LINE)) == set()


def test_every_code_of_the_local_gateway_has_its_row() -> None:
    codes = static_scan.gateway_codes()
    assert {"BASE_RELEASE_CONFLICT", "AUTHENTICATION_REQUIRED", "ASSET_KEY_CONFLICT", "PGRST205"} <= codes
    assert codes - set(listed(PAGE)) == set()


def test_no_row_is_about_a_code_that_the_program_does_not_have() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "run402_cli").rglob("*.py")]
    words = {word.upper() for text in texts for word in re.findall(r"[A-Za-z][A-Za-z0-9_]+", text)}
    made = {form.format(word) for word in words for form in MADE_OF}
    assert set(listed(PAGE)) - words - made == set()


def test_a_code_has_one_row_in_each_half_with_cause_and_cure() -> None:
    for half in (COMMAND_LINE, GATEWAY):
        codes = listed(half)
        assert sorted(codes) == sorted(set(codes))
        assert [row for row in rows(half) if len(row) != 3 or not row[1] or not row[2]] == []
