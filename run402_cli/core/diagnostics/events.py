"""The event feed of a project: what the gateway did, and what the project's own code says happened.

A cursor is the place after one event; it is opaque, and an event's id is one too. See docs/local-gateway-users.md, "Events".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from run402_cli import advice
from run402_cli.core.db import Connection
from run402_cli.core.diagnostics import event_rows
from run402_cli.core.gateway import Gateway
from run402_cli.core.releases.sections import Section
from run402_cli.core.web.instants import iso

_CURSOR = re.compile(r"evc_([0-9a-f]{1,16})")


class EventsSection(Section):
    """Every switch to a release is an event."""

    async def switched(self, gateway: Gateway, conn: Connection, project_id: str, state: Mapping[str, Any]) -> None:
        switch = await event_rows.release_switch(conn, project_id)
        if switch is not None:
            payload = {"release_id": switch[0], "previous_release_id": switch[1]}
            await event_rows.record(conn, project_id, "deploy_activated", payload)


SECTION = EventsSection()


def view(row: Mapping[str, Any]) -> dict[str, Any]:
    """An event as the feed shows it."""
    actions = []
    if row["event_type"] == "deploy_activated" and row["source"] == "platform":
        why = "Shows what the release is made of."
        command = advice.command(
            "deploy", "release", "get", row["payload"]["release_id"], "--project", row["project_id"]
        )
        actions.append(advice.entry("run_command", command, why=why))
    shown = {
        "id": row["event_id"],
        "event_type": row["event_type"],
        "class": row["class"],
        "source": row["source"],
        "project_id": row["project_id"],
        "occurred_at": iso(row["occurred_at"]),
        "payload": row["payload"],
        "next_actions": actions,
    }
    return shown | ({"payload_truncated": True} if row["payload_truncated"] else {})


async def page(
    conn: Connection,
    project_id: str | None,
    cursor: str | None,
    *,
    source: str | None,
    types: list[str] | None,
    limit: int,
    wallet: str | None = None,
    unowned: bool = True,
) -> dict[str, Any]:
    """`{events, cursor, has_more, reset, earliest_cursor?}`: the events after a cursor, oldest first."""
    earliest, latest = await event_rows.ends(conn, project_id)
    after = await _position(conn, project_id, cursor)
    # An event that was removed leaves a gap: whoever stood before it has missed something.
    reset = after is None or after > latest or (0 < after < earliest - 1 and not await event_rows.exists(conn, after))
    start = 0 if after is None or reset else after
    rows = await event_rows.after(
        conn, project_id, start, source=source, types=types, limit=limit + 1, wallet=wallet, unowned=unowned
    )
    shown, more = rows[:limit], len(rows) > limit
    # With filters a page may end before the feed does: what was looked at need not be looked at again.
    seen = shown[-1]["id"] if shown else start
    last = seen if more else max(latest, seen)
    found = {
        "events": [view(row) for row in shown],
        "cursor": f"evc_{last:x}",
        "has_more": more,
        "reset": reset,
    }
    return found | ({"earliest_cursor": f"evc_{max(earliest - 1, 0):x}"} if reset else {})


async def newest(conn: Connection, project_id: str, *, limit: int, offset: int) -> list[dict[str, Any]]:
    """Events of a project as the feed shows them, newest first."""
    return [view(row) for row in await event_rows.newest(conn, project_id, limit=limit, offset=offset)]


async def _position(conn: Connection, project_id: str | None, cursor: str | None) -> int | None:
    """The id after which to read; None for a cursor that is none of this feed."""
    if not cursor:
        return 0
    if found := _CURSOR.fullmatch(cursor):
        return min(int(found[1], 16), 2**63 - 1)
    return await event_rows.id_of(conn, project_id, cursor)
