"""The SIGN-IN-WITH-X header: an EIP-4361 text, signed per EIP-191. See docs/protocol/authentication.md."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from run402_cli.client.signing import checksum_address, personal_sign
from run402_cli.state.files import iso_of

STATEMENT = "Sign in to Run402"
CHAIN_ID = "eip155:84532"
_LIFETIME = timedelta(minutes=5)


def message(
    *,
    domain: str,
    address: str,
    statement: str,
    uri: str,
    nonce: str,
    issued_at: str,
    expiration_time: str | None,
    chain_id: str = CHAIN_ID,
    resources: Sequence[str] = (),
) -> str:
    """The text that is signed; `address` must be checksummed."""
    lines = [
        f"{domain} wants you to sign in with your Ethereum account:",
        address,
        "",
        statement,
        "",
        f"URI: {uri}",
        "Version: 1",
        f"Chain ID: {chain_id.removeprefix('eip155:')}",
        f"Nonce: {nonce}",
        f"Issued At: {issued_at}",
    ]
    if expiration_time is not None:
        lines.append(f"Expiration Time: {expiration_time}")
    if resources:
        lines.append("Resources:")
        lines += [f"- {resource}" for resource in resources]
    return "\n".join(lines)


def header(
    private_key: str,
    address: str,
    *,
    domain: str,
    uri: str,
    statement: str = STATEMENT,
    nonce: str | None = None,
    issued_at: datetime | None = None,
    lifetime: timedelta | None = _LIFETIME,
    chain_id: str | int = CHAIN_ID,
    resources: Sequence[str] | None = None,
) -> str:
    """The header value for one request. A new nonce and time every call unless given."""
    moment = issued_at or datetime.now(UTC)
    chain = chain_id if isinstance(chain_id, str) else f"eip155:{chain_id}"
    fields = {
        "domain": domain,
        "address": checksum_address(address),
        "statement": statement,
        "uri": uri,
    }
    nonce = nonce or secrets.token_hex(16)
    issued = iso_of(moment)
    expires = iso_of(moment + lifetime) if lifetime is not None else None
    text = message(
        **fields, nonce=nonce, issued_at=issued, expiration_time=expires, chain_id=chain, resources=resources or ()
    )
    payload: dict[str, object] = {
        **fields,
        "version": "1",
        "chainId": chain,
        "type": "eip191",
        "nonce": nonce,
        "issuedAt": issued,
    }
    if expires is not None:
        payload["expirationTime"] = expires
    payload["signature"] = personal_sign(private_key, text)
    if resources is not None:
        payload["resources"] = list(resources)
    return base64.b64encode(json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()).decode()
