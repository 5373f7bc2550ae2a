"""secp256k1 keys and Ethereum signatures: keccak-256 and the curve only, so that signing costs milliseconds.

Equal to eth-account byte for byte (a test compares). See docs/protocol/authentication.md.
"""

from __future__ import annotations

import secrets

from run402_cli import curve
from run402_cli.keccak import keccak256


def is_valid_key(private_key: str) -> bool:
    """A 0x-hex scalar of the curve: neither zero nor at or above the group order."""
    return 0 < int(private_key, 16) < curve.ORDER


def new_private_key() -> str:
    """A fresh key, 0x and 64 hex digits, from the system's random source."""
    while True:
        key = "0x" + secrets.token_hex(32)
        if is_valid_key(key):
            return key


def address_of(private_key: str) -> str:
    """The EIP-55 checksummed address of a private key."""
    public = curve.public_key(bytes.fromhex(private_key[2:]))
    return checksum_address("0x" + keccak256(public)[-20:].hex())


def checksum_address(address: str) -> str:
    """EIP-55 spelling of a 0x address in any case."""
    digits = address[2:].lower()
    mask = keccak256(digits.encode()).hex()
    return "0x" + "".join(c.upper() if int(m, 16) >= 8 else c for c, m in zip(digits, mask, strict=False))


def personal_sign(private_key: str, text: str) -> str:
    """EIP-191 signature of a text: 0x, r, s, v (27 or 28), lower-case hex."""
    data = text.encode()
    prefix = b"\x19Ethereum Signed Message:\n" + str(len(data)).encode()
    return sign_digest(private_key, keccak256(prefix + data))


def sign_digest(private_key: str, digest: bytes) -> str:
    """Signature of a 32-byte digest: deterministic (RFC 6979), low s; 0x, r, s, v (27 or 28), lower-case hex."""
    signature, recovery_id = curve.sign(bytes.fromhex(private_key[2:]), digest)
    return f"0x{signature.hex()}{27 + recovery_id:02x}"
