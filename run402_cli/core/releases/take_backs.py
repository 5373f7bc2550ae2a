"""Manifests of releases that never went live are taken back: after the start, beside the requests, one project at a time.

It is done as the schema's owner, so something of the project may run or hold a lock: no start waits for it. Until it is
done, requests of the project wait (unsettled.py).
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import Final

from run402_cli.core.callers.auth import existing_project
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.expose import rows
from run402_cli.core.gateway import Gateway
from run402_cli.core.projects.locks import project_lock
from run402_cli.core.releases.commit import take_back

log = logging.getLogger("run402.core")

LOCK_SECONDS: Final = 30
FIRST_PAUSE_SECONDS: Final = 2.0
LONGEST_PAUSE_SECONDS: Final = 60.0


async def hold(gateway: Gateway, conn: Connection) -> None:
    """Before the first request is taken: those of the projects that owe one wait. Runs nothing of a project."""
    for project_id in await rows.owed(conn):
        gateway.unsettled.add(project_id)


async def work(gateway: Gateway) -> None:
    """Settle what is held, until cancelled. What fails is tried again."""
    pause = FIRST_PAUSE_SECONDS
    while True:
        gateway.unsettled.woken.clear()
        await settle(gateway)
        if gateway.unsettled.all():
            try:
                async with asyncio.timeout(pause):
                    await gateway.unsettled.woken.wait()
            except TimeoutError:
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
        else:
            pause = FIRST_PAUSE_SECONDS
            await gateway.unsettled.woken.wait()


async def settle(gateway: Gateway) -> None:
    """One try for each project that is held."""
    for project_id in gateway.unsettled.all():
        try:
            await _settle(gateway, project_id)
        except Exception:
            log.exception("could not take back the manifest of %s; it is tried again", project_id)


async def _settle(gateway: Gateway, project_id: str) -> None:
    async with AsyncExitStack() as held:
        # A deploy that goes on meanwhile applies a manifest of its own.
        async with asyncio.timeout(LOCK_SECONDS):
            conn = await held.enter_async_context(project_lock(gateway, project_id))
        try:
            project = await existing_project(conn, project_id)
        except GatewayError:
            gateway.unsettled.remove(project_id)
            return
        if not await rows.owed(conn, project_id):
            gateway.unsettled.remove(project_id)
            return
        await take_back(gateway, project)
