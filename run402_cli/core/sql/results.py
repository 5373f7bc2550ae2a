"""The answer of the SQL route, written as its rows arrive: the last result of a text, in memory or in a file without a name.

Nothing is kept but that, and nothing of the length of a result runs in one go: a slice is what one read of the connection
brought, a long row is written in a thread.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from psycopg import errors
from psycopg.abc import PQGen
from psycopg.generators import copy_from, copy_to, send
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn, PGresult
from psycopg.waiting import WAIT_R
from starlette.responses import Response, StreamingResponse

from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.sql.values import text_json, type_name, writer

# What an answer may have, in bytes of JSON.
MOST_BYTES: Final = 256 * 1024 * 1024
# An answer that is longer waits in a file for its reader.
IN_MEMORY: Final = 4 * 1024 * 1024
_PART: Final = 1024 * 1024
_SENT: Final = 256 * 1024
_LONG_ROW: Final = 64 * 1024
_SLICE: Final = 256
JSON_TYPE: Final = "application/json; charset=utf-8"

_FAILED = (ExecStatus.FATAL_ERROR, ExecStatus.BAD_RESPONSE)
_WITH_ROWS = (ExecStatus.SINGLE_TUPLE, ExecStatus.TUPLES_OK)


class Taker(Protocol):
    """What becomes of results: each is one row, or the end of a statement's rows, or a statement without rows."""

    async def take(self, result: PGresult) -> None: ...


class Nobody:
    """Nothing becomes of them."""

    async def take(self, result: PGresult) -> None:
        pass


class Text:
    """JSON text that is written once, then sent once. At most MOST_BYTES of it."""

    def __init__(self, directory: Path) -> None:
        self.size = 0
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY, dir=str(directory))  # noqa: SIM115
        self._parts: list[bytes] = []
        self._waiting = 0

    async def add(self, part: bytes) -> None:
        self.size += len(part)
        if self.size > MOST_BYTES:
            raise _too_large()
        self._parts.append(part)
        self._waiting += len(part)
        if self._waiting >= _PART:
            await self._write()

    async def _write(self) -> None:
        parts, self._parts, self._waiting = self._parts, [], 0
        await asyncio.to_thread(self._file.write, b"".join(parts))

    async def begin_again(self) -> None:
        """Without what was written."""
        self._parts, self._waiting = [], 0
        if self.size:
            self.size = 0
            await asyncio.to_thread(self._file.seek, 0)
            await asyncio.to_thread(self._file.truncate)

    async def sent(self) -> AsyncIterator[bytes]:
        await self._write()
        await asyncio.to_thread(self._file.seek, 0)
        while part := await asyncio.to_thread(self._file.read, _SENT):
            yield part

    def close(self) -> None:
        self._file.close()


def _too_large() -> GatewayError:
    return GatewayError(
        413,
        "sql_result_too_large",
        f"The result has more than {MOST_BYTES // 1024 // 1024} MiB as JSON, which is the most, so it was ended, and nothing "
        "of this SQL was kept. Ask for fewer rows or columns at a time (LIMIT, WHERE id > ...).",
        max_bytes=MOST_BYTES,
        retryable=False,
    )


@dataclass
class Answer:
    """What is answered of the results: rows and fields of the last one, the count and the commands of all."""

    schema: str
    rows: Text
    # All values of each row, where columns of one name make one of them in `rows`.
    values: Text
    row_count: int = 0
    commands: set[str] = field(default_factory=set)
    fields: list[dict[str, str]] = field(default_factory=list)
    repeated: bool = False
    _columns: Columns | None = None
    _at_end: bool = True
    _seen: int = 0

    @classmethod
    def of(cls, schema: str, directory: Path) -> Answer:
        return cls(schema, Text(directory), Text(directory))

    async def take(self, result: PGresult) -> None:
        """The next result, or the next row of one."""
        if self._at_end:
            await self._begin(result)
        self._at_end = result.status != ExecStatus.SINGLE_TUPLE
        if result.ntuples and self._columns is not None:
            await self._add_rows(self._columns, result)
        if self._at_end:
            self.row_count += result.command_tuples or 0
            # `EXPLAIN` and utility statements with rows have no count in their tag.
            if not result.command_tuples:
                self.row_count += self._seen
            self.commands.add((result.command_status or b"").decode().partition(" ")[0])

    async def _begin(self, result: PGresult) -> None:
        await self.rows.begin_again()
        await self.values.begin_again()
        self._seen, self.fields, self._columns, self.repeated = 0, [], None, False
        if result.nfields:
            self._columns = Columns.of(result)
            self.fields = self._columns.fields
            self.repeated = self._columns.repeated

    async def _add_rows(self, columns: Columns, result: PGresult) -> None:
        for row in range(result.ntuples):
            raw = [result.get_value(row, at) for at in range(result.nfields)]
            if sum([len(value) for value in raw if value is not None]) > _LONG_ROW:
                written, values = await asyncio.to_thread(columns.written, raw)
            else:
                written, values = columns.written(raw)
            await self.rows.add(b"," + written if self._seen else written)
            if self.repeated:
                await self.values.add(b"," + values if self._seen else values)
            self._seen += 1

    def _around(self) -> tuple[bytes, bytes, bytes]:
        begin = f'{{"status":"ok","schema":{text_json(self.schema)},"rows":['
        end = {"row_count": self.row_count, "fields": self.fields}
        fields = json.dumps(end, ensure_ascii=False, separators=(",", ":"))[1:]
        between, last = (',"values":[', f"],{fields}\n") if self.repeated else ("", f",{fields}\n")
        return begin.encode(), f"]{between}".encode(), last.encode()

    async def _sent(self) -> AsyncIterator[bytes]:
        begin, between, end = self._around()
        try:
            yield begin
            async for part in self.rows.sent():
                yield part
            yield between
            if self.repeated:
                async for part in self.values.sent():
                    yield part
            yield end
        finally:
            self.close()

    async def response(self) -> Response:
        """`{status, schema, rows, row_count, fields}`, and `values` where names of columns are repeated."""
        size = self.rows.size + self.values.size + sum(map(len, self._around()))
        if size <= IN_MEMORY:
            return Response(b"".join([part async for part in self._sent()]), media_type=JSON_TYPE)
        return StreamingResponse(self._sent(), headers={"Content-Length": str(size)}, media_type=JSON_TYPE)

    def close(self) -> None:
        self.rows.close()
        self.values.close()


class Columns:
    """How rows of one result are written. Of columns with one name a row object has the last, where the first stands."""

    def __init__(self, names: Sequence[str], types: Sequence[int]) -> None:
        self.fields = [{"name": name, "type": type_name(oid)} for name, oid in zip(names, types, strict=True)]
        self._writers = [writer(oid) for oid in types]
        last = {name: at for at, name in enumerate(names)}
        self.repeated = len(last) < len(names)
        signs = ["{", *[","] * len(last)]
        self._members = [
            (f"{sign}{text_json(name)}:", at) for sign, (name, at) in zip(signs, last.items(), strict=False)
        ]

    @classmethod
    def of(cls, result: PGresult) -> Columns:
        columns = range(result.nfields)
        names = [(result.fname(at) or b"").decode("utf-8", "replace") for at in columns]
        return cls(names, [result.ftype(at) for at in columns])

    def written(self, row: Sequence[bytes | None]) -> tuple[bytes, bytes]:
        """A row as an object, and as an array where the object does not have all."""
        texts = [
            "null" if raw is None else write(raw.decode("utf-8", "replace"))
            for raw, write in zip(row, self._writers, strict=True)
        ]
        members = "".join([name + texts[at] for name, at in self._members])
        return f"{members}}}".encode(), f"[{','.join(texts)}]".encode() if self.repeated else b""


async def run(
    conn: Connection,
    query: bytes,
    answer: Taker,
    *,
    values: Sequence[bytes | None] = (),
    rows: Iterable[bytes] | None = None,
) -> None:
    """Run a query, by the simple protocol when it has no values, into `answer`. psycopg's error of what failed first.

    `rows` are what a COPY from stdin takes.
    """
    pgconn = conn.pgconn
    if values:
        pgconn.send_query_params(query, values)
    else:
        pgconn.send_query(query)
    await received(conn, answer, rows)


async def received(conn: Connection, answer: Taker, rows: Iterable[bytes] | None = None) -> None:
    """The results of a query that was said to `conn` just now. As `run`."""
    pgconn = conn.pgconn
    pgconn.set_single_row_mode()
    await conn.wait(send(pgconn))
    failure: Exception | None = None
    while True:
        found, ended = await conn.wait(_arrived(pgconn))
        for result in found:
            if result.status == ExecStatus.COPY_IN:
                await _copy_in(conn, rows)
                rows = None
            elif result.status == ExecStatus.COPY_OUT:
                await _copy_out(conn)
                failure = failure or errors.FeatureNotSupported("COPY to stdout writes to nobody here: use SELECT.")
            elif result.status in _FAILED:
                failure = failure or errors.error_from_result(result)
            elif failure is None and (result.status in _WITH_ROWS or result.status == ExecStatus.COMMAND_OK):
                await answer.take(result)
        if ended:
            break
        # What has come already is read without waiting.
        await asyncio.sleep(0)
    if failure is None and rows is not None:
        failure = errors.SyntaxError("There are rows of a COPY, and no COPY from stdin before them took them.")
    if failure is not None:
        raise failure


async def _copy_in(conn: Connection, rows: Iterable[bytes] | None) -> None:
    for part in rows or ():
        await conn.wait(copy_to(conn.pgconn, part))
    end = b"its rows do not stand after it" if rows is None else None
    while conn.pgconn.put_copy_end(end) == 0:
        await conn.wait(send(conn.pgconn))
    await conn.wait(send(conn.pgconn))


async def _copy_out(conn: Connection) -> None:
    while isinstance(await conn.wait(copy_from(conn.pgconn)), memoryview):
        await asyncio.sleep(0)


def _arrived(pgconn: PGconn) -> PQGen[tuple[list[PGresult], bool]]:
    """Of the results those that are there, at least one, and whether they are the last."""
    found: list[PGresult] = []
    while len(found) < _SLICE:
        while pgconn.is_busy():
            if found:
                return found, False
            while not (yield WAIT_R):
                continue
            pgconn.consume_input()
        result = pgconn.get_result()
        if result is None:
            return found, True
        found.append(result)
        if result.status in (ExecStatus.COPY_IN, ExecStatus.COPY_OUT):
            break
    return found, False
