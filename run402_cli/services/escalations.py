"""Escalations: page the humans of an organization and wait for one. See docs/rooms.md, "Escalations".

All with the caller's own credential; a delegate sees what it raised. An escalation: {escalation_id, org_id, project_id,
raised_by, severity: normal|high, reason, details, status: open|acknowledged|resolved, level, raised_at, deadline_at,
acknowledged: {at, by_email, channel}, resolved: {at, by_email, note}, climbs, repage_count, delivery_attempts?}.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from run402_cli.client import Client, segment, with_query
from run402_cli.services._checks import refused
from run402_cli.services.rooms import owning_org

Json = Any

SEVERITIES = ("normal", "high")
STATUSES = ("open", "acknowledged", "resolved")


def find_org(client: Client, *, org: str | None, project: Callable[[], str]) -> str:
    """The organization that a command means: `org`, else RUN402_ORG, else the owner of `project()`.

    The owner takes one request: GET /projects/v1/{id} -> its `org_id`.
    """
    return org or os.environ.get("RUN402_ORG", "").strip() or owning_org(client, project())


def _path(org_id: str, *tail: str) -> str:
    return "/".join(["/orgs/v1", segment(org_id), "escalations", *map(segment, tail)])


def _contacts(org_id: str, *tail: str) -> str:
    return "/".join(["/orgs/v1", segment(org_id), "escalation-contacts", *map(segment, tail)])


def raise_escalation(client: Client, org_id: str, reason: str, **fields: str | None) -> Json:
    """POST /orgs/v1/{org}/escalations {reason, severity?, project_id?, presence_name?, idempotency_key?}.

    Returns the escalation plus delivery: {status: queued, level, will_page: [{email, display_name}], deadline_at},
    deduplicated, warnings?, next_actions?. `will_page` is what is planned, not what arrived. Raises ValidationError
    LOCAL_ERROR for a blank reason; ApiError 429 after five a day.
    """
    if not reason.strip():
        raise refused("reason", "The reason is blank. Say what a human should decide or do.")
    body = {"reason": reason, **{key: value for key, value in fields.items() if value}}
    return client.request("POST", _path(org_id), context="raising the escalation", auth=client.principal(), body=body)


def wait(client: Client, org_id: str, raised: Json, *, poll_s: int = 30, timeout_s: int = 3600) -> Json:
    """Read the escalation until somebody has taken it over, and return its last state; after `timeout_s` it is still open.

    At once, then every `poll_s` seconds. A failed read is raised: not knowing is not the same as nobody answering.
    """
    last = raised
    escalation_id = raised.get("escalation_id") if isinstance(raised, dict) else None
    deadline = time.monotonic() + timeout_s
    while _is_open(last) and isinstance(escalation_id, str):
        last = get(client, org_id, escalation_id)
        if not _is_open(last) or time.monotonic() + poll_s > deadline:
            break
        time.sleep(poll_s)
    return last


def _is_open(escalation: Json) -> bool:
    return isinstance(escalation, dict) and escalation.get("status") == "open"


def list_escalations(
    client: Client, org_id: str, *, status: str | None = None, limit: int | None = None, cursor: str | None = None
) -> Json:
    """GET /orgs/v1/{org}/escalations[?status&limit&cursor] -> {escalations, scope, has_more, next_cursor}."""
    path = with_query(_path(org_id), status=status, limit=limit, cursor=cursor)
    return client.request("GET", path, context="listing escalations", auth=client.principal())


def get(client: Client, org_id: str, escalation_id: str, *, delivery: bool = False) -> Json:
    """GET /orgs/v1/{org}/escalations/{escalation}[?include=delivery] -> the escalation, with delivery_attempts if asked."""
    path = with_query(_path(org_id, escalation_id), include="delivery" if delivery else None)
    return client.request("GET", path, context="reading the escalation", auth=client.principal())


def ack(client: Client, org_id: str, escalation_id: str) -> Json:
    """POST .../{escalation}/ack {} as a member -> the escalation plus changed."""
    path = _path(org_id, escalation_id, "ack")
    return client.request("POST", path, context="acknowledging the escalation", auth=client.principal(), body={})


def resolve(client: Client, org_id: str, escalation_id: str, *, note: str | None = None) -> Json:
    """POST .../{escalation}/resolve {note} as a member -> the escalation plus changed."""
    path, body = _path(org_id, escalation_id, "resolve"), {"note": note}
    return client.request("POST", path, context="resolving the escalation", auth=client.principal(), body=body)


def list_contacts(client: Client, org_id: str) -> Json:
    """GET /orgs/v1/{org}/escalation-contacts -> {escalation_contacts: [{contact_id, email, display_name, level, ...}]}."""
    return client.request("GET", _contacts(org_id), context="listing contacts", auth=client.principal())


def add_contact(client: Client, org_id: str, email: str, *, name: str | None = None, level: int | None = None) -> Json:
    """POST /orgs/v1/{org}/escalation-contacts {email, display_name?, level?} as an owner -> the contact."""
    wishes = {"display_name": name, "level": level}
    body = {"email": email, **{key: value for key, value in wishes.items() if value is not None}}
    return client.request("POST", _contacts(org_id), context="adding the contact", auth=client.principal(), body=body)


def remove_contact(client: Client, org_id: str, contact_id: str) -> Json:
    """DELETE /orgs/v1/{org}/escalation-contacts/{contact} as an owner -> {contact_id, revoked}."""
    path = _contacts(org_id, contact_id)
    return client.request("DELETE", path, context="removing the contact", auth=client.principal())
