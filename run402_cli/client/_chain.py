"""Token balances of an address, read from the chains' public JSON-RPC nodes. See docs/protocol/payments.md, "Balances"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from run402_cli.client._httpx import httpx

_BALANCE_OF = "0x70a08231"
_WORD = re.compile(r"0x[0-9a-fA-F]{1,64}")
# A status report waits for this at most: somebody without a network must not wait for long.
_TIMEOUT = httpx.Timeout(5.0, connect=3.0)


@dataclass(frozen=True, slots=True)
class Token:
    """A stablecoin with six decimals on one network: its unit is the USD micro."""

    network: str
    symbol: str
    address: str
    rpc_url: str


USDC_MAINNET = Token("base-mainnet", "USDC", "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913", "https://mainnet.base.org")
USDC_SEPOLIA = Token("base-sepolia", "USDC", "0x036CbD53842c5426634e7929541eC2318f3dCF7e", "https://sepolia.base.org")
PATH_USD = Token(
    "tempo-moderato", "pathUSD", "0x20c0000000000000000000000000000000000000", "https://rpc.moderato.tempo.xyz/"
)


def balance(http: httpx.Client, token: Token, owner: str) -> int | None:
    """The owner's balance in USD micros; None when the node does not answer sensibly within a few seconds."""
    data = _BALANCE_OF + owner.removeprefix("0x").lower().rjust(64, "0")
    result = call(http, token.rpc_url, "eth_call", [{"data": data, "to": token.address}, "latest"])
    if not isinstance(result, str) or not _WORD.fullmatch(result):
        return None
    return int(result, 16)


def call(http: httpx.Client, url: str, method: str, params: list[Any]) -> Any:
    """The `result` of one JSON-RPC call, or None for any failure."""
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    try:
        response = http.post(url, json=request, timeout=_TIMEOUT)
        answer = response.json()
    except (httpx.HTTPError, ValueError, RecursionError):
        return None
    return answer.get("result") if response.is_success and isinstance(answer, dict) else None
