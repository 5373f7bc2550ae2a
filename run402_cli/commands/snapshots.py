"""run402 snapshots: restore points of a project's database."""

from __future__ import annotations

from typing import Annotated

import typer

from run402_cli import output
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._options import ProjectOpt, integer, one_of, take_project, take_project_and_id
from run402_cli.errors import FlagError, UsageError
from run402_cli.services import snapshots
from run402_cli.services.terminal import TerminalClient

app = CommandGroup()

ProjectWord = Annotated[list[str] | None, typer.Argument(hidden=True)]  # an older form of --project
SnapshotWord = Annotated[list[str] | None, typer.Argument(metavar="SNAPSHOT_ID", show_default=False)]
KindOpt = Annotated[
    str | None,
    typer.Option("--kind", metavar="KIND", help=f"Only these: {', '.join(snapshots.KINDS)}."),
]
LimitOpt = Annotated[str | None, typer.Option("--limit", metavar="N", help="1 to 100.")]
AfterOpt = Annotated[str | None, typer.Option("--after", metavar="CURSOR", help="next_cursor of the page before.")]
ConfirmOpt = Annotated[
    str | None, typer.Option("--confirm", metavar="TOKEN", help="The token of the plan: replace the data now.")
]
AuthOpt = Annotated[bool, typer.Option("--include-auth", help="Restore users and passkeys too.")]
# Every subcommand takes the flags of all, so that scripts may pass one set; those that do not apply are ignored.
NoKind = Annotated[str | None, typer.Option("--kind", help="Ignored here.", hidden=True)]
NoLimit = Annotated[str | None, typer.Option("--limit", help="Ignored here.", hidden=True)]
NoAfter = Annotated[str | None, typer.Option("--after", help="Ignored here.", hidden=True)]
NoConfirm = Annotated[str | None, typer.Option("--confirm", help="Ignored here.", hidden=True)]
NoAuth = Annotated[bool, typer.Option("--include-auth", help="Ignored here.", hidden=True)]


@app.command(
    "create",
    summary="Create a snapshot.",
    effect="write",
    auth="principal",
    example="run402 snapshots create | jq -r .snapshot.snapshot_id",
)
def create(
    words: ProjectWord = None,
    project: ProjectOpt = None,
    kind: NoKind = None,
    limit: NoLimit = None,
    after: NoAfter = None,
    confirm: NoConfirm = None,
    include_auth: NoAuth = False,
) -> None:
    """Create a snapshot of the database. Does not wait: `ok` is true when it is ready already."""
    with TerminalClient() as client:
        project_id, _ = take_project(client.profile, project, words or [], reject_bare=True)
        output.emit(snapshots.create(client, project_id))


@app.command(
    "list",
    summary="List snapshots.",
    effect="read",
    auth="principal",
    example="run402 snapshots list --kind manual --limit 20",
)
def list_(
    words: ProjectWord = None,
    project: ProjectOpt = None,
    kind: KindOpt = None,
    limit: LimitOpt = None,
    after: AfterOpt = None,
    confirm: NoConfirm = None,
    include_auth: NoAuth = False,
) -> None:
    """List the snapshots of a project, one page at a time."""
    one_of("--kind", kind, snapshots.KINDS)
    count = integer("--limit", limit, high=100)
    with TerminalClient() as client:
        project_id, rest = take_project(client.profile, project, words or [])
        if rest:
            raise UsageError(
                f"Unexpected argument {rest[0]!r}.", hint="One snapshot: run402 snapshots get <snapshot_id>"
            )
        output.emit(snapshots.list_snapshots(client, project_id, limit=count, after=after, kind=kind))


@app.command(
    "get",
    summary="Show one snapshot.",
    effect="read",
    auth="principal",
    example="run402 snapshots get snap_123 | jq .snapshot.status",
)
def get(
    words: SnapshotWord = None,
    project: ProjectOpt = None,
    kind: NoKind = None,
    limit: NoLimit = None,
    after: NoAfter = None,
    confirm: NoConfirm = None,
    include_auth: NoAuth = False,
) -> None:
    """Show one snapshot with its state and next actions."""
    usage = "run402 snapshots get <snapshot_id>; ids: run402 snapshots list"
    with TerminalClient() as client:
        project_id, snapshot_id = take_project_and_id(client.profile, project, words or [], usage=usage)
        output.emit(snapshots.get(client, project_id, snapshot_id))


@app.command(
    "restore",
    summary="Plan a restore, then carry it out with the plan's token.",
    effect="destructive",
    auth="principal",
    example=["run402 snapshots restore snap_123", "run402 snapshots restore snap_123 --confirm TOKEN_OF_THE_PLAN"],
)
def restore(
    words: SnapshotWord = None,
    project: ProjectOpt = None,
    confirm: ConfirmOpt = None,
    include_auth: AuthOpt = False,
    kind: NoKind = None,
    limit: NoLimit = None,
    after: NoAfter = None,
) -> None:
    """Go back to a snapshot, in two steps. The first changes nothing: it says what would be lost, and gives a token.

    The second, with that token as --confirm, replaces the database; a snapshot of the present state is taken before.
    """
    usage = "run402 snapshots restore <snapshot_id>; ids: run402 snapshots list"
    if confirm == "":
        raise FlagError(
            "--confirm is empty.",
            hint="Pass the token of the plan, or leave --confirm out to get a plan.",
            details={"flag": "--confirm"},
        )
    with TerminalClient() as client:
        project_id, snapshot_id = take_project_and_id(client.profile, project, words or [], usage=usage)
        output.emit(snapshots.restore(client, project_id, snapshot_id, confirm=confirm, include_auth=include_auth))


@app.command(
    "delete",
    summary="Delete a snapshot.",
    effect="destructive",
    auth="principal",
    example="run402 snapshots delete snap_123",
)
def delete(
    words: SnapshotWord = None,
    project: ProjectOpt = None,
    kind: NoKind = None,
    limit: NoLimit = None,
    after: NoAfter = None,
    confirm: NoConfirm = None,
    include_auth: NoAuth = False,
) -> None:
    """Delete a snapshot at once. There is no confirmation."""
    usage = "run402 snapshots delete <snapshot_id>; ids: run402 snapshots list"
    with TerminalClient() as client:
        project_id, snapshot_id = take_project_and_id(client.profile, project, words or [], usage=usage)
        output.emit(snapshots.delete(client, project_id, snapshot_id))
