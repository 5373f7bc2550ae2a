"""Rooms, claims, escalations, events: those who work on the same project or organization."""

from __future__ import annotations

from typing import Any

from run402_cli import output
from run402_cli.errors import ValidationError
from run402_cli.mcp._tool import READ, WRITE, Call, exclusive, may, need, tool
from run402_cli.services import claims, escalations, events, rooms

_ROOM = (
    may("project_id", about="The default room of this project; or org_id with room_key."),
    may("org_id"),
    may("room_key"),
)
_ENTRY = (may("requested_name"), may("task"))
_OWNER = (may("project_id", about="The project's organization; or org_id."), may("org_id"))


def _room(call: Call) -> rooms.Room:
    """The room that the inputs name: one of two forms, never both."""
    project_id, org_id, key = (call[name] for name in ("project_id", "org_id", "room_key"))
    if project_id is not None and (org_id is not None or key is not None):
        raise ValidationError(
            "Name a room by project_id, or by org_id with room_key, not by both.", reason="EXCLUSIVE_VALUES"
        )
    if project_id is not None:
        return rooms.Room(rooms.owning_org(call.client, project_id), project_id)
    if org_id is None or key is None:
        raise ValidationError("Which room? Give project_id, or org_id with room_key.", reason="MISSING_VALUE")
    return rooms.Room(org_id, key)


def _join(call: Call) -> dict[str, Any]:
    room = _room(call)
    known = rooms.presence_of(room)
    if known is not None:
        you: Any = {"presence_id": known, "reused": True}
    else:
        you = rooms.register(call.client, room, output.notice, name=call["requested_name"], task=call["task"])
    present, claimed = rooms.list_presences(call.client, room), claims.list_claims(call.client, room)
    return {"org_id": room.org_id, "room_key": room.room_key, "you": you, **_fields(present), **_fields(claimed)}


def _fields(answer: Any) -> dict[str, Any]:
    return answer if isinstance(answer, dict) else {}


def _send(call: Call) -> Any:
    message: dict[str, Any] = {
        "body": call["body"],
        "to": call["to"] or [],
        "cc": call["cc"] or [],
        "ack_required": bool(call["ack_required"]),
        **call.given("thread_id", "importance", "idempotency_key"),
    }
    room = _room(call)
    return rooms.send(call.client, room, output.notice, message, name=call["requested_name"], task=call["task"])


def _read(call: Call) -> Any:
    room = _room(call)
    if call["message_id"] is not None:
        return rooms.get(call.client, room, call["message_id"])
    return rooms.list_messages(
        call.client,
        room,
        output.notice,
        unread=bool(call["unread"]),
        cursor=call["cursor"],
        thread=call["thread_id"],
        limit=call["limit"],
    )


def _claim(call: Call) -> Any:
    return claims.create(
        call.client,
        _room(call),
        output.notice,
        call["resource"],
        mode=call["mode"],
        ttl_s=call["ttl_seconds"],
        note=call["note"],
    )


def _org(call: Call) -> str:
    if call["org_id"] is not None:
        return str(call["org_id"])
    if call["project_id"] is None:
        raise ValidationError("Which organization? Give org_id or project_id.", reason="MISSING_VALUE")
    return rooms.owning_org(call.client, call["project_id"])


def _raise(call: Call) -> Any:
    given = call.given("severity", "project_id", "presence_name", "idempotency_key")
    return escalations.raise_escalation(call.client, _org(call), call["reason"], **given)


def _escalation(call: Call) -> Any:
    org_id = _org(call)
    if call["escalation_id"] is None:
        return escalations.list_escalations(call.client, org_id, status=call["status"])
    return escalations.get(call.client, org_id, call["escalation_id"], delivery=bool(call["include_delivery"]))


def _events(call: Call) -> Any:
    exclusive(call, "project_id", "org_id", exactly=True)
    given = call.given("project_id", "org_id", "cursor", "limit", "source", "event_type")
    return events.page(call.client, **given)


TOOLS = (
    tool(
        "join_room",
        "Enter a room, unless this server is in it already, and see who is there and what they claim.",
        WRITE,
        _join,
        *_ROOM,
        *_ENTRY,
        cli=("rooms who", "claims list"),
    ),
    tool(
        "send_room_message",
        "Post a message in a room. Everybody there can read it, whomever it is for.",
        WRITE,
        _send,
        *_ROOM,
        need("body"),
        may("to", "[string]", "Names of those it is for."),
        may("cc", "[string]", "Names of those it may concern."),
        may("thread_id"),
        may("importance", "normal|high"),
        may("ack_required", "bool"),
        may("idempotency_key"),
        *_ENTRY,
        cli="rooms send",
    ),
    tool(
        "read_room_messages",
        "Read the messages of a room, or one of them in full.",
        READ,
        _read,
        *_ROOM,
        may("message_id", about="One message in full; filters mean nothing then."),
        may("cursor"),
        may("unread", "bool", "Addressed to this server and not acknowledged."),
        may("thread_id"),
        may("limit", "int", low=1, high=200),
        cli=("rooms list", "rooms get"),
    ),
    tool(
        "ack_room_message",
        "Acknowledge a room message that is addressed to this server.",
        WRITE,
        lambda c: rooms.ack(c.client, _room(c), output.notice, c["message_id"]),
        *_ROOM,
        need("message_id"),
        cli="rooms ack",
    ),
    tool(
        "claim_room_resource",
        "Say what this server works on: repo:<glob>, function:<name>, table:<name>, deploy, or any text. Nothing is ever "
        "blocked; claims of others on it are in `conflicts`.",
        WRITE,
        _claim,
        *_ROOM,
        need("resource"),
        may("mode", "exclusive|shared", default="exclusive"),
        may("ttl_seconds", "int", "How long it stands; the server's default is 3600.", low=1, high=86_400),
        may("note"),
        cli="claims create",
    ),
    tool(
        "release_room_claim",
        "Release a claim that this server has declared in a room.",
        WRITE,
        lambda c: claims.release(c.client, _room(c), c["claim_id"]),
        *_ROOM,
        need("claim_id"),
        cli="claims release",
    ),
    tool(
        "raise_escalation",
        "Page the humans of the organization. Poll get_escalation afterwards: silence is not consent.",
        WRITE,
        _raise,
        need("reason", about="What a human should decide or do."),
        may("severity", "normal|high"),
        *_OWNER,
        may("presence_name", about="Your name in the room."),
        may("idempotency_key"),
        cli="escalations raise",
    ),
    tool(
        "get_escalation",
        "One escalation, or without an id the list.",
        READ,
        _escalation,
        may("escalation_id"),
        *_OWNER,
        may("status", "open|acknowledged|resolved"),
        may("include_delivery", "bool"),
        cli=("escalations get", "escalations list"),
    ),
    tool(
        "list_project_events",
        "A page of what happened to a project or an organization, oldest first. Pass `cursor` on to read further.",
        READ,
        _events,
        may("project_id", about="This project; or org_id."),
        may("org_id"),
        may("cursor"),
        may("limit", "int", low=1, high=200),
        may("source", "app|platform"),
        may("event_type", about="Types, separated by commas."),
        cli="events",
    ),
)
