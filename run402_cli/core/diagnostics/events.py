"""The event feed of a project: what the gateway did, and what the project's own code says happened.

Events are kept 90 days. A cursor is the place after one event; it is opaque, and an event's id is one too. See
docs/local-gateway-users.md, "Events".
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from typing import Any

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from run402_cli import advice
from run402_cli.core.callers.auth import key_holder, presented_key, project_by_id
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import Gateway, gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.releases.sections import Section
from run402_cli.core.settings import LOCAL_ORG_ID
from run402_cli.core.web.http import read_object, reply
from run402_cli.core.web.instants import iso

# Events with an idempotency key are never removed, only no longer shown: the key stands for one fact for ever.
DDL = """
CREATE TABLE IF NOT EXISTS internal.core_project_events (
  id bigserial PRIMARY KEY,
  event_id text NOT NULL UNIQUE,
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  event_type text NOT NULL,
  class text NOT NULL,
  source text NOT NULL,
  payload jsonb NOT NULL,
  payload_truncated boolean NOT NULL DEFAULT false,
  idempotency_key text,
  occurred_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (project_id, idempotency_key)
);
CREATE INDEX IF NOT EXISTS core_project_events_feed ON internal.core_project_events (project_id, id);
CREATE INDEX IF NOT EXISTS core_project_events_time ON internal.core_project_events (project_id, occurred_at);
"""

# Facts that only the platform may state.
RESERVED = frozenset(
    {
        *("deploy_activated", "mailbox_suspended", "project_transfer_completed", "organization_past_due"),
        *("verification_failed", "webhook_disabled", "platform_incident"),
    }
)
SOURCES = ("app", "platform")
KEPT_DAYS = 90
DEFAULT_LIMIT, MAX_LIMIT = 50, 200
MAX_PAYLOAD_BYTES = 8 * 1024
MAX_KEY = 255
# What one emit may put into the table before its payload is cut.
MAX_BODY_BYTES = 1024**2
FEED_LOCK = 402_000_021
_TYPE = re.compile(r"[a-z][a-z0-9_]{2,63}")
_CURSOR = re.compile(r"evc_([0-9a-f]{1,16})")
Row = Mapping[str, Any]


async def record(
    conn: Connection,
    project_id: str,
    event_type: str,
    payload: Mapping[str, Any],
    *,
    source: str = "platform",
    kind: str = "deploy",
    key: str | None = None,
    truncated: bool = False,
) -> tuple[dict[str, Any], bool]:
    """Write an event into the feed; (row, is it new). An event with the same `key` is not written again."""
    # Ids must appear in the order of commits, or a reader's cursor would pass an event that is not there yet.
    await conn.execute("SELECT pg_advisory_xact_lock(%s)", (FEED_LOCK,))
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "INSERT INTO internal.core_project_events (event_id, project_id, event_type, class, source, payload,"
            " payload_truncated, idempotency_key) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (project_id, idempotency_key) DO NOTHING RETURNING *",
            (f"evt_{uuid.uuid4().hex}", project_id, event_type, kind, source, Jsonb(payload), truncated, key),
        )
        row = await cursor.fetchone()
        if row is not None:
            return row, True
        await cursor.execute(
            "SELECT * FROM internal.core_project_events WHERE project_id = %s AND idempotency_key = %s",
            (project_id, key),
        )
        found = await cursor.fetchone()
    assert found is not None
    return found, False


class EventsSection(Section):
    """Every switch to a release is an event."""

    async def switched(self, gateway: Gateway, conn: Connection, project_id: str, state: Mapping[str, Any]) -> None:
        cursor = await conn.execute(
            "SELECT p.active_release_id, (SELECT r.release_id FROM internal.core_releases r"
            " WHERE r.project_id = p.project_id AND r.release_id <> p.active_release_id"
            " AND r.superseded_at IS NOT NULL ORDER BY r.superseded_at DESC LIMIT 1)"
            " FROM internal.core_projects p WHERE p.project_id = %s",
            (project_id,),
        )
        row = await cursor.fetchone()
        if row is not None:
            payload = {"release_id": row[0], "previous_release_id": row[1]}
            await record(conn, project_id, "deploy_activated", payload)


SECTION = EventsSection()


def view(row: Row) -> dict[str, Any]:
    """An event as the feed shows it."""
    actions = []
    if row["event_type"] == "deploy_activated" and row["source"] == "platform":
        why = "Shows what the release is made of."
        command = advice.command(
            "deploy", "release", "get", row["payload"]["release_id"], "--project", row["project_id"]
        )
        actions.append(advice.entry("run_command", command, why=why))
    shown = {
        "id": row["event_id"],
        "event_type": row["event_type"],
        "class": row["class"],
        "source": row["source"],
        "project_id": row["project_id"],
        "occurred_at": iso(row["occurred_at"]),
        "payload": row["payload"],
        "next_actions": actions,
    }
    return shown | ({"payload_truncated": True} if row["payload_truncated"] else {})


async def emit(request: Request) -> Response:
    """POST /projects/v1/{project_id}/events (service key) `{event_type, payload?, idempotency_key?}`: 201 the event.

    The same idempotency key gives the first event again, with 200 and `deduplicated: true`. A payload over 8 KiB is cut to its
    first fields. 400 INVALID_EVENT_TYPE, RESERVED_EVENT_TYPE, INVALID_REQUEST; 403 FORBIDDEN for another project's key.
    """
    body = await read_object(request)
    async with gateway_of(request).connection() as conn:
        project = await service_project(conn, request)
        event_type, key = _checked_type(body.get("event_type")), body.get("idempotency_key")
        if key is not None and (not isinstance(key, str) or not 1 <= len(key) <= MAX_KEY or "\0" in key):
            raise _invalid("idempotency_key", f"a text of 1 to {MAX_KEY} characters")
        payload, truncated = _payload(body.get("payload"))
        async with conn.transaction():
            await conn.execute(
                "DELETE FROM internal.core_project_events WHERE project_id = %s AND idempotency_key IS NULL"
                " AND occurred_at < now() - make_interval(days => %s)",
                (project.project_id, KEPT_DAYS),
            )
            row, new = await record(
                conn, project.project_id, event_type, payload, source="app", kind="app", key=key, truncated=truncated
            )
    return reply({**view(row), "deduplicated": not new}, 201 if new else 200)


async def service_project(conn: Connection, request: Request) -> Project:
    """The project of the path, if the caller holds its service key. 401, 403 FORBIDDEN for a key of another project."""
    project = await project_by_id(conn, request.path_params["project_id"])
    key = presented_key(request)
    holder = await key_holder(conn, key) if key else None
    if holder is None:
        raise GatewayError(
            401,
            "authentication_required",
            f"Send the service key of {project.project_id} in the apikey header or as bearer token.",
            code="AUTHENTICATION_REQUIRED",
        )
    if holder[1] != "service" or holder[0].project_id != project.project_id:
        raise GatewayError(
            403,
            "forbidden",
            f"The key sent is not the service key of {project.project_id}.",
            code="FORBIDDEN",
        )
    return project


def _checked_type(value: Any) -> str:
    if not isinstance(value, str) or not _TYPE.fullmatch(value):
        raise GatewayError(
            400,
            "invalid_event_type",
            "`event_type` must be 3 to 64 lower-case letters, digits and underscores, a letter first: booking_created.",
            code="INVALID_EVENT_TYPE",
            field="event_type",
        )
    if value in RESERVED:
        raise GatewayError(
            400,
            "reserved_event_type",
            f"{value} is an event of the platform. Choose a name of your own, such as app_{value}.",
            code="RESERVED_EVENT_TYPE",
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
    return GatewayError(400, "invalid_request", f"`{field}` must be {wanted}.", code="INVALID_REQUEST", field=field)


async def project_feed(request: Request) -> Response:
    """GET /projects/v1/{project_id}/events?cursor&limit&source&event_type: a page, oldest first.

    `{events, cursor, has_more, reset, earliest_cursor?}`. A cursor that is malformed, or older than the feed, is no error:
    `reset` is true and the page starts at the earliest event. 400 invalid_request; 404 project_not_found.
    """
    async with gateway_of(request).connection() as conn:
        project = await project_by_id(conn, request.path_params["project_id"])
        return reply(await _page(conn, request, project.project_id))


async def org_feed(request: Request) -> Response:
    """GET /orgs/v1/{org_id}/events?...: the same over all projects of this gateway. 403 org_forbidden for another org."""
    if request.path_params["org_id"] != LOCAL_ORG_ID:
        raise GatewayError(
            403, "org_forbidden", f"A local gateway has one organization: {LOCAL_ORG_ID}.", code="NOT_AUTHORIZED"
        )
    async with gateway_of(request).connection() as conn:
        return reply(await _page(conn, request, None))


async def _page(conn: Connection, request: Request, project_id: str | None) -> dict[str, Any]:
    limit, source, types = _limit(request), request.query_params.get("source"), request.query_params.get("event_type")
    if source is not None and source not in SOURCES:
        raise GatewayError(400, "invalid_request", f"`source` must be one of {', '.join(SOURCES)}.", field="source")
    earliest, latest = await _ends(conn, project_id)
    after = await _position(conn, project_id, request.query_params.get("cursor"))
    # An event that was removed leaves a gap: whoever stood before it has missed something.
    reset = after is None or after > latest or (0 < after < earliest - 1 and not await _exists(conn, after))
    start = 0 if after is None or reset else after
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT * FROM internal.core_project_events WHERE id > %(start)s"
            " AND (%(project)s::text IS NULL OR project_id = %(project)s)"
            " AND occurred_at >= now() - make_interval(days => %(days)s)"
            " AND (%(source)s::text IS NULL OR source = %(source)s)"
            " AND (%(types)s::text[] IS NULL OR event_type = ANY(%(types)s)) ORDER BY id LIMIT %(limit)s",
            {
                "start": start,
                "project": project_id,
                "days": KEPT_DAYS,
                "source": source,
                "types": [name.strip() for name in types.split(",")] if types and "\0" not in types else None,
                "limit": limit + 1,
            },
        )
        rows = await cursor.fetchall()
    shown, more = rows[:limit], len(rows) > limit
    # With filters a page may end before the feed does: what was looked at need not be looked at again.
    seen = shown[-1]["id"] if shown else start
    last = seen if more else max(latest, seen)
    page = {
        "events": [view(row) for row in shown],
        "cursor": f"evc_{last:x}",
        "has_more": more,
        "reset": reset,
    }
    return page | ({"earliest_cursor": f"evc_{max(earliest - 1, 0):x}"} if reset else {})


async def newest(conn: Connection, project_id: str, *, limit: int, offset: int) -> list[dict[str, Any]]:
    """Events of a project as the feed shows them, newest first."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT * FROM internal.core_project_events WHERE project_id = %s"
            " AND occurred_at >= now() - make_interval(days => %s) ORDER BY id DESC LIMIT %s OFFSET %s",
            (project_id, KEPT_DAYS, limit, offset),
        )
        return [view(row) for row in await cursor.fetchall()]


async def _ends(conn: Connection, project_id: str | None) -> tuple[int, int]:
    cursor = await conn.execute(
        "SELECT coalesce(min(id) FILTER (WHERE occurred_at >= now() - make_interval(days => %(days)s)), 0),"
        " coalesce(max(id), 0) FROM internal.core_project_events"
        " WHERE %(project)s::text IS NULL OR project_id = %(project)s",
        {"project": project_id, "days": KEPT_DAYS},
    )
    row: Any = await cursor.fetchone()
    return row[0], row[1]


async def _position(conn: Connection, project_id: str | None, cursor: str | None) -> int | None:
    """The id after which to read; None for a cursor that is none of this feed."""
    if not cursor:
        return 0
    if found := _CURSOR.fullmatch(cursor):
        return min(int(found[1], 16), 2**63 - 1)
    row = await (
        await conn.execute(
            "SELECT id FROM internal.core_project_events WHERE event_id = %(id)s"
            " AND (%(project)s::text IS NULL OR project_id = %(project)s)",
            {"id": cursor.replace("\0", ""), "project": project_id},
        )
    ).fetchone()
    return row[0] if row else None


async def _exists(conn: Connection, position: int) -> bool:
    row = await (await conn.execute("SELECT 1 FROM internal.core_project_events WHERE id = %s", (position,))).fetchone()
    return row is not None


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", str(DEFAULT_LIMIT))
    if not text.isascii() or not text.isdigit() or int(text[:9]) < 1:
        said = f"`limit` must be a whole number from 1 to {MAX_LIMIT}."
        raise GatewayError(400, "invalid_request", said, field="limit")
    return min(int(text[:9]), MAX_LIMIT)


ROUTES = [
    Route("/projects/v1/{project_id}/events", emit, methods=["POST"]),
    Route("/projects/v1/{project_id}/events", project_feed, methods=["GET"]),
    Route("/orgs/v1/{org_id}/events", org_feed, methods=["GET"]),
]
