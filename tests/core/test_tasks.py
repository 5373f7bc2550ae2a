"""The end of background tasks."""

from __future__ import annotations

import asyncio

import pytest

from run402_cli.core import tasks


def test_a_task_ends_that_loses_a_cancellation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "PATIENCE_SECONDS", 0.01)
    lost = 0

    async def loses_two() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                lost += 1
                if lost == 3:
                    raise

    async def fails() -> None:
        raise OSError("disk")

    async def main() -> None:
        working = [asyncio.create_task(loses_two()), asyncio.create_task(fails())]
        await asyncio.sleep(0)
        await asyncio.wait_for(tasks.end(*working), 10)
        assert all(task.done() for task in working)
        await tasks.end()

    asyncio.run(main())
    assert lost == 3
