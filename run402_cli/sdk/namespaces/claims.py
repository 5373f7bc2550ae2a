"""Advisory claims on what a session is working on.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Namespace
from run402_cli.services import claims as _claims

if TYPE_CHECKING:
    from typing import Any

    from run402_cli.services.rooms import Room


class Claims(Namespace[None]):
    """Advisory claims on what a session is working on."""

    def create(
        self, room: Room, resource: str, *, mode: str = "exclusive", ttl_s: int | None = None, note: str | None = None
    ) -> Any:
        """Declare a claim: repo:<glob>, function:<name>, table:<name>, deploy, or any text.

        POST .../claims {resource, mode, ttl_seconds?, note?, presence_id?} -> claim plus conflicts: [claim].

        Conflicts are told, not refused. One presence may hold 32; the gateway ends each after an hour unless told
        otherwise.
        """
        return self._call(_claims.create, room, self._say, resource, mode=mode, ttl_s=ttl_s, note=note)

    def list(self, room: Room, *, include_inactive: bool = False) -> Any:
        """List the claims in the room.

        GET .../claims?include_inactive=true|false -> {claims: [claim]}.
        """
        return self._call(_claims.list_claims, room, include_inactive=include_inactive)

    def release(self, room: Room, claim_id: str) -> Any:
        """Release a claim, with the credential that made it.

        DELETE .../claims/{claim} as its holder -> {claim_id, released_at, already_released}.
        """
        return self._call(_claims.release, room, claim_id)
