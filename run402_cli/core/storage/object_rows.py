"""The tables of stored objects and of the versions that are kept for good."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg.types.json import Jsonb

from run402_cli.core.db import Connection
from run402_cli.core.projects import lock_rows
from run402_cli.core.storage.assets_request import Put

DDL = """
CREATE TABLE IF NOT EXISTS internal.core_storage_objects (
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  key text COLLATE "C" NOT NULL,
  sha256 text NOT NULL,
  size_bytes bigint NOT NULL,
  content_type text NOT NULL,
  visibility text NOT NULL CHECK (visibility IN ('public', 'private')),
  immutable boolean NOT NULL,
  metadata jsonb,
  exif_policy text,
  image jsonb,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, key)
);
CREATE INDEX IF NOT EXISTS core_storage_objects_created
  ON internal.core_storage_objects (project_id, created_at, key);
CREATE TABLE IF NOT EXISTS internal.core_storage_versions (
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  sha256 text NOT NULL,
  key text COLLATE "C" NOT NULL,
  version_id text NOT NULL,
  size_bytes bigint NOT NULL,
  content_type text NOT NULL,
  visibility text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, sha256, key)
);
"""
COLUMNS: Final = (
    "key, sha256, size_bytes, content_type, visibility, immutable, metadata, exif_policy, image, created_at, updated_at"
)

FILTERS: Final[Mapping[str, str]] = {
    "uploaded_by": "metadata->>'uploaded_by' = %({0})s",
    "tag": "metadata->'tags' ? %({0})s",
    "format": "image->>'image_format' = %({0})s",
    "is_image": "(image IS NOT NULL) = %({0})s::boolean",
    "min_width": "(image->>'width_px')::bigint >= %({0})s::bigint",
    "max_width": "(image->>'width_px')::bigint <= %({0})s::bigint",
    "min_height": "(image->>'height_px')::bigint >= %({0})s::bigint",
    "max_height": "(image->>'height_px')::bigint <= %({0})s::bigint",
}
ORDERS: Final[Mapping[str, str]] = {
    "key:asc": "key",
    "createdAt:asc": "created_at, key",
    "createdAt:desc": "created_at DESC, key DESC",
}
_BEYOND: Final[Mapping[str, str]] = {
    "key:asc": "key > %(at_key)s",
    "createdAt:asc": "(created_at, key) > (%(at_time)s::timestamptz, %(at_key)s)",
    "createdAt:desc": "(created_at, key) < (%(at_time)s::timestamptz, %(at_key)s)",
}


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What a key holds; `image` has image_format, width_px and height_px where they are known."""

    key: str
    sha256: str
    size_bytes: int
    content_type: str
    visibility: str
    immutable: bool
    metadata: Mapping[str, Any] | None
    exif_policy: str | None
    image: Mapping[str, Any] | None
    created_at: datetime
    updated_at: datetime

    def matches(self, put: Put) -> bool:
        """Would putting this change nothing?"""
        return (
            (self.sha256, self.size_bytes, self.content_type) == (put.sha256, put.size_bytes, put.content_type)
            and (self.visibility, self.immutable) == (put.visibility, put.immutable)
            and put.metadata in (None, self.metadata)
            and put.exif_policy in (None, self.exif_policy)
        )


async def copy(conn: Connection, project_id: str, other_id: str) -> None:
    """Give a project the objects and retained versions of another; their bytes are shared."""
    for table, columns in (
        ("objects", "key, sha256, size_bytes, content_type, visibility, immutable, metadata, exif_policy, image"),
        ("versions", "sha256, key, version_id, size_bytes, content_type, visibility"),
    ):
        query = (
            f"INSERT INTO internal.core_storage_{table} (project_id, {columns}, created_at)"
            f" SELECT %s, {columns}, created_at FROM internal.core_storage_{table} WHERE project_id = %s"
        )
        await conn.execute(query.encode(), (other_id, project_id))


async def lock(conn: Connection, project_id: str) -> None:
    """Until the end of the transaction nobody else changes the project's objects."""
    await lock_rows.take(conn, "storage", project_id)


async def find(conn: Connection, project_id: str, key: str) -> StoredObject | None:
    """The object under a key."""
    return (await find_many(conn, project_id, [key])).get(key)


async def find_many(conn: Connection, project_id: str, keys: Sequence[str]) -> dict[str, StoredObject]:
    """Objects by key, those that exist."""
    cursor = await conn.execute(
        f"SELECT {COLUMNS} FROM internal.core_storage_objects WHERE project_id = %s AND key = ANY(%s)",
        (project_id, list(keys)),
    )
    return {row[0]: StoredObject(*row) for row in await cursor.fetchall()}


async def of_project(conn: Connection, project_id: str) -> list[StoredObject]:
    """All objects, by key."""
    cursor = await conn.execute(
        f"SELECT {COLUMNS} FROM internal.core_storage_objects WHERE project_id = %s ORDER BY key", (project_id,)
    )
    return [StoredObject(*row) for row in await cursor.fetchall()]


async def keys_below(conn: Connection, project_id: str, prefix: str) -> list[str]:
    """Every key that begins with the prefix, in byte order."""
    cursor = await conn.execute(
        "SELECT key FROM internal.core_storage_objects WHERE project_id = %s AND starts_with(key, %s) ORDER BY key",
        (project_id, prefix),
    )
    return [row[0] for row in await cursor.fetchall()]


async def save(conn: Connection, project_id: str, puts: Iterable[tuple[Put, Mapping[str, Any] | None]]) -> None:
    """Create or replace objects (each with its image facts), and keep a version of every immutable one."""
    rows = [
        {
            "project": project_id,
            "key": put.key,
            "sha256": put.sha256,
            "size": put.size_bytes,
            "type": put.content_type,
            "visibility": put.visibility,
            "immutable": put.immutable,
            "metadata": None if put.metadata is None else Jsonb(put.metadata),
            "exif": put.exif_policy,
            "image": None if image is None else Jsonb(image),
            "version": f"ver_{put.sha256[:24]}",
        }
        for put, image in puts
    ]
    async with conn.cursor() as cursor:
        await cursor.executemany(
            f"""INSERT INTO internal.core_storage_objects AS o (project_id, {COLUMNS})
                VALUES (%(project)s, %(key)s, %(sha256)s, %(size)s, %(type)s, %(visibility)s, %(immutable)s,
                        %(metadata)s, %(exif)s, %(image)s, now(), now())
                ON CONFLICT (project_id, key) DO UPDATE SET
                  sha256 = excluded.sha256, size_bytes = excluded.size_bytes, content_type = excluded.content_type,
                  visibility = excluded.visibility, immutable = excluded.immutable,
                  metadata = CASE WHEN o.sha256 = excluded.sha256 THEN coalesce(excluded.metadata, o.metadata)
                    ELSE excluded.metadata END,
                  exif_policy = CASE WHEN o.sha256 = excluded.sha256 THEN coalesce(excluded.exif_policy, o.exif_policy)
                    ELSE excluded.exif_policy END,
                  image = excluded.image, updated_at = now()""",
            rows,
        )
        await cursor.executemany(
            """INSERT INTO internal.core_storage_versions AS v
                 (project_id, sha256, key, version_id, size_bytes, content_type, visibility)
               VALUES (%(project)s, %(sha256)s, %(key)s, %(version)s, %(size)s, %(type)s, %(visibility)s)
               ON CONFLICT (project_id, sha256, key) DO UPDATE SET
                 content_type = excluded.content_type, visibility = excluded.visibility""",
            [row for row in rows if row["immutable"]],
        )


async def remove(conn: Connection, project_id: str, keys: Sequence[str]) -> list[tuple[str, str]]:
    """Delete objects; (key, sha256) of those that were there. Their immutable versions stay."""
    cursor = await conn.execute(
        "DELETE FROM internal.core_storage_objects WHERE project_id = %s AND key = ANY(%s) RETURNING key, sha256",
        (project_id, list(keys)),
    )
    return [(row[0], row[1]) for row in await cursor.fetchall()]


async def unreferenced(conn: Connection, project_id: str, digests: Iterable[str]) -> list[str]:
    """Those of the digests that no object, version, release or open plan of the project needs."""
    cursor = await conn.execute(
        """SELECT d FROM unnest(%(digests)s::text[]) AS d
           WHERE NOT EXISTS (SELECT 1 FROM internal.core_storage_objects
                             WHERE project_id = %(project)s AND sha256 = d)
             AND NOT EXISTS (SELECT 1 FROM internal.core_storage_versions
                             WHERE project_id = %(project)s AND sha256 = d)
             AND NOT EXISTS (SELECT 1 FROM internal.core_releases
                             WHERE project_id = %(project)s AND strpos(state::text, d) > 0)
             AND NOT EXISTS (SELECT 1 FROM internal.core_apply_plans
                             WHERE project_id = %(project)s AND status = 'planned' AND strpos(spec::text, d) > 0
                               AND created_at > now() - interval '1 day')""",
        {"digests": sorted(set(digests)), "project": project_id},
    )
    return [row[0] for row in await cursor.fetchall()]


async def find_version(conn: Connection, project_id: str, sha256: str, key: str) -> dict[str, Any] | None:
    """A retained version: {sha256, content_type, visibility}; `sha256` may be only its first digits."""
    cursor = await conn.execute(
        "SELECT sha256, content_type, visibility FROM internal.core_storage_versions"
        " WHERE project_id = %s AND key = %s AND starts_with(sha256, %s) ORDER BY created_at DESC LIMIT 1",
        (project_id, key, sha256),
    )
    row = await cursor.fetchone()
    return None if row is None else {"sha256": row[0], "content_type": row[1], "visibility": row[2]}


async def count(conn: Connection, project_id: str) -> int:
    cursor = await conn.execute(
        "SELECT count(*) FROM internal.core_storage_objects WHERE project_id = %s", (project_id,)
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def after(conn: Connection, project_id: str, *, prefix: str, key: str, limit: int) -> list[StoredObject]:
    """Objects below a prefix in the order of their keys, beginning after `key`."""
    cursor = await conn.execute(
        f"SELECT {COLUMNS} FROM internal.core_storage_objects WHERE project_id = %s AND starts_with(key, %s)"
        " AND key > %s ORDER BY key LIMIT %s",
        (project_id, prefix, key, limit),
    )
    return [StoredObject(*row) for row in await cursor.fetchall()]


async def page(
    conn: Connection,
    project_id: str,
    *,
    prefix: str,
    filters: Mapping[str, str],
    sort: str,
    beyond: tuple[str, datetime] | None,
    limit: int,
) -> list[StoredObject]:
    """Objects that fit the filters (FILTERS, as text), in the order of ORDERS[sort], beyond the one of (key, created_at)."""
    values: dict[str, Any] = {"project": project_id, "prefix": prefix, "limit": limit}
    conditions = []
    for name, value in filters.items():
        conditions.append(FILTERS[name].format(f"f_{name}"))
        values[f"f_{name}"] = value
    if beyond is not None:
        conditions.append(_BEYOND[sort])
        values |= {"at_key": beyond[0], "at_time": beyond[1]}
    where = "".join(f" AND {condition}" for condition in conditions)
    statement = (
        f"SELECT {COLUMNS} FROM internal.core_storage_objects WHERE project_id = %(project)s"
        f" AND starts_with(key, %(prefix)s){where} ORDER BY {ORDERS[sort]} LIMIT %(limit)s"
    )
    cursor = await conn.execute(statement.encode(), values)
    return [StoredObject(*row) for row in await cursor.fetchall()]


async def live_digests(conn: Connection, project_id: str) -> list[str]:
    """SHA-256 of everything that an object or a kept version holds."""
    cursor = await conn.execute(
        "SELECT sha256 FROM internal.core_storage_objects WHERE project_id = %(project)s"
        " UNION SELECT sha256 FROM internal.core_storage_versions WHERE project_id = %(project)s ORDER BY 1",
        {"project": project_id},
    )
    return [row[0] for row in await cursor.fetchall()]
