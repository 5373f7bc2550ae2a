"""run402 agent: the agent's contact record and how far its operator is verified."""

from __future__ import annotations

from typing import Annotated

import typer

from run402_cli import output
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._options import webhook_url
from run402_cli.errors import UsageError
from run402_cli.services import agent
from run402_cli.services.terminal import TerminalClient

app = CommandGroup()


@app.command(
    "contact",
    summary="Register or change name, e-mail address and webhook.",
    effect="write",
    auth="principal",
    needed="--name",
    example="run402 agent contact --name build-bot --email ops@example.com",
)
def contact(
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Required.")] = None,
    email: Annotated[
        str | None, typer.Option("--email", metavar="ADDRESS", help="A new one starts a reply challenge.")
    ] = None,
    webhook: Annotated[str | None, typer.Option("--webhook", metavar="URL", help="https only.")] = None,
) -> None:
    """Register or change the contact of this wallet."""
    if not name:
        raise UsageError("--name is missing.", hint="run402 agent contact --name <name>")
    webhook_url("--webhook", webhook)
    with TerminalClient() as client:
        client.require_wallet()
        output.emit(agent.set_contact(client, name, email=email, webhook=webhook))


@app.command(
    "status",
    summary="The record and its assurance level.",
    effect="read",
    auth="principal",
    example="run402 agent status | jq -r .assurance_level",
)
def status() -> None:
    """Show the contact record and its assurance level."""
    with TerminalClient() as client:
        client.require_wallet()
        output.emit(agent.status(client))


@app.command(
    "verify-email",
    summary="Send the e-mail challenge, again if need be.",
    effect="write",
    auth="principal",
    example="run402 agent verify-email",
)
def verify_email() -> None:
    """Send the e-mail that the operator must reply to, again if need be."""
    with TerminalClient() as client:
        client.require_wallet()
        output.emit(agent.verify_email(client))


@app.command(
    "passkey",
    summary="Mail the link that enrolls the operator's passkey.",
    effect="write",
    auth="principal",
    example="run402 agent passkey enroll",
)
def passkey(action: Annotated[str, typer.Argument(metavar="enroll", show_default=False)]) -> None:
    """Mail the link that enrolls the operator's passkey to the verified address."""
    if action != "enroll":
        raise UsageError(f"Unknown action {action!r}.", hint="run402 agent passkey enroll")
    with TerminalClient() as client:
        client.require_wallet()
        output.emit(agent.enroll_passkey(client))
