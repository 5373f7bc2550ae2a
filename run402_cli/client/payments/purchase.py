"""Paying a stranger, for `run402 pay`: a ceiling, a strict challenge, a receipt. See docs/protocol/payments.md, "Buying"."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from run402_cli import advice
from run402_cli.client.http import httpx
from run402_cli.client.payments import errors, x402
from run402_cli.client.payments.gateway import Payment, Signed, Unpaid, body_fields, receipt_header
from run402_cli.client.payments.x402 import Challenge, ChallengeError, Receipt, Requirement
from run402_cli.errors import PaymentError
from run402_cli.state.allowance import Allowance
from run402_cli.state.profile import Profile

_NOT_SETTLED = ("payment_insufficient_funds", "TENANT_X402_SETTLEMENT_FAILED", "PAYMENT_REQUIRED")
_INVALID = "TENANT_X402_PAYMENT_INVALID"
_USED = re.compile(r"already[ _-]?used|used[ _-]or[ _-]cancel|nonce[ _-].{0,200}used", re.I)
_SELLER_CODES = (
    "PAYMENT_INTENT_PENDING",
    "PAYMENT_DESTINATION_DRAINING",
    "PAYMENT_INTENT_DESTINATION_CHANGED",
    "PAYMENT_INTENT_FENCE_EXPIRED",
    "PAYMENT_AUTHORIZATION_LIFETIME_EXCEEDED",
    "PAYMENT_CALLER_IDENTITY_NOT_ACTIVE",
    "IDEMPOTENCY_KEY_REUSED",
    "INVALID_IDEMPOTENCY_KEY",
    "IDEMPOTENCY_KEY_PAYER_REQUIRED",
)
_SELLER_HOST = re.compile(r"(?:(?P<name>[a-z0-9-]+)|[a-z0-9-]+\.sites)\.run402\.(?:com|app)")
# Hosts of the platform itself: never a seller's.
_PLATFORM_NAMES = frozenset(
    (
        "api",
        "admin",
        "assets",
        "cdn",
        "dashboard",
        "docs",
        "help",
        "mail",
        "sites",
        "static",
        "status",
        "support",
        "www",
    )
)


class BuyerPayment(Payment):
    """One bounded purchase. After a success `signed` and `receipt` say what was paid, `settled_before` that it was before."""

    url_safe = True

    def __init__(
        self,
        http: httpx.Client,
        profile: Profile,
        allowance: Allowance,
        unpaid: Unpaid,
        *,
        require_receipt: bool,
    ) -> None:
        super().__init__(http, profile, allowance, unpaid)
        self.require_receipt = require_receipt
        self.signed: Signed | None = None
        self.receipt: Receipt | None = None
        self.settled_before = False

    # -- choosing -------------------------------------------------------------------------------------------------------

    def parse(self) -> Challenge:
        try:
            return super().parse()
        except ChallengeError as exc:
            raise settlement_failed(str(exc)) from exc

    def foreign(self, challenge_url: str | None) -> PaymentError:
        return settlement_failed(errors.FOREIGN, challenge_url=challenge_url, request_url=str(self.unpaid.request.url))

    @property
    def ceiling(self) -> int:
        """That of the command itself: `pay` has a --max-usd of its own."""
        return self.unpaid.at_most

    def eligible(self, challenge: Challenge) -> list[Requirement]:
        on_base = [offer for offer in challenge.requirements if offer.is_base]
        networks = {"challenge_networks": challenge.networks, "wallet_networks": list(x402.USDC)}
        if not on_base:
            raise _unsupported("No offer is of scheme `exact` on Base or Base Sepolia.", networks)
        usdc = [offer for offer in on_base if offer.is_usdc]
        if not usdc:
            assets = {
                "challenge_assets": [offer.asset for offer in on_base],
                "wallet_assets": list(x402.USDC.values()),
            }
            raise _unsupported("The asked-for token is not USDC of that network.", {**networks, **assets})
        if any(offer.amount is None for offer in usdc):
            amounts = [str(offer.raw.get("amount", offer.raw.get("maxAmountRequired"))) for offer in usdc]
            raise settlement_failed("an amount is not a whole number of micro-USD", challenge_amounts=amounts)
        within = self._agreed(usdc)
        if self.require_receipt:
            raise _receipt_required(len(within))
        return super().eligible(Challenge(challenge.version, tuple(within), challenge.resource, challenge.extensions))

    # -- outcomes -------------------------------------------------------------------------------------------------------

    def conclude(self, signed: Signed, response: httpx.Response) -> None:
        self.signed = signed
        if response.is_success:
            self._check_receipt(signed, response)
            return
        fields = body_fields(response)
        code = fields.get("code")
        if trusted_seller(self.unpaid.request.url) and code in _SELLER_CODES:
            raise self._seller_error(signed, response, fields)
        reason = _x402_error(fields, response)
        used = code == _INVALID and _USED.search(reason or "") is not None
        if used and "presented_again" in signed.attempt.fields:
            signed.attempt.note("completed", "completed", resolved_by="seller")
            self.settled_before = True
            return
        if code in _NOT_SETTLED or (code == _INVALID and not used):
            self._lost(signed.attempt, str(code))
            said = {"upstream_code": code, "x402_error": reason}
            if code == "payment_insufficient_funds":
                why = "the seller says that the wallet's funds do not suffice"
                raise self.ambiguous(why, code="PAYMENT_WALLET_UNFUNDED", **said)
            raise self.ambiguous("the seller says that it did not settle it", **said)
        self._lost(signed.attempt)
        raise self.ambiguous(f"the seller answered HTTP {response.status_code} to it")

    def _check_receipt(self, signed: Signed, response: httpx.Response) -> None:
        receipt = x402.parse_receipt(receipt_header(response))
        same_network = receipt is not None and receipt.network == signed.requirement.network
        if receipt is not None and receipt.success and receipt.transaction and same_network:
            signed.attempt.note("completed", "completed", transaction=receipt.transaction)
            self.receipt = receipt
            return
        self._lost(signed.attempt)
        if receipt is not None and not receipt.success:
            raise self.ambiguous("the seller's receipt says that it was not settled")
        raise self.ambiguous("the seller answered without a valid settlement receipt")

    def _seller_error(self, signed: Signed, response: httpx.Response, fields: dict[str, Any]) -> PaymentError:
        headers = run402_headers(response)
        pending = (
            fields["code"] == "PAYMENT_INTENT_PENDING"
            and response.status_code == 409
            and headers.get("intent_state") == "pending"
        )
        if pending:
            signed.attempt.note(
                "intent_pending",
                "ambiguous",
                last_error_code="PAYMENT_INTENT_PENDING",
                payment_id=headers.get("payment_id"),
                intent_state="pending",
                retry_after_seconds=headers.get("retry_after_seconds"),
            )
        else:
            self._lost(signed.attempt, str(fields["code"]))
        return _passed_through(fields, headers, signed.attempt.id)

    def signing_failed(self, reason: str, *, hint: str | None = None) -> PaymentError:
        return settlement_failed(reason, upstream_code="X402_PAYMENT_SIGNING_FAILED", retryable=True, hint=hint)

    def journal_failed(self, cause: Exception) -> PaymentError:
        return settlement_failed(str(cause), upstream_code="X402_ATTEMPT_JOURNAL_FAILED", retryable=True)

    def insufficient_funds(self, balances: Mapping[str, int], wanted: Sequence[Mapping[str, Any]]) -> PaymentError:
        details = errors.funds_details(balances, wanted, self.allowance.address)
        return unfunded("the wallet does not hold enough USDC for this price", **details)

    def rpc_failed(self, network: str, attempts: Sequence[Mapping[str, Any]]) -> PaymentError:
        cause = errors.rpc_failed(network, attempts)
        return settlement_failed(
            f"the wallet's balance on {network} could not be read", upstream_code=cause.code, retryable=True
        )

    def ambiguous(self, reason: str, *, code: str = "PAYMENT_SETTLEMENT_FAILED", **more: Any) -> PaymentError:
        details = self._details()
        attempt_id = details["payment_attempt_id"]
        return PaymentError(
            f"The payment was sent, but its outcome is unknown: {reason}.",
            code=code,
            safe_to_retry=False,
            mutation_state="ambiguous",
            details={
                "funds_moved": "unknown",
                "payment_attempt_id": attempt_id,
                **errors.terms(self.attempt),
                "phase": details["phase"],
                "provider_started": details["provider_started"],
                "upstream_code": "X402_PAYMENT_OUTCOME_AMBIGUOUS",
                "response_status": details["response_status"],
                **{key: value for key, value in more.items() if value is not None},
            },
            hint=errors.SAME_AGAIN,
            next_actions=errors.unknown_actions(attempt_id),
        )


def trusted_seller(url: httpx.URL) -> bool:
    """A tenant site of Run402, whose answers about a payment are believed. ASCII only: no look-alike passes."""
    if url.scheme != "https" or url.port is not None or url.userinfo:
        return False
    match = _SELLER_HOST.fullmatch(url.raw_host.decode("ascii", "replace"))
    return match is not None and match["name"] not in _PLATFORM_NAMES


def run402_headers(response: httpx.Response) -> dict[str, Any]:
    """What the X-Run402-* headers of an answer say: payment_id, deduplicated, funds_moved, delivery, ..."""
    flags: dict[str, Any] = {"true": True, "false": False}

    def text(name: str) -> str | None:
        return response.headers.get(name) or None

    funds = text("x-run402-payment-funds-moved")
    after = text("retry-after")
    found = {
        "payment_id": text("x-run402-payment-id"),
        "deduplicated": flags.get(text("x-run402-payment-deduplicated") or ""),
        "funds_moved": "unknown" if funds == "unknown" else flags.get(funds or ""),
        "delivery": text("x-run402-payment-delivery"),
        "settled_at": text("x-run402-payment-settled-at"),
        "intent_state": text("x-run402-payment-intent-state"),
        "retry_after_seconds": int(after) if after and re.fullmatch(r"[0-9]{1,9}", after) else None,
    }
    return {key: value for key, value in found.items() if value is not None}


def _x402_error(fields: Mapping[str, Any], response: httpx.Response) -> str | None:
    details = fields.get("details")
    reason = details.get("x402_error") if isinstance(details, dict) else None
    if isinstance(reason, str):
        return reason
    return x402.challenge_error(response.headers.get("payment-required", ""))


# What a seller does not get to say in its error: whether our money moved, and what to do.
_OURS = ("safe_to_retry", "mutation_state", "next_actions", "hint", "fix", "docs", "funds_moved", "status", "source")


def _passed_through(fields: dict[str, Any], headers: dict[str, Any], attempt_id: str) -> PaymentError:
    """The seller's own error, with the headers filled in where the body is silent, and what is known of the money."""
    merged = {**{k: v for k, v in headers.items() if k != "retry_after_seconds"}, **fields}
    known = ("code", "message", "error", "category", "retryable", "details", *_OURS)
    said = fields.get("details")
    details = {key: value for key, value in said.items() if key not in _OURS} if isinstance(said, dict) else {}
    return PaymentError(
        str(fields.get("message") or fields.get("error") or "The seller refused the payment."),
        code=str(fields["code"]),
        category=str(fields.get("category") or "payment"),
        error=str(fields["error"]) if isinstance(fields.get("error"), str) else None,
        retryable=fields.get("retryable") is True,
        safe_to_retry=False,
        mutation_state="ambiguous",
        details={**details, "payment_attempt_id": attempt_id, "funds_moved": "unknown"},
        hint=errors.SAME_AGAIN,
        next_actions=errors.unknown_actions(attempt_id),
        fields={**{key: value for key, value in merged.items() if key not in known}, "funds_moved": "unknown"},
    )


def settlement_failed(reason: str, *, retryable: bool = False, hint: str | None = None, **details: Any) -> PaymentError:
    """Not paid, and no money moved."""
    return PaymentError(
        f"The payment was not made: {reason}.",
        code="PAYMENT_SETTLEMENT_FAILED",
        retryable=retryable,
        details={"funds_moved": False, **{key: value for key, value in details.items() if value is not None}},
        hint=hint,
        next_actions=[{"type": "retry", "why": "No money moved; repeat the command once the reason is gone."}],
    )


def unfunded(reason: str, **details: Any) -> PaymentError:
    return PaymentError(
        f"The payment was not made: {reason}.",
        code="PAYMENT_WALLET_UNFUNDED",
        details={"funds_moved": False, **details},
        hint="Test funds: run402 allowance fund. On Base mainnet, send USDC to the address of: run402 allowance export",
        next_actions=[
            {"type": "fund_wallet", "why": "The wallet needs USDC on a network that the seller takes."},
            advice.action("run_command", "allowance", "fund", why="Test funds, on Base Sepolia."),
            advice.action("run_command", "init", why="Set up a wallet when there is none."),
        ],
    )


def _unsupported(reason: str, details: Mapping[str, Any]) -> PaymentError:
    return PaymentError(
        f"{reason} Nothing was signed.",
        code="PAYMENT_NETWORK_UNSUPPORTED",
        details={"funds_moved": False, **details},
        next_actions=[{"type": "edit_request", "why": "This wallet pays USDC on Base and Base Sepolia only."}],
    )


def _receipt_required(offers: int) -> PaymentError:
    return PaymentError(
        "The seller makes no signed offer, so no receipt can be checked. Nothing was signed.",
        code="MERCHANT_RECEIPT_REQUIRED",
        category="payment_policy",
        details={"offered_requirements": offers, "valid_wallet_rooted_offers": 0},
        hint="Without --require-receipt the settlement receipt is still checked.",
        fields={"funds_moved": False},
    )
