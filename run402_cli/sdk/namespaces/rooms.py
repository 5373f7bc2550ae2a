"""Who works on the same project, and messages between them.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Id, Namespace, of_project
from run402_cli.services import rooms as _rooms

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from run402_cli.services.rooms import Room


class ProjectRooms(Namespace[Id]):
    """Who works on the same project, and messages between them. `project.rooms` fills in `project_id`."""

    @of_project
    def owning_org(self, project_id: str) -> str:
        """The organization that owns a project.

        GET /projects/v1/{id} -> its `org_id`. Raises ValidationError LOCAL_ERROR when the answer has none.
        """
        return self._call(_rooms.owning_org, project_id)


class Rooms(ProjectRooms[None]):
    """Who works on the same project, and messages between them."""

    def find_room(self, *, org: str | None, room: str | None, project: Callable[[], str]) -> Room:
        """The room that a command means: `org` and `room`, else RUN402_ROOM, else the default room of `project()`.

        The last one reads GET /projects/v1/{id} for the owning organization. Raises UsageError for `room` without `org`
        and a malformed RUN402_ROOM, and what `project` raises.
        """
        return self._call(_rooms.find_room, org=org, room=room, project=project)

    def who(
        self, room: Room, *, name: str | None = None, task: str | None = None, include_expired: bool = False
    ) -> dict[str, Any]:
        """Enter the room, unless this session is in it already, and list who is there.

        Enter the room unless this session is in it, and GET .../presences?include_expired.

        Returns {org_id, room_key, you: presence plus registered (false: it was there already), presences, ...}.
        """
        return self._call(_rooms.who, room, self._say, name=name, task=task, include_expired=include_expired)

    def list_presences(self, room: Room, *, include_expired: bool = False) -> Any:
        """List who is in the room, without entering it.

        GET .../presences?include_expired=true|false -> {presences: [presence]}.
        """
        return self._call(_rooms.list_presences, room, include_expired=include_expired)

    def send(self, room: Room, message: dict[str, Any], *, name: str | None = None, task: str | None = None) -> Any:
        """Post a message.

        POST .../messages -> message plus deduplicated, sender_presence, live_presences, next_actions.

        `message`: {body, to: [name], cc: [name], thread_id?, importance?, ack_required, idempotency_key?}. Without a
        presence the gateway makes one, which is remembered. Raises ValidationError LOCAL_ERROR for an empty body.
        """
        return self._call(_rooms.send, room, self._say, message, name=name, task=task)

    def list(
        self,
        room: Room,
        *,
        unread: bool = False,
        cursor: str | None = None,
        before: str | None = None,
        thread: str | None = None,
        limit: int | None = None,
    ) -> Any:
        """Read messages from where this directory stopped.

        GET .../messages from `cursor`, else from where this working directory stopped; or, with `before`, older ones
        first.

        Returns {messages, cursor, has_more, reset?, earliest_cursor?, before_cursor?}. The cursor is remembered, unless
        older ones were read. One that is too old is no error: `reset` is true. `unread`: addressed to this session and
        not acknowledged.
        """
        return self._call(
            _rooms.list_messages,
            room,
            self._say,
            unread=unread,
            cursor=cursor,
            before=before,
            thread=thread,
            limit=limit,
        )

    def get(self, room: Room, message_id: str) -> Any:
        """Show one message with its whole body.

        GET .../messages/{message} -> the message with its whole body.
        """
        return self._call(_rooms.get, room, message_id)

    def ack(self, room: Room, message_id: str) -> Any:
        """Acknowledge a message that is addressed to this session.

        POST .../messages/{message}/ack {presence_id?} -> {message_id, acked_at, already_acked}.
        """
        return self._call(_rooms.ack, room, self._say, message_id)
