"""Whose signature is this? keccak-256, EIP-191, EIP-712 and public key recovery, for the headers that wallets sign.

Written apart from the client's signing code on purpose: a mistake there is not repeated here. The hash and the curve are
shared; they are tested against other people's code. See docs/local-gateway.md.
"""

from __future__ import annotations

import re

from run402_cli import curve
from run402_cli.keccak import keccak256

ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_SIGNATURE = re.compile(r"0x[0-9a-fA-F]{130}")
# A signature with a high s is the same one written differently; wallets never make it (EIP-2).
_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0


def personal_digest(text: str) -> bytes:
    """What EIP-191 signs for a text."""
    data = text.encode()
    return keccak256(b"\x19Ethereum Signed Message:\n%d" % len(data) + data)


def typed_digest(domain_separator: bytes, struct_hash: bytes) -> bytes:
    """What EIP-712 signs."""
    return keccak256(b"\x19\x01" + domain_separator + struct_hash)


def signer_of(digest: bytes, signature: str) -> str | None:
    """The lower-case address that signed the digest; None when the text is no signature (0x, r, s, v of 27 or 28)."""
    if not _SIGNATURE.fullmatch(signature):
        return None
    raw = bytes.fromhex(signature[2:])
    if raw[64] not in (27, 28) or int.from_bytes(raw[32:64], "big") > _HALF_ORDER:
        return None
    try:
        key = curve.recover(digest, raw[:64], raw[64] - 27)
    except ValueError:
        return None
    return "0x" + keccak256(key)[-20:].hex()


def word(number: int) -> bytes:
    """A number as 32 bytes. OverflowError when it does not fit."""
    return number.to_bytes(32, "big")


def address_word(address: str) -> bytes:
    return bytes.fromhex(address[2:]).rjust(32, b"\0")
