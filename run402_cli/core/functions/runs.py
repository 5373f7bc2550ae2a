"""Durable runs: a call of a function that is written down first, retried until it succeeds, and can be looked at later."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.functions import run_rows
from run402_cli.core.web.instants import iso, parse_instant
from run402_cli.release.canonical import compact_json

DEFAULT_RETRY: Final = {"preset": "standard", "max_attempts": 5}
MIN_DELAY_SECONDS, MAX_DELAY_SECONDS = 30, 21_600
MAX_PAYLOAD_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Wish:
    """A run that somebody wants."""

    event_type: str
    idempotency_key: str
    payload: Mapping[str, Any]
    retry: Mapping[str, Any]
    run_at: datetime | None = None
    expires_at: datetime | None = None
    delay_seconds: float | None = None

    def intent(self) -> str:
        """Equal for requests that want the same thing."""
        return hashlib.sha256(
            compact_json(
                {
                    "event_type": self.event_type,
                    "payload": self.payload,
                    "delay_seconds": self.delay_seconds,
                    "run_at": iso(self.run_at),
                    "expires_at": iso(self.expires_at),
                    "retry": self.retry,
                }
            ).encode()
        ).hexdigest()


async def create(
    conn: Connection, project_id: str, function_name: str, wish: Wish, source: Mapping[str, Any]
) -> tuple[dict[str, Any], bool]:
    """The run as the API shows it, and whether it is new. 409 function_run_idempotency_conflict. Wakes nobody."""
    now = current_time()
    run_at = wish.run_at or now + timedelta(seconds=wish.delay_seconds or 0)
    made = await run_rows.insert(
        conn,
        run_id=f"fnrun_{secrets.token_hex(12)}",
        project_id=project_id,
        function_name=function_name,
        event_type=wish.event_type,
        payload=wish.payload,
        key=wish.idempotency_key,
        intent=wish.intent(),
        run_at=run_at,
        expires_at=wish.expires_at,
        source=source,
        retry=wish.retry,
        now=now,
    )
    row = await run_rows.of_key(conn, project_id, function_name, wish.idempotency_key)
    assert row is not None
    if not made and row["intent_sha256"] != wish.intent():
        raise GatewayError(
            409,
            "function_run_idempotency_conflict",
            f"The idempotency key {wish.idempotency_key!r} already made {row['run_id']} from a different request. "
            "Repeat that request, or use a new key.",
            run_id=row["run_id"],
            next_actions=[{"type": "get", "href": f"/functions/v1/runs/{row['run_id']}"}],
        )
    return view(row, deduplicated=not made), made


def view(row: Mapping[str, Any], *, deduplicated: bool = False) -> dict[str, Any]:
    """A run as the API shows it; what has no value is left out."""
    shown = {
        "run_id": row["run_id"],
        "function_name": row["function_name"],
        "event_type": row["event_type"],
        "status": row["status"],
        "terminal": row["status"] in run_rows.TERMINAL,
        "generation": row["generation"],
        "run_at": iso(row["run_at"]),
        "expires_at": iso(row["expires_at"]),
        "source": row["source"],
        "attempts": {
            "current": row["attempts_current"],
            "max": row["retry"].get("max_attempts", DEFAULT_RETRY["max_attempts"]),
            "total": row["attempts_total"],
            "next_attempt_at": iso(row["next_attempt_at"]),
        },
        "last_attempt": row["last_attempt"],
        "last_error": row["last_error"],
        "created_at": iso(row["created_at"]),
        "updated_at": iso(row["updated_at"]),
        "completed_at": iso(row["completed_at"]),
        "deduplicated": deduplicated or None,
        "next_actions": _next_actions(row["run_id"], row["status"]),
    }
    return {key: value for key, value in shown.items() if value is not None}


def _next_actions(run_id: str, status: str) -> list[dict[str, Any]]:
    def action(kind: str, **extra: Any) -> dict[str, Any]:
        return {"type": kind, "href": f"/functions/v1/runs/{run_id}/{kind}", **extra}

    if status in run_rows.WAITING:
        return [action("cancel")]
    if status == "running":
        return [action("logs"), action("cancel", best_effort=True)]
    return [action("logs")] if status == "succeeded" else [action("logs"), action("redrive")]


def current_time() -> datetime:
    # The API shows milliseconds, and a shown time must be usable as a bound.
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def wish_of(body: Mapping[str, Any], header_key: str | None) -> Wish:
    """A checked request. 400 invalid_function_run_request names the field."""
    event_type, key = body.get("event_type"), body.get("idempotency_key", header_key)
    for field, value in (("event_type", event_type), ("idempotency_key", key)):
        if not isinstance(value, str) or not value.strip() or len(value) > 512 or "\x00" in value:
            raise invalid(f"{field} is required: text of at most 512 characters.", field=field)
    assert isinstance(event_type, str)
    assert isinstance(key, str)
    if header_key is not None and key != header_key:
        raise invalid("The Idempotency-Key header and idempotency_key differ.", fields=["idempotency_key"])
    payload = body.get("payload")
    payload = {} if payload is None else payload
    if (
        not isinstance(payload, dict)
        or len(json.dumps(payload)) > MAX_PAYLOAD_BYTES
        or "\\u0000" in json.dumps(payload)
    ):
        raise invalid(
            f"payload must be a JSON object of at most {MAX_PAYLOAD_BYTES} bytes, without NUL.", field="payload"
        )
    delay, run_at, expires_at = _times(body)
    return Wish(event_type, key, payload, retry_of(body.get("retry")), run_at, expires_at, delay)


def _times(body: Mapping[str, Any]) -> tuple[float | None, datetime | None, datetime | None]:
    delay = body.get("delay_seconds")
    if delay is not None and (
        isinstance(delay, bool) or not isinstance(delay, (int, float)) or not 0 <= delay <= 10**9
    ):
        raise invalid("delay_seconds must be a number of seconds, 0 or more.", field="delay_seconds")
    if delay is not None and body.get("run_at") is not None:
        raise invalid("Give run_at or delay_seconds, not both.", fields=["run_at", "delay_seconds"])
    found: dict[str, datetime | None] = {}
    for field in ("run_at", "expires_at"):
        value = body.get(field)
        found[field] = None if value is None else parse_instant(value)
        if value is not None and found[field] is None:
            raise invalid(f"{field} must be ISO-8601 with a zone, such as 2026-01-31T12:00:00Z.", field=field)
    due = found["run_at"] or current_time() + timedelta(seconds=delay or 0)
    if found["expires_at"] is not None and found["expires_at"] <= due:
        raise invalid("expires_at must be after the time of the run.", field="expires_at")
    return delay, found["run_at"], found["expires_at"]


def retry_of(value: Any) -> dict[str, Any]:
    """How often to try, with defaults filled in. 400 invalid_function_run_request."""
    if value is None:
        return dict(DEFAULT_RETRY)
    if not isinstance(value, Mapping):
        raise invalid("retry must be an object.", field="retry")
    retry = {**DEFAULT_RETRY, **value}
    attempts = retry["max_attempts"]
    if isinstance(attempts, bool) or not isinstance(attempts, int) or not 1 <= attempts <= 1000:
        raise invalid("retry.max_attempts must be a whole number of 1 or more.", field="retry.max_attempts")
    for key in ("min_delay_seconds", "max_delay_seconds"):
        seconds = retry.get(key)
        if seconds is not None and (
            isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds <= 10**7
        ):
            raise invalid(f"retry.{key} must be a number of seconds.", field=f"retry.{key}")
    if not isinstance(retry["preset"], str):
        raise invalid("retry.preset must be a string.", field="retry.preset")
    return retry


def retry_delay(retry: Mapping[str, Any], attempt: int) -> float:
    """Seconds from a failed attempt to the next one: doubling, up to a limit."""
    first = retry.get("min_delay_seconds", MIN_DELAY_SECONDS)
    most = retry.get("max_delay_seconds", MAX_DELAY_SECONDS)
    return float(min(most, first * 2 ** min(attempt - 1, 40)))


def invalid(message: str, **fields: Any) -> GatewayError:
    return GatewayError(400, "invalid_function_run_request", message, **fields)
