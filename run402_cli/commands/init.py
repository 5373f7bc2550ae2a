"""run402 init: set up a wallet for the Cloud, or point it at a gateway of your own."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from run402_cli import output
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._options import one_of
from run402_cli.errors import UsageError
from run402_cli.services.terminal import TerminalClient

app = CommandGroup()

_RAILS = ("x402", "mpp")


@app.command(
    "init", effect="write", auth="principal", example=["run402 init", "run402 init --api-base http://127.0.0.1:4020"]
)
def init(
    rail: Annotated[
        str | None, typer.Argument(metavar="[RAIL]", help="How the wallet pays: x402 (default) or mpp.")
    ] = None,
    api_base: Annotated[
        str | None, typer.Option("--api-base", metavar="URL", help="Use this gateway; no wallet is made.")
    ] = None,
    voucher: Annotated[
        str | None, typer.Option("--voucher", metavar="CODE", help="A promo code to redeem after the setup.")
    ] = None,
    git_remote: Annotated[
        bool, typer.Option("--git-remote", help="Ask for a git remote of the active project.")
    ] = False,
    switch_rail: Annotated[bool, typer.Option("--switch-rail", help="Change how an existing wallet pays.")] = False,
) -> None:
    """Set up the active wallet: key, test funds, voucher, tier. Or, with --api-base, only remember which gateway to use.

    Progress goes to stderr, the summary to stdout. Safe to repeat.
    """
    if api_base is not None:
        _point_at(api_base, rail=rail, voucher=voucher, git_remote=git_remote)
        return
    if voucher == "":
        raise UsageError("--voucher needs a code.", hint="Write --voucher <code>.", details={"flag": "--voucher"})
    one_of("RAIL", rail, _RAILS)
    from run402_cli.services import setup

    with TerminalClient() as client:
        output.notice("")
        summary = setup.set_up(
            client,
            rail=rail or "x402",
            switch_rail=switch_rail,
            voucher=voucher,
            git_remote=git_remote,
            progress=_progress,
        )
        output.notice(f"\n  Next: {summary['next_step']}\n")
        output.emit(summary)


def _point_at(api_base: str, *, rail: str | None, voucher: str | None, git_remote: bool) -> None:
    if not api_base:
        raise UsageError("--api-base needs a URL.", hint="Write --api-base <url>.", details={"flag": "--api-base"})
    unwanted = {repr(rail): rail, "--voucher": voucher is not None, "--git-remote": git_remote}
    for word, given in unwanted.items():
        if given:
            raise UsageError(
                f"{word} belongs to the Cloud setup and --api-base to another gateway.", hint="Run them one by one."
            )
    from run402_cli.services import target

    with TerminalClient() as client:
        pointed = target.point_at(client, api_base)
    show_target(pointed)
    output.emit(pointed)


def show_target(pointed: dict[str, Any]) -> None:
    """The progress lines of a wallet that was pointed at a gateway."""
    found = pointed["target"]
    output.notice("")
    _progress("Config", pointed["config_dir"])
    _progress("API base", pointed["api_base"])
    _progress("Target", found["kind"])
    _progress("Health", found.get("health_status") or f"no answer: {found.get('health_error')}")
    output.notice("")


def _progress(label: str, value: str) -> None:
    output.notice(f"  {label:<10} {value}")
