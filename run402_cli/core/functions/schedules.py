"""Schedules: triggers with a cron expression make a durable run at every tick. Ticks missed while stopped are skipped."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from run402_cli.core.db import Connection, is_away, reason_of
from run402_cli.core.errors import GatewayError
from run402_cli.core.functions import runs, schedule_rows
from run402_cli.core.functions.functions_request import next_tick, schedules
from run402_cli.core.gateway import Gateway
from run402_cli.core.web.instants import iso

log = logging.getLogger("run402.core.functions")

TICK_SECONDS = 1.0
# A tick that is later than this was missed, and missed ticks are skipped.
LATE = timedelta(seconds=30)


async def replace(conn: Connection, project_id: str, state: Mapping[str, Any]) -> None:
    """These are the project's schedules from now on; counts of those that stay are kept."""
    now = datetime.now(UTC)
    await schedule_rows.switch_off(conn, project_id)
    for entry in state["functions"]:
        for trigger in schedules(entry):
            tick = next_tick(trigger, now, entry["name"])
            await schedule_rows.put(conn, project_id, entry["name"], trigger, tick)


class Scheduler:
    """One task that makes the runs of due triggers, each by itself: one that fails holds up no other."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._tick()
            except Exception as exc:
                if not is_away(exc):
                    log.exception("schedules: a tick failed")
                else:
                    log.warning("schedules wait for the database: %s", exc)
            await asyncio.sleep(TICK_SECONDS)

    async def _tick(self) -> None:
        async with self.gateway.connection() as conn:
            due = await schedule_rows.due(conn)
            for key in due:
                try:
                    async with conn.transaction():
                        await self._fire(conn, key)
                except Exception as exc:
                    if is_away(exc) or conn.closed:
                        raise
                    await self._put_off(conn, key, exc)
        if due:
            self.gateway.functions.dispatcher.wake()

    async def _fire(self, conn: Connection, key: Mapping[str, Any]) -> None:
        row = await schedule_rows.take(conn, key)
        if row is None:
            return
        now = datetime.now(UTC)
        following = next_tick(row["trigger"], now, row["function_name"])
        await schedule_rows.set_next_tick(conn, row, following)
        if now - row["next_tick_at"] <= LATE:
            await enqueue(conn, row, "cron", row["next_tick_at"])

    async def _put_off(self, conn: Connection, key: Mapping[str, Any], exc: Exception) -> None:
        """A trigger that cannot be run is switched off until the next release; one that fails is tried at its next tick."""
        reason = reason_of(exc)
        log.warning("the trigger %.80s of %s made no run: %s", key["trigger_id"], key["function_name"], reason)
        try:
            async with conn.transaction():
                row = await schedule_rows.take(conn, key)
                if row is not None:
                    final = isinstance(exc, GatewayError)
                    tick = None if final else next_tick(row["trigger"], datetime.now(UTC), row["function_name"])
                    await schedule_rows.note_failure(conn, row, reason, tick)
        except Exception as second:
            if is_away(second) or conn.closed:
                raise
            await schedule_rows.note_failure(conn, key, reason, None)


async def enqueue(conn: Connection, row: Mapping[str, Any], mode: str, moment: datetime) -> dict[str, Any]:
    """Make the run of a trigger's tick; the run as the API shows it."""
    trigger, at = row["trigger"], iso(moment)
    own = f":{secrets.token_hex(4)}" if mode == "manual" else ""
    place = (mode, row["project_id"], row["function_name"], str(row["active_release_id"]), row["trigger_id"], at or "")
    wanted = trigger["run"]
    expires = wanted.get("expires_after_seconds")
    wish = runs.Wish(
        event_type=wanted["event_type"],
        idempotency_key=":".join(place) + own,
        payload=wanted.get("payload") or {},
        retry=runs.retry_of(wanted.get("retry")),
        expires_at=moment + timedelta(seconds=expires) if expires else None,
    )
    source = {
        "type": "schedule",
        "mode": mode,
        "trigger_id": row["trigger_id"],
        "scheduled_at": at,
        "release_id": row["active_release_id"],
    }
    run, _ = await runs.create(conn, row["project_id"], row["function_name"], wish, source)
    await schedule_rows.note_run(conn, row, moment, run["run_id"])
    return run


async def metas(conn: Connection, project_id: str) -> dict[tuple[str, str], dict[str, Any]]:
    """schedule_meta of every active trigger of a project, by function and trigger."""
    rows = await schedule_rows.active(conn, project_id)
    return {(row["function_name"], row["trigger_id"]): _meta(row) for row in rows}


def _meta(row: Mapping[str, Any]) -> dict[str, Any]:
    attempt = row["last_attempt"] or {}
    return {
        "last_enqueued_at": iso(row["last_enqueued_at"]),
        "last_run_id": row["last_run_id"],
        "last_run_status": row["run_status"],
        "run_count": row["run_count"],
        "last_error": row["last_error"] or (row["run_error"] or {}).get("message"),
        "next_tick_at": iso(row["next_tick_at"]),
        "last_run_at": attempt.get("started_at"),
        "last_status": attempt.get("response_status"),
        "next_run_at": iso(row["next_tick_at"]),
    }
