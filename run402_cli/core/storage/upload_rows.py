"""The table of upload sessions: what somebody said that they would send."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from run402_cli.core.db import Connection
from run402_cli.core.storage.assets_request import Put

DDL = """
CREATE TABLE IF NOT EXISTS internal.core_storage_uploads (
  upload_id text PRIMARY KEY,
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  key text NOT NULL,
  declared_size bigint NOT NULL,
  declared_sha256 text NOT NULL,
  content_type text NOT NULL,
  visibility text NOT NULL,
  immutable boolean NOT NULL,
  status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'uploaded', 'completed', 'aborted')),
  bytes_written bigint NOT NULL DEFAULT 0,
  expires_at timestamptz NOT NULL,
  completed_at timestamptz,
  aborted_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now()
);
"""

COLUMNS: Final = (
    "upload_id, project_id, key, declared_size, declared_sha256, content_type, visibility, immutable, status,"
    " bytes_written, expires_at, completed_at, aborted_at, created_at"
)


@dataclass(frozen=True, slots=True)
class Session:
    """A row of internal.core_storage_uploads."""

    upload_id: str
    project_id: str
    key: str
    declared_size: int
    declared_sha256: str
    content_type: str
    visibility: str
    immutable: bool
    status: str
    bytes_written: int
    expires_at: datetime
    completed_at: datetime | None
    aborted_at: datetime | None
    created_at: datetime

    @property
    def expired(self) -> bool:
        return self.expires_at < datetime.now(UTC)

    @property
    def put(self) -> Put:
        return Put(
            self.key, self.declared_sha256, self.declared_size, self.content_type, self.visibility, self.immutable
        )


async def add(conn: Connection, project_id: str, put: Put, lifetime: timedelta) -> Session:
    """A session for an object of this key, size and digest."""
    cursor = await conn.execute(
        f"""INSERT INTO internal.core_storage_uploads
              (upload_id, project_id, key, declared_size, declared_sha256, content_type, visibility, immutable,
               expires_at)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s, now() + %s) RETURNING {COLUMNS}""",
        (
            f"upl_{secrets.token_hex(12)}",
            project_id,
            *(put.key, put.size_bytes, put.sha256, put.content_type, put.visibility, put.immutable),
            lifetime,
        ),
    )
    row = await cursor.fetchone()
    assert row is not None
    return Session(*row)


async def find(conn: Connection, project_id: str, upload_id: str) -> Session | None:
    cursor = await conn.execute(
        f"SELECT {COLUMNS} FROM internal.core_storage_uploads WHERE upload_id = %s AND project_id = %s",
        (upload_id, project_id),
    )
    row = await cursor.fetchone()
    return None if row is None else Session(*row)


async def mark_uploaded(conn: Connection, upload_id: str, size: int) -> Session | None:
    """None when it takes no bytes any more."""
    cursor = await conn.execute(
        "UPDATE internal.core_storage_uploads SET status = 'uploaded', bytes_written = %s"
        f" WHERE upload_id = %s AND status = 'active' RETURNING {COLUMNS}",
        (size, upload_id),
    )
    row = await cursor.fetchone()
    return None if row is None else Session(*row)


async def mark_completed(conn: Connection, upload_id: str) -> None:
    await conn.execute(
        "UPDATE internal.core_storage_uploads SET status = 'completed', completed_at = now() WHERE upload_id = %s",
        (upload_id,),
    )


async def mark_aborted(conn: Connection, project_id: str, upload_id: str) -> Session | None:
    """None when it is not there or has ended."""
    cursor = await conn.execute(
        "UPDATE internal.core_storage_uploads SET status = 'aborted', aborted_at = now()"
        f" WHERE upload_id = %s AND project_id = %s AND status IN ('active', 'uploaded') RETURNING {COLUMNS}",
        (upload_id, project_id),
    )
    row = await cursor.fetchone()
    return None if row is None else Session(*row)


async def remove_ended(conn: Connection, project_id: str) -> list[str]:
    """Ids of those that were over, and are gone now."""
    cursor = await conn.execute(
        "DELETE FROM internal.core_storage_uploads WHERE project_id = %s"
        " AND (status IN ('aborted', 'completed') OR expires_at < now()) RETURNING upload_id",
        (project_id,),
    )
    return [row[0] for row in await cursor.fetchall()]
