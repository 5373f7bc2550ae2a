"""The account: status, the agent's contact, notifications, the gateway's health, and results kept for later."""

from __future__ import annotations

from typing import Any

from run402_cli.errors import ValidationError
from run402_cli.mcp._tool import DESTRUCTIVE, LOCAL_READ, READ, WRITE, Call, Tool, may, need, tool
from run402_cli.services import agent, notifications, service
from run402_cli.services import status as account

_PREFERENCES = (
    may("digest_cadence", "off|daily|weekly|monthly"),
    may("digest_day_of_week", "int", "1 is Monday.", low=1, high=7),
    may("digest_hour_utc", "int", low=0, high=23),
    may("threshold_alerts", "off|digest_only|immediate"),
    may("lifecycle_events", "off|critical_only|all"),
    may("webhook_url", "string|null", "https; null takes it away."),
    may("locale"),
    may("timezone"),
)
_SOURCE = may("source", "app|platform")


def _contact(call: Call) -> Any:
    webhook = call["webhook"]
    if webhook and not webhook.lower().startswith("https://"):
        raise ValidationError("webhook must be an https address.", code="BAD_WEBHOOK_URL", details={"field": "webhook"})
    return agent.set_contact(call.client, call["name"], email=call["email"], webhook=webhook)


def _message(call: Call) -> Any:
    agent.message_size(call["message"])
    return agent.send_message(call.client, call["message"])


def _set_preferences(call: Call) -> Any:
    changes = call.given(*(param.name for param in _PREFERENCES))
    if not changes:
        raise ValidationError("Nothing is to be changed.", reason="NOTHING_TO_CHANGE")
    return notifications.set_preferences(call.client, changes)


def _list(call: Call) -> Any:
    return notifications.list_notifications(
        call.client, **{"after": None, **call.given("type", "since", "limit", "after")}
    )


def _add_rule(call: Call) -> Any:
    given = call.given("project_id", "source", "event_types", "classes")
    return notifications.add_rule(call.client, call["telegram_binding_id"], **given)


_AGENT = (
    tool(
        "status",
        "The whole account in one document: wallet, balances, tier, projects, active project, gateway.",
        READ,
        lambda c: account.status(c.client),
        cli="status",
        allowance=True,
    ),
    tool(
        "send_message",
        "Write to the developers of Run402.",
        WRITE,
        _message,
        need("message"),
        cli="message send",
        allowance=True,
    ),
    tool(
        "set_agent_contact",
        "Register how to reach the operator of this wallet.",
        WRITE,
        _contact,
        need("name"),
        may("email", about="A new one starts a reply challenge."),
        may("webhook", about="https address."),
        cli="agent contact",
        allowance=True,
    ),
    tool(
        "get_agent_contact_status",
        "How far the operator's contact is verified.",
        READ,
        lambda c: agent.status(c.client),
        cli="agent status",
        allowance=True,
    ),
    tool(
        "verify_agent_contact_email",
        "Send the e-mail that the operator must reply to.",
        WRITE,
        lambda c: agent.verify_email(c.client),
        cli="agent verify-email",
        allowance=True,
    ),
    tool(
        "start_operator_passkey_enrollment",
        "Mail the link that enrolls the operator's passkey.",
        WRITE,
        lambda c: agent.enroll_passkey(c.client),
        cli="agent passkey enroll",
        allowance=True,
    ),
    tool(
        "get_operator_status",
        "How the operator behind this wallet stands.",
        READ,
        lambda c: agent.operator_status(c.client),
        allowance=True,
    ),
)

_NOTIFICATIONS = (
    tool(
        "get_notification_preferences",
        "What the operator is told, and how often.",
        READ,
        lambda c: notifications.preferences(c.client),
        cli="notifications preferences",
        allowance=True,
    ),
    tool(
        "set_notification_preferences",
        "Change what the operator is told.",
        WRITE,
        _set_preferences,
        *_PREFERENCES,
        cli="notifications preferences set",
        allowance=True,
    ),
    tool(
        "list_notifications",
        "Notifications that were sent or skipped.",
        READ,
        _list,
        may("type", about="Only this event type."),
        may("since", about="ISO date-time."),
        may("limit", "int", low=1, high=200),
        may("after"),
        cli="notifications list",
        allowance=True,
    ),
    tool(
        "test_notification",
        "Send a real test notification over every channel; once a minute.",
        WRITE,
        lambda c: notifications.send_test(c.client, **c.given("source", "event_type")),
        _SOURCE,
        may("event_type"),
        cli="notifications test",
    ),
    tool(
        "rotate_webhook_secret",
        "Make a new secret that signs the operator webhook. It is shown once; the one before stays valid for a day.",
        DESTRUCTIVE,
        lambda c: notifications.rotate_webhook_secret(c.client),
        cli="webhook-secret rotate",
        allowance=True,
    ),
    tool(
        "list_notification_channels",
        "E-mail, webhook and Telegram channels.",
        READ,
        lambda c: notifications.channels(c.client),
        cli="notifications channels list",
        allowance=True,
    ),
    tool(
        "list_notification_rules",
        "Which events go to which Telegram chat.",
        READ,
        lambda c: notifications.rules(c.client),
        cli="notifications rules list",
        allowance=True,
    ),
    tool(
        "create_notification_rule",
        "Send the events that match everything given to a Telegram chat.",
        WRITE,
        _add_rule,
        need("telegram_binding_id"),
        may("project_id"),
        _SOURCE,
        may("event_types", "[string]"),
        may("classes", "[string]"),
        cli="notifications rules add",
        allowance=True,
    ),
    tool(
        "delete_notification_rule",
        "Delete a routing rule of notifications.",
        DESTRUCTIVE,
        lambda c: notifications.remove_rule(c.client, c["rule_id"]),
        need("rule_id"),
        cli="notifications rules rm",
        allowance=True,
    ),
)

_SERVICE = (
    tool(
        "service_status",
        "Availability of the gateway. No credentials.",
        READ,
        lambda c: service.status(c.client),
        cli="service status",
    ),
    tool(
        "service_health",
        "Whether the gateway lives, with its checks. No credentials.",
        READ,
        lambda c: service.health(c.client),
        cli="service health",
    ),
    tool(
        "expand_result",
        "Read on in a result that another tool shortened.",
        LOCAL_READ,
        lambda c: c.store.read(c["ref"], offset=c["offset"], limit=c["limit"]),
        need("ref", about="res_..., as the shortened result said."),
        may("offset", "int", default=0, low=0),
        may("limit", "int", default=100, low=1, high=1000),
    ),
)

TOOLS: tuple[Tool, ...] = (*_AGENT, *_NOTIFICATIONS, *_SERVICE)
