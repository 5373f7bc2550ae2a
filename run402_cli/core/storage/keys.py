"""Keys of stored objects: flat names that look like relative paths."""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Final
from urllib.parse import quote, unquote

from run402_cli.core.errors import GatewayError

MAX_KEY: Final = 1024
_ENCODED_SLASH: Final = re.compile(r"%(?:2f|5c)", re.IGNORECASE)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_ALLOWED: Final = re.compile(r"[A-Za-z0-9._/-]+")
_RESERVED: Final = ("_cas", "_staging", "_run402")


def checked_key(value: Any, resource: str = "key") -> str:
    """The key in its one form (percent-decoded, NFC), or 400 invalid_storage_key."""
    problem, key = _normal(value)
    if problem is None and key.endswith("/"):
        problem = "ends with /"
    if problem is not None:
        raise _invalid("invalid_storage_key", f"{value!r} cannot be an asset key: it {problem}.", resource)
    return key


def checked_prefix(value: Any, resource: str = "prefix") -> str:
    """A key prefix, which may end with /; an empty one means every key. 400 invalid_storage_prefix otherwise."""
    if value == "":
        return ""
    problem, prefix = _normal(value)
    if problem is not None:
        raise _invalid("invalid_storage_prefix", f"{value!r} cannot be a key prefix: it {problem}.", resource)
    return prefix


def _normal(value: Any) -> tuple[str | None, str]:
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_KEY:
        return f"must be a text of 1 to {MAX_KEY} characters", ""
    if value.startswith("/"):
        return "starts with /", ""
    if "\\" in value or _ENCODED_SLASH.search(value) or _CONTROL.search(value):
        return "has a backslash, an encoded slash or a control character", ""
    key = unicodedata.normalize("NFC", unquote(value))
    if not _ALLOWED.fullmatch(key):
        return "may have only letters, digits, dot, underscore, hyphen and slash", ""
    segments = key.removesuffix("/").split("/")
    if any(part in ("", ".", "..") for part in segments):
        return "has an empty, . or .. segment", ""
    if segments[0] in _RESERVED:
        return f"lies below the reserved name {segments[0]}", ""
    return None, key


def url_path(key: str) -> str:
    """The key as part of a URL."""
    return quote(key, safe="/")


def _invalid(error: str, message: str, resource: str) -> GatewayError:
    message = f"{message} Use a relative name such as img/logo.png."
    return GatewayError(400, error, message, resource=resource)
