"""Webhooks of a mailbox: who is told about an event, and every delivery until it succeeded or was given up.

See docs/local-gateway-users.md, "Mail".
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import PoolTimeout
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import Gateway, gateway_of
from run402_cli.core.mail.mailboxes import Mailbox, limit_of, mailbox_of
from run402_cli.core.mail.triggers import start_runs
from run402_cli.core.web.http import read_object, reply
from run402_cli.core.web.instants import iso
from run402_cli.core.web.outbound import checked_target, post_json

DDL = """
CREATE TABLE IF NOT EXISTS internal.core_mailbox_webhooks (
  webhook_id text PRIMARY KEY,
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  mailbox_id text NOT NULL REFERENCES internal.core_mailboxes ON DELETE CASCADE,
  url text NOT NULL,
  events text[] NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS core_mailbox_webhooks_mailbox ON internal.core_mailbox_webhooks (mailbox_id);
CREATE TABLE IF NOT EXISTS internal.core_webhook_deliveries (
  delivery_id text PRIMARY KEY,
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  mailbox_id text NOT NULL REFERENCES internal.core_mailboxes ON DELETE CASCADE,
  webhook_id text REFERENCES internal.core_mailbox_webhooks ON DELETE SET NULL,
  source_event_id text NOT NULL,
  event_type text NOT NULL,
  target_url text NOT NULL,
  payload jsonb NOT NULL,
  status text NOT NULL DEFAULT 'pending',
  attempts int NOT NULL DEFAULT 0,
  next_attempt_at timestamptz,
  last_status int,
  last_error text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  delivered_at timestamptz
);
CREATE INDEX IF NOT EXISTS core_webhook_deliveries_due ON internal.core_webhook_deliveries (next_attempt_at)
  WHERE status IN ('pending', 'in_flight');
CREATE INDEX IF NOT EXISTS core_webhook_deliveries_mailbox ON internal.core_webhook_deliveries (mailbox_id, created_at);
"""

log = logging.getLogger("run402.core.mail")

EVENTS = ("delivery", "bounced", "complained", "reply_received", "mailbox_suspended")
STATUSES = ("pending", "in_flight", "delivered", "failed_permanent")
MAX_ATTEMPTS = 8
FIRST_DELAY, LONGEST_DELAY = 5, 300
# Longer than an attempt may take: who holds a delivery for longer is gone.
LEASE = timedelta(seconds=30)
IDLE_SECONDS = 30.0
DEFAULT_LIMIT, MAX_LIMIT = 50, 200
_SHOWN = (
    *(
        "delivery_id",
        "project_id",
        "mailbox_id",
        "webhook_id",
        "source_event_id",
        "event_type",
        "target_url",
        "payload",
    ),
    *("status", "attempts", "last_status", "last_error"),
)


async def announce(conn: Connection, mailbox: Mailbox, event: str, facts: dict[str, Any]) -> None:
    """Something happened to a mailbox: write down who is to be told. Inside the transaction in which it happened."""
    cursor = await conn.execute(
        "SELECT webhook_id, url FROM internal.core_mailbox_webhooks WHERE mailbox_id = %s AND %s = ANY(events)",
        (mailbox.mailbox_id, event),
    )
    for webhook_id, url in await cursor.fetchall():
        await conn.execute(
            "INSERT INTO internal.core_webhook_deliveries (delivery_id, project_id, mailbox_id, webhook_id,"
            " source_event_id, event_type, target_url, payload, next_attempt_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, now())",
            (
                *(f"whd_{secrets.token_hex(12)}", mailbox.project_id, mailbox.mailbox_id, webhook_id),
                *(f"{event}:{facts['message_id']}", event, url, Jsonb(facts)),
            ),
        )
    await start_runs(conn, mailbox, event, facts)


class Deliveries:
    """One task that posts what is due: `gateway.mail`."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def wake(self) -> None:
        """Something may be due: deliveries, and runs of functions that wait for mail."""
        self._woken.set()
        self.gateway.functions.dispatcher.wake()

    async def _run(self) -> None:
        while True:
            wait = IDLE_SECONDS
            try:
                while (row := await self._claim()) is not None:
                    await self._attempt(row)
                wait = await self._until_next()
            except (psycopg.Error, PoolTimeout, GatewayError) as exc:
                log.warning("webhook deliveries wait for the database: %s", exc)
            except Exception:
                log.exception("webhook deliveries: a tick failed")
            try:
                await asyncio.wait_for(self._woken.wait(), wait)
            except TimeoutError:
                continue
            self._woken.clear()

    async def _claim(self) -> dict[str, Any] | None:
        async with self.gateway.connection() as conn, conn.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(
                "UPDATE internal.core_webhook_deliveries SET status = 'in_flight', attempts = attempts + 1,"
                " next_attempt_at = now() + %s, updated_at = now() WHERE delivery_id = (SELECT delivery_id"
                " FROM internal.core_webhook_deliveries WHERE status IN ('pending', 'in_flight')"
                " AND next_attempt_at <= now() ORDER BY next_attempt_at LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING *",
                (LEASE,),
            )
            return await cursor.fetchone()

    async def _attempt(self, row: dict[str, Any]) -> None:
        body = {
            "id": row["delivery_id"],
            "type": row["event_type"],
            "created_at": iso(row["created_at"]),
            "schema_version": 1,
            "idempotency_key": f"{row['webhook_id']}:{row['source_event_id']}",
            "payload": row["payload"],
        }
        headers = {
            "X-Run402-Webhook-Delivery-Id": row["delivery_id"],
            "X-Run402-Webhook-Event-Type": row["event_type"],
            "X-Run402-Webhook-Idempotency-Key": body["idempotency_key"],
            "X-Run402-Webhook-Attempt": str(row["attempts"]),
        }
        status, error = await post_json(row["target_url"], body, headers)
        good = status is not None and 200 <= status < 300
        over = good or row["attempts"] >= MAX_ATTEMPTS
        delay = min(LONGEST_DELAY, FIRST_DELAY * 2 ** (row["attempts"] - 1))
        now = datetime.now(UTC)
        async with self.gateway.connection() as conn:
            await conn.execute(
                "UPDATE internal.core_webhook_deliveries SET status = %s, last_status = %s, last_error = %s,"
                " next_attempt_at = %s, delivered_at = %s, updated_at = %s WHERE delivery_id = %s",
                (
                    "delivered" if good else "failed_permanent" if over else "pending",
                    *(status, error if status is None else None if good else f"The receiver answered {status}."),
                    *(None if over else now + timedelta(seconds=delay), now if good else None, now),
                    row["delivery_id"],
                ),
            )

    async def _until_next(self) -> float:
        async with self.gateway.connection() as conn:
            cursor = await conn.execute(
                "SELECT extract(epoch FROM min(next_attempt_at) - now())::float FROM internal.core_webhook_deliveries"
                " WHERE status IN ('pending', 'in_flight')"
            )
            row = await cursor.fetchone()
        return IDLE_SECONDS if row is None or row[0] is None else min(IDLE_SECONDS, max(0.05, row[0]))


def _view(row: dict[str, Any]) -> dict[str, Any]:
    return {
        **{name: row[name] for name in ("webhook_id", "project_id", "mailbox_id", "url", "events")},
        "status": "active",
        "created_at": iso(row["created_at"]),
        "updated_at": iso(row["updated_at"]),
    }


def _delivery_view(row: dict[str, Any]) -> dict[str, Any]:
    moments = ("next_attempt_at", "created_at", "updated_at", "delivered_at")
    return {**{name: row[name] for name in _SHOWN}, **{name: iso(row[name]) for name in moments}}


def _events(value: Any) -> list[str]:
    if not isinstance(value, list) or not value or not all(event in EVENTS for event in value):
        said = f"`events` must be a list with one or more of {', '.join(EVENTS)}."
        raise GatewayError(400, "invalid_request", said, field="events")
    return list(dict.fromkeys(value))


async def list_webhooks(request: Request) -> Response:
    """GET /mailboxes/v1/{mailbox_id}/webhooks (service key): `{webhooks}`."""
    async with gateway_of(request).connection() as conn:
        _, mailbox = await mailbox_of(conn, request)
        rows = await _rows(conn, mailbox)
    return reply({"webhooks": [_view(row) for row in rows]})


async def _rows(conn: Connection, mailbox: Mailbox, webhook_id: str | None = None) -> list[dict[str, Any]]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT * FROM internal.core_mailbox_webhooks WHERE mailbox_id = %(mailbox)s"
            " AND (%(id)s::text IS NULL OR webhook_id = %(id)s) ORDER BY created_at, webhook_id",
            {"mailbox": mailbox.mailbox_id, "id": webhook_id},
        )
        return await cursor.fetchall()


async def add_webhook(request: Request) -> Response:
    """POST /mailboxes/v1/{mailbox_id}/webhooks (service key) `{url, events}`: 201 the webhook. 400 invalid_request."""
    body = await read_object(request)
    async with gateway_of(request).connection() as conn:
        _, mailbox = await mailbox_of(conn, request)
        webhook_id = f"wh_{secrets.token_hex(12)}"
        await conn.execute(
            "INSERT INTO internal.core_mailbox_webhooks (webhook_id, project_id, mailbox_id, url, events)"
            " VALUES (%s, %s, %s, %s, %s)",
            (
                *(webhook_id, mailbox.project_id, mailbox.mailbox_id),
                *(checked_target(body.get("url"), "url"), _events(body.get("events"))),
            ),
        )
        rows = await _rows(conn, mailbox, webhook_id)
    return reply(_view(rows[0]), 201)


async def get_webhook(request: Request) -> Response:
    """GET /mailboxes/v1/{mailbox_id}/webhooks/{webhook_id} (service key): the webhook. 404 webhook_not_found."""
    async with gateway_of(request).connection() as conn:
        _, mailbox = await mailbox_of(conn, request)
        return reply(_view(await _webhook(conn, request, mailbox)))


async def _webhook(conn: Connection, request: Request, mailbox: Mailbox) -> dict[str, Any]:
    webhook_id = request.path_params["webhook_id"]
    rows = await _rows(conn, mailbox, webhook_id.replace("\0", ""))
    if not rows:
        raise GatewayError(
            404,
            "webhook_not_found",
            f"This mailbox has no webhook {webhook_id}. `run402 email webhooks list` shows what it has.",
            code="WEBHOOK_NOT_FOUND",
        )
    return rows[0]


async def change_webhook(request: Request) -> Response:
    """PATCH /mailboxes/v1/{mailbox_id}/webhooks/{webhook_id} (service key) `{url?, events?}`: the webhook."""
    body = await read_object(request)
    if not set(body) & {"url", "events"}:
        raise GatewayError(400, "invalid_request", "Send `url`, `events` or both.")
    async with gateway_of(request).connection() as conn:
        _, mailbox = await mailbox_of(conn, request)
        row = await _webhook(conn, request, mailbox)
        url = checked_target(body["url"], "url") if "url" in body else row["url"]
        events = _events(body["events"]) if "events" in body else row["events"]
        await conn.execute(
            "UPDATE internal.core_mailbox_webhooks SET url = %s, events = %s, updated_at = now() WHERE webhook_id = %s",
            (url, events, row["webhook_id"]),
        )
        return reply(_view(await _webhook(conn, request, mailbox)))


async def delete_webhook(request: Request) -> Response:
    """DELETE /mailboxes/v1/{mailbox_id}/webhooks/{webhook_id} (service key): `{status, webhook_id}`; twice is fine."""
    async with gateway_of(request).connection() as conn:
        _, mailbox = await mailbox_of(conn, request)
        webhook_id = request.path_params["webhook_id"].replace("\0", "")
        query = "DELETE FROM internal.core_mailbox_webhooks WHERE mailbox_id = %s AND webhook_id = %s"
        await conn.execute(query, (mailbox.mailbox_id, webhook_id))
    return reply({"status": "deleted", "webhook_id": webhook_id})


async def list_deliveries(request: Request) -> Response:
    """GET /mailboxes/v1/{mailbox_id}/webhooks/deliveries?status&limit&after (service key): newest first.

    `{deliveries, has_more, next_cursor}`; `after` is the id of the last delivery seen. 400 invalid_request.
    """
    limit = limit_of(request, DEFAULT_LIMIT, MAX_LIMIT)
    status = request.query_params.get("status")
    if status is not None and status not in STATUSES:
        raise GatewayError(400, "invalid_request", f"`status` must be one of {', '.join(STATUSES)}.", field="status")
    async with gateway_of(request).connection() as conn, conn.cursor(row_factory=dict_row) as cursor:
        _, mailbox = await mailbox_of(conn, request)
        await cursor.execute(
            "SELECT * FROM internal.core_webhook_deliveries WHERE mailbox_id = %(mailbox)s"
            " AND (%(status)s::text IS NULL OR status = %(status)s)"
            " AND (%(after)s::text IS NULL OR (created_at, delivery_id) < (SELECT created_at, delivery_id"
            " FROM internal.core_webhook_deliveries WHERE delivery_id = %(after)s))"
            " ORDER BY created_at DESC, delivery_id DESC LIMIT %(limit)s",
            {
                "mailbox": mailbox.mailbox_id,
                "status": status,
                "after": (request.query_params.get("after") or "").replace("\0", "") or None,
                "limit": limit + 1,
            },
        )
        rows = await cursor.fetchall()
    shown, more = rows[:limit], len(rows) > limit
    last = shown[-1]["delivery_id"] if more else None
    return reply({"deliveries": [_delivery_view(row) for row in shown], "has_more": more, "next_cursor": last})


async def redrive(request: Request) -> Response:
    """POST /mailboxes/v1/{mailbox_id}/webhooks/deliveries/{delivery_id}/redrive (service key): `{status: requeued, delivery}`.

    404 webhook_delivery_not_found; 409 webhook_delivery_not_failed unless it was given up.
    """
    gateway = gateway_of(request)
    delivery_id = request.path_params["delivery_id"].replace("\0", "")
    async with gateway.connection() as conn, conn.cursor(row_factory=dict_row) as cursor:
        _, mailbox = await mailbox_of(conn, request)
        await cursor.execute(
            "UPDATE internal.core_webhook_deliveries SET status = 'pending', attempts = 0, next_attempt_at = now(),"
            " updated_at = now() WHERE mailbox_id = %s AND delivery_id = %s AND status = 'failed_permanent' RETURNING *",
            (mailbox.mailbox_id, delivery_id),
        )
        row = await cursor.fetchone()
        if row is None:
            await cursor.execute(
                "SELECT status FROM internal.core_webhook_deliveries WHERE mailbox_id = %s AND delivery_id = %s",
                (mailbox.mailbox_id, delivery_id),
            )
            raise _not_redriven(delivery_id, await cursor.fetchone())
    gateway.mail.wake()
    return reply({"status": "requeued", "delivery": _delivery_view(row)})


def _not_redriven(delivery_id: str, found: dict[str, Any] | None) -> GatewayError:
    if found is None:
        return GatewayError(
            404,
            "webhook_delivery_not_found",
            f"This mailbox has no delivery {delivery_id}. `run402 email webhooks deliveries` shows what it has.",
            code="WEBHOOK_DELIVERY_NOT_FOUND",
        )
    return GatewayError(
        409,
        "webhook_delivery_not_failed",
        f"{delivery_id} is {found['status']}; only a delivery that was given up (failed_permanent) can be sent again.",
        code="WEBHOOK_DELIVERY_NOT_FAILED",
    )


_PATH = "/mailboxes/v1/{mailbox_id}/webhooks"
ROUTES = [
    Route(_PATH, list_webhooks, methods=["GET"]),
    Route(_PATH, add_webhook, methods=["POST"]),
    Route(_PATH + "/deliveries", list_deliveries, methods=["GET"]),
    Route(_PATH + "/deliveries/{delivery_id}/redrive", redrive, methods=["POST"]),
    Route(_PATH + "/{webhook_id}", get_webhook, methods=["GET"]),
    Route(_PATH + "/{webhook_id}", change_webhook, methods=["PATCH"]),
    Route(_PATH + "/{webhook_id}", delete_webhook, methods=["DELETE"]),
]
