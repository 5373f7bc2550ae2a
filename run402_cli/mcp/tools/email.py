"""Mailboxes, messages and e-mail webhooks; translation and moderation."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from run402_cli.errors import CommandError, ValidationError
from run402_cli.mcp._tool import DESTRUCTIVE, PROJECT, READ, WRITE, Call, Tool, may, need, tool
from run402_cli.services import ai, email, email_mailboxes, email_webhooks

_MAILBOX = may("mailbox")
_MESSAGE = need("message_id")
_WEBHOOK = need("webhook_id")
_EVENTS = "delivery, bounced, complained, reply_received, mailbox_suspended"
_ROLES = ("default_outbound_mailbox_id", "auth_sender_mailbox_id")
_MAX_ATTACHMENTS = 5
_MAX_ATTACHED_BYTES = 7_000_000


def _defaults(call: Call) -> Any:
    roles = {key: (key, selector) for key, selector in call.given(*_ROLES).items()}
    if not roles:
        raise ValidationError(f"Nothing is to be changed. Give {' or '.join(_ROLES)}.", reason="NOTHING_TO_CHANGE")
    return email_mailboxes.set_defaults(call.client, call.project, roles)


def _delete_mailbox(call: Call) -> Any:
    if call["confirm"] is not True:
        raise CommandError(
            "Deleting a mailbox deletes its messages and webhooks.",
            code="CONFIRMATION_REQUIRED",
            hint="Pass confirm: true to go on.",
        )
    return email_mailboxes.delete(call.client, call.project, call["mailbox_id"])


def _send(call: Call) -> Any:
    attachments = call["attachments"] or []
    _check_attachments(attachments)
    body = email.message(
        to=call["to"],
        attachments=attachments,
        **call.given("template", "variables", "subject", "html", "text", "from_name"),
    )
    if call["in_reply_to"] is not None:
        body["in_reply_to"] = call["in_reply_to"]
    return email.send(call.client, call.project, body, mailbox=call["mailbox"])


def _check_attachments(attachments: list[dict[str, str]]) -> None:
    if len(attachments) > _MAX_ATTACHMENTS:
        raise ValidationError(
            f"{len(attachments)} attachments are more than {_MAX_ATTACHMENTS}.", reason="TOO_MANY_ATTACHMENTS"
        )
    size = 0
    for entry in attachments:
        try:
            size += len(base64.b64decode(entry["content_base64"], validate=True))
        except (binascii.Error, ValueError) as exc:
            raise ValidationError(
                f"content_base64 of {entry['filename']!r} is not base64.", details={"field": "attachments"}
            ) from exc
    if size > _MAX_ATTACHED_BYTES:
        raise ValidationError(
            f"The attachments have {size} bytes together; {_MAX_ATTACHED_BYTES} are allowed.",
            reason="ATTACHMENTS_TOO_LARGE",
        )


def _raw(call: Call) -> dict[str, Any]:
    data = email.raw(call.client, call.project, call["message_id"], mailbox=call["mailbox"])
    return {
        "message_id": call["message_id"],
        "bytes": len(data),
        "content_base64": base64.b64encode(data).decode(),
    }


def _https(url: str) -> str:
    if not url.lower().startswith("https://"):
        raise ValidationError("url must be an https address.", code="BAD_WEBHOOK_URL", details={"field": "url"})
    return url


def _register(call: Call) -> Any:
    return email_webhooks.register(
        call.client, call.project, url=_https(call["url"]), events=call["events"], mailbox=call["mailbox"]
    )


def _update_webhook(call: Call) -> Any:
    changes = call.given("url", "events")
    if not changes:
        raise ValidationError("Nothing is to be changed. Give url or events.", reason="NOTHING_TO_CHANGE")
    if "url" in changes:
        _https(changes["url"])
    return email_webhooks.update(call.client, call.project, call["webhook_id"], changes, mailbox=call["mailbox"])


def _deliveries(call: Call) -> Any:
    given = call.given("mailbox", "status", "after")
    limit = None if call["limit"] is None else str(call["limit"])
    return email_webhooks.deliveries(call.client, call.project, limit=limit, **given)


_MAILBOXES = (
    tool(
        "create_mailbox",
        "Create a mailbox; the slug is the part of the address before the @. Repeating it is a conflict.",
        WRITE,
        lambda c: email_mailboxes.create(c.client, c.project, c["slug"]),
        PROJECT,
        need("slug"),
        cli="email create",
    ),
    tool(
        "list_mailboxes",
        "List mailboxes with roles, readiness and footer policy.",
        READ,
        lambda c: email_mailboxes.list_mailboxes(c.client, c.project),
        PROJECT,
        cli="email mailboxes",
    ),
    tool(
        "set_mailbox_defaults",
        "Say which mailbox sends by default, and which one sends sign-in mail; null clears.",
        WRITE,
        _defaults,
        PROJECT,
        may("default_outbound_mailbox_id", "string|null"),
        may("auth_sender_mailbox_id", "string|null"),
        cli="email defaults",
    ),
    tool(
        "get_mailbox",
        "Show one mailbox: addresses, roles, readiness.",
        READ,
        lambda c: email_mailboxes.info(c.client, c.project, c["mailbox"]),
        PROJECT,
        _MAILBOX,
        cli=("email info", "email status"),
    ),
    tool(
        "update_mailbox",
        "Set the footer under a mailbox's outgoing mail; none needs the hobby or team tier.",
        WRITE,
        lambda c: email_mailboxes.set_footer_policy(c.client, c.project, c["mailbox"], policy=c["footer_policy"]),
        PROJECT,
        _MAILBOX,
        need("footer_policy", "run402_transparency|none"),
        cli="email update",
    ),
    tool(
        "delete_mailbox",
        "Delete a mailbox with all its messages and webhooks.",
        DESTRUCTIVE,
        _delete_mailbox,
        PROJECT,
        may("mailbox_id", about="Default: the project's only one."),
        need("confirm", "bool", "Must be true."),
        cli="email delete",
    ),
)

_MESSAGES = (
    tool(
        "send_email",
        "Send one message: a template with variables, or subject and html.",
        WRITE,
        _send,
        PROJECT,
        need("to", about="One address."),
        may("template", "project_invite|magic_link|notification"),
        may("variables", "{*: string}", "Of the template."),
        may("subject"),
        may("html"),
        may("text", about="Plain-text form."),
        may("from_name"),
        may("in_reply_to", about="Id of the message that this answers."),
        may("mailbox", about="Slug or id. Default: the project's outbound mailbox."),
        may(
            "attachments",
            "[{filename: string, content_base64: string, content_type: string}]",
            "With subject and html only; at most 5, 7 MB together.",
        ),
        cli="email send",
    ),
    tool(
        "list_emails",
        "List the messages of a mailbox, sent and received.",
        READ,
        lambda c: email.list_messages(c.client, c.project, **c.given("mailbox", "limit", "after", "direction")),
        PROJECT,
        may("limit", "int", above=0, high=200),
        may("after", about="Id of the last message seen."),
        may("direction", "inbound|outbound"),
        _MAILBOX,
        cli="email list",
    ),
    tool(
        "get_email",
        "Show one message with its replies.",
        READ,
        lambda c: email.get(c.client, c.project, c["message_id"], mailbox=c["mailbox"]),
        PROJECT,
        _MESSAGE,
        _MAILBOX,
        cli="email get",
    ),
    tool(
        "get_email_raw",
        "The bytes of a received message as base64, so that signatures still verify.",
        READ,
        _raw,
        PROJECT,
        _MESSAGE,
        _MAILBOX,
        cli="email get-raw",
    ),
)

_WEBHOOKS = (
    tool(
        "register_mailbox_webhook",
        f"Post a mailbox's events to an https address. Events: {_EVENTS}.",
        WRITE,
        _register,
        PROJECT,
        need("url"),
        need("events", "[string]"),
        _MAILBOX,
        cli="email webhooks register",
    ),
    tool(
        "list_mailbox_webhooks",
        "List the webhooks of a mailbox.",
        READ,
        lambda c: email_webhooks.list_webhooks(c.client, c.project, mailbox=c["mailbox"]),
        PROJECT,
        _MAILBOX,
        cli="email webhooks list",
    ),
    tool(
        "get_mailbox_webhook",
        "Show one e-mail webhook: address, events, state.",
        READ,
        lambda c: email_webhooks.get(c.client, c.project, c["webhook_id"], mailbox=c["mailbox"]),
        PROJECT,
        _WEBHOOK,
        _MAILBOX,
        cli="email webhooks get",
    ),
    tool(
        "delete_mailbox_webhook",
        "Delete an e-mail webhook of a mailbox, at once.",
        DESTRUCTIVE,
        lambda c: email_webhooks.delete(c.client, c.project, c["webhook_id"], mailbox=c["mailbox"]),
        PROJECT,
        _WEBHOOK,
        _MAILBOX,
        cli="email webhooks delete",
    ),
    tool(
        "update_mailbox_webhook",
        "Change address or events (the whole list) of a webhook.",
        WRITE,
        _update_webhook,
        PROJECT,
        _WEBHOOK,
        may("url"),
        may("events", "[string]"),
        _MAILBOX,
        cli="email webhooks update",
    ),
    tool(
        "list_mailbox_webhook_deliveries",
        "List deliveries to webhooks; failed_permanent ones were given up.",
        READ,
        _deliveries,
        PROJECT,
        may("status", "pending|in_flight|delivered|failed_permanent"),
        may("limit", "int", above=0, high=200),
        may("after"),
        _MAILBOX,
        cli="email webhooks deliveries",
    ),
    tool(
        "redrive_mailbox_webhook_delivery",
        "Queue a delivery that was given up again.",
        WRITE,
        lambda c: email_webhooks.redrive(c.client, c.project, c["delivery_id"], mailbox=c["mailbox"]),
        PROJECT,
        need("delivery_id"),
        _MAILBOX,
        cli="email webhooks redrive",
    ),
)


def _translate(call: Call) -> Any:
    return ai.translate(
        call.client, call.project, call["text"], to=call["to"], source=call["from"], context=call["context"]
    )


_AI = (
    tool(
        "ai_translate",
        "Translate a text; metered, the project needs the add-on.",
        WRITE,
        _translate,
        PROJECT,
        need("text", longest=10_000),
        need("to", about="Language code."),
        may("from", about="Language code; detected by default."),
        may("context", about="What the text is about.", longest=200),
        cli="ai translate",
        reports_402=True,
    ),
    tool(
        "ai_moderate",
        "Classify a text for harmful content. Free.",
        READ,
        lambda c: ai.moderate(c.client, c.project, c["text"]),
        PROJECT,
        need("text"),
        cli="ai moderate",
    ),
    tool(
        "ai_usage",
        "Translation quota of the billing cycle.",
        READ,
        lambda c: ai.usage(c.client, c.project),
        PROJECT,
        cli="ai usage",
    ),
)

TOOLS: tuple[Tool, ...] = (*_MAILBOXES, *_MESSAGES, *_WEBHOOKS, *_AI)
