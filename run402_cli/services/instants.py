"""Points in time and durations as people type them. See docs/functions.md, "Times"."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from run402_cli.state.files import iso_of

_INSTANT = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})", re.ASCII)
_MILLISECONDS = re.compile(r"\d+", re.ASCII)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)", re.ASCII | re.IGNORECASE)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNIT_SECONDS = {
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 0.001),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
}
_MAX_SECONDS = 10**10


def epoch_ms(text: str) -> int | None:
    """Milliseconds since 1970 of an ISO date-time with a zone, or of digits that say just that. None otherwise."""
    if _MILLISECONDS.fullmatch(text):
        value = int(text)
        return value if iso(value) is not None else None
    match = _INSTANT.fullmatch(text)
    if match is None:
        return None
    try:
        moment = datetime.fromisoformat(match[1] + match[3].replace("Z", "+00:00"))
    except ValueError:
        return None
    return _since_epoch(moment) + int((match[2] or "0").ljust(3, "0")[:3])


def iso(milliseconds: int) -> str | None:
    """YYYY-MM-DDTHH:MM:SS.mmmZ, or None outside the years 1 to 9999."""
    try:
        return iso_of(_EPOCH + timedelta(milliseconds=milliseconds))
    except OverflowError:
        return None


def typed(text: str, *, ahead: bool = False) -> str | None:
    """A point in time as people type it, as ISO text: a date-time with a zone (kept), milliseconds, or a span from now.

    A span (15m, 1h, 2d) counts back, or forward when `ahead`. None when it is none of these.
    """
    if _INSTANT.fullmatch(text):
        return text if epoch_ms(text) is not None else None
    if _MILLISECONDS.fullmatch(text):
        return iso(int(text))
    seconds = duration_seconds(text)
    if seconds is None:
        return None
    return iso(_since_epoch(datetime.now(UTC)) + (1000 if ahead else -1000) * seconds)


def any_date_ms(text: str) -> int | None:
    """Milliseconds since 1970 of an ISO date or date-time, or of an RFC 2822 date. None when it is neither.

    A date alone is midnight UTC; a date-time without a zone is local time.
    """
    moment = _from_iso(text.strip()) or _from_mail(text)
    if moment is None:
        return None
    try:
        return _since_epoch(moment if moment.tzinfo else moment.astimezone())
    except (OverflowError, ValueError, OSError):
        return None


def _from_iso(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if len(text) <= len("2026-03-15") else moment


def _from_mail(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None


def _since_epoch(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def duration_seconds(text: str) -> int | None:
    """Whole seconds, rounded up, of `<number> <unit>` with a unit from ms to days. None when it is no duration."""
    match = _DURATION.fullmatch(text.strip())
    unit = _UNIT_SECONDS.get(match[2].lower()) if match else None
    if match is None or unit is None or len(match[1]) > len(str(_MAX_SECONDS)) + 10:
        return None
    seconds = math.ceil(float(match[1]) * unit)
    return seconds if seconds <= _MAX_SECONDS else None
