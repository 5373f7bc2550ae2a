"""Work of the length of an input, in a thread: meanwhile the event loop serves everybody else.

Only Python's own steps let others in between. One call into C keeps them out until it returns, in a thread too; what such a
call is given has to be bounded by its caller, as web/json_text.py does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")

# What is shorter is done at once: to hand it to a thread would take longer.
SHORT: Final = 64 * 1024
# Threads take turns with the event loop, so each more of them makes everybody slower.
AT_ONCE: Final = 2


class Aside:
    """A project has one long piece of work at a time, so that it does not take the turns of others."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._projects: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def run(self, project_id: str, length: int, work: Callable[[], T]) -> T:
        """What `work` returns; `length` is that of what it reads."""
        if length <= SHORT:
            return work()
        lock = self._projects.setdefault(project_id, asyncio.Lock())
        async with lock, self._slots:
            return await asyncio.to_thread(work)
