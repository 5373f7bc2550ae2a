"""The tables of jobs and of what they say."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from run402_cli.core.db import IN_PROGRESS, Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.slots import Slots

DDL = """
CREATE TABLE IF NOT EXISTS internal.core_jobs (
  job_id text PRIMARY KEY,
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  job_type text NOT NULL,
  input jsonb NOT NULL,
  max_cost_usd_micros bigint NOT NULL,
  idempotency_key text,
  request_sha256 text NOT NULL,
  status text NOT NULL DEFAULT 'queued',
  artifacts jsonb,
  error jsonb,
  attempts int NOT NULL DEFAULT 0,
  wall_seconds double precision,
  created_at timestamptz NOT NULL DEFAULT now(),
  started_at timestamptz,
  completed_at timestamptz,
  callback_url text,
  callback_due_at timestamptz,
  callback_attempts int NOT NULL DEFAULT 0,
  UNIQUE (project_id, idempotency_key)
);
CREATE INDEX IF NOT EXISTS core_jobs_active ON internal.core_jobs (created_at) WHERE status IN ('queued', 'running');
CREATE TABLE IF NOT EXISTS internal.core_job_logs (
  id bigserial PRIMARY KEY,
  job_id text NOT NULL REFERENCES internal.core_jobs ON DELETE CASCADE,
  timestamp timestamptz NOT NULL DEFAULT now(),
  message text NOT NULL
);
CREATE INDEX IF NOT EXISTS core_job_logs_job ON internal.core_job_logs (job_id, id);
"""
ACTIVE = ("queued", "running")
Row = dict[str, Any]


async def _one(conn: Connection, query: str, values: Mapping[str, Any]) -> Row | None:
    async with conn.cursor(row_factory=dict_row) as cursor:
        return await (await cursor.execute(query.encode(), values)).fetchone()


async def insert(conn: Connection, project_id: str, values: Mapping[str, Any]) -> Row | None:
    """A queued job; None when the project has one with this idempotency key.

    `values`: job_type, input, cost (USD micros), callback, key, sha256 (of the request).
    """
    return await _one(
        conn,
        "INSERT INTO internal.core_jobs (job_id, project_id, job_type, input, max_cost_usd_micros, callback_url,"
        " idempotency_key, request_sha256) VALUES (%(job_id)s, %(project_id)s, %(job_type)s, %(input)s,"
        " %(cost)s, %(callback)s, %(key)s, %(sha256)s)"
        " ON CONFLICT (project_id, idempotency_key) DO NOTHING RETURNING *",
        {
            **values,
            "input": Jsonb(values["input"]),
            "job_id": f"job_{secrets.token_hex(12)}",
            "project_id": project_id,
        },
    )


async def of_key(conn: Connection, project_id: str, key: str) -> Row | None:
    """The job that an idempotency key made."""
    query = "SELECT * FROM internal.core_jobs WHERE project_id = %(project)s AND idempotency_key = %(key)s"
    return await _one(conn, query, {"project": project_id, "key": key})


async def fetch(conn: Connection, project_id: str, job_id: str) -> Row:
    """The job, or 404 JOB_NOT_FOUND."""
    query = "SELECT * FROM internal.core_jobs WHERE job_id = %(job)s AND project_id = %(project)s"
    row = await _one(conn, query, {"job": job_id.replace("\0", ""), "project": project_id})
    if row is None:
        raise GatewayError(404, "job_not_found", f"{project_id} has no job {job_id}.", job_id=job_id)
    return row


async def cancel(conn: Connection, job_id: str) -> bool:
    """Did the job end now? One that has ended already stays as it is."""
    cursor = await conn.execute(
        "UPDATE internal.core_jobs SET status = 'cancelled', completed_at = now(),"
        " callback_due_at = CASE WHEN callback_url IS NULL THEN NULL ELSE now() END"
        " WHERE job_id = %s AND status = ANY(%s)",
        (job_id, list(ACTIVE)),
    )
    return cursor.rowcount > 0


async def delete_all(conn: Connection, project_id: str) -> list[tuple[str, str]]:
    """Every job of a project goes: their ids, and the status that each had."""
    cursor = await conn.execute(
        "DELETE FROM internal.core_jobs WHERE project_id = %s RETURNING job_id, status", (project_id,)
    )
    return await cursor.fetchall()


async def requeue(conn: Connection) -> None:
    """What a gateway that stopped left running starts again."""
    await conn.execute("UPDATE internal.core_jobs SET status = 'queued' WHERE status = 'running'")


async def take(conn: Connection, ours: Slots) -> Row | None:
    """The oldest queued job of a project with room in `ours`, now running; None when there is none."""
    return await _one(
        conn,
        "UPDATE internal.core_jobs SET status = 'running', attempts = attempts + 1,"
        " started_at = now() WHERE job_id = (SELECT job_id FROM internal.core_jobs"
        f" WHERE status = 'queued' AND {IN_PROGRESS} < %(share)s"
        f" ORDER BY {IN_PROGRESS}, created_at, job_id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING *",
        {"busy": Jsonb(ours.busy), "share": ours.share},
    )


async def finish(
    conn: Connection,
    job_id: str,
    *,
    artifacts: dict[str, Any] | None,
    error: dict[str, str] | None,
    seconds: float,
) -> None:
    """A running job ended, failed when there is an error; not over a cancellation that came first."""
    await conn.execute(
        "UPDATE internal.core_jobs SET status = %s, artifacts = %s, error = %s, wall_seconds = %s,"
        " completed_at = now(), callback_due_at = CASE WHEN callback_url IS NULL THEN NULL ELSE now() END"
        " WHERE job_id = %s AND status = 'running'",
        (
            "failed" if error else "completed",
            Jsonb(artifacts) if artifacts else None,
            Jsonb(error) if error else None,
            round(seconds, 3),
            job_id,
        ),
    )


async def take_callback(conn: Connection, lease: timedelta, ours: Slots) -> Row | None:
    """A job of a project with room in `ours` that is called back for now; after `lease` it is due again."""
    return await _one(
        conn,
        "UPDATE internal.core_jobs SET callback_due_at = now() + %(lease)s, callback_attempts = callback_attempts + 1"
        " WHERE job_id = (SELECT job_id FROM internal.core_jobs WHERE callback_due_at <= now()"
        f" AND NOT job_id = ANY(%(ours)s) AND {IN_PROGRESS} < %(share)s"
        f" ORDER BY {IN_PROGRESS}, callback_due_at LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING *",
        {"lease": lease, "busy": Jsonb(ours.busy), "share": ours.share, "ours": ours.keys},
    )


async def seconds_until_callback(conn: Connection) -> float | None:
    """Until the next one is due, below 0 when it is overdue; None when none waits."""
    cursor = await conn.execute(
        "SELECT extract(epoch FROM min(callback_due_at) - now())::float FROM internal.core_jobs"
        " WHERE callback_due_at IS NOT NULL"
    )
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def called_back(conn: Connection, job_id: str, due: datetime | None) -> None:
    """When it is tried again; None: not again."""
    await conn.execute("UPDATE internal.core_jobs SET callback_due_at = %s WHERE job_id = %s", (due, job_id))


async def say(conn: Connection, job_id: str, message: str) -> None:
    """A line of the job's log; nothing when the job is gone."""
    await conn.execute(
        "INSERT INTO internal.core_job_logs (job_id, message) SELECT job_id, %s FROM internal.core_jobs"
        " WHERE job_id = %s",
        (message, job_id),
    )


async def said(conn: Connection, job_id: str, *, since: datetime | None, tail: int) -> list[tuple[int, datetime, str]]:
    """Number, moment and message of the last `tail` lines of a job's log, oldest first."""
    cursor = await conn.execute(
        "SELECT id, timestamp, message FROM internal.core_job_logs WHERE job_id = %(job)s"
        " AND (%(since)s::timestamptz IS NULL OR timestamp >= %(since)s) ORDER BY id DESC LIMIT %(tail)s",
        {"job": job_id, "since": since, "tail": tail},
    )
    return list(reversed(await cursor.fetchall()))
