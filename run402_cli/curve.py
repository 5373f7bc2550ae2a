"""secp256k1: the one module that knows the library (wallycore: libsecp256k1 with wheels for every Python and system here).

Keys, digests and signatures are bytes. What is no key or no signature is a ValueError. See docs/protocol/authentication.md.
"""

from __future__ import annotations

try:
    # The extension itself: the package around it wraps two thousand functions at import, for half the time of a bare
    # start of Python. Its functions write into the buffer that is their last argument.
    import _wallycore as _wally
except ImportError:
    from wallycore import _wallycore as _wally

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_RECOVERABLE = _wally.EC_FLAG_ECDSA | _wally.EC_FLAG_RECOVERABLE
# A recoverable signature begins with 27 + the recovery id, + 4 when the key is meant in its compressed form.
_HEADER = 27


def public_key(private_key: bytes) -> bytes:
    """x and y of the public key, 64 bytes."""
    compressed = bytearray(33)
    _wally.ec_public_key_from_private_key(private_key, compressed)
    return _coordinates(compressed)


def sign(private_key: bytes, digest: bytes) -> tuple[bytes, int]:
    """Signature of a 32-byte digest, deterministic (RFC 6979) and with a low s: r and s as 64 bytes, the recovery id."""
    signature = bytearray(65)
    _wally.ec_sig_from_bytes(private_key, digest, _RECOVERABLE, signature)
    return bytes(signature[1:]), (signature[0] - _HEADER) % 4


def recover(digest: bytes, signature: bytes, recovery_id: int) -> bytes:
    """The public key (64 bytes) that made a signature (r and s, 64 bytes). ValueError when none did."""
    compressed = bytearray(33)
    _wally.ec_sig_to_public_key(digest, bytes([_HEADER + recovery_id]) + signature, compressed)
    return _coordinates(compressed)


def sign_schnorr(private_key: bytes, digest: bytes) -> bytes:
    """BIP-340 signature of a 32-byte digest, 64 bytes."""
    signature = bytearray(64)
    _wally.ec_sig_from_bytes(private_key, digest, _wally.EC_FLAG_SCHNORR, signature)
    return bytes(signature)


def verifies_schnorr(x_only_key: bytes, digest: bytes, signature: bytes) -> bool:
    """Whether a BIP-340 signature (64 bytes) of a 32-byte digest is the key's (32 bytes)."""
    try:
        _wally.ec_sig_verify(x_only_key, digest, _wally.EC_FLAG_SCHNORR, signature)
    except ValueError:
        return False
    return True


def _coordinates(compressed: bytearray) -> bytes:
    key = bytearray(65)
    _wally.ec_public_key_decompress(compressed, key)
    return bytes(key[1:])
