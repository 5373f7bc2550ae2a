"""Durable runs of functions: create, read, cancel, redrive, wait. All with the service key. See docs/functions.md, "Runs"."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from run402_cli import advice
from run402_cli.client import Client, segment, with_query
from run402_cli.errors import Envelope, Interrupted, Run402Error, ValidationError
from run402_cli.services import instants

Json = Any

STATUSES = ("scheduled", "queued", "running", "retrying", "blocked", "succeeded", "failed", "cancelled", "expired")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,127}")
_RUN_ID = re.compile(r"fnrun_[A-Za-z0-9_-]{4,128}")


class RunFailed(Run402Error):
    """A run came to its end and did not succeed; `code` and message are those of its last error."""

    def __init__(self, run: dict[str, Json]) -> None:
        raw = run.get("last_error")
        error: dict[str, Json] = raw if isinstance(raw, dict) else {}
        self.run_id = str(run.get("run_id"))
        self.status = run.get("status")
        message = error.get("message")
        super().__init__(message if isinstance(message, str) and message else f"The run ended as {self.status}.")
        code = error.get("code")
        self.code = code if isinstance(code, str) and code else None

    def envelope(self) -> Envelope:
        out: Envelope = {"status": "error", **({"code": self.code} if self.code else {}), "message": self.message}
        return {
            **out,
            "details": {"run_id": self.run_id, "run_status": self.status},
            "next_actions": [
                advice.action("run_command", "functions", "runs", "logs", self.run_id),
                advice.action("run_command", "functions", "runs", "redrive", self.run_id),
            ],
        }


@dataclass(frozen=True, slots=True)
class Wait:
    """How long to wait for a run, and how often to look; both in milliseconds."""

    timeout_ms: int = 300_000
    interval_ms: int = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often a run is tried, and the pause between. Given when any of its fields is; the preset is `standard`."""

    preset: str | None = None
    max_attempts: int | None = None
    min_delay_seconds: float | None = None
    max_delay_seconds: float | None = None

    def to_wire(self) -> dict[str, Json] | None:
        numbers = {
            "max_attempts": self.max_attempts,
            "min_delay_seconds": self.min_delay_seconds,
            "max_delay_seconds": self.max_delay_seconds,
        }
        given = {key: value for key, value in numbers.items() if value is not None}
        return {"preset": self.preset or "standard", **given} if given or self.preset is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a run starts and when it is given up, as typed: dates, and durations such as 90s, 5m, 2h."""

    delay: str | None = None
    run_at: str | None = None
    expires_at: str | None = None
    expires_after: str | None = None

    def to_wire(self) -> dict[str, Json]:
        """{run_at?, delay_seconds?, expires_at?}. Raises ValidationError LOCAL_ERROR."""
        if self.delay is not None and self.run_at is not None:
            raise ValidationError(
                "--delay and --run-at both say when the run starts. Give one of them.", reason="EXCLUSIVE_VALUES"
            )
        now = time.time_ns() // 1_000_000
        out: dict[str, Json] = {}
        start = now
        if self.run_at is not None:
            start = _date("--run-at", self.run_at)
            out["run_at"] = instants.iso(start)
        if self.delay is not None:
            out["delay_seconds"] = _duration("--delay", self.delay)
            start = now + out["delay_seconds"] * 1000
        expiry = None if self.expires_at is None else _date("--expires-at", self.expires_at)
        if self.expires_after is not None:
            expiry = now + _duration("--expires-after", self.expires_after) * 1000
        if expiry is not None:
            if expiry <= start:
                raise ValidationError(
                    "The run would expire before it starts. Move --expires-at or --expires-after behind its start.",
                    details={"starts_at": instants.iso(start), "expires_at": instants.iso(expiry)},
                    reason="EXPIRES_BEFORE_START",
                )
            out["expires_at"] = instants.iso(expiry)
        return out


def _date(flag: str, text: str) -> int:
    value = instants.any_date_ms(text)
    if value is None:
        raise ValidationError(
            f"{flag} {text!r} is not a date. Write it like 2026-03-15T12:00:00Z.",
            details={"field": flag, "value": text},
        )
    return value


def _duration(flag: str, text: str) -> int:
    value = instants.duration_seconds(text)
    if value is None:
        raise ValidationError(
            f"{flag} {text!r} is not a duration. Write a number and a unit (ms, s, m, h, d), like 90s or 1.5h.",
            details={"field": flag, "value": text},
        )
    return value


def check_name(name: str) -> None:
    """ValidationError LOCAL_ERROR unless `name` can be the name of a function."""
    if not _NAME.fullmatch(name):
        raise ValidationError(
            f"{name!r} cannot name a function: use lower-case letters, digits, - and _, starting with a letter or digit, "
            "at most 128 characters.",
            details={"field": "name", "value": name},
            reason="BAD_FUNCTION_NAME",
        )


def check_run_id(run_id: str) -> None:
    """ValidationError LOCAL_ERROR unless `run_id` can be the id of a run."""
    if not _RUN_ID.fullmatch(run_id):
        raise ValidationError(
            f"{run_id!r} is not a run: their ids start with fnrun_. List them: run402 functions runs list <function>",
            details={"field": "run_id", "value": run_id},
        )


def _check_since(flag: str, text: str | None) -> None:
    if text is not None and instants.epoch_ms(text) is None:
        raise ValidationError(
            f"{flag} {text!r} is not a time. Write 2026-03-15T12:00:00Z, or milliseconds since 1970.",
            details={"field": flag, "value": text},
        )


def _run(run_id: str, what: str = "") -> str:
    check_run_id(run_id)
    return f"/functions/v1/runs/{segment(run_id)}{what}"


def create(
    client: Client,
    project_id: str,
    function: str,
    *,
    event_type: str,
    idempotency_key: str,
    payload: dict[str, Json] | None = None,
    schedule: Schedule | None = None,
    retry: Retry | None = None,
) -> Json:
    """POST /functions/v1/{function}/runs -> the run: {run_id, status, terminal, attempts, next_actions, ...}.

    The same key with the same intent returns the run that exists (`deduplicated`). Raises ValidationError for a bad
    name, blank text or a start and expiry that make no sense; ApiError 409 for a key used with another intent.
    """
    check_name(function)
    for flag, text in (("--event-type", event_type), ("--idempotency-key", idempotency_key)):
        if not text.strip():
            raise ValidationError(f"{flag} is blank.", details={"field": flag})
    body: dict[str, Json] = {"event_type": event_type, "idempotency_key": idempotency_key}
    if payload is not None:
        body["payload"] = payload
    body |= (schedule or Schedule()).to_wire()
    if (wire := (retry or Retry()).to_wire()) is not None:
        body["retry"] = wire
    return client.request(
        "POST",
        f"/functions/v1/{segment(function)}/runs",
        context="creating the run",
        auth=client.service_key(project_id),
        body=body,
        headers={"Idempotency-Key": idempotency_key},
    )


def list_runs(
    client: Client,
    project_id: str,
    function: str,
    *,
    status: str | None = None,
    event_type: str | None = None,
    since: str | None = None,
    until: str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Json:
    """GET /functions/v1/{function}/runs[?...] -> {runs: [run], next_cursor?}, newest first.

    `since` and `until` are ISO date-times with a zone or milliseconds since 1970, sent as given. Raises ValidationError.
    """
    check_name(function)
    if status is not None and status not in STATUSES:
        raise ValidationError(
            f"--status {status!r} is not a status. Use one of: {', '.join(STATUSES)}",
            details={"field": "--status", "value": status, "allowed": list(STATUSES)},
        )
    _check_since("--since", since)
    _check_since("--until", until)
    auth = client.service_key(project_id)
    path = with_query(
        f"/functions/v1/{segment(function)}/runs",
        status=status,
        event_type=event_type,
        since=since,
        until=until,
        limit=limit,
        cursor=cursor,
    )
    return client.request("GET", path, context="listing runs", auth=auth)


def get(client: Client, project_id: str, run_id: str) -> Json:
    """GET /functions/v1/runs/{run_id} -> the run."""
    path = _run(run_id)
    return client.request("GET", path, context="reading the run", auth=client.service_key(project_id))


def logs(client: Client, project_id: str, run_id: str, *, tail: int = 50, since: str | None = None) -> Json:
    """GET /functions/v1/runs/{run_id}/logs?tail[&since] -> {logs: [entry]}; `since` as in `list_runs`."""
    path = _run(run_id, "/logs")
    _check_since("--since", since)
    path = with_query(path, tail=tail, since=since)
    return client.request("GET", path, context="reading the run's logs", auth=client.service_key(project_id))


def cancel(client: Client, project_id: str, run_id: str) -> Json:
    """POST /functions/v1/runs/{run_id}/cancel -> the run; one that has ended stays as it is."""
    path = _run(run_id, "/cancel")
    return client.request("POST", path, context="cancelling the run", auth=client.service_key(project_id))


def redrive(client: Client, project_id: str, run_id: str, *, retry: Retry | None = None) -> Json:
    """POST /functions/v1/runs/{run_id}/redrive {retry?} -> the run that starts again, which may have another id."""
    path = _run(run_id, "/redrive")
    wire = (retry or Retry()).to_wire()
    body = {} if wire is None else {"retry": wire}
    return client.request("POST", path, context="redriving the run", auth=client.service_key(project_id), body=body)


def wait_for(client: Client, project_id: str, run_id: str, wait: Wait) -> Json:
    """Read the run until it has ended; the run when it succeeded.

    Raises RunFailed when it ended otherwise, ValidationError LOCAL_ERROR when `wait.timeout_ms` passed before its end. The
    run itself goes on after that.
    """
    deadline = time.monotonic() + wait.timeout_ms / 1000
    with _resumed_by(advice.command("functions", "runs", "get", run_id, "--project", project_id)):
        while True:
            run = get(client, project_id, run_id)
            if isinstance(run, dict) and run.get("terminal") is True:
                if run.get("status") != "succeeded":
                    raise RunFailed({"run_id": run_id, **run})
                return run
            if time.monotonic() >= deadline:
                status = run.get("status") if isinstance(run, dict) else "unknown"
                raise ValidationError(
                    f"The run is still {status} after {wait.timeout_ms} ms. It goes on; look again with: "
                    f"{advice.command('functions', 'runs', 'get', run_id)}",
                    details={"run_id": run_id, "run_status": status, "timeout_ms": wait.timeout_ms},
                    reason="RUN_NOT_FINISHED",
                )
            time.sleep(wait.interval_ms / 1000)


def created_run_id(run: Json) -> str:
    """The id in an answer that created a run. Raises ValidationError INTERNAL_ERROR when there is none."""
    run_id = run.get("run_id") if isinstance(run, dict) else None
    if not isinstance(run_id, str) or not run_id:
        raise ValidationError(
            "The gateway took the run but did not name it, so it cannot be waited for. "
            "Find it with: run402 functions runs list <function>",
            code="INTERNAL_ERROR",
        )
    return run_id


@contextlib.contextmanager
def _resumed_by(command: str) -> Iterator[None]:
    try:
        yield
    except Interrupted as exc:
        exc.resume = command
        raise
