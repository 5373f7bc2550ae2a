"""run402 tier: the organization's subscription."""

from __future__ import annotations

from typing import Annotated

import typer

from run402_cli import advice, output
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._options import IdempotencyKeyOpt, checked_key
from run402_cli.errors import UsageError
from run402_cli.services import tier as tiers
from run402_cli.services.terminal import TerminalClient

app = CommandGroup()

_RENEW = advice.action("renew_tier", "tier", "set", "prototype")


@app.command(
    "status",
    summary="Tier, lease, limits and pooled usage.",
    effect="read",
    auth="principal",
    example="run402 tier status | jq -r .lease_expires_at",
)
def status() -> None:
    """Current tier, lease, limits and pooled usage."""
    with TerminalClient() as client:
        output.emit(tiers.status(client))


@app.command(
    "set",
    summary="Subscribe, renew or upgrade; the wallet pays.",
    effect="write",
    auth="principal",
    spends=True,
    example=["run402 tier set prototype", "run402 tier set hobby --idempotency-key 2026-03"],
)
def set_(
    words: Annotated[list[str] | None, typer.Argument(metavar="TIER", show_default=False)] = None,
    key: IdempotencyKeyOpt = None,
) -> None:
    """Subscribe, renew or upgrade: prototype, hobby or team. The gateway decides which, and the wallet pays what it asks.

    With an --idempotency-key a repeated command is one purchase.
    """
    given = words or []
    if len(given) > 1:
        raise UsageError(f"Unexpected argument {given[1]!r}.", hint="run402 tier set <tier>")
    if not given:
        hint = "run402 tier set prototype, hobby or team"
        raise UsageError("Which tier?", hint=hint, next_actions=[_RENEW])
    checked_key(key)
    with TerminalClient() as client:
        output.emit(tiers.subscribe(client, given[0], idempotency_key=key))
