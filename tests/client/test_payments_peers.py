"""Code that nobody here wrote accepts our payments: the official x402 SDK verifies and settles them on a local EVM."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from config_kit import ADDRESS, PRIVATE_KEY
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given, settings
from hypothesis import strategies as st
from payment_kit import PAY_TO, USDC, World, offer

from run402_cli.client import Client
from run402_cli.client.payments import x402
from run402_cli.errors import PaymentError
from run402_cli.services import tier as tiers
from run402_cli.state.attempts import Journal
from run402_cli.state.profile import current

if TYPE_CHECKING:
    from chain_kit import Chain

BASE = "http://gateway.test"
URL = f"{BASE}/tiers/v1/prototype"


@pytest.fixture(scope="module")
def built_chain() -> Chain:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from chain_kit import Chain

        return Chain(Path(__file__).parent / "usdc.vy")


@pytest.fixture
def chain(built_chain: Chain) -> Any:
    snapshot = built_chain.tester.take_snapshot()
    yield built_chain
    built_chain.tester.revert_to_snapshot(snapshot)


@pytest.fixture
def world(config_dir: Path, monkeypatch: pytest.MonkeyPatch, chain: Chain) -> World:
    monkeypatch.setenv("RUN402_API_BASE", BASE)
    (config_dir / "allowance.json").write_text(json.dumps({"address": ADDRESS, "privateKey": PRIVATE_KEY}))
    (config_dir / "allowance.json").chmod(0o600)
    return World(URL)


def seller_on(chain: Chain) -> Any:
    from chain_kit import Seller

    return Seller(chain, URL)


def buy(world: World) -> Any:
    with Client(transport=httpx.MockTransport(world.handle)) as client:
        return tiers.set_tier(client, "prototype")


def test_the_official_server_accepts_our_payment_and_the_balance_moves_once(world: World, chain: Chain) -> None:
    seller = seller_on(chain)
    world.unpaid, world.paid = seller.unpaid, seller.paid
    assert buy(world) == {"tier": "prototype"}
    assert (chain.balance(ADDRESS), chain.balance(PAY_TO)) == (220_000, 30_000)
    (record,) = Journal(current().payer).attempts()[0]
    assert record.fields["transaction"] == seller.settled[0].transaction


def test_a_lost_answer_does_not_move_the_balance_a_second_time(world: World, chain: Chain) -> None:
    seller = seller_on(chain)
    world.unpaid, world.paid = seller.unpaid, seller.paid
    seller.drop_answer = True
    with pytest.raises(PaymentError, match="outcome is unknown"):
        buy(world)
    seller.drop_answer = False
    for _ in range(3):
        with pytest.raises(PaymentError):
            buy(world)
    assert len(set(world.nonces)) == 1
    assert len(seller.settled) == 1
    assert chain.balance(ADDRESS) == 220_000


def test_the_chain_tells_that_a_lost_payment_was_made(world: World, chain: Chain) -> None:
    seller = seller_on(chain)
    world.unpaid, world.paid = seller.unpaid, seller.paid
    seller.drop_answer = True
    with pytest.raises(PaymentError):
        buy(world)
    (record,) = Journal(current().payer).attempts()[0]
    fields = record.fields
    assert chain.token.functions.authorizationState(fields["payer"], fields["nonce"]).call() is True


# -- the signature ----------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(
    key=st.integers(1, 2**255).map(lambda number: f"0x{number:064x}"),
    name=st.text(min_size=1, max_size=20),
    version=st.text(max_size=5),
    value=st.integers(0, 2**53 - 1),
    nonce=st.binary(min_size=32, max_size=32),
    network=st.sampled_from(sorted(USDC)),
    issued=st.integers(1_600_000_000, 2_000_000_000),
)
def test_signatures_equal_eth_accounts(
    key: str, name: str, version: str, value: int, nonce: bytes, network: str, issued: int
) -> None:
    raw = offer(network=network, amount=str(value), extra={"name": name, "version": version})
    try:
        (name + version).encode()
    except UnicodeEncodeError:
        return
    payer = Account.from_key(key).address
    requirement = x402.Requirement(raw, "exact", network, USDC[network], value, PAY_TO)
    authorization = x402.authorize(requirement, payer=payer, version=2, now=issued, nonce="0x" + nonce.hex())
    fields = (
        "from:address",
        "to:address",
        "value:uint256",
        "validAfter:uint256",
        "validBefore:uint256",
        "nonce:bytes32",
    )
    types = [dict(zip(("name", "type"), field.split(":"), strict=True)) for field in fields]
    message = {**authorization.to_json(), "nonce": nonce}
    for field in ("value", "validAfter", "validBefore"):
        message[field] = int(message[field])
    domain = {"name": name, "version": version, "chainId": int(network[7:]), "verifyingContract": USDC[network]}
    signable = encode_typed_data(domain, {"TransferWithAuthorization": types}, message)
    expected = Account.sign_message(signable, key).signature.hex()
    assert x402.sign(key, requirement, authorization) == "0x" + expected.removeprefix("0x")
