"""Rooms: presence and messages of those who work on the same project or organization. See docs/rooms.md.

All with the caller's own credential. A presence is one session in one working directory: its id is remembered there (or comes
from RUN402_PRESENCE_ID), lives about an hour, and is replaced when the gateway says that it has expired. `say` is told
in a sentence what a person should know, such as a granted name that differs from the one asked for.

A message: {message_id, cursor, room_key, sender, body_snippet, body_truncated, body?, thread_id, importance, ack_required,
recipients: [{name, kind: to|cc, ack_required, acked_at}], created_at}. A presence: {presence_id, name, task, program, model,
state, last_active, expires_at, ...}.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from run402_cli.client import Client, segment, with_query
from run402_cli.errors import ApiError, Run402Error, UsageError, ValidationError
from run402_cli.services._checks import refused
from run402_cli.state.messaging import note_room, read_room

Json = Any
Say = Callable[[str], None]

IMPORTANCE = ("normal", "high")


@dataclass(frozen=True, slots=True)
class Room:
    """The address of a room. Rooms come into being when they are first used."""

    org_id: str
    room_key: str

    @property
    def key(self) -> str:
        """Its name in the session file."""
        return f"{self.org_id}/{self.room_key}"

    def path(self, *tail: str) -> str:
        parts = [segment(self.org_id), "rooms", segment(self.room_key), *map(segment, tail)]
        return "/".join(["/orgs/v1", *parts])


def find_room(client: Client, *, org: str | None, room: str | None, project: Callable[[], str]) -> Room:
    """The room that a command means: `org` and `room`, else RUN402_ROOM, else the default room of `project()`.

    The last one reads GET /projects/v1/{id} for the owning organization. Raises UsageError for `room` without `org` and a
    malformed RUN402_ROOM, and what `project` raises.
    """
    read_room("")  # a damaged session file is said before anything is sent
    if room:
        if not org:
            raise UsageError(
                "--room needs --org: a room belongs to an organization.",
                hint=f"--org <org_id> --room {room}; your organizations: run402 org list",
            )
        return Room(org, room)
    named = os.environ.get("RUN402_ROOM", "").strip()
    if named:
        org_id, _, room_key = named.partition("/")
        if not org_id or not room_key or named.endswith("/"):
            raise UsageError(
                "RUN402_ROOM is not <org_id>/<room_key>.",
                hint="Correct it, or unset it to use the default room of the project.",
                details={"value": named},
            )
        return Room(org_id, room_key)
    project_id = project()
    return Room(owning_org(client, project_id), project_id)


def owning_org(client: Client, project_id: str) -> str:
    """The organization that owns a project.

    GET /projects/v1/{id} -> its `org_id`. Raises ValidationError LOCAL_ERROR when the answer has none.
    """
    path = f"/projects/v1/{segment(project_id)}"
    answer = client.request("GET", path, context="reading the project's organization", auth=client.principal())
    org_id = answer.get("org_id") if isinstance(answer, dict) else None
    if not isinstance(org_id, str) or not org_id:
        raise ValidationError(
            f"The gateway named no organization for {project_id}. Say which one: --org <org_id>", reason="ORG_UNKNOWN"
        )
    return org_id


# -- presence -----------------------------------------------------------------------------------------------------------


def presence_of(room: Room) -> str | None:
    """The id of this session's presence: RUN402_PRESENCE_ID, else the remembered one, else None."""
    known = read_room(room.key).get("presence_id")
    return os.environ.get("RUN402_PRESENCE_ID", "").strip() or (known if isinstance(known, str) and known else None)


def register(client: Client, room: Room, say: Say, *, name: str | None = None, task: str | None = None) -> Json:
    """POST .../presences {requested_name?, task?} -> presence. Asks for `name`, else for the name last asked for."""
    wanted = name or read_room(room.key).get("requested_name")
    body = {key: value for key, value in (("requested_name", wanted), ("task", task)) if value}
    answer = client.request(
        "POST", room.path("presences"), context="entering the room", auth=client.principal(), body=body
    )
    _remember(room, answer, asked=name)
    granted = answer.get("name") if isinstance(answer, dict) else None
    if granted and wanted and granted != wanted:
        say(f"The name {wanted} is taken in this room; you are {granted}.")
    return answer


def _remember(room: Room, presence: Json, *, asked: str | None) -> None:
    if not isinstance(presence, dict) or not presence.get("presence_id"):
        return
    fields = {"presence_id": presence["presence_id"], "name": presence.get("name")}
    # The wish, not the granted name: a replacement of "Ada-2" asks for "Ada" again.
    note_room(room.key, fields | ({"requested_name": asked} if asked else {}))


def with_presence(
    client: Client, room: Room, say: Say, call: Callable[[str | None], Json], **wishes: str | None
) -> Json:
    """`call(presence id or None)`; when that presence has expired, once more with a new one."""
    presence_id = presence_of(room)
    try:
        return call(presence_id)
    except ApiError as exc:
        if presence_id is None or exc.code != "PRESENCE_EXPIRED":
            raise
    note_room(room.key, {"presence_id": None, "name": None})
    fresh = register(client, room, say, **wishes)
    return call(fresh.get("presence_id") if isinstance(fresh, dict) else None)


def who(
    client: Client,
    room: Room,
    say: Say,
    *,
    name: str | None = None,
    task: str | None = None,
    include_expired: bool = False,
) -> dict[str, Json]:
    """Enter the room unless this session is in it, and GET .../presences?include_expired.

    Returns {org_id, room_key, you: presence plus registered (false: it was there already), presences, ...}.
    """
    you = _live_presence(client, room)
    registered = you is None
    if you is None:
        answer = register(client, room, say, name=name, task=task)
        you = answer if isinstance(answer, dict) else {}
    listing = list_presences(client, room, include_expired=include_expired)
    rest = listing if isinstance(listing, dict) else {}
    shown = {"org_id": room.org_id, "room_key": room.room_key, "you": {**you, "registered": registered}}
    return {**shown, "presences": [], **rest, **shown}


def list_presences(client: Client, room: Room, *, include_expired: bool = False) -> Json:
    """List who is in the room, without entering it.

    GET .../presences?include_expired=true|false -> {presences: [presence]}.
    """
    path = with_query(room.path("presences"), include_expired="true" if include_expired else "false")
    return client.request("GET", path, context="listing who is in the room", auth=client.principal())


def _live_presence(client: Client, room: Room) -> dict[str, Json] | None:
    presence_id = presence_of(room)
    if presence_id is None:
        return None
    path = room.path("presences", presence_id)
    try:
        answer = client.request("GET", path, context="reading the presence", auth=client.principal())
        lives = datetime.fromisoformat(answer["expires_at"]).astimezone(UTC) > datetime.now(UTC)
    except (Run402Error, KeyError, TypeError, ValueError, OverflowError):
        return None
    return answer if lives else None


# -- messages -----------------------------------------------------------------------------------------------------------


def send(
    client: Client,
    room: Room,
    say: Say,
    message: dict[str, Json],
    *,
    name: str | None = None,
    task: str | None = None,
) -> Json:
    """POST .../messages -> message plus deduplicated, sender_presence, live_presences, next_actions.

    `message`: {body, to: [name], cc: [name], thread_id?, importance?, ack_required, idempotency_key?}. Without a presence the
    gateway makes one, which is remembered. Raises ValidationError LOCAL_ERROR for an empty body.
    """
    if not message["body"]:
        raise refused("body", 'The message is empty. Example: run402 rooms send "Deploying now"')

    def post(presence_id: str | None) -> Json:
        wishes = {"presence_id": presence_id, "requested_name": name, "task": task}
        body = {**message, **{key: value for key, value in wishes.items() if value}}
        path = room.path("messages")
        return client.request("POST", path, context="sending the message", auth=client.principal(), body=body)

    answer = with_presence(client, room, say, post, name=name, task=task)
    _remember(room, answer.get("sender_presence") if isinstance(answer, dict) else None, asked=name)
    return answer


def list_messages(
    client: Client,
    room: Room,
    say: Say,
    *,
    unread: bool = False,
    cursor: str | None = None,
    before: str | None = None,
    thread: str | None = None,
    limit: int | None = None,
) -> Json:
    """GET .../messages from `cursor`, else from where this working directory stopped; or, with `before`, older ones first.

    Returns {messages, cursor, has_more, reset?, earliest_cursor?, before_cursor?}. The cursor is remembered, unless older ones
    were read. One that is too old is no error: `reset` is true. `unread`: addressed to this session and not acknowledged.
    """
    start = cursor or (None if before else read_room(room.key).get("cursor"))

    def get(presence_id: str | None) -> Json:
        path = with_query(
            room.path("messages"),
            order="desc" if before else None,
            before=before or None,
            cursor=None if before else start,
            thread_id=thread or None,
            addressed_to="me" if unread else None,
            unread="true" if unread else None,
            presence_id=presence_id,
            limit=limit,
        )
        return client.request("GET", path, context="reading messages", auth=client.principal())

    answer = with_presence(client, room, say, get)
    reached = answer.get("cursor") if isinstance(answer, dict) else None
    if not before and isinstance(reached, str) and reached:
        note_room(room.key, {"cursor": reached})
    return answer


def get(client: Client, room: Room, message_id: str) -> Json:
    """GET .../messages/{message} -> the message with its whole body."""
    path = room.path("messages", message_id)
    return client.request("GET", path, context="reading the message", auth=client.principal())


def ack(client: Client, room: Room, say: Say, message_id: str) -> Json:
    """POST .../messages/{message}/ack {presence_id?} -> {message_id, acked_at, already_acked}."""

    def post(presence_id: str | None) -> Json:
        body = {"presence_id": presence_id} if presence_id else {}
        path = room.path("messages", message_id, "ack")
        return client.request("POST", path, context="acknowledging the message", auth=client.principal(), body=body)

    return with_presence(client, room, say, post)
