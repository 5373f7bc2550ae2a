"""Content on its way in: base64 staging (Core dialect) and planned uploads to signed URLs (Cloud dialect)."""

from __future__ import annotations

import asyncio
import base64
import binascii
import functools
import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core import aside
from run402_cli.core.callers.auth import caller_project, project_by_id
from run402_cli.core.callers.policies import DEPLOYER, DEPLOYER_OF_WHAT_IT_NAMES
from run402_cli.core.content import journal
from run402_cli.core.content.callers import SIGNED_URL
from run402_cli.core.content.receiving import (
    digest_mismatch,
    finish_multipart,
    interrupted,
    part_bytes,
    receive_object,
    receive_slice,
)
from run402_cli.core.content.rows import (
    Upload,
    fetch_plan,
    fetch_upload,
    mark_committed,
    store_plan,
    unfinished,
)
from run402_cli.core.content.signing import Signer
from run402_cli.core.content.store import SHA256, storage_failure
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import Gateway, gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.web.body_limit import DEPLOY, MIB, STREAMED, too_large
from run402_cli.core.web.http import public_base, read_object, reply
from run402_cli.core.web.instants import iso
from run402_cli.core.web.routing import Route, admitted

PLAN_LIFETIME = timedelta(hours=6)
MAX_ENTRIES = 20_000


async def stage_content(request: Request) -> Response:
    """POST /projects/v1/{project_id}/content: one object as base64. 201 {staged, sha256, size_bytes, content_type}.

    400 invalid_request, 404 project_not_found, 409 content_size_mismatch or content_digest_mismatch, 413
    content_too_large. docs/local-gateway.md
    """
    gateway, project = gateway_of(request), admitted(request, Project)
    body = await read_object(request)
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
        )
    actual = (await asyncio.to_thread(hashlib.sha256, data)).hexdigest()
    if actual != sha256:
        raise digest_mismatch(sha256, actual)
    try:
        await asyncio.to_thread(gateway.store.put, project.project_id, sha256, data)
    except OSError as exc:
        raise storage_failure(exc) from exc
    return reply({"staged": True, "sha256": sha256, "size_bytes": size, "content_type": content_type}, 201)


async def stage_batch(request: Request) -> Response:
    """POST /projects/v1/{project_id}/content/batches: many small objects in one body. 201 {staged: how many}.

    The body is `<sha256> <size>` and a line feed before the bytes of each object; sizes in bytes. All of them are durable
    when the answer comes. A plan's `content_batches` has the limits. 400 invalid_request, 404 project_not_found, 409
    content_digest_mismatch, 413 content_too_large or request_too_large, 507 storage_unavailable. docs/local-gateway.md
    """
    gateway, project = gateway_of(request), admitted(request, Project)
    body = await request.body()
    if len(body) > journal.MAX_BYTES:
        raise too_large(journal.MAX_BYTES)
    store = functools.partial(_stored_batch, gateway, project, body)
    try:
        # In a thread however short it is: it waits for the disk.
        staged = await gateway.aside.run(project.project_id, max(len(body), aside.SHORT + 1), store)
    except OSError as exc:
        raise storage_failure(exc) from exc
    gateway.settling.wake()
    return reply({"staged": staged}, 201)


def _stored_batch(gateway: Gateway, project: Project, body: bytes) -> int:
    try:
        objects = list(journal.entries(body))
    except journal.NoBatch as exc:
        raise _invalid(f"The body is no batch of objects: {exc}.") from exc
    if len(objects) > journal.MAX_OBJECTS:
        raise _invalid(f"The batch has {len(objects)} objects; {journal.MAX_OBJECTS} are the most.")
    for entry in objects:
        _check_limit(gateway, len(entry.data), journal.MAX_OBJECT_BYTES)
        if not journal.is_whole(entry):
            raise digest_mismatch(entry.sha256, hashlib.sha256(entry.data).hexdigest())
    gateway.store.put_batch(project.project_id, body, objects)
    return len(objects)


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
        begun = await interrupted(gateway, conn, project, [s for s, size in wanted.items() if stored[s] != size])
        uploads = [
            begun.get(sha256)
            or Upload(f"cup_{secrets.token_hex(12)}", plan_id, project.project_id, sha256, size, part_bytes(size))
            for sha256, size in wanted.items()
            if stored[sha256] != size and (sha256 not in begun or begun[sha256].open_parts)
        ]
        await store_plan(conn, plan_id, project, wanted, expires_at, uploads)
    signer = Signer(gateway, f"{public_base(request)}/content/v1/uploads", expires_at)
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
        row = await fetch_plan(conn, plan_id)
        await project_by_id(conn, row["project_id"])
        project_id, digests = row["project_id"], [entry["sha256"] for entry in row["entries"]]
        for upload in await unfinished(conn, project_id, digests):
            if not upload.open_parts:
                await finish_multipart(gateway, conn, upload)
        stored = await asyncio.to_thread(gateway.store.sizes, project_id, digests)
        absent = [entry["sha256"] for entry in row["entries"] if stored[entry["sha256"]] != entry["size"]]
        if absent:
            raise GatewayError(
                409,
                "content_missing",
                f"{len(absent)} of {len(digests)} objects were not uploaded, first {absent[0]}. "
                "Deploy again: only what is missing is sent.",
                missing=absent[:100],
                retryable=True,
                safe_to_retry=True,
            )
        await asyncio.to_thread(gateway.store.sync, project_id, digests)
        await mark_committed(conn, plan_id)
    return reply({"plan_id": plan_id, "status": "committed", "content": [{"sha256": d} for d in digests]})


async def receive_part(request: Request) -> Response:
    """PUT /content/v1/uploads/{upload_id}/{part}: raw bytes of one part, streamed to disk. 200 with an ETag.

    403 upload_url_invalid or upload_url_expired, 404 upload_not_found, 409 content_digest_mismatch or
    content_size_mismatch, 507 storage_unavailable. docs/local-gateway.md
    """
    gateway = gateway_of(request)
    upload_id, part = request.path_params["upload_id"], request.path_params["part"]
    async with gateway.connection() as conn:
        upload = await fetch_upload(conn, upload_id)
    if not 1 <= part <= upload.part_count:
        raise GatewayError(404, "upload_not_found", f"Upload {upload_id} has no part {part}.")
    try:
        if upload.part_count == 1:
            digest = await receive_object(gateway, request, upload)
        else:
            digest = await receive_slice(gateway, request, upload, part)
    except OSError as exc:
        raise storage_failure(exc) from exc
    tag = digest or f"{upload_id}-{part}"
    body = {"upload_id": upload_id, "part_number": part, "sha256": digest or None}
    return reply(body, headers={"ETag": f'"{tag}"'})


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


def _check_limit(gateway: Gateway, size: int, most: int | None = None) -> None:
    limit = gateway.settings.max_object_bytes
    if most is not None:
        limit = min(limit, most)
    if size > limit:
        raise GatewayError(
            413,
            "content_too_large",
            f"An object of {size} bytes is over this gateway's limit of {limit} bytes. Split or shrink the file.",
            max_bytes=limit,
        )


def _invalid(message: str) -> GatewayError:
    return GatewayError(400, "invalid_request", message)


ROUTES = [
    Route("/projects/v1/{project_id}/content", stage_content, methods=["POST"], who=DEPLOYER, body=512 * MIB),
    Route("/projects/v1/{project_id}/content/batches", stage_batch, methods=["POST"], who=DEPLOYER),
    Route("/content/v1/plans", plan_content, methods=["POST"], who=DEPLOYER_OF_WHAT_IT_NAMES, body=DEPLOY),
    Route(
        "/content/v1/plans/{plan_id}/commit",
        commit_content,
        methods=["POST"],
        who=DEPLOYER_OF_WHAT_IT_NAMES,
        body=DEPLOY,
    ),
    Route(
        "/content/v1/uploads/{upload_id}/{part:int}",
        receive_part,
        methods=["PUT"],
        who=SIGNED_URL,
        body=STREAMED,
        settles=False,
    ),
]
