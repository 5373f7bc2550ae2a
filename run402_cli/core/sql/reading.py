"""SQL that only reads: one statement, READ ONLY, as the schema's owner, for a few seconds and rows. For the console.

A connection of its own, like admin SQL (sql.py), and closed without a commit. See docs/local-gateway.md, "The console".
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from itertools import islice
from typing import Any

from psycopg import AsyncRawCursor, sql
from psycopg.types.string import TextLoader

from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import Gateway
from run402_cli.core.projects.rows import Project
from run402_cli.core.sql.execution import reporting_sql_errors, session_options
from run402_cli.core.sql.guard import StatementTooLong, find_blocked, statements

SECONDS = 5
CELL_CHARS = 301
_READS = frozenset({"select", "with", "table", "values", "explain", "show"})
_PRIMARY_KEY = """
SELECT a.attname FROM pg_index i
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
WHERE i.indrelid = to_regclass(format('%%I.%%I', %s::text, %s::text)) AND i.indisprimary
ORDER BY array_position(i.indkey::int2[], a.attnum)
"""


@dataclass(frozen=True, slots=True)
class Read:
    """Column names, values as PostgreSQL writes them, and whether rows were left out."""

    names: list[str]
    rows: list[tuple[str | None, ...]]
    more: bool


async def read(gateway: Gateway, project: Project, text: str, *, limit: int) -> Read:
    """Run one statement that reads; at most `limit` rows. 400 invalid_request, sql_error; 403 sql_forbidden."""
    await gateway.aside.run(project.project_id, len(text), functools.partial(_check, text))
    return await _read(gateway, project, text, limit)


async def rows_of(
    gateway: Gateway, project: Project, name: str, columns: list[str], *, limit: int, offset: int
) -> Read:
    """Rows of a table that is there, in the order of its primary key, each value cut off after CELL_CHARS characters."""
    async with gateway.connection() as conn:
        cursor = await conn.execute(_PRIMARY_KEY, (project.schema_slot, name))
        key = [sql.Identifier("t", row[0]) for row in await cursor.fetchall()]
    shown = sql.SQL(", ").join(
        sql.SQL("pg_catalog.left({}::pg_catalog.text, {}) AS {}").format(
            sql.Identifier("t", column), CELL_CHARS, sql.Identifier(column)
        )
        for column in columns
    )
    query = sql.SQL("SELECT {} FROM {} AS t{} LIMIT {} OFFSET {}").format(
        shown,
        sql.Identifier(project.schema_slot, name),
        sql.SQL(" ORDER BY {}").format(sql.SQL(", ").join(key)) if key else sql.SQL(""),
        limit + 1,
        offset,
    )
    return await _read(gateway, project, query.as_string(), limit)


def _check(text: str) -> None:
    if "\x00" in text:
        raise GatewayError(
            400, "invalid_request", "The SQL contains a NUL character, which PostgreSQL refuses.", code=None
        )
    try:
        found = list(islice(statements(text), 2))
    except StatementTooLong as exc:
        raise GatewayError(400, "invalid_request", f"{exc} Write a shorter one.", code=None) from exc
    if len(found) != 1:
        raise GatewayError(400, "invalid_request", "Write one statement.", code=None)
    first = next((token.text for token in found[0] if token.text != "("), "")
    if first not in _READS:
        raise GatewayError(
            403,
            "sql_forbidden",
            f"Only a statement that reads may begin here: {', '.join(sorted(_READS)).upper()}. "
            "To change something: run402 projects sql",
            code=None,
        )
    blocked = find_blocked(text)
    if blocked is not None:
        raise GatewayError(403, "sql_forbidden", f"{blocked.statement} is not allowed. {blocked.hint}", code=None)


async def _read(gateway: Gateway, project: Project, text: str, limit: int) -> Read:
    options = session_options(
        project, default_transaction_read_only="on", statement_timeout=f"{SECONDS}s", synchronize_seqscans="off"
    )
    # Nothing to keep: what the statement began ends with its connection.
    role = project.roles
    async with gateway.owner_connection(role, name="run402-console", options=options, seconds=2 * SECONDS) as conn:
        await conn.execute("BEGIN")
        with reporting_sql_errors(conn, project, text):
            return await _rows(conn, text, limit)


async def _rows(conn: Connection, text: str, limit: int) -> Read:
    cursor: AsyncRawCursor[tuple[Any, ...]] = AsyncRawCursor(conn)
    for known in conn.adapters.types:
        # As PostgreSQL writes it: dates beyond the year 9999 and the like have no Python value.
        for oid in (known.oid, known.array_oid):
            cursor.adapters.register_loader(oid, TextLoader)
    rows: list[tuple[str | None, ...]] = []
    names: list[str] = []
    # One row at a time, and by the extended protocol, which takes a single statement.
    async for row in cursor.stream(text.encode()):
        names = names or [column.name for column in cursor.description or ()]
        if len(rows) == limit:
            return Read(names, rows, more=True)
        rows.append(row)
    return Read(names or [column.name for column in cursor.description or ()], rows, more=False)
