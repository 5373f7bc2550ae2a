"""Content on its way in: base64 staging (Core dialect) and planned uploads to signed URLs (Cloud dialect)."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from psycopg.types.json import Jsonb
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from run402_cli.core.callers.auth import caller_project, project_by_id
from run402_cli.core.content.store import SHA256, file_sha256, storage_failure, sync_file
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import Gateway, gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.web.http import public_base, read_object, reply
from run402_cli.core.web.instants import iso

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

SINGLE_LIMIT_BYTES = 96 * 1024**2
PART_BYTES = 64 * 1024**2
WRITE_BYTES = 1 << 20
PLAN_LIFETIME = timedelta(hours=6)
MAX_ENTRIES = 20_000
CHECKSUM_HEADER = "x-amz-checksum-sha256"


async def stage_content(request: Request) -> Response:
    """POST /projects/v1/{project_id}/content: one object as base64. 201 {staged, sha256, size_bytes, content_type}.

    400 invalid_request, 404 project_not_found, 409 content_size_mismatch or content_digest_mismatch, 413
    content_too_large. docs/local-gateway.md
    """
    gateway = gateway_of(request)
    body = await read_object(request)
    async with gateway.connection() as conn:
        project = await project_by_id(conn, request.path_params["project_id"])
    sha256, size = _digest_and_size(body, "the body")
    content_type = body.get("content_type") or body.get("contentType") or "application/octet-stream"
    if not isinstance(content_type, str):
        raise _invalid("content_type must be a string such as text/html.")
    data = _decoded(body.get("bytes_base64", body.get("bytesBase64")))
    _check_limit(gateway, size)
    if len(data) != size:
        raise GatewayError(
            409,
            "content_size_mismatch",
            f"The body declares {size} bytes for {sha256} and carries {len(data)}. Read the file again and resend it.",
            code="CONTENT_SIZE_MISMATCH",
        )
    actual = hashlib.sha256(data).hexdigest()
    if actual != sha256:
        raise _digest_mismatch(sha256, actual)
    try:
        await asyncio.to_thread(gateway.store.put, project.project_id, sha256, data)
    except OSError as exc:
        raise storage_failure(exc) from exc
    return reply({"staged": True, "sha256": sha256, "size_bytes": size, "content_type": content_type}, 201)


async def plan_content(request: Request) -> Response:
    """POST /content/v1/plans {content: [{sha256, size, content_type?}]}: which objects to send, and where.

    200 {plan_id, expires_at, missing: [session], entries: [{sha256, missing}]}. `byte_end` is inclusive; sizes in
    bytes. The project comes from `apikey` or from `project_id` in the body. docs/local-gateway.md
    """
    gateway = gateway_of(request)
    body = await read_object(request)
    wanted = _entries(gateway, body)
    async with gateway.connection() as conn:
        project = await caller_project(conn, request, body.get("project_id"))
        await asyncio.to_thread(gateway.store.sweep)
        stored = await asyncio.to_thread(gateway.store.sizes, project.project_id, list(wanted))
        plan_id = f"cplan_{secrets.token_hex(12)}"
        expires_at = datetime.now(UTC) + PLAN_LIFETIME
        begun = await _interrupted(gateway, conn, project, [s for s, size in wanted.items() if stored[s] != size])
        uploads = [
            begun.get(sha256)
            or Upload(f"cup_{secrets.token_hex(12)}", plan_id, project.project_id, sha256, size, _part_bytes(size))
            for sha256, size in wanted.items()
            if stored[sha256] != size and (sha256 not in begun or begun[sha256].open_parts)
        ]
        await _store_plan(conn, plan_id, project, wanted, expires_at, uploads)
    signer = _Signer(gateway, f"{public_base(request)}/content/v1/uploads", expires_at)
    missing = {upload.sha256 for upload in uploads}
    return reply(
        {
            "plan_id": plan_id,
            "expires_at": iso(expires_at),
            "missing": [signer.session(upload) for upload in uploads],
            "entries": [{"sha256": sha256, "missing": sha256 in missing} for sha256 in wanted],
        }
    )


async def commit_content(request: Request) -> Response:
    """POST /content/v1/plans/{plan_id}/commit: every object of the plan is there, whole and durable.

    200 {plan_id, status, content}. 404 content_plan_not_found, 409 content_missing (safe to retry).
    docs/local-gateway.md
    """
    gateway = gateway_of(request)
    plan_id = request.path_params["plan_id"]
    async with gateway.connection() as conn:
        row = await _fetch_plan(conn, plan_id)
        await _check_caller(conn, request, row["project_id"])
        project_id, digests = row["project_id"], [entry["sha256"] for entry in row["entries"]]
        for upload in await _unfinished(conn, project_id, digests):
            if not upload.open_parts:
                await _finish_multipart(gateway, conn, upload)
        stored = await asyncio.to_thread(gateway.store.sizes, project_id, digests)
        absent = [entry["sha256"] for entry in row["entries"] if stored[entry["sha256"]] != entry["size"]]
        if absent:
            raise GatewayError(
                409,
                "content_missing",
                f"{len(absent)} of {len(digests)} objects were not uploaded, first {absent[0]}. "
                "Deploy again: only what is missing is sent.",
                code="CONTENT_MISSING",
                missing=absent[:100],
                retryable=True,
                safe_to_retry=True,
            )
        await asyncio.to_thread(gateway.store.sync, project_id, digests)
        await conn.execute(
            "UPDATE internal.core_content_plans SET committed_at = coalesce(committed_at, now()) WHERE plan_id = %s",
            (plan_id,),
        )
    return reply({"plan_id": plan_id, "status": "committed", "content": [{"sha256": d} for d in digests]})


async def receive_part(request: Request) -> Response:
    """PUT /content/v1/uploads/{upload_id}/{part}: raw bytes of one part, streamed to disk. 200 with an ETag.

    403 upload_url_invalid or upload_url_expired, 404 upload_not_found, 409 content_digest_mismatch or
    content_size_mismatch, 507 storage_unavailable. docs/local-gateway.md
    """
    gateway = gateway_of(request)
    upload_id, part = request.path_params["upload_id"], request.path_params["part"]
    _check_signature(gateway, request, upload_id, part)
    async with gateway.connection() as conn:
        upload = await _fetch_upload(conn, upload_id)
    if not 1 <= part <= upload.part_count:
        raise GatewayError(404, "upload_not_found", f"Upload {upload_id} has no part {part}.", code="UPLOAD_NOT_FOUND")
    try:
        if upload.part_count == 1:
            digest = await _receive_object(gateway, request, upload)
        else:
            digest = await _receive_slice(gateway, request, upload, part)
    except OSError as exc:
        raise storage_failure(exc) from exc
    tag = digest or f"{upload_id}-{part}"
    body = {"upload_id": upload_id, "part_number": part, "sha256": digest or None}
    return reply(body, headers={"ETag": f'"{tag}"'})


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


class _Signer:
    """Makes the upload URLs of one content plan."""

    def __init__(self, gateway: Gateway, base: str, expires_at: datetime) -> None:
        self.secret = gateway.settings.signed_read_secret
        self.base = base
        self.expires_at = expires_at

    def session(self, upload: Upload) -> dict[str, Any]:
        return {
            "sha256": upload.sha256,
            "mode": "single" if upload.part_count == 1 else "multipart",
            "parts": [self._part(upload, number) for number in upload.open_parts],
            "part_size_bytes": upload.part_bytes,
            "part_count": upload.part_count,
            "upload_id": upload.upload_id,
            "staging_key": f"{upload.project_id}/{upload.sha256}",
            "expires_at": iso(self.expires_at),
        }

    def _part(self, upload: Upload, number: int) -> dict[str, Any]:
        start, length = upload.span(number)
        expires = int(self.expires_at.timestamp())
        signature = _signature(self.secret, upload.upload_id, number, expires)
        url = f"{self.base}/{upload.upload_id}/{number}?expires={expires}&signature={signature}"
        if upload.part_count > 1:
            # The whole object is compared with its digest in the end; one more pass over each part gains nothing.
            url += f"&{CHECKSUM_HEADER}=whole"
        return {"part_number": number, "url": url, "byte_start": start, "byte_end": start + length - 1}


def _signature(secret: str, upload_id: str, part: int, expires: int) -> str:
    text = f"run402-core-content-upload-v1\n{upload_id}\n{part}\n{expires}"
    mac = hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def _check_signature(gateway: Gateway, request: Request, upload_id: str, part: int) -> None:
    expires = request.query_params.get("expires", "")
    given = request.query_params.get("signature", "")
    known = re.fullmatch(r"[0-9]{1,12}", expires) is not None and hmac.compare_digest(
        given.encode(), _signature(gateway.settings.signed_read_secret, upload_id, part, int(expires)).encode()
    )
    if not known:
        raise GatewayError(
            403,
            "upload_url_invalid",
            "This upload URL was not made by this gateway. Use the URLs of a new content plan unchanged.",
            code="UPLOAD_URL_INVALID",
        )
    if int(expires) < time.time():
        raise GatewayError(
            403,
            "upload_url_expired",
            "This upload URL has expired. Make a new content plan.",
            code="UPLOAD_URL_EXPIRED",
        )


async def _receive_object(gateway: Gateway, request: Request, upload: Upload) -> str:
    temporary = gateway.store.temporary()
    try:
        with await asyncio.to_thread(temporary.open, "wb") as handle:
            digest = await _copy_body(request, handle, upload.size)
            _check_part(request, digest)
            if digest != upload.sha256:
                raise _digest_mismatch(upload.sha256, digest)
            await asyncio.to_thread(sync_file, handle)
        await asyncio.to_thread(gateway.store.adopt, upload.project_id, upload.sha256, temporary)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return digest


async def _receive_slice(gateway: Gateway, request: Request, upload: Upload, part: int) -> str:
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
        await conn.execute(
            "UPDATE internal.core_content_uploads SET parts_done = parts_done || %s::int"
            " WHERE upload_id = %s AND NOT %s = ANY(parts_done)",
            (part, upload.upload_id, part),
        )
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
            code="CHECKSUM_MISMATCH",
        )


async def _finish_multipart(gateway: Gateway, conn: Connection, upload: Upload) -> None:
    """Turn a fully received multipart file into an object; its whole digest is checked here."""
    target = gateway.store.temporary(upload.upload_id)
    if not target.exists():
        return
    if target.stat().st_size != upload.size or await asyncio.to_thread(file_sha256, target) != upload.sha256:
        target.unlink(missing_ok=True)
        await conn.execute(
            "UPDATE internal.core_content_uploads SET parts_done = '{}' WHERE upload_id = %s", (upload.upload_id,)
        )
        raise _digest_mismatch(upload.sha256, "something else")
    await asyncio.to_thread(gateway.store.adopt, upload.project_id, upload.sha256, target)
    await conn.execute(
        "UPDATE internal.core_content_uploads SET stored = true WHERE upload_id = %s", (upload.upload_id,)
    )


async def _store_plan(
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


async def _fetch_plan(conn: Connection, plan_id: str) -> dict[str, Any]:
    cur = await conn.execute(
        "SELECT project_id, entries FROM internal.core_content_plans WHERE plan_id = %s", (plan_id,)
    )
    row = await cur.fetchone()
    if row is None:
        raise GatewayError(
            404,
            "content_plan_not_found",
            f"There is no content plan {plan_id}. Deploy again to make a new one.",
            code="CONTENT_PLAN_NOT_FOUND",
        )
    return {"project_id": row[0], "entries": row[1]}


UPLOAD_COLUMNS = "upload_id, plan_id, project_id, sha256, size_bytes, part_bytes"


async def _unfinished(conn: Connection, project_id: str, digests: list[str]) -> list[Upload]:
    """Multipart uploads of these objects that are not objects yet; the most complete one of each comes last."""
    cur = await conn.execute(
        f"SELECT {UPLOAD_COLUMNS}, parts_done FROM internal.core_content_uploads WHERE project_id = %s"
        " AND sha256 = ANY(%s) AND size_bytes > part_bytes AND NOT stored ORDER BY cardinality(parts_done)",
        (project_id, digests),
    )
    return [replace(Upload(*row[:6]), done=frozenset(row[6])) for row in await cur.fetchall()]


async def _interrupted(gateway: Gateway, conn: Connection, project: Project, digests: list[str]) -> dict[str, Upload]:
    """Uploads of an earlier plan that a new one goes on with; one without open parts has just become an object."""
    found: dict[str, Upload] = {}
    for upload in await _unfinished(conn, project.project_id, digests):
        if not upload.done or upload.part_bytes != _part_bytes(upload.size):
            continue
        if not gateway.store.temporary(upload.upload_id).exists():
            continue
        if not upload.open_parts:
            try:
                await _finish_multipart(gateway, conn, upload)
            except GatewayError:
                continue
        found[upload.sha256] = upload
    return found


async def _fetch_upload(conn: Connection, upload_id: str) -> Upload:
    cur = await conn.execute(
        f"SELECT {UPLOAD_COLUMNS} FROM internal.core_content_uploads WHERE upload_id = %s", (upload_id,)
    )
    row = await cur.fetchone()
    if row is None:
        raise GatewayError(
            404,
            "upload_not_found",
            f"There is no upload {upload_id}. Make a new content plan.",
            code="UPLOAD_NOT_FOUND",
        )
    return Upload(*row)


async def _check_caller(conn: Connection, request: Request, project_id: str) -> None:
    if request.headers.get("apikey"):
        await caller_project(conn, request, project_id)


def _entries(gateway: Gateway, body: dict[str, Any]) -> dict[str, int]:
    content = body.get("content")
    if not isinstance(content, list) or len(content) > MAX_ENTRIES:
        raise _invalid(f"`content` must be an array of at most {MAX_ENTRIES} {{sha256, size}} objects.")
    wanted: dict[str, int] = {}
    for index, entry in enumerate(content):
        if not isinstance(entry, dict):
            raise _invalid(f"content[{index}] must be an object with sha256 and size.")
        sha256, size = _digest_and_size(entry, f"content[{index}]")
        if wanted.setdefault(sha256, size) != size:
            raise _invalid(f"content[{index}] repeats {sha256} with another size.")
        _check_limit(gateway, size)
    return wanted


def _digest_and_size(entry: dict[str, Any], where: str) -> tuple[str, int]:
    sha256 = entry.get("sha256")
    size = entry.get("size", entry.get("size_bytes"))
    if not isinstance(sha256, str) or not SHA256.fullmatch(sha256.lower()):
        raise _invalid(f"sha256 of {where} must be 64 hex digits.")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise _invalid(f"size of {where} must be the length in bytes, 0 or more.")
    return sha256.lower(), size


def _decoded(text: object) -> bytes:
    if not isinstance(text, str):
        raise _invalid("bytes_base64 must be the content as a base64 string.")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise _invalid(f"bytes_base64 is not base64: {exc}.") from exc


def _part_bytes(size: int) -> int:
    return max(size, 1) if size <= SINGLE_LIMIT_BYTES else PART_BYTES


def _check_limit(gateway: Gateway, size: int) -> None:
    limit = gateway.settings.max_object_bytes
    if size > limit:
        raise GatewayError(
            413,
            "content_too_large",
            f"An object of {size} bytes is over this gateway's limit of {limit} bytes. Split or shrink the file.",
            code="CONTENT_TOO_LARGE",
            max_bytes=limit,
        )


def _digest_mismatch(expected: str, actual: str) -> GatewayError:
    return GatewayError(
        409,
        "content_digest_mismatch",
        f"The bytes hash to {actual}, not to the declared {expected}: the file changed while it was sent. Deploy again.",
        code="CONTENT_DIGEST_MISMATCH",
    )


def _size_mismatch(expected: int, received: int, why: str) -> GatewayError:
    return GatewayError(
        409,
        "content_size_mismatch",
        f"Expected {expected} bytes and received {received}. {why} Send the whole part again.".replace("  ", " "),
        code="CONTENT_SIZE_MISMATCH",
        retryable=True,
    )


def _invalid(message: str) -> GatewayError:
    return GatewayError(400, "invalid_request", message, code="INVALID_REQUEST")


ROUTES = [
    Route("/projects/v1/{project_id}/content", stage_content, methods=["POST"]),
    Route("/content/v1/plans", plan_content, methods=["POST"]),
    Route("/content/v1/plans/{plan_id}/commit", commit_content, methods=["POST"]),
    Route("/content/v1/uploads/{upload_id}/{part:int}", receive_part, methods=["PUT"]),
]
