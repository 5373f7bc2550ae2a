"""Messages of a project's mailboxes.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Namespace
from run402_cli.services import email as _email

if TYPE_CHECKING:
    from typing import Any

_List = list


class Email(Namespace):
    """Messages of a project's mailboxes."""

    def attachment(self, spec: str) -> dict[str, str]:
        """`path[:content-type]` read: {filename, content_base64, content_type}. UsageError when the file cannot be
        read.
        """
        return self._call_plain(_email.attachment, spec)

    def message(
        self,
        *,
        to: str,
        template: str | None = None,
        variables: dict[str, str] | None = None,
        subject: str | None = None,
        html: str | None = None,
        text: str | None = None,
        attachments: _List[dict[str, str]] | None = None,
        from_name: str | None = None,
    ) -> dict[str, Any]:
        """The body of a message: a template with its variables, or subject and html.

        Raises ValidationError LOCAL_ERROR for an impossible address and for a mixture or half of the two forms.
        """
        return self._call_plain(
            _email.message,
            to=to,
            template=template,
            variables=variables,
            subject=subject,
            html=html,
            text=text,
            attachments=attachments,
            from_name=from_name,
        )

    def send(self, project_id: str, body: dict[str, Any], *, mailbox: str | None = None) -> dict[str, Any]:
        """POST /mailboxes/v1/{mailbox}/messages with a `message` -> {message_id, to, subject, status, sent_at, ..., sent:
        true}.

        Without `mailbox` the project's default outbound mailbox sends. Raises ApiError DEFAULT_MAILBOX_REQUIRED or
        DEFAULT_MAILBOX_INVALID, and the gateway's own limits (5 attachments, 7 MB together, daily numbers by tier).
        """
        return self._call(_email.send, project_id, body, mailbox=mailbox)

    def list(
        self,
        project_id: str,
        *,
        mailbox: str | None = None,
        limit: int | None = None,
        after: str | None = None,
        direction: str | None = None,
    ) -> _List[dict[str, Any]]:
        """GET /mailboxes/v1/{mailbox}/messages[?limit&after&direction] -> [{id, message_id, direction, to, status, ...}].

        `after` is the id of the last message seen; the gateway gives at most 200. Raises ValidationError for a
        `direction` that is neither inbound nor outbound.
        """
        return self._call(
            _email.list_messages, project_id, mailbox=mailbox, limit=limit, after=after, direction=direction
        )

    def get(self, project_id: str, message_id: str, *, mailbox: str | None = None) -> dict[str, Any]:
        """GET /mailboxes/v1/{mailbox}/messages/{message} -> {id, message_id, template, to, status, variables, replies?,
        ...}.
        """
        return self._call(_email.get, project_id, message_id, mailbox=mailbox)

    def raw(self, project_id: str, message_id: str, *, mailbox: str | None = None) -> bytes:
        """GET /mailboxes/v1/{mailbox}/messages/{message}/raw: the bytes of a received message. ApiError 404 for
        others.
        """
        return self._call(_email.raw, project_id, message_id, mailbox=mailbox)

    def save_raw(self, project_id: str, message_id: str, output: str, *, mailbox: str | None = None) -> dict[str, Any]:
        """`raw` to the file `output`, byte for byte -> {message_id, bytes, output}. EnvironmentFault when it cannot be
        written.
        """
        return self._call(_email.save_raw, project_id, message_id, output, mailbox=mailbox)

    def outbox(self, *, to: str | None = None, limit: int | None = None) -> dict[str, Any]:
        """What a local gateway would have sent, newest first, of all its projects, sign-in mails too.

        GET /_run402/mail -> {messages: [{message_id, url, direction, from, to, subject, text, links, codes, project_id,
        project, created_at}]}, at most 100, of the last 100. `to` is one address. Raises ValidationError LOCAL_ERROR
        for an impossible address and CommandError LOCAL_GATEWAY_REQUIRED on the Cloud. docs/local-gateway-users.md,
        "Mail"
        """
        return self._call(_email.outbox, to=to, limit=limit)

    def reply(
        self,
        project_id: str,
        message_id: str,
        *,
        html: str | None = None,
        text: str | None = None,
        subject: str | None = None,
        from_name: str | None = None,
        mailbox: str | None = None,
    ) -> dict[str, Any]:
        """Read a received message and answer its sender in the same thread: {message_id, to, subject, in_reply_to, sent}.

        Without `subject` the original's, with Re: before it. Raises UsageError when the original names no sender and
        ValidationError LOCAL_ERROR without `html`.
        """
        return self._call(
            _email.reply,
            project_id,
            message_id,
            html=html,
            text=text,
            subject=subject,
            from_name=from_name,
            mailbox=mailbox,
        )


class ProjectEmail(Namespace):
    """Messages of a project's mailboxes, of one project."""

    def send(self, body: dict[str, Any], *, mailbox: str | None = None) -> dict[str, Any]:
        """POST /mailboxes/v1/{mailbox}/messages with a `message` -> {message_id, to, subject, status, sent_at, ..., sent:
        true}.

        Without `mailbox` the project's default outbound mailbox sends. Raises ApiError DEFAULT_MAILBOX_REQUIRED or
        DEFAULT_MAILBOX_INVALID, and the gateway's own limits (5 attachments, 7 MB together, daily numbers by tier).
        """
        return self._call(_email.send, self._project_id, body, mailbox=mailbox)

    def list(
        self,
        *,
        mailbox: str | None = None,
        limit: int | None = None,
        after: str | None = None,
        direction: str | None = None,
    ) -> _List[dict[str, Any]]:
        """GET /mailboxes/v1/{mailbox}/messages[?limit&after&direction] -> [{id, message_id, direction, to, status, ...}].

        `after` is the id of the last message seen; the gateway gives at most 200. Raises ValidationError for a
        `direction` that is neither inbound nor outbound.
        """
        return self._call(
            _email.list_messages, self._project_id, mailbox=mailbox, limit=limit, after=after, direction=direction
        )

    def get(self, message_id: str, *, mailbox: str | None = None) -> dict[str, Any]:
        """GET /mailboxes/v1/{mailbox}/messages/{message} -> {id, message_id, template, to, status, variables, replies?,
        ...}.
        """
        return self._call(_email.get, self._project_id, message_id, mailbox=mailbox)

    def raw(self, message_id: str, *, mailbox: str | None = None) -> bytes:
        """GET /mailboxes/v1/{mailbox}/messages/{message}/raw: the bytes of a received message. ApiError 404 for
        others.
        """
        return self._call(_email.raw, self._project_id, message_id, mailbox=mailbox)

    def save_raw(self, message_id: str, output: str, *, mailbox: str | None = None) -> dict[str, Any]:
        """`raw` to the file `output`, byte for byte -> {message_id, bytes, output}. EnvironmentFault when it cannot be
        written.
        """
        return self._call(_email.save_raw, self._project_id, message_id, output, mailbox=mailbox)

    def reply(
        self,
        message_id: str,
        *,
        html: str | None = None,
        text: str | None = None,
        subject: str | None = None,
        from_name: str | None = None,
        mailbox: str | None = None,
    ) -> dict[str, Any]:
        """Read a received message and answer its sender in the same thread: {message_id, to, subject, in_reply_to, sent}.

        Without `subject` the original's, with Re: before it. Raises UsageError when the original names no sender and
        ValidationError LOCAL_ERROR without `html`.
        """
        return self._call(
            _email.reply,
            self._project_id,
            message_id,
            html=html,
            text=text,
            subject=subject,
            from_name=from_name,
            mailbox=mailbox,
        )
