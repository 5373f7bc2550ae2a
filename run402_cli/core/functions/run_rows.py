"""The tables of durable runs and of their attempts. Times come from the caller: what is shown is what is compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from run402_cli.core.db import IN_PROGRESS, Connection
from run402_cli.core.slots import Slots

DDL = """
CREATE TABLE IF NOT EXISTS internal.core_function_runs (
  run_id text PRIMARY KEY,
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  function_name text NOT NULL,
  event_type text NOT NULL,
  payload jsonb NOT NULL,
  idempotency_key text NOT NULL,
  intent_sha256 text NOT NULL,
  status text NOT NULL,
  generation int NOT NULL DEFAULT 1,
  run_at timestamptz NOT NULL,
  next_attempt_at timestamptz NOT NULL,
  expires_at timestamptz,
  source jsonb NOT NULL,
  retry jsonb NOT NULL,
  attempts_current int NOT NULL DEFAULT 0,
  attempts_total int NOT NULL DEFAULT 0,
  last_attempt jsonb,
  last_error jsonb,
  lease_owner text,
  lease_expires_at timestamptz,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  completed_at timestamptz,
  UNIQUE (project_id, function_name, idempotency_key)
);
CREATE INDEX IF NOT EXISTS core_function_runs_due ON internal.core_function_runs (next_attempt_at)
  WHERE status IN ('scheduled', 'queued', 'retrying', 'blocked', 'running');
CREATE INDEX IF NOT EXISTS core_function_runs_list
  ON internal.core_function_runs (project_id, function_name, created_at DESC, run_id DESC);
CREATE TABLE IF NOT EXISTS internal.core_function_run_attempts (
  attempt_id text PRIMARY KEY,
  run_id text NOT NULL REFERENCES internal.core_function_runs ON DELETE CASCADE,
  generation int NOT NULL,
  number int NOT NULL,
  started_at timestamptz NOT NULL,
  completed_at timestamptz,
  response_status int,
  error jsonb
);
"""

WAITING: Final = ("scheduled", "queued", "retrying", "blocked")
TERMINAL: Final = ("succeeded", "failed", "cancelled", "expired")


async def insert(
    conn: Connection,
    *,
    run_id: str,
    project_id: str,
    function_name: str,
    event_type: str,
    payload: Mapping[str, Any],
    key: str,
    intent: str,
    run_at: datetime,
    expires_at: datetime | None,
    source: Mapping[str, Any],
    retry: Mapping[str, Any],
    now: datetime,
) -> bool:
    """Whether it is new; a function's run of the same idempotency key stays as it is."""
    cursor = await conn.execute(
        "INSERT INTO internal.core_function_runs (run_id, project_id, function_name, event_type, payload,"
        " idempotency_key, intent_sha256, status, run_at, next_attempt_at, expires_at, source, retry, created_at,"
        " updated_at) VALUES (%(id)s, %(project)s, %(name)s, %(event)s, %(payload)s, %(key)s, %(intent)s, %(status)s,"
        " %(run_at)s, %(run_at)s, %(expires)s, %(source)s, %(retry)s, %(now)s, %(now)s)"
        " ON CONFLICT (project_id, function_name, idempotency_key) DO NOTHING RETURNING run_id",
        {
            "id": run_id,
            "project": project_id,
            "name": function_name,
            "event": event_type,
            "payload": Jsonb(payload),
            "key": key,
            "intent": intent,
            "status": "scheduled" if run_at > now else "queued",
            "run_at": run_at,
            "expires": expires_at,
            "source": Jsonb(source),
            "retry": Jsonb(retry),
            "now": now,
        },
    )
    return await cursor.fetchone() is not None


async def of_key(conn: Connection, project_id: str, function_name: str, key: str) -> dict[str, Any] | None:
    """The run that an idempotency key stands for."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT * FROM internal.core_function_runs"
            " WHERE project_id = %s AND function_name = %s AND idempotency_key = %s",
            (project_id, function_name, key),
        )
        return await cursor.fetchone()


async def find(conn: Connection, project_id: str, run_id: str) -> dict[str, Any] | None:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT * FROM internal.core_function_runs WHERE project_id = %s AND run_id = %s",
            (project_id, run_id.replace("\x00", "")),
        )
        return await cursor.fetchone()


async def newest(
    conn: Connection,
    project_id: str,
    function_name: str,
    *,
    status: str | None,
    event_type: str | None,
    since: datetime | None,
    until: datetime | None,
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Runs of a function, newest first, after the one of (created_at, run_id). The bounds are inclusive."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT * FROM internal.core_function_runs WHERE project_id = %(project)s AND function_name = %(name)s"
            " AND (%(status)s::text IS NULL OR status = %(status)s)"
            " AND (%(event)s::text IS NULL OR event_type = %(event)s)"
            " AND (%(since)s::timestamptz IS NULL OR created_at >= %(since)s)"
            " AND (%(until)s::timestamptz IS NULL OR created_at <= %(until)s)"
            " AND (%(at)s::timestamptz IS NULL OR (created_at, run_id) < (%(at)s::timestamptz, %(id)s::text))"
            " ORDER BY created_at DESC, run_id DESC LIMIT %(limit)s",
            {
                "project": project_id,
                "name": function_name,
                "status": status,
                "event": event_type,
                "since": since,
                "until": until,
                "at": after[0] if after else None,
                "id": after[1] if after else None,
                "limit": limit,
            },
        )
        return await cursor.fetchall()


async def has_any(conn: Connection, project_id: str, function_name: str) -> bool:
    """Whether the function has any run: one that is gone has left its own."""
    found = await conn.execute(
        "SELECT 1 FROM internal.core_function_runs WHERE project_id = %s AND function_name = %s LIMIT 1",
        (project_id, function_name),
    )
    return await found.fetchone() is not None


async def cancel(conn: Connection, run_id: str, error: Mapping[str, Any], now: datetime) -> None:
    """Unless it has ended."""
    await conn.execute(
        "UPDATE internal.core_function_runs SET status = 'cancelled', last_error = %s, completed_at = %s,"
        " updated_at = %s, lease_expires_at = NULL WHERE run_id = %s AND NOT status = ANY(%s)",
        (Jsonb(error), now, now, run_id, list(TERMINAL)),
    )


async def redrive(conn: Connection, run_id: str, retry: Mapping[str, Any], now: datetime) -> None:
    """Start it again, if it failed, was cancelled or expired."""
    # A time in the past would expire the run again at once.
    await conn.execute(
        "UPDATE internal.core_function_runs SET status = 'queued', generation = generation + 1, run_at = %(now)s,"
        " next_attempt_at = %(now)s, attempts_current = 0, retry = %(retry)s, last_error = NULL, last_attempt = NULL,"
        " completed_at = NULL, updated_at = %(now)s,"
        " expires_at = CASE WHEN expires_at > %(now)s THEN expires_at END"
        " WHERE run_id = %(id)s AND status IN ('failed', 'cancelled', 'expired')",
        {"now": now, "retry": Jsonb(retry), "id": run_id},
    )


async def recover(conn: Connection, owner: str) -> None:
    """What `owner` was doing when it ended is due again at once."""
    await conn.execute(
        "UPDATE internal.core_function_runs SET lease_expires_at = '-infinity'"
        " WHERE status = 'running' AND lease_owner = %s",
        (owner,),
    )


async def expire(conn: Connection, error: Mapping[str, Any], now: datetime) -> None:
    await conn.execute(
        "UPDATE internal.core_function_runs SET status = 'expired', last_error = %(error)s, completed_at = %(now)s,"
        " updated_at = %(now)s WHERE status = ANY(%(waiting)s) AND expires_at <= %(now)s",
        {"error": Jsonb(error), "now": now, "waiting": list(WAITING)},
    )


async def take_over(conn: Connection, error: Mapping[str, Any], now: datetime, ours: Sequence[str]) -> None:
    """Runs whose lease ended, but for `ours`: their attempt failed. A null status in it says that it has no answer."""
    await conn.execute(
        "UPDATE internal.core_function_runs SET last_error = %(error)s, updated_at = %(now)s,"
        " status = CASE WHEN attempts_current < (retry->>'max_attempts')::int THEN 'retrying' ELSE 'failed' END,"
        " completed_at = CASE WHEN attempts_current < (retry->>'max_attempts')::int THEN NULL ELSE %(now)s END,"
        " next_attempt_at = %(now)s, lease_expires_at = NULL"
        " WHERE status = 'running' AND lease_expires_at < now() AND NOT run_id = ANY(%(ours)s)",
        {"error": Jsonb(error), "now": now, "ours": list(ours)},
    )


async def claim(conn: Connection, owner: str, now: datetime, *, lease: datetime, ours: Slots) -> dict[str, Any] | None:
    """The run that is due longest, of a project with room in `ours`: it is running now, until its lease ends."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "UPDATE internal.core_function_runs SET status = 'running', attempts_current = attempts_current + 1,"
            " attempts_total = attempts_total + 1, lease_owner = %(owner)s, lease_expires_at = %(lease)s,"
            " updated_at = %(now)s WHERE run_id = (SELECT run_id FROM internal.core_function_runs"
            " WHERE status = ANY(%(waiting)s) AND next_attempt_at <= %(now)s AND NOT run_id = ANY(%(ours)s)"
            f" AND {IN_PROGRESS} < %(share)s ORDER BY {IN_PROGRESS}, next_attempt_at, run_id LIMIT 1"
            " FOR UPDATE SKIP LOCKED) RETURNING *",
            {
                "owner": owner,
                "lease": lease,
                "now": now,
                "waiting": list(WAITING),
                # A cancelled and redriven run may still be stopping here.
                "ours": ours.keys,
                "busy": Jsonb(ours.busy),
                "share": ours.share,
            },
        )
        return await cursor.fetchone()


async def begin_attempt(
    conn: Connection, row: Mapping[str, Any], attempt: Mapping[str, Any], started: datetime
) -> None:
    """Note an attempt (as runs show it: attempt_id, number) of a claimed run."""
    await conn.execute(
        "INSERT INTO internal.core_function_run_attempts (attempt_id, run_id, generation, number, started_at)"
        " VALUES (%s, %s, %s, %s, %s)",
        (attempt["attempt_id"], row["run_id"], row["generation"], attempt["number"], started),
    )
    await conn.execute(
        "UPDATE internal.core_function_runs SET last_attempt = %s WHERE run_id = %s",
        (Jsonb(attempt), row["run_id"]),
    )


async def end_attempt(
    conn: Connection,
    row: Mapping[str, Any],
    attempt: Mapping[str, Any],
    *,
    answered: int | None,
    error: Mapping[str, Any] | None,
    status: str,
    due: datetime | None,
    now: datetime,
) -> None:
    """How an attempt of a claimed run ended, and what becomes of the run. Inside a transaction."""
    await conn.execute(
        "UPDATE internal.core_function_run_attempts SET completed_at = %s, response_status = %s, error = %s"
        " WHERE attempt_id = %s",
        (now, answered, Jsonb(error) if error else None, attempt["attempt_id"]),
    )
    # Cancelled or redriven meanwhile: then this attempt decides nothing.
    await conn.execute(
        "UPDATE internal.core_function_runs SET status = %(status)s, last_attempt = %(attempt)s,"
        " last_error = %(error)s, next_attempt_at = coalesce(%(due)s, next_attempt_at), updated_at = %(now)s,"
        " completed_at = %(completed)s, lease_expires_at = NULL WHERE run_id = %(id)s AND status = 'running'"
        " AND generation = %(generation)s AND attempts_total = %(total)s",
        {
            "status": status,
            "attempt": Jsonb(attempt),
            "error": Jsonb(error) if error else None,
            "due": due,
            "now": now,
            "completed": None if status == "retrying" else now,
            "id": row["run_id"],
            "generation": row["generation"],
            "total": row["attempts_total"],
        },
    )
