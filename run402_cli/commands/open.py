"""run402 open: the console of the local gateway, in a browser."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from run402_cli import output, standard_input
from run402_cli.client.browser import hand_over
from run402_cli.commands._command import CommandGroup
from run402_cli.services import console
from run402_cli.services.terminal import TerminalClient

app = CommandGroup()


@app.command(
    "open",
    effect="read",
    auth=(),
    example=["run402 open", "run402 open --project prj_1a2b3c4d5e6f7a8b", "run402 open --jq .url -r"],
)
def open_console(
    project: Annotated[
        str | None,
        typer.Option("--project", metavar="ID", help="A project to open. Default: the list of all projects."),
    ] = None,
) -> None:
    """Open the console of the local gateway: tables, SQL, users, functions, releases, mail, for a person to look at.

    A browser is opened at a terminal only; the address is printed in any case: {url, opened}. It opens the console once,
    within ten minutes, and for twelve hours from then.
    """
    with TerminalClient() as client:
        url = console.address(client, project)
    output.emit({"url": url, "opened": _at_a_terminal() and hand_over(url)})


def _at_a_terminal() -> bool:
    return standard_input.is_terminal() and sys.stdout is not None and sys.stdout.isatty()
