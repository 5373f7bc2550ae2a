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
    """The longest work of this process between two turns of the loop while the block runs: seconds of processor time, so that
    other processes of a busy machine do not count."""
    pulse = Pulse()

    async def beat() -> None:
        while True:
            before = time.process_time()
            await asyncio.sleep(0.02)
            pulse.longest = max(pulse.longest, time.process_time() - before)

    beating = asyncio.run_coroutine_threadsafe(beat(), live.loop)
    try:
        yield pulse
        # What is blocked now is seen too.
        live.run(asyncio.sleep(0.05))
    finally:
        beating.cancel()
