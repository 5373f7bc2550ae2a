"""Points in time, as the API takes them in queries and bodies."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)")


def parse_instant(value: Any) -> datetime | None:
    """A time as the API takes it, or None. Finer than milliseconds is cut."""
    try:
        if isinstance(value, str) and value.isascii() and value.isdigit():
            return datetime.fromtimestamp(int(value) / 1000, UTC)
        if isinstance(value, str) and INSTANT.fullmatch(value):
            return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None


def iso(moment: datetime | None) -> str | None:
    """ISO-8601 UTC with milliseconds and Z, the API's time format."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
