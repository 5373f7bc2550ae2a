"""Points in time, as the API takes them in queries and bodies."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, overload

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)")
_EPOCH = re.compile(r"[1-9][0-9]{0,11}")


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


def date_time(value: Any) -> datetime | None:
    """An ISO-8601 date or date-time; without a zone it is UTC. None for anything else."""
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def epoch(texts: Sequence[str]) -> int | None:
    """The seconds of a signed URL's `expires`: there once, in the one spelling that was signed. None for anything else."""
    return int(texts[0]) if len(texts) == 1 and _EPOCH.fullmatch(texts[0]) else None


@overload
def iso(moment: datetime) -> str: ...


@overload
def iso(moment: None) -> None: ...


@overload
def iso(moment: datetime | None) -> str | None: ...


def iso(moment: datetime | None) -> str | None:
    """ISO-8601 UTC with milliseconds and Z, the API's time format."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
