"""run402 delegates: scoped, revocable tokens for agents."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from run402_cli import output
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._options import ProjectOpt, instant, parse_json_flag, take_project
from run402_cli.errors import UsageError
from run402_cli.services import delegates
from run402_cli.services.terminal import TerminalClient

app = CommandGroup()

ProjectWord = Annotated[list[str] | None, typer.Argument(hidden=True)]  # an older form of --project
DelegateWord = Annotated[list[str] | None, typer.Argument(metavar="DELEGATE_ID", show_default=False)]


def _no_more(words: list[str]) -> None:
    if words:
        raise UsageError(f"Unexpected argument {words[0]!r}.", hint="Add --help to the command to see its arguments.")


def _delegate(words: list[str], usage: str) -> str:
    if not words:
        raise UsageError("The delegate id is missing.", hint=f"{usage}; ids: run402 delegates list")
    _no_more(words[1:])
    return words[0]


def _shown_once(answer: Any) -> None:
    if isinstance(answer, dict) and answer.get("token"):
        output.notice(
            "The token is shown this one time and cannot be read again. Store it now; nothing is saved here.\n"
            "The agent uses it so: RUN402_DELEGATE_TOKEN=<token> run402 deploy apply"
        )


@app.command(
    "create",
    summary="Make a delegate; its token is shown once.",
    effect="write",
    auth="principal",
    needed="--grant",
    reveals=True,
    example=[
        "run402 delegates create --grant GRANT_ID --expires 2030-01-01T00:00:00Z",
        'run402 delegates create --grant GRANT_ID --scope \'{"v":1,"capabilities":["deploy"],"projects":["prj_123"]}\'',
    ],
)
def create(
    words: ProjectWord = None,
    grant: Annotated[
        str | None, typer.Option("--grant", metavar="ID", help="The grant to narrow; run402 grants create makes one.")
    ] = None,
    capability: Annotated[
        str, typer.Option("--capability", metavar="NAME", help="What the delegate may do on this project.")
    ] = "deploy",
    kind: Annotated[
        str, typer.Option("--kind", metavar="KIND", help="Only run402_agent_key returns a token.")
    ] = delegates.AGENT_KEY,
    scope: Annotated[
        str | None, typer.Option("--scope", metavar="JSON", help="The whole scope, in place of --capability.")
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option("--expires", metavar="TIME", help="ISO date-time, or a span: 30d. Default: the gateway's."),
    ] = None,
    project: ProjectOpt = None,
) -> None:
    """Make a delegate for an agent. Its token is in the answer, once. For owners of the organization."""
    expiry = instant("--expires", expires, ahead=True)
    with TerminalClient() as client:
        project_id, rest = take_project(client.profile, project, words or [])
        _no_more(rest)
        if not grant:
            raise UsageError(
                "--grant is missing: a delegate narrows a grant.",
                hint="Make the grant first: run402 grants create <address> --capability deploy",
            )
        limits = delegates.default_scope(project_id, capability)
        chosen = parse_json_flag("--scope", scope) if scope is not None else limits
        answer = delegates.create(client, project_id, grant, scope=chosen, kind=kind, expires_at=expiry)
    _shown_once(answer)
    output.emit(answer)


@app.command(
    "list",
    summary="List delegates, never tokens.",
    effect="read",
    auth="principal",
    example="run402 delegates list | jq -r '.delegates[].id'",
)
def list_(words: ProjectWord = None, project: ProjectOpt = None) -> None:
    """List the delegates of a project; never a token."""
    with TerminalClient() as client:
        project_id, rest = take_project(client.profile, project, words or [])
        _no_more(rest)
        output.emit(delegates.list_delegates(client, project_id))


@app.command(
    "revoke",
    summary="Revoke a delegate.",
    effect="destructive",
    auth="principal",
    example="run402 delegates revoke DELEGATE_ID",
)
def revoke(words: DelegateWord = None, project: ProjectOpt = None) -> None:
    """Revoke a delegate at once."""
    with TerminalClient() as client:
        project_id, rest = take_project(client.profile, project, words or [])
        delegate_id = _delegate(rest, "run402 delegates revoke <delegate_id>")
        output.emit(delegates.revoke(client, project_id, delegate_id))


@app.command(
    "rotate",
    summary="Give a delegate a new token.",
    effect="destructive",
    auth="principal",
    reveals=True,
    example="run402 delegates rotate DELEGATE_ID",
)
def rotate(words: DelegateWord = None, project: ProjectOpt = None) -> None:
    """Give a delegate a new token, shown once; the old one stops at once."""
    with TerminalClient() as client:
        project_id, rest = take_project(client.profile, project, words or [])
        delegate_id = _delegate(rest, "run402 delegates rotate <delegate_id>")
        answer = delegates.rotate(client, project_id, delegate_id)
    _shown_once(answer)
    output.emit(answer)
