"""Webhooks of a mailbox and their deliveries. All with the service key. See docs/email.md, "Webhooks".

A delivered body is {id, type, created_at, schema_version, idempotency_key, payload}; receivers drop what they have seen by
`idempotency_key`. `mailbox` is a slug or an id; every function raises what `mailboxes.find` raises.
"""

from __future__ import annotations

from typing import Any

from run402_cli.client import Client, with_query
from run402_cli.services._checks import listed, refused
from run402_cli.services.email_mailboxes import find, mailbox_path

Json = Any

EVENTS = ("delivery", "bounced", "complained", "reply_received", "mailbox_suspended")
STATUSES = ("pending", "in_flight", "delivered", "failed_permanent")


def _path(client: Client, project_id: str, mailbox: str | None, *tail: str) -> str:
    return mailbox_path(find(client, project_id, mailbox), "webhooks", *tail)


def events_of(text: str) -> list[str]:
    """Event names from a comma list. ValidationError LOCAL_ERROR for an empty or unknown one."""
    return [listed("events", name.strip(), EVENTS) for name in text.split(",")]


def list_webhooks(client: Client, project_id: str, *, mailbox: str | None = None) -> Json:
    """GET /mailboxes/v1/{mailbox}/webhooks -> {webhooks: [{webhook_id, url, events, created_at}]}."""
    path = _path(client, project_id, mailbox)
    return client.request("GET", path, context="listing webhooks", auth=client.service_key(project_id))


def get(client: Client, project_id: str, webhook_id: str, *, mailbox: str | None = None) -> Json:
    """GET /mailboxes/v1/{mailbox}/webhooks/{webhook} -> {webhook_id, url, events, created_at}."""
    path = _path(client, project_id, mailbox, webhook_id)
    return client.request("GET", path, context="reading the webhook", auth=client.service_key(project_id))


def register(client: Client, project_id: str, *, url: str, events: list[str], mailbox: str | None = None) -> Json:
    """POST /mailboxes/v1/{mailbox}/webhooks {url, events} -> the webhook."""
    path = _path(client, project_id, mailbox)
    auth = client.service_key(project_id)
    body = {"url": url, "events": events}
    return client.request("POST", path, context="registering the webhook", auth=auth, body=body, reveals=True)


def update(
    client: Client, project_id: str, webhook_id: str, changes: dict[str, Json], *, mailbox: str | None = None
) -> Json:
    """PATCH /mailboxes/v1/{mailbox}/webhooks/{webhook} {url?, events?} -> the webhook; `events` replaces all of them."""
    path = _path(client, project_id, mailbox, webhook_id)
    auth = client.service_key(project_id)
    return client.request("PATCH", path, context="changing the webhook", auth=auth, body=changes)


def delete(client: Client, project_id: str, webhook_id: str, *, mailbox: str | None = None) -> dict[str, Json]:
    """DELETE /mailboxes/v1/{mailbox}/webhooks/{webhook} -> {webhook_id, project_id, deleted}. Doing it twice is fine."""
    path = _path(client, project_id, mailbox, webhook_id)
    client.request("DELETE", path, context="deleting the webhook", auth=client.service_key(project_id))
    return {"webhook_id": webhook_id, "project_id": project_id, "deleted": True}


def deliveries(
    client: Client,
    project_id: str,
    *,
    mailbox: str | None = None,
    status: str | None = None,
    limit: str | None = None,
    after: str | None = None,
) -> Json:
    """GET /mailboxes/v1/{mailbox}/webhooks/deliveries[?status&limit&after].

    Returns {deliveries: [{delivery_id, webhook_id, event_type, status, attempts, last_status, last_error, next_attempt_at,
    delivered_at, created_at}], has_more, next_cursor}. failed_permanent ones wait for `redrive`. Raises ValidationError
    LOCAL_ERROR for an unknown status and a limit that is not a positive whole number.
    """
    if status is not None:
        listed("status", status, STATUSES)
    if limit is not None and not (limit.isascii() and limit.isdigit() and 0 < int(limit[:17]) <= 2**53 - 1):
        raise refused("limit", f"--limit takes a positive whole number, not {limit[:40]!r}.")
    path = _path(client, project_id, mailbox, "deliveries")
    query = with_query(path, status=status, limit=limit, after=after)
    return client.request("GET", query, context="listing deliveries", auth=client.service_key(project_id))


def redrive(client: Client, project_id: str, delivery_id: str, *, mailbox: str | None = None) -> Json:
    """POST /mailboxes/v1/{mailbox}/webhooks/deliveries/{delivery}/redrive -> {status: requeued, delivery}."""
    path = _path(client, project_id, mailbox, "deliveries", delivery_id, "redrive")
    return client.request("POST", path, context="queueing the delivery again", auth=client.service_key(project_id))
