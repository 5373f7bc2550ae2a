"""Mailboxes of a project.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Namespace
from run402_cli.services import mailboxes as _mailboxes

if TYPE_CHECKING:
    from typing import Any


class Mailboxes(Namespace):
    """Mailboxes of a project."""

    def list(self, project_id: str) -> dict[str, Any]:
        """List the project's mailboxes with their roles and whether they can send and receive.

        GET /mailboxes/v1 -> {mailboxes, mailbox_settings?, provider_readiness?, next_actions?}.
        """
        return self._call(_mailboxes.list_mailboxes, project_id)

    def create(self, project_id: str, slug: str) -> dict[str, Any]:
        """Create a mailbox; its slug becomes the part of the address before the @.

        POST /mailboxes/v1 {slug, project_id} -> {mailbox_id, address, ..., created: true}; noted in the key cache.

        Raises ValidationError LOCAL_ERROR for an impossible slug (3 to 63 of a-z, 0-9 and single inner hyphens) and
        ApiError 409 when the slug is taken, the address is cooling down, or the project has five mailboxes.
        """
        return self._call(_mailboxes.create, project_id, slug)

    def info(self, project_id: str, selector: str | None = None) -> dict[str, Any]:
        """Show one mailbox: addresses, roles, readiness, footer policy.

        GET /mailboxes/v1, reduced to one mailbox: addresses, roles, readiness and footer policy. Errors as in `find`.
        """
        return self._call(_mailboxes.info, project_id, selector)

    def set_footer_policy(self, project_id: str, selector: str | None = None, *, policy: str) -> dict[str, Any]:
        """Set the footer under a mailbox's outgoing mail.

        PATCH /mailboxes/v1/{mailbox} {footer_policy} -> as `info`. ApiError 403 FOOTER_POLICY_TIER_REQUIRED on
        prototype.
        """
        return self._call(_mailboxes.set_footer_policy, project_id, selector, policy=policy)

    def set_defaults(self, project_id: str, roles: dict[str, tuple[str, str | None]] | None = None) -> Any:
        """Show or set which mailbox sends by default, and which one sends sign-in mail.

        GET /mailboxes/v1, then PATCH /mailboxes/v1/settings with the mailboxes that are to have a role.

        `roles`: body key (default_outbound_mailbox_id, auth_sender_mailbox_id) -> (flag, selector or None to clear).
        Without any the list is returned. Raises CommandError MAILBOX_NOT_FOUND for a slug that is not in the list; an
        id is sent as it is.
        """
        return self._call(_mailboxes.set_defaults, project_id, roles)

    def delete(self, project_id: str, selector: str | None = None) -> dict[str, Any]:
        """Delete a mailbox with all of its messages and webhooks.

        DELETE /mailboxes/v1/{mailbox} with its messages and webhooks -> {mailbox_id, address, deleted}. Errors as in
        `find`.
        """
        return self._call(_mailboxes.delete, project_id, selector)


class ProjectMailboxes(Namespace):
    """Mailboxes of a project, of one project."""

    def list(self) -> dict[str, Any]:
        """List the project's mailboxes with their roles and whether they can send and receive.

        GET /mailboxes/v1 -> {mailboxes, mailbox_settings?, provider_readiness?, next_actions?}.
        """
        return self._call(_mailboxes.list_mailboxes, self._project_id)

    def create(self, slug: str) -> dict[str, Any]:
        """Create a mailbox; its slug becomes the part of the address before the @.

        POST /mailboxes/v1 {slug, project_id} -> {mailbox_id, address, ..., created: true}; noted in the key cache.

        Raises ValidationError LOCAL_ERROR for an impossible slug (3 to 63 of a-z, 0-9 and single inner hyphens) and
        ApiError 409 when the slug is taken, the address is cooling down, or the project has five mailboxes.
        """
        return self._call(_mailboxes.create, self._project_id, slug)

    def info(self, selector: str | None = None) -> dict[str, Any]:
        """Show one mailbox: addresses, roles, readiness, footer policy.

        GET /mailboxes/v1, reduced to one mailbox: addresses, roles, readiness and footer policy. Errors as in `find`.
        """
        return self._call(_mailboxes.info, self._project_id, selector)

    def set_footer_policy(self, selector: str | None = None, *, policy: str) -> dict[str, Any]:
        """Set the footer under a mailbox's outgoing mail.

        PATCH /mailboxes/v1/{mailbox} {footer_policy} -> as `info`. ApiError 403 FOOTER_POLICY_TIER_REQUIRED on
        prototype.
        """
        return self._call(_mailboxes.set_footer_policy, self._project_id, selector, policy=policy)

    def set_defaults(self, roles: dict[str, tuple[str, str | None]] | None = None) -> Any:
        """Show or set which mailbox sends by default, and which one sends sign-in mail.

        GET /mailboxes/v1, then PATCH /mailboxes/v1/settings with the mailboxes that are to have a role.

        `roles`: body key (default_outbound_mailbox_id, auth_sender_mailbox_id) -> (flag, selector or None to clear).
        Without any the list is returned. Raises CommandError MAILBOX_NOT_FOUND for a slug that is not in the list; an
        id is sent as it is.
        """
        return self._call(_mailboxes.set_defaults, self._project_id, roles)

    def delete(self, selector: str | None = None) -> dict[str, Any]:
        """Delete a mailbox with all of its messages and webhooks.

        DELETE /mailboxes/v1/{mailbox} with its messages and webhooks -> {mailbox_id, address, deleted}. Errors as in
        `find`.
        """
        return self._call(_mailboxes.delete, self._project_id, selector)
