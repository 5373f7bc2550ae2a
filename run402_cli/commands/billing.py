"""run402 billing: balance, ledger and card checkouts of an organization."""

from __future__ import annotations

from typing import Annotated

import typer

from run402_cli import output
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._options import integer
from run402_cli.errors import UsageError
from run402_cli.services import billing
from run402_cli.services.terminal import TerminalClient

app = CommandGroup()

_PRODUCTS = ("tier", "email-pack", "balance-topup")
IdentifierArg = Annotated[str, typer.Argument(metavar="ORG", show_default=False)]


@app.command("create-email", effect="write", auth=(), example="run402 billing create-email team@example.com")
def create_email(email: Annotated[str, typer.Argument(metavar="EMAIL", show_default=False)]) -> None:
    """Create an organization for an e-mail address. It gets a verification mail."""
    with TerminalClient() as client:
        output.emit(billing.create_email(client, email))


@app.command(
    "link-wallet",
    summary="Link a wallet to an organization.",
    effect="write",
    auth="principal",
    example="run402 billing link-wallet <org-id> 0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
)
def link_wallet(
    words: Annotated[list[str] | None, typer.Argument(metavar="ORG_ID ADDRESS", show_default=False)] = None,
) -> None:
    """Link a wallet to an organization: link-wallet ORG_ID ADDRESS. Its projects and spending join the organization's pool."""
    given = words or []
    usage = "run402 billing link-wallet <org-id> <wallet-address>"
    if len(given) > 2:
        raise UsageError(f"Unexpected argument {given[2]!r}.", hint=usage)
    if len(given) < 2:
        raise UsageError("Give the organization's id and the wallet's address.", hint=usage)
    with TerminalClient() as client:
        output.emit(billing.link_wallet(client, given[0], given[1]))


@app.command(
    "checkout",
    summary="Create a card checkout.",
    effect="write",
    auth="principal",
    spends=True,
    needed="--product",
    example=[
        "run402 billing checkout <org-id> --product tier --tier hobby",
        "run402 billing checkout <org-id> --product balance-topup --amount 5000000 | jq -r .checkout_url",
    ],
)
def checkout(
    identifier: IdentifierArg,
    product: Annotated[
        str | None, typer.Option("--product", metavar="NAME", help="tier, email-pack or balance-topup.")
    ] = None,
    tier: Annotated[
        str | None, typer.Option("--tier", metavar="TIER", help="prototype, hobby or team, for --product tier.")
    ] = None,
    amount: Annotated[
        str | None,
        typer.Option("--amount", metavar="USD_MICROS", help="For --product balance-topup: 5000000 is 5 USD."),
    ] = None,
) -> None:
    """Create a card checkout for an organization, given by id, wallet address or e-mail. Pay at the checkout_url."""
    name = (product or "").replace("_", "-")
    if name not in _PRODUCTS:
        raise UsageError(
            f"--product is {product!r}." if product else "--product is missing.", hint=f"One of {', '.join(_PRODUCTS)}."
        )
    if name == "tier" and tier is None:
        raise UsageError("--product tier needs --tier.", hint="Add --tier prototype, hobby or team.")
    if name == "balance-topup" and amount is None:
        raise UsageError("--product balance-topup needs --amount.", hint="Add --amount 5000000 for 5 USD.")
    micros = integer("--amount", amount)
    with TerminalClient() as client:
        output.emit(billing.checkout(client, identifier, product=name.replace("-", "_"), tier=tier, amount=micros))


@app.command(
    "auto-recharge",
    summary="Buy e-mail packs automatically.",
    effect="write",
    auth="principal",
    example="run402 billing auto-recharge <org-id> --state on --threshold 100",
)
def auto_recharge(
    words: Annotated[list[str] | None, typer.Argument(metavar="ORG_ID", show_default=False)] = None,
    state: Annotated[str | None, typer.Option("--state", metavar="on|off", help="Switch it on or off.")] = None,
    threshold: Annotated[
        str | None, typer.Option("--threshold", metavar="N", help="Buy a pack when fewer e-mails are left.")
    ] = None,
) -> None:
    """Buy e-mail packs automatically when few are left: auto-recharge ORG_ID --state on|off."""
    given = words or []
    usage = "run402 billing auto-recharge <org-id> --state on|off [--threshold N]"
    allowed = 1 if state is not None else 2
    if len(given) > allowed:
        raise UsageError(f"Unexpected argument {given[allowed]!r}.", hint=usage)
    wanted = state if state is not None else given[1] if len(given) > 1 else None
    if not given or wanted not in ("on", "off"):
        raise UsageError("Give the organization's id, and on or off.", hint=usage)
    limit = integer("--threshold", threshold, low=0)
    with TerminalClient() as client:
        output.emit(billing.auto_recharge(client, given[0], enabled=wanted == "on", threshold=limit), compact=True)


@app.command(
    "balance",
    summary="Balance of an organization.",
    effect="read",
    auth="principal",
    example="run402 billing balance team@example.com | jq .available_usd_micros",
)
def balance(identifier: IdentifierArg) -> None:
    """Prepaid balance, e-mail credits and tier of an organization, given by id, wallet address or e-mail."""
    with TerminalClient() as client:
        output.emit(billing.balance(client, identifier))


@app.command(
    "history",
    summary="Ledger entries of an organization.",
    effect="read",
    auth="principal",
    example="run402 billing history <org-id> --limit 10 | jq '.entries[].amount_usd_micros'",
)
def history(
    identifier: IdentifierArg,
    limit: Annotated[str, typer.Option("--limit", metavar="N", help="Entries per page.")] = "50",
    after: Annotated[
        str | None, typer.Option("--after", metavar="CURSOR", help="next_cursor of the page before.")
    ] = None,
) -> None:
    """Ledger entries of an organization, newest first. Amounts are micro-USD."""
    count = integer("--limit", limit)
    assert count is not None
    with TerminalClient() as client:
        output.emit(billing.history(client, identifier, limit=count, after=after))
