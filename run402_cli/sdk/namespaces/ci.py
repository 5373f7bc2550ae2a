"""GitHub Actions workflows that deploy without a secret.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Id, Namespace, of_project
from run402_cli.services import ci as _ci

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from run402_cli.services.ci import Link


class ProjectCi(Namespace[Id]):
    """GitHub Actions workflows that deploy without a secret. `project.ci` fills in `project_id`."""

    @of_project
    def list(self, project_id: str) -> Any:
        """List the CI bindings of a project, revoked ones included.

        GET /ci/v1/bindings?project= -> {project_id, bindings: [row]}, revoked ones included.
        """
        return self._call(_ci.list_bindings, project_id)


class Ci(ProjectCi[None]):
    """GitHub Actions workflows that deploy without a secret."""

    def link_github(self, wanted: Link) -> Any:
        """Let a repository's workflow deploy: the wallet signs a delegation, the gateway keeps it, the workflow is
        written.

        Sign a delegation, make the binding, write the workflow -> {binding_id, project_id, subject_match, ...}.

        The workflow is written only after POST /ci/v1/bindings succeeded. Raises CommandError (GITHUB_REPO_REQUIRED,
        CI_SUBJECT_REQUIRED, GITHUB_REPOSITORY_ID_REQUIRED, WORKFLOW_EXISTS, NO_ALLOWANCE, WORKFLOW_NOT_WRITTEN),
        ApiError and NetworkError. docs/ci.md
        """
        return self._call(_ci.link, wanted)

    link = link_github  # the older name

    def get_binding(self, binding_id: str) -> Any:
        """Show one binding.

        GET /ci/v1/bindings/{id} -> the binding's row. ApiError 404 for an unknown one.
        """
        return self._call(_ci.get_binding, binding_id)

    def revoke(self, binding_id: str) -> Any:
        """Revoke a binding: its workflow can deploy no more.

        POST /ci/v1/bindings/{id}/revoke -> {binding: row, revoked, revocation_residuals}. No request of it works later.
        """
        return self._call(_ci.revoke, binding_id)

    def set_asset_scopes(self, binding_id: str, scopes: Sequence[str]) -> Any:
        """Say which asset keys a binding may deploy: exact keys, or prefixes ending in /*.

        POST /ci/v1/bindings/{id}/asset-scopes {asset_key_scopes} -> {binding: row}. The list replaces the old one.

        A scope is an exact key or a prefix ending in /*. ApiError 409 when the binding is revoked.
        """
        return self._call(_ci.set_asset_scopes, binding_id, scopes)
