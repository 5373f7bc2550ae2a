"""A bounded number of places that projects share, so that one of them never takes all."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from run402_cli.core.errors import GatewayError

PATIENCE_SECONDS: Final = 15.0
# More of one project are told at once.
MOST_WAITING: Final = 200


class Shares:
    """`total` places. Who has some gets one more only while more than that many are free.

    So one project has half of them at most, two have three quarters: whoever comes next finds one.
    """

    def __init__(self, total: int, what: str) -> None:
        self.total, self.what = total, what
        self.busy = 0
        self._held: Counter[str] = Counter()
        # Who waits, longest first.
        self._waiting: OrderedDict[asyncio.Future[None], str] = OrderedDict()

    @asynccontextmanager
    async def taken(self, who: str) -> AsyncIterator[None]:
        """A place of `who` during the block. 503 database_busy when there is none for too long, or too many wait."""
        await self._take(who)
        try:
            yield
        finally:
            self._give_back(who)

    def _may(self, who: str) -> bool:
        return self.total - self.busy > self._held[who]

    def _give(self, who: str) -> None:
        self.busy += 1
        self._held[who] += 1

    def _give_back(self, who: str) -> None:
        self.busy -= 1
        self._held[who] -= 1
        if not self._held[who]:
            del self._held[who]
        self._hand_on()

    async def _take(self, who: str) -> None:
        if self._may(who) and who not in self._waiting.values():
            self._give(who)
            return
        if sum(waits == who for waits in self._waiting.values()) >= MOST_WAITING:
            raise self._none_free(who, f"{MOST_WAITING} more wait already")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[turn] = who
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await turn
        except BaseException as exc:
            self._waiting.pop(turn, None)
            if turn.done() and not turn.cancelled():
                # It came in the same moment.
                self._give_back(who)
            if isinstance(exc, TimeoutError):
                raise self._none_free(who, f"none ended within {PATIENCE_SECONDS:.0f} seconds") from None
            raise

    def _hand_on(self) -> None:
        for turn, who in list(self._waiting.items()):
            if self.busy >= self.total:
                return
            if not turn.done() and self._may(who):
                del self._waiting[turn]
                self._give(who)
                turn.set_result(None)

    def _none_free(self, who: str, why: str) -> GatewayError:
        return GatewayError(
            503,
            "database_busy",
            f"{self._held[who]} {self.what} of this project use the database at this moment, and {self.busy} of all projects; "
            f"{why}. Repeat in a few seconds.",
            retryable=True,
            retry_after_seconds=2,
        )
