"""A project's mailboxes and their messages.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Id, Namespace, of_project
from run402_cli.services import email as _email
from run402_cli.services import email_mailboxes as _email_mailboxes

if TYPE_CHECKING:
    from typing import Any


class ProjectEmail(Namespace[Id]):
    """A project's mailboxes and their messages. `project.email` fills in `project_id`."""

    @of_project
    def send(self, project_id: str, body: dict[str, Any], *, mailbox: str | None = None) -> dict[str, Any]:
        """Send one message: a template with its variables, or your own subject and HTML.

        POST /mailboxes/v1/{mailbox}/messages with a `message` -> {message_id, to, subject, status, sent_at, ..., sent:
        true}.

        Without `mailbox` the project's default outbound mailbox sends. Raises ApiError DEFAULT_MAILBOX_REQUIRED or
        DEFAULT_MAILBOX_INVALID, and the gateway's own limits (5 attachments, 7 MB together, daily numbers by tier).
        """
        return self._call(_email.send, project_id, body, mailbox=mailbox)

    @of_project
    def list(
        self,
        project_id: str,
        *,
        mailbox: str | None = None,
        limit: int | None = None,
        after: str | None = None,
        direction: str | None = None,
    ) -> builtins.list[dict[str, Any]]:
        """List the messages of a mailbox, sent and received, as an array.

        GET /mailboxes/v1/{mailbox}/messages[?limit&after&direction] -> its `messages`, as a list.

        [{id, message_id, direction, to, status, ...}]. `after` is the id of the last message seen; the gateway gives at
        most 200. Raises ValidationError for a `direction` that is neither inbound nor outbound.
        """
        return self._call(
            _email.list_messages, project_id, mailbox=mailbox, limit=limit, after=after, direction=direction
        )

    @of_project
    def get(self, project_id: str, message_id: str, *, mailbox: str | None = None) -> dict[str, Any]:
        """Show one message with its replies.

        GET /mailboxes/v1/{mailbox}/messages/{message} -> {id, message_id, template, to, status, variables, replies?,
        ...}.
        """
        return self._call(_email.get, project_id, message_id, mailbox=mailbox)

    @of_project
    def get_raw(self, project_id: str, message_id: str, *, mailbox: str | None = None) -> bytes:
        """Save the bytes of a received message exactly as they came, so that signatures (DKIM) still verify.

        GET /mailboxes/v1/{mailbox}/messages/{message}/raw: the bytes of a received message. ApiError 404 for others.
        """
        return self._call(_email.raw, project_id, message_id, mailbox=mailbox)

    raw = get_raw  # the older name

    @of_project
    def save_raw(
        self, project_id: str, message_id: str, output: str, *, mailbox: str | None = None, overwrite: bool = False
    ) -> dict[str, Any]:
        """`raw` to the file `output`, byte for byte: {message_id, bytes, output, replaced}.

        CommandError FILE_EXISTS unless `overwrite`, EnvironmentFault when it cannot be written.
        """
        return self._call(_email.save_raw, project_id, message_id, output, mailbox=mailbox, overwrite=overwrite)

    @of_project
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
        """Answer a received message in its thread.

        Read a received message and answer its sender in the same thread: {message_id, to, subject, in_reply_to, sent}.

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

    @of_project
    def mailboxes(self, project_id: str) -> dict[str, Any]:
        """List the project's mailboxes with their roles and whether they can send and receive.

        GET /mailboxes/v1 -> {mailboxes, mailbox_settings?, provider_readiness?, next_actions?}.
        """
        return self._call(_email_mailboxes.list_mailboxes, project_id)

    @of_project
    def create(self, project_id: str, slug: str) -> dict[str, Any]:
        """Create a mailbox; its slug becomes the part of the address before the @.

        POST /mailboxes/v1 {slug, project_id} -> {mailbox_id, address, ..., created: true}; noted in the key cache.

        Raises ValidationError LOCAL_ERROR for an impossible slug (3 to 63 of a-z, 0-9 and single inner hyphens) and
        ApiError 409 when the slug is taken, the address is cooling down, or the project has five mailboxes.
        """
        return self._call(_email_mailboxes.create, project_id, slug)

    @of_project
    def info(self, project_id: str, selector: str | None = None) -> dict[str, Any]:
        """Show one mailbox: addresses, roles, readiness, footer policy.

        GET /mailboxes/v1, reduced to one mailbox: addresses, roles, readiness and footer policy. Errors as in `find`.
        """
        return self._call(_email_mailboxes.info, project_id, selector)

    @of_project
    def update(self, project_id: str, selector: str | None = None, *, policy: str) -> dict[str, Any]:
        """Set the footer under a mailbox's outgoing mail.

        PATCH /mailboxes/v1/{mailbox} {footer_policy} -> as `info`. ApiError 403 FOOTER_POLICY_TIER_REQUIRED on
        prototype.
        """
        return self._call(_email_mailboxes.set_footer_policy, project_id, selector, policy=policy)

    @of_project
    def defaults(self, project_id: str, roles: dict[str, tuple[str, str | None]] | None = None) -> Any:
        """Show or set which mailbox sends by default, and which one sends sign-in mail.

        GET /mailboxes/v1, then PATCH /mailboxes/v1/settings with the mailboxes that are to have a role.

        `roles`: body key (default_outbound_mailbox_id, auth_sender_mailbox_id) -> (flag, selector or None to clear).
        Without any the list is returned. Raises CommandError MAILBOX_NOT_FOUND for a slug that is not in the list; an
        id is sent as it is.
        """
        return self._call(_email_mailboxes.set_defaults, project_id, roles)

    @of_project
    def delete(self, project_id: str, selector: str | None = None) -> dict[str, Any]:
        """Delete a mailbox with all of its messages and webhooks.

        DELETE /mailboxes/v1/{mailbox} with its messages and webhooks -> {mailbox_id, address, deleted}. Errors as in
        `find`.
        """
        return self._call(_email_mailboxes.delete, project_id, selector)


class Email(ProjectEmail[None]):
    """A project's mailboxes and their messages."""

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
        attachments: builtins.list[dict[str, str]] | None = None,
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

    def outbox(self, *, to: str | None = None, limit: int | None = None) -> dict[str, Any]:
        """List what the local gateway would have sent, newest first, of all its projects: links and codes stand apart.

        What a local gateway would have sent, newest first, of all its projects, sign-in mails too.

        GET /_run402/mail -> {messages: [{message_id, url, direction, from, to, subject, text, links, codes, project_id,
        project, created_at}]}, at most 100, of the last 100. `to` is one address. Raises ValidationError LOCAL_ERROR
        for an impossible address and CommandError LOCAL_GATEWAY_REQUIRED on the Cloud. docs/local-gateway-users.md,
        "Mail"
        """
        return self._call(_email.outbox, to=to, limit=limit)
