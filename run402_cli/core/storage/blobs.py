"""Objects by project key: /storage/v1/blobs, /storage/v1/blob/{key}[/sign], and the same below a project's path."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.callers.surfaces import LOOPBACK_HOST
from run402_cli.core.content.files import file_sha256
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import Gateway, gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.sites.lookup import project_of_host
from run402_cli.core.sites.static import raw_path
from run402_cli.core.storage import object_rows, objects, reads, signing
from run402_cli.core.storage.keys import checked_key, checked_prefix
from run402_cli.core.storage.object_rows import StoredObject
from run402_cli.core.storage.section import forget
from run402_cli.core.web.http import public_base, query_limit, read_object, reply
from run402_cli.core.web.instants import iso
from run402_cli.core.web.routing import admitted
from run402_cli.release.fields import is_number

_FILTER_NAME: Final = re.compile(r"filter\[(.*)\]")
_BLOB_PATH: Final = re.compile(
    r"/projects/v1/(?P<project>prj_[a-z0-9_]{1,96})/storage/(?:public|immutable/(?P<sha256>[0-9a-f]{64}))/(?P<key>.+)"
)


async def list_blobs(request: Request) -> Response:
    """GET /storage/v1/blobs[?prefix&limit&cursor&sort&filter[k]=v]: 200 {blobs, next_cursor, has_more}. Service key.

    `limit` 1-1000, default 100. 400 INVALID_SORT, INVALID_CURSOR_FOR_SORT, INVALID_FILTER_KEY, invalid_request.
    docs/assets.md
    """
    gateway = gateway_of(request)
    query = request.query_params
    sort = query.get("sort", "key:asc")
    if sort not in object_rows.ORDERS:
        raise GatewayError(400, "invalid_sort", f"sort must be one of {', '.join(object_rows.ORDERS)}.")
    limit = query_limit(request, "limit", 100, 1000, capped=False)
    position = _position(sort, query["cursor"]) if query.get("cursor") else None
    prefix, filters = checked_prefix(query.get("prefix", "")), _filters(query)
    project = admitted(request, Project)
    async with gateway.connection() as conn:
        items = await object_rows.page(
            conn, project.project_id, prefix=prefix, filters=filters, sort=sort, beyond=position, limit=limit + 1
        )
    page = items[:limit]
    cursor = _cursor(sort, page[-1]) if len(items) > limit else None
    base = gateway.settings.public_url
    blobs = [_blob_view(base, project.project_id, item) for item in page]
    return reply({"blobs": blobs, "next_cursor": cursor, "has_more": cursor is not None})


def _filters(query: Mapping[str, str]) -> dict[str, str]:
    filters: dict[str, str] = {}
    for name, value in query.items():
        found = _FILTER_NAME.fullmatch(name)
        if found is None:
            continue
        key = found.group(1)
        number = key.startswith(("min_", "max_"))
        if key not in object_rows.FILTERS:
            known = ", ".join(object_rows.FILTERS)
            raise GatewayError(400, "invalid_filter_key", f"There is no filter {key!r}. Known: {known}.")
        if (number and not re.fullmatch(r"[0-9]{1,9}", value)) or (
            key == "is_image" and value not in ("true", "false")
        ):
            raise GatewayError(400, "invalid_request", f"filter[{key}] cannot be {value!r}.")
        filters[key] = value.replace("\0", "")
    return filters


def _cursor(sort: str, item: StoredObject) -> str:
    text = json.dumps([sort, item.key, item.created_at.isoformat()])
    return base64.urlsafe_b64encode(text.encode()).decode()


def _position(sort: str, cursor: str) -> tuple[str, datetime]:
    try:
        own, key, moment = json.loads(base64.urlsafe_b64decode(cursor))
        position = str(key).replace("\0", ""), datetime.fromisoformat(moment)
    except (ValueError, TypeError, binascii.Error, RecursionError):
        own, position = None, ("", datetime.now(UTC))
    if own != sort:
        raise GatewayError(
            400, "invalid_cursor_for_sort", f"The cursor was not made for sort {sort}. Start without it."
        )
    return position


def _blob_view(base: str, project_id: str, item: StoredObject) -> dict[str, Any]:
    public = item.visibility == "public"
    return {
        "key": item.key,
        "size_bytes": item.size_bytes,
        "content_type": item.content_type,
        "sha256": item.sha256,
        "visibility": item.visibility,
        "immutable": item.immutable,
        "url": objects.public_url(base, project_id, item.key) if public else None,
        "created_at": iso(item.created_at),
        "updated_at": iso(item.updated_at),
        "metadata": item.metadata,
        "image_format": None,
        "image_exif_policy": item.exif_policy,
        **(item.image or {}),
    }


async def list_objects(request: Request) -> Response:
    """GET /projects/v1/{project_id}/storage/objects[?prefix&cursor&limit]: 200 {objects, next_cursor: last key}."""
    gateway = gateway_of(request)
    project_id = request.path_params["project_id"]
    query = request.query_params
    limit = query_limit(request, "limit", 100, 500, capped=False)
    after = checked_key(query["cursor"], "cursor") if query.get("cursor") else ""
    prefix = checked_prefix(query.get("prefix", ""))
    async with gateway.connection() as conn:
        items = await object_rows.after(conn, project_id, prefix=prefix, key=after, limit=limit + 1)
    base = gateway.settings.public_url
    return reply(
        {
            "objects": [objects.object_view(base, project_id, item) for item in items[:limit]],
            "next_cursor": items[limit - 1].key if len(items) > limit else None,
        }
    )


async def get_blob(request: Request) -> Response:
    """GET, HEAD /storage/v1/blob/{key}: the bytes, service key. 401, 404 storage_not_found. docs/assets.md"""
    project = admitted(request, Project)
    async with gateway_of(request).connection() as conn:
        key = signing.requested_key(request, b"/storage/v1/blob/")
        return await reads.send_blob(request, conn, project.project_id, key)


async def delete_blob(request: Request) -> Response:
    """DELETE /storage/v1/blob/{key}: 200 {key, deleted}. Immutable versions stay. 404 storage_not_found."""
    gateway = gateway_of(request)
    project = admitted(request, Project)
    async with gateway.connection() as conn:
        key = signing.requested_key(request, b"/storage/v1/blob/")
        await _delete(gateway, conn, project.project_id, key)
    return reply({"key": key, "deleted": True})


async def delete_object(request: Request) -> Response:
    """DELETE /projects/v1/{project_id}/storage/blob/{key}: 200 {deleted: true}, 404 storage_not_found."""
    gateway = gateway_of(request)
    project_id = request.path_params["project_id"]
    async with gateway.connection() as conn:
        await _delete(gateway, conn, project_id, signing.requested_key(request, b"/storage/blob/"))
    return reply({"deleted": True})


async def _delete(gateway: Gateway, conn: Connection, project_id: str, key: str) -> None:
    async with conn.transaction():
        await object_rows.lock(conn, project_id)
        gone = await object_rows.remove(conn, project_id, [key])
        if not gone:
            raise objects.not_found(project_id, key)
        await forget(gateway, conn, project_id, [gone[0][1]])


async def sign_blob(request: Request) -> Response:
    """POST /storage/v1/blob/{key}/sign {ttl_seconds?}: 200 {signed_url, expires_at, expires_in}, service key.

    Seconds, 60 to 604800, default 3600. 400 invalid_ttl, 404 storage_not_found. docs/assets.md
    """
    body = await read_object(request)
    project = admitted(request, Project)
    async with gateway_of(request).connection() as conn:
        key = _signed_key(request, b"/storage/v1/blob/")
        await _require(conn, project.project_id, key)
    seconds = _ttl(body.get("ttl_seconds"), default=3600, low=60, high=604_800)
    return reply(_signed(request, project.project_id, key, seconds) | {"expires_in": seconds})


async def sign_object(request: Request) -> Response:
    """POST /projects/v1/{project_id}/storage/blob/{key}/sign {ttl_seconds?}: 201 {expires_at, signed_url}.

    Seconds, default 900; more than 86400 counts as 86400. 400 invalid_ttl, 404 storage_not_found.
    """
    body = await read_object(request)
    project_id = request.path_params["project_id"]
    async with gateway_of(request).connection() as conn:
        key = _signed_key(request, b"/storage/blob/")
        await _require(conn, project_id, key)
    given = body.get("ttl_seconds")
    seconds = _ttl(min(given, 86_400) if is_number(given) else given, default=900, low=1, high=86_400)
    return reply(_signed(request, project_id, key, seconds), 201)


def _signed_key(request: Request, after: bytes) -> str:
    raw = raw_path(request.scope).partition(after)[2].decode("latin-1")
    return checked_key(raw.removesuffix("/sign"))


async def _require(conn: Connection, project_id: str, key: str) -> None:
    if await object_rows.find(conn, project_id, key) is None:
        raise objects.not_found(project_id, key)


def _ttl(value: Any, *, default: int, low: int, high: int) -> int:
    if value is None:
        return default
    if not is_number(value) or not low <= value <= high:
        raise GatewayError(400, "invalid_ttl", f"ttl_seconds must be a number of seconds from {low} to {high}.")
    return int(value)


def _signed(request: Request, project_id: str, key: str, seconds: int) -> dict[str, Any]:
    expires = int(time.time()) + seconds
    url = signing.signed_url(gateway_of(request).settings, public_base(request), project_id, key, expires)
    return {"signed_url": url, "expires_at": iso(datetime.fromtimestamp(expires, UTC))}


async def diagnose(request: Request) -> Response:
    """GET /storage/v1/blobs/diagnose?url=: what a public URL of this gateway serves, and should. Service key.

    The stored bytes are read and hashed. 400 invalid_request, 403 url_forbidden for a URL of another project or host.
    docs/assets.md
    """
    gateway = gateway_of(request)
    url = request.query_params.get("url", "")
    project = admitted(request, Project)
    async with gateway.connection() as conn:
        target = await _target(conn, project, url)
        if target is None:
            raise GatewayError(
                403,
                "url_forbidden",
                f"{url} is not an asset URL of {project.project_id} on this gateway. `run402 assets ls` shows them.",
            )
        key, sha256 = target
        found = await object_rows.find(conn, project.project_id, key)
        version = await object_rows.find_version(conn, project.project_id, sha256, key) if sha256 else None
    kept = version if sha256 else None
    visible = kept["visibility"] if kept else (found.visibility if found and not sha256 else None)
    expected = sha256 or (found.sha256 if found else None)
    observed = await asyncio.to_thread(_observed, gateway, expected) if visible == "public" else None
    return reply(_diagnosis(gateway, project.project_id, key, sha256, expected, observed, visible))


def _diagnosis(
    gateway: Gateway,
    project_id: str,
    key: str,
    sha256: str | None,
    expected: str | None,
    observed: str | None,
    visible: str | None,
) -> dict[str, Any]:
    base = gateway.settings.public_url
    if visible is None:
        hint = "Nothing is stored under this URL. `run402 assets put` stores it."
    elif visible == "private":
        hint = "The asset is private, so its public URL answers 404. `run402 assets sign` makes a URL that works."
    elif observed == expected:
        hint = "The URL serves the current bytes."
    else:
        hint = "The stored bytes are missing or damaged. Put the asset again."
    return {
        "project_id": project_id,
        "key": key,
        "expected_sha256": expected,
        "observed_sha256": observed,
        "vantage": "local-gateway",
        "probe_method": "LOCAL_STORE_READ",
        "accept_encoding": "identity",
        "observed_at": iso(datetime.now(UTC)),
        "probe_may_have_warmed_cache": False,
        "canonical_url": objects.immutable_url(base, project_id, sha256, key)
        if sha256
        else objects.public_url(base, project_id, key),
        "path_kind": "blob-immutable" if sha256 else "blob-mutable",
        "cache": {
            "x_cache": None,
            "age_seconds": None,
            "cache_kind": "private" if visible == "private" else "immutable" if sha256 else "mutable",
        },
        "invalidation": {"id": None, "status": None},
        "hint": hint,
    }


def _observed(gateway: Gateway, sha256: str | None) -> str | None:
    try:
        return None if sha256 is None else file_sha256(gateway.store.path(sha256))
    except OSError:
        return None


async def _target(conn: Connection, project: Project, url: str) -> tuple[str, str | None] | None:
    """Key and, for a URL with a digest, SHA-256 of an asset URL of this project; None for any other URL."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        path = unquote(parts.path)
    except ValueError as exc:
        raise GatewayError(400, "invalid_request", f"{url!r} is not a URL.") from exc
    if parts.scheme not in ("http", "https") or not LOOPBACK_HOST.fullmatch(parts.netloc):
        return None
    label, _, rest = host.partition(".")
    if rest == "localhost" and path.startswith("/_blob/"):
        if await project_of_host(conn, label) != project.project_id:
            return None
        return await _site_target(conn, project.project_id, checked_key(path.removeprefix("/_blob/")))
    found = _BLOB_PATH.fullmatch(path)
    if found is None or found["project"] != project.project_id:
        return None
    return checked_key(found["key"]), found["sha256"]


async def _site_target(conn: Connection, project_id: str, key: str) -> tuple[str, str | None]:
    hashed = reads.HASHED.fullmatch(key)
    if hashed is None or await object_rows.find(conn, project_id, key) is not None:
        return key, None
    plain = hashed["stem"] + (hashed["extension"] or "")
    version = await object_rows.find_version(conn, project_id, hashed["digest"], plain)
    return (plain, version["sha256"]) if version else (key, None)
