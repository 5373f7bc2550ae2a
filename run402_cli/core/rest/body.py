"""Request bodies: bounded reading, and JSON, form or CSV turned into one JSON text that PostgreSQL reads.

Functions take more: the fields of a form one by one, and a raw body as their one parameter.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request

from run402_cli.core.rest.errors import RestError
from run402_cli.core.web import json_text

MAX_BODY_BYTES = 16 * 1024 * 1024
# PostgreSQL's own: no table has more.
_MAX_COLUMNS = 1600
_CSV_BATCH = 1000
_JSON, _FORM, _CSV = "application/json", "application/x-www-form-urlencoded", "text/csv"
# The type of the one unnamed parameter that gets a raw body of this media type.
_RAW = {"text/plain": "text", "text/xml": "xml", "application/octet-stream": "bytea"}


@dataclass(frozen=True, slots=True)
class Payload:
    """`text` is what PostgreSQL gets, untouched for JSON so that long numbers stay exact; the rest is what stands in it.

    `keys` are those of all rows that are objects, in their order, to be looked up; `uneven` when a row has others than the
    first one; `first` is the first row, or what is no array.

    For functions: `whole` are the types of an unnamed parameter that gets all of it, `raw` that body when it is no JSON, and
    `fields` what a form said, in order.
    """

    text: str
    is_array: bool
    rows: int
    keys: dict[str, None] = field(default_factory=dict)
    objects: bool = True
    uneven: bool = False
    first: Any = None
    whole: tuple[str, ...] = ()
    raw: str | bytes | None = None
    fields: tuple[tuple[str, str], ...] | None = None


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


def parse_body(raw: bytes, content_type: str, *, function: bool = False) -> Payload:
    """Any JSON value; a form is one object, CSV an array of objects; a body that says no type is JSON.

    For a function an empty body is `{}`, and text, XML and bytes are taken as they are. 400 PGRST102 for another type, for
    what is not of its type, and for an empty body of a write. 413 PGRST102 for one with too many values.
    """
    media = content_type.split(";")[0].strip().lower() or _JSON
    if function and media in _RAW:
        return _raw(raw, _RAW[media])
    if media not in (_JSON, _FORM, _CSV):
        taken = ", ".join([_JSON, _CSV, _FORM, *(_RAW if function else ())])
        raise _invalid(f"Content-Type not acceptable: {media[:100]}", f"Send one of {taken}.")
    text = _text(raw, "utf-8-sig")
    if media == _FORM:
        return _form(text, function=function)
    if not text.strip():
        if not function:
            raise _invalid("The request body is empty.", "Send a JSON object, or an array of objects.")
        text = "{}" if media == _JSON else ""
    if media == _CSV:
        return _csv(text)
    try:
        value = json_text.loads(text)
    except json_text.TooManyValues as exc:
        raise _too_many(exc.most) from exc
    except ValueError as exc:
        raise _invalid(f"The request body is not valid JSON: {exc}") from exc
    return replace(_seen(text, value), whole=("json", "jsonb"))


def _text(raw: bytes, encoding: str) -> str:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as exc:
        raise _invalid("The request body is not valid UTF-8.") from exc


def _raw(body: bytes, kind: str) -> Payload:
    """A body that is one value; a byte order mark belongs to it."""
    return Payload(
        "null", False, 0, objects=False, whole=(kind,), raw=body if kind == "bytea" else _text(body, "utf-8")
    )


def require_rows(payload: Payload) -> None:
    """400 PGRST102 unless the body is an object or an array of objects."""
    if not payload.objects:
        raise _invalid("The request body must be a JSON object or an array of objects.")


def _seen(text: str, value: Any) -> Payload:
    rows = value if isinstance(value, list) else [value]
    first: Any = rows[0] if rows else None
    if set(map(type, rows)) - {dict}:
        return Payload(text, isinstance(value, list), len(rows), objects=False, first=first)
    keys, uneven = dict.fromkeys(first or ()), False
    # Most bodies have the same keys in the same order.
    names = list(keys)
    for row in rows if any(map(names.__ne__, map(list, rows))) else ():
        if row.keys() != first.keys():
            uneven = True
            keys.update(dict.fromkeys(row))
    return Payload(text, isinstance(value, list), len(rows), keys, uneven=uneven, first=first)


def _form(text: str, *, function: bool) -> Payload:
    """One row; an empty form is a call without arguments, and no row."""
    if not text.strip() and not function:
        raise _invalid("The request body is empty.", "Send a JSON object, or an array of objects.")
    if text.count("&") >= _MAX_COLUMNS:
        raise _invalid(
            f"The form has more than {_MAX_COLUMNS} fields, and it is one row.",
            "Send several rows as a JSON array of objects, or as CSV.",
        )
    fields = tuple(parse_qsl(text, keep_blank_values=True))
    return replace(_seen(json.dumps(dict(fields)), dict(fields)), fields=fields)


def _csv(text: str) -> Payload:
    """A table of texts. It is written while it is read, so that no row of it is kept."""
    lines = _csv_lines(text)
    _, header = next(lines, (0, []))
    columns = dict.fromkeys(header)
    if len(columns) > _MAX_COLUMNS:
        raise _invalid(f"The CSV has more than {_MAX_COLUMNS} columns, which no table has.")
    first: dict[str, str | None] | None = None
    parts: list[str] = []
    count = 0
    while batch := list(islice(lines, _CSV_BATCH)):
        rows = [_csv_row(header, *line) for line in batch]
        first = first or rows[0]
        count += len(rows)
        parts.append(json.dumps(rows)[1:-1])
    return Payload(f"[{', '.join(parts)}]", True, count, columns if count else {}, first=first)


def _csv_lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """The lines that are not empty, numbered without the empty ones."""
    number = values = 0
    try:
        for line in csv.reader(io.StringIO(text, newline=""), strict=True):
            values += len(line) or 1
            if values > json_text.MOST_VALUES:
                raise _too_many(json_text.MOST_VALUES)
            if line:
                number += 1
                yield number, line
    except csv.Error as exc:
        raise _invalid(f"The request body is not valid CSV: {exc}") from exc


def _csv_row(header: list[str], number: int, line: list[str]) -> dict[str, str | None]:
    if len(line) != len(header):
        raise _invalid(
            f"All lines must have same number of fields: CSV line {number} has {len(line)}, not {len(header)}."
        )
    return {name: None if value == "NULL" else value for name, value in zip(header, line, strict=True)}


def _too_many(most: int) -> RestError:
    return RestError(
        413,
        "PGRST102",
        f"The request body has more than {most:,} values.",
        hint="Send the rows in several requests.",
    )


def _invalid(message: str, hint: str | None = None) -> RestError:
    return RestError(400, "PGRST102", message, hint=hint)
