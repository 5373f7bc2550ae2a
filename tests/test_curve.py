"""The curve and the hash against other people's code: eth-keys, hashlib's SHA-3, published vectors."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest
from eth_keys.backends import NativeECCBackend
from eth_keys.datatypes import PrivateKey, Signature
from hypothesis import given, settings
from hypothesis import strategies as st

from run402_cli import curve, keccak

NATIVE = NativeECCBackend()
KEYS = st.integers(1, curve.ORDER - 1).map(lambda number: number.to_bytes(32, "big"))
DIGESTS = st.binary(min_size=32, max_size=32)


@settings(max_examples=40, deadline=None)
@given(KEYS, DIGESTS)
def test_signatures_and_keys_equal_eth_keys(key: bytes, digest: bytes) -> None:
    peer = PrivateKey(key, backend=NATIVE)
    signature, recovery_id = curve.sign(key, digest)
    assert signature + bytes([recovery_id]) == peer.sign_msg_hash(digest).to_bytes()
    assert curve.public_key(key) == peer.public_key.to_bytes()
    assert curve.recover(digest, signature, recovery_id) == peer.public_key.to_bytes()


@settings(max_examples=25, deadline=None)
@given(DIGESTS, st.binary(min_size=64, max_size=64), st.integers(0, 1))
def test_recovery_of_anything_agrees_with_eth_keys(digest: bytes, signature: bytes, recovery_id: int) -> None:
    try:
        expected = NATIVE.ecdsa_recover(digest, Signature(signature + bytes([recovery_id]), backend=NATIVE)).to_bytes()
    except Exception:  # it has several
        expected = None
    try:
        found = curve.recover(digest, signature, recovery_id)
    except ValueError:
        found = None
    assert found == expected


@pytest.mark.parametrize("key", [bytes(32), curve.ORDER.to_bytes(32, "big"), b"\xff" * 32, b"\x01" * 31])
def test_what_is_no_key_is_a_value_error(key: bytes) -> None:
    with pytest.raises(ValueError):
        curve.sign(key, bytes(32))
    with pytest.raises(ValueError):
        curve.public_key(key)


@pytest.mark.parametrize("signature", [bytes(64), b"\xff" * 64, b"\x01" * 63])
def test_what_is_no_signature_is_a_value_error(signature: bytes) -> None:
    with pytest.raises(ValueError):
        curve.recover(bytes(32), signature, 0)
    assert not curve.verifies_schnorr(b"\x01" * 32, bytes(32), signature)


@given(KEYS, DIGESTS)
def test_a_schnorr_signature_is_accepted_for_its_digest_only(key: bytes, digest: bytes) -> None:
    x_only, signature = curve.public_key(key)[:32], curve.sign_schnorr(key, digest)
    assert curve.verifies_schnorr(x_only, digest, signature)
    assert not curve.verifies_schnorr(x_only, hashlib.sha256(digest).digest(), signature)


def test_the_package_around_the_extension_signs_the_same() -> None:
    """A wheel that keeps the extension inside the package takes the other import."""
    program = (
        "import sys, wallycore; inner = wallycore._wallycore; sys.modules['_wallycore'] = None;"
        "from run402_cli import curve; assert curve._wally is inner;"
        "print(curve.sign(b'\\x01' * 32, b'\\x02' * 32)[0].hex())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == curve.sign(b"\x01" * 32, b"\x02" * 32)[0].hex()


@given(st.binary(max_size=500))
def test_the_permutation_is_the_one_of_sha3(data: bytes) -> None:
    assert keccak.sponge(data, 0x06) == hashlib.sha3_256(data).digest()


@pytest.mark.parametrize("size", [135, 136, 137, 271, 272])
def test_a_block_that_is_just_full_is_padded_with_another(size: int) -> None:
    assert keccak.sponge(b"a" * size, 0x06) == hashlib.sha3_256(b"a" * size).digest()


@pytest.mark.parametrize(
    ("data", "digest"),
    [
        (b"", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
        (b"abc", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
    ],
)
def test_keccak_256_of_known_data_is_known(data: bytes, digest: str) -> None:
    assert keccak.keccak256(data).hex() == digest
