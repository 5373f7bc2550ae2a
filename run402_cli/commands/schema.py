"""run402 schema: the command tree as data, and the JSON Schema of what each command prints."""

from __future__ import annotations

from typing import Annotated

import typer

from run402_cli import command_schemas, output
from run402_cli.commands._command import CommandGroup
from run402_cli.errors import CommandError, UsageError
from run402_cli.suggest import closest, did_you_mean

app = CommandGroup()


@app.command(
    "schema",
    effect="read",
    auth=(),
    example=[
        "run402 schema | jq '.commands | keys'",
        "run402 schema secrets set | jq '.commands[\"secrets set\"].output.schema'",
        "run402 schema --all > run402.schema.json",
    ],
)
def schema(
    words: Annotated[list[str] | None, typer.Argument(metavar="[COMMAND]...", show_default=False)] = None,
    everything: Annotated[bool, typer.Option("--all", help="Full entries of every command.")] = False,
) -> None:
    """Describe commands for programs: arguments, options, effect, credentials, exit and error codes, output schema.

    Without words: an index of all commands and what holds for each of them. With the words of a command or a group:
    full entries. Needs no network and no wallet.
    """
    path = [part for word in words or [] for part in word.split()]
    if everything and path:
        raise UsageError("--all and a command exclude each other.", hint="run402 schema --all")
    if everything:
        output.emit(command_schemas.everything(), compact=True)
    elif not path:
        output.emit(command_schemas.index(), compact=True)
    else:
        output.emit(command_schemas.detailed(_found(path)))


def _found(path: list[str]) -> list[str]:
    found = command_schemas.chosen(path)
    if found:
        return found
    name = " ".join(path)
    near = closest(name, list(command_schemas.names()))
    raise CommandError(
        f"There is no command {name!r}.{did_you_mean(near)}",
        code="UNKNOWN_COMMAND",
        hint="run402 schema lists the commands.",
        details={"command": name, "closest": near},
    )
