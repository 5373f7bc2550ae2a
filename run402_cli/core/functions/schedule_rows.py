"""The table of schedules: triggers of functions that make a run at a time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from run402_cli.core.db import Connection

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

_ONE = " WHERE project_id = %(project_id)s AND function_name = %(function_name)s AND trigger_id = %(trigger_id)s"


async def switch_off(conn: Connection, project_id: str) -> None:
    """All of a project's; those that stay are put again."""
    await conn.execute(
        "UPDATE internal.core_function_schedules SET active = false, next_tick_at = NULL WHERE project_id = %s",
        (project_id,),
    )


async def put(
    conn: Connection, project_id: str, function_name: str, trigger: Mapping[str, Any], tick: datetime | None
) -> None:
    """A schedule of the active release; its counts are kept."""
    await conn.execute(
        "INSERT INTO internal.core_function_schedules (project_id, function_name, trigger_id, trigger,"
        " next_tick_at) VALUES (%s, %s, %s, %s, %s) ON CONFLICT (project_id, function_name, trigger_id)"
        " DO UPDATE SET trigger = excluded.trigger, next_tick_at = excluded.next_tick_at, active = true,"
        " last_error = NULL",
        (project_id, function_name, trigger["id"], Jsonb(trigger), tick),
    )


async def due(conn: Connection) -> list[dict[str, Any]]:
    """The keys of those whose time has come: project_id, function_name, trigger_id."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT project_id, function_name, trigger_id FROM internal.core_function_schedules"
            " WHERE active AND next_tick_at <= now() ORDER BY next_tick_at"
        )
        return await cursor.fetchall()


async def take(conn: Connection, key: Mapping[str, Any]) -> dict[str, Any] | None:
    """A schedule that is still due, with active_release_id of its project, locked; None when another one holds it."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT s.*, p.active_release_id FROM internal.core_function_schedules s"
            " JOIN internal.core_projects p USING (project_id) WHERE s.project_id = %(project_id)s"
            " AND s.function_name = %(function_name)s AND s.trigger_id = %(trigger_id)s"
            " AND s.active AND s.next_tick_at <= now() FOR UPDATE OF s SKIP LOCKED",
            _key(key),
        )
        return await cursor.fetchone()


async def locked(
    conn: Connection, project_id: str, function_name: str, trigger_id: str | None
) -> dict[str, Any] | None:
    """A function's schedule, or its first one, with active_release_id of the project."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT s.*, p.active_release_id FROM internal.core_function_schedules s"
            " JOIN internal.core_projects p USING (project_id) WHERE s.project_id = %(project)s AND s.active"
            " AND s.function_name = %(name)s AND (%(trigger)s::text IS NULL OR s.trigger_id = %(trigger)s)"
            " ORDER BY s.trigger_id LIMIT 1 FOR UPDATE OF s",
            {"project": project_id, "name": function_name, "trigger": trigger_id},
        )
        return await cursor.fetchone()


async def note_failure(conn: Connection, row: Mapping[str, Any], reason: str, tick: datetime | None) -> None:
    """No run was made of it; the next try is at `tick`, None for none."""
    await conn.execute(
        "UPDATE internal.core_function_schedules SET next_tick_at = %(tick)s, last_error = %(reason)s" + _ONE,
        {**_key(row), "tick": tick, "reason": reason},
    )


async def set_next_tick(conn: Connection, row: Mapping[str, Any], tick: datetime | None) -> None:
    await conn.execute(
        "UPDATE internal.core_function_schedules SET next_tick_at = %(tick)s" + _ONE, {**_key(row), "tick": tick}
    )


async def note_run(conn: Connection, row: Mapping[str, Any], moment: datetime, run_id: str) -> None:
    """A run was made of it."""
    await conn.execute(
        "UPDATE internal.core_function_schedules SET last_enqueued_at = %(at)s, last_run_id = %(run)s,"
        " run_count = run_count + 1, last_error = NULL" + _ONE,
        {**_key(row), "at": moment, "run": run_id},
    )


def _key(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("project_id", "function_name", "trigger_id")}


async def active(conn: Connection, project_id: str) -> list[dict[str, Any]]:
    """Every schedule of the active release, with run_status, last_attempt and run_error of its last run."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT s.*, r.status AS run_status, r.last_attempt, r.last_error AS run_error"
            " FROM internal.core_function_schedules s LEFT JOIN internal.core_function_runs r"
            " ON r.run_id = s.last_run_id WHERE s.project_id = %s AND s.active ORDER BY s.function_name, s.trigger_id",
            (project_id,),
        )
        return await cursor.fetchall()
