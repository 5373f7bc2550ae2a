"""/mailboxes/v1/{mailbox_id}/webhooks: who is told, and every delivery. See docs/local-gateway-users.md, "Mail"."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.errors import GatewayError, bad_field
from run402_cli.core.gateway import gateway_of
from run402_cli.core.mail import webhook_rows
from run402_cli.core.mail.callers import MAILBOX_OWNER, MailboxOwner
from run402_cli.core.mail.paging import after_of, limit_of
from run402_cli.core.web.http import page, read_object, reply
from run402_cli.core.web.instants import iso
from run402_cli.core.web.outbound import checked_target
from run402_cli.core.web.routing import Route, admitted

EVENTS = ("delivery", "bounced", "complained", "reply_received", "mailbox_suspended")
STATUSES = ("pending", "in_flight", "delivered", "failed_permanent")
_SHOWN = (
    *("delivery_id", "project_id", "mailbox_id", "webhook_id", "source_event_id", "event_type", "target_url"),
    *("payload", "status", "attempts", "last_status", "last_error"),
)


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
        raise bad_field("events", f"a list with one or more of {', '.join(EVENTS)}")
    return list(dict.fromkeys(value))


async def list_webhooks(request: Request) -> Response:
    """GET /mailboxes/v1/{mailbox_id}/webhooks (service key): `{webhooks}`."""
    async with gateway_of(request).connection() as conn:
        rows = await webhook_rows.of_mailbox(conn, admitted(request, MailboxOwner).mailbox)
    return reply({"webhooks": [_view(row) for row in rows]})


async def add_webhook(request: Request) -> Response:
    """POST /mailboxes/v1/{mailbox_id}/webhooks (service key) `{url, events}`: 201 the webhook. 400 invalid_request."""
    mailbox = admitted(request, MailboxOwner).mailbox
    body = await read_object(request)
    url, events = checked_target(body.get("url"), "url"), _events(body.get("events"))
    async with gateway_of(request).connection() as conn:
        row = await webhook_rows.insert(conn, mailbox, url, events)
    return reply(_view(row), 201)


async def get_webhook(request: Request) -> Response:
    """GET /mailboxes/v1/{mailbox_id}/webhooks/{webhook_id} (service key): the webhook. 404 webhook_not_found."""
    mailbox = admitted(request, MailboxOwner).mailbox
    async with gateway_of(request).connection() as conn:
        return reply(_view(await webhook_rows.fetch(conn, mailbox, request.path_params["webhook_id"])))


async def change_webhook(request: Request) -> Response:
    """PATCH /mailboxes/v1/{mailbox_id}/webhooks/{webhook_id} (service key) `{url?, events?}`: the webhook."""
    body = await read_object(request)
    if not set(body) & {"url", "events"}:
        raise GatewayError(400, "invalid_request", "Send `url`, `events` or both.", code=None)
    mailbox = admitted(request, MailboxOwner).mailbox
    async with gateway_of(request).connection() as conn:
        row = await webhook_rows.fetch(conn, mailbox, request.path_params["webhook_id"])
        url = checked_target(body["url"], "url") if "url" in body else row["url"]
        events = _events(body["events"]) if "events" in body else row["events"]
        await webhook_rows.change(conn, row["webhook_id"], url, events)
        return reply(_view(await webhook_rows.fetch(conn, mailbox, row["webhook_id"])))


async def delete_webhook(request: Request) -> Response:
    """DELETE /mailboxes/v1/{mailbox_id}/webhooks/{webhook_id} (service key): `{status, webhook_id}`; twice is fine."""
    webhook_id = request.path_params["webhook_id"].replace("\0", "")
    async with gateway_of(request).connection() as conn:
        await webhook_rows.delete(conn, admitted(request, MailboxOwner).mailbox, webhook_id)
    return reply({"status": "deleted", "webhook_id": webhook_id})


async def list_deliveries(request: Request) -> Response:
    """GET /mailboxes/v1/{mailbox_id}/webhooks/deliveries?status&limit&after (service key): newest first.

    `{deliveries, has_more, next_cursor}`; `after` is the id of the last delivery seen. 400 invalid_request.
    """
    limit = limit_of(request)
    status = request.query_params.get("status")
    if status is not None and status not in STATUSES:
        raise bad_field("status", f"one of {', '.join(STATUSES)}")
    mailbox = admitted(request, MailboxOwner).mailbox
    async with gateway_of(request).connection() as conn:
        rows = await webhook_rows.deliveries(conn, mailbox, status=status, after=after_of(request), limit=limit + 1)
    return reply(page("deliveries", rows, limit, _delivery_view, lambda row: row["delivery_id"]))


async def redrive(request: Request) -> Response:
    """POST /mailboxes/v1/{mailbox_id}/webhooks/deliveries/{delivery_id}/redrive (service key): `{status: requeued, delivery}`.

    404 webhook_delivery_not_found; 409 webhook_delivery_not_failed unless it was given up.
    """
    gateway = gateway_of(request)
    mailbox = admitted(request, MailboxOwner).mailbox
    async with gateway.connection() as conn:
        row = await webhook_rows.redrive(conn, mailbox, request.path_params["delivery_id"])
    gateway.mail.wake()
    return reply({"status": "requeued", "delivery": _delivery_view(row)})


_PATH = "/mailboxes/v1/{mailbox_id}/webhooks"
ROUTES = [
    Route(_PATH, list_webhooks, methods=["GET"], who=MAILBOX_OWNER),
    Route(_PATH, add_webhook, methods=["POST"], who=MAILBOX_OWNER),
    Route(_PATH + "/deliveries", list_deliveries, methods=["GET"], who=MAILBOX_OWNER),
    Route(_PATH + "/deliveries/{delivery_id}/redrive", redrive, methods=["POST"], who=MAILBOX_OWNER),
    Route(_PATH + "/{webhook_id}", get_webhook, methods=["GET"], who=MAILBOX_OWNER),
    Route(_PATH + "/{webhook_id}", change_webhook, methods=["PATCH"], who=MAILBOX_OWNER),
    Route(_PATH + "/{webhook_id}", delete_webhook, methods=["DELETE"], who=MAILBOX_OWNER),
]
