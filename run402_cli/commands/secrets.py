"""run402 secrets: write-only environment variables of the project's functions."""

from __future__ import annotations

from typing import Annotated

import typer

from run402_cli import advice, as_typed, output, standard_input
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._options import ProjectOpt, read_file, take_project
from run402_cli.errors import CommandError, UsageError
from run402_cli.services import secrets
from run402_cli.services.terminal import TerminalClient
from run402_cli.state.profile import current
from run402_cli.uploads import SECRET

app = CommandGroup()

KeyWord = Annotated[list[str] | None, typer.Argument(metavar="KEY", show_default=False)]
ProjectWord = Annotated[list[str] | None, typer.Argument(hidden=True)]  # an older form of --project
_STDIN_NAMES = ("-", "/dev/stdin")
_MAX_READ = 1024 * 1024
_WHAT, _INSTEAD = "the value of the secret", "Or pass --file <path>."


@app.command(
    "set",
    effect="write",
    auth="service_key",
    example=[
        'printf %s "$TOKEN" | run402 secrets set API_TOKEN',
        "run402 secrets set API_TOKEN --file ./token.txt",
    ],
)
def set_(
    words: Annotated[list[str] | None, typer.Argument(metavar="KEY [VALUE]", show_default=False)] = None,
    value: Annotated[
        str | None,
        typer.Option("--value", metavar="TEXT", help="The value; visible in the process list, prefer --stdin."),
    ] = None,
    file: Annotated[
        str | None, typer.Option("--file", metavar="PATH", help="Read the value from a UTF-8 file; - is stdin.")
    ] = None,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read the value from standard input.")] = False,
    project: ProjectOpt = None,
) -> None:
    """Create or replace one secret. Its value is never printed, here or later.

    Without a value, --file or --stdin, what is piped in is the value. The bytes of a file or of stdin are taken as they
    are: a trailing newline stays in the value.
    """
    project_id, rest = take_project(current(), project, words or [])
    if not rest:
        raise UsageError("The name of the secret is missing.", hint="run402 secrets set <KEY> --stdin")
    if len(rest) > 2:
        # The words may be parts of the value, so they are not repeated.
        raise UsageError(
            "There are too many arguments.", hint="Quote the value, or pipe it: run402 secrets set <KEY> --stdin"
        )
    inline = rest[1] if len(rest) == 2 else None
    text = _value(inline, value, file, stdin=stdin)
    with TerminalClient() as client:
        output.emit(secrets.set_secret(client, project_id, rest[0], text), compact=True)


def _value(inline: str | None, value: str | None, file: str | None, *, stdin: bool) -> str:
    from_stdin = file in _STDIN_NAMES
    sources = {
        "inline": inline is not None,
        "--value": value is not None,
        "--file": file is not None and not from_stdin,
        "--file stdin": from_stdin,
        "--stdin": stdin,
    }
    given = [name for name, there in sources.items() if there]
    if len(given) > 1:
        raise UsageError(
            f"The value is given more than once: {', '.join(given)}.",
            hint="Keep one of them.",
            details={"sources": given},
        )
    if not given:
        return _text("standard input", _piped())
    if stdin or from_stdin:
        return _text("standard input", _stdin())
    if file is not None:
        return _text(file, read_file("--file", file, limit=_MAX_READ, bounds=SECRET))
    return value if value is not None else inline or ""


def _piped() -> bytes:
    data = standard_input.piped(limit=_MAX_READ)[:_MAX_READ]
    if not data:
        raise UsageError(
            "No value is given.", hint="Pipe it with --stdin, name a file with --file, or write --value <text>."
        )
    return data


def _stdin() -> bytes:
    data = b"" if standard_input.is_terminal() else standard_input.read(_WHAT, _INSTEAD, limit=_MAX_READ)
    if not data:
        piped = as_typed.again("--stdin") if as_typed.words() else ("secrets", "set", advice.Blank("KEY"), "--stdin")
        raise UsageError(
            "Standard input is a terminal or empty, so there is no value.",
            hint="Pipe the value in.",
            next_actions=[
                {"type": "edit_request", "command": f'printf %s "$VALUE" | {advice.command(*piped)}'},
                advice.action("edit_request", "secrets", "set", advice.Blank("KEY"), "--file", advice.Blank("path")),
            ],
        )
    return data


def _text(name: str, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        raise CommandError(
            f"The value from {name} is not UTF-8 text (byte {exc.start}).",
            code="BAD_FILE",
            hint="Encode binary material first, for example with base64.",
            field="--file",
        ) from None


@app.command(
    "list",
    summary="Names and times of the secrets.",
    effect="read",
    auth="service_key",
    example="run402 secrets list | jq -r '.secrets[].key'",
)
def list_(words: ProjectWord = None, project: ProjectOpt = None) -> None:
    """List the secrets of a project: names and times. Values cannot be read back."""
    project_id, rest = take_project(current(), project, words or [])
    if rest:
        raise UsageError("Unexpected argument.", hint="`run402 secrets list` takes no name: it lists all of them.")
    with TerminalClient() as client:
        output.emit(secrets.list_secrets(client, project_id))


@app.command(
    "delete",
    summary="Remove one secret.",
    effect="destructive",
    auth="service_key",
    example="run402 secrets delete API_TOKEN",
)
def delete(words: KeyWord = None, project: ProjectOpt = None) -> None:
    """Remove one secret, given its name. There is no confirmation."""
    project_id, rest = take_project(current(), project, words or [])
    if len(rest) != 1:
        problem = "The name of the secret is missing." if not rest else f"Unexpected argument {rest[1]!r}."
        raise UsageError(problem, hint="run402 secrets delete <KEY>")
    with TerminalClient() as client:
        output.emit(secrets.delete(client, project_id, rest[0]), compact=True)
