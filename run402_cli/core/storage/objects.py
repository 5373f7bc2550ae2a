"""Tables of stored objects and the queries on them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg.types.json import Jsonb

from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.storage.keys import url_path
from run402_cli.core.storage.spec import Put
from run402_cli.core.web.instants import iso

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
    "key, sha256, size_bytes, content_type, visibility, immutable, metadata, exif_policy, image, created_at, updated_at"
)
_REVISION_KEY: Final = b"run402-core-storage-inventory-v1"


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
    await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('run402-storage:' || %s, 0))", (project_id,))


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


def revision(keys: Iterable[str]) -> str:
    """What a set of keys looked like: equal for equal sets."""
    text = json.dumps(sorted(keys), ensure_ascii=False, separators=(",", ":"))
    return hmac.new(_REVISION_KEY, text.encode(), hashlib.sha256).hexdigest()


def public_url(base: str, project_id: str, key: str) -> str:
    return f"{base}/projects/v1/{project_id}/storage/public/{url_path(key)}"


def immutable_url(base: str, project_id: str, sha256: str, key: str) -> str:
    return f"{base}/projects/v1/{project_id}/storage/immutable/{sha256}/{url_path(key)}"


def object_view(base: str, project_id: str, item: StoredObject) -> dict[str, Any]:
    """The object as the storage routes answer it."""
    view: dict[str, Any] = {
        "project_id": project_id,
        "key": item.key,
        "sha256": item.sha256,
        "size_bytes": item.size_bytes,
        "content_type": item.content_type,
        "visibility": item.visibility,
        "immutable": item.immutable,
        "created_at": iso(item.created_at),
        "updated_at": iso(item.updated_at),
    }
    if item.visibility == "public":
        view["public_url"] = public_url(base, project_id, item.key)
        if item.immutable:
            view["immutable_url"] = immutable_url(base, project_id, item.sha256, item.key)
    return view


def asset_ref(
    base: str, project_id: str, put: Put, image: Mapping[str, Any] | None, *, metadata: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What a caller needs to use an asset: addresses, digests in every spelling, and picture facts."""
    public = put.visibility == "public"
    url = public_url(base, project_id, put.key) if public else None
    fixed = immutable_url(base, project_id, put.sha256, put.key) if public and put.immutable else None
    digest = base64.b64encode(bytes.fromhex(put.sha256)).decode()
    return {
        "key": put.key,
        "sha256": put.sha256,
        "size_bytes": put.size_bytes,
        "content_type": put.content_type,
        "visibility": put.visibility,
        "immutable": put.immutable,
        "url": url,
        "immutable_url": fixed,
        "cdn_url": url,
        "cdn_immutable_url": fixed,
        "etag": f'"sha256-{put.sha256}"',
        "sri": f"sha256-{digest}",
        "content_digest": f"sha-256=:{digest}:",
        "metadata": dict(put.metadata) if put.metadata is not None else metadata,
        "image_format": None,
        "image_exif_policy": put.exif_policy,
        **(image or {}),
    }


def not_found(project_id: str, key: str) -> GatewayError:
    return GatewayError(
        404,
        "storage_not_found",
        f"There is no asset {key} in {project_id} for this caller. `run402 assets ls` lists what is there.",
        code="STORAGE_NOT_FOUND",
    )
