"""Tells the webhooks of a mailbox what happened to it, until each delivery succeeded or was given up.

See docs/local-gateway-users.md, "Mail".
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

from run402_cli.core import tasks
from run402_cli.core.db import Connection, is_away
from run402_cli.core.gateway import Gateway
from run402_cli.core.mail import webhook_rows
from run402_cli.core.mail.mailbox_rows import Mailbox
from run402_cli.core.mail.triggers import start_runs
from run402_cli.core.slots import Slots, pause
from run402_cli.core.web.instants import iso
from run402_cli.core.web.outbound import post_json

log = logging.getLogger("run402.core.mail")

MAX_ATTEMPTS = 8
FIRST_DELAY, LONGEST_DELAY = 5, 300
# Longer than an attempt may take: who holds a delivery for longer is gone.
LEASE = timedelta(seconds=30)
IDLE_SECONDS = 30.0
AT_ONCE, SHARE = 16, 4


async def announce(conn: Connection, mailbox: Mailbox, event: str, facts: dict[str, Any]) -> None:
    """Something happened to a mailbox: write down who is to be told. Inside the transaction in which it happened."""
    await webhook_rows.add_deliveries(conn, mailbox, event, facts)
    await start_runs(conn, mailbox, event, facts)


class Deliveries:
    """A task that looks for what is due, and one for each delivery in progress: `gateway.mail`."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self._woken = asyncio.Event()
        self._slots = Slots(AT_ONCE, SHARE, self._woken.set)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        if self._task is not None:
            await tasks.end(self._task)
        await self._slots.close()

    def wake(self) -> None:
        """Something may be due: deliveries, and runs of functions that wait for mail."""
        self._woken.set()
        self.gateway.functions.dispatcher.wake()

    async def _run(self) -> None:
        while True:
            wait = IDLE_SECONDS
            try:
                while self._slots.free and (row := await self._claim()) is not None:
                    self._slots.start(row["delivery_id"], row["project_id"], self._deliver(row))
                wait = await self._until_next()
            except Exception as exc:
                wait = 1.0
                if not is_away(exc):
                    log.exception("webhook deliveries: a tick failed")
                else:
                    log.warning("webhook deliveries wait for the database: %s", exc)
            try:
                await asyncio.wait_for(self._woken.wait(), wait)
            except TimeoutError:
                continue
            self._woken.clear()

    async def _claim(self) -> dict[str, Any] | None:
        async with self.gateway.connection() as conn:
            return await webhook_rows.claim(conn, LEASE, self._slots)

    async def _deliver(self, row: dict[str, Any]) -> None:
        try:
            await self._attempt(row)
        except Exception as exc:
            # It is due again when its lease ends.
            if not is_away(exc):
                log.exception("the delivery %s failed in the gateway", row["delivery_id"])
            else:
                log.warning("the delivery %s could not be recorded: %s", row["delivery_id"], exc)

    async def _attempt(self, row: dict[str, Any]) -> None:
        body = {
            "id": row["delivery_id"],
            "type": row["event_type"],
            "created_at": iso(row["created_at"]),
            "schema_version": 1,
            "idempotency_key": f"{row['webhook_id']}:{row['source_event_id']}",
            "payload": row["payload"],
        }
        headers = {
            "X-Run402-Webhook-Delivery-Id": row["delivery_id"],
            "X-Run402-Webhook-Event-Type": row["event_type"],
            "X-Run402-Webhook-Idempotency-Key": body["idempotency_key"],
            "X-Run402-Webhook-Attempt": str(row["attempts"]),
        }
        status, error = await post_json(row["target_url"], body, headers)
        good = status is not None and 200 <= status < 300
        over = good or row["attempts"] >= MAX_ATTEMPTS
        delay = min(LONGEST_DELAY, FIRST_DELAY * 2 ** (row["attempts"] - 1))
        now = datetime.now(UTC)
        async with self.gateway.connection() as conn:
            await webhook_rows.note_attempt(
                conn,
                row["delivery_id"],
                status="delivered" if good else "failed_permanent" if over else "pending",
                answer=status,
                error=error if status is None else None if good else f"The receiver answered {status}.",
                again_at=None if over else now + timedelta(seconds=delay),
                delivered_at=now if good else None,
                now=now,
            )

    async def _until_next(self) -> float:
        async with self.gateway.connection() as conn:
            wait = await webhook_rows.seconds_until_next(conn)
        return pause(wait, IDLE_SECONDS)
