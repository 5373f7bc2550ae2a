"""Tables of content on its way in: plans, and the uploads of each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.projects.rows import Project

DDL = """
CREATE TABLE IF NOT EXISTS internal.core_content_plans (
  plan_id text PRIMARY KEY,
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  entries jsonb NOT NULL,
  expires_at timestamptz NOT NULL,
  committed_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS internal.core_content_uploads (
  upload_id text PRIMARY KEY,
  plan_id text NOT NULL REFERENCES internal.core_content_plans ON DELETE CASCADE,
  project_id text NOT NULL,
  sha256 text NOT NULL,
  size_bytes bigint NOT NULL,
  part_bytes bigint NOT NULL,
  parts_done int[] NOT NULL DEFAULT '{}',
  stored boolean NOT NULL DEFAULT false
);
CREATE INDEX IF NOT EXISTS core_content_uploads_plan ON internal.core_content_uploads (plan_id);
"""


@dataclass(frozen=True, slots=True)
class Upload:
    """One object on its way in; `part_bytes` is the size of every part but the last."""

    upload_id: str
    plan_id: str
    project_id: str
    sha256: str
    size: int
    part_bytes: int
    done: frozenset[int] = frozenset()  # parts that are stored

    @property
    def open_parts(self) -> list[int]:
        """Numbers of the parts still to be sent."""
        return [number for number in range(1, self.part_count + 1) if number not in self.done]

    @property
    def part_count(self) -> int:
        return max(1, -(-self.size // self.part_bytes))

    def span(self, part: int) -> tuple[int, int]:
        """First byte and length of a part."""
        start = (part - 1) * self.part_bytes
        return start, min(self.part_bytes, self.size - start)


async def mark_committed(conn: Connection, plan_id: str) -> None:
    await conn.execute(
        "UPDATE internal.core_content_plans SET committed_at = coalesce(committed_at, now()) WHERE plan_id = %s",
        (plan_id,),
    )


async def add_part(conn: Connection, upload_id: str, part: int) -> None:
    """The part is stored and synced."""
    await conn.execute(
        "UPDATE internal.core_content_uploads SET parts_done = parts_done || %s::int"
        " WHERE upload_id = %s AND NOT %s = ANY(parts_done)",
        (part, upload_id, part),
    )


async def forget_parts(conn: Connection, upload_id: str) -> None:
    await conn.execute("UPDATE internal.core_content_uploads SET parts_done = '{}' WHERE upload_id = %s", (upload_id,))


async def mark_stored(conn: Connection, upload_id: str) -> None:
    """The upload has become an object."""
    await conn.execute("UPDATE internal.core_content_uploads SET stored = true WHERE upload_id = %s", (upload_id,))


async def store_plan(
    conn: Connection,
    plan_id: str,
    project: Project,
    wanted: dict[str, int],
    expires_at: datetime,
    uploads: list[Upload],
) -> None:
    entries = [{"sha256": sha256, "size": size} for sha256, size in wanted.items()]
    async with conn.transaction(), conn.cursor() as cur:
        await cur.execute("DELETE FROM internal.core_content_plans WHERE expires_at < now() - interval '1 day'")
        await cur.execute(
            "INSERT INTO internal.core_content_plans (plan_id, project_id, entries, expires_at) VALUES (%s, %s, %s, %s)",
            (plan_id, project.project_id, Jsonb(entries), expires_at),
        )
        await cur.executemany(
            "INSERT INTO internal.core_content_uploads (upload_id, plan_id, project_id, sha256, size_bytes, part_bytes)"
            " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (upload_id) DO UPDATE SET plan_id = excluded.plan_id",
            [(u.upload_id, plan_id, u.project_id, u.sha256, u.size, u.part_bytes) for u in uploads],
        )


async def fetch_plan(conn: Connection, plan_id: str) -> dict[str, Any]:
    cur = await conn.execute(
        "SELECT project_id, entries FROM internal.core_content_plans WHERE plan_id = %s", (plan_id,)
    )
    row = await cur.fetchone()
    if row is None:
        raise GatewayError(
            404, "content_plan_not_found", f"There is no content plan {plan_id}. Deploy again to make a new one."
        )
    return {"project_id": row[0], "entries": row[1]}


UPLOAD_COLUMNS = "upload_id, plan_id, project_id, sha256, size_bytes, part_bytes"


async def unfinished(conn: Connection, project_id: str, digests: list[str]) -> list[Upload]:
    """Multipart uploads of these objects that are not objects yet; the most complete one of each comes last."""
    cur = await conn.execute(
        f"SELECT {UPLOAD_COLUMNS}, parts_done FROM internal.core_content_uploads WHERE project_id = %s"
        " AND sha256 = ANY(%s) AND size_bytes > part_bytes AND NOT stored ORDER BY cardinality(parts_done)",
        (project_id, digests),
    )
    return [replace(Upload(*row[:6]), done=frozenset(row[6])) for row in await cur.fetchall()]


async def fetch_upload(conn: Connection, upload_id: str) -> Upload:
    cur = await conn.execute(
        f"SELECT {UPLOAD_COLUMNS} FROM internal.core_content_uploads WHERE upload_id = %s", (upload_id,)
    )
    row = await cur.fetchone()
    if row is None:
        raise GatewayError(404, "upload_not_found", f"There is no upload {upload_id}. Make a new content plan.")
    return Upload(*row)
