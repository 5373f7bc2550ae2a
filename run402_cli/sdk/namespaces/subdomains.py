"""Names below run402.com.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Id, Namespace, of_project
from run402_cli.services import subdomains as _subdomains

if TYPE_CHECKING:
    from typing import Any


class Subdomains(Namespace[Id]):
    """Names below run402.com. `project.subdomains` fills in `project_id`."""

    @of_project
    def claim(self, project_id: str, name: str, *, deployment_id: str | None = None) -> Any:
        """Claim NAME.run402.com and point it at a deployment.

        POST /subdomains/v1 {name, deployment_id} -> {name, deployment_id, url, deployment_url, project_id, created_at,
        ...}.

        Without `deployment_id` a core gateway that is the saved target is asked for the live release; elsewhere the
        last deployment that this machine made is used. Names have 3-63 lowercase letters, digits and hyphens; the
        gateway checks. Raises CommandError PROJECT_CREDENTIAL_NOT_FOUND or NO_DEPLOYMENT before anything is claimed.
        See docs/domains.md.
        """
        return self._call(_subdomains.claim, project_id, name, deployment_id=deployment_id)

    @of_project
    def list(self, project_id: str) -> builtins.list[Any]:
        """List the subdomains of a project as a JSON array.

        GET /subdomains/v1 -> its `subdomains`, as a list.

        [{name, url, deployment_id, deployment_url, project_id, created_at, updated_at}].
        """
        return self._call(_subdomains.list_subdomains, project_id)

    @of_project
    def delete(self, project_id: str, name: str) -> dict[str, Any]:
        """Release a name.

        DELETE /subdomains/v1/{name}: {name, project_id, released}. Anybody may claim the name afterwards.
        """
        return self._call(_subdomains.delete, project_id, name)
