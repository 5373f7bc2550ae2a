"""Points in time, as the API takes them in queries and bodies."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request

from run402_cli.core.errors import GatewayError

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)")


def instant_of(request: Request, name: str) -> datetime | None:
    """A point in time of the query: ISO-8601 with a zone, or milliseconds since 1970. 400 invalid_timestamp."""
    text = request.query_params.get(name)
    if text is None:
        return None
    # An unescaped + arrives as a space.
    found = parse_instant(text.replace(" ", "+"))
    if found is None:
        raise GatewayError(
            400,
            "invalid_timestamp",
            f"{name} is {text!r}. Use ISO-8601 with a zone, such as 2026-01-31T12:00:00Z, or milliseconds since 1970.",
            field=name,
        )
    return found


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
