"""How rows become the text of an answer, in PostgreSQL, and its bytes."""

from __future__ import annotations

import csv
import functools
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass

from psycopg.sql import SQL, Composable, Identifier

from run402_cli.core.rest.media import Answer, Handler

# record_out doubles every backslash, which CSV does not.
_CSV_LINE = SQL(r"replace(substring((pgrst_x.*)::text, 2, length((pgrst_x.*)::text) - 2), '\\', '\')")
# The keys of the first row.
_CSV_NAMES = SQL(
    "CASE WHEN pg_catalog.row_number() OVER () = 1 THEN (SELECT pg_catalog.json_agg(pgrst_name) "
    "FROM pg_catalog.json_object_keys(pg_catalog.row_to_json(pgrst_x.*)) AS pgrst_name) END"
)


def row_body(answer: Answer, *, single: bool = False, scalar: str | None = None) -> Composable:
    """The expression that turns the rows of `pgrst_x` into the answer's text.

    `single` is for functions that give one value; `scalar` names the only column when bare values are wanted.
    """
    if answer.handler is not None:
        return _made(answer.handler, scalar)
    if answer.format == "csv":
        return SQL(r"json_build_array(json_agg(pgrst_x.*) -> 0, string_agg({}, E'\n'))").format(_CSV_LINE)
    rows = SQL("json_agg({})").format(Identifier("pgrst_x", scalar) if scalar else SQL("pgrst_x.*"))
    if single or answer.format == "object":
        rows = SQL("COALESCE({} -> 0, 'null')").format(rows)
    else:
        rows = SQL("COALESCE({}, '[]')").format(rows)
    return SQL("json_strip_nulls({})").format(rows) if answer.strip_nulls else rows


@dataclass(frozen=True, slots=True)
class Lines:
    """How an answer is made of one line for each row of `pgrst_x`; `columns` are pgrst_line and pgrst_names.

    PostgreSQL has no more in memory than is asked for, where json_agg has all.
    """

    columns: Composable
    # In bytes, and in SQL.
    between: bytes
    separator: Composable
    csv: bool = False

    def whole(self, most: int) -> Composable:
        """The answer's text, of a beginning of so many bytes at most. `pgrst_size` is the length up to a line."""
        lines = SQL("pg_catalog.string_agg(pgrst_line, {}) FILTER (WHERE pgrst_size <= {})").format(
            self.separator, most
        )
        if self.csv:
            return SQL("json_build_array(pg_catalog.max(pgrst_names::pg_catalog.text)::pg_catalog.json, {})").format(
                lines
            )
        return SQL("pg_catalog.concat('[', {}, ']')").format(lines)


@functools.lru_cache(maxsize=64)
def lines_of(answer: Answer, *, single: bool = False, scalar: str | None = None) -> Lines | None:
    """None for an answer that is one value."""
    if answer.handler is not None or answer.format == "object" or (single and answer.format != "csv"):
        return None
    if answer.format == "csv":
        columns = SQL("{} AS pgrst_line, {} AS pgrst_names").format(_CSV_LINE, _CSV_NAMES)
        return Lines(columns, b"\n", SQL(r"E'\n'"), csv=True)
    row = SQL("pg_catalog.to_json({})").format(Identifier("pgrst_x", scalar) if scalar else SQL("pgrst_x.*"))
    row = SQL("pg_catalog.json_strip_nulls({})").format(row) if answer.strip_nulls else row
    columns = SQL("COALESCE(({})::pg_catalog.text, 'null') AS pgrst_line, NULL AS pgrst_names").format(row)
    # As json_strip_nulls and json_agg write them.
    if answer.strip_nulls:
        return Lines(columns, b",", SQL("','"))
    return Lines(columns, b", ", SQL("', '")) if scalar else Lines(columns, b", \n ", SQL(r"E', \n '"))


def _made(handler: Handler, scalar: str | None) -> Composable:
    """The value that the project's own function makes, as text: bytes in hexadecimal."""
    if handler.aggregate is None:
        value = SQL("(array_agg({}))[1]").format(Identifier("pgrst_x", scalar or "pgrst_x"))
    else:
        schema, _ = handler.aggregate
        rows = SQL("pgrst_x")
        row = SQL("CAST({} AS {})").format(rows, Identifier(schema, handler.relation)) if handler.relation else rows
        value = SQL("{}({})").format(Identifier(*handler.aggregate), row)
    if handler.binary:
        return SQL("pg_catalog.encode(CAST({} AS pg_catalog.bytea), 'hex')").format(value)
    return SQL("CAST({} AS pg_catalog.text)").format(value)


def render(body: bytes, answer: Answer) -> bytes:
    """The body's bytes; CSV gets its header line from the keys of the first row."""
    if answer.handler is not None and answer.handler.binary:
        return bytes.fromhex(body.decode())
    if answer.handler is not None or answer.format != "csv":
        return body
    first, lines = json.loads(body)
    if first is None:
        return b""
    return f"{csv_header(first)}{lines}".encode()


def csv_header(names: Iterable[str]) -> str:
    """Each name once, however many columns have it."""
    header = io.StringIO()
    csv.writer(header, lineterminator="\n").writerow(dict.fromkeys(names))
    return header.getvalue()
