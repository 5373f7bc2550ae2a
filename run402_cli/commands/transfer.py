"""run402 transfer: hand a project over."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from run402_cli import output
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._options import ProjectOpt, integer, one_of, resolve_project
from run402_cli.errors import FlagError, UsageError
from run402_cli.services import transfer
from run402_cli.services.terminal import TerminalClient

app = CommandGroup()

Transfer = Annotated[str, typer.Argument(metavar="TRANSFER_ID", show_default=False)]


@app.command(
    "init",
    summary="Offer a project, or move it to an own organization.",
    effect="destructive",
    auth="principal",
    reveals=True,
    example=[
        "run402 transfer init --to 0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
        "run402 transfer init --to ada@example.com --retain-collaborator developer",
        "run402 transfer init --to-org ORG_ID",
    ],
)
def init(
    to: Annotated[
        str | None, typer.Option("--to", metavar="ADDRESS", help="Wallet address or e-mail address of the new owner.")
    ] = None,
    to_org: Annotated[
        str | None, typer.Option("--to-org", metavar="ID", help="An organization of your own: moves at once.")
    ] = None,
    project: ProjectOpt = None,
    billing_policy: Annotated[
        str | None, typer.Option("--billing-policy", metavar="NAME", help="migrate. For wallets only.")
    ] = None,
    message: Annotated[str | None, typer.Option("--message", metavar="TEXT", help="Shown to the new owner.")] = None,
    kysigned: Annotated[
        str | None, typer.Option("--kysigned", metavar="ID", help="Record of a signed agreement. For wallets only.")
    ] = None,
    retain_collaborator: Annotated[
        str | None,
        typer.Option(
            "--retain-collaborator", metavar="ROLE", help="developer: stay on the project. For e-mail addresses only."
        ),
    ] = None,
) -> None:
    """Offer a project to a wallet or an e-mail address, or move it to another organization of yours at once.

    An offer is open for 72 hours; changes of the project are frozen meanwhile. --to-org prints and caches the new keys.
    """
    usage = "run402 transfer init --to <address>, or --to-org <org_id>"
    if not to and not to_org:
        raise UsageError("The recipient is missing.", hint=usage)
    if to and to_org:
        raise UsageError("--to and --to-org exclude each other.", hint=usage)
    with TerminalClient() as client:
        project_id = resolve_project(client.profile, project)
        one_of("--billing-policy", billing_policy, ("migrate",), key="flag")
        email, wallet = "@" in (to or ""), bool(to) and "@" not in (to or "")
        if retain_collaborator is not None and not email:
            raise _only_for("--retain-collaborator", "an e-mail address")
        one_of("--retain-collaborator", retain_collaborator, ("developer",), key="flag")
        if kysigned is not None and not wallet:
            raise _only_for("--kysigned", "a wallet address")
        if billing_policy is not None and not wallet:
            raise _only_for("--billing-policy", "a wallet address")
        recipient = {"to_email": to} if email else {"to_wallet": to} if wallet else {"to_org_id": to_org}
        role = {"role": retain_collaborator} if retain_collaborator else None
        offer: dict[str, Any] = {
            **recipient,
            "billing_policy": billing_policy,
            "message": message,
            "kysigned_record_id": kysigned,
            "retain_collaborator": role,
        }
        given = {key: value for key, value in offer.items() if value is not None}
        output.emit(transfer.init(client, project_id, given))


def _only_for(flag: str, recipient: str) -> FlagError:
    return FlagError(f"{flag} needs --to with {recipient}.", hint="Leave it out.", details={"flag": flag})


@app.command(
    "preview",
    summary="What changes hands.",
    effect="read",
    auth="principal",
    example="run402 transfer preview TRANSFER_ID | jq .secret_names",
)
def preview(transfer_id: Transfer) -> None:
    """What changes hands: domains, functions, names of secrets, mailboxes, CI bindings, billing."""
    with TerminalClient() as client:
        output.emit(transfer.preview(client, transfer_id))


@app.command(
    "list", summary="Open transfers.", effect="read", auth="principal", example="run402 transfer list --outgoing"
)
def list_(
    incoming: Annotated[bool, typer.Option("--incoming", help="Offered to you (the default).")] = False,
    outgoing: Annotated[bool, typer.Option("--outgoing", help="Offered by you.")] = False,
    limit: Annotated[str | None, typer.Option("--limit", metavar="N", help="1 to 1000.")] = None,
    after: Annotated[
        str | None, typer.Option("--after", metavar="CURSOR", help="next_cursor of the page before.")
    ] = None,
) -> None:
    """List the transfers that are still open."""
    if incoming and outgoing:
        raise UsageError("--incoming and --outgoing exclude each other.", hint="Give one of them.")
    count = integer("--limit", limit, high=1000)
    with TerminalClient() as client:
        output.emit(transfer.list_transfers(client, outgoing=outgoing, limit=count, after=after))


@app.command(
    "accept", effect="destructive", auth="principal", reveals=True, example="run402 transfer accept TRANSFER_ID"
)
def accept(transfer_id: Transfer) -> None:
    """Accept a project offered to this wallet. Prints and caches its keys and makes it active. Rotate its secrets next."""
    with TerminalClient() as client:
        output.emit(transfer.accept(client, transfer_id))


@app.command(
    "claim",
    effect="destructive",
    auth="principal",
    reveals=True,
    example="run402 transfer claim TRANSFER_ID --into ORG_ID",
)
def claim(
    transfer_id: Transfer,
    into: Annotated[
        str | None, typer.Option("--into", metavar="ID", help="Organization to take it into. Default: a new one.")
    ] = None,
    accept_retained_collaborator: Annotated[
        bool, typer.Option("--accept-retained-collaborator", help="Let the sender stay as a developer, as asked.")
    ] = False,
) -> None:
    """Claim a project offered to your e-mail address. Prints and caches its keys and makes it active."""
    with TerminalClient() as client:
        output.emit(
            transfer.claim(
                client, transfer_id, into_org=into, accept_retained_collaborator=accept_retained_collaborator
            )
        )


@app.command(
    "cancel",
    summary="Cancel an open transfer.",
    effect="write",
    auth="principal",
    example='run402 transfer cancel TRANSFER_ID --reason "wrong address"',
)
def cancel(
    transfer_id: Transfer,
    reason: Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Kept with the record.")] = None,
) -> None:
    """Cancel an open transfer, as either party."""
    with TerminalClient() as client:
        output.emit(transfer.cancel(client, transfer_id, reason=reason))
