"""Byte-exact signing vectors, when they lie beside the checkout."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from run402_cli.client import siwx

FILE = Path(__file__).resolve().parents[3] / "shared" / "contract" / "vectors" / "siwx.json"
VECTORS = json.loads(FILE.read_text())["vectors"] if FILE.exists() else []


@pytest.mark.skipif(not VECTORS, reason="the signing vectors are not beside this checkout")
def test_there_are_vectors() -> None:
    assert len(VECTORS) >= 11


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_header_equals_the_vector(vector: dict[str, Any]) -> None:
    given = vector["input"]
    issued = datetime.fromisoformat(given["issued_at"])
    expires = given.get("expiration_time")
    value = siwx.header(
        vector["private_key"],
        vector["address"],
        domain=given["domain"],
        uri=given["uri"],
        statement=given["statement"],
        nonce=given["nonce"],
        issued_at=issued,
        lifetime=datetime.fromisoformat(expires) - issued if expires else None,
        chain_id=given["chain_id"],
        resources=given.get("resources"),
    )
    assert value == vector["header_value"]
