"""Letters: what a send request asks for, checked, templates filled in, and written as an RFC 5322 message."""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTPUTF8
from typing import Any

from run402_cli.core.errors import bad_field
from run402_cli.core.users.accounts import checked_email

MAX_SUBJECT, MAX_FROM_NAME, MAX_BODY_BYTES = 998, 78, 1024**2
MAX_ATTACHMENTS, MAX_ATTACHMENT_BYTES = 5, 7 * 1024**2
MAX_NOTIFICATION = 500
FOOTER = "Sent with Run402."
# The default would encode Message-IDs that do not fit into 78 characters.
_POLICY = SMTPUTF8.clone(max_line_length=998)
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+")
_SILENT = re.compile(r"<(script|style)\b", re.IGNORECASE)
_SILENT_ENDS = {name: re.compile(rf"</{name}\s*+>", re.IGNORECASE) for name in ("script", "style")}
# More digits than any character has, and more than Python makes a number of.
_NO_CHARACTER = re.compile(r"&#[0-9]{10,};?")
# Template: its variables, subject, paragraphs. A variable that ends in _url becomes a link.
TEMPLATES: Mapping[str, tuple[tuple[str, ...], str, tuple[str, ...]]] = {
    "project_invite": (
        ("project_name", "invite_url"),
        "You are invited to {project_name}",
        ("You are invited to {project_name}.", "{invite_url}"),
    ),
    "magic_link": (
        ("project_name", "link_url", "expires_in"),
        "Sign in to {project_name}",
        ("Sign in to {project_name}:", "{link_url}", "The link expires in {expires_in}."),
    ),
    "notification": (("project_name", "message"), "A message from {project_name}", ("{message}",)),
}


@dataclass(frozen=True, slots=True)
class Attachment:
    filename: str
    content_type: str
    data: bytes

    def meta(self) -> dict[str, Any]:
        return {"filename": self.filename, "content_type": self.content_type, "size_bytes": len(self.data)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A mail before it is sent. `in_reply_to` is the id of a message in the same mailbox."""

    to: str
    subject: str
    html: str
    text: str
    template: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    from_name: str | None = None
    in_reply_to: str | None = None
    attachments: tuple[Attachment, ...] = ()

    def with_footer(self) -> Letter:
        return replace(self, html=f"{self.html}\n<p><small>{FOOTER}</small></p>", text=f"{self.text}\n\n-- \n{FOOTER}")


def letter_of(body: Mapping[str, Any]) -> Letter:
    """The letter that a request describes: `{to, template, variables}` or `{to, subject, html, text?, ...}`. 400."""
    to = checked_email(body.get("to"), "to")
    from_name = _line(body.get("from_name"), "from_name", MAX_FROM_NAME) if body.get("from_name") else None
    in_reply_to = body.get("in_reply_to")
    if in_reply_to is not None and not isinstance(in_reply_to, str):
        raise bad_field("in_reply_to", "the id of a message")
    if body.get("template") is not None:
        letter = _filled(to, body)
    else:
        content = _body(body.get("html"), "html")
        text = _body(body["text"], "text") if body.get("text") else plain(content)
        letter = Letter(
            to=to,
            subject=_line(body.get("subject"), "subject", MAX_SUBJECT),
            html=content,
            text=text,
            attachments=_attachments(body.get("attachments")),
        )
    return replace(letter, from_name=from_name, in_reply_to=in_reply_to)


def _filled(to: str, body: Mapping[str, Any]) -> Letter:
    name, given = body["template"], body.get("variables") or {}
    if not isinstance(name, str) or name not in TEMPLATES:
        raise bad_field("template", f"one of {', '.join(TEMPLATES)}")
    if any(body.get(key) for key in ("subject", "html", "attachments")):
        raise bad_field("template", "left out, or subject, html and attachments must be: a template writes them itself")
    wanted, subject, paragraphs = TEMPLATES[name]
    if not isinstance(given, Mapping) or not all(isinstance(given.get(key), str) and given[key] for key in wanted):
        raise bad_field("variables", f"an object with the texts {', '.join(wanted)}")
    if len(given.get("message", "")) > MAX_NOTIFICATION:
        raise bad_field("variables.message", f"at most {MAX_NOTIFICATION} characters")
    variables = {key: str(given[key]) for key in wanted}
    for key, value in variables.items():
        if key.endswith("_url") and not re.match(r"https?://[^\s\"<>]+$", value):
            raise bad_field(f"variables.{key}", "an http or https URL")
        if "\0" in value:
            raise bad_field(f"variables.{key}", "a text without null characters")
    marked = {key: _marked(key, value) for key, value in variables.items()}
    return Letter(
        to=to,
        subject=_line(subject.format(**variables), "variables.project_name", MAX_SUBJECT),
        html="\n".join(f"<p>{paragraph.format(**marked)}</p>" for paragraph in paragraphs),
        text="\n\n".join(paragraph.format(**variables) for paragraph in paragraphs),
        template=name,
        variables=variables,
    )


def _marked(key: str, value: str) -> str:
    text = html.escape(value)
    return f'<a href="{text}">{text}</a>' if key.endswith("_url") else text


def plain(content: str) -> str:
    """HTML without its tags, for readers that show none."""
    lines = unescaped(" ".join(_between_tags(content))).splitlines()
    return "\n".join(line for line in (" ".join(text.split()) for text in lines) if line)


def unescaped(content: str) -> str:
    """HTML's references as the characters that they stand for."""
    return html.unescape(_NO_CHARACTER.sub("\ufffd", content))


def _between_tags(content: str) -> Iterator[str]:
    """The text without tags, and without scripts and styles. Each character is looked at a few times at most."""
    at = 0
    unended: set[str] = set()
    while (start := content.find("<", at)) >= 0:
        silent = _SILENT.match(content, start)
        name = silent[1].lower() if silent else ""
        end = _SILENT_ENDS[name].search(content, start) if name and name not in unended else None
        if name and end is None:
            unended.add(name)
        after = end.end() if end else content.find(">", start) + 1
        if not after:
            break
        yield content[at:start]
        at = after
    yield content[at:]


def _attachments(value: Any) -> tuple[Attachment, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > MAX_ATTACHMENTS:
        raise bad_field("attachments", f"a list of at most {MAX_ATTACHMENTS}")
    found = tuple(_attachment(entry, f"attachments[{at}]") for at, entry in enumerate(value))
    if sum(len(entry.data) for entry in found) > MAX_ATTACHMENT_BYTES:
        raise bad_field("attachments", f"at most {MAX_ATTACHMENT_BYTES} bytes together")
    return found


def _attachment(entry: Any, place: str) -> Attachment:
    if not isinstance(entry, Mapping):
        raise bad_field(place, "an object with filename and content_base64")
    kind = entry.get("content_type") or "application/octet-stream"
    if (
        not isinstance(kind, str)
        or not _MEDIA_TYPE.fullmatch(kind)
        or kind.lower().startswith(("multipart/", "message/"))
    ):
        raise bad_field(f"{place}.content_type", "a type such as image/png")
    try:
        data = base64.b64decode(entry.get("content_base64") or "", validate=True)
    except (binascii.Error, TypeError, ValueError) as exc:
        raise bad_field(f"{place}.content_base64", "standard base64") from exc
    return Attachment(_line(entry.get("filename"), f"{place}.filename", 255), kind.lower(), data)


def _line(value: Any, name: str, limit: int) -> str:
    if (
        not isinstance(value, str)
        or not value.strip()
        or len(value) > limit
        or any(ord(char) < 32 for char in value)
        # Unicode has line ends of its own, which headers may not have either.
        or len(value.splitlines()) != 1
    ):
        raise bad_field(name, f"one line of 1 to {limit} characters")
    return value


def _body(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise bad_field(name, "a text")
    if len(value.encode()) > MAX_BODY_BYTES:
        raise bad_field(name, f"at most {MAX_BODY_BYTES} bytes")
    return value


def raw_message(letter: Letter, *, sender: str, message_id: str, in_reply_to: str | None, moment: datetime) -> bytes:
    """The letter as bytes on the wire; `message_id` and `in_reply_to` are Message-IDs with their angle brackets."""
    message = EmailMessage(policy=_POLICY)
    message["From"] = _address(sender, letter.from_name or "")
    message["To"] = _address(letter.to)
    message["Subject"] = letter.subject
    message["Date"] = moment
    message["Message-ID"] = message_id
    if in_reply_to:
        message["In-Reply-To"] = in_reply_to
        message["References"] = in_reply_to
    message.set_content(letter.text)
    message.add_alternative(letter.html, subtype="html")
    for part in letter.attachments:
        kind, _, subtype = part.content_type.partition("/")
        message.add_attachment(part.data, maintype=kind, subtype=subtype, filename=part.filename)
    return message.as_bytes()


def _address(address: str, name: str = "") -> Address:
    # Not as one text: that would be parsed, and refused for dots in odd places.
    local, _, domain = address.rpartition("@")
    return Address(name, local, domain)
