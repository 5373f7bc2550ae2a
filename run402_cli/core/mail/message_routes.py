"""/mailboxes/v1/{mailbox_id}/messages: send, list, read. See docs/local-gateway-users.md, "Mail"."""

from __future__ import annotations

import functools

from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError, bad_field
from run402_cli.core.gateway import gateway_of
from run402_cli.core.mail import message_rows, messages
from run402_cli.core.mail.callers import MAILBOX_OWNER, MailboxOwner
from run402_cli.core.mail.letters import letter_of
from run402_cli.core.mail.mailbox_rows import Mailbox
from run402_cli.core.mail.paging import messages_page
from run402_cli.core.web.body_limit import MIB
from run402_cli.core.web.http import read_object, reply
from run402_cli.core.web.instants import iso
from run402_cli.core.web.routing import Route, admitted

SENDS_PER_MINUTE = 60


async def send_message(request: Request) -> Response:
    """POST /mailboxes/v1/{mailbox_id}/messages (service key): 201 the message, which is in the outbox and goes nowhere else.

    `{to, subject, html, text?, attachments?, from_name?, in_reply_to?}` or `{to, template, variables, from_name?}`.
    400 invalid_request; 404 message_not_found; 429 mailbox_send_rate_limited (60 a minute).
    """
    gateway = gateway_of(request)
    owner = admitted(request, MailboxOwner)
    body = await read_object(request)
    length = len(await request.body())
    letter = await gateway.aside.run(owner.project.project_id, length, functools.partial(letter_of, body))
    async with gateway.connection() as conn, conn.transaction():
        await _check_rate(conn, owner.mailbox)
        row = await messages.post(conn, owner.project, owner.mailbox, letter)
    gateway.mail.wake()
    return reply(messages.view(row), 201)


async def _check_rate(conn: Connection, mailbox: Mailbox) -> None:
    if await message_rows.sent_lately(conn, mailbox.mailbox_id) >= SENDS_PER_MINUTE:
        raise GatewayError(
            429,
            "mailbox_send_rate_limited",
            f"{mailbox.slug} sent {SENDS_PER_MINUTE} messages within a minute. Send the next one in a minute.",
            retryable=True,
            retry_after_seconds=60,
        )


async def list_messages(request: Request) -> Response:
    """GET /mailboxes/v1/{mailbox_id}/messages?direction&limit&after (service key): `{messages, has_more, next_cursor}`.

    Newest first; `after` is the id of the last message seen, `limit` at most 200. 400 invalid_request.
    """
    mailbox = admitted(request, MailboxOwner).mailbox
    direction = request.query_params.get("direction")
    if direction not in (None, "inbound", "outbound"):
        raise bad_field("direction", "inbound or outbound")
    await gateway_of(request).afterwards.settled()
    async with gateway_of(request).connection() as conn:
        return reply(await messages_page(conn, request, "mailbox_id", mailbox.mailbox_id, direction))


async def get_message(request: Request) -> Response:
    """GET /mailboxes/v1/{mailbox_id}/messages/{message_id} (service key): the message, with `replies`."""
    mailbox = admitted(request, MailboxOwner).mailbox
    async with gateway_of(request).connection() as conn:
        row = await message_rows.fetch(conn, mailbox.mailbox_id, request.path_params["message_id"])
        found = await message_rows.replies(conn, mailbox.mailbox_id, row["message_id"])
    replies = [
        {"id": answer.message_id, "from": answer.sender, "body": answer.text, "received_at": iso(answer.received_at)}
        for answer in found
    ]
    return reply({**messages.view(row), "replies": replies})


async def get_raw(request: Request) -> Response:
    """GET /mailboxes/v1/{mailbox_id}/messages/{message_id}/raw (service key): message/rfc822 bytes of a received message.

    404 message_not_found, raw_message_not_found for a sent one.
    """
    mailbox = admitted(request, MailboxOwner).mailbox
    async with gateway_of(request).connection() as conn:
        row = await message_rows.fetch(conn, mailbox.mailbox_id, request.path_params["message_id"])
        if row["direction"] != "inbound":
            raise GatewayError(
                404,
                "raw_message_not_found",
                f"{row['message_id']} was sent, and only received messages have raw bytes.",
            )
        raw = await message_rows.raw_of(conn, row["message_id"])
    return Response(raw, media_type="message/rfc822")


ROUTES = [
    Route("/mailboxes/v1/{mailbox_id}/messages", send_message, methods=["POST"], who=MAILBOX_OWNER, body=16 * MIB),
    Route("/mailboxes/v1/{mailbox_id}/messages", list_messages, methods=["GET"], who=MAILBOX_OWNER),
    Route("/mailboxes/v1/{mailbox_id}/messages/{message_id}", get_message, methods=["GET"], who=MAILBOX_OWNER),
    Route("/mailboxes/v1/{mailbox_id}/messages/{message_id}/raw", get_raw, methods=["GET"], who=MAILBOX_OWNER),
]
