"""Operations: what became of a plan, phase by phase, and the events that tell it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from run402_cli.core.db import Connection, check_cursor
from run402_cli.core.errors import GatewayError
from run402_cli.core.projects.rows import Project
from run402_cli.core.web.instants import iso

DDL = """
CREATE TABLE IF NOT EXISTS internal.core_operations (
  operation_id text PRIMARY KEY,
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  plan_id text,
  status text NOT NULL,
  base_release_id text,
  target_release_id text,
  release_id text,
  error jsonb,
  activate_attempts int NOT NULL DEFAULT 0,
  last_activate_attempt_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE internal.core_operations ADD COLUMN IF NOT EXISTS kind text NOT NULL DEFAULT 'deploy';
ALTER TABLE internal.core_operations ADD COLUMN IF NOT EXISTS rehearsal_report jsonb;
CREATE INDEX IF NOT EXISTS core_operations_project ON internal.core_operations (project_id, created_at);
CREATE TABLE IF NOT EXISTS internal.core_operation_events (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  operation_id text NOT NULL REFERENCES internal.core_operations ON DELETE CASCADE,
  phase text NOT NULL,
  status text NOT NULL,
  message text NOT NULL,
  details jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS core_operation_events_operation ON internal.core_operation_events (operation_id, id);
"""

# Statuses of an operation that was committed and has neither succeeded nor been given up.
UNFINISHED = ("committing", "staging", "gating", "migrating", "schema_settling", "activating", "activation_pending")
DEFAULT_LIMIT, MAX_LIMIT = 100, 500
COLUMNS = (
    "operation_id, project_id, plan_id, status, base_release_id, target_release_id, release_id, error,"
    " activate_attempts, last_activate_attempt_at, created_at, updated_at, rehearsal_report"
)


@dataclass(frozen=True, slots=True)
class Operation:
    operation_id: str
    project_id: str
    plan_id: str | None
    status: str
    base_release_id: str | None
    target_release_id: str | None
    release_id: str | None
    error: dict[str, Any] | None
    activate_attempts: int
    last_activate_attempt_at: datetime | None
    created_at: datetime
    updated_at: datetime
    rehearsal_report: dict[str, Any] | None = None

    def snapshot(self, urls: Mapping[str, str] | None) -> dict[str, Any]:
        """The API's operation snapshot; `urls` only once the release serves."""
        return {
            "operation_id": self.operation_id,
            "project_id": self.project_id,
            "plan_id": self.plan_id,
            "status": self.status,
            "base_release_id": self.base_release_id,
            "target_release_id": self.target_release_id,
            "release_id": self.release_id,
            "urls": dict(urls) if urls is not None and self.status == "ready" else None,
            "payment_required": None,
            "error": self.error,
            "activate_attempts": self.activate_attempts,
            "last_activate_attempt_at": iso(self.last_activate_attempt_at),
            "created_at": iso(self.created_at),
            "updated_at": iso(self.updated_at),
            **({"rehearsal_report": self.rehearsal_report} if self.rehearsal_report else {}),
        }


async def fetch(conn: Connection, operation_id: str) -> Operation:
    """The operation, or 404 OPERATION_NOT_FOUND."""
    cur = await conn.execute(f"SELECT {COLUMNS} FROM internal.core_operations WHERE operation_id = %s", (operation_id,))
    row = await cur.fetchone()
    if row is None:
        raise GatewayError(
            404,
            "operation_not_found",
            f"There is no operation {operation_id} here. `run402 deploy list` prints the ones of a project.",
        )
    return Operation(*row)


async def advance(
    conn: Connection,
    operation_id: str,
    status: str,
    phase: str,
    event: str,
    message: str,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Move an operation to `status` and record what happened, in one statement."""
    await conn.execute(
        "WITH moved AS (UPDATE internal.core_operations SET status = %s, updated_at = now() WHERE operation_id = %s)"
        " INSERT INTO internal.core_operation_events (operation_id, phase, status, message, details)"
        " VALUES (%s, %s, %s, %s, %s)",
        (status, operation_id, operation_id, phase, event, message, Jsonb(dict(details or {}))),
    )


async def record(
    conn: Connection, kind: str, project_id: str, message: str, *, report: Mapping[str, Any] | None = None
) -> str:
    """Note something that is over already and is no deploy (snapshot, restore, branch, rehearsal); its id."""
    operation_id = f"op_{secrets.token_hex(12)}"
    async with conn.transaction():
        await conn.execute(
            "INSERT INTO internal.core_operations (operation_id, project_id, status, kind, rehearsal_report)"
            " VALUES (%s, %s, 'ready', %s, %s)",
            (
                operation_id,
                project_id,
                kind,
                None if report is None else Jsonb({**report, "operation_id": operation_id}),
            ),
        )
        await advance(conn, operation_id, "ready", kind, "done", message)
    return operation_id


async def set_release(conn: Connection, operation_id: str, release_id: str) -> None:
    """The release that an operation made."""
    await conn.execute(
        "UPDATE internal.core_operations SET release_id = %s WHERE operation_id = %s", (release_id, operation_id)
    )


async def begin_promotion(conn: Connection, operation_id: str, project: Project, release_id: str) -> None:
    await conn.execute(
        "INSERT INTO internal.core_operations (operation_id, project_id, status, base_release_id,"
        " target_release_id, release_id) VALUES (%s, %s, 'activating', %s, %s, %s)",
        (operation_id, project.project_id, project.active_release_id, release_id, release_id),
    )


async def newest(conn: Connection, project_id: str, *, limit: int, after: str | None) -> list[Operation]:
    """The deploys of a project, newest first, from the one after the operation `after` on."""
    if after is not None:
        await check_cursor(conn, "cursor", after, "core_operations", operation_id=after, project_id=project_id)
    cur = await conn.execute(
        f"SELECT {COLUMNS} FROM internal.core_operations WHERE project_id = %(project)s AND kind = 'deploy'"
        " AND (%(cursor)s::text IS NULL"
        " OR (created_at, operation_id) < (SELECT created_at, operation_id FROM internal.core_operations"
        " WHERE operation_id = %(cursor)s AND project_id = %(project)s))"
        " ORDER BY created_at DESC, operation_id DESC LIMIT %(limit)s",
        {"project": project_id, "cursor": after, "limit": limit},
    )
    return [Operation(*row) for row in await cur.fetchall()]


async def events_of(conn: Connection, operation_id: str, *, after: int, limit: int) -> list[tuple[Any, ...]]:
    """(id, phase, status, message, details, created_at) of what happened after the event `after`."""
    cur = await conn.execute(
        "SELECT id, phase, status, message, details, created_at FROM internal.core_operation_events"
        " WHERE operation_id = %s AND id > %s ORDER BY id LIMIT %s",
        (operation_id, after, limit),
    )
    return await cur.fetchall()
