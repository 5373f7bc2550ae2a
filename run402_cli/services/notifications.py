"""Health notifications for operators: what was sent, preferences, Telegram channels, routing rules, the webhook's secret.

With the caller's own credential. The gateway wants more assurance for more effect: a verified e-mail address for what
touches other wallets, a passkey for webhook URL, secret, channels and rules (403 or 412 with next_actions otherwise).
See docs/operator.md, "Notifications".
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from run402_cli.client import Client, segment, with_query
from run402_cli.errors import ApiError, NetworkError, ValidationError
from run402_cli.state import sessions

SOURCES = ("app", "platform")
_BASE = "/agent/v1/notifications"
_POLL_S = 3.0
# Seconds to wait for the tap where the gateway does not say, and at most.
_CODE_S = 1200.0
_LONGEST_S = 3600.0
_PROGRESS_EVERY = 5

Json = Any
Tell = Callable[[str], None]


def list_notifications(
    client: Client,
    *,
    type: str | None = None,
    since: str | None = None,
    limit: int | None = None,
    after: str | None = None,
) -> Json:
    """GET /agent/v1/notifications[?type&since&limit&after] -> {notifications, has_more, next_cursor}."""
    path = with_query(_BASE, type=type, since=since, limit=limit, after=after)
    return client.request("GET", path, context="listing notifications", auth=client.principal())


def get(client: Client, notification_id: str) -> Json:
    """GET /agent/v1/notifications/{id} -> the notification."""
    path = f"{_BASE}/{segment(notification_id)}"
    return client.request("GET", path, context="reading the notification", auth=client.principal())


def preferences(client: Client) -> Json:
    """GET /agent/v1/notifications/preferences -> {channels, webhook_url, digest_cadence, threshold_alerts, ...}."""
    return client.request("GET", f"{_BASE}/preferences", context="reading preferences", auth=client.principal())


def set_preferences(client: Client, changes: dict[str, Json]) -> Json:
    """PATCH /agent/v1/notifications/preferences with the changes -> all preferences."""
    path = f"{_BASE}/preferences"
    return client.request("PATCH", path, context="changing preferences", auth=client.principal(), body=changes)


def send_test(client: Client, *, source: str | None = None, event_type: str | None = None) -> Json:
    """POST /agent/v1/notifications/test {source?, event_type?} -> {status, source_event_id, drained, telegram, note}.

    Once a minute for each wallet.
    """
    given = {"source": source, "event_type": event_type}
    body = {key: value for key, value in given.items() if value is not None}
    return client.request("POST", f"{_BASE}/test", context="sending the test", auth=client.principal(), body=body)


# -- Telegram channels ----------------------------------------------------------------------------------------------------


def connect_telegram(client: Client, *, label: str | None = None) -> dict[str, Json]:
    """POST .../channels/telegram {label?} -> {binding_id, status, connect_url, connect_group_url, code_expires_at, ...}.

    Raises ApiError 503 TELEGRAM_CHANNEL_NOT_CONFIGURED, 412 without a verified e-mail address.
    """
    body = {} if label is None else {"label": label}
    path = f"{_BASE}/channels/telegram"
    answer = client.request("POST", path, context="connecting Telegram", auth=client.principal(), body=body)
    if not isinstance(answer, dict) or not isinstance(answer.get("binding_id"), str):
        raise ValidationError(
            "The gateway answered the connection with something that is not the documented JSON.", code="INTERNAL_ERROR"
        )
    return answer


def await_tap(client: Client, started: dict[str, Json], tell: Tell) -> dict[str, Json]:
    """Wait until a person has connected the channel.

    GET .../channels every 3 seconds until the binding is active: `started` plus {connected, binding} or {timed_out}.

    Until `code_expires_at`, 20 minutes when it cannot be read, and an hour at most. A look that fails is told and repeated.
    """
    ends = sessions.epoch_ms(started.get("code_expires_at"))
    left_s = _CODE_S if ends is None else (ends - sessions.now_ms()) / 1000
    deadline = time.monotonic() + min(left_s, _LONGEST_S)
    looks = 0
    while True:
        looks += 1
        if looks % _PROGRESS_EVERY == 1:
            tell("Waiting for the tap in Telegram.")
        binding = _active_binding(client, started["binding_id"], tell)
        if binding is not None:
            return {**started, "connected": True, "binding": binding}
        if time.monotonic() >= deadline:
            return {**started, "connected": False, "timed_out": True}
        time.sleep(_POLL_S)


def _active_binding(client: Client, binding_id: str, tell: Tell) -> Json:
    try:
        answer = channels(client)
    except (ApiError, NetworkError) as exc:
        tell(f"note: {exc.message} Looking again.")
        return None
    entries = answer.get("telegram") if isinstance(answer, dict) else None
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and (entry.get("id"), entry.get("status")) == (binding_id, "active"):
            return entry
    return None


def channels(client: Client) -> Json:
    """GET /agent/v1/notifications/channels -> {email, webhook, telegram: [{id, status, chat_title, label, ...}]}."""
    return client.request("GET", f"{_BASE}/channels", context="listing channels", auth=client.principal())


def revoke_channel(client: Client, binding_id: str) -> Json:
    """DELETE .../channels/telegram/{binding} -> {status: revoked, binding_id}; 404 for missing and foreign ones alike."""
    path = f"{_BASE}/channels/telegram/{segment(binding_id)}"
    return client.request("DELETE", path, context="revoking the channel", auth=client.principal())


# -- rules ----------------------------------------------------------------------------------------------------------------


def add_rule(
    client: Client,
    binding_id: str,
    *,
    project_id: str | None = None,
    source: str | None = None,
    event_types: list[str] | None = None,
    classes: list[str] | None = None,
) -> Json:
    """POST /agent/v1/notifications/rules {telegram_binding_id, project_id?, source?, event_types?, classes?} -> the rule.

    What is left out matches everything; an empty list matches nothing.
    """
    given = {"project_id": project_id, "source": source, "event_types": event_types, "classes": classes}
    body = {"telegram_binding_id": binding_id, **{key: value for key, value in given.items() if value is not None}}
    return client.request("POST", f"{_BASE}/rules", context="adding the rule", auth=client.principal(), body=body)


def rules(client: Client) -> Json:
    """GET /agent/v1/notifications/rules -> {rules: [rule]}, newest first."""
    return client.request("GET", f"{_BASE}/rules", context="listing rules", auth=client.principal())


def remove_rule(client: Client, rule_id: str) -> Json:
    """DELETE /agent/v1/notifications/rules/{rule} -> {deleted, rule_id}."""
    path = f"{_BASE}/rules/{segment(rule_id)}"
    return client.request("DELETE", path, context="deleting the rule", auth=client.principal())


# -- webhook --------------------------------------------------------------------------------------------------------------


def rotate_webhook_secret(client: Client) -> Json:
    """POST /agent/v1/webhook-secret/rotate -> {webhook_signing_secret, rotated_at, grace_window_hours, note}, once."""
    path = "/agent/v1/webhook-secret/rotate"
    return client.request("POST", path, context="rotating the webhook secret", auth=client.principal(), reveals=True)
