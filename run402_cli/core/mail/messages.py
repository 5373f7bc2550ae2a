"""Messages: sent into the outbox, received from other mailboxes of this gateway. See docs/local-gateway-users.md, "Mail"."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from run402_cli.core.db import Connection
from run402_cli.core.mail import mailbox_rows, message_rows, webhooks
from run402_cli.core.mail.letters import Letter, raw_message
from run402_cli.core.mail.mailbox_rows import Mailbox
from run402_cli.core.mail.message_rows import Row
from run402_cli.core.projects.rows import Project
from run402_cli.core.web.instants import iso

PROVIDER = "outbox"
KEPT_DAYS = 30


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
    answered = await message_rows.fetch(conn, mailbox.mailbox_id, letter.in_reply_to) if letter.in_reply_to else None
    row, raw = await _write(conn, project, mailbox.mailbox_id, mailbox.address, letter, answered)
    await webhooks.announce(conn, mailbox, "delivery", _facts(row))
    receiver = await mailbox_rows.at_address(conn, letter.to)
    if receiver is not None:
        await receive(conn, receiver, row, raw, answered["provider_message_id"] if answered else None)
    return row


async def post_for_auth(conn: Connection, project: Project, letter: Letter) -> None:
    """Send a sign-in mail from the project's auth sender, or from an address that takes no answers. Inside a transaction."""
    mailbox_id, address = await mailbox_rows.sender_of(conn, project)
    await message_rows.forget_sign_in_mails(conn, project.project_id, KEPT_DAYS)
    row, raw = await _write(conn, project, mailbox_id, address, letter, None)
    receiver = await mailbox_rows.at_address(conn, letter.to)
    if receiver is not None:
        await receive(conn, receiver, row, raw, None)


async def _write(
    conn: Connection, project: Project, mailbox_id: str | None, sender: str, letter: Letter, answered: Row | None
) -> tuple[Row, bytes]:
    now = datetime.now(UTC)
    message_id = message_rows.new_id()
    wire_id = f"<{message_id}@{mailbox_rows.domain_of(project)}>"
    raw = await asyncio.to_thread(
        raw_message,
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
    await message_rows.insert(conn, row, raw)
    return row, raw


async def receive(conn: Connection, mailbox: Mailbox, sent: Row, raw: bytes, answers: str | None) -> Row:
    """Put a sent message into a mailbox of this gateway, and tell its webhooks and functions. Inside a transaction.

    `answers` is the Message-ID that it replies to.
    """
    now = datetime.now(UTC)
    original = await message_rows.by_wire_id(conn, mailbox.mailbox_id, answers) if answers else None
    row = {
        **sent,
        "message_id": message_rows.new_id(),
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
    await message_rows.insert(conn, row, raw)
    await webhooks.announce(conn, mailbox, "reply_received", _facts(row))
    return row


def _facts(row: Row) -> Row:
    """What webhooks and functions learn about a message: not its text, which they read when they need it."""
    names = ("message_id", "mailbox_id", "direction", "from_address", "subject", "in_reply_to_message_id")
    return {**{name: row[name] for name in names}, "to": row["to_address"], "created_at": iso(row["created_at"])}
