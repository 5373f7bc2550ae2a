"""A seller on loopback and two chain nodes, for the payment tests: what it was paid is counted, and a nonce counts once."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
from config_kit import ADDRESS

SEPOLIA = "eip155:84532"
MAINNET = "eip155:8453"
USDC = {
    MAINNET: "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913",
    SEPOLIA: "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
}
PAY_TO = "0x2222222222222222222222222222222222222222"
TRANSACTION = "0x" + "ab" * 32


def encode(value: Any) -> str:
    return base64.b64encode(json.dumps(value, separators=(",", ":")).encode()).decode()


def decode(header: str) -> Any:
    return json.loads(base64.b64decode(header))


def offer(**changes: Any) -> dict[str, Any]:
    network = changes.get("network", SEPOLIA)
    return {
        "scheme": "exact",
        "network": SEPOLIA,
        "asset": USDC.get(network, USDC[SEPOLIA]),
        "amount": "30000",
        "payTo": PAY_TO,
        "maxTimeoutSeconds": 60,
        "extra": {"name": "USDC", "version": "2"},
        **changes,
    }


def challenge(url: str, *offers: dict[str, Any], **more: Any) -> dict[str, Any]:
    resource = {"url": url, "description": "d", "mimeType": "application/json"}
    return {"x402Version": 2, "error": "pay", "resource": resource, "accepts": list(offers) or [offer()], **more}


def receipt(**changes: Any) -> str:
    return encode({"success": True, "transaction": TRANSACTION, "network": SEPOLIA, "payer": ADDRESS, **changes})


Answer = Callable[[httpx.Request], httpx.Response]


@dataclass
class World:
    """Everything outside: one seller at any host, and the chains. Each request is kept in `seen`."""

    url: str
    offers: list[dict[str, Any]] = field(default_factory=lambda: [offer()])
    balances: dict[str, int | None] = field(default_factory=lambda: {SEPOLIA: 250_000, MAINNET: 0})
    paid: Answer | None = None
    unpaid: Answer | None = None
    used: bool = False  # what authorizationState says
    clock: float | None = None  # the chain's own time; without one that of this machine
    seen: list[httpx.Request] = field(default_factory=list)
    payments: list[dict[str, Any]] = field(default_factory=list)

    @property
    def nonces(self) -> list[str]:
        """One per signed payment that arrived; the same one twice is one payment."""
        return [payment["payload"]["authorization"]["nonce"] for payment in self.payments]

    @property
    def rpc(self) -> list[httpx.Request]:
        return [request for request in self.seen if _is_rpc(request)]

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        if _is_rpc(request):
            return self._chain(request)
        header = request.headers.get("payment-signature") or request.headers.get("x-payment")
        if header is None:
            if self.unpaid is not None:
                return self.unpaid(request)
            return httpx.Response(402, headers={"PAYMENT-REQUIRED": encode(challenge(self.url, *self.offers))}, json={})
        self.payments.append(decode(header))
        if self.paid is not None:
            return self.paid(request)
        return httpx.Response(200, headers={"PAYMENT-RESPONSE": receipt()}, json={"data": 1})

    def _chain(self, request: httpx.Request) -> httpx.Response:
        transaction = json.loads(request.content)["params"][0]
        if transaction == "latest":
            now = time.time() if self.clock is None else self.clock
            return httpx.Response(200, json={"result": {"number": "0x10", "timestamp": hex(int(now))}})
        network = next(name for name, token in USDC.items() if token.lower() == transaction["to"].lower())
        if transaction["data"].startswith("0xe94a0102"):
            return httpx.Response(200, json={"result": "0x" + format(int(self.used), "064x")})
        balance = self.balances.get(network)
        if balance is None:
            raise httpx.ConnectTimeout("no route", request=request)
        return httpx.Response(200, json={"result": "0x" + format(balance, "064x")})


def _is_rpc(request: httpx.Request) -> bool:
    return request.method == "POST" and b'"eth_' in request.content
