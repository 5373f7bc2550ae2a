"""Upload sessions below /projects/v1/{id}/storage/uploads: declare, send the bytes, complete. See docs/assets.md."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.content.files import file_sha256
from run402_cli.core.content.receiving import receive_to
from run402_cli.core.content.store import SHA256, storage_failure
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import Gateway, gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.storage import assets_request, images, object_rows, objects, upload_rows
from run402_cli.core.storage.keys import checked_key
from run402_cli.core.storage.section import forget
from run402_cli.core.storage.upload_rows import Session
from run402_cli.core.web.http import read_object, reply
from run402_cli.core.web.instants import iso
from run402_cli.core.web.routing import admitted
from run402_cli.release.fields import is_integer

DEFAULT_TTL: Final = 24 * 3600
MIN_TTL: Final = 60
MAX_TTL: Final = 7 * 24 * 3600


def _view(session: Session, base: str) -> dict[str, Any]:
    path = f"/projects/v1/{session.project_id}/storage/uploads/{session.upload_id}/bytes"
    names = (
        *("upload_id", "project_id", "key", "declared_size", "declared_sha256", "content_type", "visibility"),
        *("immutable", "status"),
    )
    return {
        **{name: getattr(session, name) for name in names},
        "upload_url": f"{base}{path}",
        "bytes_written": session.bytes_written,
        "expires_at": iso(session.expires_at),
        "completed_at": iso(session.completed_at),
        "aborted_at": iso(session.aborted_at),
        "created_at": iso(session.created_at),
    }


async def create(request: Request) -> Response:
    """POST .../uploads {key, size_bytes, sha256, content_type?, visibility?, immutable?, ttl_seconds?}: 201 session.

    Service key; sizes in bytes. 400 invalid_storage_key, invalid_size, size_too_large, invalid_sha256,
    invalid_content_type, invalid_visibility, invalid_request. docs/assets.md
    """
    gateway = gateway_of(request)
    body = await read_object(request)
    put = _declared(gateway, body)
    async with gateway.connection() as conn:
        lifetime = _lifetime(body.get("ttl_seconds"))
        session = await upload_rows.add(conn, admitted(request, Project).project_id, put, lifetime)
    return reply(_view(session, gateway.settings.public_url), 201)


def _declared(gateway: Gateway, body: dict[str, Any]) -> assets_request.Put:
    key = checked_key(body.get("key"))
    size = body.get("size_bytes", body.get("size"))
    limit = gateway.settings.max_object_bytes
    if not is_integer(size) or size < 1:
        raise GatewayError(400, "invalid_size", "size_bytes must be the length in bytes, 1 or more.")
    if size > limit:
        message = f"An object of {size} bytes is over this gateway's limit of {limit} bytes."
        raise GatewayError(400, "size_too_large", message, max_bytes=limit)
    sha256 = body.get("sha256")
    if not isinstance(sha256, str) or not SHA256.fullmatch(sha256.lower()):
        raise GatewayError(400, "invalid_sha256", "sha256 must be 64 hex digits.")
    immutable = body.get("immutable", False)
    if not isinstance(immutable, bool):
        raise GatewayError(400, "invalid_request", "immutable must be true or false.")
    kind = assets_request.content_type(body.get("content_type"), "the body")
    return assets_request.Put(
        key, sha256.lower(), int(size), kind, assets_request.visibility(body.get("visibility"), "the body"), immutable
    )


def _lifetime(value: Any) -> timedelta:
    seconds = value if isinstance(value, int | float) and not isinstance(value, bool) else 0
    return timedelta(seconds=DEFAULT_TTL if seconds < MIN_TTL else min(seconds, MAX_TTL))


async def receive(request: Request) -> Response:
    """PUT .../uploads/{upload_id}/bytes: the raw bytes in one request, or JSON {bytes_base64}. 200 session.

    400 upload_not_active when it is unknown, expired or has its bytes already, 507 storage_unavailable.
    docs/assets.md
    """
    gateway = gateway_of(request)
    async with gateway.connection() as conn:
        session = await upload_rows.find(conn, *_place(request))
    if session is None or session.status != "active" or session.expired:
        raise _not_active(request.path_params["upload_id"])
    target = gateway.store.temporary(session.upload_id)
    arriving = gateway.store.temporary()
    wrapped = request.headers.get("content-type", "").startswith("application/json")
    try:
        # One byte more than declared is enough to know that it is too much.
        limit = session.declared_size * 3 // 2 + 1024 if wrapped else session.declared_size + 1
        size = await receive_to(request, arriving, limit)
        if wrapped:
            size = await asyncio.to_thread(_unwrap, arriving, session, size)
        async with gateway.connection() as conn:
            uploaded = await upload_rows.mark_uploaded(conn, session.upload_id, size)
        if uploaded is None:
            raise _not_active(session.upload_id)
        arriving.replace(target)
    except OSError as exc:
        raise storage_failure(exc) from exc
    finally:
        arriving.unlink(missing_ok=True)
    return reply(_view(uploaded, gateway.settings.public_url))


def _unwrap(path: Path, session: Session, size: int) -> int:
    """Bytes sent as JSON {bytes_base64}; a JSON document that is itself the object stays as it is. The size in bytes."""
    if file_sha256(path) == session.declared_sha256:
        return size
    try:
        body = json.loads(path.read_bytes())
        data = base64.b64decode(body["bytes_base64"], validate=True)
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error):
        return size
    path.write_bytes(data)
    return len(data)


async def show(request: Request) -> Response:
    """GET .../uploads/{upload_id}: 200 session, 404 upload_not_found. Service key. docs/assets.md"""
    gateway = gateway_of(request)
    async with gateway.connection() as conn:
        session = await upload_rows.find(conn, *_place(request))
    if session is None:
        raise _not_found(request.path_params["upload_id"])
    return reply(_view(session, gateway.settings.public_url))


async def complete(request: Request) -> Response:
    """POST .../uploads/{upload_id}/complete: check the bytes, make the object. 200 object, the same when repeated.

    400 upload_not_uploaded, upload_expired, upload_aborted; 404 upload_not_found; 409 content_size_mismatch,
    content_digest_mismatch, upload_bytes_missing. docs/assets.md
    """
    gateway = gateway_of(request)
    project = admitted(request, Project)
    async with gateway.connection() as conn:
        session = await upload_rows.find(conn, *_place(request))
        if session is None:
            raise _not_found(request.path_params["upload_id"])
        if session.status != "completed":
            await _complete(gateway, conn, project, session)
        found = await object_rows.find(conn, project.project_id, session.key)
    if found is None:
        raise GatewayError(400, "object_not_found", f"{session.key} was completed and deleted since. Upload it again.")
    return reply(objects.object_view(gateway.settings.public_url, project.project_id, found))


async def _complete(gateway: Gateway, conn: Connection, project: Project, session: Session) -> None:
    if session.status == "aborted":
        raise GatewayError(400, "upload_aborted", f"The upload {session.upload_id} was aborted. Start a new one.")
    if session.status == "active":
        raise GatewayError(
            400, "upload_not_uploaded", f"The bytes of {session.upload_id} were not sent. PUT them first."
        )
    if session.expired:
        raise GatewayError(400, "upload_expired", f"The upload {session.upload_id} has expired. Start a new one.")
    path = gateway.store.temporary(session.upload_id)
    if not path.exists():
        raise GatewayError(
            409, "upload_bytes_missing", f"The bytes of {session.upload_id} are gone. Start a new upload."
        )
    if session.bytes_written != session.declared_size:
        raise GatewayError(
            409,
            "content_size_mismatch",
            f"{session.declared_size} bytes were declared and {session.bytes_written} were sent. Start a new upload.",
        )
    actual = await asyncio.to_thread(file_sha256, path)
    if actual != session.declared_sha256:
        raise GatewayError(
            409,
            "content_digest_mismatch",
            f"The bytes hash to {actual}, not to the declared {session.declared_sha256}. Start a new upload.",
        )
    await store_object(gateway, conn, project.project_id, session.put, path)
    await upload_rows.mark_completed(conn, session.upload_id)


async def store_object(gateway: Gateway, conn: Connection, project_id: str, put: assets_request.Put, path: Path) -> Any:
    """Make a complete, verified file the object's content; returns the facts of a picture or None."""
    await asyncio.to_thread(gateway.store.adopt, project_id, put.sha256, path)
    await asyncio.to_thread(gateway.store.sync, project_id, [put.sha256])
    facts = await asyncio.to_thread(images.describe, gateway.store.path(put.sha256), put.content_type)
    async with conn.transaction():
        await object_rows.lock(conn, project_id)
        old = await object_rows.find(conn, project_id, put.key)
        await object_rows.save(conn, project_id, [(put, facts)])
        if old is not None and old.sha256 != put.sha256:
            await forget(gateway, conn, project_id, [old.sha256])
    return facts


async def abort(request: Request) -> Response:
    """POST .../uploads/{upload_id}/abort: 200 session, 400 upload_not_active. Service key. docs/assets.md"""
    gateway = gateway_of(request)
    async with gateway.connection() as conn:
        session = await upload_rows.mark_aborted(conn, *_place(request))
    if session is None:
        raise _not_active(request.path_params["upload_id"])
    gateway.store.temporary(session.upload_id).unlink(missing_ok=True)
    return reply(_view(session, gateway.settings.public_url))


async def cleanup(request: Request) -> Response:
    """POST .../storage/cleanup: drop uploads that are over and their bytes. Service key. docs/assets.md"""
    gateway = gateway_of(request)
    project = admitted(request, Project)
    async with gateway.connection() as conn:
        removed = await upload_rows.remove_ended(conn, project.project_id)
        retained = await object_rows.live_digests(conn, project.project_id)
    for upload_id in removed:
        gateway.store.temporary(upload_id).unlink(missing_ok=True)
    return reply(
        {
            "removed_uploads": len(removed),
            "removed_objects": 0,
            "removed_versions": 0,
            "removed_cas_objects": 0,
            "removed_function_logs": 0,
            "retained_live_sha256": retained,
        }
    )


def _place(request: Request) -> tuple[str, str]:
    return request.path_params["project_id"], request.path_params["upload_id"]


def _not_active(upload_id: str) -> GatewayError:
    return GatewayError(
        400, "upload_not_active", f"The upload {upload_id} does not take bytes (any more). Start a new one."
    )


def _not_found(upload_id: str) -> GatewayError:
    return GatewayError(404, "upload_not_found", f"There is no upload {upload_id} in this project.")
