"""Nostr primitives against published vectors: NIP-19 for npub, BIP-340 for signatures, NIP-01 for event ids."""

from __future__ import annotations

import hashlib
import json

import pytest

from run402_cli.services import _nostr

NPUB = "npub180cvv07tjdrrgpa0j7j7tmnyl2yr6yr7l8j4s3evf6u64th6gkwsyjh6w6"
KEY = "3bf0c63fcb93463407af97a5e5ee64fa883d107ef9e558472c4eb9aaaefa459d"
# BIP-340 test vectors 0, 1 and 2 (good), 6 and 7 (bad): public key, message, signature.
VECTORS = [
    (
        "f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9",
        "00" * 32,
        "e907831f80848d1069a5371b402410364bdf1c5f8307b0084c55f1ce2dca8215"
        "25f66a4a85ea8b71e482a74f382d2ce5ebeee8fdb2172f477df4900d310536c0",
        True,
    ),
    (
        "dff1d77f2a671c5f36183726db2341be58feae1da2deced843240f7b502ba659",
        "243f6a8885a308d313198a2e03707344a4093822299f31d0082efa98ec4e6c89",
        "6896bd60eeae296db48a229ff71dfe071bde413e6d43f917dc8dcf8c78de3341"
        "8906d11ac976abccb20b091292bff4ea897efcb639ea871cfa95f6de339e4b0a",
        True,
    ),
    (
        "dff1d77f2a671c5f36183726db2341be58feae1da2deced843240f7b502ba659",
        "243f6a8885a308d313198a2e03707344a4093822299f31d0082efa98ec4e6c89",
        "fff97bd5755eeea420453a14355235d382f6472f8568a18b2f057a1460297556"
        "3cc27944640ac607cd107ae10923d9ef7a73c643e166be5ebeafa34b1ac553e2",
        False,
    ),
    (
        "dff1d77f2a671c5f36183726db2341be58feae1da2deced843240f7b502ba659",
        "243f6a8885a308d313198a2e03707344a4093822299f31d0082efa98ec4e6c89",
        "1fa62e331edbc21c394792d2ab1100a7b432b013df3f6ff4f99fcb33e0e1515f"
        "28890b3edb6e7189b630448b515ce4f8622a954cfe545735aaea5134fccdb2bd",
        False,
    ),
    # A key that is not on the curve.
    (
        "eefdea4cdb677750a420fee807eacf21eb9898ae79b9768766e4faa04a2d4a34",
        "243f6a8885a308d313198a2e03707344a4093822299f31d0082efa98ec4e6c89",
        "6cff5c3ba86c69ea4b7376f31a9bcb4f74c1976089b2d9963da2e5543e177769"
        "69e89b4c5564d00349106b8497785dd7d1d713a8ae82b32fa79d5f7fc407d39b",
        False,
    ),
]


@pytest.mark.parametrize(("key", "message", "signature", "good"), VECTORS)
def test_signatures_are_judged_as_bip_340_says(key: str, message: str, signature: str, good: bool) -> None:
    assert _nostr.verifies(key, signature, bytes.fromhex(message)) is good


def test_an_npub_is_its_key() -> None:
    assert _nostr.public_key(NPUB) == KEY
    assert _nostr.public_key(KEY) == KEY


@pytest.mark.parametrize(
    "text",
    [
        "",
        KEY.upper(),
        KEY[:-1],
        KEY + "\n",
        NPUB.upper(),
        NPUB[:-1],
        NPUB[:-1] + "q",
        NPUB[:10] + "q" + NPUB[11:],
        "nsec" + NPUB[4:],
        "npub1",
        # A sound checksum over another prefix, and over 31 bytes.
        "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5",
        "npub1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq",
    ],
)
def test_anything_else_is_no_key(text: str) -> None:
    assert _nostr.public_key(text) is None


def test_every_single_changed_character_is_noticed() -> None:
    for place in range(5, len(NPUB)):
        other = "q" if NPUB[place] != "q" else "p"
        assert _nostr.public_key(NPUB[:place] + other + NPUB[place + 1 :]) is None


def test_an_event_id_is_the_hash_of_the_compact_array() -> None:
    event = {"pubkey": KEY, "created_at": 1700000000, "kind": 1, "tags": [["auth", "a"]], "content": 'hé "x"\n😀'}
    text = json.dumps(
        [0, KEY, 1700000000, 1, [["auth", "a"]], event["content"]], separators=(",", ":"), ensure_ascii=False
    )
    assert _nostr.event_id(event) == hashlib.sha256(text.encode()).hexdigest()
