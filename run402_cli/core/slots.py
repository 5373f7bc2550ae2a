"""Places for work that goes on beside other work: a bounded number, and of one project only a share of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from run402_cli.core import tasks

OVERDUE_SECONDS = 0.5


class Slots:
    """Tasks in progress, by a key. `freed` is called when one has ended.

    Who claims the next row asks the database for one of a project that has room (`busy` and `share`; IN_PROGRESS of db.py),
    those with the fewest tasks first: however much one project wants, the next place goes to another one that waits.
    """

    def __init__(self, most: int, share: int, freed: Callable[[], None]) -> None:
        self.most, self.share, self._freed = most, share, freed
        self._running: dict[str, tuple[str, asyncio.Task[None]]] = {}

    @property
    def free(self) -> bool:
        return len(self._running) < self.most

    @property
    def keys(self) -> list[str]:
        return list(self._running)

    @property
    def busy(self) -> dict[str, int]:
        """Projects that have something in progress, and how much."""
        return dict(Counter(project_id for project_id, _ in self._running.values()))

    def start(self, key: str, project_id: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._running[key] = (project_id, task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running = {key: entry for key, entry in self._running.items() if entry[1] is not task}
        self._freed()

    def cancel(self, key: str) -> bool:
        """Whether it was in progress here."""
        entry = self._running.get(key)
        if entry is not None:
            entry[1].cancel()
        return entry is not None

    async def close(self) -> None:
        """End all that is in progress, and begin nothing more."""
        self.most = 0
        await tasks.end(*(task for _, task in self._running.values()))


def pause(wait: float | None, longest: float) -> float:
    """Seconds until the next look at a queue whose next row is due in `wait` seconds, None for no row.

    What is overdue and was not taken waits for a place, and `freed` tells when there is one.
    """
    if wait is None:
        return longest
    return OVERDUE_SECONDS if wait <= 0 else min(longest, max(0.05, wait))
