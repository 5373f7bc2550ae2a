"""Durable runs: a call of a function that is written down first, retried until it succeeds, and can be looked at later."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from run402_cli.core.callers.auth import key_owner
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.functions import logs
from run402_cli.core.functions.bundles import require_deployed
from run402_cli.core.functions.spec import NAME
from run402_cli.core.gateway import gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.web.http import instant_of, read_object, reply
from run402_cli.core.web.instants import iso, parse_instant
from run402_cli.release.canonical import compact_json

DDL = """
CREATE TABLE IF NOT EXISTS internal.core_function_runs (
  run_id text PRIMARY KEY,
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  function_name text NOT NULL,
  event_type text NOT NULL,
  payload jsonb NOT NULL,
  idempotency_key text NOT NULL,
  intent_sha256 text NOT NULL,
  status text NOT NULL,
  generation int NOT NULL DEFAULT 1,
  run_at timestamptz NOT NULL,
  next_attempt_at timestamptz NOT NULL,
  expires_at timestamptz,
  source jsonb NOT NULL,
  retry jsonb NOT NULL,
  attempts_current int NOT NULL DEFAULT 0,
  attempts_total int NOT NULL DEFAULT 0,
  last_attempt jsonb,
  last_error jsonb,
  lease_owner text,
  lease_expires_at timestamptz,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  completed_at timestamptz,
  UNIQUE (project_id, function_name, idempotency_key)
);
CREATE INDEX IF NOT EXISTS core_function_runs_due ON internal.core_function_runs (next_attempt_at)
  WHERE status IN ('scheduled', 'queued', 'retrying', 'blocked', 'running');
CREATE INDEX IF NOT EXISTS core_function_runs_list
  ON internal.core_function_runs (project_id, function_name, created_at DESC, run_id DESC);
CREATE TABLE IF NOT EXISTS internal.core_function_run_attempts (
  attempt_id text PRIMARY KEY,
  run_id text NOT NULL REFERENCES internal.core_function_runs ON DELETE CASCADE,
  generation int NOT NULL,
  number int NOT NULL,
  started_at timestamptz NOT NULL,
  completed_at timestamptz,
  response_status int,
  error jsonb
);
"""

WAITING: Final = ("scheduled", "queued", "retrying", "blocked")
TERMINAL: Final = ("succeeded", "failed", "cancelled", "expired")
STATUSES: Final = (*WAITING, "running", *TERMINAL)
RUN_ID = re.compile(r"fnrun_[A-Za-z0-9_-]{4,128}")
ATTEMPT_ID = re.compile(r"fnatt_[A-Za-z0-9_-]{4,128}")
DEFAULT_LIMIT, MAX_LIMIT = 20, 100
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
    cursor = await conn.execute(
        "INSERT INTO internal.core_function_runs (run_id, project_id, function_name, event_type, payload,"
        " idempotency_key, intent_sha256, status, run_at, next_attempt_at, expires_at, source, retry, created_at,"
        " updated_at) VALUES (%(id)s, %(project)s, %(name)s, %(event)s, %(payload)s, %(key)s, %(intent)s, %(status)s,"
        " %(run_at)s, %(run_at)s, %(expires)s, %(source)s, %(retry)s, %(now)s, %(now)s)"
        " ON CONFLICT (project_id, function_name, idempotency_key) DO NOTHING RETURNING run_id",
        {
            "id": f"fnrun_{secrets.token_hex(12)}",
            "project": project_id,
            "name": function_name,
            "event": wish.event_type,
            "payload": Jsonb(wish.payload),
            "key": wish.idempotency_key,
            "intent": wish.intent(),
            "status": "scheduled" if run_at > now else "queued",
            "run_at": run_at,
            "expires": wish.expires_at,
            "source": Jsonb(source),
            "retry": Jsonb(wish.retry),
            "now": now,
        },
    )
    made = await cursor.fetchone()
    where = "project_id = %s AND function_name = %s AND idempotency_key = %s"
    row = await one(conn, where, (project_id, function_name, wish.idempotency_key))
    assert row is not None
    if made is None and row["intent_sha256"] != wish.intent():
        raise GatewayError(
            409,
            "function_run_idempotency_conflict",
            f"The idempotency key {wish.idempotency_key!r} already made {row['run_id']} from a different request. "
            "Repeat that request, or use a new key.",
            code="FUNCTION_RUN_IDEMPOTENCY_CONFLICT",
            run_id=row["run_id"],
            next_actions=[{"type": "get", "href": f"/functions/v1/runs/{row['run_id']}"}],
        )
    return view(row, deduplicated=made is None), made is not None


async def one(conn: Connection, where: str, values: tuple[Any, ...]) -> dict[str, Any] | None:
    """A row of the runs table, by column name."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(f"SELECT * FROM internal.core_function_runs WHERE {where}".encode(), values)
        return await cursor.fetchone()


def view(row: Mapping[str, Any], *, deduplicated: bool = False) -> dict[str, Any]:
    """A run as the API shows it; what has no value is left out."""
    shown = {
        "run_id": row["run_id"],
        "function_name": row["function_name"],
        "event_type": row["event_type"],
        "status": row["status"],
        "terminal": row["status"] in TERMINAL,
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

    if status in WAITING:
        return [action("cancel")]
    if status == "running":
        return [action("logs"), action("cancel", best_effort=True)]
    return [action("logs")] if status == "succeeded" else [action("logs"), action("redrive")]


def current_time() -> datetime:
    # The API shows milliseconds, and a shown time must be usable as a bound.
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


async def calling_project(conn: Connection, request: Request) -> Project:
    """The project whose service key the request carries. 401 authentication_required."""
    problem = "Function runs need the project's service key: `Authorization: Bearer <service_key>` or `apikey`."
    return await key_owner(conn, request, problem, code="AUTHENTICATION_REQUIRED")


def function_name(request: Request) -> str:
    name: str = request.path_params["name"]
    if not NAME.fullmatch(name):
        raise GatewayError(400, "invalid_function_name", f"{name!r} is not the name of a function.")
    return name


async def create_run(request: Request) -> Response:
    """POST /functions/v1/{name}/runs (service key): 202 run; 200 with `deduplicated` for a repeat of the same intent.

    Body {event_type, payload?, idempotency_key?, run_at? | delay_seconds?, expires_at?, retry?}; the key may also come
    as `Idempotency-Key`. 400 invalid_function_run_request, 409 function_run_idempotency_conflict.
    docs/local-gateway-functions.md
    """
    gateway = gateway_of(request)
    name = function_name(request)
    body = await read_object(request)
    async with gateway.connection() as conn:
        project = await calling_project(conn, request)
        wish = wish_of(body, request.headers.get("idempotency-key"))
        run, new = await create(conn, project.project_id, name, wish, _source(request))
    gateway.functions.dispatcher.wake()
    return reply(run, 202 if new else 200)


def _source(request: Request) -> dict[str, Any]:
    run_id = request.headers.get("x-run402-parent-run-id")
    attempt_id = request.headers.get("x-run402-parent-attempt-id")
    if run_id is None and attempt_id is None:
        return {"type": "api"}
    if not RUN_ID.fullmatch(run_id or "") or (attempt_id is not None and not ATTEMPT_ID.fullmatch(attempt_id)):
        raise invalid("The X-Run402-Parent-* headers must be the ids of a run and an attempt.", field="parent_run_id")
    return {
        "type": "function",
        "parent_run_id": run_id,
        **({"parent_attempt_id": attempt_id} if attempt_id is not None else {}),
    }


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
    return GatewayError(400, "invalid_function_run_request", message, code="INVALID_FUNCTION_RUN_REQUEST", **fields)


async def list_runs(request: Request) -> Response:
    """GET /functions/v1/{name}/runs?status&event_type&since&until&cursor&limit (service key): newest first.

    200 `{runs, next_cursor?}`; `since` and `until` are inclusive bounds of created_at. 400 invalid_function_run_request;
    404 function_not_found when there is neither the function nor a run.
    docs/local-gateway-functions.md
    """
    name = function_name(request)
    query = request.query_params
    status = query.get("status")
    if status is not None and status not in STATUSES:
        raise invalid(f"status must be one of {', '.join(STATUSES)}.", field="status")
    limit = _limit(query.get("limit"))
    after = _cursor(query.get("cursor"))
    async with gateway_of(request).connection() as conn:
        project = await calling_project(conn, request)
        async with conn.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(
                "SELECT * FROM internal.core_function_runs WHERE project_id = %(project)s AND function_name = %(name)s"
                " AND (%(status)s::text IS NULL OR status = %(status)s)"
                " AND (%(event)s::text IS NULL OR event_type = %(event)s)"
                " AND (%(since)s::timestamptz IS NULL OR created_at >= %(since)s)"
                " AND (%(until)s::timestamptz IS NULL OR created_at <= %(until)s)"
                " AND (%(at)s::timestamptz IS NULL OR (created_at, run_id) < (%(at)s::timestamptz, %(id)s::text))"
                " ORDER BY created_at DESC, run_id DESC LIMIT %(limit)s",
                {
                    "project": project.project_id,
                    "name": name,
                    "status": status,
                    "event": query.get("event_type"),
                    "since": _bound(request, "since"),
                    "until": _bound(request, "until"),
                    "at": after[0] if after else None,
                    "id": after[1] if after else None,
                    "limit": limit + 1,
                },
            )
            rows = await cursor.fetchall()
        if not rows and not await _has_runs(conn, project, name):
            await require_deployed(conn, project, name)
    page = {"runs": [view(row) for row in rows[:limit]]}
    return reply(page | ({"next_cursor": _cursor_of(rows[limit - 1])} if len(rows) > limit else {}))


async def _has_runs(conn: Connection, project: Project, name: str) -> bool:
    """Whether the function has any run: one that is gone has left its own."""
    found = await conn.execute(
        "SELECT 1 FROM internal.core_function_runs WHERE project_id = %s AND function_name = %s LIMIT 1",
        (project.project_id, name),
    )
    return await found.fetchone() is not None


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= MAX_LIMIT:
        raise invalid(f"limit must be a whole number from 1 to {MAX_LIMIT}.", field="limit")
    return int(text)


def _bound(request: Request, name: str) -> datetime | None:
    try:
        return instant_of(request, name)
    except GatewayError as exc:
        raise invalid(exc.message, field=name) from exc


def _cursor_of(row: Mapping[str, Any]) -> str:
    data = json.dumps({"created_at": row["created_at"].isoformat(), "id": row["run_id"]}).encode()
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _cursor(text: str | None) -> tuple[datetime, str] | None:
    if text is None:
        return None
    try:
        found = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return datetime.fromisoformat(found["created_at"]).astimezone(UTC), str(found["id"])
    except (ValueError, KeyError, TypeError) as exc:
        raise invalid("cursor is not one that this list gave. Start again without it.", field="cursor") from exc


async def _run_of(conn: Connection, request: Request) -> dict[str, Any]:
    project = await calling_project(conn, request)
    run_id = request.path_params["run_id"]
    row = await one(conn, "project_id = %s AND run_id = %s", (project.project_id, run_id.replace("\x00", "")))
    if row is None:
        raise GatewayError(
            404,
            "function_run_not_found",
            f"{project.project_id} has no run {run_id}. `run402 functions runs list <function>` prints its runs.",
            code="FUNCTION_RUN_NOT_FOUND",
        )
    return row


async def get_run(request: Request) -> Response:
    """GET /functions/v1/runs/{run_id} (service key): 200 run, 404 function_run_not_found."""
    async with gateway_of(request).connection() as conn:
        return reply(view(await _run_of(conn, request)))


async def run_logs(request: Request) -> Response:
    """GET /functions/v1/runs/{run_id}/logs?tail&since (service key): 200 `{logs}` of all attempts, oldest first."""
    gateway = gateway_of(request)
    async with gateway.connection() as conn:
        row = await _run_of(conn, request)
    entries = await logs.read(
        gateway,
        row["project_id"],
        request_id=row["run_id"],
        since=instant_of(request, "since"),
        tail=logs.tail_of(request),
    )
    return reply({"logs": entries})


async def cancel_run(request: Request) -> Response:
    """POST /functions/v1/runs/{run_id}/cancel (service key): 200 run. A running attempt is stopped; an ended run stays."""
    gateway = gateway_of(request)
    error = {"code": "FUNCTION_RUN_CANCELLED", "message": "The run was cancelled.", "retryable": False}
    async with gateway.connection() as conn:
        row = await _run_of(conn, request)
        await conn.execute(
            "UPDATE internal.core_function_runs SET status = 'cancelled', last_error = %s, completed_at = %s,"
            " updated_at = %s, lease_expires_at = NULL WHERE run_id = %s AND NOT status = ANY(%s)",
            (Jsonb(error), current_time(), current_time(), row["run_id"], list(TERMINAL)),
        )
        gateway.functions.dispatcher.abort(row["run_id"])
        return reply(view(await _run_of(conn, request)))


async def redrive_run(request: Request) -> Response:
    """POST /functions/v1/runs/{run_id}/redrive {retry?} (service key): a failed, cancelled or expired run starts again.

    200 run with the next generation; runs in other states stay as they are. 400 invalid_function_run_request.
    """
    gateway = gateway_of(request)
    body = await read_object(request)
    async with gateway.connection() as conn:
        row = await _run_of(conn, request)
        retry = retry_of(body["retry"]) if body.get("retry") is not None else row["retry"]
        # A time in the past would expire the run again at once.
        await conn.execute(
            "UPDATE internal.core_function_runs SET status = 'queued', generation = generation + 1, run_at = %(now)s,"
            " next_attempt_at = %(now)s, attempts_current = 0, retry = %(retry)s, last_error = NULL, last_attempt = NULL,"
            " completed_at = NULL, updated_at = %(now)s,"
            " expires_at = CASE WHEN expires_at > %(now)s THEN expires_at END"
            " WHERE run_id = %(id)s AND status IN ('failed', 'cancelled', 'expired')",
            {"now": current_time(), "retry": Jsonb(retry), "id": row["run_id"]},
        )
        run = view(await _run_of(conn, request))
    gateway.functions.dispatcher.wake()
    return reply(run)


async def no_such_route(request: Request) -> Response:
    """Anything else below /functions/v1/runs."""
    raise GatewayError(
        404,
        "function_run_route_not_found",
        f"There is no {request.method} {request.url.path}. A run has GET, GET logs, POST cancel and POST redrive.",
    )


_ANY = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
ROUTES = [
    Route("/functions/v1/runs/{run_id}", get_run, methods=["GET"]),
    Route("/functions/v1/runs/{run_id}/logs", run_logs, methods=["GET"]),
    Route("/functions/v1/runs/{run_id}/cancel", cancel_run, methods=["POST"]),
    Route("/functions/v1/runs/{run_id}/redrive", redrive_run, methods=["POST"]),
    Route("/functions/v1/runs", no_such_route, methods=_ANY),
    Route("/functions/v1/runs/{rest:path}", no_such_route, methods=_ANY),
    Route("/functions/v1/{name}/runs", create_run, methods=["POST"]),
    Route("/functions/v1/{name}/runs", list_runs, methods=["GET"]),
]
