"""run402 status: the whole account state."""

from __future__ import annotations

from run402_cli import output
from run402_cli.commands._command import CommandGroup
from run402_cli.services import status as service
from run402_cli.services.terminal import TerminalClient

app = CommandGroup()


@app.command("status", effect="read", auth="principal", example="run402 status | jq .projects")
def status() -> None:
    """Wallet, balances, tier, projects, active project and API target in one document.

    Best effort: what cannot be read is null. Without a wallet nothing is sent.
    """
    with TerminalClient() as client:
        document = service.status(client)
        output.emit(document, compact=document["wallet"] is None)
