"""The x402 wire: challenges, EIP-3009 authorizations, payloads and receipts, versions 2 and 1. Pure: no HTTP, no files.

EIP-712 is written out for the one struct that is ever signed, so that a payment needs keccak-256 and secp256k1 and not
eth-account (a test compares the two). See docs/protocol/payments.md.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from run402_cli.client.signing import address_of, checksum_address, sign_digest
from run402_cli.keccak import keccak256

V1_NETWORKS = {"base": "eip155:8453", "base-sepolia": "eip155:84532"}
USDC = {
    "eip155:8453": "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913",
    "eip155:84532": "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
}
TESTNET = "eip155:84532"
MAX_SAFE = 2**53 - 1
# Longer than any seller needs; an authorization that lives for years would be a blank cheque.
MAX_LIFETIME_S = 86_400
_FLOWS = ("authorization", "upfront", "escrow")
_V1_BACKDATE_S = 600

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_AMOUNT = re.compile(r"[0-9]{1,16}")
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_DOMAIN_TYPE = keccak256(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
_TRANSFER_TYPE = keccak256(
    b"TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
)


class ChallengeError(Exception):
    """The challenge cannot be paid; the text says why and holds nothing secret."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One way to pay that the seller offers. `raw` is the seller's own object; `amount` is in USD micros, or None."""

    raw: Mapping[str, Any]
    scheme: str
    network: str  # CAIP-2, also for version 1
    asset: str
    amount: int | None
    pay_to: str
    resource: str | None = None

    @property
    def extra(self) -> Mapping[str, Any]:
        extra = self.raw.get("extra")
        return extra if isinstance(extra, dict) else {}

    @property
    def is_base(self) -> bool:
        return self.scheme == "exact" and self.network in USDC

    @property
    def is_usdc(self) -> bool:
        return self.asset.lower() == USDC.get(self.network, "").lower()

    @property
    def settles_locally(self) -> bool:
        """Test money that no chain is told of: how the local gateway charges."""
        return self.network == TESTNET and self.extra.get("settlement") == "local"

    @property
    def flow_supported(self) -> bool:
        return self.extra.get("paymentFlow") in (None, *_FLOWS)

    @property
    def plain(self) -> bool:
        """No payment flow, or the direct authorization: preferred over the others."""
        return self.extra.get("paymentFlow") in (None, "authorization")


@dataclass(frozen=True, slots=True)
class Challenge:
    """A parsed 402. `resource_url` is what the seller says is being paid for."""

    version: int
    requirements: tuple[Requirement, ...]
    resource: Mapping[str, Any] | None = None
    extensions: Any = None

    @property
    def resource_urls(self) -> set[str]:
        if self.version == 2:
            return {str(self.resource.get("url"))} if self.resource is not None else set()
        return {str(requirement.resource) for requirement in self.requirements}

    @property
    def networks(self) -> list[str]:
        return list(dict.fromkeys(requirement.network for requirement in self.requirements))


@dataclass(frozen=True, slots=True)
class Authorization:
    """The EIP-3009 transfer that is signed. Times are seconds; `nonce` is 0x and 64 hex digits and is usable once on chain."""

    payer: str
    pay_to: str
    value: int
    valid_after: int
    valid_before: int
    nonce: str

    def to_json(self) -> dict[str, str]:
        return {
            "from": self.payer,
            "to": self.pay_to,
            "value": str(self.value),
            "validAfter": str(self.valid_after),
            "validBefore": str(self.valid_before),
            "nonce": self.nonce,
        }


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the seller says about the settlement; `network` as CAIP-2."""

    success: bool
    transaction: str
    network: str
    payer: str | None
    extensions: Any = None


# -- reading ------------------------------------------------------------------------------------------------------------


def parse_header(value: str, *, url_safe: bool) -> Challenge:
    """The challenge of a PAYMENT-REQUIRED header. ChallengeError when it is not one."""
    fields = _decode(value, url_safe=url_safe)
    if not isinstance(fields, dict) or not _is_int(fields.get("x402Version")):
        raise ChallengeError("the PAYMENT-REQUIRED header is not base64 of an x402 challenge")
    resource, accepts = fields.get("resource"), fields.get("accepts")
    if fields["x402Version"] != 2:
        raise ChallengeError(f"the challenge is of x402 version {fields['x402Version']}, which nobody here knows")
    if not isinstance(resource, dict) or not isinstance(resource.get("url"), str):
        raise ChallengeError("the challenge names no resource")
    if not isinstance(accepts, list) or not all(_well_formed(entry, "amount") for entry in accepts):
        raise ChallengeError("the challenge's list of accepted payments is malformed")
    requirements = tuple(_requirement(entry, entry["network"], "amount") for entry in accepts)
    return Challenge(2, requirements, resource, fields.get("extensions"))


def parse_body(fields: Any) -> Challenge:
    """The challenge of a version 1 body. ChallengeError when it is not one."""
    accepts = fields.get("accepts") if isinstance(fields, dict) else None
    if not isinstance(accepts, list) or not all(_well_formed(entry, "maxAmountRequired") for entry in accepts):
        raise ChallengeError("the version 1 challenge is malformed")
    return Challenge(
        1,
        tuple(
            _requirement(entry, V1_NETWORKS.get(entry["network"], entry["network"]), "maxAmountRequired")
            for entry in accepts
        ),
    )


def _well_formed(entry: Any, amount: str) -> bool:
    return isinstance(entry, dict) and all(
        isinstance(entry.get(key), str) for key in ("scheme", "network", "asset", amount, "payTo")
    )


def _requirement(entry: Mapping[str, Any], network: str, amount: str) -> Requirement:
    text = entry[amount]
    value = int(text) if _AMOUNT.fullmatch(text) and int(text) <= MAX_SAFE else None
    resource = entry.get("resource")
    return Requirement(
        entry,
        entry["scheme"],
        network,
        entry["asset"],
        value,
        entry["payTo"],
        resource if isinstance(resource, str) else None,
    )


def challenge_error(value: str) -> str | None:
    """The `error` text of a PAYMENT-REQUIRED header, when it has one."""
    fields = _decode(value, url_safe=True)
    error = fields.get("error") if isinstance(fields, dict) else None
    return error if isinstance(error, str) else None


def parse_receipt(value: str | None) -> Receipt | None:
    """The settlement receipt of a PAYMENT-RESPONSE header; None when absent or malformed."""
    fields = _decode(value or "", url_safe=True)
    if not isinstance(fields, dict) or not isinstance(fields.get("success"), bool):
        return None
    transaction, network, payer = (fields.get(key) for key in ("transaction", "network", "payer"))
    if not isinstance(transaction, str) or not isinstance(network, str):
        return None
    return Receipt(
        fields["success"],
        transaction,
        V1_NETWORKS.get(network, network),
        payer if isinstance(payer, str) else None,
        fields.get("extensions"),
    )


def _decode(value: str, *, url_safe: bool) -> Any:
    text = value.strip()
    if url_safe:
        text = text.replace("-", "+").replace("_", "/")
        text += "=" * (-len(text) % 4)
    if not _BASE64.fullmatch(text):
        return None
    try:
        return json.loads(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return None


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


# -- signing ------------------------------------------------------------------------------------------------------------


def authorize(requirement: Requirement, *, payer: str, version: int, now: int, nonce: str) -> Authorization:
    """The transfer that the requirement asks for. ChallengeError when it asks for something that must not be signed."""
    timeout = requirement.raw.get("maxTimeoutSeconds")
    if not isinstance(timeout, int) or isinstance(timeout, bool) or timeout <= 0:
        raise ChallengeError("the offer has expired or says no time limit (maxTimeoutSeconds)")
    if timeout > MAX_LIFETIME_S:
        raise ChallengeError(
            f"the offer wants an authorization that is valid for {timeout} s, longer than {MAX_LIFETIME_S} s"
        )
    if requirement.extra.get("assetTransferMethod") == "permit2":
        raise ChallengeError("the offer asks for a Permit2 transfer, which this CLI does not sign")
    if requirement.amount is None:
        raise ChallengeError("the offer's amount is not a whole number of micro-USD")
    if not _ADDRESS.fullmatch(requirement.pay_to):
        raise ChallengeError("the offer's payTo is not an address")
    _domain_names(requirement)
    return Authorization(
        checksum_address(payer),
        checksum_address(requirement.pay_to),
        requirement.amount,
        now - _V1_BACKDATE_S if version == 1 else 0,
        now + timeout,
        nonce,
    )


def _domain_names(requirement: Requirement) -> tuple[str, str]:
    name, version = requirement.extra.get("name"), requirement.extra.get("version")
    if not isinstance(name, str) or not isinstance(version, str):
        raise ChallengeError("the offer does not say the token's name and version, which are part of what is signed")
    if any("\ud800" <= character <= "\udfff" for character in name + version):
        raise ChallengeError("the token's name or version is no text")
    return name, version


def domain_separator(requirement: Requirement) -> bytes:
    name, version = _domain_names(requirement)
    chain = int(requirement.network.removeprefix("eip155:"))
    return keccak256(
        _DOMAIN_TYPE
        + keccak256(name.encode())
        + keccak256(version.encode())
        + _word(chain)
        + _address_word(requirement.asset)
    )


def struct_hash(authorization: Authorization) -> bytes:
    return keccak256(
        _TRANSFER_TYPE
        + _address_word(authorization.payer)
        + _address_word(authorization.pay_to)
        + _word(authorization.value)
        + _word(authorization.valid_after)
        + _word(authorization.valid_before)
        + bytes.fromhex(authorization.nonce[2:])
    )


def sign(private_key: str, requirement: Requirement, authorization: Authorization) -> str:
    """0x r s v. The same input gives the same signature (RFC 6979), so an authorization can be presented again."""
    if address_of(private_key) != authorization.payer:
        raise ChallengeError("the wallet's address does not belong to its key")
    digest = keccak256(b"\x19\x01" + domain_separator(requirement) + struct_hash(authorization))
    return sign_digest(private_key, digest)


def payment_header(
    challenge: Challenge, requirement: Requirement, authorization: Authorization, signature: str
) -> tuple[str, str]:
    """(name, value) of the header that pays: PAYMENT-SIGNATURE, or X-PAYMENT for version 1."""
    signed = {"authorization": authorization.to_json(), "signature": signature}
    if challenge.version == 1:
        network = requirement.raw["network"]
        payload: dict[str, Any] = {
            "x402Version": 1,
            "scheme": requirement.scheme,
            "network": network,
            "payload": signed,
        }
        return "X-PAYMENT", _encode(payload)
    payload = {"x402Version": 2, "payload": signed}
    if challenge.extensions is not None:
        payload["extensions"] = challenge.extensions
    payload["resource"] = challenge.resource
    payload["accepted"] = requirement.raw
    return "PAYMENT-SIGNATURE", _encode(payload)


def _encode(payload: Mapping[str, Any]) -> str:
    text = json.dumps(payload, separators=(",", ":"), ensure_ascii=False)
    try:
        return base64.b64encode(text.encode()).decode()
    except UnicodeEncodeError:
        raise ChallengeError("the challenge holds characters that cannot be sent back") from None


def _word(number: int) -> bytes:
    return number.to_bytes(32, "big")


def _address_word(address: str) -> bytes:
    return bytes.fromhex(address[2:]).rjust(32, b"\0")
