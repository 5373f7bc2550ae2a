"""Copies of a project to try things on.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Id, Namespace, of_project
from run402_cli.services import branches as _branches

if TYPE_CHECKING:
    from typing import Any


class Branches(Namespace[Id]):
    """Copies of a project to try things on. `project.branches` fills in `project_id`."""

    @of_project
    def create(
        self,
        project_id: str,
        *,
        from_snapshot: str | None = None,
        name: str | None = None,
        email_mode: str | None = None,
        enable_cron: bool = False,
        ttl_days: int | None = None,
    ) -> dict[str, Any]:
        """Create a branch: a project of its own with a copy of the data, sandboxed e-mail and no scheduled runs.

        POST /projects/v1/{id}/branches {from_snapshot_id?, name?, email_mode?, enable_cron?, ttl_days? (1-30)}.

        Returns {ok, branch: branch with operation_id, materialization_id, anon_key, service_key}. The keys are cached
        under the branch's own project id; the active project stays. `email_mode`: sandbox or off.
        """
        return self._call(
            _branches.create,
            project_id,
            from_snapshot=from_snapshot,
            name=name,
            email_mode=email_mode,
            enable_cron=enable_cron,
            ttl_days=ttl_days,
        )

    @of_project
    def list(self, project_id: str) -> dict[str, Any]:
        """List the branches of a project.

        GET /projects/v1/{id}/branches -> {project_id, branches: [branch]}.
        """
        return self._call(_branches.list_branches, project_id)

    @of_project
    def renew(self, project_id: str, branch_id: str, *, ttl_days: int | None = None) -> dict[str, Any]:
        """Keep a branch of the parent project longer.

        POST /projects/v1/{id}/branches/{branch}/renew {ttl_days? (1-30)} -> {ok, branch}.
        """
        return self._call(_branches.renew, project_id, branch_id, ttl_days=ttl_days)

    @of_project
    def delete(self, project_id: str, branch_id: str) -> dict[str, Any]:
        """Delete a branch of the parent project with its data, at once.

        DELETE /projects/v1/{id}/branches/{branch}: {ok, project_id, branch_project_id, deleted}. Cached keys stay.
        """
        return self._call(_branches.delete, project_id, branch_id)
