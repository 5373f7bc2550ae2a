"""Triggers of functions: what starts a run. See docs/protocol/releases.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from run402_cli.release.canonical import code_unit_sorted
from run402_cli.release.fields import SPEC, Fields, shown

SCHEDULE_KEYS: Final = ("cron", "timezone", "misfire_policy", "overlap_policy")
EMAIL_KEYS: Final = ("mailbox", "events")
RUN_KEYS: Final = ("event_type", "payload", "retry", "expires_after_seconds")
# An id is part of keys of the database, which hold 2,700 bytes.
MAX_ID: Final = 200
MAX_EVENT_TYPE: Final = 512
MAX_EXPIRES_SECONDS: Final = 10**9
EMAIL_EVENTS: Final = ("reply_received", "delivery", "bounced", "complained", "mailbox_suspended")

_KEYS: Final = ("id", "type", *SCHEDULE_KEYS, *EMAIL_KEYS, "run")
_HINTS: Final = {"delivery": "Remove delivery: runs are delivered by the gateway's own rules."}


def check_triggers(value: Any, where: str) -> None:
    """The client's check of a function's `triggers`."""
    ids: set[str] = set()
    for index, item in enumerate(SPEC.array(value, where)):
        place = f"{where}.{index}"
        trigger = SPEC.known(item, _KEYS, place, _HINTS)
        identifier = SPEC.text(trigger.get("id"), f"{place}.id")
        if identifier in ids:
            raise SPEC.error(f"{place}.id {identifier!r} is used twice. Give every trigger its own id.", f"{place}.id")
        ids.add(identifier)
        SPEC.one_of(trigger.get("type"), ("schedule", "email"), f"{place}.type")
        schedule = trigger["type"] == "schedule"
        foreign = [key for key in (EMAIL_KEYS if schedule else SCHEDULE_KEYS) if key in trigger]
        if foreign:
            raise SPEC.error(f"{place}.{foreign[0]} does not belong to a {trigger['type']} trigger. Remove it.", place)
        (_check_schedule if schedule else _check_email)(trigger, place)
        _check_run(trigger.get("run"), f"{place}.run")
        check_bounds(SPEC, trigger, place)


def check_bounds(fields: Fields, trigger: Mapping[str, Any], where: str) -> None:
    """What client and gateway alike ask of a trigger of the right shape: that runs can be made of it."""
    name = trigger["id"]
    if len(name) > MAX_ID or not name.isprintable():
        raise fields.error(f"{where}.id is {shown(name)}. Use at most {MAX_ID} printable characters.", f"{where}.id")
    run = trigger["run"]
    if len(run["event_type"]) > MAX_EVENT_TYPE:
        place = f"{where}.run.event_type"
        raise fields.error(f"{place} is {shown(run['event_type'])}. Use at most {MAX_EVENT_TYPE} characters.", place)
    if run.get("expires_after_seconds", 0) > MAX_EXPIRES_SECONDS:
        place = f"{where}.run.expires_after_seconds"
        raise fields.error(
            f"{place} is {shown(run['expires_after_seconds'])}. Use at most {MAX_EXPIRES_SECONDS}; leave it out for a run "
            "that does not expire.",
            place,
        )


def _check_schedule(trigger: Mapping[str, Any], where: str) -> None:
    cron = SPEC.text(trigger.get("cron"), f"{where}.cron")
    if len(cron.split()) != 5:
        raise SPEC.error(f"{where}.cron {cron!r} needs five fields, like */15 * * * *.", f"{where}.cron")
    if "timezone" in trigger:
        SPEC.text(trigger["timezone"], f"{where}.timezone")
    SPEC.one_of(trigger.get("misfire_policy", "skip"), ("skip",), f"{where}.misfire_policy")
    SPEC.one_of(trigger.get("overlap_policy", "allow"), ("allow",), f"{where}.overlap_policy")


def _check_email(trigger: Mapping[str, Any], where: str) -> None:
    SPEC.text(trigger.get("mailbox"), f"{where}.mailbox")
    events = SPEC.strings(trigger.get("events"), f"{where}.events")
    if not events:
        raise SPEC.error(f"{where}.events is empty. Use: {', '.join(EMAIL_EVENTS)}.", f"{where}.events")
    for event in events:
        SPEC.one_of(event, EMAIL_EVENTS, f"{where}.events")


def _check_run(value: Any, where: str) -> None:
    run = SPEC.known(value, RUN_KEYS, where)
    SPEC.text(run.get("event_type"), f"{where}.event_type")
    for key in ("payload", "retry"):
        if key in run:
            SPEC.mapping(run[key], f"{where}.{key}")
    if "expires_after_seconds" in run:
        SPEC.positive_integer(run["expires_after_seconds"], f"{where}.expires_after_seconds")


def normal_trigger(trigger: Mapping[str, Any]) -> dict[str, Any]:
    """A trigger with its defaults filled in: UTC, skip, allow, an empty payload; events sorted."""
    run = trigger["run"]
    wire_run = {"event_type": run["event_type"], "payload": run.get("payload", {})}
    wire_run |= {key: run[key] for key in ("retry", "expires_after_seconds") if key in run}
    head = {"id": trigger["id"], "type": trigger["type"]}
    if trigger["type"] == "schedule":
        schedule = {
            "cron": trigger["cron"],
            "timezone": trigger.get("timezone", "UTC"),
            "misfire_policy": trigger.get("misfire_policy", "skip"),
            "overlap_policy": trigger.get("overlap_policy", "allow"),
        }
        return {**head, **schedule, "run": wire_run}
    return {**head, "mailbox": trigger["mailbox"], "events": code_unit_sorted(trigger["events"]), "run": wire_run}
