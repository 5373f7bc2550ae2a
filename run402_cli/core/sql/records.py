"""Rows of CSV or NDJSON, cut out of a body as it comes, as COPY's CSV takes them. Pure.

A record knows the line of the body that it begins in, so that a refusal can name it. See docs/projects.md, "Loading rows".
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from run402_cli.core.sql.load_rows import Column
from run402_cli.core.sql.values import Digits, encode_parameter, text_json
from run402_cli.core.web import json_text

# One record: an opening quote without an end would take all the rest.
MOST_BYTES: Final = 16 * 1024 * 1024
_MARK: Final = b"\xef\xbb\xbf"


class BadRecord(ValueError):
    """What cannot be a row, and its line."""

    def __init__(self, line: int, why: str, record: bytes = b"") -> None:
        super().__init__(why)
        self.line, self.record = line, record


@dataclass(slots=True)
class Batch:
    """Records with the same columns, without their line ends, and the line in which each begins."""

    columns: tuple[str, ...]
    records: list[bytes] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)

    def add(self, record: bytes, line: int) -> None:
        self.records.append(record)
        self.lines.append(line)

    def text(self, start: int, end: int) -> bytes:
        return b"\n".join([*self.records[start:end], b""])


class Reader(Protocol):
    """Takes the body in pieces; `final` with the last one."""

    def feed(self, data: bytes, *, final: bool = False) -> list[Batch | BadRecord]: ...


class _Lines:
    """The lines of a body, numbered from 1, without their ends and the mark in front."""

    def __init__(self) -> None:
        self._rest = b""
        self.number = 0

    def of(self, data: bytes, *, final: bool) -> Iterator[bytes]:
        *lines, rest = (self._rest + data).split(b"\n")
        if final:
            lines, rest = ([*lines, rest] if rest else lines), b""
        self._rest = rest
        if len(rest) > MOST_BYTES:
            raise _too_long(self.number + 1)
        for line in lines:
            self.number += 1
            yield line.removeprefix(_MARK) if self.number == 1 else line


class CsvReader:
    """RFC 4180 with a header line that names the columns. A line break inside quotes belongs to the value.

    COPY does the reading proper; here a record ends where the number of quotes is even, which is what it goes by, too.
    """

    def __init__(self) -> None:
        self._lines = _Lines()
        self._open: list[bytes] = []
        self._size = self._first = 0
        self._columns: tuple[str, ...] = ()

    def feed(self, data: bytes, *, final: bool = False) -> list[Batch | BadRecord]:
        known, batch = self._columns, Batch(self._columns)
        for record, line in self._records(data, final=final):
            if not self._columns:
                self._columns = _header(record, line)
                batch = Batch(self._columns)
            elif record or len(self._columns) == 1:
                # Alone on a line it would end the data.
                batch.add(b'"\\."' if record == b"\\." else record, line)
        if final and self._open:
            raise BadRecord(self._first, "a quote is opened and not closed", self._open[0])
        # A header counts without rows, too: its columns are checked.
        return [batch] if batch.records or self._columns != known else []

    def _records(self, data: bytes, *, final: bool) -> Iterator[tuple[bytes, int]]:
        for line in self._lines.of(data, final=final):
            if self._open or line.count(b'"') % 2:
                ends = bool(self._open) and line.count(b'"') % 2 == 1
                self._first = self._first if self._open else self._lines.number
                self._open.append(line)
                self._size += len(line)
                if self._size > MOST_BYTES:
                    raise _too_long(self._first)
                if ends:
                    record, self._open, self._size = b"\n".join(self._open), [], 0
                    yield record.removesuffix(b"\r"), self._first
            else:
                yield line.removesuffix(b"\r"), self._lines.number


class NdjsonReader:
    """An object a line; its keys name the columns, and a column that is no key gets its default.

    `marker` is what stands for a default in the records, where COPY knows such a thing; without it objects with the same keys
    that follow each other are a batch.
    """

    def __init__(self, columns: Mapping[str, Column], marker: str | None) -> None:
        self._lines = _Lines()
        self._columns = columns
        self._marker = marker

    def feed(self, data: bytes, *, final: bool = False) -> list[Batch | BadRecord]:
        found: list[Batch | BadRecord] = []
        objects: list[tuple[int, dict[str, str]]] = []
        for line in self._lines.of(data, final=final):
            if not line.strip():
                continue
            try:
                objects.append((self._lines.number, self._cells(line)))
            except ValueError as exc:
                found.append(BadRecord(self._lines.number, str(exc), line))
        return [*found, *self._batches(objects)]

    def _batches(self, objects: Sequence[tuple[int, dict[str, str]]]) -> Iterator[Batch]:
        batch: Batch | None = None
        if self._marker is not None and objects:
            used = set[str]().union(*(cells for _line, cells in objects))
            batch = Batch(tuple(name for name in self._columns if name in used))
        for line, cells in objects:
            if self._marker is None:
                columns = tuple(name for name in self._columns if name in cells)
                if batch is None or batch.columns != columns:
                    if batch is not None:
                        yield batch
                    batch = Batch(columns)
            assert batch is not None
            batch.add(",".join([cells.get(name, self._left_out(name)) for name in batch.columns]).encode(), line)
        if batch is not None:
            yield batch

    def _left_out(self, name: str) -> str:
        return self._marker or "" if self._columns[name].has_default else ""

    def _cells(self, line: bytes) -> dict[str, str]:
        try:
            value = json_text.loads(line.decode(), fraction=Digits)
        except UnicodeDecodeError as exc:
            raise ValueError(f"it is not UTF-8 (byte {exc.start} of the line)") from None
        except ValueError as exc:
            raise ValueError(f"it is not JSON: {exc}") from None
        if not isinstance(value, dict) or not value:
            raise ValueError("it is no object with the columns as keys")
        unknown = [name for name in value if name not in self._columns]
        if unknown:
            raise ValueError(f"the table has no column {unknown[0]!r}. Its columns: {', '.join(self._columns)}")
        try:
            return {name: _quoted(self._text(name, item)) for name, item in value.items()}
        except RecursionError:
            raise ValueError("it is nested too deeply") from None

    def _text(self, name: str, item: Any) -> str | None:
        column = self._columns[name]
        if column.is_json and isinstance(item, str) and not isinstance(item, Digits):
            return text_json(item)
        return encode_parameter(item, as_json=isinstance(item, list) and not column.is_array)


def _quoted(cell: str | None) -> str:
    # Without quotes an empty cell is NULL, with them an empty text.
    return "" if cell is None else '"' + cell.replace('"', '""') + '"'


def _header(record: bytes, line: int) -> tuple[str, ...]:
    try:
        names = next(csv.reader([record.decode()]), [])
    except UnicodeDecodeError as exc:
        raise BadRecord(line, f"the header is not UTF-8 (byte {exc.start})", record) from None
    except csv.Error as exc:
        raise BadRecord(line, f"the header is no CSV: {exc}", record) from None
    stripped = tuple(name.strip() for name in names)
    if not stripped or not all(stripped):
        raise BadRecord(line, "the first line has to name the columns, and a name is empty", record)
    return stripped


def _too_long(line: int) -> BadRecord:
    return BadRecord(line, f"a record has more than {MOST_BYTES // 1024 // 1024} MiB; a quote may not be closed")
