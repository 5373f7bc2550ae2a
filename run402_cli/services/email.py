"""Messages of a mailbox: send, list, read, answer. All with the service key. See docs/email.md.

`mailbox` is a slug or an id, see services/email_mailboxes.py; every function raises what `mailboxes.find` raises.
"""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

from run402_cli import advice, global_options, uploads
from run402_cli.client import Client, with_query
from run402_cli.errors import CommandError, EnvironmentFault, UsageError, ValidationError
from run402_cli.services import email_mailboxes
from run402_cli.services._checks import email_address, listed
from run402_cli.services.output_file import require_free, written

Json = Any

DIRECTIONS = ("inbound", "outbound")
OUTBOX_SHOWN = 100
_SENT = ("message_id", "to", "template", "subject", "status", "sent_at", "mailbox_id", "from_address")
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+")
_BY_SUFFIX = {
    "pdf": "application/pdf",
    "csv": "text/csv",
    "txt": "text/plain",
    "json": "application/json",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "zip": "application/zip",
    "html": "text/html",
    "xml": "application/xml",
}


def attachment(spec: str) -> dict[str, str]:
    """`path[:content-type]` read: {filename, content_base64, content_type}. UsageError when the file cannot be read."""
    name, colon, kind = spec.rpartition(":")
    if not (name and colon and _MEDIA_TYPE.fullmatch(kind)):
        name, kind = spec, ""
    path = Path(name)
    try:
        data = uploads.read(path, uploads.TYPED)
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or str(exc)
        raise UsageError(
            f"The attachment {name!r} cannot be read: {reason}.",
            hint="Check the path; it is relative to the current directory.",
            details={"error": reason},
        ) from exc
    return {
        "filename": path.name,
        "content_base64": base64.b64encode(data).decode(),
        "content_type": kind.lower() or _BY_SUFFIX.get(path.suffix[1:].lower(), "application/octet-stream"),
    }


def message(
    *,
    to: str,
    template: str | None = None,
    variables: dict[str, str] | None = None,
    subject: str | None = None,
    html: str | None = None,
    text: str | None = None,
    attachments: list[dict[str, str]] | None = None,
    from_name: str | None = None,
) -> dict[str, Json]:
    """The body of a message: a template with its variables, or subject and html.

    Raises ValidationError LOCAL_ERROR for an impossible address and for a mixture or half of the two forms.
    """
    email_address("to", to)
    if template and (subject or html):
        raise ValidationError(
            "A template brings its own subject and text. Drop --template, or --subject and --html.",
            reason="EXCLUSIVE_VALUES",
        )
    if not template and not (subject and html):
        needed = "--subject and --html" if not (subject or html) else "--html" if subject else "--subject"
        raise ValidationError(
            f"The message is incomplete: add {needed}, or send a template with --template <name>.",
            reason="MISSING_VALUE",
        )
    if template and attachments:
        raise ValidationError(
            "A template takes no attachments. Send the message with --subject and --html.",
            reason="ATTACHMENTS_NOT_ALLOWED",
        )
    if template:
        body: dict[str, Json] = {"to": to, "template": template, "variables": variables or {}}
    else:
        body = {"to": to, "subject": subject, "html": html}
        body |= {"text": text} if text else {}
        body |= {"attachments": attachments} if attachments else {}
    return body | ({"from_name": from_name} if from_name else {})


def send(client: Client, project_id: str, body: dict[str, Json], *, mailbox: str | None = None) -> dict[str, Json]:
    """POST /mailboxes/v1/{mailbox}/messages with a `message` -> {message_id, to, subject, status, sent_at, ..., sent: true}.

    Without `mailbox` the project's default outbound mailbox sends. Raises ApiError DEFAULT_MAILBOX_REQUIRED or
    DEFAULT_MAILBOX_INVALID, and the gateway's own limits (5 attachments, 7 MB together, daily numbers by tier).
    """
    answer = _post(client, project_id, body, mailbox)
    return {**{key: answer[key] for key in _SENT if key in answer}, "sent": True}


def _post(client: Client, project_id: str, body: dict[str, Json], mailbox: str | None) -> dict[str, Json]:
    path = email_mailboxes.mailbox_path(email_mailboxes.outbound(client, project_id, mailbox), "messages")
    auth = client.service_key(project_id)
    answer = client.request("POST", path, context="sending the message", auth=auth, body=body)
    return answer if isinstance(answer, dict) else {}


def list_messages(
    client: Client,
    project_id: str,
    *,
    mailbox: str | None = None,
    limit: int | None = None,
    after: str | None = None,
    direction: str | None = None,
) -> list[dict[str, Json]]:
    """GET /mailboxes/v1/{mailbox}/messages[?limit&after&direction] -> its `messages`, as a list.

    [{id, message_id, direction, to, status, ...}]. `after` is the id of the last message seen; the gateway gives at most 200.
    Raises ValidationError for a `direction` that is neither inbound nor outbound.
    """
    if direction is not None:
        listed("direction", direction, DIRECTIONS)
    path = email_mailboxes.mailbox_path(email_mailboxes.find(client, project_id, mailbox), "messages")
    answer = client.request(
        "GET",
        with_query(path, limit=limit, after=after, direction=direction),
        context="listing messages",
        auth=client.service_key(project_id),
    )
    found = answer.get("messages") if isinstance(answer, dict) else answer
    rows = [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
    return [
        {**_both_ids(row), "direction": row.get("direction") or "outbound", "template": row.get("template")}
        for row in rows
    ]


def _both_ids(row: dict[str, Json]) -> dict[str, Json]:
    """Old rows have `id`, new ones `message_id`; readers may look for either."""
    known = row.get("message_id") or row.get("id")
    return {**row, "id": row.get("id") or known, "message_id": known} if known else row


def get(client: Client, project_id: str, message_id: str, *, mailbox: str | None = None) -> dict[str, Json]:
    """GET /mailboxes/v1/{mailbox}/messages/{message} -> {id, message_id, template, to, status, variables, replies?, ...}."""
    return _read(client, project_id, email_mailboxes.find(client, project_id, mailbox), message_id)


def _read(client: Client, project_id: str, mailbox_id: str, message_id: str) -> dict[str, Json]:
    path = email_mailboxes.mailbox_path(mailbox_id, "messages", message_id)
    answer = client.request("GET", path, context="reading the message", auth=client.service_key(project_id))
    found = answer if isinstance(answer, dict) else {}
    return {**_both_ids(found), "template": found.get("template"), "variables": found.get("variables", {})}


def raw(client: Client, project_id: str, message_id: str, *, mailbox: str | None = None) -> bytes:
    """GET /mailboxes/v1/{mailbox}/messages/{message}/raw: the bytes of a received message. ApiError 404 for others."""
    path = email_mailboxes.mailbox_path(
        email_mailboxes.find(client, project_id, mailbox), "messages", message_id, "raw"
    )
    auth = client.service_key(project_id)
    return client.send("GET", path, context="reading the raw message", auth=auth).content


def save_raw(
    client: Client,
    project_id: str,
    message_id: str,
    output: str,
    *,
    mailbox: str | None = None,
    overwrite: bool = False,
) -> dict[str, Json]:
    """`raw` to the file `output`, byte for byte: {message_id, bytes, output, replaced}.

    CommandError FILE_EXISTS unless `overwrite`, EnvironmentFault when it cannot be written.
    """
    require_free(Path(output), overwrite=overwrite)
    data = raw(client, project_id, message_id, mailbox=mailbox)
    global_options.about_to_write(output)
    try:
        with written(Path(output), overwrite=overwrite) as file:
            file.write(data)
    except (OSError, ValueError) as exc:
        raise EnvironmentFault(
            f"Cannot write {output!r}: {getattr(exc, 'strerror', None) or exc}.",
            hint="The directory must exist and be writable; choose another --output.",
            details={"path": output},
        ) from exc
    return {"message_id": message_id, "bytes": len(data), "output": output, "replaced": file.replaced}


def outbox(client: Client, *, to: str | None = None, limit: int | None = None) -> dict[str, Json]:
    """What a local gateway would have sent, newest first, of all its projects, sign-in mails too.

    GET /_run402/mail -> {messages: [{message_id, url, direction, from, to, subject, text, links, codes, project_id, project,
    created_at}]}, at most 100, of the last 100. `to` is one address. Raises ValidationError LOCAL_ERROR for an impossible
    address and CommandError LOCAL_GATEWAY_REQUIRED on the Cloud. docs/local-gateway-users.md, "Mail"
    """
    if to is not None:
        email_address("to", to)
    if not client.is_core:
        raise _sent_for_real(client.api_base)
    path = with_query("/_run402/mail", to=to, direction="outbound")
    answer = client.request("GET", path, context="reading the outbox", headers={"Accept": "application/json"})
    found = answer.get("messages") if isinstance(answer, dict) else None
    return {"messages": found[:limit] if isinstance(found, list) else []}


def _sent_for_real(base: str) -> CommandError:
    return CommandError(
        f"{base} sends its mail: only a local gateway keeps it in an outbox.",
        code="LOCAL_GATEWAY_REQUIRED",
        hint="Look into the inbox of the recipient. What a mailbox sent: "
        f"{advice.command('email', 'list', '--direction', 'outbound')}. "
        f"To try mail on this machine: {advice.command('core', 'start', '--use')}",
        details={"api_base": base},
        next_actions=[advice.action("run_command", "email", "list", "--direction", "outbound")],
    )


def reply(
    client: Client,
    project_id: str,
    message_id: str,
    *,
    html: str | None = None,
    text: str | None = None,
    subject: str | None = None,
    from_name: str | None = None,
    mailbox: str | None = None,
) -> dict[str, Json]:
    """Read a received message and answer its sender in the same thread: {message_id, to, subject, in_reply_to, sent}.

    Without `subject` the original's, with Re: before it. Raises UsageError when the original names no sender and
    ValidationError LOCAL_ERROR without `html`.
    """
    original = _read(client, project_id, email_mailboxes.find(client, project_id, mailbox), message_id)
    senders = (original.get(key) for key in ("from", "from_address", "sender"))
    to = next((sender for sender in senders if isinstance(sender, str) and sender), None)
    if to is None:
        raise UsageError(
            f"Message {message_id} names no sender, so there is nobody to answer.",
            hint="Send a new message instead: run402 email send --to <address> --subject <text> --html <html>",
            details={"original_keys": sorted(original)},
        )
    subject = subject or _answer_subject(original.get("subject"))
    body = message(to=to, subject=subject, html=html, text=text, from_name=from_name)
    answer = _post(client, project_id, {**body, "in_reply_to": message_id}, mailbox)
    sent = {"message_id": answer["message_id"]} if "message_id" in answer else {}
    return {**sent, "to": to, "subject": subject, "in_reply_to": message_id, "sent": True}


def _answer_subject(original: Json) -> str:
    if not isinstance(original, str) or not original:
        return "Re: (no subject)"
    return original if original.lower().startswith("re:") else f"Re: {original}"
