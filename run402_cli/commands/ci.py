"""run402 ci: let GitHub Actions deploy a project without a secret."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import click
import typer

from run402_cli import output
from run402_cli.commands._command import Command, CommandGroup
from run402_cli.commands._options import ProjectOpt, no_more, resolve_project
from run402_cli.errors import CommandError, FlagError, UsageError
from run402_cli.services import ci
from run402_cli.services.ci_workflow import DEFAULT_PATH
from run402_cli.services.terminal import TerminalClient

app = CommandGroup()

_NO_SUCH_BINDING_RULE = (
    "--subject",
    "--subject-match",
    "--wildcard",
    "--allow-event",
    "--event",
    "--pull-request",
    "--pr",
    "--no-repository-id",
)
_PROVIDERS = ("github",)
_BINDING_IDS = "Ids: run402 ci list"

BindingWord = Annotated[list[str] | None, typer.Argument(metavar="BINDING_ID", show_default=False)]


class _CiCommand(Command):
    """This group reports a flag without its value as BAD_USAGE."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except FlagError as exc:
            if list(exc.details or ()) != ["flag"]:
                raise
            raise UsageError(exc.message, hint=exc.hint, details=exc.details) from exc


class _LinkCommand(_CiCommand):
    """`ci link`: flags that ask for a wider binding are refused by name, before anything else is looked at."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        names = [token.partition("=")[0] for token in args]
        wider = next((name for name in names if name in _NO_SUCH_BINDING_RULE), None)
        if wider is not None and not {"--help", "-h"} & set(args):
            raise CommandError(
                f"{wider} is not supported: a binding covers push and workflow_dispatch runs of one branch or one "
                "environment of one repository.",
                code="UNSUPPORTED_CI_FLAG",
                hint="Say which with --branch <name> or --environment <name>.",
                details={"flag": wider},
            )
        return super().parse_args(ctx, args)


@app.command(
    "link",
    summary="Let a repository's workflow deploy the project.",
    effect="write",
    auth="principal",
    cls=_LinkCommand,
    example=[
        "run402 ci link github --repo me/shop",
        "run402 ci link github --environment production --route-scope /admin --route-scope '/api/*'",
    ],
)
def link(
    words: Annotated[list[str] | None, typer.Argument(metavar="github", show_default=False)] = None,
    project: ProjectOpt = None,
    manifest: Annotated[
        str, typer.Option("--manifest", metavar="FILE", help="What the workflow deploys; not read now.")
    ] = ci.DEFAULT_MANIFEST,
    repo: Annotated[
        str | None,
        typer.Option("--repo", metavar="OWNER/REPO", help="Default: the git remote origin, where you agreed to it."),
    ] = None,
    branch: Annotated[
        str | None, typer.Option("--branch", metavar="NAME", help="Default: the branch that is checked out.")
    ] = None,
    environment: Annotated[
        str | None, typer.Option("--environment", metavar="NAME", help="Bind to a GitHub environment, not a branch.")
    ] = None,
    repository_id: Annotated[
        str | None, typer.Option("--repository-id", metavar="ID", help="Default: looked up at GitHub.")
    ] = None,
    workflow: Annotated[
        str, typer.Option("--workflow", metavar="FILE", help="The workflow file to write.")
    ] = DEFAULT_PATH,
    expires_at: Annotated[
        str | None, typer.Option("--expires-at", metavar="TIME", help="ISO date-time. Default: never.")
    ] = None,
    route_scope: Annotated[
        list[str] | None,
        typer.Option("--route-scope", metavar="PATTERN", help="Routes that CI may deploy: /admin, /api/*. Repeatable."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing workflow file.")] = False,
) -> None:
    """Let a repository's workflow deploy: the wallet signs a delegation, the gateway keeps it, the workflow is written.

    No key goes to GitHub. Commit the workflow and the manifest afterwards.
    """
    if list(words or []) != list(_PROVIDERS):
        raise UsageError("Only GitHub Actions can be linked.", hint="run402 ci link github")
    if branch is not None and environment is not None:
        raise UsageError("A binding is for --branch or for --environment, not both.", hint="Give one of them.")
    with TerminalClient() as client:
        wanted = ci.Link(
            project_id=resolve_project(client.profile, project),
            manifest=manifest,
            repository=repo,
            branch=branch,
            environment=environment,
            repository_id=repository_id,
            workflow=workflow,
            expires_at=expires_at,
            route_scopes=tuple(route_scope or ()),
            force=force,
        )
        linked = ci.link(client, wanted)
        if repo is not None:
            from run402_cli.state import project_choice

            project_choice.remember_repository(Path.cwd(), repo)
        output.emit(linked)


@app.command(
    "list",
    summary="List the CI bindings of a project.",
    effect="read",
    auth="principal",
    cls=_CiCommand,
    example="run402 ci list | jq '.bindings[] | select(.revoked_at == null)'",
)
def list_(project: ProjectOpt = None) -> None:
    """List the CI bindings of a project, revoked ones included."""
    with TerminalClient() as client:
        project_id = resolve_project(client.profile, project)
        output.emit(ci.list_bindings(client, project_id))


@app.command(
    "revoke", summary="Revoke a binding.", effect="destructive", auth="principal", example="run402 ci revoke BINDING_ID"
)
def revoke(words: BindingWord = None) -> None:
    """Revoke a binding: its workflow can deploy no more. What it deployed stays."""
    if not words:
        raise UsageError("The binding id is missing.", hint=f"run402 ci revoke <binding_id>. {_BINDING_IDS}")
    no_more(words[1:])
    with TerminalClient() as client:
        output.emit(ci.revoke(client, words[0]))


@app.command(
    "set-asset-scopes",
    summary="Say which asset keys a binding may deploy.",
    effect="write",
    auth="principal",
    example=[
        "run402 ci set-asset-scopes BINDING_ID 'astro/*'",
        "run402 ci set-asset-scopes BINDING_ID logo.png 'img/*'",
    ],
)
def set_asset_scopes(
    words: Annotated[list[str] | None, typer.Argument(metavar="BINDING_ID SCOPE...", show_default=False)] = None,
) -> None:
    """Say which asset keys a binding may deploy: exact keys, or prefixes ending in /*. Replaces what was set before."""
    usage = "run402 ci set-asset-scopes <binding_id> <scope>..."
    if not words:
        raise UsageError("The binding id is missing.", hint=f"{usage}. {_BINDING_IDS}")
    if len(words) < 2:
        raise UsageError("No scope is given.", hint=f"{usage}, for example 'astro/*'")
    with TerminalClient() as client:
        output.emit(ci.set_asset_scopes(client, words[0], words[1:]))
