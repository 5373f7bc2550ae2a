"""Identity links: a public proof that a wallet and a Nostr key belong together. Attribution only. See docs/identity.md.

No secret of Nostr is taken, made or shown. A proof: {identity_link_id, proof_protocol, status: active|revoked,
effective_status, verified_at, revoked_at, public_subject, display_subject, proved_principal, effective_principal, nostr_event,
public_payload, wallet_signature, verification_statement}.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from run402_cli.client import Client, credentials, segment
from run402_cli.services import _identity_documents as documents
from run402_cli.services import _nostr

if TYPE_CHECKING:
    from run402_cli.client.http import httpx

Json = Any


def _wallet(client: Client) -> httpx.Auth | None:
    """The wallet, or a delegate; a signed-in person's session is no proof of a key."""
    if token := client.delegate_token():
        return credentials.Bearer(token)
    allowance = client.profile.allowance
    return credentials.Siwx(allowance) if allowance is not None else None


def begin(client: Client, pubkey: str, *, idempotency_key: str | None = None) -> dict[str, Json]:
    """POST /identity-links/v1/challenges {nostr_pubkey, visibility: public}, and sign the payload with the wallet (EIP-191).

    Returns the answer plus wallet_address, wallet_signature and proof_content: the text of the event to publish. Raises
    ValidationError IDENTITY_LINK_INVALID_PAYLOAD for a `pubkey` that is neither 64 hex digits nor an npub, or when the
    gateway's payload is not what was asked for; IDENTITY_LINK_EOA_SIGNER_REQUIRED and _MISMATCH for the wallet.
    """
    key = _nostr.public_key(pubkey)
    if key is None:
        raise documents.fault(
            "INVALID_PAYLOAD", "--pubkey takes a public Nostr key: 64 lower-case hex digits, or npub1... in full."
        )
    answer = client.request(
        "POST",
        "/identity-links/v1/challenges",
        context="asking for the identity challenge",
        auth=_wallet(client),
        body={"nostr_pubkey": pubkey, "visibility": "public"},
        headers={"Idempotency-Key": idempotency_key or str(uuid.uuid4())},
    )
    found: dict[str, Json] = answer if isinstance(answer, dict) else {}
    return {**found, **_signed(client, key, found.get("public_payload"))}


def _signed(client: Client, key: str, text: Json) -> dict[str, str]:
    allowance = client.profile.allowance
    if allowance is None:
        raise documents.fault(
            "EOA_SIGNER_REQUIRED", "The link is signed with a wallet key, and the active wallet has none: run402 init"
        )
    payload = documents.read_payload(text)
    if payload["nostr_pubkey"] != key:
        raise documents.fault("INVALID_PAYLOAD", "The challenge names another Nostr key than --pubkey.")
    if payload["wallet_account"].rpartition(":")[2].lower() != allowance.address.lower():
        raise documents.fault(
            "EOA_SIGNER_MISMATCH",
            "The challenge is for another wallet than the active one. Choose it with --wallet <name> and begin again.",
        )
    from run402_cli.client.signing import personal_sign

    signature = personal_sign(allowance.private_key, text)
    return {
        "wallet_address": allowance.address,
        "wallet_signature": signature,
        "proof_content": documents.wrap(text, signature),
    }


def complete(client: Client, event_text: str) -> Json:
    """POST /identity-links/v1 {identity_link_challenge_id, nostr_event} -> proof, for the published, signed event.

    Raises ValidationError IDENTITY_LINK_* for an event that cannot be the proof, before any request.
    """
    event, payload = documents.read_event(event_text)
    body = {"identity_link_challenge_id": payload["challenge_id"], "nostr_event": event}
    context = "sending the identity proof"
    return client.request("POST", "/identity-links/v1", context=context, auth=_wallet(client), body=body)


def list_links(client: Client) -> Json:
    """GET /identity-links/v1 -> {identity_links: [{identity_link_id, kind, public_subject, status, ...}], next_cursor}."""
    return client.request("GET", "/identity-links/v1", context="listing identity links", auth=client.principal())


def show(client: Client, identity_link_id: str) -> Json:
    """GET /identity-link-proofs/v1/{link} without a credential -> proof: what anybody can check."""
    path = f"/identity-link-proofs/v1/{segment(identity_link_id)}"
    return client.request("GET", path, context="reading the identity proof")


def revoke(client: Client, identity_link_id: str) -> Json:
    """DELETE /identity-links/v1/{link} -> proof with status revoked; it stays public."""
    path = f"/identity-links/v1/{segment(identity_link_id)}"
    return client.request("DELETE", path, context="revoking the identity link", auth=_wallet(client))
