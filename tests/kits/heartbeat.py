"""How long the event loop of a gateway was kept from everybody else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gateway_kit import Live


@dataclass
class Pulse:
    longest: float = 0.0


@contextmanager
def heartbeat(live: Live) -> Iterator[Pulse]:
    """The longest pause between two turns of the loop while the block runs, in seconds."""
    pulse = Pulse()

    async def beat() -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.02)
            pulse.longest = max(pulse.longest, time.monotonic() - before)

    beating = asyncio.run_coroutine_threadsafe(beat(), live.loop)
    try:
        yield pulse
        # What is blocked now is seen too.
        live.run(asyncio.sleep(0.05))
    finally:
        beating.cancel()
