"""Code that nobody here wrote accepts our payments: the official x402 SDK verifies and settles them on a local EVM."""

from __future__ import annotations

import json
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import vyper
from config_kit import ADDRESS, PRIVATE_KEY
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_tester import EthereumTester, PyEVMBackend
from hypothesis import given, settings
from hypothesis import strategies as st
from payment_kit import PAY_TO, SEPOLIA, USDC, World, offer
from web3 import EthereumTesterProvider, Web3
from x402 import x402FacilitatorSync, x402ResourceServerSync
from x402.http.utils import (
    decode_payment_signature_header,
    encode_payment_required_header,
    encode_payment_response_header,
)
from x402.mechanisms.evm.exact import ExactEvmServerScheme
from x402.mechanisms.evm.exact.facilitator import ExactEvmScheme
from x402.mechanisms.evm.types import TransactionReceipt
from x402.schemas import PaymentRequirements, ResourceInfo

from run402_cli.client import Client
from run402_cli.client.payments import x402
from run402_cli.errors import PaymentError
from run402_cli.services import tier as tiers
from run402_cli.state.attempts import Journal
from run402_cli.state.profile import current

# py-evm raises the recursion limit of the whole process when it is imported: deeply nested JSON, which other tests feed to
# our readers, would then overflow the C stack instead of raising RecursionError.
RECURSION_LIMIT = 1000
sys.setrecursionlimit(RECURSION_LIMIT)

BASE = "http://gateway.test"
URL = f"{BASE}/tiers/v1/prototype"
FUNDS = 250_000


class Chain:
    """A py-evm chain with an EIP-3009 token at the address of USDC; signs and sends for the SDK's facilitator."""

    def __init__(self) -> None:
        source = (Path(__file__).parent / "usdc.vy").read_text()
        compiled = vyper.compile_code(source, output_formats=["abi", "bytecode_runtime"])
        genesis = PyEVMBackend.generate_genesis_state(num_accounts=1)
        code = bytes.fromhex(compiled["bytecode_runtime"][2:])
        token = bytes.fromhex(USDC[SEPOLIA][2:])
        genesis[token] = {"balance": 0, "nonce": 1, "code": code, "storage": {}}
        self.tester = EthereumTester(PyEVMBackend(genesis_state=genesis))
        self.web3 = Web3(EthereumTesterProvider(self.tester))
        self.sender = self.web3.eth.accounts[0]
        self.token = self.web3.eth.contract(address=USDC[SEPOLIA], abi=compiled["abi"])
        self.wait_for_transaction_receipt(self._send(self.token.functions.mint(ADDRESS, FUNDS)))

    def balance(self, owner: str) -> int:
        return int(self.token.functions.balanceOf(owner).call())

    def _send(self, call: Any) -> str:
        return Web3.to_hex(call.transact({"from": self.sender}))

    # -- what the SDK asks of a signer --

    def get_addresses(self) -> list[str]:
        return [self.sender]

    def get_chain_id(self) -> int:
        return 84532

    def get_code(self, address: str) -> bytes:
        return bytes(self.web3.eth.get_code(Web3.to_checksum_address(address)))

    def get_balance(self, address: str, token_address: str) -> int:
        return self.balance(Web3.to_checksum_address(address))

    def read_contract(self, address: str, abi: list[Any], name: str, *args: Any) -> Any:
        contract = self.web3.eth.contract(address=Web3.to_checksum_address(address), abi=abi)
        return contract.get_function_by_name(name)(*args).call({"from": self.sender})

    def write_contract(
        self, address: str, abi: list[Any], name: str, *args: Any, data_suffix: str | None = None
    ) -> str:
        contract = self.web3.eth.contract(address=Web3.to_checksum_address(address), abi=abi)
        return self._send(contract.get_function_by_name(name)(*args))

    def send_transaction(self, to: str, data: bytes) -> str:
        raise AssertionError("nothing is deployed here")

    def verify_typed_data(self, *_args: Any, **_more: Any) -> bool:
        raise AssertionError("the chain verifies")

    def wait_for_transaction_receipt(self, tx_hash: str) -> TransactionReceipt:
        receipt = self.web3.eth.wait_for_transaction_receipt(tx_hash)
        return TransactionReceipt(receipt["status"], receipt["blockNumber"], tx_hash, list(receipt["logs"]))


@dataclass
class Seller:
    """A shop built on the official server SDK: 402, verify, settle, receipt."""

    chain: Chain

    def __post_init__(self) -> None:
        facilitator = x402FacilitatorSync()
        facilitator.register([SEPOLIA], ExactEvmScheme(self.chain))
        self.server = x402ResourceServerSync(facilitator)
        self.server.register(SEPOLIA, ExactEvmServerScheme())
        self.server.initialize()
        self.requirements = [PaymentRequirements.model_validate(offer())]
        self.settled: list[Any] = []
        self.drop_answer = False

    def unpaid(self, _request: httpx.Request) -> httpx.Response:
        required = self.server.create_payment_required_response(self.requirements, ResourceInfo(url=URL))
        return httpx.Response(402, headers={"PAYMENT-REQUIRED": encode_payment_required_header(required)}, json={})

    def paid(self, request: httpx.Request) -> httpx.Response:
        payload = decode_payment_signature_header(request.headers["payment-signature"])
        requirements = self.server.find_matching_requirements(self.requirements, payload)
        assert requirements is not None
        verified = self.server.verify_payment(payload, requirements)
        if not verified.is_valid:
            return httpx.Response(402, json={"code": "PAYMENT_INVALID", "message": verified.invalid_reason})
        result = self.server.settle_payment(payload, requirements)
        assert result.success, result
        self.settled.append(result)
        if self.drop_answer:
            raise httpx.ReadError("peer closed", request=request)
        headers = {"PAYMENT-RESPONSE": encode_payment_response_header(result)}
        return httpx.Response(200, headers=headers, json={"tier": "prototype"})


@pytest.fixture(scope="module")
def built_chain() -> Chain:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        chain = Chain()
    sys.setrecursionlimit(RECURSION_LIMIT)
    return chain


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


def buy(world: World) -> Any:
    with Client(transport=httpx.MockTransport(world.handle)) as client:
        return tiers.set_tier(client, "prototype")


def test_the_official_server_accepts_our_payment_and_the_balance_moves_once(world: World, chain: Chain) -> None:
    seller = Seller(chain)
    world.unpaid, world.paid = seller.unpaid, seller.paid
    assert buy(world) == {"tier": "prototype"}
    assert (chain.balance(ADDRESS), chain.balance(PAY_TO)) == (FUNDS - 30_000, 30_000)
    (record,) = Journal(current().dir).attempts()[0]
    assert record.fields["transaction"] == seller.settled[0].transaction


def test_a_lost_answer_does_not_move_the_balance_a_second_time(world: World, chain: Chain) -> None:
    seller = Seller(chain)
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
    assert chain.balance(ADDRESS) == FUNDS - 30_000


def test_the_chain_tells_that_a_lost_payment_was_made(world: World, chain: Chain) -> None:
    seller = Seller(chain)
    world.unpaid, world.paid = seller.unpaid, seller.paid
    seller.drop_answer = True
    with pytest.raises(PaymentError):
        buy(world)
    (record,) = Journal(current().dir).attempts()[0]
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
