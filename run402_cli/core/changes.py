"""How long what was read of the database may be remembered: until PostgreSQL tells that it is another one.

One connection listens. While it does not, nothing is remembered. What a request has changed is known before its answer goes
out: whoever waits for `settled` has heard all that was committed before.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, TypeVar

import psycopg

from run402_cli.core import tasks
from run402_cli.core.db import Connection

log = logging.getLogger("run402.core")

# What is told: one of them, followed by the name of a schema or by the id of a project; EVERY for any of them.
SCHEMA: Final = "schema "
CALLERS: Final = "callers "
EVERY: Final = "*"

SETTLING_SECONDS: Final = 5.0
# A connection that died without a word is found so.
QUIET_SECONDS: Final = 30.0
PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 5.0
# So many names are counted one by one.
MOST_NAMES: Final = 10_000

# Equal to an earlier one as long as nothing has changed.
Mark = tuple[int, int]
T = TypeVar("T")


class Changes:
    """Counts what changed, by schema and by project. `listen` gives a connection that listens; True if DDL is told there.

    `relieve` is called now and then, so that there is room for what is told.
    """

    def __init__(
        self, listen: Callable[[], Awaitable[tuple[Connection, bool]]], relieve: Callable[[], Awaitable[None]]
    ) -> None:
        self._listen, self._relieve = listen, relieve
        self._conn: Connection | None = None
        # Its socket, as long as the event loop looks at it. It is the number of another one as soon as it is closed.
        self._watched: int | None = None
        self._lost = asyncio.Event()
        self._epoch = self._told = 0
        self._counts: Counter[str] = Counter()
        self.hears_schemas = False
        # How often somebody waited for what was committed: where DDL is not told, it may have happened since.
        self.asked = 0
        self._settled = 0
        self._trip: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen from now on, or as soon as PostgreSQL can be reached."""
        await self._try_to_open()
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        if self._task is not None:
            await tasks.end(self._task)
        await self._let_go()

    def forget(self) -> None:
        """Nothing that was remembered holds any more."""
        self._epoch += 1
        self._counts.clear()

    def of_schema(self, slot: str) -> Mark | None:
        """The mark of a schema; None where nothing would tell that it changes."""
        return (self._epoch, self._counts[SCHEMA + slot]) if self.hears_schemas and self._hears() else None

    def of_callers(self, project_id: str) -> Mark | None:
        """The mark of what opens a project."""
        return (self._epoch, self._counts[CALLERS + project_id]) if self._hears() else None

    def of_all(self) -> Mark | None:
        return (self._epoch, self._told) if self._hears() else None

    async def settled(self) -> None:
        """Returns when all that was committed before is known."""
        self.asked += 1
        mine = self.asked
        while self._settled < mine and self._hears():
            if self._trip is None or self._trip.done():
                self._trip = asyncio.create_task(self._round_trip())
            # Others wait for it too.
            await asyncio.shield(self._trip)

    async def _round_trip(self) -> None:
        conn, upto = self._conn, self.asked
        assert conn is not None
        try:
            self._watch(None)
            async with asyncio.timeout(SETTLING_SECONDS):
                # What was told comes before the end of the answer.
                await conn.execute("")
            self._drain(conn)
            self._watch(conn.fileno())
        except (psycopg.Error, OSError):
            # A timeout is one of them.
            self._lose()
        self._settled = upto

    def _hears(self) -> bool:
        return self._conn is not None and not self._lost.is_set()

    def _hear(self) -> None:
        assert self._conn is not None
        try:
            self._conn.pgconn.consume_input()
            self._drain(self._conn)
        except psycopg.Error:
            self._lose()

    def _drain(self, conn: Connection) -> None:
        while (told := conn.pgconn.notifies()) is not None:
            self._note(told.extra.decode())

    def _note(self, told: str) -> None:
        self._told += 1
        if told.endswith(EVERY) or len(self._counts) > MOST_NAMES:
            self.forget()
        else:
            self._counts[told] += 1

    def _watch(self, socket: int | None) -> None:
        loop = asyncio.get_running_loop()
        if self._watched is not None:
            loop.remove_reader(self._watched)
        self._watched = socket
        if socket is not None:
            loop.add_reader(socket, self._hear)

    def _lose(self) -> None:
        self._watch(None)
        self.forget()
        self._lost.set()

    async def _try_to_open(self) -> bool:
        try:
            conn, self.hears_schemas = await self._listen()
        except (psycopg.Error, OSError):
            return False
        conn.add_notify_handler(lambda told: self._note(told.payload))
        self.forget()
        self._lost.clear()
        self._conn = conn
        self._watch(conn.fileno())
        return True

    async def _let_go(self) -> None:
        conn = self._conn
        self._lose()
        self._conn = None
        if self._trip is not None:
            await tasks.end(self._trip)
        if conn is not None:
            await conn.close()

    async def _run(self) -> None:
        pause = PAUSE_SECONDS
        while True:
            if self._conn is None:
                if not await self._try_to_open():
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
                continue
            pause = PAUSE_SECONDS
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._lost.wait(), QUIET_SECONDS)
            if not self._lost.is_set():
                await self.settled()
                with contextlib.suppress(Exception):
                    await self._relieve()
                continue
            log.warning("the connection that hears of changes was lost; nothing is remembered until it is back")
            await self._let_go()


class Remembered(Generic[T]):
    """What holds as long as its mark. Bounded: what was not used for longest goes first."""

    def __init__(self, most: int) -> None:
        self._most, self._size = most, 0
        self._kept: OrderedDict[Hashable, tuple[T, int]] = OrderedDict()

    def get(self, key: Hashable) -> T | None:
        """Whoever asks looks at the mark."""
        found = self._kept.get(key)
        if found is None:
            return None
        self._kept.move_to_end(key)
        return found[0]

    def put(self, key: Hashable, value: T, size: int = 1) -> None:
        self.drop(key)
        self._kept[key] = (value, size)
        self._size += size
        while self._size > self._most and len(self._kept) > 1:
            self.drop(next(iter(self._kept)))

    def drop(self, key: Hashable) -> None:
        found = self._kept.pop(key, None)
        if found is not None:
            self._size -= found[1]
