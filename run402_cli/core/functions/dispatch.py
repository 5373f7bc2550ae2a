"""Carries durable runs out: claims what is due, calls the function, records the attempt, decides about the next one."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from run402_cli.core.callers.auth import existing_project
from run402_cli.core.db import is_away
from run402_cli.core.errors import GatewayError
from run402_cli.core.functions import run_rows
from run402_cli.core.functions.functions_request import MAX_TIMEOUT_SECONDS
from run402_cli.core.functions.invoke import Call, invoke
from run402_cli.core.functions.runs import current_time, retry_delay
from run402_cli.core.gateway import Gateway
from run402_cli.core.sites.lookup import live_sites
from run402_cli.core.slots import Slots
from run402_cli.core.web.instants import iso

log = logging.getLogger("run402.core.functions")

TICK_SECONDS = 1.0
# A run may take a quarter of an hour: one project never has all of the places.
AT_ONCE, SHARE = 16, 4
LEASE_SECONDS = 60
EXPIRED = {
    "code": "FUNCTION_RUN_EXPIRED",
    "message": "The run was not done before it expired.",
    "retryable": False,
}
LEASE_EXPIRED = {
    "code": "FUNCTION_RUN_LEASE_EXPIRED",
    "message": "The gateway stopped during the attempt.",
    "retryable": True,
}
ALWAYS_RETRIED = ("RELEASE_NOT_FOUND", "FUNCTION_BUNDLE_NOT_FOUND", "DYNAMIC_RUNTIME_UNAVAILABLE")


@dataclass(frozen=True, slots=True)
class Result:
    """How an attempt ended. `error` is None after a 2xx."""

    status: int | None
    error: dict[str, Any] | None


class Dispatcher:
    """One task that claims runs, and one task per run in progress."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        # Runs of a gateway that was killed are recognized by the next one on the same data directory.
        self.owner = gateway.identity
        self._woken = asyncio.Event()
        self._slots = Slots(AT_ONCE, SHARE, self.wake)

    def wake(self) -> None:
        """Look for due runs now, not at the next tick."""
        self._woken.set()

    def abort(self, run_id: str) -> None:
        """Stop a run's attempt; its row has been written already."""
        self._slots.cancel(run_id)

    async def run(self) -> None:
        """Until cancelled."""
        recovered = False
        while True:
            try:
                if not recovered:
                    await self._recover()
                    recovered = True
                await self._tick()
            except Exception as exc:
                if not is_away(exc):
                    log.exception("durable runs: a tick failed")
                else:
                    log.warning("durable runs wait for the database: %s", exc)
            try:
                await asyncio.wait_for(self._woken.wait(), TICK_SECONDS)
            except TimeoutError:
                continue
            self._woken.clear()

    async def close(self) -> None:
        """Let go of the runs in progress; they stay `running` and are taken up by the next start."""
        await self._slots.close()

    async def _recover(self) -> None:
        """What our predecessor was doing when it ended is due again at once."""
        async with self.gateway.connection() as conn:
            await run_rows.recover(conn, self.owner)

    async def _tick(self) -> None:
        async with self.gateway.connection() as conn:
            await run_rows.expire(conn, EXPIRED, current_time())
            await run_rows.take_over(conn, LEASE_EXPIRED, current_time(), self._slots.keys)
            while self._slots.free:
                now = current_time()
                lease = now + timedelta(seconds=LEASE_SECONDS + MAX_TIMEOUT_SECONDS)
                row = await run_rows.claim(conn, self.owner, now, lease=lease, ours=self._slots)
                if row is None:
                    return
                self._slots.start(row["run_id"], row["project_id"], self._attempt(row))

    async def _attempt(self, row: Mapping[str, Any]) -> None:
        attempt_id, started, clock = f"fnatt_{secrets.token_hex(12)}", current_time(), time.perf_counter()
        attempt: dict[str, Any] = {
            "attempt_id": attempt_id,
            "number": row["attempts_current"],
            "started_at": iso(started),
        }
        try:
            async with self.gateway.connection() as conn:
                await run_rows.begin_attempt(conn, row, attempt, started)
            result = await self._call(row, attempt)
            attempt |= {
                "completed_at": iso(current_time()),
                "duration_ms": round((time.perf_counter() - clock) * 1000),
                **({"response_status": result.status} if result.status is not None else {}),
                **({"error": result.error} if result.error else {}),
            }
            await self._record(row, attempt, result)
        except Exception as exc:
            # The row stays `running` until its lease ends; better late than twice.
            if not is_away(exc):
                log.exception("run %s: the attempt failed in the gateway", row["run_id"])
            else:
                log.warning("run %s: the attempt could not be recorded: %s", row["run_id"], exc)

    async def _call(self, row: Mapping[str, Any], attempt: Mapping[str, Any]) -> Result:
        try:
            async with self.gateway.connection() as conn:
                project = await existing_project(conn, row["project_id"])
                site = await live_sites.active(conn, row["project_id"])
            if site is None:
                return Result(None, _error("RELEASE_NOT_FOUND", "The project has no active release.", True))
            if row["function_name"] not in {entry["name"] for entry in site.state["functions"]}:
                message = f"The active release has no function {row['function_name']}."
                return Result(None, _error("FUNCTION_BUNDLE_NOT_FOUND", message, True))
            call = _request(self.gateway, row, attempt)
            outcome = await invoke(self.gateway, project, site, row["function_name"], call)
        except GatewayError as exc:
            code = exc.error.upper()
            reason = (exc.fields.get("details") or {}).get("message") or exc.message
            return Result(None, _error(code, reason, code in ALWAYS_RETRIED or exc.status == 429 or exc.status >= 500))
        status = outcome.reply.status
        if 200 <= status < 300:
            return Result(status, None)
        message = f"The function answered {status}."
        return Result(status, _error(f"FUNCTION_RUN_HTTP_{status}", message, status == 429 or status >= 500))

    async def _record(self, row: Mapping[str, Any], attempt: Mapping[str, Any], result: Result) -> None:
        now = current_time()
        again = result.error is not None and result.error["retryable"]
        again = again and row["attempts_current"] < row["retry"].get("max_attempts", 1)
        status = "retrying" if again else "failed" if result.error else "succeeded"
        due = now + timedelta(seconds=retry_delay(row["retry"], row["attempts_current"])) if again else None
        async with self.gateway.connection() as conn, conn.transaction():
            await run_rows.end_attempt(
                conn, row, attempt, answered=result.status, error=result.error, status=status, due=due, now=now
            )


def _error(code: str, message: str, retryable: bool) -> dict[str, Any]:
    return {"code": code, "message": message, "retryable": retryable}


def _request(gateway: Gateway, row: Mapping[str, Any], attempt: Mapping[str, Any]) -> Call:
    path = f"/functions/v1/{row['function_name']}"
    run_at: datetime = row["run_at"]
    body = {
        "trigger": "function_run",
        "run_id": row["run_id"],
        "generation": row["generation"],
        "event_type": row["event_type"],
        "idempotency_key": row["idempotency_key"],
        "run_at": iso(run_at),
        "attempt": {
            "attempt_id": attempt["attempt_id"],
            "number": row["attempts_current"],
            "max": row["retry"].get("max_attempts", 1),
        },
        "source": row["source"],
        "payload": row["payload"],
    }
    headers = (
        ("content-type", "application/json"),
        ("x-run402-trigger", "function_run"),
        ("x-run402-run-id", row["run_id"]),
        ("x-run402-attempt-id", attempt["attempt_id"]),
    )
    settings = gateway.settings
    return Call(
        kind="function_run",
        url=f"{settings.public_url}{path}",
        path=path,
        headers=headers,
        body=json.dumps(body).encode(),
        route_pattern=f"function_run:{row['function_name']}",
        host=f"{settings.host}:{settings.port}",
        request_id=row["run_id"],
    )
