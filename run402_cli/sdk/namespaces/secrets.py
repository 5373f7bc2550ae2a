"""Write-only environment variables of functions.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Id, Namespace, of_project
from run402_cli.services import secrets as _secrets

if TYPE_CHECKING:
    from typing import Any


class Secrets(Namespace[Id]):
    """Write-only environment variables of functions. `project.secrets` fills in `project_id`."""

    @of_project
    def set(self, project_id: str, key: str, value: str) -> dict[str, Any]:
        """Create or replace one secret.

        POST /projects/v1/admin/{id}/secrets {key, value} with the service key: {key, project_id, set}.

        Creates or replaces. Raises ValidationError LOCAL_ERROR for a key that is no upper-case variable name or a value
        of more than 4096 bytes of UTF-8; ApiError 403 when the tier allows no further secret. No error repeats the
        value.
        """
        return self._call(_secrets.set_secret, project_id, key, value)

    @of_project
    def list(self, project_id: str) -> dict[str, Any]:
        """List the secrets of a project: names and times.

        GET /projects/v1/admin/{id}/secrets -> {secrets: [{key, created_at?, updated_at?}]}: names and times, nothing
        else.
        """
        return self._call(_secrets.list_secrets, project_id)

    @of_project
    def delete(self, project_id: str, key: str) -> dict[str, Any]:
        """Remove one secret, given its name.

        DELETE /projects/v1/admin/{id}/secrets/{key} with the service key: {key, project_id, deleted}.
        """
        return self._call(_secrets.delete, project_id, key)
