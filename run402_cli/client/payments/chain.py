"""Token balances of an address, read from the chains' public JSON-RPC nodes. See docs/protocol/payments.md, "Balances"."""

from __future__ import annotations

import random
import re
import time
from dataclasses import dataclass
from typing import Any

from run402_cli.client.http import httpx

# Marks a POST that changes nothing, for --dry-run.
READS = "run402_reads"
RPC_URLS = {
    "eip155:8453": ("https://mainnet.base.org", "https://base-rpc.publicnode.com", "https://1rpc.io/base"),
    "eip155:84532": (
        "https://sepolia.base.org",
        "https://base-sepolia-rpc.publicnode.com",
        "https://base-sepolia.drpc.org",
    ),
}
_BALANCE_OF = "0x70a08231"
_AUTHORIZATION_STATE = "0xe94a0102"  # authorizationState(address,bytes32) of EIP-3009
_BACKOFF_S = 0.1
_PAYMENT_TIMEOUT = httpx.Timeout(4.0, connect=2.0)
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
    answer = ask(http, url, method, params)
    return answer.get("result") if isinstance(answer, dict) else None


def ask(http: httpx.Client, url: str, method: str, params: list[Any]) -> dict[str, Any] | None:
    """The whole answer of one JSON-RPC call, `error` included; None when there was no sensible one."""
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    extensions = {READS: method.startswith("eth_")}
    try:
        response = http.post(url, json=request, timeout=_TIMEOUT, extensions=extensions)
        answer = response.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError):
        return None
    return answer if response.is_success and isinstance(answer, dict) else None


# -- reads of a payment: several nodes, several tries, and the reason of each failure -------------------------------------


class Unreadable(Exception):
    """No node answered. `attempts`: [{provider_index, attempt, reason: timeout, rate_limited, network or rpc_error}]."""

    def __init__(self, attempts: list[dict[str, Any]]) -> None:
        super().__init__("no node answered")
        self.attempts = attempts


def usdc_balance(http: httpx.Client, network: str, token: str, owner: str) -> int:
    """The owner's balance in USD micros on a CAIP-2 network, from the first node that answers. Raises Unreadable."""
    data = _BALANCE_OF + owner.removeprefix("0x").lower().rjust(64, "0")
    return _read_word(http, network, {"data": data, "to": token})


def authorization_used(http: httpx.Client, network: str, token: str, *, payer: str, nonce: str) -> bool | None:
    """Whether an EIP-3009 authorization has moved money; None when no node answered."""
    data = _AUTHORIZATION_STATE + payer.removeprefix("0x").lower().rjust(64, "0") + nonce.removeprefix("0x")
    try:
        return _read_word(http, network, {"data": data, "to": token}) != 0
    except Unreadable:
        return None


def _read_word(http: httpx.Client, network: str, transaction: dict[str, str]) -> int:
    failed: list[dict[str, Any]] = []
    for index, url in enumerate(RPC_URLS[network]):
        for attempt in (1, 2):
            if attempt == 2:
                time.sleep(_BACKOFF_S * random.uniform(1, 1.25))
            found = _try_read(http, url, transaction)
            if isinstance(found, int):
                return found
            failed.append({"provider_index": index, "attempt": attempt, "reason": found})
    raise Unreadable(failed)


def _try_read(http: httpx.Client, url: str, transaction: dict[str, str]) -> int | str:
    """The word that a call returns, or why there is none."""
    request = {"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [transaction, "latest"]}
    try:
        response = http.post(url, json=request, timeout=_PAYMENT_TIMEOUT, extensions={READS: True})
        answer = response.json()
    except httpx.TimeoutException:
        return "timeout"
    except (httpx.HTTPError, httpx.InvalidURL):
        return "network"
    except (ValueError, RecursionError):
        return "rate_limited" if response.status_code == 429 else "rpc_error"
    error = answer.get("error") if isinstance(answer, dict) else None
    limited = isinstance(error, dict) and error.get("code") in (-32005, -32016, 429)
    if response.status_code == 429 or limited:
        return "rate_limited"
    word = answer.get("result") if isinstance(answer, dict) and response.is_success else None
    return int(word, 16) if isinstance(word, str) and _WORD.fullmatch(word) else "rpc_error"
