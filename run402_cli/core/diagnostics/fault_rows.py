"""The tables of function errors: what went wrong, when, and how many calls there were. See docs/diagnostics.md, "Errors"."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from run402_cli.core.db import Connection

DDL = """
CREATE TABLE IF NOT EXISTS internal.core_faults (
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  fingerprint_id text NOT NULL,
  identity text NOT NULL,
  function_name text NOT NULL,
  kind text NOT NULL,
  quality text NOT NULL,
  error_name text NOT NULL,
  message_template text NOT NULL,
  stable_frames jsonb NOT NULL,
  first_seen timestamptz NOT NULL,
  last_seen timestamptz NOT NULL,
  first_seen_release_id text,
  last_seen_release_id text,
  first_sample text NOT NULL,
  PRIMARY KEY (project_id, fingerprint_id)
);
CREATE TABLE IF NOT EXISTS internal.core_fault_occurrences (
  id bigserial PRIMARY KEY,
  project_id text NOT NULL,
  fingerprint_id text NOT NULL,
  at timestamptz NOT NULL,
  request_id text NOT NULL,
  release_id text,
  FOREIGN KEY (project_id, fingerprint_id) REFERENCES internal.core_faults ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS core_fault_occurrences_time ON internal.core_fault_occurrences (project_id, at);
CREATE INDEX IF NOT EXISTS core_fault_occurrences_fault
  ON internal.core_fault_occurrences (project_id, fingerprint_id, id DESC);
CREATE TABLE IF NOT EXISTS internal.core_fault_calls (
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  minute timestamptz NOT NULL,
  function_name text NOT NULL,
  calls bigint NOT NULL,
  PRIMARY KEY (project_id, minute, function_name)
);
"""

KEPT = timedelta(days=90)
MAX_OCCURRENCES = 10_000
SAMPLES = 10


@dataclass(frozen=True, slots=True)
class Fault:
    """What went wrong in one call. Equal faults have equal fingerprints."""

    function: str
    kind: str
    quality: str
    error_name: str
    message: str
    frames: tuple[str, ...]

    @property
    def identity(self) -> str:
        """The same in every function."""
        return _digest(self.kind, self.error_name, self.message, *self.frames)

    @property
    def fingerprint_id(self) -> str:
        return f"fp_{_digest(self.function, self.identity)}"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:24]


@dataclass(frozen=True, slots=True)
class Window:
    """From `since` to `until`; `release` when only what is new in it counts."""

    project_id: str
    since: datetime
    until: datetime
    release: str | None

    @property
    def values(self) -> dict[str, Any]:
        return {"project": self.project_id, "since": self.since, "until": self.until, "release": self.release}


async def record(conn: Connection, entry: Mapping[str, Any], fault: Fault) -> None:
    values = {
        "project": entry["project_id"],
        "id": fault.fingerprint_id,
        "identity": fault.identity,
        "function": fault.function,
        "kind": fault.kind,
        "quality": fault.quality,
        "name": fault.error_name,
        "message": fault.message,
        "frames": Jsonb(list(fault.frames)),
        "at": entry["timestamp"],
        "release": entry["release_id"],
        "request": entry["request_id"],
    }
    # A project may have been deleted since.
    await conn.execute(
        "INSERT INTO internal.core_faults SELECT project_id, %(id)s, %(identity)s, %(function)s, %(kind)s, %(quality)s,"
        " %(name)s, %(message)s, %(frames)s, %(at)s, %(at)s, %(release)s, %(release)s, %(request)s"
        " FROM internal.core_projects WHERE project_id = %(project)s ON CONFLICT (project_id, fingerprint_id)"
        " DO UPDATE SET last_seen = excluded.last_seen, last_seen_release_id = excluded.last_seen_release_id",
        values,
    )
    await conn.execute(
        "INSERT INTO internal.core_fault_occurrences (project_id, fingerprint_id, at, request_id, release_id)"
        " SELECT project_id, fingerprint_id, %(at)s, %(request)s, %(release)s FROM internal.core_faults"
        " WHERE project_id = %(project)s AND fingerprint_id = %(id)s",
        values,
    )


async def count_calls(conn: Connection, project_id: str, minute: datetime, function: str, calls: int) -> None:
    await conn.execute(
        "INSERT INTO internal.core_fault_calls (project_id, minute, function_name, calls) SELECT project_id, %s, %s, %s"
        " FROM internal.core_projects WHERE project_id = %s ON CONFLICT (project_id, minute, function_name)"
        " DO UPDATE SET calls = core_fault_calls.calls + excluded.calls",
        (minute, function, calls, project_id),
    )


async def prune(conn: Connection, project_id: str) -> None:
    oldest = datetime.now(UTC) - KEPT
    await conn.execute(
        "DELETE FROM internal.core_fault_occurrences WHERE project_id = %(project)s AND (at < %(oldest)s OR id <="
        " (SELECT id FROM internal.core_fault_occurrences WHERE project_id = %(project)s"
        " ORDER BY id DESC OFFSET %(most)s LIMIT 1))",
        {"project": project_id, "oldest": oldest, "most": MAX_OCCURRENCES},
    )
    query = "DELETE FROM internal.core_fault_calls WHERE project_id = %s AND minute < %s"
    await conn.execute(query, (project_id, oldest))


async def seen_in(
    conn: Connection,
    window: Window,
    *,
    function: str | None,
    kind: str | None,
    fingerprint: str | None,
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Faults that occurred in the window, with their `count` in it and when last (`seen`), the latest first."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT f.*, count(*) AS count, max(o.at) AS seen FROM internal.core_faults f"
            " JOIN internal.core_fault_occurrences o USING (project_id, fingerprint_id)"
            " WHERE project_id = %(project)s AND o.at BETWEEN %(since)s AND %(until)s"
            " AND (%(release)s::text IS NULL OR f.first_seen_release_id = %(release)s)"
            " AND (%(function)s::text IS NULL OR f.function_name = %(function)s)"
            " AND (%(kind)s::text IS NULL OR f.kind = %(kind)s)"
            " AND (%(fingerprint)s::text IS NULL OR f.fingerprint_id = %(fingerprint)s)"
            " GROUP BY f.project_id, f.fingerprint_id HAVING %(id)s::text IS NULL"
            " OR (max(o.at), f.fingerprint_id) < (%(at)s::timestamptz, %(id)s)"
            " ORDER BY max(o.at) DESC, f.fingerprint_id DESC LIMIT %(limit)s",
            {
                **window.values,
                "function": function,
                "kind": kind,
                "fingerprint": fingerprint,
                "at": after[0] if after else None,
                "id": after[1] if after else None,
                "limit": limit,
            },
        )
        return await cursor.fetchall()


async def counts_in(conn: Connection, window: Window) -> tuple[int, int]:
    """How many faults are new in the window (or in its release), and how many occurred in it."""
    cursor = await conn.execute(
        "SELECT count(DISTINCT f.fingerprint_id) FILTER (WHERE CASE WHEN %(release)s::text IS NULL"
        " THEN f.first_seen >= %(since)s ELSE f.first_seen_release_id = %(release)s END),"
        " count(DISTINCT f.fingerprint_id) FROM internal.core_faults f"
        " JOIN internal.core_fault_occurrences o USING (project_id, fingerprint_id)"
        " WHERE project_id = %(project)s AND o.at BETWEEN %(since)s AND %(until)s",
        window.values,
    )
    counts: Any = await cursor.fetchone()
    return counts[0], counts[1]


async def around(conn: Connection, window: Window) -> tuple[int, int, int, str | None]:
    """Calls in the window, occurrences kept, functions of the active release, and the release before the window's."""
    cursor = await conn.execute(
        "SELECT (SELECT coalesce(sum(calls), 0)::bigint FROM internal.core_fault_calls WHERE project_id = %(project)s"
        " AND minute BETWEEN date_trunc('minute', %(since)s::timestamptz) AND %(until)s),"
        " (SELECT count(*) FROM internal.core_fault_occurrences WHERE project_id = %(project)s),"
        " (SELECT jsonb_array_length(state->'functions') FROM internal.core_releases r"
        " JOIN internal.core_projects p USING (project_id)"
        " WHERE project_id = %(project)s AND r.release_id = p.active_release_id),"
        " (SELECT release_id FROM internal.core_releases WHERE project_id = %(project)s AND activated_at <"
        " (SELECT activated_at FROM internal.core_releases WHERE project_id = %(project)s AND release_id = %(release)s)"
        " ORDER BY activated_at DESC LIMIT 1)",
        window.values,
    )
    facts: Any = await cursor.fetchone()
    return facts[0], facts[1], facts[2] or 0, facts[3]


async def samples(conn: Connection, project_id: str, fingerprint_id: str) -> list[tuple[str, datetime, str | None]]:
    """Request id, time and release of the latest occurrences."""
    cursor = await conn.execute(
        "SELECT request_id, at, release_id FROM internal.core_fault_occurrences"
        " WHERE project_id = %s AND fingerprint_id = %s ORDER BY id DESC LIMIT %s",
        (project_id, fingerprint_id, SAMPLES),
    )
    return [(row[0], row[1], row[2]) for row in await cursor.fetchall()]


async def find(conn: Connection, project_id: str, fingerprint_id: str) -> dict[str, Any] | None:
    """One fault, with its `count` over all that is kept, and the functions that have it too (`also`)."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT f.*, (SELECT count(*) FROM internal.core_fault_occurrences o WHERE o.project_id = f.project_id"
            " AND o.fingerprint_id = f.fingerprint_id) AS count, ARRAY(SELECT g.function_name"
            " FROM internal.core_faults g WHERE g.project_id = f.project_id AND g.identity = f.identity"
            " AND g.fingerprint_id <> f.fingerprint_id ORDER BY 1) AS also FROM internal.core_faults f"
            " WHERE f.project_id = %s AND f.fingerprint_id = %s",
            (project_id, fingerprint_id.replace("\0", "")),
        )
        return await cursor.fetchone()
