"""Byte-exact payment vectors, when they lie beside the checkout."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from run402_cli.client.payments import x402

FILE = Path(__file__).resolve().parents[3] / "shared" / "contract" / "vectors" / "x402.json"
DATA: dict[str, Any] = json.loads(FILE.read_text()) if FILE.exists() else {"vectors": [], "receipts": []}
pytestmark = pytest.mark.skipif(not FILE.exists(), reason="the payment vectors are not beside this checkout")


def test_there_are_vectors() -> None:
    assert len(DATA["vectors"]) >= 8


@pytest.mark.parametrize("vector", DATA["vectors"], ids=lambda vector: vector["name"])
def test_payload_equals_the_vector(vector: dict[str, Any]) -> None:
    if vector["x402_version"] == 2:
        challenge = x402.parse_header(vector["challenge_header"]["value"], url_safe=False)
    else:
        challenge = x402.parse_body(json.loads(vector["challenge_json"]))
    requirement = challenge.requirements[vector["selected_accept_index"]]
    authorization = x402.authorize(
        requirement,
        payer=vector["address"],
        version=vector["x402_version"],
        now=vector["now_unix_seconds"],
        nonce=vector["nonce_bytes_hex"],
    )
    if "domain_separator" in vector:
        assert "0x" + x402.domain_separator(requirement).hex() == vector["domain_separator"]
        assert "0x" + x402.struct_hash(authorization).hex() == vector["struct_hash"]
    signature = x402.sign(vector["private_key"], requirement, authorization)
    assert signature == vector["signature"]
    name, value = x402.payment_header(challenge, requirement, authorization, signature)
    assert base64.b64decode(value).decode() == vector["payload_json"]
    assert (name, value) == (vector["payment_header"]["name"], vector["payment_header"]["value"])


@pytest.mark.parametrize("entry", DATA["receipts"], ids=lambda entry: entry["header"])
def test_receipt_equals_the_vector(entry: dict[str, Any]) -> None:
    receipt = x402.parse_receipt(entry["value"])
    assert receipt is not None
    decoded = entry["decoded"]
    assert (receipt.success, receipt.transaction, receipt.network, receipt.payer) == (
        decoded["success"],
        decoded["transaction"],
        decoded["network"],
        decoded["payer"],
    )
