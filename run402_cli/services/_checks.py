"""Values that the service layer refuses before any request: ValidationError LOCAL_ERROR."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from run402_cli.errors import ValidationError

_EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_EMAIL_LENGTH = 320


def email_address(field: str, value: str) -> str:
    """The value when it can be an e-mail address: at most 320 characters, one @, a dot after it."""
    if len(value) > _EMAIL_LENGTH or not _EMAIL.fullmatch(value):
        raise refused(field, f"{value[:80]!r} is not an e-mail address. Write it like ada@example.com.")
    return value


def http_url(field: str, value: str) -> str:
    """The value when it is an absolute http or https URL."""
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable:
        raise refused(field, f"{value[:200]!r} is not an absolute URL. Write it like https://app.example.com/welcome.")
    return value


def listed(field: str, value: str, allowed: Sequence[str]) -> str:
    """The value when it is one of `allowed`."""
    if value not in allowed:
        raise refused(field, f"{value!r} is not one of {', '.join(allowed)}.")
    return value


def refused(field: str, message: str) -> ValidationError:
    return ValidationError(message, details={"field": field})
