"""A signed delegation as it arrives: is it the text of this request, and whose signature is it?"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from run402_cli.core.callers.wallet_signatures import personal_digest, signer_of
from run402_cli.core.errors import GatewayError
from run402_cli.core.web.instants import date_time
from run402_cli.release.ci_delegation import Delegation

MAX_BYTES: Final = 32_768
_CLOCK_SKEW: Final = timedelta(seconds=60)
_LONGEST_LIFE: Final = timedelta(minutes=10)
_TEXTS: Final = (
    *("domain", "address", "statement", "uri", "version", "chainId", "nonce", "issuedAt", "expirationTime"),
    "signature",
)


def signer(value: Any, delegation: Delegation, *, domain: str, uri: str) -> str:
    """The lower-case address that signed exactly this delegation for this gateway.

    GatewayError 400 or 403 with code delegation_oversized, delegation_parse_failed, delegation_statement_mismatch,
    delegation_resource_uri_mismatch, delegation_nonce_invalid, delegation_expired, delegation_signature_invalid.
    """
    payload = _payload(value)
    if payload["statement"] != delegation.statement():
        raise refused("delegation_statement_mismatch", "The signed text is not the one that this request amounts to.")
    if payload.get("resources") != [delegation.resource_uri()]:
        raise refused("delegation_resource_uri_mismatch", "The signed resource is not the one of this request.")
    if payload["nonce"] != delegation.nonce[:16]:
        raise refused("delegation_nonce_invalid", "The signed nonce is not the first 16 digits of the request's nonce.")
    if (payload["domain"], payload["uri"]) != (domain, uri):
        raise refused("delegation_parse_failed", f"The delegation is for {payload['uri']}, this is {uri}.")
    _check_times(payload)
    address = signer_of(_digest(payload), payload["signature"])
    if address is None or address != payload["address"].lower():
        raise refused("delegation_signature_invalid", "The signature is not of the address that it names.", status=403)
    return address


def refused(code: str, message: str, *, status: int = 400) -> GatewayError:
    return GatewayError(status, code, f"{message} Link again: run402 ci link github", code=code, retryable=False)


def _payload(value: Any) -> dict[str, Any]:
    if not isinstance(value, str):
        raise refused("delegation_parse_failed", "`signed_delegation` must be a string.")
    if len(value) > MAX_BYTES:
        raise refused("delegation_oversized", f"`signed_delegation` is longer than {MAX_BYTES} characters.")
    try:
        payload = json.loads(base64.b64decode(value, validate=True))
    except (ValueError, RecursionError) as exc:
        raise refused("delegation_parse_failed", "`signed_delegation` is not JSON in base64.") from exc
    if not isinstance(payload, dict) or not all(isinstance(payload.get(name), str) for name in _TEXTS):
        raise refused("delegation_parse_failed", f"The delegation must have the strings {', '.join(_TEXTS)}.")
    return payload


def _check_times(payload: Mapping[str, Any]) -> None:
    issued, expires = _moment(payload["issuedAt"]), _moment(payload["expirationTime"])
    now = datetime.now(UTC)
    if not (issued <= now + _CLOCK_SKEW and now - _CLOCK_SKEW <= expires <= issued + _LONGEST_LIFE):
        raise refused("delegation_expired", "The signature is not valid now. Check the clock of this machine.")


def _moment(text: str) -> datetime:
    moment = date_time(text)
    if moment is None:
        raise refused("delegation_parse_failed", f"{text[:40]!r} is not an ISO date-time.")
    return moment


def _digest(payload: Mapping[str, Any]) -> bytes:
    try:
        return personal_digest(_message(payload))
    except UnicodeEncodeError as exc:
        raise refused("delegation_parse_failed", "The delegation holds characters that are no text.") from exc


def _message(payload: Mapping[str, Any]) -> str:
    """The EIP-4361 text that the payload says was signed."""
    return "\n".join(
        [
            f"{payload['domain']} wants you to sign in with your Ethereum account:",
            payload["address"],
            "",
            payload["statement"],
            "",
            f"URI: {payload['uri']}",
            f"Version: {payload['version']}",
            f"Chain ID: {payload['chainId'].rpartition(':')[2]}",
            f"Nonce: {payload['nonce']}",
            f"Issued At: {payload['issuedAt']}",
            f"Expiration Time: {payload['expirationTime']}",
            "Resources:",
            *(f"- {resource}" for resource in payload["resources"]),
        ]
    )
