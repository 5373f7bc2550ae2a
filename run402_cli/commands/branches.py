"""run402 branches: contained copies of a project with their own data."""

from __future__ import annotations

from typing import Annotated

import typer

from run402_cli import output
from run402_cli.client import Client
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._options import ProjectOpt, integer, one_of, take_project, take_project_and_id
from run402_cli.errors import UsageError
from run402_cli.services import branches
from run402_cli.services.terminal import TerminalClient

app = CommandGroup()

_DAYS = 30
ParentWord = Annotated[list[str] | None, typer.Argument(hidden=True)]  # an older form of --project
BranchWord = Annotated[list[str] | None, typer.Argument(metavar="BRANCH_PROJECT_ID", show_default=False)]
SnapshotOpt = Annotated[
    str | None,
    typer.Option("--from-snapshot", metavar="ID", help="The data to start with. Default: the data of now."),
]
NameOpt = Annotated[str | None, typer.Option("--name", metavar="NAME", help="Name of the branch.")]
ModeOpt = Annotated[
    str | None,
    typer.Option("--email-mode", metavar="sandbox|off", help="sandbox keeps e-mail inside, off sends none."),
]
CronOpt = Annotated[bool, typer.Option("--enable-cron", help="Let scheduled functions run.")]
DaysOpt = Annotated[str | None, typer.Option("--ttl-days", metavar="N", help="Days until the branch goes, 1 to 30.")]
# Every subcommand takes the flags of all, so that scripts may pass one set; those that do not apply are ignored.
NoSnapshot = Annotated[str | None, typer.Option("--from-snapshot", help="Ignored here.", hidden=True)]
NoName = Annotated[str | None, typer.Option("--name", help="Ignored here.", hidden=True)]
NoMode = Annotated[str | None, typer.Option("--email-mode", help="Ignored here.", hidden=True)]
NoCron = Annotated[bool, typer.Option("--enable-cron", help="Ignored here.", hidden=True)]
NoDays = Annotated[str | None, typer.Option("--ttl-days", help="Ignored here.", hidden=True)]


def _only_parent(client: Client, project: str | None, words: list[str] | None) -> str:
    project_id, rest = take_project(client.profile, project, words or [])
    if rest:
        raise UsageError(f"Unexpected argument {rest[0]!r}.", hint="Name the parent project with --project.")
    return project_id


@app.command(
    "create",
    summary="Create a branch and cache its keys.",
    effect="write",
    auth="principal",
    reveals=True,
    example="run402 branches create --name try-it --ttl-days 3",
)
def create(
    words: ParentWord = None,
    project: ProjectOpt = None,
    from_snapshot: SnapshotOpt = None,
    name: NameOpt = None,
    email_mode: ModeOpt = None,
    enable_cron: CronOpt = False,
    ttl_days: DaysOpt = None,
) -> None:
    """Create a branch: a project of its own with a copy of the data, sandboxed e-mail and no scheduled runs.

    Prints the branch with its keys and caches them; the active project stays.
    """
    one_of("--email-mode", email_mode, branches.EMAIL_MODES)
    days = integer("--ttl-days", ttl_days, high=_DAYS)
    with TerminalClient() as client:
        project_id = _only_parent(client, project, words)
        result = branches.create(
            client,
            project_id,
            from_snapshot=from_snapshot,
            name=name,
            email_mode=email_mode,
            enable_cron=enable_cron,
            ttl_days=days,
        )
    output.emit(result)


@app.command(
    "list", effect="read", auth="principal", example="run402 branches list | jq -r '.branches[].branch_project_id'"
)
def list_(
    words: ParentWord = None,
    project: ProjectOpt = None,
    from_snapshot: NoSnapshot = None,
    name: NoName = None,
    email_mode: NoMode = None,
    enable_cron: NoCron = False,
    ttl_days: NoDays = None,
) -> None:
    """List the branches of a project."""
    with TerminalClient() as client:
        output.emit(branches.list_branches(client, _only_parent(client, project, words)))


@app.command(
    "renew",
    summary="Keep a branch longer.",
    effect="write",
    auth="principal",
    example="run402 branches renew prj_branch --ttl-days 7",
)
def renew(
    words: BranchWord = None,
    project: ProjectOpt = None,
    ttl_days: DaysOpt = None,
    from_snapshot: NoSnapshot = None,
    name: NoName = None,
    email_mode: NoMode = None,
    enable_cron: NoCron = False,
) -> None:
    """Keep a branch of the parent project longer."""
    usage = "run402 branches renew <branch_project_id>; ids: run402 branches list"
    days = integer("--ttl-days", ttl_days, high=_DAYS)
    with TerminalClient() as client:
        project_id, branch_id = take_project_and_id(client.profile, project, words or [], usage=usage)
        output.emit(branches.renew(client, project_id, branch_id, ttl_days=days))


@app.command(
    "delete",
    summary="Delete a branch with its data.",
    effect="destructive",
    auth="principal",
    example="run402 branches delete prj_branch",
)
def delete(
    words: BranchWord = None,
    project: ProjectOpt = None,
    from_snapshot: NoSnapshot = None,
    name: NoName = None,
    email_mode: NoMode = None,
    enable_cron: NoCron = False,
    ttl_days: NoDays = None,
) -> None:
    """Delete a branch of the parent project with its data, at once. Its cached keys stay."""
    usage = "run402 branches delete <branch_project_id>; ids: run402 branches list"
    with TerminalClient() as client:
        project_id, branch_id = take_project_and_id(client.profile, project, words or [], usage=usage)
        output.emit(branches.delete(client, project_id, branch_id))
