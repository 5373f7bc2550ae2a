"""A connection that logged in as a role of a project: several statements in one round trip, and what its session still holds.

Once something of the project may have run in the session, nothing that was prepared before is used, and all is taken away
before the next request has it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import psycopg
from psycopg import AsyncConnection, AsyncCursor
from psycopg.abc import Buffer, PQGen
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, Format, PipelineStatus
from psycopg.pq.abc import PGconn, PGresult
from psycopg.waiting import Ready, Wait

# What a function can leave behind in the session, where the next request would meet it: settings, prepared statements,
# cursors, temporary tables, locks, channels, positions in sequences.
CLEAN: Final = b"DISCARD ALL"
_FORGET: Final = b"DEALLOCATE ALL"
# Statements that stay prepared in a session, and how long they may be.
MOST_PREPARED: Final = 64
LONGEST_PREPARED: Final = 20_000


@dataclass(frozen=True, slots=True)
class Step:
    """One statement with its values ($1, $2, ...). `keep`: it may stay prepared for the next time."""

    sql: bytes
    values: Sequence[Any] = ()
    keep: bool = False


class _Dumped(NamedTuple):
    """A step as it is sent."""

    step: Step
    values: Sequence[Buffer | None]
    types: tuple[int, ...]
    formats: Sequence[Format]


class RoleConnection(AsyncConnection[Any]):
    """See above. In autocommit mode: steps without BEGIN are one transaction, which ends with them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Something of the project may have run in the session since it was cleaned.
        self.touched = False
        self._kept: OrderedDict[tuple[bytes, tuple[int, ...]], bytes] = OrderedDict()
        self._number = 0

    def touch(self) -> list[Step]:
        """Something of the project is about to run: the steps before it."""
        self.touched = True
        return [Step(_FORGET)] if self._kept else []

    async def execute(self, query: Any, *args: Any, **settings: Any) -> AsyncCursor[Any]:
        """As psycopg's. Any text but the empty one counts as something of the project."""
        if query and (before := self.touch()):
            await self.together(before)
        return await super().execute(query, *args, **settings)

    async def together(self, steps: Sequence[Step], *, clean: bool = False) -> list[PGresult]:
        """Run the steps in one round trip; their results. With `clean` the session is as new after it, if it was touched.

        Raises the error of the first that fails. A session that could not be cleaned stays touched: that is no error of the
        steps, which were committed before.
        """
        talk = _Talk(self)
        # What cannot be said, such as a NUL, is refused before anything is.
        dumped = [self._dumped(step) for step in steps]
        self.pgconn.enter_pipeline_mode()
        try:
            for step in dumped:
                talk.say(step)
            talk.end()
            if clean and self.touched:
                talk.say(self._dumped(Step(CLEAN)))
                talk.end()
            results = await self.wait(talk.results())
            if self.pgconn.status != ConnStatus.BAD:
                self.pgconn.exit_pipeline_mode()
        finally:
            if self.pgconn.status != ConnStatus.BAD and self.pgconn.pipeline_status != PipelineStatus.OFF:
                # Nobody knows what is still to come.
                self.pgconn.finish()
        return talk.heard(results)

    def say(self, step: Step) -> None:
        """Only sends it: somebody else reads what comes back."""
        _, values, types, formats = self._dumped(step)
        self.pgconn.send_query_params(step.sql, values, types, formats)

    def _dumped(self, step: Step) -> _Dumped:
        if not step.values:
            return _Dumped(step, [], (), [])
        transformer = Transformer(self)
        values = transformer.dump_sequence(step.values, [PyFormat.AUTO] * len(step.values))
        return _Dumped(step, values, transformer.types or (), transformer.formats or [])

    async def clean(self) -> bool:
        """Whether the session is as new."""
        if self.closed or not self.touched:
            return not self.closed
        try:
            await self.together([], clean=True)
        except psycopg.Error:
            return False
        return not self.touched

    def kept_name(self, key: tuple[bytes, tuple[int, ...]]) -> bytes | None:
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def next_name(self) -> bytes:
        self._number += 1
        return b"run402_%d" % self._number

    def oldest(self) -> bytes | None:
        """The name of one that is to go, where there are too many."""
        return self._kept.popitem(last=False)[1] if len(self._kept) >= MOST_PREPARED else None

    def note_prepared(self, key: tuple[bytes, tuple[int, ...]], name: bytes) -> None:
        self._kept[key] = name

    def note_forgotten(self, *, cleaned: bool) -> None:
        self._kept.clear()
        if cleaned:
            self.touched = False


class _Talk:
    """What is said in one round trip, and what has to come back."""

    def __init__(self, conn: RoleConnection) -> None:
        self.conn = conn
        self.pgconn: PGconn = conn.pgconn
        # Of each result: what it is of. None for one that nobody wants.
        self.expected: list[tuple[bytes, tuple[int, ...]] | Step | None] = []
        self.names: dict[tuple[bytes, tuple[int, ...]], bytes] = {}
        self.syncs = 0
        # So many results came before the first end.
        self.done: int | None = None

    def say(self, dumped: _Dumped) -> None:
        step, values, types, formats = dumped
        if not step.keep or len(step.sql) > LONGEST_PREPARED:
            self.pgconn.send_query_params(step.sql, values, types, formats)
            self.expected.append(step)
            return
        key = (step.sql, tuple(types))
        name = self.conn.kept_name(key)
        if name is None:
            if (oldest := self.conn.oldest()) is not None:
                self.pgconn.send_query_params(b"DEALLOCATE " + oldest, [])
                self.expected.append(None)
            name = self.names[key] = self.conn.next_name()
            self.pgconn.send_prepare(name, step.sql, types)
            self.expected.append(key)
        self.pgconn.send_query_prepared(name, values, formats)
        self.expected.append(step)

    def end(self) -> None:
        self.pgconn.pipeline_sync()
        self.syncs += 1

    def results(self) -> PQGen[list[PGresult]]:
        """All results but those of the ends. A connection that is lost after the first end has said what was asked."""
        found: list[PGresult] = []
        while self.pgconn.flush():
            if (yield Wait.RW) & Ready.R:
                self.pgconn.consume_input()
        while self.syncs:
            try:
                while self.pgconn.is_busy():
                    yield Wait.R
                    self.pgconn.consume_input()
            except psycopg.OperationalError:
                if self.done is None:
                    raise
                break
            result = self.pgconn.get_result()
            if result is None:
                if self.pgconn.status == ConnStatus.BAD:
                    break
            elif result.status == ExecStatus.PIPELINE_SYNC:
                self.syncs -= 1
                if self.done is None:
                    self.done = len(found)
            else:
                found.append(result)
        return found

    def heard(self, results: list[PGresult]) -> list[PGresult]:
        """The results of the steps. Raises the first error before the first end."""
        wanted = []
        for what, result in zip(self.expected, results, strict=False):
            fine = result.status in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)
            if isinstance(what, Step):
                wanted.append(result)
                if fine and what.sql in (CLEAN, _FORGET):
                    self.conn.note_forgotten(cleaned=what.sql == CLEAN)
            elif what is not None and fine:
                self.conn.note_prepared(what, self.names[what])
        for result in results[: self.done]:
            if result.status == ExecStatus.FATAL_ERROR:
                raise error_from_result(result, encoding="utf-8")
        if self.done is None:
            raise psycopg.OperationalError("the connection was lost")
        return wanted
