"""What the process of a function may send, checked before any of it is used: the function can write to its socket, too.

`runner.mjs` makes the frames. Two 32-bit lengths, a JSON head, a raw body.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

LENGTHS: Final = struct.Struct(">II")
MAX_HEAD: Final = 1024**2
MAX_BODY: Final = 16 * 1024**2
MAX_HEADERS, MAX_HEADER_BYTES = 256, 128 * 1024
# What a function prints in one call, with its frames; the runner counts 64 Ki characters of text.
MAX_LOG_BYTES: Final = 8 * 1024**2

Cause = Literal["thrown", "import", "uncaught", "exited", "memory", "timeout", "too_large", "start", "invalid"]
_TOLD: Final[Mapping[str, Cause]] = {
    "thrown": "thrown",
    "import": "import",
    "uncaught": "uncaught",
    "too_large": "too_large",
}
# As HTTP has them, RFC 9110: a token, and visible characters with spaces and tabs between them.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_LENGTH = re.compile(r"[0-9]{1,15}")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class CallFailed(Exception):
    """The function gave no response. `message` and `stack` are for its owner, not for its callers."""

    def __init__(self, cause: Cause, message: str, stack: str | None = None) -> None:
        super().__init__(message)
        self.cause, self.message, self.stack = cause, message, stack


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: list[tuple[str, str]]
    body: bytes


def invalid(what: str) -> CallFailed:
    return CallFailed("invalid", f"the function's process sent {what}")


def sizes(raw: bytes) -> tuple[int, int]:
    """The lengths of head and body that a frame begins with."""
    head, body = LENGTHS.unpack(raw)
    if head > MAX_HEAD or body > MAX_BODY:
        raise invalid(f"a frame of {head} and {body} bytes, which is more than {MAX_HEAD} and {MAX_BODY}")
    return head, body


def head_of(raw: bytes) -> dict[str, Any]:
    try:
        head = json.loads(raw)
    except (ValueError, RecursionError):
        raise invalid("a frame whose head is not JSON") from None
    if not isinstance(head, dict) or not isinstance(head.get("type"), str):
        raise invalid("a frame whose head is no object with a type")
    return head


def _text(head: Mapping[str, Any], key: str) -> str:
    """A text, with what cannot be stored replaced: NUL, and halves of surrogate pairs."""
    value = head.get(key)
    if not isinstance(value, str):
        raise invalid(f"a frame of type {head['type'][:40]!a} whose {key} is not text")
    return _UNSTORABLE.sub("\ufffd", value)


def printed(head: Mapping[str, Any]) -> tuple[str, str]:
    """Stream and text of a log frame."""
    stream = _text(head, "stream")
    if stream not in ("stdout", "stderr"):
        raise invalid("a log frame of a stream that is neither stdout nor stderr")
    return stream, _text(head, "text")


def failure(head: Mapping[str, Any]) -> CallFailed:
    """What an error frame says."""
    cause = _TOLD.get(_text(head, "code"))
    if cause is None:
        raise invalid("an error frame with an unknown code")
    stack = _text(head, "stack") if head.get("stack") is not None else None
    return CallFailed(cause, f"{_text(head, 'name')}: {_text(head, 'message')}", stack)


def response(head: Mapping[str, Any], body: bytes) -> Reply:
    """What a response frame says, fit for HTTP."""
    status, given = head.get("status"), head.get("headers")
    if not isinstance(status, int) or isinstance(status, bool) or not 200 <= status <= 599:
        raise invalid(f"the status {str(status)[:40]!a}; use 200 to 599")
    if not isinstance(given, list) or len(given) > MAX_HEADERS:
        raise invalid(f"headers that are no list of at most {MAX_HEADERS}")
    headers = [_header(entry) for entry in given]
    if sum(len(name) + len(value) for name, value in headers) > MAX_HEADER_BYTES:
        raise invalid(f"headers of more than {MAX_HEADER_BYTES} bytes")
    return Reply(status, headers, body)


def _header(entry: Any) -> tuple[str, str]:
    if not isinstance(entry, list) or len(entry) != 2 or not all(isinstance(part, str) for part in entry):
        raise invalid("a header that is no pair of texts")
    name, value = entry
    if not _NAME.fullmatch(name):
        raise invalid(f"a header of the name {name[:40]!a}")
    if not _VALUE.fullmatch(value) or (name.lower() == "content-length" and not _LENGTH.fullmatch(value)):
        raise invalid(f"the header {name[:40]} with a value that HTTP does not have")
    return name, value.strip(" \t")
