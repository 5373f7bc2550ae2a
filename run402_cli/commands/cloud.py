"""run402 cloud: take a project along as a portable archive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from run402_cli import output
from run402_cli.client import Client
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._options import OverwriteOpt, ProjectOpt, take_project, take_project_and_id
from run402_cli.commands.projects import export
from run402_cli.errors import CommandError, UsageError
from run402_cli.services import archives
from run402_cli.services.terminal import TerminalClient

app = CommandGroup()

ArchiveWord = Annotated[list[str] | None, typer.Argument(metavar="ARCHIVE_ID", show_default=False)]

app.command(
    "archives create",
    summary="Export a project.",
    effect="write",
    auth="principal",
    example="run402 cloud archives create --output backup.r402ar",
)(export)


def _project_and_archive(client: Client, project: str | None, words: list[str], usage: str) -> tuple[str, str]:
    if len(words) == 1 and words[0].startswith("prj_"):
        raise UsageError("The archive's id is missing.", hint=usage)
    if len(words) == 1:
        return take_project(client.profile, project, [])[0], words[0]
    return take_project_and_id(client.profile, project, words, usage=usage)


@app.command(
    "archives status",
    summary="Show one archive.",
    effect="read",
    auth="principal",
    example="run402 cloud archives status arc_123 | jq -r .archive.status",
)
def status(words: ArchiveWord = None, project: ProjectOpt = None) -> None:
    """Show one archive of a project: running, ready, failed or expired."""
    with TerminalClient() as client:
        project_id, archive_id = _project_and_archive(
            client, project, words or [], "run402 cloud archives status <archive_id>"
        )
        output.emit({"archive": archives.status(client, project_id, archive_id)})


@app.command(
    "archives download",
    effect="write",
    auth="principal",
    needed="--output",
    example="run402 cloud archives download arc_123 --output backup.r402ar",
)
def download(
    words: ArchiveWord = None,
    project: ProjectOpt = None,
    output_file: Annotated[str | None, typer.Option("--output", metavar="FILE", help="Where to save it.")] = None,
    overwrite: OverwriteOpt = False,
) -> None:
    """Save a ready archive. Its SHA-256 is compared with the announced one; parent directories are made."""
    usage = "run402 cloud archives download <archive_id> --output <file>"
    with TerminalClient() as client:
        project_id, archive_id = _project_and_archive(client, project, words or [], usage)
        if not output_file:
            raise UsageError("--output is missing: where to save the archive.", hint=usage)
        path = Path(output_file).absolute()
        if path.is_dir():
            raise CommandError(f"--output: {output_file!r} is a directory.", code="NOT_A_FILE", field="--output")
        output.emit(archives.fetch(client, project_id, archive_id, path, overwrite=overwrite))
