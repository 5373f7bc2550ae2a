"""Tables of archives and of the users that came with them, and what the API shows of an archive."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from psycopg.types.json import Jsonb

from run402_cli.archive.format import VERSION
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError, run_command
from run402_cli.core.gateway import Gateway
from run402_cli.core.web.instants import iso

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
DO $do$
BEGIN
  GRANT USAGE ON SCHEMA auth TO run402_archive_importer;
  IF NOT (SELECT rolbypassrls FROM pg_roles WHERE rolname = 'run402_archive_importer') THEN
    ALTER ROLE run402_archive_importer BYPASSRLS;
  END IF;
EXCEPTION WHEN insufficient_privilege OR unique_violation THEN
  NULL;  -- not a superuser, or another gateway on the same server does it at this moment
END
$do$;
"""

LIFETIME: Final = timedelta(days=7)
COLUMNS: Final = (
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

    def view(self) -> dict[str, Any]:
        """The API's archive object; sizes in bytes."""
        ready = self.status == "ready"
        return {
            "archive_id": self.archive_id,
            "operation_id": self.operation_id,
            "project_id": self.project_id,
            "status": self.status,
            "format_version": VERSION,
            "scope": self.scope,
            "auth_export": self.auth_export,
            "consistency_mode": self.consistency_mode,
            "active_release_id": self.active_release_id,
            "consistency": self.facts.get("consistency", {}),
            "export_report": self.facts.get("export_report", {}),
            "portability_report": self.facts.get("portability_report", {"entries": []}),
            "error": self.error,
            "byte_count": self.byte_count,
            "sha256": self.sha256,
            "content_type": "application/x-tar" if ready else None,
            "download_url": f"/projects/v1/{self.project_id}/archives/{self.archive_id}/download" if ready else None,
            "download_authorized_until": iso(self.expires_at) if ready else None,
            "expires_at": iso(self.expires_at),
            "started_at": iso(self.started_at),
            "completed_at": iso(self.completed_at),
            "created_at": iso(self.created_at),
            "updated_at": iso(self.updated_at),
            "next_action": self._next_action(),
        }

    def _next_action(self) -> dict[str, Any]:
        name = (self.archive_id, "--project", self.project_id)
        match self.status:
            case "ready":
                return run_command("cloud", "archives", "download", *name, "--output", f"{self.archive_id}.r402ar")
            case "running":
                return run_command("cloud", "archives", "status", *name)
            case _:
                return run_command("cloud", "archives", "create", "--project", self.project_id, "--wait")


def file_of(gateway: Gateway, archive_id: str) -> Path:
    """Where the archive's bytes are."""
    return gateway.settings.data_dir / "archives" / f"{archive_id}.r402ar"


async def sweep(gateway: Gateway, conn: Connection) -> None:
    """Remove the files of archives that have expired, failed, or gone with their project."""
    cur = await conn.execute(
        "SELECT archive_id FROM internal.core_archives WHERE status IN ('running', 'ready') AND expires_at > now()"
    )
    kept = {row[0] for row in await cur.fetchall()}
    await asyncio.to_thread(_remove_others, gateway.settings.data_dir / "archives", kept)


def _remove_others(folder: Path, kept: Collection[str]) -> None:
    for path in folder.glob("*") if folder.exists() else ():
        if path.stem not in kept:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


async def find_by_key(conn: Connection, project_id: str, key: str) -> ArchiveRecord | None:
    """The archive that an earlier request with this idempotency key started."""
    cur = await conn.execute(
        f"SELECT {COLUMNS} FROM internal.core_archives WHERE project_id = %s AND idempotency_key = %s",
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
        f"SELECT {COLUMNS} FROM internal.core_archives WHERE project_id = %s AND archive_id = %s",
        (project_id, archive_id),
    )
    row = await cur.fetchone()
    if row is None:
        raise GatewayError(
            404,
            "archive_not_found",
            f"Project {project_id} has no archive {archive_id}. Make one: run402 cloud archives create --wait",
            code="ARCHIVE_NOT_FOUND",
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
