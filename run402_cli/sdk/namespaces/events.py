"""What happened to a project or an organization.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Id, Namespace
from run402_cli.services import events as _events

if TYPE_CHECKING:
    from typing import Any


class ProjectEvents(Namespace[Id]):
    """What happened to a project or an organization. `project.events` fills in `project_id`."""

    def page(
        self,
        *,
        org_id: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        source: str | None = None,
        event_type: str | None = None,
    ) -> Any:
        """Read one page of events, oldest first.

        GET /projects/v1/{id}/events or /orgs/v1/{id}/events [?cursor&limit&source&event_type] as the principal.

        Returns {events: [{id, event_type, class, occurred_at, payload, next_actions, source?}], cursor, has_more,
        reset}, oldest first. A cursor that is too old is no error: `reset` is true and the page starts at the earliest
        event kept.
        """
        return self._call(
            _events.page,
            project_id=self._project_id,
            org_id=org_id,
            cursor=cursor,
            limit=limit,
            source=source,
            event_type=event_type,
        )


class Events(ProjectEvents[None]):
    """What happened to a project or an organization."""

    def page(
        self,
        *,
        project_id: str | None = None,
        org_id: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        source: str | None = None,
        event_type: str | None = None,
    ) -> Any:
        """Read one page of events, oldest first.

        GET /projects/v1/{id}/events or /orgs/v1/{id}/events [?cursor&limit&source&event_type] as the principal.

        Returns {events: [{id, event_type, class, occurred_at, payload, next_actions, source?}], cursor, has_more,
        reset}, oldest first. A cursor that is too old is no error: `reset` is true and the page starts at the earliest
        event kept.
        """
        return self._call(
            _events.page,
            project_id=project_id,
            org_id=org_id,
            cursor=cursor,
            limit=limit,
            source=source,
            event_type=event_type,
        )
