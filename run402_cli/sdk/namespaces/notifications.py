"""What operators are told.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Namespace
from run402_cli.services import notifications as _notifications

if TYPE_CHECKING:
    from typing import Any


class Notifications(Namespace[None]):
    """What operators are told."""

    def list(
        self, *, type: str | None = None, since: str | None = None, limit: int | None = None, after: str | None = None
    ) -> Any:
        """List the notifications that were sent or skipped.

        GET /agent/v1/notifications[?type&since&limit&after] -> {notifications, has_more, next_cursor}.
        """
        return self._call(_notifications.list_notifications, type=type, since=since, limit=limit, after=after)

    def get(self, notification_id: str) -> Any:
        """Show one notification.

        GET /agent/v1/notifications/{id} -> the notification.
        """
        return self._call(_notifications.get, notification_id)

    def preferences(self) -> Any:
        """Show the preferences.

        GET /agent/v1/notifications/preferences -> {channels, webhook_url, digest_cadence, threshold_alerts, ...}.
        """
        return self._call(_notifications.preferences)

    def preferences_set(self, changes: dict[str, Any]) -> Any:
        """Change preferences: digest_cadence, digest_day_of_week (1 = Monday), digest_hour_utc, threshold_alerts,
        lifecycle_events, webhook_url (empty or null takes it away), locale, timezone.

        PATCH /agent/v1/notifications/preferences with the changes -> all preferences.
        """
        return self._call(_notifications.set_preferences, changes)

    set_preferences = preferences_set  # the older name

    def test(self, *, source: str | None = None, event_type: str | None = None) -> Any:
        """Send a test notification over every channel; once a minute.

        POST /agent/v1/notifications/test {source?, event_type?} -> {status, source_event_id, drained, telegram, note}.

        Once a minute for each wallet.
        """
        return self._call(_notifications.send_test, source=source, event_type=event_type)

    send_test = test  # the older name

    def channels_connect_telegram(self, *, label: str | None = None) -> dict[str, Any]:
        """Bind a Telegram chat: the link is on stderr, tap it; waits until the code ends.

        POST .../channels/telegram {label?} -> {binding_id, status, connect_url, connect_group_url, code_expires_at,
        ...}.

        Raises ApiError 503 TELEGRAM_CHANNEL_NOT_CONFIGURED, 412 without a verified e-mail address.
        """
        return self._call(_notifications.connect_telegram, label=label)

    connect_telegram = channels_connect_telegram  # the older name

    def await_tap(self, started: dict[str, Any]) -> dict[str, Any]:
        """Wait until a person has connected the channel.

        GET .../channels every 3 seconds until the binding is active: `started` plus {connected, binding} or
        {timed_out}.

        Until `code_expires_at`, 20 minutes when it cannot be read, and an hour at most. A look that fails is told and
        repeated.
        """
        return self._call(_notifications.await_tap, started, self._say)

    def channels_list(self) -> Any:
        """List e-mail, webhook and Telegram channels.

        GET /agent/v1/notifications/channels -> {email, webhook, telegram: [{id, status, chat_title, label, ...}]}.
        """
        return self._call(_notifications.channels)

    channels = channels_list  # the older name

    def channels_revoke(self, binding_id: str) -> Any:
        """Revoke a Telegram binding.

        DELETE .../channels/telegram/{binding} -> {status: revoked, binding_id}; 404 for missing and foreign ones alike.
        """
        return self._call(_notifications.revoke_channel, binding_id)

    revoke_channel = channels_revoke  # the older name

    def rules_add(
        self,
        binding_id: str,
        *,
        project_id: str | None = None,
        source: str | None = None,
        event_types: builtins.list[str] | None = None,
        classes: builtins.list[str] | None = None,
    ) -> Any:
        """Route the events that match every given option to a Telegram binding.

        POST /agent/v1/notifications/rules {telegram_binding_id, project_id?, source?, event_types?, classes?} -> the
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

    add_rule = rules_add  # the older name

    def rules_list(self) -> Any:
        """List the rules, newest first.

        GET /agent/v1/notifications/rules -> {rules: [rule]}, newest first.
        """
        return self._call(_notifications.rules)

    rules = rules_list  # the older name

    def rules_rm(self, rule_id: str) -> Any:
        """Delete a rule.

        DELETE /agent/v1/notifications/rules/{rule} -> {deleted, rule_id}.
        """
        return self._call(_notifications.remove_rule, rule_id)

    remove_rule = rules_rm  # the older name

    def rotate_webhook_secret(self) -> Any:
        """Create a new signing secret, shown once; the one before stays valid for a day.

        POST /agent/v1/webhook-secret/rotate -> {webhook_signing_secret, rotated_at, grace_window_hours, note}, once.
        """
        return self._call(_notifications.rotate_webhook_secret)
