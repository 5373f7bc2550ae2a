"""The codes that docs/error-codes.md has, and those that the manifest of commands names."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
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
