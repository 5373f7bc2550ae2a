"""Send the content that the gateway lacks: in batches where it takes them, else to presigned addresses (Cloud dialect) or
by staging (Core dialect).

Uploads run in parallel, each reading its file from disk piece by piece, so memory does not grow with file sizes.
After the first final failure no new upload starts and the content plan is not committed.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from run402_cli.client import Client, response_hints
from run402_cli.client.http import httpx
from run402_cli.client.transport import reason
from run402_cli.deploy._batches import Limits, body, grouped, length_of
from run402_cli.deploy._bytes import Body, Content, Meter
from run402_cli.deploy._options import ByteWatcher, Emit
from run402_cli.deploy._parts import send_parts
from run402_cli.deploy._retry import LONGEST_SECONDS, Failure, Note, patiently, retrying, wait_asked
from run402_cli.deploy._workers import run_jobs
from run402_cli.errors import DeployError, NetworkError
from run402_cli.services import content as content_service

if TYPE_CHECKING:
    from run402_cli.release.content import ContentObject

Contents = Mapping[str, "ContentObject"]

_RETRY_SECONDS = (1.0, 2.0)
# What our gateway and S3 say about a presigned address after its time. A plain 403 may also mean other things.
_EXPIRED = ("UPLOAD_URL_EXPIRED", "Request has expired", "ExpiredToken")


def missing_entries(plan: Mapping[str, Any], contents: Contents, emit: Emit) -> list[dict[str, Any]]:
    """What the plan says is not stored yet, as entries of a content plan; what is stored is announced as skipped."""
    listed = [entry for entry in plan.get("missing_content") or [] if isinstance(entry, dict)]
    # Equal content is one object, however often it is named.
    entries = list({str(entry.get("sha256")): entry for entry in reversed(listed)}.values())[::-1]
    if stored := [str(entry.get("sha256")) for entry in entries if entry.get("present") is True]:
        emit(_skipped(stored, contents))
    return [_entry(entry, contents) for entry in entries if entry.get("present") is not True]


def _skipped(stored: Sequence[str], contents: Contents) -> dict[str, Any]:
    """One event for all that is stored; with more than one, how many there are, and the first as an example."""
    kinds = [_kind(sha256, contents) for sha256 in stored]
    return {
        "type": "content.upload.skipped",
        **_named(stored[0], contents),
        "reason": "present",
        **(kinds[0] if kinds.count(kinds[0]) == len(kinds) else {"slice_kind": "mixed"}),
        **({"count": len(stored)} if len(stored) > 1 else {}),
    }


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
    batches: Limits | None = None,
) -> None:
    """Plan, upload and commit the given entries; nothing at all happens without entries.

    With `batches`, small objects go together and need no content plan. Addresses that expire on the way are replaced by
    those of a new content plan, which asks only for what has not arrived.
    """
    progress = _Progress(contents, emit)
    items = [contents[sha256] for entry in entries if (sha256 := str(entry.get("sha256"))) in contents]
    together, _ = grouped(items, batches)
    if together:
        progress.expect(len(items), sum(item.size for item in items))
        send_batches(client, project_id, together, client.deploy_reader(project_id), workers=workers, progress=progress)
        sent = {item.sha256 for batch in together for item in batch}
        entries = [entry for entry in entries if entry.get("sha256") not in sent]
    if not entries:
        return
    while True:
        plan_id, sessions = _content_plan(client, project_id, entries, contents, emit)
        before = progress.done
        try:
            send_sessions(client, sessions, workers=workers, progress=progress)
            break
        except AddressExpired:
            # A plan whose first addresses have expired already will not do better the next time.
            if progress.renewed and progress.done == before:
                raise
            progress.renewed = True
    patiently(lambda: content_service.commit(client, project_id, plan_id), phase="upload", emit=emit)


def _content_plan(
    client: Client, project_id: str, entries: Sequence[Mapping[str, Any]], contents: Contents, emit: Emit
) -> tuple[str, list[Session]]:
    plan = patiently(lambda: content_service.plan(client, project_id, entries), phase="upload", emit=emit)
    plan_id = plan.get("plan_id") if isinstance(plan, dict) else None
    missing = plan.get("missing") if isinstance(plan, dict) else None
    if not isinstance(plan_id, str) or not isinstance(missing, list):
        raise _failed("The gateway's upload plan has no plan_id or no missing list.", None, retryable=True)
    sessions = [_session(value, contents) for value in missing]
    return plan_id, list({session.item.sha256: session for session in reversed(sessions)}.values())[::-1]


class AddressExpired(DeployError):
    """The store says that a presigned address has expired."""


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


def send_batches(
    client: Client,
    project_id: str,
    batches: Sequence[Sequence[ContentObject]],
    auth: httpx.Auth | None,
    *,
    workers: int,
    progress: _Progress,
) -> None:
    """Send small objects, a batch in a request; a progress event follows each object of one that has arrived."""

    def work(batch: Sequence[ContentObject], stop: threading.Event) -> None:
        _send_batch(client, project_id, [progress.content(item, stop) for item in batch], auth)

    def finished(batch: Sequence[ContentObject]) -> None:
        for item in batch:
            progress.finished(item)

    run_jobs(batches, work, workers=workers, finished=finished, tick=progress.tick)


class _Unreached(DeployError):
    """No answer to a batch, which may be sent again; the NetworkError is its cause."""


def _send_batch(client: Client, project_id: str, contents: Sequence[Content], auth: httpx.Auth | None) -> None:
    """One batch, up to three attempts; as many more as a busy gateway asks for."""
    length = length_of([content.item for content in contents])

    def send() -> None:
        try:
            content_service.stage_batch(client, project_id, Body(lambda: body(contents)), length=length, auth=auth)
        except NetworkError as exc:
            raise _Unreached(exc.message, code="CONTENT_UPLOAD_FAILED", retryable=True) from exc

    def until_sent_anew(exc: Failure, attempt: int) -> float | None:
        asked = wait_asked(exc, attempt)
        return _until_sent_anew(exc, attempt) if asked is None else asked

    def rewind(_exc: Failure, _attempt: int, _seconds: float) -> None:
        for content in contents:
            content.rewind()

    try:
        retrying(send, until_sent_anew, rewind, pause=contents[0].wait)
    except _Unreached as exc:
        raise exc.__cause__ or exc from None


def send_sessions(client: Client, sessions: Sequence[Session], *, workers: int, progress: _Progress) -> None:
    """Upload every session; a progress event follows each one that is complete."""
    progress.expect(len(sessions), sum(part.length for session in sessions for part in session.parts))
    run_jobs(
        sessions,
        lambda session, stop: _send_session(client, session, progress.content(session.item, stop)),
        workers=workers,
        finished=lambda session: progress.finished(session.item),
        tick=progress.tick,
    )


class _Progress:
    """Counts objects for events, and bytes for an `emit` that wants to know about them (see ByteWatcher)."""

    def __init__(self, contents: Contents, emit: Emit) -> None:
        self.done = 0
        self.renewed = False
        self._total = 0
        self._contents, self._emit = contents, emit
        self._watcher = emit if isinstance(emit, ByteWatcher) else None
        self._meter = Meter()
        self._bytes = 0

    def expect(self, objects: int, size: int) -> None:
        """So many more objects and bytes will be sent."""
        self._total = self.done + objects
        self._bytes = self._meter.sent + size
        self.tick()

    def content(self, item: ContentObject, stop: threading.Event) -> Content:
        return Content(item, stop, self._meter)

    def tick(self) -> None:
        if self._watcher is not None:
            self._watcher.bytes_sent(self._meter.sent, self._bytes, self.done, self._total)

    def finished(self, item: ContentObject) -> None:
        self.done += 1
        self._emit(
            {
                "type": "content.upload.progress",
                **_named(item.sha256, self._contents),
                "done": self.done,
                "total": self._total,
                **_kind(item.sha256, self._contents),
            }
        )
        self.tick()


def _send_session(client: Client, session: Session, content: Content) -> None:
    """One object, up to three attempts, each from its first byte."""
    retrying(lambda: _attempt(client, session, content), _until_sent_anew, _rewinding(content), pause=content.wait)


def _until_sent_anew(exc: Failure, attempt: int) -> float | None:
    """Seconds before an object is sent again: those of ours, or the more that the store asks for."""
    if isinstance(exc, AddressExpired) or not exc.retryable or attempt > len(_RETRY_SECONDS):
        return None
    return max(_RETRY_SECONDS[attempt - 1], min(exc.retry_after or 0.0, LONGEST_SECONDS))


def _rewinding(content: Content) -> Note:
    return lambda _exc, _attempt, _seconds: content.rewind()


def _attempt(client: Client, session: Session, content: Content) -> None:
    if not session.multipart:
        part = session.parts[0]
        checksum = base64.b64encode(bytes.fromhex(session.item.sha256)).decode()
        _put(client, session.item, part, content, checksum)
        return

    def send(mine: Content, part: Part, checksum: str) -> None:
        response = _put(client, session.item, part, mine, checksum)
        if "etag" not in response.headers:
            raise _failed(f"The store accepted a part of {session.item.label} without an ETag.", session.item.label)

    settled = all(content_service.carries_checksum(part.url) for part in session.parts)
    send_parts(content, session.parts, send, checksums=not settled)


def _put(client: Client, item: ContentObject, part: Part, content: Content, checksum: str) -> httpx.Response:
    where = urlsplit(part.url).netloc.rpartition("@")[2]
    data = Body(lambda: content.sending(part.start, part.length)) if part.length else b""
    try:
        response = content_service.put(client, part.url, data, length=part.length, checksum=checksum)
    except (httpx.TransportError, httpx.TooManyRedirects) as exc:
        raise _failed(
            f"No answer from {where} while uploading {item.label}: {reason(exc)}.", item.label, retryable=True
        ) from exc
    if response.is_success:
        return response
    raise _refused(response, where, item)


def _refused(response: httpx.Response, where: str, item: ContentObject) -> DeployError:
    """Server errors, 403 and a 429 that names a time may pass; every other refusal is final."""
    expired = response.status_code == 403 and any(word in response.text for word in _EXPIRED)
    asked = response_hints.retry_after(response)
    error = (AddressExpired if expired else DeployError)(
        f"{where} refused the upload of {item.label} (HTTP {response.status_code}).",
        code="CONTENT_UPLOAD_FAILED",
        phase="upload",
        resource=item.label,
        retryable=response.status_code >= 500 or response.status_code == 403 or asked is not None,
        http=response.status_code,
        body_preview=response.text[:500],
    )
    error.retry_after = asked
    return error


def stage_all(
    client: Client,
    project_id: str,
    items: Sequence[ContentObject],
    *,
    workers: int,
    emit: Emit,
    contents: Contents,
    batches: Limits | None = None,
) -> None:
    """Stage objects on a Core gateway, small ones together with `batches`; failures keep the common API shape."""
    progress = _Progress(contents, emit)
    progress.expect(len(items), sum(item.size for item in items))
    together, items = grouped(items, batches)
    send_batches(client, project_id, together, client.principal(), workers=workers, progress=progress)

    def stage(item: ContentObject, stop: threading.Event) -> None:
        _stage(client, project_id, progress.content(item, stop))

    run_jobs(items, stage, workers=workers, finished=progress.finished, tick=progress.tick)


def _stage(client: Client, project_id: str, content: Content) -> None:
    item = content.item

    def send() -> None:
        content_service.stage(
            client, project_id, content.sending, sha256=item.sha256, size=item.size, content_type=item.content_type
        )

    retrying(send, wait_asked, _rewinding(content), pause=content.wait)


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
