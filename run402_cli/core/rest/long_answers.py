"""Answers of reads that are too long for one value: the rows come one by one, into a file without a name, and are sent from
there after the last one. So nothing of an answer is sent before all of it is known to be good.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final

from psycopg.pq.abc import PGresult
from psycopg.sql import SQL, Composable
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from run402_cli.core.gateway import Gateway
from run402_cli.core.rest.bodies import Lines, csv_header
from run402_cli.core.rest.errors import RestError
from run402_cli.core.rest.session import Session
from run402_cli.core.sql.results import MOST_BYTES, Text

# What is answered in one value.
SHORT_ANSWER: Final = 4 * 1024 * 1024
# A value that cannot be sent in pieces, and one row of an answer that can: it is in memory once, in PostgreSQL and here.
MAX_VALUE_BYTES: Final = 16 * 1024 * 1024
# Who reads a long answer slower than this holds a file and a place for nothing.
SENDING_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class Long:
    """An answer that is still in the database. `statement` gives its lines."""

    size: int
    lines: Lines
    statement: Composable
    values: Sequence[Any]


def too_large(size: int, rows: int, most: int = MAX_VALUE_BYTES) -> RestError:
    fitting = max(rows * most // size * 9 // 10, 1)
    return RestError(
        400,
        "RESULT_TOO_LARGE",
        f"The answer has {size:,} bytes, and {most:,} is the most.",
        details=f"Nothing was sent or changed. It would hold {rows:,} rows.",
        hint=f"Read in pages, such as limit={fitting}&order=id and then id=gt.<the last one>; or select fewer columns; "
        "or send Prefer: return=minimal with a write.",
    )


def _row_too_large(size: int) -> RestError:
    return RestError(
        400,
        "RESULT_TOO_LARGE",
        f"A row of the answer has {size:,} bytes, and {MAX_VALUE_BYTES:,} is the most.",
        details="Nothing was sent.",
        hint="Select fewer columns, or read the long one in parts: a function with substr(), or run402 projects sql.",
    )


# OFFSET 0: a line is made once.
_LINES = SQL("(SELECT {} FROM ({}) AS pgrst_x OFFSET 0) AS pgrst_l")


def sized_lines(lines: Lines, rows: Composable) -> Composable:
    """The lines, each with the length of the answer up to it."""
    return SQL(
        "SELECT pgrst_line, pgrst_names, pg_catalog.sum(pg_catalog.octet_length(pgrst_line) + {}) "
        "OVER (ROWS UNBOUNDED PRECEDING) AS pgrst_size FROM {}"
    ).format(len(lines.between), _LINES.format(lines.columns, rows))


def bounded_lines(lines: Lines, rows: Composable) -> Composable:
    """The lines with their lengths, and for the first row of CSV the names of the columns. A long line is left out."""
    return SQL(
        "SELECT CASE WHEN pg_catalog.octet_length(pgrst_line) <= {most} THEN pgrst_line END, "
        "pg_catalog.octet_length(pgrst_line), pgrst_names FROM {lines}"
    ).format(most=MAX_VALUE_BYTES, lines=_LINES.format(lines.columns, rows))


class _Taker:
    """Takes rows and writes them as the answer's format has them. RestError for what is too long."""

    def __init__(self, text: Text, lines: Lines) -> None:
        self.text, self.count = text, 0
        self._between, self._csv = lines.between, lines.csv

    async def take(self, result: PGresult) -> None:
        for row in range(result.ntuples):
            line = result.get_value(row, 0)
            size = len(line) if line is not None else int(result.get_value(row, 1) or 0)
            if line is None or self.text.size + size > MOST_BYTES:
                raise _row_too_large(size) if line is None else too_large(self.text.size + size, self.count, MOST_BYTES)
            await self.text.add((self._between if self.count else self._begin(result.get_value(row, 2))) + line)
            self.count += 1

    def _begin(self, names: bytes | None) -> bytes:
        return csv_header(json.loads(names or b"[]")).encode() if self._csv else b"["

    async def end(self) -> None:
        if not self._csv:
            await self.text.add(b"]" if self.count else b"[]")


@dataclass(slots=True)
class Waiting:
    """A long answer that is complete and waits to be sent; `places` are given back with its file."""

    text: Text
    rows: int
    places: AsyncExitStack

    def response(self, like: Response) -> LongResponse:
        """With status and headers of another one."""
        like.headers["Content-Length"] = str(self.text.size)
        return LongResponse(self, like)

    async def close(self) -> None:
        self.text.close()
        await self.places.aclose()


class LongResponse(StreamingResponse):
    """Closes its file whatever happens to it once it is called; before that close() does."""

    def __init__(self, waiting: Waiting, like: Response) -> None:
        super().__init__(waiting.text.sent(), like.status_code)
        self.raw_headers = like.raw_headers
        self._waiting = waiting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(SENDING_SECONDS):
                await super().__call__(scope, receive, send)
        finally:
            await self.close()

    async def close(self) -> None:
        await self._waiting.close()


async def read(gateway: Gateway, project_id: str, session: Session, long: Long) -> Waiting:
    """Read the rows once more, in a transaction of its own. A project has a share of the files that there may be at once."""
    async with AsyncExitStack() as places:
        await places.enter_async_context(gateway.answer_shares.taken(project_id))
        text = Text(gateway.settings.data_dir)
        places.callback(text.close)
        taker = _Taker(text, long.lines)
        await session.each(long.statement, long.values, taker)
        await taker.end()
        return Waiting(text, taker.count, places.pop_all())
