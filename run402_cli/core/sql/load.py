"""Rows of a body into a table by COPY, all or none, as the owner of the project's schema. See docs/projects.md.

The rows go in batches, each a COPY of its own in one transaction. Where one is refused it is halved until the record is found,
which works for whatever refuses it: a type, a constraint, a foreign key, a trigger. The good ones before it stay, so that
what comes after is judged as it would be; at the end all of it is undone.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import re
import secrets
from collections.abc import AsyncIterator
from typing import Any, Final

import psycopg
from psycopg import sql

from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import ROWS_SECONDS, Gateway
from run402_cli.core.projects.rows import Project
from run402_cli.core.sql import load_rows, records
from run402_cli.core.sql.execution import DISCONNECTED, reporting_sql_errors, session_options
from run402_cli.core.sql.records import BadRecord, Batch
from run402_cli.core.web.instants import iso

MOST_BYTES: Final = 1 << 30
MOST_REJECTS: Final = 20
# How long the next bytes of the body may take.
IDLE_SECONDS: Final = 60
_PIECE: Final = 256 * 1024
_SHOWN: Final = 100
# What refuses one row: its data, a constraint, a trigger. Everything else refuses the whole.
_OF_A_ROW: Final = ("22", "23", "P0")


class Loader:
    """The transaction of one load."""

    def __init__(self, conn: Connection, project: Project, table: str, marker: str | None) -> None:
        self._conn = conn
        self._project = project
        self._table = table
        # The text of a cell that stands for the column's default, or None.
        self._marker = marker
        self.rows = 0
        self.columns: tuple[str, ...] = ()
        self.rejects: list[dict[str, Any]] = []

    @property
    def full(self) -> bool:
        return len(self.rejects) >= MOST_REJECTS

    async def add(self, batch: Batch | BadRecord) -> None:
        if isinstance(batch, BadRecord):
            self._reject(batch.line, str(batch), batch.record)
            return
        self.columns = self.columns or batch.columns
        with reporting_sql_errors(self._conn, self._project, ""):
            await self._copy(batch, 0, len(batch.records))

    async def _copy(self, batch: Batch, start: int, end: int) -> None:
        if self.full or start >= end:
            return
        error = await self._try(batch, start, end)
        if error is None:
            self.rows += end - start
            return
        if error.sqlstate is None or error.sqlstate[:2] not in _OF_A_ROW:
            raise error
        if end - start == 1:
            self._refuse(batch, start, error)
            return
        named = _record_of(error, batch, start, end, self._table)
        # That one alone, so that it is known to be the one.
        parts = ((start, (start + end) // 2), ((start + end) // 2, end))
        for part in parts if named is None else ((start, named), (named, named + 1), (named + 1, end)):
            await self._copy(batch, *part)

    async def _try(self, batch: Batch, start: int, end: int) -> psycopg.Error | None:
        default = sql.SQL("") if self._marker is None else sql.SQL(", DEFAULT {}").format(sql.Literal(self._marker))
        statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv{})").format(
            sql.Identifier(self._project.schema_slot, self._table),
            sql.SQL(", ").join(map(sql.Identifier, batch.columns)),
            default,
        )
        await self._conn.execute("SAVEPOINT run402_load")
        try:
            async with self._conn.cursor() as cursor, cursor.copy(statement) as copy:
                await copy.write(batch.text(start, end))
        except DISCONNECTED:
            raise
        except psycopg.Error as exc:
            if self._conn.closed:
                raise
            await self._conn.execute("ROLLBACK TO SAVEPOINT run402_load; RELEASE SAVEPOINT run402_load")
            return exc
        await self._conn.execute("RELEASE SAVEPOINT run402_load")
        return None

    def _refuse(self, batch: Batch, at: int, error: psycopg.Error) -> None:
        column, value = _column_of(error, self._table)
        self._reject(
            batch.lines[at],
            error.diag.message_primary or str(error),
            batch.records[at] if value is None else value.encode(),
            column=column or error.diag.column_name,
            detail=_cut(error.diag.message_detail),
            sqlstate=error.sqlstate,
        )

    def _reject(self, line: int, message: str, value: bytes, **more: str | None) -> None:
        entry = {"line": line, "message": message, "value": _cut(value.decode("utf-8", "replace")), **more}
        self.rejects.append({name: item for name, item in entry.items() if item is not None})


def _context(error: psycopg.Error, table: str) -> re.Match[str] | None:
    """Where COPY says that it was, in English."""
    pattern = rf'COPY {re.escape(table)}, line (\d+)(?:, column (.+?): (?:"(.*)"|null input)$)?'
    return re.match(pattern, error.diag.context or "", re.DOTALL | re.MULTILINE)


def _record_of(error: psycopg.Error, batch: Batch, start: int, end: int, table: str) -> int | None:
    found = _context(error, table)
    if found is None:
        return None
    line, last = int(found[1]), 0
    for at in range(start, end):
        last += 1 + batch.records[at].count(b"\n")
        if line <= last:
            return at
    return None


def _column_of(error: psycopg.Error, table: str) -> tuple[str | None, str | None]:
    found = _context(error, table)
    return (None, None) if found is None else (found[2], found[3])


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


async def load(
    gateway: Gateway, project: Project, table: str, kind: str, body: AsyncIterator[bytes], *, again: bool
) -> dict[str, Any]:
    """The answer of the route."""
    async with gateway.connection() as conn:
        known = await load_rows.columns(conn, project.schema_slot, table)
    if not known:
        raise GatewayError(
            404,
            "table_not_found",
            f"The project has no table {table}.",
            hint="`run402 projects schema` lists the tables. A migration makes one, or `run402 projects sql <create_table>`.",
        )
    digest, size, pieces = hashlib.sha256(), 0, _pieces(body)
    async with gateway.owner_connection(
        project.roles, name="run402-load", options=session_options(project), seconds=ROWS_SECONDS
    ) as conn:
        await conn.execute("BEGIN")
        # Since PostgreSQL 16.
        marker = secrets.token_hex(16) if kind == "ndjson" and conn.info.server_version >= 160_000 else None
        reader: records.Reader = records.CsvReader() if kind == "csv" else records.NdjsonReader(known, marker)
        loader = Loader(conn, project, table, marker)
        try:
            async for piece, final in pieces:
                size += len(piece)
                digest.update(piece)
                work = functools.partial(reader.feed, piece, final=final)
                for batch in await gateway.aside.run(project.project_id, len(piece), work):
                    _check_columns(batch, known)
                    await loader.add(batch)
                if loader.full:
                    break
        except BadRecord as exc:
            await loader.add(exc)
        if not loader.rejects:
            loaded = {"table": table, "rows": loader.rows, "bytes": size, "sha256": digest.hexdigest()}
            if loader.rows:
                await _note(gateway, conn, project, loaded, again=again)
            with reporting_sql_errors(conn, project, ""):
                await conn.execute("COMMIT")
            return {"status": "ok", **loaded, "columns": list(loader.columns)}
    if not again:
        await _refuse_a_repetition(gateway, project, table, digest, pieces)
    raise _rejected(loader)


async def _refuse_a_repetition(
    gateway: Gateway, project: Project, table: str, digest: hashlib._Hash, rest: AsyncIterator[tuple[bytes, bool]]
) -> None:
    """already_loaded where that is why rows are refused: the table has them, by an earlier call whose answer got lost."""
    try:
        async for piece, _final in rest:
            digest.update(piece)
    except GatewayError:
        return  # It was never read to its end, so it was not loaded.
    async with gateway.connection() as own:
        before = await load_rows.before(own, project.project_id, table, digest.hexdigest())
    if before is not None:
        raise _already_loaded(table, before)


def _check_columns(batch: Batch | BadRecord, known: dict[str, load_rows.Column]) -> None:
    unknown = [] if isinstance(batch, BadRecord) else [name for name in batch.columns if name not in known]
    if unknown:
        names = ", ".join(known)
        raise BadRecord(1, f"the table has no column {unknown[0]!r}, which the header names. Its columns: {names}")


async def _pieces(body: AsyncIterator[bytes]) -> AsyncIterator[tuple[bytes, bool]]:
    """The body in pieces of about _PIECE bytes, and with the last one True. 413 beyond MOST_BYTES, 408 when it stops."""
    waiting, size = bytearray(), 0
    parts = aiter(body)
    while True:
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                part = await anext(parts, None)
        except TimeoutError as exc:
            message = f"No more of the body came for {IDLE_SECONDS} s. Nothing was loaded."
            raise GatewayError(408, "request_timeout", message, retryable=True) from exc
        if part is None:
            yield bytes(waiting), True
            return
        size += len(part)
        if size > MOST_BYTES:
            message = f"A load may have {MOST_BYTES >> 20} MiB, so nothing was loaded. Send the rows in several files."
            raise GatewayError(413, "request_too_large", message, max_bytes=MOST_BYTES)
        waiting += part
        if len(waiting) >= _PIECE:
            yield bytes(waiting), False
            waiting.clear()


async def _note(gateway: Gateway, conn: Connection, project: Project, loaded: dict[str, Any], *, again: bool) -> None:
    cursor = await conn.execute("SELECT pg_catalog.pg_current_xact_id()::pg_catalog.text")
    row = await cursor.fetchone()
    assert row is not None
    async with gateway.connection() as own, own.transaction():
        before = await load_rows.note(
            own,
            project.project_id,
            loaded["table"],
            loaded["sha256"],
            xid=row[0],
            rows=loaded["rows"],
            again=again,
        )
    if before is not None:
        raise _already_loaded(loaded["table"], before)


def _already_loaded(table: str, before: load_rows.Loaded) -> GatewayError:
    if before.running:
        return GatewayError(
            409,
            "load_running",
            f"The same content is being loaded into {table} by another call, which may still fail. Nothing was loaded now.",
            hint="Repeat it in a moment: it is loaded then, or ALREADY_LOADED says that the other call has done it.",
            retryable=True,
            safe_to_retry=True,
        )
    return GatewayError(
        409,
        "already_loaded",
        f"The same content was loaded into {table} at {iso(before.at)}: {before.rows} rows. Nothing was loaded now.",
        hint="If that was this call, repeated after a lost answer, all is done. To load it once more: add --again.",
        details={"table": table, "rows": before.rows, "loaded_at": iso(before.at)},
    )


def _rejected(loader: Loader) -> GatewayError:
    rejects = sorted(loader.rejects, key=lambda entry: int(entry["line"]))
    first, count = rejects[0], len(rejects)
    more = " The rest was not read." if loader.full else ""
    rows = "1 row was" if count == 1 else f"{count} rows were"
    return GatewayError(
        400,
        "load_rejected",
        f"Nothing was loaded: {rows} refused, the first in line {first['line']}: {first['message']}.{more}",
        hint="Correct these lines, and load the whole again.",
        details={"rejects": rejects, "more": loader.full},
        safe_to_retry=True,
    )
