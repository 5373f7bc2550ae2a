"""run402 grants: single capabilities on a project for wallets that are no members."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from run402_cli import output
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._options import ProjectOpt, instant, parse_json_flag, take_project
from run402_cli.errors import UsageError
from run402_cli.services import grants
from run402_cli.services.terminal import TerminalClient

app = CommandGroup()


@app.command(
    "create",
    summary="Grant one capability to a wallet.",
    effect="write",
    auth="principal",
    example=[
        "run402 grants create 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 --capability deploy",
        "run402 grants create 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 --capability deploy --expires 2030-01-01T00:00:00Z",
    ],
)
def create(
    words: Annotated[list[str] | None, typer.Argument(metavar="ADDRESS", show_default=False)] = None,
    capability: Annotated[
        str | None, typer.Option("--capability", metavar="NAME", help="E.g. deploy or functions:write.")
    ] = None,
    policy: Annotated[
        str | None, typer.Option("--policy", metavar="JSON", help="Limits of the grant, as the gateway knows them.")
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option("--expires", metavar="TIME", help="When the grant ends: ISO date-time, or a span: 30d."),
    ] = None,
    project: ProjectOpt = None,
) -> None:
    """Let a wallet do one thing on a project. For owners of its organization."""
    expiry = instant("--expires", expires, ahead=True)
    usage = "run402 grants create <address> --capability deploy"
    with TerminalClient() as client:
        project_id, rest = take_project(client.profile, project, words or [])
        if capability is not None:
            rest = [*rest[:1], capability, *rest[1:]] if rest else []
        if len(rest) < 2:
            raise UsageError("The wallet address or --capability is missing.", hint=usage)
        if len(rest) > 2:
            raise UsageError(f"Unexpected argument {rest[2]!r}.", hint=usage)
        limits: dict[str, Any] = {}
        if policy is not None:
            limits["policy"] = parse_json_flag("--policy", policy)
        if expiry is not None:
            limits["expires_at"] = expiry
        output.emit(grants.create(client, project_id, rest[0], rest[1], limits=limits))


@app.command(
    "revoke",
    summary="Take a grant back.",
    effect="destructive",
    auth="principal",
    example="run402 grants revoke GRANT_ID",
)
def revoke(
    words: Annotated[list[str] | None, typer.Argument(metavar="GRANT_ID", show_default=False)] = None,
    project: ProjectOpt = None,
) -> None:
    """Take a grant back at once."""
    usage = "run402 grants revoke <grant_id>"
    with TerminalClient() as client:
        project_id, rest = take_project(client.profile, project, words or [])
        if not rest:
            raise UsageError("The grant id is missing.", hint=usage)
        if len(rest) > 1:
            raise UsageError(f"Unexpected argument {rest[1]!r}.", hint=usage)
        output.emit(grants.revoke(client, project_id, rest[0]))
