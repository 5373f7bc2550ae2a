"""Page the humans of an organization.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Namespace
from run402_cli.services import escalations as _escalations

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Escalations(Namespace[None]):
    """Page the humans of an organization."""

    def find_org(self, *, org: str | None, project: Callable[[], str]) -> str:
        """The organization that a command means: `org`, else RUN402_ORG, else the owner of `project()`.

        The owner takes one request: GET /projects/v1/{id} -> its `org_id`.
        """
        return self._call(_escalations.find_org, org=org, project=project)

    def raise_escalation(self, org_id: str, reason: str, **fields: str | None) -> Any:
        """Page a human of the organization.

        POST /orgs/v1/{org}/escalations {reason, severity?, project_id?, presence_name?, idempotency_key?}.

        Returns the escalation plus delivery: {status: queued, level, will_page: [{email, display_name}], deadline_at},
        deduplicated, warnings?, next_actions?. `will_page` is what is planned, not what arrived. Raises ValidationError
        LOCAL_ERROR for a blank reason; ApiError 429 after five a day.
        """
        with self._scope():
            return _escalations.raise_escalation(self._client, org_id, reason, **fields)

    def wait(self, org_id: str, raised: Any, *, poll_s: int = 30, timeout_s: int = 3600) -> Any:
        """Read the escalation until somebody has taken it over, and return its last state; after `timeout_s` it is still
        open.

        At once, then every `poll_s` seconds. A failed read is raised: not knowing is not the same as nobody answering.
        """
        return self._call(_escalations.wait, org_id, raised, poll_s=poll_s, timeout_s=timeout_s)

    def list(
        self, org_id: str, *, status: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> Any:
        """List escalations: all of the organization for members, a delegate's own otherwise (`scope`).

        GET /orgs/v1/{org}/escalations[?status&limit&cursor] -> {escalations, scope, has_more, next_cursor}.
        """
        return self._call(_escalations.list_escalations, org_id, status=status, limit=limit, cursor=cursor)

    def get(self, org_id: str, escalation_id: str, *, delivery: bool = False) -> Any:
        """Show one escalation.

        GET /orgs/v1/{org}/escalations/{escalation}[?include=delivery] -> the escalation, with delivery_attempts if
        asked.
        """
        return self._call(_escalations.get, org_id, escalation_id, delivery=delivery)

    def ack(self, org_id: str, escalation_id: str) -> Any:
        """Take an escalation over.

        POST .../{escalation}/ack {} as a member -> the escalation plus changed.
        """
        return self._call(_escalations.ack, org_id, escalation_id)

    def resolve(self, org_id: str, escalation_id: str, *, note: str | None = None) -> Any:
        """Close an escalation.

        POST .../{escalation}/resolve {note} as a member -> the escalation plus changed.
        """
        return self._call(_escalations.resolve, org_id, escalation_id, note=note)

    def contacts_list(self, org_id: str) -> Any:
        """List who is paged, by level.

        GET /orgs/v1/{org}/escalation-contacts -> {escalation_contacts: [{contact_id, email, display_name, level,
        ...}]}.
        """
        return self._call(_escalations.list_contacts, org_id)

    list_contacts = contacts_list  # the older name

    def contacts_add(self, org_id: str, email: str, *, name: str | None = None, level: int | None = None) -> Any:
        """Add somebody to page.

        POST /orgs/v1/{org}/escalation-contacts {email, display_name?, level?} as an owner -> the contact.
        """
        return self._call(_escalations.add_contact, org_id, email, name=name, level=level)

    add_contact = contacts_add  # the older name

    def contacts_remove(self, org_id: str, contact_id: str) -> Any:
        """Remove somebody from those who are paged.

        DELETE /orgs/v1/{org}/escalation-contacts/{contact} as an owner -> {contact_id, revoked}.
        """
        return self._call(_escalations.remove_contact, org_id, contact_id)

    remove_contact = contacts_remove  # the older name
