"""Published apps: browse, fork, publish.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Id, Namespace, of_project
from run402_cli.services import apps as _apps

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


class ProjectApps(Namespace[Id]):
    """Published apps: browse, fork, publish. `project.apps` fills in `project_id`."""

    @of_project
    def publish(self, project_id: str, fields: dict[str, Any] | None = None) -> Any:
        """Publish the project as a version that others can look at and, with --fork-allowed, fork.

        POST /projects/v1/admin/{id}/publish {description?, tags?, visibility?, fork_allowed?} with the service key ->
        app.
        """
        return self._call(_apps.publish, project_id, fields)

    @of_project
    def versions(self, project_id: str) -> Any:
        """List the published versions of a project.

        GET /projects/v1/admin/{id}/versions with the service key.

        Returns {versions: [{id, description, tags, visibility, fork_allowed, created_at}]}.
        """
        return self._call(_apps.versions, project_id)

    @of_project
    def update(self, project_id: str, version_id: str, fields: dict[str, Any] | None = None) -> dict[str, Any]:
        """Change how a version is described and who may see and fork it.

        PATCH /projects/v1/admin/{id}/versions/{version} with the service key: {project_id, version_id, updated}.

        `fields` as in `publish`; what is left out stays.
        """
        return self._call(_apps.update, project_id, version_id, fields)

    @of_project
    def delete(self, project_id: str, version_id: str) -> dict[str, Any]:
        """Delete a published version.

        DELETE /projects/v1/admin/{id}/versions/{version} with the service key: {project_id, version_id, deleted}.
        """
        return self._call(_apps.delete, project_id, version_id)


class Apps(ProjectApps[None]):
    """Published apps: browse, fork, publish."""

    def browse(self, *, tags: Sequence[str] = ()) -> Any:
        """List public apps that can be forked.

        GET /apps/v1[?tag=...&tag=...] without a credential -> {apps: [app], total}: those with any of the tags.
        """
        return self._call(_apps.browse, tags=tags)

    def inspect(self, version_id: str) -> Any:
        """Show one published version: what it holds, the secrets it needs, its bootstrap variables.

        GET /apps/v1/{version} without a credential -> one app. ApiError 404 for an unknown version.
        """
        return self._call(_apps.inspect, version_id)

    def fork(self, version_id: str, *, name: str, subdomain: str | None = None) -> Any:
        """Copy schema, site and functions of a version into a new project, which becomes active.

        POST /fork/v1 {version_id, name, subdomain?}: a new project with the version's schema, site and functions.

        Returns {project_id, anon_key, service_key, schema_slot, site_url?, subdomain_url?, functions?,
        bootstrap_result?, bootstrap_error?}; the keys are cached and the project becomes the active one. May cost
        money: a 402 is paid by the wallet. Raises CommandError NO_ALLOWANCE without a wallet. Calling it twice makes
        two projects.
        """
        return self._call(_apps.fork, version_id, name=name, subdomain=subdomain)
