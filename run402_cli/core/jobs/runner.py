"""Carries jobs out, two of a project at a time, and calls back when they end.

What a stopped gateway left running starts again.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from run402_cli.core import tasks
from run402_cli.core.db import Connection, is_away
from run402_cli.core.gateway import Gateway
from run402_cli.core.jobs import rows
from run402_cli.core.jobs.types import TYPES, JobFailed, Output
from run402_cli.core.jobs.views import view
from run402_cli.core.slots import Slots, pause
from run402_cli.core.web.outbound import post_json

log = logging.getLogger("run402.core.jobs")

AT_ONCE, SHARE = 8, 2
MAX_CALLBACKS = 5
# Longer than a call may take.
CALLBACK_LEASE = timedelta(seconds=30)
IDLE_SECONDS = 30.0


class Runner:
    """Two tasks that look for work, and one for each job and each callback in progress: `gateway.jobs`."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self._submitted, self._ended = asyncio.Event(), asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._running = Slots(AT_ONCE, SHARE, self.wake)
        self._calling = Slots(AT_ONCE, SHARE, self._ended.set)
        self._recovered = False

    def start(self) -> None:
        work = (self._loop(self._start_jobs, self._submitted), self._loop(self._call_back, self._ended))
        self._tasks = [asyncio.create_task(part) for part in work]

    async def close(self) -> None:
        """Stop; what is running starts again with the next gateway."""
        await tasks.end(*self._tasks)
        await self._running.close()
        await self._calling.close()

    def wake(self) -> None:
        """A job was submitted, or ended."""
        self._submitted.set()
        self._ended.set()

    def stop(self, job_id: str) -> bool:
        """End a job's work; its row has been written already. Was it running here?"""
        return self._running.cancel(job_id)

    async def _loop(self, step: Callable[[], Awaitable[float]], woken: asyncio.Event) -> None:
        while True:
            try:
                wait = await step()
            except Exception as exc:
                wait = 1.0
                if not is_away(exc):
                    log.exception("jobs: a tick failed")
                else:
                    log.warning("jobs wait for the database: %s", exc)
            try:
                await asyncio.wait_for(woken.wait(), wait)
            except TimeoutError:
                continue
            woken.clear()

    async def _start_jobs(self) -> float:
        """Begin what is queued, as far as there is room; seconds until the next look."""
        async with self.gateway.connection() as conn:
            if not self._recovered:
                await rows.requeue(conn)
                self._recovered = True
            while self._running.free and await self._start_next(conn):
                pass
        return IDLE_SECONDS

    async def _start_next(self, conn: Connection) -> bool:
        """Begin the oldest queued job. It can be stopped from the moment that others see it run."""
        task: asyncio.Task[None] | None = None
        try:
            async with conn.transaction():
                row = await rows.take(conn, self._running)
                if row is None:
                    return False
                task = self._running.start(row["job_id"], row["project_id"], self._job(row))
        except BaseException:
            if task is not None:
                task.cancel()
            raise
        return True

    async def _job(self, row: Mapping[str, Any]) -> None:
        started = time.perf_counter()
        artifacts: dict[str, Any] | None = None
        error: dict[str, str] | None = None
        try:
            await self._note(row["job_id"], f"{row['job_type']} started, attempt {row['attempts']}")
            outputs = await self._outputs(row)
            artifacts = await asyncio.to_thread(self._keep, row["project_id"], outputs)
        except JobFailed as exc:
            error = {"code": exc.code, "message": exc.message}
        except Exception as exc:
            if is_away(exc):
                # The row stays `running`; the next start of the gateway takes it up.
                log.warning("job %s: the database is away: %s", row["job_id"], exc)
                return
            log.exception("job %s failed in the gateway", row["job_id"])
            error = {"code": "INTERNAL_ERROR", "message": f"The job failed in the gateway ({type(exc).__name__})."}
        await self._finish(row, artifacts, error, time.perf_counter() - started)

    async def _outputs(self, row: Mapping[str, Any]) -> dict[str, Output]:
        kind = TYPES.get(row["job_type"])
        if kind is None:
            raise JobFailed("UNKNOWN_JOB_TYPE", f"This gateway has no job type {row['job_type']} any more.")
        return await kind.run(row["input"], lambda message: self._note(row["job_id"], message))

    async def _note(self, job_id: str, message: str) -> None:
        async with self.gateway.connection() as conn:
            await rows.say(conn, job_id, message)

    def _keep(self, project_id: str, outputs: Mapping[str, Output]) -> dict[str, Any]:
        kept = {}
        for name, output in outputs.items():
            sha256 = hashlib.sha256(output.data).hexdigest()
            self.gateway.store.put(project_id, sha256, output.data)
            kept[name] = {
                "content_type": output.content_type,
                "sha256": sha256,
                "size_bytes": len(output.data),
            }
        return kept

    async def _finish(
        self, row: Mapping[str, Any], artifacts: dict[str, Any] | None, error: dict[str, str] | None, seconds: float
    ) -> None:
        outcome = f"failed: {error['message']}" if error else f"completed with {len(artifacts or {})} files"
        try:
            await self._note(row["job_id"], outcome)
            async with self.gateway.connection() as conn:
                await rows.finish(conn, row["job_id"], artifacts=artifacts, error=error, seconds=seconds)
        except Exception as exc:
            log.warning("job %s could not be recorded: %s", row["job_id"], exc)

    async def _call_back(self) -> float:
        """Begin the callbacks that are due, as far as there is room; seconds until the next look."""
        async with self.gateway.connection() as conn:
            while self._calling.free:
                row = await rows.take_callback(conn, CALLBACK_LEASE, self._calling)
                if row is None:
                    break
                self._calling.start(row["job_id"], row["project_id"], self._callback(row))
            return pause(await rows.seconds_until_callback(conn), IDLE_SECONDS)

    async def _callback(self, row: Mapping[str, Any]) -> None:
        try:
            # The same id every time, so that the receiver recognizes a second call.
            headers = {"Run402-Webhook-Id": f"whk_{row['job_id'].removeprefix('job_')}"}
            status, _ = await post_json(row["callback_url"], view(self.gateway.settings.public_url, row), headers)
            attempts = row["callback_attempts"]
            over = (status is not None and 200 <= status < 300) or attempts >= MAX_CALLBACKS
            due = None if over else datetime.now(UTC) + timedelta(seconds=5 * 2 ** (attempts - 1))
            async with self.gateway.connection() as conn:
                await rows.called_back(conn, row["job_id"], due)
        except Exception as exc:
            # It is due again when its lease ends.
            if not is_away(exc):
                log.exception("the callback of %s failed in the gateway", row["job_id"])
            else:
                log.warning("the callback of %s could not be recorded: %s", row["job_id"], exc)
