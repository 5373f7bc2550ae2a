"""Carries jobs out, two at a time, and calls back when they end. What a stopped gateway left running starts again."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg_pool import PoolTimeout

from run402_cli.core import tasks
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import Gateway
from run402_cli.core.jobs import rows
from run402_cli.core.jobs.types import TYPES, JobFailed, Output
from run402_cli.core.jobs.views import view
from run402_cli.core.web.outbound import post_json

log = logging.getLogger("run402.core.jobs")

AT_ONCE = 2
MAX_CALLBACKS = 5
IDLE_SECONDS = 30.0


class Runner:
    """A task that looks for work, one that calls back, and one for each job in progress: `gateway.jobs`."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self._submitted, self._ended = asyncio.Event(), asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._running: dict[str, asyncio.Task[None]] = {}
        self._recovered = False

    def start(self) -> None:
        # Apart, because a callback may wait ten seconds for its receiver.
        work = (self._loop(self._start_jobs, self._submitted), self._loop(self._call_back, self._ended))
        self._tasks = [asyncio.create_task(part) for part in work]

    async def close(self) -> None:
        """Stop; what is running starts again with the next gateway."""
        await tasks.end(*self._running.values(), *self._tasks)

    def wake(self) -> None:
        """A job was submitted, or ended."""
        self._submitted.set()
        self._ended.set()

    def stop(self, job_id: str) -> bool:
        """End a job's work; its row has been written already. Was it running here?"""
        task = self._running.get(job_id)
        if task is not None:
            task.cancel()
        return task is not None

    async def _loop(self, step: Callable[[], Awaitable[float]], woken: asyncio.Event) -> None:
        while True:
            try:
                wait = await step()
            except (psycopg.Error, PoolTimeout, GatewayError) as exc:
                log.warning("jobs wait for the database: %s", exc)
                wait = 1.0
            except Exception:
                log.exception("jobs: a tick failed")
                wait = IDLE_SECONDS
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
            while len(self._running) < AT_ONCE and await self._start_next(conn):
                pass
        return IDLE_SECONDS

    async def _start_next(self, conn: Connection) -> bool:
        """Begin the oldest queued job. It can be stopped from the moment that others see it run."""
        task: asyncio.Task[None] | None = None
        try:
            async with conn.transaction():
                row = await rows.take(conn)
                if row is None:
                    return False
                task = self._running[row["job_id"]] = asyncio.create_task(self._job(row))
                task.add_done_callback(self._done)
        except BaseException:
            if task is not None:
                task.cancel()
            raise
        return True

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running = {job_id: other for job_id, other in self._running.items() if other is not task}
        self.wake()

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
        except (psycopg.Error, PoolTimeout, GatewayError) as exc:
            # The row stays `running`; the next start of the gateway takes it up.
            log.warning("job %s: the database is away: %s", row["job_id"], exc)
            return
        except Exception as exc:
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
        except (psycopg.Error, PoolTimeout, GatewayError) as exc:
            log.warning("job %s could not be recorded: %s", row["job_id"], exc)

    async def _call_back(self) -> float:
        """Make the callbacks that are due; seconds until the next one."""
        while True:
            async with self.gateway.connection() as conn:
                row = await rows.next_callback(conn)
            if row is None or row["wait"] > 0:
                return IDLE_SECONDS if row is None else min(IDLE_SECONDS, max(0.05, row["wait"]))
            # The same id every time, so that the receiver recognizes a second call.
            headers = {"Run402-Webhook-Id": f"whk_{row['job_id'].removeprefix('job_')}"}
            status, _ = await post_json(row["callback_url"], view(self.gateway.settings.public_url, row), headers)
            attempts = row["callback_attempts"] + 1
            over = (status is not None and 200 <= status < 300) or attempts >= MAX_CALLBACKS
            due = None if over else datetime.now(UTC) + timedelta(seconds=5 * 2 ** (attempts - 1))
            async with self.gateway.connection() as conn:
                await rows.called_back(conn, row["job_id"], attempts, due)
