"""The table of messages: what was sent from a project, and what its mailboxes received."""

from __future__ import annotations

import secrets
import time
from datetime import datetime
from typing import Any, NamedTuple

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from run402_cli.core.db import Connection, check_cursor
from run402_cli.core.errors import GatewayError

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

_COLUMNS = (
    "message_id, project_id, mailbox_id, direction, from_address, to_address, subject, body_html, body_text, template,"
    " variables, status, delivery_state, provider_message_id, in_reply_to_message_id, attachments_meta, created_at,"
    " updated_at, sent_at, received_at"
)
Row = dict[str, Any]


def new_id() -> str:
    return f"msg_{time.time_ns() // 1_000_000}_{secrets.token_hex(8)}"


async def insert(conn: Connection, row: Row, raw: bytes) -> None:
    """`raw` is the message as on the wire."""
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


async def fetch(conn: Connection, mailbox_id: str, message_id: str) -> Row:
    """A message of the mailbox, or 404 message_not_found."""
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
        )
    return row


async def by_wire_id(conn: Connection, mailbox_id: str, wire_id: str) -> str | None:
    """The id of the message that was sent from a mailbox under a Message-ID."""
    cursor = await conn.execute(
        "SELECT message_id FROM internal.core_email_messages WHERE mailbox_id = %s AND provider_message_id = %s"
        " AND direction = 'outbound'",
        (mailbox_id, wire_id),
    )
    row = await cursor.fetchone()
    return row[0] if row else None


async def page(
    conn: Connection, column: str, value: str, *, direction: str | None, after: str | None, limit: int
) -> list[Row]:
    """Messages whose `column` (mailbox_id, project_id) has a value, newest first, beyond the message `after`."""
    if after is not None:
        await check_cursor(conn, "after", after, "core_email_messages", message_id=after, **{column: value})
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            f"SELECT {_COLUMNS} FROM internal.core_email_messages WHERE {column} = %(value)s"
            " AND (%(direction)s::text IS NULL OR direction = %(direction)s)"
            " AND (%(after)s::text IS NULL OR (created_at, message_id) < (SELECT created_at, message_id"
            f" FROM internal.core_email_messages WHERE message_id = %(after)s AND {column} = %(value)s))"
            " ORDER BY created_at DESC, message_id DESC LIMIT %(limit)s".encode(),
            {"value": value, "direction": direction, "after": after, "limit": limit},
        )
        return await cursor.fetchall()


class Reply(NamedTuple):
    message_id: str
    sender: str
    text: str
    received_at: datetime


async def replies(conn: Connection, mailbox_id: str, message_id: str) -> list[Reply]:
    """What a mailbox received as answers to one of its messages, oldest first."""
    cursor = await conn.execute(
        "SELECT message_id, from_address, body_text, received_at FROM internal.core_email_messages"
        " WHERE mailbox_id = %s AND in_reply_to_message_id = %s AND direction = 'inbound' ORDER BY created_at",
        (mailbox_id, message_id),
    )
    return [Reply(*row) for row in await cursor.fetchall()]


async def raw_of(conn: Connection, message_id: str) -> bytes:
    query = "SELECT raw FROM internal.core_email_messages WHERE message_id = %s"
    found: Any = await (await conn.execute(query, (message_id,))).fetchone()
    return bytes(found[0])


async def sent_lately(conn: Connection, mailbox_id: str) -> int:
    """How many messages a mailbox sent within the last minute."""
    cursor = await conn.execute(
        "SELECT count(*) FROM internal.core_email_messages WHERE mailbox_id = %s AND direction = 'outbound'"
        " AND created_at > now() - interval '60 seconds'",
        (mailbox_id,),
    )
    row: Any = await cursor.fetchone()
    return int(row[0])


async def sent_counts(conn: Connection, mailbox_id: str) -> tuple[int, int]:
    """(messages sent since midnight UTC, different recipients of all time) of a mailbox."""
    cursor = await conn.execute(
        "SELECT count(*) FILTER (WHERE created_at >= date_trunc('day', now(), 'UTC')), count(DISTINCT lower(to_address))"
        " FROM internal.core_email_messages WHERE mailbox_id = %s AND direction = 'outbound'",
        (mailbox_id,),
    )
    row: Any = await cursor.fetchone()
    return row[0], row[1]


async def forget_sign_in_mails(conn: Connection, project_id: str, days: int) -> None:
    """Those that no mailbox sent and that are older than so many days."""
    await conn.execute(
        "DELETE FROM internal.core_email_messages WHERE project_id = %s AND mailbox_id IS NULL"
        " AND created_at < now() - make_interval(days => %s)",
        (project_id, days),
    )


async def of_all_projects(conn: Connection, *, to: str | None, direction: str | None, limit: int) -> list[Row]:
    """The newest messages of this gateway, each with the id and the name of its project."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT m.message_id, m.direction, m.from_address, m.to_address, m.subject, m.created_at, m.body_text,"
            " m.body_html, p.project_id, p.name"
            " FROM internal.core_email_messages m JOIN internal.core_projects p USING (project_id)"
            " WHERE (%(to)s::text IS NULL OR lower(m.to_address) = lower(%(to)s))"
            " AND (%(direction)s::text IS NULL OR m.direction = %(direction)s)"
            " ORDER BY m.created_at DESC, m.message_id DESC LIMIT %(limit)s",
            {"to": to, "direction": direction, "limit": limit},
        )
        return await cursor.fetchall()


async def find(conn: Connection, message_id: str) -> Row | None:
    """A message of any project."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            f"SELECT {_COLUMNS} FROM internal.core_email_messages WHERE message_id = %s".encode(),
            (message_id.replace("\0", ""),),
        )
        return await cursor.fetchone()
