"""Public links between the wallet and a Nostr key.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Namespace
from run402_cli.services import identity as _identity

if TYPE_CHECKING:
    from typing import Any


class Identity(Namespace[None]):
    """Public links between the wallet and a Nostr key."""

    def link_nostr_begin(self, pubkey: str, *, idempotency_key: str | None = None) -> dict[str, Any]:
        """Get a challenge, sign it with the wallet, and print the text to publish as a kind-1 event.

        POST /identity-links/v1/challenges {nostr_pubkey, visibility: public}, and sign the payload with the wallet
        (EIP-191).

        Returns the answer plus wallet_address, wallet_signature and proof_content: the text of the event to publish.
        Raises ValidationError IDENTITY_LINK_INVALID_PAYLOAD for a `pubkey` that is neither 64 hex digits nor an npub,
        or when the gateway's payload is not what was asked for; IDENTITY_LINK_EOA_SIGNER_REQUIRED and _MISMATCH for the
        wallet.
        """
        return self._call(_identity.begin, pubkey, idempotency_key=idempotency_key)

    begin = link_nostr_begin  # the older name

    def link_nostr_complete(self, event_text: str) -> Any:
        """Send the signed event as the proof.

        POST /identity-links/v1 {identity_link_challenge_id, nostr_event} -> proof, for the published, signed event.

        Raises ValidationError IDENTITY_LINK_* for an event that cannot be the proof, before any request.
        """
        return self._call(_identity.complete, event_text)

    complete = link_nostr_complete  # the older name

    def link_list(self) -> Any:
        """List the links of the active identity.

        GET /identity-links/v1 -> {identity_links: [{identity_link_id, kind, public_subject, status, ...}],
        next_cursor}.
        """
        return self._call(_identity.list_links)

    list = link_list  # the older name

    def link_show(self, identity_link_id: str) -> Any:
        """Show the public proof of a link.

        GET /identity-link-proofs/v1/{link} without a credential -> proof: what anybody can check.
        """
        return self._call(_identity.show, identity_link_id)

    show = link_show  # the older name

    def link_revoke(self, identity_link_id: str) -> Any:
        """Revoke a link.

        DELETE /identity-links/v1/{link} -> proof with status revoked; it stays public.
        """
        return self._call(_identity.revoke, identity_link_id)

    revoke = link_revoke  # the older name
