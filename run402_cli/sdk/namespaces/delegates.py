"""Scoped, revocable tokens for agents.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Id, Namespace, of_project
from run402_cli.services import delegates as _delegates

if TYPE_CHECKING:
    from typing import Any


class Delegates(Namespace[Id]):
    """Scoped, revocable tokens for agents. `project.delegates` fills in `project_id`."""

    @of_project
    def default_scope(self, project_id: str, capability: str) -> dict[str, Any]:
        """The narrowest scope of a delegate: one capability, on one project. See docs/organizations.md."""
        return self._call_plain(_delegates.default_scope, project_id, capability)

    @of_project
    def create(
        self,
        project_id: str,
        grant_id: str,
        *,
        scope: Any = None,
        kind: str = "run402_agent_key",
        expires_at: str | None = None,
    ) -> Any:
        """Make a delegate for an agent.

        POST /projects/v1/{id}/delegates {grant_id, kind, scope, expires_at?} -> {status, delegate_id, token?,
        expires_at}.

        `token` is shown once, for kind run402_agent_key; it is used as RUN402_DELEGATE_TOKEN and written nowhere.
        Without a scope the delegate may deploy this project.
        """
        return self._call(_delegates.create, project_id, grant_id, scope=scope, kind=kind, expires_at=expires_at)

    @of_project
    def list(self, project_id: str) -> Any:
        """List the delegates of a project; never a token.

        GET /projects/v1/{id}/delegates -> {delegates: [{id, kind, scope, expires_at, revoked_at, ...}]}; no tokens.
        """
        return self._call(_delegates.list_delegates, project_id)

    @of_project
    def revoke(self, project_id: str, delegate_id: str) -> Any:
        """Revoke a delegate at once.

        DELETE /projects/v1/{id}/delegates/{delegate} -> {status, delegate_id}. Effective at once.
        """
        return self._call(_delegates.revoke, project_id, delegate_id)

    @of_project
    def rotate(self, project_id: str, delegate_id: str) -> Any:
        """Give a delegate a new token, shown once; the old one stops at once.

        POST /projects/v1/{id}/delegates/{delegate}/rotate -> as `create`: the old token stops, the new one is shown
        once.
        """
        return self._call(_delegates.rotate, project_id, delegate_id)
