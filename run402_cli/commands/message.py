"""run402 message: write to the developers of Run402."""

from __future__ import annotations

from typing import Annotated

import typer

from run402_cli import output
from run402_cli.commands._command import CommandGroup
from run402_cli.services import agent
from run402_cli.services.terminal import TerminalClient

app = CommandGroup()


@app.command(
    "send",
    summary="Send one text message.",
    effect="write",
    auth="principal",
    example='run402 message send "The plan of op_123 never ends"',
)
def send(words: Annotated[list[str] | None, typer.Argument(metavar="TEXT...", show_default=False)] = None) -> None:
    """Send one text message, at most 8192 bytes; several words are joined with spaces."""
    text = " ".join(words or [])
    agent.message_size(text)
    with TerminalClient() as client:
        client.require_wallet()
        output.emit(agent.send_message(client, text), compact=True)
