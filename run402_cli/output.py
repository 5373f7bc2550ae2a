"""The one writer of stdout and stderr: JSON results, NDJSON events, the error envelope, plain notices."""

from __future__ import annotations

import json
import sys
from typing import Any, TextIO


def emit(value: Any, *, compact: bool = False) -> None:
    """Print the command's result on stdout: one JSON document, two-space indent unless `compact`."""
    _write(sys.stdout, dumps(value, compact=compact))


def emit_line(value: Any) -> None:
    """Print one NDJSON line on stdout (streaming commands) and flush it."""
    _write(sys.stdout, dumps(value, compact=True))


def emit_text(text: str) -> None:
    """Print help or another plain text on stdout."""
    _write(sys.stdout, text.rstrip("\n"))


def event(value: Any) -> None:
    """Print one event line on stderr."""
    _write(sys.stderr, dumps(value, compact=True))


def notice(text: str) -> None:
    """Print one plain line on stderr: warnings and one-time-secret notes. Never a secret."""
    _write(sys.stderr, text)


def error(envelope: dict[str, Any]) -> None:
    """Print the error envelope: the last JSON line of stderr."""
    _write(sys.stderr, dumps(envelope, compact=True))


def dumps(value: Any, *, compact: bool) -> str:
    """JSON text. Values that JSON has no form for (infinite floats, lone surrogates) become null or escapes."""
    style: dict[str, Any] = {"separators": (",", ":")} if compact else {"indent": 2}
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, **style)
        text.encode()
        return text
    except UnicodeEncodeError:
        return json.dumps(value, ensure_ascii=True, **style)
    except ValueError:
        return json.dumps(_finite(value), ensure_ascii=True, **style)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _write(stream: TextIO, text: str) -> None:
    # Bytes, so that a C locale or Windows code page cannot refuse or change a character.
    binary = getattr(stream, "buffer", None)
    if binary is None:
        stream.write(text + "\n")
    else:
        stream.flush()
        binary.write(text.encode("utf-8", "backslashreplace") + b"\n")
    stream.flush()
