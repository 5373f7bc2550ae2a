"""Charging without a chain: `core start --require-payment` asks for x402 payments and verifies the signatures here.

What is signed is the real thing (x402 version 2, an EIP-3009 transfer of USDC on Base Sepolia); only the settlement is
not: no chain is told, and the receipt says so. A payment counts once, for one request. See docs/local-gateway.md.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from starlette.requests import Request

from run402_cli import advice
from run402_cli.core.callers import payment_rows, siwx
from run402_cli.core.callers.wallet_signatures import ADDRESS, address_word, signer_of, typed_digest, word
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import gateway_of
from run402_cli.keccak import keccak256

HEADER = "payment-signature"
NETWORK = "eip155:84532"
ASSET = "0x036CbD53842c5426634e7929541eC2318f3dCF7e"
TOKEN_NAME, TOKEN_VERSION = "USDC", "2"
# Nobody has its key: should a payment ever leave this machine, nobody gains by it. And test money only.
PAY_TO = "0x000000000000000000000000000000000000dEaD"
# So long that a payment whose answer was lost can be presented again, since there is no chain to ask about it.
MAX_TIMEOUT_S = 86_400
_SLACK_S = 300
NOTE = "Verified by a local gateway. No chain was used and no money moved."

PROJECT_PRICE = 100_000  # USD micros
_MAX_HEADER = 32_768

_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_NUMBER = re.compile(r"[0-9]{1,78}", re.ASCII)
_NONCE = re.compile(r"0x[0-9a-fA-F]{64}")
_DOMAIN_TYPE = keccak256(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
_TRANSFER_TYPE = keccak256(
    b"TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
)
_DOMAIN = keccak256(
    _DOMAIN_TYPE
    + keccak256(TOKEN_NAME.encode())
    + keccak256(TOKEN_VERSION.encode())
    + word(int(NETWORK.removeprefix("eip155:")))
    + address_word(ASSET)
)


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment whose signature is right. Whether it counted already is for `count` to say."""

    payer: str  # lower case
    nonce: str  # lower case
    amount: int  # USD micros

    @property
    def transaction(self) -> str:
        return "local:" + hashlib.sha256(f"{self.payer} {self.nonce}".encode()).hexdigest()[:40]

    def receipt(self, *, first: bool) -> dict[str, str]:
        """Headers of the answer that was paid for; `first` is False when the payment had counted before."""
        fields = {
            "success": True,
            "transaction": self.transaction,
            "network": NETWORK,
            "payer": self.payer,
            "amount": str(self.amount),
            "extra": {"settlement": "local", "chain": None, "note": NOTE},
        }
        return {
            "PAYMENT-RESPONSE": _encode(fields),
            "X-Run402-Payment-Deduplicated": "false" if first else "true",
            "X-Run402-Payment-Funds-Moved": "false",
        }


def required(request: Request) -> bool:
    """Does this gateway charge?"""
    return gateway_of(request).settings.require_payment


def presented(request: Request, price: int, purpose: str) -> Payment | None:
    """The payment that the request carries; None without one, or when this gateway does not charge.

    402 PAYMENT_INVALID, with the challenge again, when it is not one for this request at this price.
    """
    value = request.headers.get(HEADER) if required(request) else None
    if value is None:
        return None
    try:
        return verify(value, price, resource_url(request), int(time.time()))
    except InvalidPayment as exc:
        raise _challenge(request, price, purpose, f"The payment was not accepted: {exc}.", "payment_invalid") from exc


async def count(conn: Connection, request: Request, payment: Payment | None, price: int, purpose: str) -> None:
    """Take the payment for this request; call it in the transaction that delivers what is paid for.

    402 PAYMENT_REQUIRED without a payment, 409 PAYMENT_ALREADY_USED when it paid for something else before.
    """
    if not required(request):
        return
    if payment is None:
        raise _challenge(request, price, purpose, f"{purpose} costs {price / 1_000_000:.2f} USD on this gateway.")
    new = await payment_rows.take(conn, payment.payer, payment.nonce, payment.amount, purpose, payment.transaction)
    if not new:
        raise GatewayError(
            409,
            "payment_already_used",
            f"Payment {payment.transaction} has paid for something else already and does not count again. "
            "Nothing was taken. To buy again, pass a new --idempotency-key.",
            transaction=payment.transaction,
        )


async def counted(conn: Connection, payment: Payment) -> bool:
    """Has this payment paid for something?"""
    return await payment_rows.is_taken(conn, payment.payer, payment.nonce)


def purchase_key(request: Request, payment: Payment | None, what: str) -> str | None:
    """What makes a repeat the same purchase: the caller's Idempotency-Key, else the payment; None without either.

    400 invalid_request for a key of more than 255 characters.
    """
    key = request.headers.get("idempotency-key")
    if not key:
        return None if payment is None else f"{payment.transaction} {what}"
    if len(key) > 255:
        raise GatewayError(
            400, "invalid_request", "The Idempotency-Key header is longer than 255 characters.", code=None
        )
    return siwx.scoped_key(key)


# -- the challenge ------------------------------------------------------------------------------------------------------


def offer(price: int) -> dict[str, Any]:
    """The one way to pay; `extra.settlement` tells clients on this machine that no chain balance matters."""
    return {
        "scheme": "exact",
        "network": NETWORK,
        "asset": ASSET,
        "amount": str(price),
        "payTo": PAY_TO,
        "maxTimeoutSeconds": MAX_TIMEOUT_S,
        "extra": {"name": TOKEN_NAME, "version": TOKEN_VERSION, "settlement": "local"},
    }


def resource_url(request: Request) -> str:
    """What is paid for: the address of the request, as the client reached it."""
    return str(request.url)


def _challenge(
    request: Request, price: int, purpose: str, message: str, error: str = "payment_required"
) -> GatewayError:
    challenge = {
        "x402Version": 2,
        "error": message,
        "resource": {"url": resource_url(request), "description": purpose, "mimeType": "application/json"},
        "accepts": [offer(price)],
    }
    refusal = GatewayError(
        402,
        error,
        message,
        category="payment_required",
        hint="Give the wallet a key that signs the payment: run402 allowance create. Or start the gateway without "
        "--require-payment: run402 core stop, then run402 core start",
        next_actions=[advice.action("run_command", "allowance", "create", why="a key signs the payment")],
        price_usd_micros=price,
        settlement="local",
    )
    refusal.headers = {"PAYMENT-REQUIRED": _encode(challenge)}
    return refusal


def _encode(value: Mapping[str, Any]) -> str:
    return base64.b64encode(json.dumps(value, separators=(",", ":")).encode()).decode()


# -- the payment --------------------------------------------------------------------------------------------------------


class InvalidPayment(Exception):
    """Why a PAYMENT-SIGNATURE header is no payment of this price."""


def verify(value: str, price: int, url: str, now: int) -> Payment:
    """The payment of a PAYMENT-SIGNATURE header, checked against price, address, time and signature. InvalidPayment."""
    payload = _decoded(value)
    accepted = payload.get("accepted")
    wanted = offer(price)
    for name in ("scheme", "network", "asset", "amount", "payTo"):
        given = accepted.get(name) if isinstance(accepted, dict) else None
        if not isinstance(given, str) or given.lower() != wanted[name].lower():
            _refuse(f"its `accepted.{name}` is not what was offered ({wanted[name]})")
    resource = payload.get("resource")
    if resource is not None and (not isinstance(resource, dict) or resource.get("url") != url):
        _refuse("its `resource` is not the address of this request")
    body = payload.get("payload")
    authorization = body.get("authorization") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(authorization, dict):
        _refuse("it holds no authorization")
    return _authorized(authorization, body.get("signature"), price, now)


def _decoded(value: str) -> dict[str, Any]:
    try:
        if len(value) > _MAX_HEADER or not _BASE64.fullmatch(value):
            _refuse("the header is not standard base64")
        payload = json.loads(base64.b64decode(value, validate=True).decode())
    except (binascii.Error, ValueError, RecursionError):
        _refuse("the header is not base64 of JSON")
    if not isinstance(payload, dict) or payload.get("x402Version") != 2:
        _refuse("it is not of x402 version 2")
    return payload


def _authorized(fields: Mapping[str, Any], signature: Any, price: int, now: int) -> Payment:
    payer, pay_to = (_matching(fields, name, ADDRESS) for name in ("from", "to"))
    value, after, before = (int(_matching(fields, name, _NUMBER)) for name in ("value", "validAfter", "validBefore"))
    nonce = _matching(fields, "nonce", _NONCE)
    if pay_to.lower() != PAY_TO.lower():
        _refuse(f"it pays {pay_to}, not {PAY_TO}")
    if value != price:
        _refuse(f"it is about {value} USD micros and the price is {price}")
    if after > now:
        _refuse("it is not valid yet")
    if before <= now:
        _refuse("it has expired")
    if before > now + MAX_TIMEOUT_S + _SLACK_S:
        _refuse(f"it is valid for longer than the {MAX_TIMEOUT_S} s that were offered")
    struct = keccak256(
        _TRANSFER_TYPE
        + address_word(payer)
        + address_word(pay_to)
        + word(value)
        + word(after)
        + word(before)
        + bytes.fromhex(nonce[2:])
    )
    signer = signer_of(typed_digest(_DOMAIN, struct), signature) if isinstance(signature, str) else None
    if signer is None or signer != payer.lower():
        _refuse(f"it was not signed by {payer}")
    return Payment(signer, nonce.lower(), value)


def _matching(fields: Mapping[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    text = fields.get(name)
    if not isinstance(text, str) or not pattern.fullmatch(text):
        _refuse(f"its `authorization.{name}` is missing or malformed")
    return text


def _refuse(reason: str) -> NoReturn:
    raise InvalidPayment(reason)
