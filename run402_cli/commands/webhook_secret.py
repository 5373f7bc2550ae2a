"""run402 webhook-secret: the secret that signs the operator webhook."""

from __future__ import annotations

from run402_cli import output
from run402_cli.commands._command import CommandGroup
from run402_cli.services import notifications
from run402_cli.services.terminal import TerminalClient

app = CommandGroup()


@app.command(
    "rotate",
    summary="Create a new secret, shown once.",
    effect="destructive",
    auth="principal",
    reveals=True,
    example="run402 webhook-secret rotate | jq -r .webhook_signing_secret",
)
def rotate() -> None:
    """Create a new signing secret, shown once; the one before stays valid for a day. No confirmation is asked."""
    with TerminalClient() as client:
        client.require_wallet()
        answer = notifications.rotate_webhook_secret(client)
        output.emit(answer)
    output.notice("\nwarning: store this secret now, it is not shown again.")
    output.notice("warning: deliveries signed with the previous secret stay valid for 24 hours.")
