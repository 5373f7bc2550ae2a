"""Webhooks of a mailbox.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Id, Namespace, of_project
from run402_cli.services import email_webhooks as _email_webhooks

if TYPE_CHECKING:
    from typing import Any


class EmailWebhooks(Namespace[Id]):
    """Webhooks of a mailbox. `project.email_webhooks` fills in `project_id`."""

    @of_project
    def list(self, project_id: str, *, mailbox: str | None = None) -> Any:
        """List the webhooks of a mailbox.

        GET /mailboxes/v1/{mailbox}/webhooks -> {webhooks: [{webhook_id, url, events, created_at}]}.
        """
        return self._call(_email_webhooks.list_webhooks, project_id, mailbox=mailbox)

    @of_project
    def get(self, project_id: str, webhook_id: str, *, mailbox: str | None = None) -> Any:
        """Show one webhook.

        GET /mailboxes/v1/{mailbox}/webhooks/{webhook} -> {webhook_id, url, events, created_at}.
        """
        return self._call(_email_webhooks.get, project_id, webhook_id, mailbox=mailbox)

    @of_project
    def register(self, project_id: str, *, url: str, events: builtins.list[str], mailbox: str | None = None) -> Any:
        """Post a mailbox's events to a URL.

        POST /mailboxes/v1/{mailbox}/webhooks {url, events} -> the webhook.
        """
        return self._call(_email_webhooks.register, project_id, url=url, events=events, mailbox=mailbox)

    @of_project
    def update(self, project_id: str, webhook_id: str, changes: dict[str, Any], *, mailbox: str | None = None) -> Any:
        """Change the URL of a webhook, its events (the whole list), or both.

        PATCH /mailboxes/v1/{mailbox}/webhooks/{webhook} {url?, events?} -> the webhook; `events` replaces all of them.
        """
        return self._call(_email_webhooks.update, project_id, webhook_id, changes, mailbox=mailbox)

    @of_project
    def delete(self, project_id: str, webhook_id: str, *, mailbox: str | None = None) -> dict[str, Any]:
        """Delete a webhook.

        DELETE /mailboxes/v1/{mailbox}/webhooks/{webhook} -> {webhook_id, project_id, deleted}. Doing it twice is fine.
        """
        return self._call(_email_webhooks.delete, project_id, webhook_id, mailbox=mailbox)

    @of_project
    def deliveries(
        self,
        project_id: str,
        *,
        mailbox: str | None = None,
        status: str | None = None,
        limit: str | None = None,
        after: str | None = None,
    ) -> Any:
        """List deliveries to webhooks. failed_permanent ones are given up until `redrive`.

        GET /mailboxes/v1/{mailbox}/webhooks/deliveries[?status&limit&after].

        Returns {deliveries: [{delivery_id, webhook_id, event_type, status, attempts, last_status, last_error,
        next_attempt_at, delivered_at, created_at}], has_more, next_cursor}. failed_permanent ones wait for `redrive`.
        Raises ValidationError LOCAL_ERROR for an unknown status and a limit that is not a positive whole number.
        """
        return self._call(
            _email_webhooks.deliveries, project_id, mailbox=mailbox, status=status, limit=limit, after=after
        )

    @of_project
    def redrive(self, project_id: str, delivery_id: str, *, mailbox: str | None = None) -> Any:
        """Queue a delivery that was given up again.

        POST /mailboxes/v1/{mailbox}/webhooks/deliveries/{delivery}/redrive -> {status: requeued, delivery}.
        """
        return self._call(_email_webhooks.redrive, project_id, delivery_id, mailbox=mailbox)
