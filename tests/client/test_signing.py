"""Signatures equal eth-account byte for byte, and the siwe library accepts our messages."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct
from hypothesis import given, settings
from hypothesis import strategies as st

from run402_cli import curve
from run402_cli.client import signing, siwx

KEYS = st.integers(1, curve.ORDER - 1).map(lambda n: f"0x{n:064x}")


@settings(max_examples=25, deadline=None)
@given(KEYS, st.text(max_size=200).filter(lambda text: text.isprintable()))
def test_address_and_signature_equal_eth_account(key: str, text: str) -> None:
    account = Account.from_key(key)
    assert signing.address_of(key) == account.address
    assert signing.personal_sign(key, text) == "0x" + account.sign_message(encode_defunct(text=text)).signature.hex()


@given(st.binary(min_size=20, max_size=20))
def test_checksum_ignores_the_case_of_its_input(raw: bytes) -> None:
    address = "0x" + raw.hex()
    assert signing.checksum_address(address.upper().replace("0X", "0x")) == signing.checksum_address(address)


@pytest.mark.parametrize(("key", "valid"), [("0x" + "0" * 64, False), (f"0x{curve.ORDER:064x}", False), ("0x1", True)])
def test_only_scalars_of_the_curve_are_keys(key: str, valid: bool) -> None:
    assert signing.is_valid_key(key) is valid


def test_a_new_key_is_a_valid_key_and_never_the_same() -> None:
    keys = {signing.new_private_key() for _ in range(20)}
    assert len(keys) == 20
    assert all(signing.is_valid_key(key) and len(key) == 66 for key in keys)


def _header(**changes: object) -> dict[str, object]:
    key = "0x" + "1".rjust(64, "0")
    arguments: dict[str, object] = {"domain": "api.run402.com", "uri": "https://api.run402.com/projects/v1", **changes}
    value = siwx.header(key, signing.address_of(key), **arguments)  # type: ignore[arg-type]
    decoded = json.loads(base64.b64decode(value))
    assert isinstance(decoded, dict)
    return decoded


def test_siwe_accepts_the_signed_message() -> None:
    from siwe import SiweMessage  # compiles a grammar for a second

    fields = _header()
    text = siwx.message(
        domain=str(fields["domain"]),
        address=str(fields["address"]),
        statement=str(fields["statement"]),
        uri=str(fields["uri"]),
        nonce=str(fields["nonce"]),
        issued_at=str(fields["issuedAt"]),
        expiration_time=str(fields["expirationTime"]),
    )
    SiweMessage.from_message(text).verify(str(fields["signature"]), domain="api.run402.com")


def test_header_of_a_known_key_time_and_nonce_is_known() -> None:
    fields = _header(
        nonce="000102030405060708090a0b0c0d0e0f", issued_at=datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    )
    assert fields["signature"] == (
        "0x1f07f9f84b3f7d5638c5ac7dcd1a1793c236c7c6816d656f517da55259fe93e0"
        "0cb03374fc53bd14bb352bd11d25d8aec13df0d856f265de3154db52be5aeefd1c"
    )
    assert fields["expirationTime"] == "2026-01-02T03:09:05.678Z"


def test_each_header_has_its_own_nonce() -> None:
    assert _header()["nonce"] != _header()["nonce"]


def test_resources_and_missing_expiration_are_kept_as_given() -> None:
    fields = _header(resources=[], lifetime=None)
    assert fields["resources"] == []
    assert "expirationTime" not in fields
    assert timedelta(minutes=5) == siwx._LIFETIME
