"""run402 service: public health of the gateway."""

from __future__ import annotations

from run402_cli import output
from run402_cli.commands._command import CommandGroup
from run402_cli.services import service
from run402_cli.services.terminal import TerminalClient

app = CommandGroup()


@app.command(
    "health",
    summary="Liveness with per-dependency checks.",
    effect="read",
    auth=(),
    example="run402 service health | jq .status",
)
def health() -> None:
    """Liveness of the gateway with its per-dependency checks. Sends no credentials."""
    with TerminalClient() as client:
        output.emit(service.health(client))


@app.command("status", summary="Availability report.", effect="read", auth=(), example="run402 service status")
def status() -> None:
    """Availability report: status, uptime, deployed version, capabilities, operator. Sends no credentials."""
    with TerminalClient() as client:
        output.emit(service.status(client))
