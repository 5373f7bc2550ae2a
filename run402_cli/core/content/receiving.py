"""Bytes from a request to a file: streamed, hashed on the way, synced before they count."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from pathlib import Path
from typing import Any

from starlette.requests import ClientDisconnect, Request

from run402_cli.core.content.files import file_sha256, sync_file
from run402_cli.core.content.rows import (
    Upload,
    add_part,
    forget_parts,
    mark_stored,
    unfinished,
)
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import Gateway
from run402_cli.core.projects.rows import Project

CHECKSUM_HEADER = "x-amz-checksum-sha256"

SINGLE_LIMIT_BYTES = 96 * 1024**2
PART_BYTES = 64 * 1024**2
WRITE_BYTES = 1 << 20


async def receive_object(gateway: Gateway, request: Request, upload: Upload) -> str:
    if upload.size <= WRITE_BYTES:
        return await _receive_small(gateway, request, upload)
    temporary = gateway.store.temporary()
    try:
        with await asyncio.to_thread(temporary.open, "wb") as handle:
            digest = await _copy_body(request, handle, upload.size)
            _check_part(request, digest)
            if digest != upload.sha256:
                raise digest_mismatch(upload.sha256, digest)
            await asyncio.to_thread(sync_file, handle)
        await asyncio.to_thread(gateway.store.adopt, upload.project_id, upload.sha256, temporary)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return digest


async def _receive_small(gateway: Gateway, request: Request, upload: Upload) -> str:
    """As `receive_object`, in one trip to a thread: for a few bytes the trips take longer than the work."""
    data = bytearray()
    try:
        async for chunk in request.stream():
            data += chunk
            if len(data) > upload.size:
                break
    except ClientDisconnect as exc:
        raise _size_mismatch(upload.size, len(data), "The connection closed early.") from exc
    if len(data) != upload.size:
        raise _size_mismatch(upload.size, len(data), "")

    def store() -> str:
        digest = hashlib.sha256(data).hexdigest()
        _check_part(request, digest)
        if digest != upload.sha256:
            raise digest_mismatch(upload.sha256, digest)
        gateway.store.put(upload.project_id, upload.sha256, data)
        return digest

    return await asyncio.to_thread(store)


async def receive_slice(gateway: Gateway, request: Request, upload: Upload, part: int) -> str:
    # The parts of one object share a file: each is written at its own place, and counts only once synced.
    target = gateway.store.temporary(upload.upload_id)
    start, length = upload.span(part)
    await asyncio.to_thread(target.touch)
    with await asyncio.to_thread(target.open, "r+b") as handle:
        handle.seek(start)
        digest = await _copy_body(request, handle, length, hashing=CHECKSUM_HEADER in request.headers)
        _check_part(request, digest)
        await asyncio.to_thread(sync_file, handle)
    async with gateway.connection() as conn:
        await add_part(conn, upload.upload_id, part)
    return digest


async def receive_to(request: Request, path: Path, limit: int) -> int:
    """Stream a body of any length up to `limit` bytes to a new, synced file; the bytes received. The rest is not read.

    409 content_size_mismatch when the client hangs up, OSError.
    """
    with await asyncio.to_thread(path.open, "wb") as handle:
        received, _ = await _copy_stream(request, handle, limit, hashing=False)
        await asyncio.to_thread(sync_file, handle)
    return min(received, limit)


async def _copy_body(request: Request, handle: Any, length: int, *, hashing: bool = True) -> str:
    """Stream exactly `length` bytes of body to `handle`; their SHA-256, or "" without `hashing`."""
    received, digest = await _copy_stream(request, handle, length, hashing=hashing)
    if received != length:
        raise _size_mismatch(length, received, "")
    return digest


async def _copy_stream(request: Request, handle: Any, limit: int, *, hashing: bool) -> tuple[int, str]:
    """Stream the body to `handle`, hashing as it goes; memory stays at one buffer. Stops beyond `limit` bytes."""
    sha, received, buffer = hashlib.sha256(), 0, bytearray()

    def flush() -> None:
        if hashing:
            sha.update(buffer)
        handle.write(buffer)
        buffer.clear()

    try:
        async for chunk in request.stream():
            received += len(chunk)
            if received > limit:
                break
            buffer += chunk
            if len(buffer) >= WRITE_BYTES:
                await asyncio.to_thread(flush)
    except ClientDisconnect as exc:
        raise _size_mismatch(limit, received, "The connection closed early.") from exc
    await asyncio.to_thread(flush)
    return received, sha.hexdigest() if hashing else ""


def _check_part(request: Request, digest: str) -> None:
    declared = request.headers.get(CHECKSUM_HEADER)
    if declared is not None and declared != base64.b64encode(bytes.fromhex(digest)).decode():
        raise GatewayError(
            400,
            "checksum_mismatch",
            f"The bytes received hash to {digest}, which is not what {CHECKSUM_HEADER} says. Send the part again.",
        )


async def finish_multipart(gateway: Gateway, conn: Connection, upload: Upload) -> None:
    """Turn a fully received multipart file into an object; its whole digest is checked here."""
    target = gateway.store.temporary(upload.upload_id)
    if not target.exists():
        return
    if target.stat().st_size != upload.size or await asyncio.to_thread(file_sha256, target) != upload.sha256:
        target.unlink(missing_ok=True)
        await forget_parts(conn, upload.upload_id)
        raise digest_mismatch(upload.sha256, "something else")
    await asyncio.to_thread(gateway.store.adopt, upload.project_id, upload.sha256, target)
    await mark_stored(conn, upload.upload_id)


async def interrupted(gateway: Gateway, conn: Connection, project: Project, digests: list[str]) -> dict[str, Upload]:
    """Uploads of an earlier plan that a new one goes on with; one without open parts has just become an object."""
    found: dict[str, Upload] = {}
    for upload in await unfinished(conn, project.project_id, digests):
        if not upload.done or upload.part_bytes != part_bytes(upload.size):
            continue
        if not gateway.store.temporary(upload.upload_id).exists():
            continue
        if not upload.open_parts:
            try:
                await finish_multipart(gateway, conn, upload)
            except GatewayError:
                continue
        found[upload.sha256] = upload
    return found


def part_bytes(size: int) -> int:
    return max(size, 1) if size <= SINGLE_LIMIT_BYTES else PART_BYTES


def digest_mismatch(expected: str, actual: str) -> GatewayError:
    return GatewayError(
        409,
        "content_digest_mismatch",
        f"The bytes hash to {actual}, not to the declared {expected}: the file changed while it was sent. Deploy again.",
    )


def _size_mismatch(expected: int, received: int, why: str) -> GatewayError:
    return GatewayError(
        409,
        "content_size_mismatch",
        f"Expected {expected} bytes and received {received}. {why} Send the whole part again.".replace("  ", " "),
        retryable=True,
    )
