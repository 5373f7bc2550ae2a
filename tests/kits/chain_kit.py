"""A chain in this process with an EIP-3009 token, and a shop on it: code that nobody here wrote takes our payments.

To import it takes seconds: a fixture does.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import vyper
from config_kit import ADDRESS
from eth_tester import EthereumTester, PyEVMBackend
from payment_kit import SEPOLIA, USDC, offer
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

# py-evm raises the recursion limit of the whole process when it is imported: deeply nested JSON, which other tests feed to
# our readers, would then overflow the C stack instead of raising RecursionError.
RECURSION_LIMIT = 1000
sys.setrecursionlimit(RECURSION_LIMIT)

FUNDS = 250_000


class Chain:
    """A py-evm chain with an EIP-3009 token at the address of USDC; signs and sends for the SDK's facilitator."""

    def __init__(self, token: Path) -> None:
        compiled = vyper.compile_code(token.read_text(), output_formats=["abi", "bytecode_runtime"])
        genesis = PyEVMBackend.generate_genesis_state(num_accounts=1)
        code = bytes.fromhex(compiled["bytecode_runtime"][2:])
        genesis[bytes.fromhex(USDC[SEPOLIA][2:])] = {"balance": 0, "nonce": 1, "code": code, "storage": {}}
        self.tester = EthereumTester(PyEVMBackend(genesis_state=genesis))
        self.web3 = Web3(EthereumTesterProvider(self.tester))
        self.sender = self.web3.eth.accounts[0]
        self.token = self.web3.eth.contract(address=USDC[SEPOLIA], abi=compiled["abi"])
        self.wait_for_transaction_receipt(self._send(self.token.functions.mint(ADDRESS, FUNDS)))
        sys.setrecursionlimit(RECURSION_LIMIT)

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
    url: str

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
        required = self.server.create_payment_required_response(self.requirements, ResourceInfo(url=self.url))
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
