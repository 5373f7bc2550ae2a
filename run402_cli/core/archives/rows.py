"""The tables of archives, and of the users that came with one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from psycopg.types.json import Jsonb

from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.projects import lock_rows
from run402_cli.core.projects.rows import Project

DDL = """
CREATE TABLE IF NOT EXISTS internal.core_archives (
  archive_id text PRIMARY KEY,
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  operation_id text NOT NULL,
  idempotency_key text,
  status text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'ready', 'failed', 'expired')),
  scope text NOT NULL,
  auth_export text NOT NULL,
  consistency_mode text NOT NULL,
  active_release_id text,
  facts jsonb NOT NULL DEFAULT '{}',
  error jsonb,
  byte_count bigint,
  sha256 text,
  expires_at timestamptz NOT NULL,
  started_at timestamptz NOT NULL DEFAULT now(),
  completed_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (project_id, idempotency_key)
);
CREATE TABLE IF NOT EXISTS internal.core_auth_subject_stubs (
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  subject_id text NOT NULL,
  subject_references jsonb NOT NULL DEFAULT '[]',
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, subject_id)
);
"""

LIFETIME: Final = timedelta(days=7)
_COLUMNS: Final = (
    "archive_id, project_id, operation_id, status, scope, auth_export, consistency_mode, active_release_id, facts,"
    " error, byte_count, sha256, expires_at, started_at, completed_at, created_at, updated_at"
)


@dataclass(frozen=True, slots=True)
class ArchiveRecord:
    """A row of internal.core_archives; `facts` has consistency, export_report and portability_report once they are known."""

    archive_id: str
    project_id: str
    operation_id: str
    status: str
    scope: str
    auth_export: str
    consistency_mode: str
    active_release_id: str | None
    facts: dict[str, Any]
    error: dict[str, Any] | None
    byte_count: int | None
    sha256: str | None
    expires_at: datetime
    started_at: datetime
    completed_at: datetime | None
    created_at: datetime
    updated_at: datetime


async def lock_key(conn: Connection, key: str) -> None:
    """Until the end of the transaction no other export starts with this idempotency key."""
    await lock_rows.take(conn, "export", key)


async def insert(
    conn: Connection,
    archive_id: str,
    project: Project,
    *,
    operation_id: str,
    key: str | None,
    scope: str,
    auth_export: str,
    consistency: str,
) -> ArchiveRecord:
    cur = await conn.execute(
        "INSERT INTO internal.core_archives (archive_id, project_id, operation_id, idempotency_key, scope,"
        " auth_export, consistency_mode, active_release_id, expires_at)"
        f" VALUES (%s, %s, %s, %s, %s, %s, %s, %s, now() + %s) RETURNING {_COLUMNS}",
        (
            *(archive_id, project.project_id, operation_id, key, scope, auth_export, consistency),
            *(project.active_release_id, LIFETIME),
        ),
    )
    row: Any = await cur.fetchone()
    return ArchiveRecord(*row)


async def find_by_key(conn: Connection, project_id: str, key: str) -> ArchiveRecord | None:
    """The archive that an earlier request with this idempotency key started."""
    cur = await conn.execute(
        f"SELECT {_COLUMNS} FROM internal.core_archives WHERE project_id = %s AND idempotency_key = %s",
        (project_id, key),
    )
    row = await cur.fetchone()
    return None if row is None else ArchiveRecord(*row)


async def fetch(conn: Connection, project_id: str, archive_id: str) -> ArchiveRecord:
    """The archive, or 404 ARCHIVE_NOT_FOUND. One whose time is over has the status expired."""
    await conn.execute(
        "UPDATE internal.core_archives SET status = 'expired', updated_at = now()"
        " WHERE archive_id = %s AND status = 'ready' AND expires_at <= now()",
        (archive_id,),
    )
    cur = await conn.execute(
        f"SELECT {_COLUMNS} FROM internal.core_archives WHERE project_id = %s AND archive_id = %s",
        (project_id, archive_id),
    )
    row = await cur.fetchone()
    if row is None:
        raise GatewayError(
            404,
            "archive_not_found",
            f"Project {project_id} has no archive {archive_id}. Make one: run402 cloud archives create --wait",
            archive_id=archive_id,
        )
    return ArchiveRecord(*row)


async def fail(conn: Connection, archive_id: str, error: dict[str, Any]) -> None:
    """Note that an export came to nothing."""
    await conn.execute(
        "UPDATE internal.core_archives SET status = 'failed', error = %s, completed_at = now(), updated_at = now()"
        " WHERE archive_id = %s AND status = 'running'",
        (Jsonb(error), archive_id),
    )


async def finish(
    conn: Connection, archive_id: str, *, facts: dict[str, Any], size: int, sha256: str, release_id: str | None
) -> None:
    """The archive is there; `size` in bytes, `release_id` the release in it."""
    await conn.execute(
        "UPDATE internal.core_archives SET status = 'ready', facts = %s, byte_count = %s, sha256 = %s,"
        " active_release_id = %s, completed_at = now(), updated_at = now() WHERE archive_id = %s",
        (Jsonb(facts), size, sha256, release_id, archive_id),
    )


async def wanted(conn: Connection) -> set[str]:
    """The archives that are made or kept at this moment."""
    cur = await conn.execute(
        "SELECT archive_id FROM internal.core_archives WHERE status IN ('running', 'ready') AND expires_at > now()"
    )
    return {row[0] for row in await cur.fetchall()}


async def add_subjects(conn: Connection, project_id: str, subjects: Iterable[tuple[str, list[str]]]) -> None:
    """Users that came with an archive: (subject id, what refers to it)."""
    for subject, references in subjects:
        await conn.execute(
            "INSERT INTO internal.core_auth_subject_stubs (project_id, subject_id, subject_references)"
            " VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            (project_id, subject, Jsonb(references)),
        )


async def subjects(conn: Connection, project_id: str) -> list[tuple[str, list[str] | None]]:
    """The users of a project by id, those that came with an archive and its own; references only of the former."""
    cur = await conn.execute(
        "SELECT subject_id, subject_references FROM internal.core_auth_subject_stubs WHERE project_id = %(project)s"
        " UNION ALL SELECT user_id, NULL FROM internal.core_auth_users u WHERE project_id = %(project)s"
        " AND NOT EXISTS (SELECT 1 FROM internal.core_auth_subject_stubs s"
        " WHERE s.project_id = u.project_id AND s.subject_id = u.user_id) ORDER BY 1",
        {"project": project_id},
    )
    return await cur.fetchall()


async def lock_name(conn: Connection, name: str) -> None:
    """Until the end of the transaction nothing else is imported under this name."""
    await lock_rows.take(conn, "import", name)
