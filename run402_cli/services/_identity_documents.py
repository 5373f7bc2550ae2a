"""The documents of an identity link, read strictly: the payload that a wallet signs and the event that a human publishes.

Each fault is a ValidationError with its own code (docs/identity.md, "Checks"). No value is repeated in a message: somebody may
have pasted a secret.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from run402_cli.errors import ValidationError
from run402_cli.release.canonical import canonical_json
from run402_cli.release.errors import ReleaseError
from run402_cli.services import _nostr

PROTOCOL = "run402.identity-link.nostr.v1"
MAX_EVENT_BYTES = 32_768
_MAX_PAYLOAD_BYTES = 4096
_MAX_CONTENT_BYTES = 8192
_EVENT_KEYS = ("id", "pubkey", "created_at", "kind", "tags", "content", "sig")
_WRAPPER_KEYS = ("public_payload", "wallet_signature")
_SECRET_NAME = re.compile(r"private.?key|secret|mnemonic|seed|derivation|nsec|nostr.?key", re.IGNORECASE | re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")
_SIGNATURE = re.compile(r"0x[0-9a-f]{130}")
_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
_INSTANT = r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z"
_PAYLOAD: dict[str, re.Pattern[str] | Any] = {
    "action": "link_external_identity",
    "audience": "https://api.run402.com/identity-links/v1",
    "challenge_expires_at": re.compile(_INSTANT, re.ASCII),
    "challenge_id": re.compile(r"ilc_[A-Za-z0-9]+"),
    "issued_at": re.compile(_INSTANT, re.ASCII),
    "nonce": re.compile(r"[A-Za-z0-9_-]{43}"),
    "nostr_event_kind": 1,
    "nostr_pubkey": re.compile(r"[0-9a-f]{64}"),
    "principal_id": re.compile(r"prin_[A-Za-z0-9]+"),
    "protocol": PROTOCOL,
    "visibility": "public",
    "wallet_account": re.compile(r"eip155:8453:0x[0-9a-fA-F]{40}"),
    "wallet_signature_scheme": "eip191_personal_sign",
}


def fault(code: str, message: str, **details: Any) -> ValidationError:
    return ValidationError(message, code=f"IDENTITY_LINK_{code}", details=details or None)


def strict_json(text: str, what: str) -> Any:
    """The JSON value of a text without a BOM, duplicate keys, lone surrogates or names that speak of secrets."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise fault("DUPLICATE_FIELD", f"{what} names a field twice, so that its meaning is in doubt.")
        if any(_SECRET_NAME.search(name) for name in found):
            raise fault(
                "SECRET_INPUT_FORBIDDEN",
                f"{what} has a field whose name speaks of a secret. Never give a private key here: only the signed, public "
                "event is needed.",
            )
        return found

    def no_constant(name: str) -> Any:
        raise ValueError(name)

    if text.startswith("\ufeff"):
        raise fault("INVALID_JSON", f"{what} starts with a byte order mark. Save it as plain UTF-8.")
    try:
        value = json.loads(text, object_pairs_hook=unique, parse_constant=no_constant)
        paired = not _SURROGATE.search(json.dumps(value, ensure_ascii=False))
    except (ValueError, RecursionError):
        raise fault("INVALID_JSON", f"{what} is not valid JSON.") from None
    if not paired:
        raise fault("INVALID_JSON", f"{what} holds half of a surrogate pair.")
    return value


def _canonical(value: Any) -> str | None:
    try:
        return canonical_json(value)
    except ReleaseError:
        return None


def read_payload(text: Any) -> dict[str, Any]:
    """The public payload, when it is exactly what this protocol signs."""
    what = "The public payload"
    if not isinstance(text, str):
        raise fault("INVALID_PAYLOAD", f"{what} is missing, so there is nothing that the wallet could sign.")
    if len(text.encode("utf-8", "surrogatepass")) > _MAX_PAYLOAD_BYTES:
        raise fault("INVALID_PAYLOAD", f"{what} has more than {_MAX_PAYLOAD_BYTES} bytes.")
    payload = strict_json(text, what)
    if not isinstance(payload, dict):
        raise fault("INVALID_PAYLOAD", f"{what} is not a JSON object.")
    if _canonical(payload) != text:
        raise fault("NONCANONICAL", f"{what} is not in the canonical form of RFC 8785.")
    if unknown := sorted(set(payload) - set(_PAYLOAD)):
        raise fault("UNKNOWN_FIELD", f"{what} has a field that this version does not know.", fields=unknown)
    for name, rule in _PAYLOAD.items():
        value = payload.get(name)
        fits = (
            isinstance(value, str) and rule.fullmatch(value) is not None
            if isinstance(rule, re.Pattern)
            else type(value) is type(rule) and value == rule
        )
        if not fits:
            raise fault("INVALID_PAYLOAD", f"{what} has no usable `{name}`.", field=name)
    return payload


def wrap(payload: str, signature: str) -> str:
    """The text of the event to publish."""
    return canonical_json({"public_payload": payload, "wallet_signature": check_signature(signature)})


def check_signature(signature: Any) -> str:
    """An Ethereum signature as the protocol wants it: r, low s, v 27 or 28, in lower-case hex."""
    written = isinstance(signature, str) and _SIGNATURE.fullmatch(signature) is not None
    if written and int(signature[66:130], 16) <= _HALF_ORDER and signature[130:] in ("1b", "1c"):
        return str(signature)
    raise fault(
        "INVALID_WALLET_SIGNATURE", "The wallet signature is not 0x and 130 lower-case hex digits with a low s."
    )


def read_event(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The signed event and the public payload in it, after every check that can be made without the gateway."""
    event = strict_json(text, "The event")
    if not isinstance(event, dict):
        raise fault("INVALID_EVENT", "The event is not a JSON object.")
    if unknown := sorted(set(event) - set(_EVENT_KEYS)):
        raise fault("UNKNOWN_FIELD", "The event has fields besides the seven of a Nostr event.", fields=unknown)
    _check_shape(event)
    _check_signatures(event)
    payload = _payload_of(event["content"])
    if payload["nostr_pubkey"] != event["pubkey"]:
        raise fault("INVALID_PAYLOAD", "The event is signed by another Nostr key than the challenge names.")
    return {key: event[key] for key in _EVENT_KEYS}, payload


def _check_shape(event: dict[str, Any]) -> None:
    created, tags, content = event.get("created_at"), event.get("tags"), event.get("content")
    if isinstance(created, float) and created.is_integer():
        event["created_at"] = created = int(created)
    kind = event.get("kind")
    problems = {
        "id": not _nostr.is_hex(event.get("id"), 64),
        "pubkey": not _nostr.is_hex(event.get("pubkey"), 64),
        "sig": not _nostr.is_hex(event.get("sig"), 128),
        "kind": isinstance(kind, bool) or kind != 1,
        "created_at": not isinstance(created, int) or isinstance(created, bool) or not 0 <= created <= 2**53 - 1,
        "tags": not isinstance(tags, list) or len(tags) > 1 or not all(map(_is_tag, tags)),
        "content": not isinstance(content, str) or len(content.encode()) > _MAX_CONTENT_BYTES,
    }
    if bad := [name for name, wrong in problems.items() if wrong]:
        raise fault(
            "INVALID_EVENT", f"The event is not a signed kind-1 Nostr event: check {', '.join(bad)}.", fields=bad
        )
    event["kind"] = 1


def _is_tag(tag: Any) -> bool:
    return isinstance(tag, list) and all(isinstance(part, str) for part in tag)


def _check_signatures(event: dict[str, Any]) -> None:
    author = event["pubkey"]
    if _nostr.event_id(event) != event["id"]:
        raise fault("INVALID_EVENT", "The id of the event is not the hash of its content.", field="id")
    if not _nostr.verifies(author, event["sig"], bytes.fromhex(event["id"])):
        raise fault("INVALID_EVENT", "The signature of the event is not its author's.", field="sig")
    for tag in event["tags"]:
        digest = hashlib.sha256(f"nostr:agent-auth:{author}:".encode()).digest()
        attested = (
            len(tag) == 4
            and tag[0] == "auth"
            and _nostr.is_hex(tag[1], 64)
            and tag[2] == ""
            and _nostr.is_hex(tag[3], 128)
            and tag[1] != author
            and _nostr.verifies(tag[1], tag[3], digest)
        )
        if not attested:
            raise fault("INVALID_NIP_OA", "The tag of the event is not an owner's attestation of its author.")


def _payload_of(content: str) -> dict[str, Any]:
    what = "The content of the event"
    other = fault("NONCANONICAL", f"{what} is not the proof_content that `begin` printed, unchanged.")
    try:
        wrapper = strict_json(content, what)
    except ValidationError as exc:
        raise (other if exc.code == "IDENTITY_LINK_INVALID_JSON" else exc) from None
    if not isinstance(wrapper, dict) or set(wrapper) != set(_WRAPPER_KEYS) or _canonical(wrapper) != content:
        raise other
    check_signature(wrapper["wallet_signature"])
    return read_payload(wrapper["public_payload"])
