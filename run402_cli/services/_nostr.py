"""Nostr keys and events, as far as an identity link needs them: npub (BIP-173), event ids, BIP-340 signatures. Pure.

The curve library is imported when a signature is checked.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

_CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_HEX_KEY = re.compile(r"[0-9a-f]{64}")
_HRP = "npub"


def is_hex(value: Any, digits: int) -> bool:
    """Whether a value is that many lower-case hex digits."""
    return isinstance(value, str) and re.fullmatch(rf"[0-9a-f]{{{digits}}}", value) is not None


def public_key(text: str) -> str | None:
    """The key as 64 hex digits, from that form or from a canonical npub; None for anything else."""
    if _HEX_KEY.fullmatch(text):
        return text
    head, separator, data = text.rpartition("1")
    if head != _HRP or not separator or any(char not in _CHARSET for char in data):
        return None
    values = [_CHARSET.index(char) for char in data]
    expanded = [ord(char) >> 5 for char in _HRP] + [0] + [ord(char) & 31 for char in _HRP]
    if _polymod(expanded + values) != 1:
        return None
    # 32 bytes are 51 five-bit groups and one more that holds the last bit before four zero ones.
    key = values[:-6]
    if len(key) != 52 or key[-1] & 0b1111:
        return None
    number = 0
    for value in key:
        number = number << 5 | value
    return format(number >> 4, "064x")


def _polymod(values: list[int]) -> int:
    checksum = 1
    for value in values:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for i, generator in enumerate(_GENERATOR):
            checksum ^= generator if top >> i & 1 else 0
    return checksum


def event_id(event: dict[str, Any]) -> str:
    """SHA-256 of the compact JSON of [0, pubkey, created_at, kind, tags, content], as hex."""
    from run402_cli.release.canonical import compact_json

    fields = [0, *(event[key] for key in ("pubkey", "created_at", "kind", "tags", "content"))]
    return hashlib.sha256(compact_json(fields).encode()).hexdigest()


def verifies(public_key_hex: str, signature_hex: str, digest: bytes) -> bool:
    """Whether a BIP-340 signature of a 32-byte digest is the key's."""
    from run402_cli import curve

    return curve.verifies_schnorr(bytes.fromhex(public_key_hex), digest, bytes.fromhex(signature_hex))
