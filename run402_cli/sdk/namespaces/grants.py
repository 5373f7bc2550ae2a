"""Single capabilities on a project for wallets that are no members.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Id, Namespace, of_project
from run402_cli.services import grants as _grants

if TYPE_CHECKING:
    from typing import Any


class Grants(Namespace[Id]):
    """Single capabilities on a project for wallets that are no members. `project.grants` fills in `project_id`."""

    @of_project
    def create(self, project_id: str, wallet: str, capability: str, *, limits: dict[str, Any] | None = None) -> Any:
        """Let a wallet do one thing on a project.

        POST /projects/v1/{id}/grants {wallet, capability, policy?, expires_at?} -> {status, grant_id, principal_id}.

        `limits` holds policy (any JSON value) and expires_at (ISO date-time), where wanted. Raises ApiError 403
        NOT_AUTHORIZED.
        """
        return self._call(_grants.create, project_id, wallet, capability, limits=limits)

    @of_project
    def revoke(self, project_id: str, grant_id: str) -> Any:
        """Take a grant back at once.

        DELETE /projects/v1/{id}/grants/{grant} -> {status, grant_id}.
        """
        return self._call(_grants.revoke, project_id, grant_id)
