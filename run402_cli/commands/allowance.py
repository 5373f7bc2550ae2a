"""run402 allowance: the wallet's key, funds, limits and payments."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from run402_cli import output
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._options import integer
from run402_cli.errors import CommandError, UsageError, no_allowance
from run402_cli.global_options import micros
from run402_cli.services.terminal import TerminalClient
from run402_cli.state.profile import current

app = CommandGroup()

_NONE = "none"


@app.command(
    "status",
    summary="Show the local wallet.",
    effect="read",
    auth=(),
    example="run402 allowance status | jq -r .wallet.address",
)
def status() -> None:
    """Show the local wallet: address, rail, whether the faucet was used. Sends nothing; the key is never printed."""
    from run402_cli.services import allowance

    output.emit(allowance.show(current()), compact=True)


@app.command("create", summary="Generate a key pair.", effect="write", auth=(), example="run402 allowance create")
def create() -> None:
    """Generate a key pair and save it as the active wallet's. Sends nothing."""
    from run402_cli.services import allowance

    output.emit(allowance.create_bare(current()), compact=True)


@app.command("fund", summary="Ask the faucet for test funds.", effect="write", auth=(), example="run402 allowance fund")
def fund() -> None:
    """Ask the faucet for test funds of the wallet's rail, and wait up to 30 seconds until the chain shows them."""
    from run402_cli.services import allowance

    with TerminalClient() as client:
        document, confirmed = allowance.fund(client)
    output.emit(document, compact=not confirmed)


@app.command(
    "balance",
    summary="Balances on the chains, and prepaid credit.",
    effect="read",
    auth="principal",
    example="run402 allowance balance | jq .onchain",
)
def balance() -> None:
    """Balances on Base, Base Sepolia and Tempo, and the organization's prepaid credit. A read that fails is null."""
    from run402_cli.services import allowance

    with TerminalClient() as client:
        output.emit(allowance.balance(client))


@app.command(
    "export", summary="Print the address.", effect="read", auth=(), example="run402 allowance export | jq -r .address"
)
def export() -> None:
    """Print the wallet's address, and nothing else: no command prints the private key."""
    try:
        wallet = current().allowance
    except CommandError as error:
        if error.code == "BINDING_NOT_CONFIRMED":
            raise
        wallet = None
    if wallet is None:
        raise no_allowance()
    output.emit({"address": wallet.address}, compact=True)


@app.command(
    "checkout",
    summary="Top up the prepaid balance by card.",
    effect="write",
    auth="principal",
    spends=True,
    needed="--amount",
    example="run402 allowance checkout --amount 5000000 | jq -r .checkout_url",
)
def checkout(
    amount: Annotated[
        str | None, typer.Option("--amount", metavar="USD_MICROS", help="5000000 is 5 USD; at least 500000.")
    ] = None,
) -> None:
    """Create a card checkout that tops up the balance of the wallet's organization. Pay at the checkout_url."""
    from run402_cli.services import allowance, billing

    with TerminalClient() as client:
        wallet = allowance.require(client.profile)
        value = integer("--amount", amount)
        if value is None:
            raise UsageError("--amount is missing.", hint="Add --amount 5000000 for 5 USD.")
        output.emit(billing.checkout(client, wallet.address, product="balance_topup", amount=value))


@app.command(
    "history",
    summary="Ledger entries of the wallet's organization.",
    effect="read",
    auth="principal",
    example="run402 allowance history --limit 5",
)
def history(
    limit: Annotated[str, typer.Option("--limit", metavar="N", help="How many entries.")] = "20",
) -> None:
    """Ledger entries of the wallet's organization, newest first. Amounts are micro-USD."""
    from run402_cli.services import allowance, billing

    with TerminalClient() as client:
        wallet = allowance.require(client.profile)
        count = integer("--limit", limit)
        assert count is not None
        output.emit(billing.history(client, wallet.address, limit=count))


@app.command(
    "limits set",
    summary="Limit what the wallet pays per payment and per day.",
    effect="write",
    auth=(),
    example="run402 allowance limits set --per-payment-usd 1 --per-day-usd 5",
)
def limits_set(
    per_payment: Annotated[
        str | None, typer.Option("--per-payment-usd", metavar="USD", help="Most for one payment; none: built-in limit.")
    ] = None,
    per_day: Annotated[
        str | None, typer.Option("--per-day-usd", metavar="USD", help="Most within 24 hours; none: built-in limit.")
    ] = None,
) -> None:
    """Limit what this wallet pays by itself, under all names of its key. Checked before every signature."""
    from run402_cli.services import allowance

    changes: dict[str, Any] = {}
    if per_payment is not None:
        changes["per_payment"] = None if per_payment == _NONE else micros("--per-payment-usd", per_payment)
    if per_day is not None:
        changes["per_day"] = None if per_day == _NONE else micros("--per-day-usd", per_day)
    if not changes:
        hint = "run402 allowance limits set --per-payment-usd <usd> --per-day-usd <usd>"
        raise UsageError("Give --per-payment-usd, --per-day-usd or both.", hint=hint)
    output.emit(allowance.set_limits(current(), **changes))


@app.command(
    "limits get",
    summary="The limits in force.",
    effect="read",
    auth=(),
    example="run402 allowance limits get | jq .spent_last_day_usd_micros",
)
def limits_get() -> None:
    """The limits in force, and what was spent in the last 24 hours. Sends nothing."""
    from run402_cli.services import allowance

    output.emit(allowance.limits(current()))


@app.command(
    "limits clear", summary="Remove the limits.", effect="write", auth=(), example="run402 allowance limits clear"
)
def limits_clear() -> None:
    """Remove the limits of this wallet; the built-in ones hold again."""
    from run402_cli.services import allowance

    output.emit(allowance.drop_limits(current()))


@app.command(
    "ledger",
    summary="Every attempt of this wallet to pay.",
    effect="read",
    auth=(),
    example="run402 allowance ledger | jq '.attempts[] | select(.state == \"ambiguous\")'",
)
def ledger(
    limit: Annotated[str, typer.Option("--limit", metavar="N", help="How many attempts.")] = "100",
) -> None:
    """Every attempt of this wallet to pay, newest first: time, host, purpose, amount, network, state, transaction.

    Reads local records only. States: completed, failed (nothing moved), ambiguous or submitting (money may have moved).
    """
    from run402_cli.services import allowance

    count = integer("--limit", limit)
    assert count is not None
    output.emit(allowance.ledger(current(), limit=count))
