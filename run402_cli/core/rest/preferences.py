"""Prefer and Range headers of a REST request. Pure."""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass
from typing import Literal

from run402_cli.core.rest.errors import RestError
from run402_cli.core.rest.nodes import Window

Returning = Literal["minimal", "representation", "headers-only"]

_KNOWN = {
    "return": {"minimal", "representation", "headers-only"},
    "count": {"exact", "planned", "estimated"},
    "resolution": {"merge-duplicates", "ignore-duplicates"},
    "missing": {"default", "null"},
    "handling": {"strict", "lenient"},
    "tx": {"commit", "rollback"},
}
# What is in Preference-Applied of every kind of request that gives it.
ALWAYS_APPLIED = frozenset({"tx", "handling", "timezone"})
_RANGE = re.compile(r"(?:items=)?([0-9]{1,18})-([0-9]{0,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Preferences:
    """The understood part of `Prefer`. Without `return=` a write answers without a body."""

    returning: Returning = "minimal"
    count: Literal["exact", "planned", "estimated"] | None = None
    resolution: Literal["merge-duplicates", "ignore-duplicates"] | None = None
    missing_default: bool = False
    strict: bool = False
    max_affected: int | None = None
    rollback: bool = False
    timezone: str | None = None
    given: frozenset[str] = frozenset()

    def applied(self, names: Set[str]) -> dict[str, str]:
        """The Preference-Applied header for those of `names` that the client sent."""
        values: dict[str, str | None] = {
            "resolution": self.resolution,
            "missing": "default" if self.missing_default else "null",
            "return": self.returning,
            "count": self.count,
            "tx": "rollback" if self.rollback else "commit",
            "handling": "strict" if self.strict else "lenient",
            "timezone": self.timezone,
            "max-affected": str(self.max_affected) if self.strict else None,
        }
        parts = [
            f"{name}={value}"
            for name, value in values.items()
            if value is not None and name in names and name in self.given
        ]
        return {"Preference-Applied": ", ".join(parts)} if parts else {}


def parse_prefer(headers: list[str], timezones: frozenset[str] = frozenset()) -> Preferences:
    """Read every Prefer header; the first of two equal names counts. PGRST122 for an unknown one under `handling=strict`.

    `timezones` are the names that PostgreSQL knows, for a request that names one.
    """
    values: dict[str, str] = {}
    unknown = []
    for token in (part.strip() for header in headers for part in header.split(",")):
        name, _, value = token.partition("=")
        if not token or name in values:
            continue
        number = name == "max-affected" and re.fullmatch("[0-9]{1,18}", value)
        if value in _KNOWN.get(name, ()) or number or (name == "timezone" and value in timezones):
            values[name] = value
        else:
            unknown.append(token)
    if unknown and values.get("handling") == "strict":
        raise RestError(
            400,
            "PGRST122",
            "Invalid preferences given with handling=strict",
            details=f"Invalid preferences: {', '.join(unknown)[:300]}",
            hint="Leave these preferences out, or leave out handling=strict.",
        )
    return Preferences(
        returning=values.get("return", "minimal"),  # type: ignore[arg-type]
        count=values.get("count"),  # type: ignore[arg-type]
        resolution=values.get("resolution"),  # type: ignore[arg-type]
        missing_default=values.get("missing") == "default",
        strict=values.get("handling") == "strict",
        max_affected=int(values["max-affected"]) if "max-affected" in values else None,
        rollback=values.get("tx") == "rollback",
        timezone=values.get("timezone"),
        given=frozenset(values),
    )


def parse_range(header: str | None, window: Window) -> Window:
    """Cut `window` (limit and offset) down to the Range header, `0-9` or `10-`; other forms are ignored as in HTTP."""
    match = _RANGE.fullmatch(header.strip()) if header else None
    if not match:
        return window
    low, high = int(match[1]), int(match[2]) if match[2] else None
    if high is not None and low > high:
        raise RestError(
            416,
            "PGRST103",
            "Requested range not satisfiable",
            details="The lower boundary must be lower than or equal to the upper boundary in the Range header.",
        )
    offset = max(low, window.offset)
    ends = [
        end for end in (high, window.offset + window.limit - 1 if window.limit is not None else None) if end is not None
    ]
    return Window(offset, max(min(ends) - offset + 1, 0) if ends else None)


def content_range(offset: int, rows: int, total: int | None) -> str:
    """`0-9/20`, `*/0`, `0-9/*`."""
    where = f"{offset}-{offset + rows - 1}" if rows > 0 and total != 0 else "*"
    return f"{where}/{'*' if total is None else total}"
