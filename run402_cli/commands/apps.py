"""run402 apps: browse, fork and publish apps."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from run402_cli import output
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._options import ProjectOpt, one_of, take_project, take_project_and_id
from run402_cli.errors import UsageError
from run402_cli.services import apps
from run402_cli.services.terminal import TerminalClient
from run402_cli.state.profile import current

app = CommandGroup()

Version = Annotated[str, typer.Argument(metavar="VERSION_ID", show_default=False)]
VersionWords = Annotated[list[str] | None, typer.Argument(metavar="VERSION_ID", show_default=False)]
ProjectWord = Annotated[list[str] | None, typer.Argument(hidden=True)]  # an older form of --project
DescriptionOpt = Annotated[
    str | None, typer.Option("--description", metavar="TEXT", help="What the app is, for those who browse.")
]
TagsOpt = Annotated[str | None, typer.Option("--tags", metavar="TAGS", help="Comma list; replaces all tags.")]
VisibilityOpt = Annotated[
    str | None,
    typer.Option("--visibility", metavar="WHO", help="public (listed), unlisted (who knows the id) or private."),
]
ForkAllowedOpt = Annotated[bool, typer.Option("--fork-allowed", help="Others may fork it.")]


@app.command(
    "browse",
    summary="List public apps.",
    effect="read",
    auth=(),
    example="run402 apps browse --tag auth --tag crm | jq -r '.apps[].id'",
)
def browse(
    tag: Annotated[
        list[str] | None, typer.Option("--tag", metavar="TAG", help="Only apps with this tag, or another one given.")
    ] = None,
) -> None:
    """List public apps that can be forked. Needs no wallet."""
    with TerminalClient() as client:
        output.emit(apps.browse(client, tags=tag or []))


@app.command(
    "inspect",
    summary="Show one published version.",
    effect="read",
    auth=(),
    example="run402 apps inspect ver_123 | jq .required_secrets",
)
def inspect(version_id: Version) -> None:
    """Show one published version: what it holds, the secrets it needs, its bootstrap variables."""
    with TerminalClient() as client:
        output.emit(apps.inspect(client, version_id))


@app.command(
    "fork",
    summary="Copy a version into a new project.",
    effect="write",
    auth="principal",
    spends=True,
    reveals=True,
    example="run402 apps fork ver_123 --name my-copy --subdomain my-copy",
)
def fork(
    words: Annotated[list[str] | None, typer.Argument(metavar="VERSION_ID", show_default=False)] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Name of the new project.")] = None,
    subdomain: Annotated[
        str | None, typer.Option("--subdomain", metavar="NAME", help="Serve it at NAME.run402.com.")
    ] = None,
) -> None:
    """Copy schema, site and functions of a version into a new project, which becomes active. Prints its keys.

    It may cost money, which the wallet pays. Running it twice makes two projects.
    """
    usage = "run402 apps fork <version_id> --name <name>"
    given = words or []
    wanted = 1 if name is not None else 2
    if len(given) < wanted:
        raise UsageError(f"The {'name' if given else 'version id'} is missing.", hint=usage)
    if len(given) > wanted:
        raise UsageError(f"Unexpected argument {given[wanted]!r}.", hint=usage)
    with TerminalClient() as client:
        output.emit(apps.fork(client, given[0], name=name if name is not None else given[1], subdomain=subdomain))


def _project(project: str | None, words: list[str] | None, usage: str) -> str:
    """The project of a command that takes no argument but the older form of --project."""
    given = words or []
    extra = given[1:] if given and given[0].startswith("prj_") else given
    if extra:
        raise UsageError(f"Unexpected argument {extra[0]!r}.", hint=usage)
    return take_project(current(), project, given)[0]


def _fields(description: str | None, tags: str | None, visibility: str | None) -> dict[str, Any]:
    one_of("--visibility", visibility, apps.VISIBILITIES)
    given = {
        "description": description,
        "tags": None if tags is None else tags.split(",") if tags else [],
        "visibility": visibility,
    }
    return {key: value for key, value in given.items() if value is not None}


@app.command(
    "publish",
    summary="Publish the project as a version.",
    effect="write",
    auth="service_key",
    example='run402 apps publish --description "Guestbook" --tags demo,auth --fork-allowed',
)
def publish(
    words: ProjectWord = None,
    description: DescriptionOpt = None,
    tags: TagsOpt = None,
    visibility: VisibilityOpt = None,
    fork_allowed: ForkAllowedOpt = False,
    project: ProjectOpt = None,
) -> None:
    """Publish the project as a version that others can look at and, with --fork-allowed, fork."""
    fields = _fields(description, tags, visibility) | ({"fork_allowed": True} if fork_allowed else {})
    project_id = _project(project, words, "run402 apps publish --project <id>")
    with TerminalClient() as client:
        output.emit(apps.publish(client, project_id, fields))


@app.command("versions", effect="read", auth="service_key", example="run402 apps versions | jq -r '.versions[].id'")
def versions(words: ProjectWord = None, project: ProjectOpt = None) -> None:
    """List the published versions of a project."""
    project_id = _project(project, words, "run402 apps versions --project <id>")
    with TerminalClient() as client:
        output.emit(apps.versions(client, project_id))


@app.command(
    "update",
    summary="Change a version's description and visibility.",
    effect="write",
    auth="service_key",
    example='run402 apps update ver_123 --description "New text" --no-fork',
)
def update(
    words: VersionWords = None,
    description: DescriptionOpt = None,
    tags: TagsOpt = None,
    visibility: VisibilityOpt = None,
    fork_allowed: ForkAllowedOpt = False,
    no_fork: Annotated[bool, typer.Option("--no-fork", help="Nobody may fork it.")] = False,
    project: ProjectOpt = None,
) -> None:
    """Change how a version is described and who may see and fork it. Only what is given changes."""
    usage = "run402 apps update <version_id> --description <text>"
    project_id, version_id = take_project_and_id(current(), project, words or [], usage=usage)
    if fork_allowed and no_fork:
        raise UsageError("--fork-allowed and --no-fork exclude each other.", hint="Give one of them.")
    fields = _fields(description, tags, visibility)
    if fork_allowed or no_fork:
        fields["fork_allowed"] = fork_allowed
    with TerminalClient() as client:
        output.emit(apps.update(client, project_id, version_id, fields), compact=True)


@app.command("delete", effect="destructive", auth="service_key", example="run402 apps delete ver_123")
def delete(words: VersionWords = None, project: ProjectOpt = None) -> None:
    """Delete a published version. There is no confirmation; forks that exist stay."""
    usage = "run402 apps delete <version_id>"
    project_id, version_id = take_project_and_id(current(), project, words or [], usage=usage)
    with TerminalClient() as client:
        output.emit(apps.delete(client, project_id, version_id), compact=True)
