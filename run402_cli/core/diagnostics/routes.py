"""The routes of the event feed (docs/local-gateway-users.md) and of errors of functions (docs/diagnostics.md)."""

from __future__ import annotations

import contextlib
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg_pool import PoolTimeout
from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.callers import reach
from run402_cli.core.callers.kinds import Kind
from run402_cli.core.callers.policies import OWNER, SERVICE_KEY_NO_OTHER
from run402_cli.core.callers.siwx import caller
from run402_cli.core.db import Connection
from run402_cli.core.diagnostics import event_rows, events, fault_rows, function_errors
from run402_cli.core.diagnostics.fault_rows import Window
from run402_cli.core.errors import GatewayError, bad_field
from run402_cli.core.gateway import gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.releases import rows as releases
from run402_cli.core.settings import LOCAL_ORG_ID
from run402_cli.core.web.http import instant_of, query_limit, read_object, reply
from run402_cli.core.web.routing import Policy, Route, admitted

# Facts that only the platform may state.
RESERVED = frozenset(
    {
        *("deploy_activated", "mailbox_suspended", "project_transfer_completed", "organization_past_due"),
        *("verification_failed", "webhook_disabled", "platform_incident"),
    }
)
SOURCES = ("app", "platform")
KINDS = ("uncaught", "boot_crash", "invoke_failed", "handled_5xx")
DEFAULT_LIMIT, MAX_LIMIT = 50, 200
MAX_PAYLOAD_BYTES = 8 * 1024
MAX_KEY = 255
# What one emit may put into the table before its payload is cut.
MAX_BODY_BYTES = 1024**2
_TYPE = re.compile(r"[a-z][a-z0-9_]{2,63}")
_CURSOR = re.compile(r"erc_(\d{1,20})_(fp_[0-9a-f]{24})")


def _org_of_path(request: Request) -> None:
    if request.path_params["org_id"] != LOCAL_ORG_ID:
        raise GatewayError(
            403, "org_forbidden", f"A local gateway has one organization: {LOCAL_ORG_ID}.", code="NOT_AUTHORIZED"
        )


ORG = Policy(
    "organization",
    "sends the control token, or is an admitted wallet, and names the one organization of the gateway.",
    frozenset({Kind.CONTROL_TOKEN, Kind.ADMITTED_WALLET}),
    alone=_org_of_path,
    of_the_caller=True,
)


async def emit(request: Request) -> Response:
    """POST /projects/v1/{project_id}/events (service key) `{event_type, payload?, idempotency_key?}`: 201 the event.

    The same idempotency key gives the first event again, with 200 and `deduplicated: true`. A payload over 8 KiB is cut to its
    first fields. 400 INVALID_EVENT_TYPE, RESERVED_EVENT_TYPE, INVALID_REQUEST; 403 FORBIDDEN for another project's key.
    """
    body = await read_object(request)
    project = admitted(request, Project)
    event_type, key = _checked_type(body.get("event_type")), body.get("idempotency_key")
    if key is not None and (not isinstance(key, str) or not 1 <= len(key) <= MAX_KEY or "\0" in key):
        raise _invalid("idempotency_key", f"a text of 1 to {MAX_KEY} characters")
    payload, truncated = _payload(body.get("payload"))
    async with gateway_of(request).connection() as conn, conn.transaction():
        await event_rows.forget_old(conn, project.project_id)
        row, new = await event_rows.record(
            conn, project.project_id, event_type, payload, source="app", kind="app", key=key, truncated=truncated
        )
    return reply({**events.view(row), "deduplicated": not new}, 201 if new else 200)


def _checked_type(value: Any) -> str:
    if not isinstance(value, str) or not _TYPE.fullmatch(value):
        raise GatewayError(
            400,
            "invalid_event_type",
            "`event_type` must be 3 to 64 lower-case letters, digits and underscores, a letter first: booking_created.",
            field="event_type",
        )
    if value in RESERVED:
        raise GatewayError(
            400,
            "reserved_event_type",
            f"{value} is an event of the platform. Choose a name of your own, such as app_{value}.",
            field="event_type",
        )
    return value


def _payload(value: Any) -> tuple[dict[str, Any], bool]:
    payload = {} if value is None else value
    if not isinstance(payload, dict):
        raise _invalid("payload", "a JSON object")
    text = json.dumps(payload, ensure_ascii=False)
    size = len(text.encode())
    if "\\u0000" in text or size > MAX_BODY_BYTES:
        raise _invalid("payload", f"a JSON object of at most {MAX_BODY_BYTES} bytes, without null characters")
    if size <= MAX_PAYLOAD_BYTES:
        return payload, False
    kept: dict[str, Any] = {}
    for name, entry in payload.items():
        if len(json.dumps({**kept, name: entry}, ensure_ascii=False).encode()) > MAX_PAYLOAD_BYTES:
            break
        kept[name] = entry
    return kept, True


def _invalid(field: str, wanted: str) -> GatewayError:
    return GatewayError(400, "invalid_request", f"`{field}` must be {wanted}.", field=field)


async def project_feed(request: Request) -> Response:
    """GET /projects/v1/{project_id}/events?cursor&limit&source&event_type: a page, oldest first.

    `{events, cursor, has_more, reset, earliest_cursor?}`. A cursor that is malformed, or older than the feed, is no error:
    `reset` is true and the page starts at the earliest event. 400 invalid_request; 404 project_not_found.
    """
    async with gateway_of(request).connection() as conn:
        return reply(await _page(conn, request, admitted(request, Project).project_id))


async def org_feed(request: Request) -> Response:
    """GET /orgs/v1/{org_id}/events?...: the same over all projects that the caller sees. 403 org_forbidden for another org."""
    async with gateway_of(request).connection() as conn:
        return reply(await _page(conn, request, None))


async def _page(conn: Connection, request: Request, project_id: str | None) -> dict[str, Any]:
    limit = query_limit(request, "limit", DEFAULT_LIMIT, MAX_LIMIT, code=None, field="limit")
    source, types = request.query_params.get("source"), request.query_params.get("event_type")
    if source is not None and source not in SOURCES:
        raise bad_field("source", f"one of {', '.join(SOURCES)}")
    wanted = [name.strip() for name in types.split(",")] if types and "\0" not in types else None
    cursor = request.query_params.get("cursor")
    seen: Any = {} if project_id else {"wallet": caller.get(), "unowned": reach.unowned()}
    return await events.page(conn, project_id, cursor, source=source, types=wanted, limit=limit, **seen)


async def list_faults(request: Request) -> Response:
    """GET /projects/v1/{project_id}/errors?since&until&function&kind&fingerprint&new_in&limit&cursor (service key).

    `{verdict, errors, has_more, next_cursor?}`, the latest first; the window is the last 24 hours unless said otherwise. With
    `new_in` (a release, or `active`) only what was first seen in that release. 400 invalid_request; 403 forbidden for another
    project's key; 404 resource_not_found for an unknown release.
    """
    await _stored(request)
    project = admitted(request, Project)
    async with gateway_of(request).connection() as conn:
        window = await _window(conn, request, project)
        limit = query_limit(request, "limit", DEFAULT_LIMIT, MAX_LIMIT, capped=False, field="limit")
        rows = await _faults(conn, request, window, limit + 1)
        shown = rows[:limit]
        body = {
            "verdict": await function_errors.verdict(conn, window),
            "errors": [await function_errors.view(conn, project.project_id, row) for row in shown],
            "has_more": len(rows) > limit,
        }
    if len(rows) > limit:
        last = shown[-1]
        body["next_cursor"] = f"erc_{_micros(last['seen'])}_{last['fingerprint_id']}"
    return reply(body)


async def _stored(request: Request) -> None:
    """What was logged a moment ago counts too. Before a connection is taken: this takes one of its own."""
    with contextlib.suppress(psycopg.Error, PoolTimeout):
        await gateway_of(request).functions.logs.flush()


async def _window(conn: Connection, request: Request, project: Project) -> Window:
    until = instant_of(request, "until", error="invalid_request") or datetime.now(UTC)
    since = instant_of(request, "since", error="invalid_request") or until - timedelta(hours=24)
    if since > until:
        raise _invalid("since", "before `until`")
    wanted = request.query_params.get("new_in")
    if wanted is None:
        return Window(project.project_id, since, until, None)
    release = project.active_release_id if wanted == "active" else wanted
    if await releases.find(conn, project.project_id, (release or "").replace("\0", "")) is None:
        raise _not_found(
            f"{project.project_id} has no {'active release' if wanted == 'active' else f'release {wanted}'}."
        )
    return Window(project.project_id, since, until, release)


def _not_found(message: str) -> GatewayError:
    return GatewayError(404, "resource_not_found", message)


def _micros(moment: datetime) -> int:
    return round((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))


async def _faults(conn: Connection, request: Request, window: Window, limit: int) -> list[dict[str, Any]]:
    query = request.query_params
    kind = query.get("kind")
    if kind is not None and kind not in KINDS:
        raise _invalid("kind", f"one of {', '.join(KINDS)}")
    after = query.get("cursor")
    place = _CURSOR.fullmatch(after) if after else None
    if after and place is None:
        raise _invalid("cursor", "the next_cursor of an earlier page")
    return await fault_rows.seen_in(
        conn,
        window,
        function=_clean(query.get("function")),
        kind=kind,
        fingerprint=_clean(query.get("fingerprint")),
        after=(_moment(int(place[1])), place[2]) if place else None,
        limit=limit,
    )


def _moment(micros: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=min(micros, 250_000_000_000_000_000))


def _clean(value: str | None) -> str | None:
    return None if value is None else value.replace("\0", "")


async def get_fault(request: Request) -> Response:
    """GET /projects/v1/{project_id}/errors/{fingerprint_id} (service key): one row, with `also_seen_in_functions`.

    `count` is over all that is kept (90 days). 404 resource_not_found.
    """
    await _stored(request)
    project = admitted(request, Project)
    fingerprint_id = request.path_params["fingerprint_id"]
    async with gateway_of(request).connection() as conn:
        row = await fault_rows.find(conn, project.project_id, fingerprint_id)
        if row is None:
            raise _not_found(f"{project.project_id} has no error {fingerprint_id}. `run402 errors` lists what it has.")
        shown = await function_errors.view(conn, project.project_id, row)
    return reply({**shown, "also_seen_in_functions": row["also"]})


ROUTES = [
    Route("/projects/v1/{project_id}/events", emit, methods=["POST"], who=SERVICE_KEY_NO_OTHER),
    Route("/projects/v1/{project_id}/events", project_feed, methods=["GET"], who=OWNER),
    Route("/orgs/v1/{org_id}/events", org_feed, methods=["GET"], who=ORG),
    Route("/projects/v1/{project_id}/errors", list_faults, methods=["GET"], who=SERVICE_KEY_NO_OTHER),
    Route("/projects/v1/{project_id}/errors/{fingerprint_id}", get_fault, methods=["GET"], who=SERVICE_KEY_NO_OTHER),
]
