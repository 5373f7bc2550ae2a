"""Request bodies: bounded reading, and JSON, form or CSV turned into one JSON text that PostgreSQL reads."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request

from run402_cli.core.rest.errors import RestError

MAX_BODY_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Payload:
    """`text` is what PostgreSQL gets, untouched for JSON so that long numbers stay exact; `value` is only looked at."""

    text: str
    value: Any

    @property
    def rows(self) -> list[dict[str, Any]]:
        return self.value if isinstance(self.value, list) else [self.value]

    @property
    def is_array(self) -> bool:
        return isinstance(self.value, list)


async def read_body(request: Request) -> bytes:
    """At most 16 MiB; 413 beyond, without reading the rest."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise RestError(
                413,
                "PGRST102",
                f"The request body is larger than {MAX_BODY_BYTES // 1024**2} MiB.",
                hint="Send the rows in several requests.",
            )
        chunks.append(chunk)
    return b"".join(chunks)


def parse_body(raw: bytes, content_type: str, *, default: str | None = None) -> Payload:
    """Any JSON value; a form is one object, CSV an array of objects. Other types are read as JSON.

    An empty body is `default`, or 400 PGRST102 without one.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise _invalid("The request body is not valid UTF-8.") from exc
    if not text.strip():
        if default is None:
            raise _invalid("The request body is empty.", "Send a JSON object, or an array of objects.")
        text = default
    media = content_type.split(";")[0].strip().lower()
    if media == "application/x-www-form-urlencoded":
        return _of(dict(parse_qsl(text, keep_blank_values=True)))
    if media == "text/csv":
        return _of(_csv_rows(text))
    try:
        return Payload(text, json.loads(text, parse_constant=_no_constant))
    except (ValueError, RecursionError) as exc:
        reason = "it is nested too deeply" if isinstance(exc, RecursionError) else str(exc)
        raise _invalid(f"The request body is not valid JSON: {reason}") from exc


def require_rows(payload: Payload) -> None:
    """400 PGRST102 unless the body is an object or an array of objects."""
    if not all(isinstance(row, dict) for row in payload.rows):
        raise _invalid("The request body must be a JSON object or an array of objects.")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _of(value: Any) -> Payload:
    return Payload(json.dumps(value), value)


def _csv_rows(text: str) -> list[dict[str, str | None]]:
    try:
        lines = [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
    except csv.Error as exc:
        raise _invalid(f"The request body is not valid CSV: {exc}") from exc
    if not lines:
        return []
    header, *rows = lines
    for number, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise _invalid(
                f"All lines must have same number of fields: CSV line {number} has {len(row)}, not {len(header)}."
            )
    return [{name: None if value == "NULL" else value for name, value in zip(header, row, strict=True)} for row in rows]


def _invalid(message: str, hint: str | None = None) -> RestError:
    return RestError(400, "PGRST102", message, hint=hint)
