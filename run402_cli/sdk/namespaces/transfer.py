"""Hand a project over.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Id, Namespace, of_project
from run402_cli.services import transfer as _transfer

if TYPE_CHECKING:
    from typing import Any


class ProjectTransfer(Namespace[Id]):
    """Hand a project over. `project.transfer` fills in `project_id`."""

    @of_project
    def init(self, project_id: str, offer: dict[str, Any]) -> Any:
        """Offer a project to a wallet or an e-mail address, or move it to another organization of yours at once.

        POST /projects/v1/{id}/transfers with one recipient: an offer, open for 72 hours, or an immediate move.

        `offer`: {to_wallet, billing_policy?, message?, kysigned_record_id?}, {to_email, message?, retain_collaborator?:
        {role}} or {to_org_id, message?}. The last one answers at once with the project's new keys. Raises ApiError 403
        NOT_AUTHORIZED, 409.
        """
        return self._call(_transfer.init, project_id, offer)


class Transfer(ProjectTransfer[None]):
    """Hand a project over."""

    def preview(self, transfer_id: str) -> Any:
        """What changes hands: domains, functions, names of secrets, mailboxes, CI bindings, billing.

        GET /agent/v1/transfers/{transfer}: what changes hands: domains, functions, secret names, billing, CI bindings.
        """
        return self._call(_transfer.preview, transfer_id)

    def list(self, *, outgoing: bool = False, limit: int | None = None, after: str | None = None) -> dict[str, Any]:
        """List the transfers that are still open.

        GET /agent/v1/transfers/incoming|outgoing[?limit=1..1000&after] -> {direction, transfers, has_more,
        next_cursor}.
        """
        return self._call(_transfer.list_transfers, outgoing=outgoing, limit=limit, after=after)

    def accept(self, transfer_id: str) -> Any:
        """Accept a project offered to this wallet.

        POST /agent/v1/transfers/{transfer}/accept {} -> {project_id, anon_key, service_key, secret_names_inherited,
        ...}.

        For the addressed wallet. Rotate the inherited secrets afterwards. Raises ApiError 409
        TRANSFER_ALREADY_PROCESSED.
        """
        return self._call(_transfer.accept, transfer_id)

    def claim(
        self, transfer_id: str, *, into_org: str | None = None, accept_retained_collaborator: bool = False
    ) -> Any:
        """Claim a project offered to your e-mail address.

        POST /agent/v1/transfers/{transfer}/claim {org_id?, accept_retained_collaborator?}: as `accept`, for an e-mail
        offer.

        Without `into_org` the gateway makes a new organization.
        """
        return self._call(
            _transfer.claim, transfer_id, into_org=into_org, accept_retained_collaborator=accept_retained_collaborator
        )

    def cancel(self, transfer_id: str, *, reason: str | None = None) -> Any:
        """Cancel an open transfer, as either party.

        POST /agent/v1/transfers/{transfer}/cancel {reason?} -> {transfer_id, status, cancelled_by, cancelled_at, ...}.
        """
        return self._call(_transfer.cancel, transfer_id, reason=reason)
