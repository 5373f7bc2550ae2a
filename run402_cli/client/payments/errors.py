"""What can go wrong with a payment: codes, details and the next action of each. See docs/payments.md, "Faults"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from run402_cli import advice, as_typed
from run402_cli.client import budget as budgets
from run402_cli.errors import PaymentError
from run402_cli.state.attempts import Attempt

FOREIGN = "the challenge is for another address than the one that was called"
SAME_AGAIN = (
    "Repeating the identical command does not pay twice: the same signed payment is presented while it is valid, "
    "and afterwards the chain is asked. See it: run402 allowance ledger"
)
_COMMAND_LINE = " on the command line; of the tools and calls from Python, `pay` alone has max_usd_micros"
_RECONCILE = "Find out first whether money moved: run402 allowance ledger, the seller, or the chain."


def usd(micros: int) -> str:
    """Micro-USD as people write it: 30000 is "0.03"."""
    text = f"{micros // 1_000_000}.{micros % 1_000_000:06d}".rstrip("0")
    whole, _, cents = text.partition(".")
    return f"{whole}.{cents:0<2}"


def attempt_details(attempt: Attempt | None, request: Mapping[str, Any], phase: str) -> dict[str, Any]:
    """`details` of the attempt errors."""
    fields = attempt.fields if attempt is not None else {}
    keys = ("method", "origin", "path_sha256", "caller_key_sha256")
    return {
        "payment_attempt_id": fields.get("payment_attempt_id"),
        **terms(attempt),
        "phase": phase,
        "provider_started": "provider_started_at" in fields,
        "response_status": fields.get("response_status"),
        "request": {key: request.get(key) for key in keys},
    }


def terms(attempt: Attempt | None) -> dict[str, Any]:
    """What a payment that was sent is worth, and where it goes; {} while none was."""
    fields = attempt.fields if attempt is not None else {}
    names = ("amount_usd_micros", "network", "pay_to") if "provider_started_at" in fields else ()
    return {name: fields.get(name) for name in names}


def _attempt_failed(message: str, code: str, details: dict[str, Any], **more: Any) -> PaymentError:
    return PaymentError(
        message,
        code=code,
        error="payment_attempt_failed",
        details=details,
        fields={"phase": details["phase"]},
        **more,
    )


def signing_failed(reason: str, details: dict[str, Any], *, hint: str | None = None) -> PaymentError:
    """Nothing of the challenge can be paid; nothing was signed or sent."""
    return _attempt_failed(
        f"The payment was not made: {reason}. Nothing was signed.",
        "X402_PAYMENT_SIGNING_FAILED",
        {**details, "reason": reason},
        retryable=True,
        hint=hint,
        next_actions=[{"type": "retry", "why": "Nothing was paid; repeat the command once the reason is gone."}],
    )


def exceeds(amount: int, ceiling: int, *, earlier: str | None = None) -> PaymentError:
    """Above what the call may cost: its published price, or --max-usd."""
    most = f"the ceiling {usd(ceiling)} USD" if ceiling else "and nothing is published that this would cost"
    return _not_agreed(
        f"The price is {usd(amount)} USD, {most}.",
        "PAYMENT_EXCEEDS_MAX",
        {"challenged_amount_usd_micros": amount, "max_usd_micros": ceiling},
        ("maxUsdMicros", amount),
        ["--max-usd", usd(amount)],
        earlier,
    )


def over_budget(
    amount: int, *, budget: int, signed: int, also_max: bool = False, earlier: str | None = None
) -> PaymentError:
    """Above what is left of what all payments of the command may cost. `also_max`: above the ceiling of the call, too."""
    needed = signed + amount
    return _not_agreed(
        f"The price is {usd(amount)} USD. {budgets.FLAG} allows {usd(budget)} USD for all payments of this command, and "
        f"{usd(signed)} USD of it are signed already.",
        "PAYMENT_LIMIT_EXCEEDED",
        {
            "limit": "per_command",
            "limit_usd_micros": budget,
            "amount_usd_micros": amount,
            "signed_usd_micros": signed,
            "needed_usd_micros": needed,
        },
        ("max_spend_usd", needed / 1_000_000),
        [budgets.FLAG, usd(needed), *(("--max-usd", usd(amount)) if also_max else ())],
        earlier,
    )


def _not_agreed(
    message: str,
    code: str,
    details: dict[str, Any],
    edit: tuple[str, Any],
    flags: Sequence[str],
    earlier: str | None,
) -> PaymentError:
    """More than the command allows. `earlier`: an attempt of another run that signed this, and may have moved money."""
    told = (
        "Nothing was signed."
        if earlier is None
        else f"The unresolved attempt {earlier} signed it; nothing was sent now."
    )
    known: dict[str, Any] = {"funds_moved": False}
    if earlier is not None:
        known = {"funds_moved": "unknown", "payment_attempt_id": earlier}
    line = " ".join(flags)
    alone = "" if as_typed.words() or "--max-usd" not in flags else _COMMAND_LINE
    return PaymentError(
        f"{message} {told}",
        code=code,
        category="payment" if code == "PAYMENT_EXCEEDS_MAX" else "payment_policy",
        mutation_state="not_started" if earlier is None else "ambiguous",
        details={**known, **details},
        hint=f"To allow it, add {line}{alone}",
        next_actions=[
            {
                "type": "edit_request",
                "field": edit[0],
                "value": edit[1],
                "why": f"Add {line} to accept this price.",
                **(advice.shown(advice.command(*as_typed.changed(*flags))) if as_typed.words() else {}),
                "confirms": True,
            }
        ],
    )


def journal_failed(reason: str, details: dict[str, Any]) -> PaymentError:
    """No record, no payment."""
    return _attempt_failed(
        f"The payment was not made: its record could not be kept ({reason}). Nothing was sent.",
        "X402_ATTEMPT_JOURNAL_FAILED",
        details,
        retryable=True,
        hint="Check the permissions and free space of the payment-attempts directory, then repeat the command.",
        next_actions=[{"type": "retry", "why": "Nothing was paid."}],
    )


def ambiguous(reason: str, details: dict[str, Any]) -> PaymentError:
    """The payment was sent and nobody knows whether it was taken."""
    attempt_id = details["payment_attempt_id"]
    return _attempt_failed(
        f"The payment was sent, but its outcome is unknown: {reason}.",
        "X402_PAYMENT_OUTCOME_AMBIGUOUS",
        {"funds_moved": "unknown", **details},
        safe_to_retry=False,
        mutation_state="ambiguous",
        hint=SAME_AGAIN,
        next_actions=unknown_actions(attempt_id),
    )


def unknown_actions(attempt_id: str | None) -> list[dict[str, Any]]:
    named = {"payment_attempt_id": attempt_id} if attempt_id else {}
    actions: list[dict[str, Any]] = [
        {"type": "reconcile_payment", "safe_to_auto_execute": False, **named, "why": _RECONCILE}
    ]
    if attempt_id:
        why = "The record of the attempt shows its state."
        actions.append(advice.action("poll", "allowance", "ledger", safe_to_auto_execute=True, **named))
        actions[-1]["why"] = why
    return actions


def already_paid(attempt: Attempt) -> PaymentError:
    """An earlier or parallel attempt of the same intent has paid; this one signed nothing."""
    fields = attempt.fields
    return PaymentError(
        f"This was paid already by attempt {attempt.id}, and the seller asks again. Nothing was paid now.",
        code="PAYMENT_ALREADY_MADE",
        mutation_state="completed",
        details={
            "payment_attempt_id": attempt.id,
            "amount_usd_micros": fields.get("amount_usd_micros"),
            "network": fields.get("network"),
            "transaction": fields.get("transaction"),
            "paid_at": fields.get("provider_started_at"),
        },
        hint="Ask the seller for the answer. For a second purchase, pass a new --idempotency-key where the command has one.",
        next_actions=unknown_actions(attempt.id),
    )


def over_limit(
    kind: str, *, limit: int, amount: int, spent: int | None, default: bool, details: Mapping[str, Any]
) -> PaymentError:
    """A limit of the user, or the built-in one of a day: `kind` is per_payment or per_day."""
    flag = "--per-payment-usd" if kind == "per_payment" else "--per-day-usd"
    needed = amount if spent is None else spent + amount
    command = advice.command("allowance", "limits", "set", flag, usd(needed))
    sofar = "" if spent is None else f", of which {usd(spent)} USD are spent in the last 24 hours"
    whose = "built-in" if default else "your"
    return PaymentError(
        f"The price is {usd(amount)} USD and {whose} {kind.replace('_', '-')} limit is {usd(limit)} USD{sofar}. "
        "Nothing was signed.",
        code="PAYMENT_LIMIT_EXCEEDED",
        category="payment_policy",
        details={
            **details,
            "funds_moved": False,
            "limit": kind,
            "limit_usd_micros": limit,
            "amount_usd_micros": amount,
            **({} if spent is None else {"spent_last_day_usd_micros": spent}),
        },
        hint=f"To allow it: {command}",
        next_actions=[advice.entry("run_command", command, why="Raise the limit, if you want this payment.")],
    )


def insufficient_funds(
    balances: Mapping[str, int], requirements: Sequence[Mapping[str, Any]], payer: str
) -> PaymentError:
    """Every offered network was read and none holds enough."""
    details = funds_details(balances, requirements, payer)
    return PaymentError(
        "The wallet does not hold enough USDC for this price. Nothing was signed.",
        code="X402_INSUFFICIENT_FUNDS",
        category="payment_required",
        safe_to_retry=False,
        details={"phase": "balance_preflight", "payment_started": False, **details},
        hint="Test funds: run402 allowance fund. On Base mainnet, send USDC to the address of: run402 allowance export",
        next_actions=[advice.action("fund_wallet", "allowance", "fund", why="Add USDC, then repeat.")],
    )


def funds_details(balances: Mapping[str, int], requirements: Sequence[Mapping[str, Any]], payer: str) -> dict[str, Any]:
    return {
        "balances": {network: str(amount) for network, amount in balances.items()},
        "requirements": [dict(requirement) for requirement in requirements],
        "payers": {str(requirement["network"]): payer for requirement in requirements},
    }


def rpc_failed(network: str, attempts: Sequence[Mapping[str, Any]]) -> PaymentError:
    """A balance could not be read; unknown is not zero."""
    reasons = {attempt["reason"] for attempt in attempts}
    code = {frozenset({"timeout"}): "X402_RPC_TIMEOUT", frozenset({"rate_limited"}): "X402_RPC_RATE_LIMITED"}.get(
        frozenset(reasons), "X402_RPC_UNAVAILABLE"
    )
    providers = len({attempt["provider_index"] for attempt in attempts})
    return PaymentError(
        f"The wallet's balance on {network} could not be read: none of {providers} public nodes answered. "
        "Nothing was signed.",
        code=code,
        category="network",
        retryable=True,
        details={
            "phase": "balance_preflight",
            "payment_started": False,
            "network": network,
            "balance_status": "unknown",
            "providers_exhausted": True,
            "providers_attempted": providers,
            "attempts": [dict(attempt) for attempt in attempts],
        },
        next_actions=[{"type": "retry", "why": "Check the internet connection, then repeat the command."}],
    )


def rail_unsupported(details: Mapping[str, Any]) -> PaymentError:
    """The wallet pays by mpp, which this CLI sets up but does not pay with."""
    return PaymentError(
        "This wallet is set to the mpp rail, and this CLI pays by x402 only. Nothing was signed.",
        code="PAYMENT_NETWORK_UNSUPPORTED",
        details={"configured_rail": "mpp", "wallet_networks": [], **details},
        hint="Switch this wallet: run402 init x402 --switch-rail. Or use another one: --wallet <name>",
        next_actions=[advice.action("edit_request", "init", "x402", "--switch-rail", why="Pay by x402.")],
    )
