"""Whatever a seller sends is read without surprise: a challenge, a ChallengeError, or None for a receipt."""

from __future__ import annotations

import contextlib
from typing import Any

from config_kit import ADDRESS, PRIVATE_KEY
from hypothesis import given, settings
from hypothesis import strategies as st
from payment_kit import challenge, encode, offer

from run402_cli.client.payments import x402
from run402_cli.client.payments.errors import usd
from run402_cli.client.payments.x402 import ChallengeError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from([*offer(), "resource", "maxAmountRequired"])


def read_and_sign(found: x402.Challenge) -> None:
    for requirement in found.requirements:
        if not (requirement.is_base and requirement.is_usdc):
            continue
        nonce = "0x" + "11" * 32
        authorization = x402.authorize(requirement, payer=ADDRESS, version=found.version, now=1, nonce=nonce)
        signature = x402.sign(PRIVATE_KEY, requirement, authorization)
        x402.payment_header(found, requirement, authorization, signature)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(FIELDS, JSON, max_size=3), JSON, JSON)
def test_a_changed_challenge_is_read_or_refused(changes: dict[str, Any], resource: Any, extensions: Any) -> None:
    entry = {**offer(), **changes}
    header = {**challenge("https://s.example", entry), "resource": resource, "extensions": extensions}
    for value in (header, {**header, "resource": {"url": "https://s.example"}}):
        with contextlib.suppress(ChallengeError):
            read_and_sign(x402.parse_header(encode(value), url_safe=True))
    with contextlib.suppress(ChallengeError):
        read_and_sign(x402.parse_body({"x402Version": 1, "accepts": [entry]}))


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda data: data.decode("latin-1")) | JSON.map(encode))
def test_any_header_is_read_or_refused(value: str) -> None:
    with contextlib.suppress(ChallengeError):
        x402.parse_header(value, url_safe=True)
    x402.parse_receipt(value)
    x402.challenge_error(value)


@given(st.integers(0, 2**53 - 1))
def test_amounts_are_written_exactly(micros: int) -> None:
    whole, _, fraction = usd(micros).partition(".")
    assert int(whole) * 1_000_000 + int(fraction.ljust(6, "0")) == micros
    assert len(fraction) >= 2
