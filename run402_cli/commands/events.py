"""run402 events: what happened to a project or an organization."""

from __future__ import annotations

from typing import Annotated

import typer

from run402_cli import output
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._options import ProjectOpt, integer, one_of, resolve_project
from run402_cli.errors import UsageError
from run402_cli.services import events as events_service
from run402_cli.services.terminal import TerminalClient
from run402_cli.state.profile import current

app = CommandGroup()


@app.command(
    "events", effect="read", auth="principal", example="run402 events --limit 20 | jq -r '.events[].event_type'"
)
def events(
    project: ProjectOpt = None,
    org: Annotated[
        str | None, typer.Option("--org", metavar="ID", help="All projects of this organization instead of one.")
    ] = None,
    cursor: Annotated[
        str | None, typer.Option("--cursor", metavar="CURSOR", help="`cursor` of the page before, or an event's id.")
    ] = None,
    limit: Annotated[
        str | None, typer.Option("--limit", metavar="N", help="Events in a page, at most 200. Default: the server's.")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", metavar="app|platform", help="Only events of this origin.")
    ] = None,
    event_type: Annotated[
        str | None, typer.Option("--type", metavar="TYPES", help="Only these types, separated by commas.")
    ] = None,
) -> None:
    """Read one page of events, oldest first. Keep `cursor` and pass it next time; `has_more` says to read on now."""
    if org is not None and project is not None:
        raise UsageError("--org and --project exclude each other.", hint="Keep one of them.")
    one_of("--source", source, events_service.SOURCES)
    count = integer("--limit", limit)
    project_id = resolve_project(current(), project) if org is None else None
    with TerminalClient() as client:
        output.emit(
            events_service.page(
                client,
                project_id=project_id,
                org_id=org,
                cursor=cursor,
                limit=count,
                source=source,
                event_type=event_type,
            )
        )
