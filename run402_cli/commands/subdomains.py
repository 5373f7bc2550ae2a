"""run402 subdomains: claim, list and release <name>.run402.com."""

from __future__ import annotations

from typing import Annotated

import typer

from run402_cli import advice, output
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._options import ProjectOpt, known_project, resolve_project
from run402_cli.errors import CommandError
from run402_cli.services import subdomains
from run402_cli.services.terminal import TerminalClient

app = CommandGroup()

Name = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]


@app.command(
    "claim",
    summary="Claim a name and point it at a deployment.",
    effect="write",
    auth="service_key",
    example=["run402 subdomains claim my-app", "run402 subdomains claim my-app --deployment dpl_123"],
)
def claim(
    name: Name,
    project: ProjectOpt = None,
    deployment: Annotated[
        str | None,
        typer.Option(
            "--deployment",
            metavar="ID",
            help="Deployment id. Default: the live release of a local gateway; else the last one made here.",
        ),
    ] = None,
) -> None:
    """Claim NAME.run402.com and point it at a deployment. Claiming an own name again moves it.

    Names have 3 to 63 lowercase letters, digits and hyphens.
    """
    with TerminalClient() as client:
        project_id = resolve_project(client.profile, project)
        output.emit(subdomains.claim(client, project_id, name, deployment_id=deployment))


@app.command(
    "list",
    summary="List the subdomains of a project.",
    effect="read",
    auth="service_key",
    example="run402 subdomains list | jq -r '.[].url'",
)
def list_(project: ProjectOpt = None) -> None:
    """List the subdomains of a project as a JSON array."""
    with TerminalClient() as client:
        output.emit(subdomains.list_subdomains(client, resolve_project(client.profile, project)))


@app.command("delete", effect="destructive", auth="service_key", example="run402 subdomains delete my-app --confirm")
def delete(
    name: Name,
    confirm: Annotated[bool, typer.Option("--confirm", help="Confirm: anybody may claim the name afterwards.")] = False,
    project: ProjectOpt = None,
) -> None:
    """Release a name. Its address stops answering."""
    if not confirm:
        raise CommandError(
            f"Releasing {name} takes its address offline, and anybody may claim the name afterwards.",
            code="CONFIRMATION_REQUIRED",
            hint=advice.command("subdomains", "delete", name, *known_project(project), "--confirm"),
            details={"name": name},
        )
    with TerminalClient() as client:
        output.emit(subdomains.delete(client, resolve_project(client.profile, project), name), compact=True)
