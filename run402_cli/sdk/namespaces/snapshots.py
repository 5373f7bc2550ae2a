"""Snapshots of a project's data.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Id, Namespace, of_project
from run402_cli.services import snapshots as _snapshots

if TYPE_CHECKING:
    from typing import Any


class Snapshots(Namespace[Id]):
    """Snapshots of a project's data. `project.snapshots` fills in `project_id`."""

    @of_project
    def create(self, project_id: str) -> dict[str, Any]:
        """Create a snapshot of the database.

        POST /projects/v1/{id}/snapshots {} -> {ok, snapshot}. Does not wait: `ok` says whether it is ready already.
        """
        return self._call(_snapshots.create, project_id)

    @of_project
    def list(
        self, project_id: str, *, limit: int | None = None, after: str | None = None, kind: str | None = None
    ) -> dict[str, Any]:
        """List the snapshots of a project, one page at a time.

        GET /projects/v1/{id}/snapshots[?limit=1..100&after&kind] -> {project_id, snapshots, has_more, next_cursor}.
        """
        return self._call(_snapshots.list_snapshots, project_id, limit=limit, after=after, kind=kind)

    @of_project
    def get(self, project_id: str, snapshot_id: str) -> dict[str, Any]:
        """Show one snapshot with its state and next actions.

        GET /projects/v1/{id}/snapshots/{snapshot} -> {snapshot}.
        """
        return self._call(_snapshots.get, project_id, snapshot_id)

    @of_project
    def restore(
        self, project_id: str, snapshot_id: str, *, confirm: str | None = None, include_auth: bool = False
    ) -> dict[str, Any]:
        """Go back to a snapshot, in two steps.

        POST /projects/v1/{id}/snapshots/{snapshot}/restore {include?: ["auth"], confirm?}, in two steps.

        Without `confirm` nothing changes: {ok, project_id, snapshot_id, restore_plan, confirm_command}; the plan says
        what would be lost and holds the token. With that token as `confirm` the data is replaced: {ok, restore}.
        """
        return self._call(_snapshots.restore, project_id, snapshot_id, confirm=confirm, include_auth=include_auth)

    @of_project
    def delete(self, project_id: str, snapshot_id: str) -> dict[str, Any]:
        """Delete a snapshot at once.

        DELETE /projects/v1/{id}/snapshots/{snapshot}: {ok, project_id, snapshot_id, deleted}. There is no confirmation.
        """
        return self._call(_snapshots.delete, project_id, snapshot_id)
