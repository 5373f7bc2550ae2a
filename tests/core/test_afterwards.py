"""Work after an answer: a piece that fails or hangs keeps nothing that comes after it."""

from __future__ import annotations

import asyncio

import pytest
from gateway_kit import Live

from run402_cli.core import afterwards
from run402_cli.core.db import Connection


def test_work_that_hangs_is_given_up(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(afterwards, "WORK_SECONDS", 0.2)
    done: list[str] = []

    async def hangs(conn: Connection) -> None:
        await conn.execute("SELECT pg_sleep(60)")

    async def fails(conn: Connection) -> None:
        await conn.execute("SELECT 1/0")

    async def works(conn: Connection) -> None:
        await conn.execute("SELECT 1")
        done.append("works")

    async def all_three() -> None:
        for work in (hangs, fails, works):
            await live.gateway.afterwards.put(work, keep=True)
        async with asyncio.timeout(5):
            await live.gateway.afterwards.settled()

    live.run(all_three())
    assert done == ["works"]
