"""run402 admin: operations of platform admins."""

from __future__ import annotations

from typing import Annotated

import typer

from run402_cli import output
from run402_cli.client import Client
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._options import ProjectOpt, no_more, take_project
from run402_cli.errors import UsageError
from run402_cli.services import admin
from run402_cli.services.terminal import TerminalClient

app = CommandGroup()

ProjectWord = Annotated[list[str] | None, typer.Argument(hidden=True)]  # an older form of --project


def _project(client: Client, project: str | None, words: list[str] | None) -> str:
    return take_project(client.profile, project, words or [], reject_bare=True)[0]


@app.command("lease-perpetual", effect="write", auth="admin", example="run402 admin lease-perpetual ORG_ID --enable")
def lease_perpetual(
    words: Annotated[list[str] | None, typer.Argument(metavar="ORG_ID", show_default=False)] = None,
    enable: Annotated[bool, typer.Option("--enable", help="The lease never ends.")] = False,
    disable: Annotated[bool, typer.Option("--disable", help="The lease ends as usual.")] = False,
) -> None:
    """Pin or unpin the lease of an organization. For platform admins."""
    usage = "run402 admin lease-perpetual <org_id> --enable, or --disable"
    if not words:
        raise UsageError("The organization id is missing.", hint=usage)
    no_more(words[1:])
    if enable == disable:
        raise UsageError("Give --enable or --disable, one of them.", hint=usage)
    with TerminalClient() as client:
        output.emit(admin.set_lease_perpetual(client, words[0], enabled=enable))


@app.command(
    "archive",
    summary="Archive a project.",
    effect="destructive",
    auth="admin",
    example="run402 admin archive --project prj_123 --reason abuse",
)
def archive(
    words: ProjectWord = None,
    project: ProjectOpt = None,
    reason: Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Kept with the record.")] = None,
) -> None:
    """Archive a project at once, without confirmation; without --project the active one. For platform admins."""
    with TerminalClient() as client:
        output.emit(admin.archive(client, _project(client, project, words), reason=reason))


@app.command("reactivate", effect="write", auth="admin", example="run402 admin reactivate --project prj_123")
def reactivate(words: ProjectWord = None, project: ProjectOpt = None) -> None:
    """Bring an archived project back. For platform admins."""
    with TerminalClient() as client:
        output.emit(admin.reactivate(client, _project(client, project, words)))
