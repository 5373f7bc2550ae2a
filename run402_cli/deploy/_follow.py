"""From the commit answer to the end of the operation: poll, recorded events, phase events, result."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from run402_cli import advice
from run402_cli.client import Client
from run402_cli.deploy._options import Emit
from run402_cli.deploy._retry import patiently
from run402_cli.deploy.errors import curable, left_behind, passes
from run402_cli.errors import ApiError, DeployError, Interrupted, NetworkError, Run402Error
from run402_cli.services import apply as apply_service
from run402_cli.services.deploy_errors import from_snapshot

PAGE = 100
_MAX_PAGES = 10
_POLL_SECONDS = 1.0
_EASE_OFF_AFTER_SECONDS = 30.0
_MAX_POLL_SECONDS = 30.0
_GIVE_UP_SECONDS = 600.0

# Operation status -> (phase of its event, status of its event).
_PHASES = {
    "staging": ("stage", "started"),
    "gating": ("migrate-gate", "started"),
    "migrating": ("migrate", "started"),
    "schema_settling": ("schema-settle", "started"),
    "activating": ("activate", "started"),
    "activation_pending": ("activate", "failed"),
}
_ENDED = ("failed", "rolled_back", "needs_repair")
# With these an activation never succeeds by waiting.
_FINAL_CODES = frozenset(
    [
        *("BAD_FIELD", "INVALID_SPEC", "FUNCTION_ACTIVATE_FAILED", "FUNCTION_CONFIG_INVALID"),
        *("FUNCTION_TIMEOUT_EXCEEDS_TIER", "FUNCTION_MEMORY_EXCEEDS_TIER", "FUNCTION_SCHEDULE_EXCEEDS_TIER"),
        *("FUNCTION_SCHEDULE_INTERVAL_TOO_SHORT", "FUNCTION_SCHEDULE_LIMIT_EXCEEDED", "TIER_LIMIT_EXCEEDED"),
    ]
)
_COPIED = ("subdomain_bindings", "edge", "restore_point", "snapshot_skipped_reason")

Snapshot = dict[str, Any]


class RecordedEvents:
    """The gateway's own events of one operation, each passed on once. A failing read switches them off for good."""

    def __init__(self, client: Client, project_id: str, operation_id: str, emit: Emit) -> None:
        self._client = client
        self._project_id = project_id
        self._operation_id = operation_id
        self._emit = emit
        self._on = True
        self._cursor: str | None = None
        self._seen: set[str] = set()

    def page(self) -> bool:
        """Read one page and pass on what is new; True when the gateway says that there is a further page."""
        if not self._on:
            return False
        try:
            answer = apply_service.operation_events(
                self._client, self._project_id, self._operation_id, limit=PAGE, cursor=self._cursor
            )
        except Run402Error:
            answer = None
        events = answer.get("events") if isinstance(answer, dict) else None
        if not isinstance(events, list):
            self._on = False
            return False
        for event in events:
            if isinstance(event, dict) and event.get("id") != "synthetic":
                self._pass_on(event)
        assert isinstance(answer, dict)
        return isinstance(answer.get("cursor"), str) and answer["cursor"] != ""

    def drain(self) -> None:
        """Read until the gateway has no further page."""
        for _ in range(_MAX_PAGES):
            before = (self._cursor, len(self._seen))
            if not self.page() or (self._cursor, len(self._seen)) == before:
                return

    def _pass_on(self, event: dict[str, Any]) -> None:
        number = str(event.get("id"))
        numeric = number.isascii() and number.isdigit()
        key = number if numeric else json.dumps(event, sort_keys=True)
        if numeric:
            self._cursor = number
        if key not in self._seen:
            self._seen.add(key)
            self._emit(event)


class Phases:
    """Phase events made from the operation's status; a phase is closed when the next one begins."""

    def __init__(self, emit: Emit, slice_kinds: Sequence[str]) -> None:
        self.emit = emit
        self._slices = {"slice_kinds": list(slice_kinds)} if slice_kinds else {}
        self._status: str | None = None
        self._open: str | None = None

    def event(self, phase: str, status: str) -> None:
        self.emit({"type": "commit.phase", "phase": phase, "status": status, **self._slices})

    def close(self, status: str) -> None:
        if self._open is not None:
            self.event(self._open, status)
            self._open = None

    def enter(self, status: str) -> None:
        if status == self._status:
            return
        self._status = status
        if status not in _PHASES:
            return
        phase, state = _PHASES[status]
        if self._open == phase and state == "started":
            return
        if self._open != phase:
            self.close("done")
        self._open = phase if state == "started" else None
        self.event(phase, state)

    def ready(self, release_id: str, urls: Mapping[str, Any]) -> None:
        self.emit({"type": "ready", "releaseId": release_id, "urls": dict(urls), **self._slices})


def follow_commit(
    client: Client,
    project_id: str,
    answer: Mapping[str, Any],
    *,
    plan_id: str,
    emit: Emit,
    slice_kinds: Sequence[str],
    rerun: str,
) -> Snapshot:
    """Follow what a commit answered until the operation is ready. Returns the last answer, with release_id and urls.

    `rerun` is the command to name where this caller cannot resume an operation. Raises DeployError when the operation
    fails, ends, or takes more than 10 minutes; errors name the operation and how to go on.
    """
    operation_id = answer.get("operation_id")
    status = answer.get("status")
    if not isinstance(operation_id, str) or not isinstance(status, str):
        raise DeployError(
            "The gateway's commit answer has no operation_id or no status.",
            code="INTERNAL_ERROR",
            phase="commit",
            plan_id=plan_id,
        )
    if status == "failed":
        raise from_snapshot(
            answer.get("error"), status=status, phase="commit", operation_id=operation_id, plan_id=plan_id
        )
    phases = Phases(emit, slice_kinds)
    events = RecordedEvents(client, project_id, operation_id, emit)
    command = resume_command(operation_id, project_id) if may_resume(client) else rerun
    with _continued_by(command, operation_id, phase="commit"):
        if status == "ready":
            snapshot = _checked(dict(answer), operation_id)
            events.drain()
            phases.ready(snapshot["release_id"], snapshot["urls"])
            return snapshot
        first = _operation(client, project_id, operation_id, emit)
        snapshot = _poll(client, project_id, first, phases=phases, events=events)
        return {**{key: answer[key] for key in _COPIED if answer.get(key) is not None}, **snapshot}


def resume(client: Client, project_id: str, operation_id: str, emit: Emit) -> dict[str, Any]:
    """Resume an operation and follow it. See `run402_cli.deploy.resume`."""
    apply_service.require_operation_id(operation_id)
    with _continued_by(resume_command(operation_id, project_id), operation_id, phase="resume"):
        first = apply_service.resume(client, project_id, operation_id)
        if not isinstance(first, dict) or not isinstance(first.get("status"), str):
            raise _nonsense("The gateway's answer to resume has no status.", "resume", operation_id)
        first.setdefault("operation_id", operation_id)
        events = RecordedEvents(client, project_id, operation_id, emit)
        snapshot = _poll(client, project_id, first, phases=Phases(emit, ()), events=events)
    return result(snapshot, operation_id=operation_id, diff={}, warnings=[])


def _poll(client: Client, project_id: str, first: Snapshot, *, phases: Phases, events: RecordedEvents) -> Snapshot:
    snapshot, operation_id = first, str(first["operation_id"])
    began, delay = time.monotonic(), _POLL_SECONDS
    while True:
        events.page()
        status = str(snapshot.get("status"))
        phases.enter(status)
        if status == "ready":
            _checked(snapshot, operation_id)
            events.drain()
            phases.close("done")
            phases.ready(snapshot["release_id"], snapshot["urls"])
            return snapshot
        _raise_if_over(snapshot, status, phases, operation_id)
        waited = time.monotonic() - began
        if waited > _GIVE_UP_SECONDS:
            raise DeployError(
                f"The operation is still {status} after {_GIVE_UP_SECONDS / 60:.0f} minutes. It may yet finish.",
                code="INTERNAL_ERROR",
                http=504,
                phase=status,
                retryable=True,
                operation_id=operation_id,
            )
        time.sleep(delay)
        if waited > _EASE_OFF_AFTER_SECONDS:
            delay = min(delay * 1.5, _MAX_POLL_SECONDS)
        snapshot = _operation(client, project_id, operation_id, phases.emit)


def _operation(client: Client, project_id: str, operation_id: str, emit: Emit) -> Snapshot:
    snapshot = patiently(lambda: apply_service.operation(client, project_id, operation_id), phase="commit", emit=emit)
    if not isinstance(snapshot, dict) or not isinstance(snapshot.get("status"), str):
        raise _nonsense("The gateway's operation has no status.", "commit", operation_id)
    return {**snapshot, "operation_id": operation_id}


def _raise_if_over(snapshot: Snapshot, status: str, phases: Phases, operation_id: str) -> None:
    error = snapshot.get("error")
    over = status in _ENDED
    if status == "activation_pending" and error:
        over = _is_final(error)
    if not over:
        return
    phases.close("failed")
    phase = "activate" if status == "activation_pending" else status
    plan_id = snapshot.get("plan_id")
    raise from_snapshot(
        error,
        status=status,
        phase=phase,
        operation_id=operation_id,
        plan_id=plan_id if isinstance(plan_id, str) else None,
    )


def _is_final(error: Any) -> bool:
    inner = error.get("error") if isinstance(error, dict) else None
    for part in (error, inner):
        if isinstance(part, dict):
            code = str(part.get("code") or "").upper()
            if part.get("retryable") is False or part.get("safe_to_retry") is False or code in _FINAL_CODES:
                return True
    return False


def _checked(snapshot: Snapshot, operation_id: str) -> Snapshot:
    if isinstance(snapshot.get("release_id"), str) and isinstance(snapshot.get("urls"), dict):
        return snapshot
    raise _nonsense("The gateway calls the operation ready without a release_id and urls.", "ready", operation_id)


def _nonsense(message: str, phase: str, operation_id: str) -> DeployError:
    return DeployError(message, code="INTERNAL_ERROR", phase=phase, operation_id=operation_id)


def may_resume(client: Client) -> bool:
    """Whether `run402 deploy resume` would let this caller act: it wants a wallet or a delegate token."""
    return client.profile.allowance is not None or client.delegate_token() is not None


def resume_command(operation_id: str, project_id: str) -> advice.Command:
    """The command that continues an operation which the gateway knows."""
    return advice.command("deploy", "resume", operation_id, "--project", project_id)


@contextlib.contextmanager
def _continued_by(command: str, operation_id: str, *, phase: str) -> Iterator[None]:
    """Failures inside say which operation they left behind and how to go on with it."""
    why = "The operation goes on at the gateway; this follows it to its end."
    actions = [advice.entry("resume_deploy", advice.parsed(command), why=why)]
    try:
        with left_behind(phase=phase, operation_id=operation_id):
            yield
    except Interrupted as exc:
        exc.resume = command
        raise
    except (NetworkError, ApiError) as exc:
        if isinstance(exc, ApiError) and exc.http == 404:
            actions = [advice.action("run_command", "deploy", "list", why="It shows the operations of the project.")]
        exc.extra.setdefault("next_actions", actions)
        if isinstance(exc, ApiError):
            passes(exc)
        raise
    except DeployError as exc:
        if curable(exc):
            exc.fields.setdefault("next_actions", actions)
        raise


def result(
    snapshot: Mapping[str, Any], *, operation_id: str, diff: Mapping[str, Any], warnings: Sequence[Any]
) -> dict[str, Any]:
    """The document that a deploy prints: release_id, operation_id, urls, diff, warnings, and what the gateway added."""
    out: dict[str, Any] = {
        "release_id": snapshot["release_id"],
        "operation_id": operation_id,
        "urls": snapshot["urls"],
        "diff": dict(diff),
        "warnings": list(warnings),
    }
    return {**out, **{key: snapshot[key] for key in _COPIED if snapshot.get(key) is not None}}
