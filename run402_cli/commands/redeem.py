"""run402 redeem: a promo code becomes credit."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from run402_cli import output
from run402_cli.commands._command import CommandGroup
from run402_cli.services.terminal import TerminalClient

app = CommandGroup()


@app.command("redeem", effect="write", auth="principal", example="run402 redeem R402-K8F3-Q2W9")
def redeem(code: Annotated[str, typer.Argument(metavar="CODE", show_default=False)]) -> None:
    """Credit the wallet's organization with a promo code. Repeating is safe: a code counts once."""
    from run402_cli.services import allowance

    with TerminalClient() as client:
        answer = allowance.redeem(client, code)
    if isinstance(answer, dict):
        _narrate(answer)
    output.emit(answer)


def _narrate(answer: dict[str, Any]) -> None:
    output.notice("")
    again = answer.get("already_redeemed") is True
    when = f", redeemed already on {answer.get('redeemed_at')}: no second credit" if again else ""
    output.notice(f"  {'Voucher':<10} {_usd(answer.get('amount_usd_micros'))}{when}")
    output.notice(f"  {'Balance':<10} {_usd(answer.get('balance_usd_micros'))}")
    actions = answer.get("next_actions")
    for action in actions if isinstance(actions, list) else []:
        if isinstance(action, dict) and isinstance(action.get("cli"), str) and action["cli"]:
            output.notice(f"  {'Next':<10} {action['cli']}")
            break
    output.notice("")


def _usd(micros: Any) -> str:
    return f"{micros / 1_000_000:.2f} USD" if isinstance(micros, int) else "unknown"
