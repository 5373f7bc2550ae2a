"""What happened to a project or an organization, as a feed with a cursor. See docs/diagnostics.md, "Events"."""

from __future__ import annotations

from typing import Any

from run402_cli.client import Client, segment, with_query

SOURCES = ("app", "platform")


def page(
    client: Client,
    *,
    project_id: str | None = None,
    org_id: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    source: str | None = None,
    event_type: str | None = None,
) -> Any:
    """GET /projects/v1/{id}/events or /orgs/v1/{id}/events [?cursor&limit&source&event_type] as the principal.

    Returns {events: [{id, event_type, class, occurred_at, payload, next_actions, source?}], cursor, has_more, reset}, oldest
    first. A cursor that is too old is no error: `reset` is true and the page starts at the earliest event kept.
    """
    whose = f"/orgs/v1/{segment(org_id)}" if org_id is not None else f"/projects/v1/{segment(project_id or '')}"
    path = with_query(f"{whose}/events", cursor=cursor, limit=limit, source=source, event_type=event_type)
    return client.request("GET", path, context="reading events", auth=client.principal())
