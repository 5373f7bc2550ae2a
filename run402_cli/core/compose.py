"""Puts the gateway together: the object that all handlers share, its background workers, its tables."""

from __future__ import annotations

import asyncio
import logging

from run402_cli.core.bootstrap import bootstrap
from run402_cli.core.content.store import ContentStore
from run402_cli.core.functions.runtime import Runtime
from run402_cli.core.gateway import Gateway
from run402_cli.core.jobs.runner import Runner
from run402_cli.core.mail.webhooks import Deliveries
from run402_cli.core.settings import Settings

log = logging.getLogger("run402.core")


def compose(settings: Settings, database_url: str) -> Gateway:
    """A gateway with everything it needs, not yet connected."""
    gateway = Gateway(settings, database_url)
    gateway.functions = Runtime(gateway)
    gateway.mail = Deliveries(gateway)
    gateway.jobs = Runner(gateway)
    return gateway


async def start(gateway: Gateway) -> None:
    """Connect, create or upgrade roles, schemas and bookkeeping tables, and set the workers to work."""
    await asyncio.to_thread(_recover, gateway.store)
    await gateway.pool.open(wait=True, timeout=30)
    async with gateway.connection() as conn:
        gateway.database_upgraded = await bootstrap(conn, gateway.settings)
    await gateway.changes.start()
    for worker in (gateway.afterwards, gateway.settling, gateway.functions, gateway.mail, gateway.jobs):
        worker.start()


def _recover(store: ContentStore) -> None:
    try:
        store.recover()
    except OSError:
        log.exception("could not store again what came in batches before a crash; the next start tries again")
