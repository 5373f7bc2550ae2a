"""The routes of durable runs. See docs/local-gateway-functions.md."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.callers.policies import SERVICE_KEY_OF_A_PROJECT
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.functions import logs, run_rows
from run402_cli.core.functions.bundle_rows import require_deployed
from run402_cli.core.functions.functions_request import NAME
from run402_cli.core.functions.log_routes import tail_of
from run402_cli.core.functions.runs import create, current_time, invalid, retry_of, view, wish_of
from run402_cli.core.gateway import gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.web.http import instant_of, query_limit, read_object, reply
from run402_cli.core.web.routing import OPEN, Route, admitted

STATUSES: Final = (*run_rows.WAITING, "running", *run_rows.TERMINAL)
RUN_ID = re.compile(r"fnrun_[A-Za-z0-9_-]{4,128}")
ATTEMPT_ID = re.compile(r"fnatt_[A-Za-z0-9_-]{4,128}")
DEFAULT_LIMIT, MAX_LIMIT = 20, 100
_INVALID = "invalid_function_run_request"


def function_name(request: Request) -> str:
    name: str = request.path_params["name"]
    if not NAME.fullmatch(name):
        raise GatewayError(400, "invalid_function_name", f"{name!r} is not the name of a function.", code=None)
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
    wish = wish_of(body, request.headers.get("idempotency-key"))
    project = admitted(request, Project)
    async with gateway.connection() as conn:
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
    limit = query_limit(request, "limit", DEFAULT_LIMIT, MAX_LIMIT, capped=False, error=_INVALID, field="limit")
    after = _cursor(query.get("cursor"))
    project = admitted(request, Project)
    async with gateway_of(request).connection() as conn:
        rows = await run_rows.newest(
            conn,
            project.project_id,
            name,
            status=status,
            event_type=query.get("event_type"),
            since=instant_of(request, "since", error=_INVALID),
            until=instant_of(request, "until", error=_INVALID),
            after=after,
            limit=limit + 1,
        )
        if not rows and not await run_rows.has_any(conn, project.project_id, name):
            await require_deployed(conn, project, name)
    page = {"runs": [view(row) for row in rows[:limit]]}
    return reply(page | ({"next_cursor": _cursor_of(rows[limit - 1])} if len(rows) > limit else {}))


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
    project = admitted(request, Project)
    run_id = request.path_params["run_id"]
    row = await run_rows.find(conn, project.project_id, run_id)
    if row is None:
        raise GatewayError(
            404,
            "function_run_not_found",
            f"{project.project_id} has no run {run_id}. `run402 functions runs list <function>` prints its runs.",
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
        since=instant_of(request, "since", code=None),
        tail=tail_of(request),
    )
    return reply({"logs": entries})


async def cancel_run(request: Request) -> Response:
    """POST /functions/v1/runs/{run_id}/cancel (service key): 200 run. A running attempt is stopped; an ended run stays."""
    gateway = gateway_of(request)
    error = {"code": "FUNCTION_RUN_CANCELLED", "message": "The run was cancelled.", "retryable": False}
    async with gateway.connection() as conn:
        row = await _run_of(conn, request)
        await run_rows.cancel(conn, row["run_id"], error, current_time())
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
        await run_rows.redrive(conn, row["run_id"], retry, current_time())
        run = view(await _run_of(conn, request))
    gateway.functions.dispatcher.wake()
    return reply(run)


async def no_such_route(request: Request) -> Response:
    """Anything else below /functions/v1/runs."""
    raise GatewayError(
        404,
        "function_run_route_not_found",
        f"There is no {request.method} {request.url.path}. A run has GET, GET logs, POST cancel and POST redrive.",
        code=None,
    )


_ANY = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
ROUTES = [
    Route("/functions/v1/runs/{run_id}", get_run, methods=["GET"], who=SERVICE_KEY_OF_A_PROJECT),
    Route("/functions/v1/runs/{run_id}/logs", run_logs, methods=["GET"], who=SERVICE_KEY_OF_A_PROJECT),
    Route("/functions/v1/runs/{run_id}/cancel", cancel_run, methods=["POST"], who=SERVICE_KEY_OF_A_PROJECT),
    Route("/functions/v1/runs/{run_id}/redrive", redrive_run, methods=["POST"], who=SERVICE_KEY_OF_A_PROJECT),
    Route("/functions/v1/runs", no_such_route, methods=_ANY, who=OPEN),
    Route("/functions/v1/runs/{rest:path}", no_such_route, methods=_ANY, who=OPEN),
    Route("/functions/v1/{name}/runs", create_run, methods=["POST"], who=SERVICE_KEY_OF_A_PROJECT),
    Route("/functions/v1/{name}/runs", list_runs, methods=["GET"], who=SERVICE_KEY_OF_A_PROJECT),
]
