"""The tables of mailbox webhooks and of their deliveries."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from run402_cli.core.db import IN_PROGRESS, Connection, check_cursor
from run402_cli.core.errors import GatewayError
from run402_cli.core.mail.mailbox_rows import Mailbox
from run402_cli.core.slots import Slots

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

Row = dict[str, Any]


async def insert(conn: Connection, mailbox: Mailbox, url: str, events: list[str]) -> Row:
    webhook_id = f"wh_{secrets.token_hex(12)}"
    await conn.execute(
        "INSERT INTO internal.core_mailbox_webhooks (webhook_id, project_id, mailbox_id, url, events)"
        " VALUES (%s, %s, %s, %s, %s)",
        (webhook_id, mailbox.project_id, mailbox.mailbox_id, url, events),
    )
    return await fetch(conn, mailbox, webhook_id)


async def of_mailbox(conn: Connection, mailbox: Mailbox, webhook_id: str | None = None) -> list[Row]:
    """The webhooks of a mailbox, oldest first, or only the one of an id."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT * FROM internal.core_mailbox_webhooks WHERE mailbox_id = %(mailbox)s"
            " AND (%(id)s::text IS NULL OR webhook_id = %(id)s) ORDER BY created_at, webhook_id",
            {"mailbox": mailbox.mailbox_id, "id": webhook_id},
        )
        return await cursor.fetchall()


async def fetch(conn: Connection, mailbox: Mailbox, webhook_id: str) -> Row:
    """The webhook, or 404 WEBHOOK_NOT_FOUND."""
    rows = await of_mailbox(conn, mailbox, webhook_id.replace("\0", ""))
    if not rows:
        raise GatewayError(
            404,
            "webhook_not_found",
            f"This mailbox has no webhook {webhook_id}. `run402 email webhooks list` shows what it has.",
        )
    return rows[0]


async def change(conn: Connection, webhook_id: str, url: str, events: list[str]) -> None:
    await conn.execute(
        "UPDATE internal.core_mailbox_webhooks SET url = %s, events = %s, updated_at = now() WHERE webhook_id = %s",
        (url, events, webhook_id),
    )


async def delete(conn: Connection, mailbox: Mailbox, webhook_id: str) -> None:
    """Nothing when there is no such webhook."""
    query = "DELETE FROM internal.core_mailbox_webhooks WHERE mailbox_id = %s AND webhook_id = %s"
    await conn.execute(query, (mailbox.mailbox_id, webhook_id))


async def add_deliveries(conn: Connection, mailbox: Mailbox, event: str, facts: dict[str, Any]) -> None:
    """One for each webhook of the mailbox that wants the event; `facts` is what it is told. Inside a transaction."""
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


async def claim(conn: Connection, lease: timedelta, ours: Slots) -> Row | None:
    """A delivery that is due, for one attempt; after `lease` it is due again, whatever became of that.

    Of a project with room in `ours`, and of a webhook to which nothing is being delivered: they come in order.
    """
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "UPDATE internal.core_webhook_deliveries SET status = 'in_flight', attempts = attempts + 1,"
            " next_attempt_at = now() + %(lease)s, updated_at = now() WHERE delivery_id = (SELECT delivery_id"
            " FROM internal.core_webhook_deliveries d WHERE status IN ('pending', 'in_flight')"
            f" AND next_attempt_at <= now() AND {IN_PROGRESS} < %(share)s AND NOT delivery_id = ANY(%(ours)s)"
            " AND NOT EXISTS (SELECT 1 FROM internal.core_webhook_deliveries o WHERE o.webhook_id = d.webhook_id"
            " AND o.status = 'in_flight' AND o.next_attempt_at > now())"
            f" ORDER BY {IN_PROGRESS}, next_attempt_at LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING *",
            {"lease": lease, "busy": Jsonb(ours.busy), "share": ours.share, "ours": ours.keys},
        )
        return await cursor.fetchone()


async def note_attempt(
    conn: Connection,
    delivery_id: str,
    *,
    status: str,
    answer: int | None,
    error: str | None,
    again_at: datetime | None,
    delivered_at: datetime | None,
    now: datetime,
) -> None:
    await conn.execute(
        "UPDATE internal.core_webhook_deliveries SET status = %s, last_status = %s, last_error = %s,"
        " next_attempt_at = %s, delivered_at = %s, updated_at = %s WHERE delivery_id = %s",
        (status, answer, error, again_at, delivered_at, now, delivery_id),
    )


async def seconds_until_next(conn: Connection) -> float | None:
    """Until the next delivery is due, below 0 when one is overdue; None when none waits."""
    cursor = await conn.execute(
        "SELECT extract(epoch FROM min(next_attempt_at) - now())::float FROM internal.core_webhook_deliveries"
        " WHERE status IN ('pending', 'in_flight')"
    )
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def deliveries(
    conn: Connection, mailbox: Mailbox, *, status: str | None, after: str | None, limit: int
) -> list[Row]:
    """The deliveries of a mailbox, newest first, beyond the delivery `after`."""
    if after is not None:
        key = {"delivery_id": after, "mailbox_id": mailbox.mailbox_id}
        await check_cursor(conn, "after", after, "core_webhook_deliveries", **key)
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT * FROM internal.core_webhook_deliveries WHERE mailbox_id = %(mailbox)s"
            " AND (%(status)s::text IS NULL OR status = %(status)s)"
            " AND (%(after)s::text IS NULL OR (created_at, delivery_id) < (SELECT created_at, delivery_id"
            " FROM internal.core_webhook_deliveries WHERE delivery_id = %(after)s))"
            " ORDER BY created_at DESC, delivery_id DESC LIMIT %(limit)s",
            {"mailbox": mailbox.mailbox_id, "status": status, "after": after, "limit": limit},
        )
        return await cursor.fetchall()


async def redrive(conn: Connection, mailbox: Mailbox, delivery_id: str) -> Row:
    """A delivery that was given up, due now. 404 webhook_delivery_not_found, 409 webhook_delivery_not_failed."""
    delivery_id = delivery_id.replace("\0", "")
    async with conn.cursor(row_factory=dict_row) as cursor:
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
    return row


def _not_redriven(delivery_id: str, found: Row | None) -> GatewayError:
    if found is None:
        return GatewayError(
            404,
            "webhook_delivery_not_found",
            f"This mailbox has no delivery {delivery_id}. `run402 email webhooks deliveries` shows what it has.",
        )
    return GatewayError(
        409,
        "webhook_delivery_not_failed",
        f"{delivery_id} is {found['status']}; only a delivery that was given up (failed_permanent) can be sent again.",
    )
