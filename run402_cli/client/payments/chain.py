"""Token balances of an address, read from the chains' public JSON-RPC nodes. See docs/protocol/payments.md, "Balances"."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

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
# Why a node gave no answer.
_REASONS = ("timeout", "network", "rate_limited", "rpc_error")
# A chain may still drop its newest blocks: only this long after an authorization's end is it certain to stay unused.
_SETTLED_S = 120
T = TypeVar("T")
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
    return _word(call(http, token.rpc_url, "eth_call", [{"data": data, "to": token.address}, "latest"]))


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


class Fate(Enum):
    """What the chain says of an authorization. OPEN: not used, but it still can be. UNKNOWN: no node answered."""

    USED = "used"
    UNUSED = "unused"
    OPEN = "open"
    UNKNOWN = "unknown"


class Unreadable(Exception):
    """No node answered. `attempts`: [{provider_index, attempt, reason: timeout, rate_limited, network or rpc_error}]."""

    def __init__(self, attempts: list[dict[str, Any]]) -> None:
        super().__init__("no node answered")
        self.attempts = attempts


def usdc_balance(http: httpx.Client, network: str, token: str, owner: str) -> int:
    """The owner's balance in USD micros on a CAIP-2 network, from the first node that answers. Raises Unreadable."""
    data = _BALANCE_OF + owner.removeprefix("0x").lower().rjust(64, "0")
    return _read_word(http, network, {"data": data, "to": token})


def authorization_fate(
    http: httpx.Client, network: str, token: str, *, payer: str, nonce: str, valid_before: int
) -> Fate:
    """What became of an EIP-3009 authorization, as one node tells it at one block.

    `unused` means for good: by the chain's own clock, not this machine's, the authorization ended minutes ago.
    """
    data = _AUTHORIZATION_STATE + payer.removeprefix("0x").lower().rjust(64, "0") + nonce.removeprefix("0x")

    def asked(url: str) -> Fate | str:
        block = _ask(http, url, "eth_getBlockByNumber", ["latest", False])
        if not isinstance(block, dict):
            return block if isinstance(block, str) else "rpc_error"
        number, time_of_block = block.get("number"), _word(block.get("timestamp"))
        if _word(number) is None or time_of_block is None:
            return "rpc_error"
        used = _word(_ask(http, url, "eth_call", [{"data": data, "to": token}, number]))
        if used is None:
            return "rpc_error"
        if used:
            return Fate.USED
        return Fate.UNUSED if time_of_block > valid_before + _SETTLED_S else Fate.OPEN

    try:
        return _first_answer(network, asked)
    except Unreadable:
        return Fate.UNKNOWN


def _read_word(http: httpx.Client, network: str, transaction: dict[str, str]) -> int:
    def asked(url: str) -> int | str:
        found = _ask(http, url, "eth_call", [transaction, "latest"])
        word = _word(found)
        return word if word is not None else found if found in _REASONS else "rpc_error"

    return _first_answer(network, asked)


def _first_answer(network: str, asked: Callable[[str], T | str]) -> T:
    """What the first node answers, each asked twice; `asked` says why there is no answer. Raises Unreadable."""
    failed: list[dict[str, Any]] = []
    for index, url in enumerate(RPC_URLS[network]):
        for attempt in (1, 2):
            if attempt == 2:
                time.sleep(_BACKOFF_S * random.uniform(1, 1.25))
            found = asked(url)
            if not isinstance(found, str):
                return found
            failed.append({"provider_index": index, "attempt": attempt, "reason": found})
    raise Unreadable(failed)


def _ask(http: httpx.Client, url: str, method: str, params: list[Any]) -> Any:
    """The `result` of one call, or one of _REASONS."""
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
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
    return answer.get("result", "rpc_error") if isinstance(answer, dict) and response.is_success else "rpc_error"


def _word(value: Any) -> int | None:
    return int(value, 16) if isinstance(value, str) and _WORD.fullmatch(value) else None
