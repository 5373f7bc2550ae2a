"""Text without secrets: what a function prints is held to this before it is kept or shown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

REDACTED = "[redacted]"
_COOKIE = re.compile(r"\b((?:set-)?cookie)(\"?\s*[:=]\s*\"?)[^\r\n\"]+", re.IGNORECASE)
_NAMED = re.compile(
    r"\b(authorization|x-api-key|api-?key|x-run402-payment|x-402-payment|payment|service_key|token|secret)"
    r"(\"?\s*[:=]\s*\"?)(?!\[redacted\])(?:(?:Basic|Bearer|Digest)\s+)?[^\s\",;}]+",
    re.IGNORECASE,
)
_BEARER = re.compile(r"(Bearer\s+)[A-Za-z0-9._~+/=-]{4,}", re.IGNORECASE)
# A stack trace names the package; everything else that begins like a key may be one.
# One way to read a word: with several, the time that it takes doubles with each letter.
_TOKEN = re.compile(
    r"\b(?!run402_cli\b)(?:sk|pk|rk|r402|run402|secret|token|api_key)[:=_-][A-Za-z0-9._-]+(?:[:=][A-Za-z0-9._-]+)*\b",
    re.IGNORECASE,
)


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` without secrets: known values, credentials after a telling name, and words that look like keys."""
    text = redact_values(text, secrets)
    for pattern in (_COOKIE, _NAMED):
        text = pattern.sub(rf"\1\2{REDACTED}", text)
    text = _BEARER.sub(rf"\1{REDACTED}", text)
    return _TOKEN.sub(lambda found: REDACTED if len(found[0]) >= 8 and _keyish(found[0]) else found[0], text)


def redact_values(text: str, secrets: Iterable[str]) -> str:
    for value in secrets:
        text = text.replace(value, REDACTED)
        # A value with quotes or line breaks looks different inside JSON.
        escaped = json.dumps(value)[1:-1]
        if escaped != value:
            text = text.replace(escaped, REDACTED)
    return text


def without_cut_value(text: str, secrets: Iterable[str]) -> str:
    """`text`, which was cut off at its end, without the first part of a secret that the cut went through."""
    for value in secrets:
        for form in (value, json.dumps(value)[1:-1]):
            for length in range(min(len(form) - 1, len(text)), 3, -1):
                if text.endswith(form[:length]):
                    return text[:-length] + REDACTED
    return text


def _keyish(word: str) -> bool:
    # "secret-santa" is a word; keys have digits.
    return any(char.isdigit() for char in word)


def redactable(values: Iterable[str]) -> tuple[str, ...]:
    """The values worth looking for, longest first so that no part of one is left over."""
    return tuple(sorted({value for value in values if len(value) >= 4}, key=len, reverse=True))
