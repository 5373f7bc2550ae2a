"""What operators are told.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Namespace
from run402_cli.services import notifications as _notifications

if TYPE_CHECKING:
    from typing import Any

_List = list


class Notifications(Namespace):
    """What operators are told."""

    def list(
        self, *, type: str | None = None, since: str | None = None, limit: int | None = None, after: str | None
    ) -> Any:
        """GET /agent/v1/notifications[?type&since&limit&after] -> {notifications, has_more, next_cursor}."""
        return self._call(_notifications.list_notifications, type=type, since=since, limit=limit, after=after)

    def get(self, notification_id: str) -> Any:
        """GET /agent/v1/notifications/{id} -> the notification."""
        return self._call(_notifications.get, notification_id)

    def preferences(self) -> Any:
        """GET /agent/v1/notifications/preferences -> {channels, webhook_url, digest_cadence, threshold_alerts, ...}."""
        return self._call(_notifications.preferences)

    def set_preferences(self, changes: dict[str, Any]) -> Any:
        """PATCH /agent/v1/notifications/preferences with the changes -> all preferences."""
        return self._call(_notifications.set_preferences, changes)

    def send_test(self, *, source: str | None = None, event_type: str | None = None) -> Any:
        """POST /agent/v1/notifications/test {source?, event_type?} -> {status, source_event_id, drained, telegram, note}.

        Once a minute for each wallet.
        """
        return self._call(_notifications.send_test, source=source, event_type=event_type)

    def connect_telegram(self, *, label: str | None = None) -> dict[str, Any]:
        """POST .../channels/telegram {label?} -> {binding_id, status, connect_url, connect_group_url, code_expires_at,
        ...}.

        Raises ApiError 503 TELEGRAM_CHANNEL_NOT_CONFIGURED, 412 without a verified e-mail address.
        """
        return self._call(_notifications.connect_telegram, label=label)

    def await_tap(self, started: dict[str, Any]) -> dict[str, Any]:
        """GET .../channels every 3 seconds until the binding is active: `started` plus {connected, binding} or
        {timed_out}.

        Until `code_expires_at`, 20 minutes when it cannot be read, and an hour at most. A look that fails is told and
        repeated.
        """
        return self._call(_notifications.await_tap, started, self._say)

    def channels(self) -> Any:
        """GET /agent/v1/notifications/channels -> {email, webhook, telegram: [{id, status, chat_title, label,
        ...}]}.
        """
        return self._call(_notifications.channels)

    def revoke_channel(self, binding_id: str) -> Any:
        """DELETE .../channels/telegram/{binding} -> {status: revoked, binding_id}; 404 for missing and foreign
        ones alike.
        """
        return self._call(_notifications.revoke_channel, binding_id)

    def add_rule(
        self,
        binding_id: str,
        *,
        project_id: str | None = None,
        source: str | None = None,
        event_types: _List[str] | None = None,
        classes: _List[str] | None = None,
    ) -> Any:
        """POST /agent/v1/notifications/rules {telegram_binding_id, project_id?, source?, event_types?, classes?} -> the
        rule.

        What is left out matches everything; an empty list matches nothing.
        """
        return self._call(
            _notifications.add_rule,
            binding_id,
            project_id=project_id,
            source=source,
            event_types=event_types,
            classes=classes,
        )

    def rules(self) -> Any:
        """GET /agent/v1/notifications/rules -> {rules: [rule]}, newest first."""
        return self._call(_notifications.rules)

    def remove_rule(self, rule_id: str) -> Any:
        """DELETE /agent/v1/notifications/rules/{rule} -> {deleted, rule_id}."""
        return self._call(_notifications.remove_rule, rule_id)

    def rotate_webhook_secret(self) -> Any:
        """POST /agent/v1/webhook-secret/rotate -> {webhook_signing_secret, rotated_at, grace_window_hours, note},
        once.
        """
        return self._call(_notifications.rotate_webhook_secret)
