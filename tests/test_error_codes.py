"""docs/error-codes.md has every code that this program raises, once in its half, and none that it does not know."""

from __future__ import annotations

import re

import static_scan
from code_table_kit import COMMAND_LINE, GATEWAY, PAGE, ROOT, command_line_codes, listed, rows

# Codes that are put together at run time around a word.
MADE_OF = ("R402_AUTH_{}", "IDENTITY_LINK_{}", "DESTRUCTIVE_{}_REMOVAL")


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
