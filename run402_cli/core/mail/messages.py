"""Messages: sent into the outbox, received from other mailboxes of this gateway. See docs/local-gateway-users.md, "Mail"."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import gateway_of
from run402_cli.core.mail import webhooks
from run402_cli.core.mail.letters import Letter, letter_of, raw_message
from run402_cli.core.mail.mailboxes import PROVIDER, Mailbox, at_address, domain_of, limit_of, mailbox_of, sender_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.web.http import read_object, reply
from run402_cli.core.web.instants import iso

DDL = """
CREATE TABLE IF NOT EXISTS internal.core_email_messages (
  message_id text PRIMARY KEY,
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  mailbox_id text REFERENCES internal.core_mailboxes ON DELETE CASCADE,
  direction text NOT NULL,
  from_address text NOT NULL,
  to_address text NOT NULL,
  subject text NOT NULL,
  body_html text NOT NULL,
  body_text text NOT NULL,
  template text,
  variables jsonb NOT NULL,
  status text NOT NULL,
  delivery_state text NOT NULL,
  provider_message_id text NOT NULL,
  in_reply_to_message_id text,
  attachments_meta jsonb,
  raw bytea NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  sent_at timestamptz,
  received_at timestamptz
);
CREATE INDEX IF NOT EXISTS core_email_messages_mailbox ON internal.core_email_messages (mailbox_id, created_at);
CREATE INDEX IF NOT EXISTS core_email_messages_project ON internal.core_email_messages (project_id, created_at);
"""

SENDS_PER_MINUTE = 60
DEFAULT_LIMIT, MAX_LIMIT = 50, 200
KEPT_DAYS = 30
_COLUMNS = (
    "message_id, project_id, mailbox_id, direction, from_address, to_address, subject, body_html, body_text, template,"
    " variables, status, delivery_state, provider_message_id, in_reply_to_message_id, attachments_meta, created_at,"
    " updated_at, sent_at, received_at"
)
Row = dict[str, Any]


def view(row: Mapping[str, Any]) -> Row:
    """A message as the API shows it; `from` and `body` only for received ones."""
    shown = {
        "id": row["message_id"],
        "message_id": row["message_id"],
        "mailbox_id": row["mailbox_id"],
        "direction": row["direction"],
        "from_address": row["from_address"],
        "to": row["to_address"],
        "subject": row["subject"],
        "body_html": row["body_html"],
        "body_text": row["body_text"],
        "template": row["template"],
        "variables": row["variables"],
        "status": row["status"],
        "delivery_state": row["delivery_state"],
        "provider": PROVIDER,
        "provider_message_id": row["provider_message_id"],
        "attachments_meta": row["attachments_meta"],
        "in_reply_to_message_id": row["in_reply_to_message_id"],
        **{name: iso(row[name]) for name in ("created_at", "updated_at", "sent_at", "received_at")},
    }
    return shown | ({"from": row["from_address"]} if row["direction"] == "inbound" else {})


async def post(conn: Connection, project: Project, mailbox: Mailbox, letter: Letter) -> Row:
    """Send a letter from a mailbox: into the outbox, and to the mailbox that it is addressed to. Inside a transaction."""
    if mailbox.footer_policy == "run402_transparency":
        letter = letter.with_footer()
    answered = await _find(conn, mailbox.mailbox_id, letter.in_reply_to) if letter.in_reply_to else None
    row, raw = await _write(conn, project, mailbox.mailbox_id, mailbox.address, letter, answered)
    await webhooks.announce(conn, mailbox, "delivery", _facts(row))
    receiver = await at_address(conn, letter.to)
    if receiver is not None:
        await receive(conn, receiver, row, raw, answered["provider_message_id"] if answered else None)
    return row


async def post_for_auth(conn: Connection, project: Project, letter: Letter) -> None:
    """Send a sign-in mail from the project's auth sender, or from an address that takes no answers. Inside a transaction."""
    mailbox_id, address = await sender_of(conn, project)
    await conn.execute(
        "DELETE FROM internal.core_email_messages WHERE project_id = %s AND mailbox_id IS NULL"
        " AND created_at < now() - make_interval(days => %s)",
        (project.project_id, KEPT_DAYS),
    )
    row, raw = await _write(conn, project, mailbox_id, address, letter, None)
    receiver = await at_address(conn, letter.to)
    if receiver is not None:
        await receive(conn, receiver, row, raw, None)


async def _write(
    conn: Connection, project: Project, mailbox_id: str | None, sender: str, letter: Letter, answered: Row | None
) -> tuple[Row, bytes]:
    now = datetime.now(UTC)
    message_id = new_message_id()
    wire_id = f"<{message_id}@{domain_of(project)}>"
    raw = raw_message(
        letter,
        sender=sender,
        message_id=wire_id,
        in_reply_to=answered["provider_message_id"] if answered else None,
        moment=now,
    )
    row = {
        "message_id": message_id,
        "project_id": project.project_id,
        "mailbox_id": mailbox_id,
        "direction": "outbound",
        "from_address": sender,
        "to_address": letter.to,
        "subject": letter.subject,
        "body_html": letter.html,
        "body_text": letter.text,
        "template": letter.template,
        "variables": dict(letter.variables),
        "status": "sent",
        "delivery_state": "delivered",
        "provider_message_id": wire_id,
        "in_reply_to_message_id": letter.in_reply_to,
        "attachments_meta": [part.meta() for part in letter.attachments] or None,
        "created_at": now,
        "updated_at": now,
        "sent_at": now,
        "received_at": None,
    }
    await _insert(conn, row, raw)
    return row, raw


async def receive(conn: Connection, mailbox: Mailbox, sent: Row, raw: bytes, answers: str | None) -> Row:
    """Put a sent message into a mailbox of this gateway, and tell its webhooks and functions. Inside a transaction.

    `answers` is the Message-ID that it replies to.
    """
    now = datetime.now(UTC)
    original = await _by_wire_id(conn, mailbox.mailbox_id, answers) if answers else None
    row = {
        **sent,
        "message_id": new_message_id(),
        "project_id": mailbox.project_id,
        "mailbox_id": mailbox.mailbox_id,
        "direction": "inbound",
        "template": None,
        "variables": {},
        "status": "received",
        "delivery_state": "received",
        "in_reply_to_message_id": original,
        "created_at": now,
        "updated_at": now,
        "sent_at": None,
        "received_at": now,
    }
    await _insert(conn, row, raw)
    await webhooks.announce(conn, mailbox, "reply_received", _facts(row))
    return row


async def _insert(conn: Connection, row: Row, raw: bytes) -> None:
    values = {
        **row,
        "variables": Jsonb(row["variables"]),
        "attachments_meta": Jsonb(row["attachments_meta"]) if row["attachments_meta"] else None,
        "raw": raw,
    }
    places = ", ".join(f"%({name.strip()})s" for name in _COLUMNS.split(","))
    await conn.execute(
        f"INSERT INTO internal.core_email_messages ({_COLUMNS}, raw) VALUES ({places}, %(raw)s)".encode(), values
    )


def new_message_id() -> str:
    return f"msg_{time.time_ns() // 1_000_000}_{secrets.token_hex(8)}"


def _facts(row: Row) -> Row:
    """What webhooks and functions learn about a message: not its text, which they read when they need it."""
    names = ("message_id", "mailbox_id", "direction", "from_address", "subject", "in_reply_to_message_id")
    return {**{name: row[name] for name in names}, "to": row["to_address"], "created_at": iso(row["created_at"])}


async def _by_wire_id(conn: Connection, mailbox_id: str, wire_id: str) -> str | None:
    cursor = await conn.execute(
        "SELECT message_id FROM internal.core_email_messages WHERE mailbox_id = %s AND provider_message_id = %s"
        " AND direction = 'outbound'",
        (mailbox_id, wire_id),
    )
    row = await cursor.fetchone()
    return row[0] if row else None


async def _find(conn: Connection, mailbox_id: str, message_id: str) -> Row:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            f"SELECT {_COLUMNS} FROM internal.core_email_messages WHERE mailbox_id = %s AND message_id = %s".encode(),
            (mailbox_id, message_id.replace("\0", "")),
        )
        row = await cursor.fetchone()
    if row is None:
        raise GatewayError(
            404,
            "message_not_found",
            f"This mailbox has no message {message_id}. `run402 email list` shows what it has.",
            code="MESSAGE_NOT_FOUND",
        )
    return row


async def send_message(request: Request) -> Response:
    """POST /mailboxes/v1/{mailbox_id}/messages (service key): 201 the message, which is in the outbox and goes nowhere else.

    `{to, subject, html, text?, attachments?, from_name?, in_reply_to?}` or `{to, template, variables, from_name?}`.
    400 invalid_request; 404 message_not_found; 429 mailbox_send_rate_limited (60 a minute).
    """
    gateway = gateway_of(request)
    body = await read_object(request)
    async with gateway.connection() as conn, conn.transaction():
        project, mailbox = await mailbox_of(conn, request)
        letter = letter_of(body)
        await _check_rate(conn, mailbox)
        row = await post(conn, project, mailbox, letter)
    gateway.mail.wake()
    return reply(view(row), 201)


async def _check_rate(conn: Connection, mailbox: Mailbox) -> None:
    cursor = await conn.execute(
        "SELECT count(*) FROM internal.core_email_messages WHERE mailbox_id = %s AND direction = 'outbound'"
        " AND created_at > now() - interval '60 seconds'",
        (mailbox.mailbox_id,),
    )
    row = await cursor.fetchone()
    if row is not None and row[0] >= SENDS_PER_MINUTE:
        raise GatewayError(
            429,
            "mailbox_send_rate_limited",
            f"{mailbox.slug} sent {SENDS_PER_MINUTE} messages within a minute. Send the next one in a minute.",
            code="MAILBOX_SEND_RATE_LIMITED",
            retryable=True,
            retry_after_seconds=60,
        )


async def list_messages(request: Request) -> Response:
    """GET /mailboxes/v1/{mailbox_id}/messages?direction&limit&after (service key): `{messages, has_more, next_cursor}`.

    Newest first; `after` is the id of the last message seen, `limit` at most 200. 400 invalid_request.
    """
    async with gateway_of(request).connection() as conn:
        _, mailbox = await mailbox_of(conn, request)
        direction = request.query_params.get("direction")
        if direction not in (None, "inbound", "outbound"):
            raise GatewayError(400, "invalid_request", "`direction` must be inbound or outbound.", field="direction")
        return reply(await page(conn, request, "mailbox_id", mailbox.mailbox_id, direction))


async def page(conn: Connection, request: Request, column: str, value: str, direction: str | None) -> Row:
    """One page of messages, newest first, as the query's `limit` and `after` say."""
    limit = limit_of(request, DEFAULT_LIMIT, MAX_LIMIT)
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            f"SELECT {_COLUMNS} FROM internal.core_email_messages WHERE {column} = %(value)s"
            " AND (%(direction)s::text IS NULL OR direction = %(direction)s)"
            " AND (%(after)s::text IS NULL OR (created_at, message_id) < (SELECT created_at, message_id"
            f" FROM internal.core_email_messages WHERE message_id = %(after)s AND {column} = %(value)s))"
            " ORDER BY created_at DESC, message_id DESC LIMIT %(limit)s".encode(),
            {
                "value": value,
                "direction": direction,
                "after": _cursor_of(request),
                "limit": limit + 1,
            },
        )
        rows = await cursor.fetchall()
    shown, more = rows[:limit], len(rows) > limit
    last = shown[-1]["message_id"] if more else None
    return {"messages": [view(row) for row in shown], "has_more": more, "next_cursor": last}


def _cursor_of(request: Request) -> str | None:
    after = request.query_params.get("after")
    return after.replace("\0", "") if after else None


async def get_message(request: Request) -> Response:
    """GET /mailboxes/v1/{mailbox_id}/messages/{message_id} (service key): the message, with `replies`."""
    async with gateway_of(request).connection() as conn:
        _, mailbox = await mailbox_of(conn, request)
        row = await _find(conn, mailbox.mailbox_id, request.path_params["message_id"])
        cursor = await conn.execute(
            "SELECT message_id, from_address, body_text, received_at FROM internal.core_email_messages"
            " WHERE mailbox_id = %s AND in_reply_to_message_id = %s AND direction = 'inbound' ORDER BY created_at",
            (mailbox.mailbox_id, row["message_id"]),
        )
        replies = [
            {"id": found[0], "from": found[1], "body": found[2], "received_at": iso(found[3])}
            for found in await cursor.fetchall()
        ]
    return reply({**view(row), "replies": replies})


async def get_raw(request: Request) -> Response:
    """GET /mailboxes/v1/{mailbox_id}/messages/{message_id}/raw (service key): message/rfc822 bytes of a received message.

    404 message_not_found, raw_message_not_found for a sent one.
    """
    async with gateway_of(request).connection() as conn:
        _, mailbox = await mailbox_of(conn, request)
        row = await _find(conn, mailbox.mailbox_id, request.path_params["message_id"])
        if row["direction"] != "inbound":
            raise GatewayError(
                404,
                "raw_message_not_found",
                f"{row['message_id']} was sent, and only received messages have raw bytes.",
                code="RAW_MESSAGE_NOT_FOUND",
            )
        query = "SELECT raw FROM internal.core_email_messages WHERE message_id = %s"
        found: Any = await (await conn.execute(query, (row["message_id"],))).fetchone()
    return Response(found[0], media_type="message/rfc822")


ROUTES = [
    Route("/mailboxes/v1/{mailbox_id}/messages", send_message, methods=["POST"]),
    Route("/mailboxes/v1/{mailbox_id}/messages", list_messages, methods=["GET"]),
    Route("/mailboxes/v1/{mailbox_id}/messages/{message_id}", get_message, methods=["GET"]),
    Route("/mailboxes/v1/{mailbox_id}/messages/{message_id}/raw", get_raw, methods=["GET"]),
]
