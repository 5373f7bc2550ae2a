"""Reading stored objects: public, immutable, signed, and with the service key."""

from __future__ import annotations

import base64
import re
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.callers.auth import existing_project, project_by_id
from run402_cli.core.callers.surfaces import site_label
from run402_cli.core.gateway import gateway_of
from run402_cli.core.sites.lookup import project_of_host
from run402_cli.core.sites.origin import sent_on
from run402_cli.core.sites.static import raw_path, send_stored
from run402_cli.core.storage import object_rows, objects
from run402_cli.core.storage.signing import is_signed, requested_key

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
HASHED: Final = re.compile(r"(?P<stem>.+)-(?P<digest>[0-9a-f]{8})(?P<extension>\.[^./]+)?")
_PRIVATE: Final = "private, no-store"
_MUTABLE: Final = "public, max-age=300, stale-while-revalidate=3600"
_IMMUTABLE: Final = "public, max-age=31536000, immutable"


async def read_public(request: Request) -> Response:
    """GET, HEAD /projects/v1/{project_id}/storage/public/{key}: no credential. 404 storage_not_found.

    307 to the project's own origin for a browser that would show it as a page, also from the two below. One Range and
    If-None-Match are answered, as everywhere below. docs/assets.md
    """
    key = requested_key(request, b"/storage/public/")
    project_id = request.path_params["project_id"]
    async with gateway_of(request).connection() as conn:
        project = await project_by_id(conn, project_id)
        if (away := await sent_on(conn, request, project, raw_path(request.scope))) is not None:
            return away
        found = await object_rows.find(conn, project.project_id, key)
    if found is None or found.visibility != "public":
        raise objects.not_found(project_id, key)
    return await send(request, found.sha256, found.content_type, _IMMUTABLE if found.immutable else _MUTABLE)


async def read_immutable(request: Request) -> Response:
    """GET, HEAD .../storage/immutable/{sha256}/{key}: a version for good; a private one needs its signature."""
    project_id, sha256 = request.path_params["project_id"], request.path_params["sha256"]
    key = requested_key(request, f"/storage/immutable/{sha256}/".encode())
    async with gateway_of(request).connection() as conn:
        project = await project_by_id(conn, project_id)
        if (away := await sent_on(conn, request, project, raw_path(request.scope))) is not None:
            return away
        whole = _SHA256.fullmatch(sha256) is not None
        version = await object_rows.find_version(conn, project.project_id, sha256, key) if whole else None
    if version is None:
        raise objects.not_found(project_id, key)
    public = version["visibility"] == "public"
    if not public and not is_signed(request, project_id, key, sha256):
        raise objects.not_found(project_id, key)
    return await send(request, version["sha256"], version["content_type"], _IMMUTABLE if public else _PRIVATE)


async def read_signed(request: Request) -> Response:
    """GET, HEAD .../storage/signed/{key}?expires&signature[&sha256]: 404 storage_not_found for any reason."""
    project_id = request.path_params["project_id"]
    key = requested_key(request, b"/storage/signed/")
    sha256 = request.query_params.get("sha256")
    async with gateway_of(request).connection() as conn:
        project = await existing_project(conn, project_id)
        if (away := await sent_on(conn, request, project, raw_path(request.scope))) is not None:
            return away
        found = await object_rows.find(conn, project_id, key)
    if found is None or sha256 not in (None, found.sha256):
        raise objects.not_found(project_id, key)
    return await send(request, found.sha256, found.content_type, _PRIVATE)


async def read_blob(request: Request) -> Response:
    """GET, HEAD .../storage/blob/{key}: any object, service key. 401, 404 storage_not_found."""
    project_id = request.path_params["project_id"]
    async with gateway_of(request).connection() as conn:
        return await send_blob(request, conn, project_id, requested_key(request, b"/storage/blob/"))


async def send_blob(request: Request, conn: Any, project_id: str, key: str) -> Response:
    """An object for its owner."""
    found = await object_rows.find(conn, project_id, key)
    if found is None:
        raise objects.not_found(project_id, key)
    return await send(request, found.sha256, found.content_type, _PRIVATE)


async def read_at_site(request: Request) -> Response:
    """GET, HEAD http://<name>.localhost/_blob/{key}, also as <name>-<8 hex>.<extension>: so pages can use short URLs."""
    key = requested_key(request, b"/_blob/")
    async with gateway_of(request).connection() as conn:
        project_id = await project_of_host(conn, site_label(request.headers) or "")
        found = await object_rows.find(conn, project_id, key) if project_id else None
        if found is not None and found.visibility == "public":
            return await send(request, found.sha256, found.content_type, _MUTABLE)
        hashed = HASHED.fullmatch(key)
        if project_id is not None and hashed is not None:
            plain = hashed["stem"] + (hashed["extension"] or "")
            version = await object_rows.find_version(conn, project_id, hashed["digest"], plain)
            if version is not None and version["visibility"] == "public":
                return await send(request, version["sha256"], version["content_type"], _IMMUTABLE)
    raise objects.not_found(project_id or "this host", key)


async def send(request: Request, sha256: str, content_type: str, cache_control: str) -> Response:
    """Stored bytes with the headers of an object."""
    headers = {
        "Content-Type": content_type,
        "ETag": f'"sha256-{sha256}"',
        "X-Run402-Content-Sha256": sha256,
        "Content-Digest": f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:",
        "Cache-Control": cache_control,
        "Accept-Ranges": "bytes",
        "X-Content-Type-Options": "nosniff",
        # A page of another origin can check the integrity of a script only when it may read the bytes.
        "Access-Control-Allow-Origin": "*",
    }
    return await send_stored(request, sha256, headers)
