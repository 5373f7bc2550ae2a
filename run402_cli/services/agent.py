"""The agent's contact record, its assurance ladder, and messages to the developers. With the caller's own credential.

A record: {wallet, name, email, webhook, email_verification_status, passkey_binding_status: none|pending|verified,
assurance_level: wallet_only|email_pending|email_verified|passkey_pending|operator_passkey, ...}. See docs/operator.md,
"Assurance".
"""

from __future__ import annotations

from typing import Any

from run402_cli import advice
from run402_cli.client import Client
from run402_cli.errors import CommandError, Run402Error, UsageError

MESSAGE_MAX = 8192  # bytes of UTF-8
_CONTACT = "/agent/v1/contact"

Json = Any


def set_contact(client: Client, name: str, *, email: str | None = None, webhook: str | None = None) -> Json:
    """POST /agent/v1/contact {name, email?, webhook?} -> the record. A new e-mail address starts a reply challenge."""
    given = {"email": email, "webhook": webhook}
    body = {"name": name, **{key: value for key, value in given.items() if value}}
    return client.request("POST", _CONTACT, context="saving the contact", auth=client.principal(), body=body)


def status(client: Client) -> Json:
    """GET /agent/v1/contact/status -> the record, plus `email_verification` of GET /agent/v1/operator/status if readable."""
    path = f"{_CONTACT}/status"
    record = client.request("GET", path, context="reading the contact", auth=client.principal())
    if not isinstance(record, dict):
        return record
    try:
        more = operator_status(client)
    except Run402Error:
        return record
    challenge = more.get("email_verification") if isinstance(more, dict) else None
    return {**record, "email_verification": challenge} if isinstance(challenge, dict) else record


def operator_status(client: Client) -> Json:
    """How the operator behind the wallet stands.

    GET /agent/v1/operator/status -> how the operator behind the wallet stands: contact, tier, projects at risk.
    """
    path = "/agent/v1/operator/status"
    return client.request("GET", path, context="reading the operator status", auth=client.principal())


def verify_email(client: Client) -> Json:
    """POST /agent/v1/contact/verify-email: send the reply challenge, again if need be -> the record."""
    path = f"{_CONTACT}/verify-email"
    return client.request("POST", path, context="starting the verification", auth=client.principal())


def enroll_passkey(client: Client) -> Json:
    """POST /agent/v1/contact/passkey/enroll: mail the enrollment link -> the record with enrollment_sent_to.

    Raises ApiError 412 until the e-mail address is verified.
    """
    path = f"{_CONTACT}/passkey/enroll"
    return client.request("POST", path, context="sending the enrollment link", auth=client.principal())


def message_size(text: str) -> int:
    """Bytes of a message. Raises UsageError when it is blank, CommandError MESSAGE_TOO_LONG over 8192 bytes."""
    if not text.strip():
        raise UsageError("The message is empty.", hint='run402 message send "<text>"')
    size = len(text.encode("utf-8", "surrogateescape"))
    if size > MESSAGE_MAX:
        raise CommandError(
            f"The message has {size} bytes; {MESSAGE_MAX} are allowed.",
            code="MESSAGE_TOO_LONG",
            hint="Shorten it, or send it in parts.",
            details={"bytes": size, "max_bytes": MESSAGE_MAX},
            next_actions=[advice.run("message", "send", advice.Blank("text"))],
        )
    return size


def send_message(client: Client, text: str) -> dict[str, Json]:
    """POST /message/v1 {message} -> {bytes_sent, sent}; the gateway's own answer is left out. Checks as `message_size`."""
    size = message_size(text)
    body = {"message": text}
    client.request("POST", "/message/v1", context="sending the message", auth=client.principal(), body=body)
    return {"bytes_sent": size, "sent": True}
