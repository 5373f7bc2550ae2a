"""What platform administrators may do to projects and organizations.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Id, Namespace, of_project
from run402_cli.services import admin as _admin

if TYPE_CHECKING:
    from typing import Any


class ProjectAdmin(Namespace[Id]):
    """What platform administrators may do to projects and organizations. `project.admin` fills in `project_id`."""

    @of_project
    def archive(self, project_id: str, *, reason: str | None = None) -> Any:
        """Archive a project at once, without confirmation; without --project the active one.

        POST /projects/v1/admin/{id}/archive {reason?} -> {status, project_id, archived_at?, reason?, note?}.
        """
        return self._call(_admin.archive, project_id, reason=reason)

    @of_project
    def reactivate(self, project_id: str) -> Any:
        """Bring an archived project back.

        POST /projects/v1/admin/{id}/reactivate -> {status, project_id, reactivated?, note?}.
        """
        return self._call(_admin.reactivate, project_id)


class Admin(ProjectAdmin[None]):
    """What platform administrators may do to projects and organizations."""

    def lease_perpetual(self, org_id: str, *, enabled: bool) -> Any:
        """Pin or unpin the lease of an organization.

        POST /orgs/v1/admin/{org}/lease-perpetual {lease_perpetual} -> {status, org_id, lease_perpetual, reactivated}.
        """
        return self._call(_admin.set_lease_perpetual, org_id, enabled=enabled)

    set_lease_perpetual = lease_perpetual  # the older name
