"""Schedules: triggers with a cron expression make a durable run at every tick. Ticks missed while stopped are skipped."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import PoolTimeout
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from run402_cli.core.callers.auth import presented_key, require_service_key
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.functions import runs
from run402_cli.core.functions.spec import next_tick, schedules
from run402_cli.core.gateway import Gateway, gateway_of
from run402_cli.core.web.http import reply
from run402_cli.core.web.instants import iso

DDL = """
CREATE TABLE IF NOT EXISTS internal.core_function_schedules (
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  function_name text NOT NULL,
  trigger_id text NOT NULL,
  trigger jsonb NOT NULL,
  next_tick_at timestamptz,
  last_enqueued_at timestamptz,
  last_run_id text,
  run_count int NOT NULL DEFAULT 0,
  last_error text,
  active boolean NOT NULL DEFAULT true,
  PRIMARY KEY (project_id, function_name, trigger_id)
);
"""

log = logging.getLogger("run402.core.functions")

TICK_SECONDS = 1.0
# A tick that is later than this was missed, and missed ticks are skipped.
LATE = timedelta(seconds=30)


async def replace(conn: Connection, project_id: str, state: Mapping[str, Any]) -> None:
    """These are the project's schedules from now on; counts of those that stay are kept."""
    now = datetime.now(UTC)
    await conn.execute(
        "UPDATE internal.core_function_schedules SET active = false, next_tick_at = NULL WHERE project_id = %s",
        (project_id,),
    )
    for entry in state["functions"]:
        for trigger in schedules(entry):
            await conn.execute(
                "INSERT INTO internal.core_function_schedules (project_id, function_name, trigger_id, trigger,"
                " next_tick_at) VALUES (%s, %s, %s, %s, %s) ON CONFLICT (project_id, function_name, trigger_id)"
                " DO UPDATE SET trigger = excluded.trigger, next_tick_at = excluded.next_tick_at, active = true,"
                " last_error = NULL",
                (project_id, entry["name"], trigger["id"], Jsonb(trigger), next_tick(trigger, now, entry["name"])),
            )


class Scheduler:
    """One task that makes the runs of due triggers."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._tick()
            except (psycopg.Error, PoolTimeout, GatewayError) as exc:
                log.warning("schedules wait for the database: %s", exc)
            except Exception:
                log.exception("schedules: a tick failed")
            await asyncio.sleep(TICK_SECONDS)

    async def _tick(self) -> None:
        async with self.gateway.connection() as conn, conn.transaction():
            async with conn.cursor(row_factory=dict_row) as cursor:
                await cursor.execute(
                    "SELECT s.*, p.active_release_id FROM internal.core_function_schedules s"
                    " JOIN internal.core_projects p USING (project_id)"
                    " WHERE s.active AND s.next_tick_at <= now() FOR UPDATE OF s SKIP LOCKED"
                )
                due = await cursor.fetchall()
            for row in due:
                try:
                    async with conn.transaction():
                        await self._fire(conn, row)
                except GatewayError as exc:
                    # One trigger that cannot be run must not hold up the others, now or at the next tick.
                    await self._give_up(conn, row, exc.message)
        if due:
            self.gateway.functions.dispatcher.wake()

    async def _give_up(self, conn: Connection, row: Mapping[str, Any], reason: str) -> None:
        log.warning("the trigger %s of %s was switched off: %s", row["trigger_id"], row["function_name"], reason)
        await conn.execute(
            "UPDATE internal.core_function_schedules SET next_tick_at = NULL, last_error = %s"
            " WHERE project_id = %s AND function_name = %s AND trigger_id = %s",
            (reason, row["project_id"], row["function_name"], row["trigger_id"]),
        )

    async def _fire(self, conn: Connection, row: Mapping[str, Any]) -> None:
        now = datetime.now(UTC)
        following = next_tick(row["trigger"], now, row["function_name"])
        await conn.execute(
            "UPDATE internal.core_function_schedules SET next_tick_at = %s WHERE project_id = %s AND function_name = %s"
            " AND trigger_id = %s",
            (following, row["project_id"], row["function_name"], row["trigger_id"]),
        )
        if now - row["next_tick_at"] <= LATE:
            await enqueue(conn, row, "cron", row["next_tick_at"])


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
    await conn.execute(
        "UPDATE internal.core_function_schedules SET last_enqueued_at = %s, last_run_id = %s, run_count = run_count + 1"
        " WHERE project_id = %s AND function_name = %s AND trigger_id = %s",
        (moment, run["run_id"], row["project_id"], row["function_name"], row["trigger_id"]),
    )
    return run


async def metas(conn: Connection, project_id: str) -> dict[tuple[str, str], dict[str, Any]]:
    """schedule_meta of every active trigger of a project, by function and trigger."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT s.*, r.status AS run_status, r.last_attempt, r.last_error AS run_error"
            " FROM internal.core_function_schedules s LEFT JOIN internal.core_function_runs r"
            " ON r.run_id = s.last_run_id WHERE s.project_id = %s AND s.active ORDER BY s.function_name, s.trigger_id",
            (project_id,),
        )
        rows = await cursor.fetchall()
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


async def _trigger(request: Request, trigger_id: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Enqueue a trigger by hand: (run, schedule_meta)."""
    gateway = gateway_of(request)
    name = runs.function_name(request)
    async with gateway.connection() as conn:
        project = await _owner(conn, request)
        async with conn.transaction(), conn.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(
                "SELECT s.*, p.active_release_id FROM internal.core_function_schedules s"
                " JOIN internal.core_projects p USING (project_id) WHERE s.project_id = %(project)s AND s.active"
                " AND s.function_name = %(name)s AND (%(trigger)s::text IS NULL OR s.trigger_id = %(trigger)s)"
                " ORDER BY s.trigger_id LIMIT 1 FOR UPDATE OF s",
                {"project": project, "name": name, "trigger": trigger_id},
            )
            row = await cursor.fetchone()
            if row is None:
                raise GatewayError(
                    404,
                    "scheduled_function_not_found",
                    f"{name} has no schedule{f' {trigger_id}' if trigger_id else ''} in the active release. "
                    "`run402 functions list` shows what it has.",
                    code="SCHEDULED_FUNCTION_NOT_FOUND",
                )
            run = await enqueue(conn, row, "manual", runs.current_time())
        meta = (await metas(conn, project))[name, row["trigger_id"]]
    gateway.functions.dispatcher.wake()
    return run, meta


async def _owner(conn: Connection, request: Request) -> str:
    project_id: str = request.path_params["project_id"]
    try:
        return (await require_service_key(conn, request, project_id)).project_id
    except GatewayError as exc:
        if exc.status != 401 or presented_key(request) is None:
            raise
        raise GatewayError(403, "forbidden", f"The key sent is not the service key of {project_id}.") from exc


async def run_trigger(request: Request) -> Response:
    """POST /projects/v1/{id}/functions/{name}/triggers/{trigger_id}/run (service key): 202 `{run, schedule_meta}`.

    404 scheduled_function_not_found, 403 forbidden for another key. docs/local-gateway-functions.md
    """
    run, meta = await _trigger(request, request.path_params["trigger_id"])
    return reply({"run": run, "schedule_meta": meta}, 202)


async def run_first_trigger(request: Request) -> Response:
    """POST /projects/v1/{id}/functions/{name}/trigger (service key): 200 with the run of its first schedule."""
    run, meta = await _trigger(request, None)
    body = {"request_id": run["run_id"], "status": 202, "response": run, "run": run, "schedule_meta": meta}
    return reply(body)


ROUTES = [
    Route("/projects/v1/{project_id}/functions/{name}/triggers/{trigger_id}/run", run_trigger, methods=["POST"]),
    Route("/projects/v1/{project_id}/functions/{name}/trigger", run_first_trigger, methods=["POST"]),
]
