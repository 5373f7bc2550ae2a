"""Send the content that the gateway lacks: presigned sessions (Cloud dialect) or staging (Core dialect).

Uploads run in parallel, each reading its file from disk piece by piece, so memory does not grow with file sizes.
After the first final failure no new upload starts and the content plan is not committed.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from run402_cli.client import Client
from run402_cli.client._httpx import httpx
from run402_cli.deploy._bytes import Body, Content
from run402_cli.deploy._options import Emit
from run402_cli.deploy._workers import Stopped, run_jobs
from run402_cli.errors import DeployError
from run402_cli.services import content as content_service

if TYPE_CHECKING:
    from run402_cli.release.wire import ContentObject

Contents = Mapping[str, "ContentObject"]

_RETRY_SECONDS = (1.0, 2.0)


def missing_entries(plan: Mapping[str, Any], contents: Contents, emit: Emit) -> list[dict[str, Any]]:
    """What the plan says is not stored yet, as entries of a content plan; what is stored is announced as skipped."""
    entries = [entry for entry in plan.get("missing_content") or [] if isinstance(entry, dict)]
    for entry in entries:
        if entry.get("present") is True:
            sha256 = str(entry.get("sha256"))
            emit(
                {
                    "type": "content.upload.skipped",
                    **_named(sha256, contents),
                    "reason": "present",
                    **_kind(sha256, contents),
                }
            )
    return [_entry(entry, contents) for entry in entries if entry.get("present") is not True]


def _entry(entry: Mapping[str, Any], contents: Contents) -> dict[str, Any]:
    known = contents.get(str(entry.get("sha256")))
    out = {"sha256": entry.get("sha256"), "size": entry.get("size")}
    if known is not None and known.content_type:
        out["content_type"] = known.content_type
    return out


def send_missing(
    client: Client,
    project_id: str,
    entries: Sequence[Mapping[str, Any]],
    contents: Contents,
    *,
    workers: int,
    emit: Emit,
) -> None:
    """Plan, upload and commit the given entries; nothing at all happens without entries."""
    if not entries:
        return
    plan = content_service.plan(client, project_id, entries)
    if (
        not isinstance(plan, dict)
        or not isinstance(plan.get("plan_id"), str)
        or not isinstance(plan.get("missing"), list)
    ):
        raise _failed("The gateway's upload plan has no plan_id or no missing list.", None)
    sessions = [_session(value, contents) for value in plan["missing"]]
    send_sessions(client, sessions, workers=workers, emit=emit, contents=contents)
    content_service.commit(client, project_id, plan["plan_id"])


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes [start, start + length) go to `url`."""

    url: str
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Session:
    """One object and the presigned addresses of its parts."""

    item: ContentObject
    multipart: bool
    parts: tuple[Part, ...]


def _session(value: Any, contents: Contents) -> Session:
    """Check one entry of `missing`. Raises DeployError CONTENT_UPLOAD_FAILED when it cannot be served."""
    session = value if isinstance(value, dict) else {}
    sha256 = str(session.get("sha256"))
    item = contents.get(sha256)
    if item is None:
        raise _failed(
            f"The gateway lacks the content {sha256} and there are no local bytes for it. "
            "Put the file itself into the manifest instead of a reference to stored content.",
            sha256,
        )
    multipart = session.get("mode") == "multipart"
    raw = session.get("parts")
    try:
        parts = tuple(_part(part, item.size) for part in raw) if isinstance(raw, list) else ()
    except (KeyError, TypeError, ValueError) as exc:
        raise _failed(f"The upload session of {item.label} has an unusable part.", item.label) from exc
    if not parts or (not multipart and len(parts) != 1):
        raise _failed(
            f"The upload session of {item.label} has {len(parts)} parts in mode {session.get('mode')!r}.", item.label
        )
    return Session(item, multipart, parts)


def _part(value: Mapping[str, Any], size: int) -> Part:
    start, last = value["byte_start"], value["byte_end"]
    if not isinstance(start, int) or not isinstance(last, int):
        raise ValueError("a range is not two whole numbers")
    # `byte_end` is inclusive, and may be that of a full part although the object ends before it.
    end = min(last + 1, size)
    if not 0 <= start <= end:
        raise ValueError("a range lies outside of the object")
    if urlsplit(value["url"]).scheme not in ("http", "https"):
        raise ValueError("not an address")
    return Part(value["url"], start, end - start)


def send_sessions(client: Client, sessions: Sequence[Session], *, workers: int, emit: Emit, contents: Contents) -> None:
    """Upload every session; a progress event follows each one that is complete."""
    http = client.http
    progress = _Progress(len(sessions), contents, emit)
    run_jobs(
        sessions,
        lambda session, stop: _send_session(http, session, stop),
        workers=workers,
        finished=lambda session: progress.done(session.item),
    )


class _Progress:
    def __init__(self, total: int, contents: Contents, emit: Emit) -> None:
        self._done, self._total, self._contents, self._emit = 0, total, contents, emit

    def done(self, item: ContentObject) -> None:
        self._done += 1
        self._emit(
            {
                "type": "content.upload.progress",
                **_named(item.sha256, self._contents),
                "done": self._done,
                "total": self._total,
                **_kind(item.sha256, self._contents),
            }
        )


def _send_session(http: httpx.Client, session: Session, stop: threading.Event) -> None:
    """One object, up to three attempts, each from its first byte."""
    for delay in (*_RETRY_SECONDS, None):
        try:
            _attempt(http, session, stop)
            return
        except DeployError as exc:
            if delay is None or not exc.retryable:
                raise
        if stop.wait(delay):
            raise Stopped


def _attempt(http: httpx.Client, session: Session, stop: threading.Event) -> None:
    content = Content(session.item, stop)
    if not session.multipart:
        part = session.parts[0]
        checksum = base64.b64encode(bytes.fromhex(session.item.sha256)).decode()
        _put(http, session.item, part, content, checksum)
        return
    whole = hashlib.sha256()
    for part in session.parts:
        checksum = content.checksum(part.start, part.length, whole)
        if part is session.parts[-1] and sum(each.length for each in session.parts) == session.item.size:
            content.check_whole(whole)
        response = _put(http, session.item, part, content, checksum)
        if "etag" not in response.headers:
            raise _failed(f"The store accepted a part of {session.item.label} without an ETag.", session.item.label)


def _put(http: httpx.Client, item: ContentObject, part: Part, content: Content, checksum: str) -> httpx.Response:
    where = urlsplit(part.url).netloc.rpartition("@")[2]
    body = Body(lambda: content.pieces(part.start, part.length)) if part.length else b""
    try:
        response = content_service.put(http, part.url, body, length=part.length, checksum=checksum)
    except (httpx.TransportError, httpx.TooManyRedirects) as exc:
        reason = str(exc) or type(exc).__name__
        raise _failed(
            f"No answer from {where} while uploading {item.label}: {reason}.", item.label, retryable=True
        ) from exc
    if response.is_success:
        return response
    raise _failed(
        f"{where} refused the upload of {item.label} (HTTP {response.status_code}).",
        item.label,
        retryable=response.status_code >= 500 or response.status_code == 403,
        http=response.status_code,
        body_preview=response.text[:500],
    )


def stage_all(
    client: Client, project_id: str, items: Sequence[ContentObject], *, workers: int, emit: Emit, contents: Contents
) -> None:
    """Stage objects on a Core gateway, whose failures keep the common API shape."""
    progress = _Progress(len(items), contents, emit)

    def stage(item: ContentObject, stop: threading.Event) -> None:
        content_service.stage(
            client,
            project_id,
            Content(item, stop).pieces,
            sha256=item.sha256,
            size=item.size,
            content_type=item.content_type,
        )

    run_jobs(items, stage, workers=workers, finished=progress.done)


def _named(sha256: str, contents: Contents) -> dict[str, str]:
    item = contents.get(sha256)
    return {"label": item.label if item is not None else sha256, "sha256": sha256}


def _kind(sha256: str, contents: Contents) -> dict[str, str]:
    item = contents.get(sha256)
    return {"slice_kind": item.slice_kind} if item is not None and item.slice_kind else {}


def _failed(message: str, resource: str | None, *, retryable: bool = False, **fields: Any) -> DeployError:
    return DeployError(
        message, code="CONTENT_UPLOAD_FAILED", phase="upload", resource=resource, retryable=retryable, **fields
    )
