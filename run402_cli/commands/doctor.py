"""run402 doctor: health and configuration checks in one report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from run402_cli import advice, output
from run402_cli.commands._command import CommandGroup
from run402_cli.errors import CommandError, Verdict
from run402_cli.services.terminal import TerminalClient

app = CommandGroup()


@app.command(
    "doctor",
    effect="read",
    auth="principal",
    example=["run402 doctor | jq '.checks[] | select(.status != \"ok\")'", "run402 doctor --no-scan"],
)
def doctor(
    verbose: Annotated[bool, typer.Option("--verbose", help="More values and hints in the report.")] = False,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Ask the package index for a newer version first (1.5 s at most).")
    ] = False,
    no_scan: Annotated[bool, typer.Option("--no-scan", help="Do not look into the source files.")] = False,
    scan_dir: Annotated[
        str | None,
        typer.Option("--scan-dir", metavar="PATH", help="Sources to look into. Default: ./src, else this directory."),
    ] = None,
    buzz: Annotated[
        bool, typer.Option("--buzz", help="Refused: the Buzz preflight is not part of this program.")
    ] = False,
    buzz_agent: Annotated[
        str | None, typer.Option("--buzz-agent", metavar="NAME", help="Refused, like --buzz.")
    ] = None,
) -> None:
    """Check directory, version, wallet, keys, API, tier, operator account and sources.

    The report is on stdout in both cases: {ok, checks: [{name, status, value?, hint?, message?}]}.
    """
    _refuse_buzz(buzz, buzz_agent)
    from run402_cli.services import doctor as doctor_service

    with TerminalClient() as client:
        folder = Path(scan_dir) if scan_dir else None
        report = doctor_service.report(client, verbose=verbose, refresh=refresh, scan=not no_scan, scan_dir=folder)
    output.emit(report)
    if not report["ok"]:
        bad = [check for check in report["checks"] if check["status"] not in doctor_service.HARMLESS]
        raise Verdict(1, f"Not well: {', '.join(check['name'] for check in bad)}.", _remedy(bad[0]))


def _refuse_buzz(buzz: bool, agent: str | None) -> None:
    if agent is not None and not buzz:
        raise CommandError(
            "--buzz-agent belongs to the Buzz preflight.",
            code="BUZZ_MODE_REQUIRED",
            hint="Leave it out: run402 doctor",
            details={"flag": "--buzz-agent"},
        )
    if buzz:
        raise CommandError(
            "The Buzz preflight is not part of this program.",
            code="UNSUPPORTED_OPTION",
            hint="Use the Node CLI for it, or leave --buzz out: run402 doctor",
            details={"flag": "--buzz"},
        )


def _remedy(check: dict[str, Any]) -> str:
    """What the check advises, else the report with everything that it saw."""
    return str(check.get("hint") or advice.command("doctor", "--verbose"))
