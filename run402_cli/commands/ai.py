"""run402 ai: translation and moderation for a project."""

from __future__ import annotations

from typing import Annotated

import typer

from run402_cli import output
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._options import ProjectOpt, Words, no_more, resolve_project, take_project
from run402_cli.errors import UsageError
from run402_cli.services import ai
from run402_cli.services.terminal import TerminalClient
from run402_cli.state.profile import Profile

app = CommandGroup()


def _project_and_text(profile: Profile, project: str | None, words: list[str], usage: str) -> tuple[str, str]:
    """With --project every word is text; an older form has the project as the first word."""
    if project is not None:
        project_id, rest = resolve_project(profile, project), words
    else:
        project_id, rest = take_project(profile, None, words)
    if not rest or not rest[0]:
        raise UsageError("The text is missing.", hint=usage)
    no_more(rest[1:])
    return project_id, rest[0]


@app.command(
    "translate",
    effect="write",
    auth="service_key",
    spends=True,
    needed="--to",
    example='run402 ai translate "Good morning" --to de',
)
def translate(
    words: Annotated[list[str] | None, typer.Argument(metavar="TEXT", show_default=False)] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="LANG", help="Target language code.")] = None,
    source: Annotated[
        str | None, typer.Option("--from", metavar="LANG", help="Source language; detected when left out.")
    ] = None,
    context: Annotated[
        str | None, typer.Option("--context", metavar="TEXT", help="What the text is about, for the translator.")
    ] = None,
    project: ProjectOpt = None,
) -> None:
    """Translate a text. The project needs the translation add-on."""
    usage = 'run402 ai translate "<text>" --to <lang>'
    with TerminalClient() as client:
        project_id, text = _project_and_text(client.profile, project, words or [], usage)
        if not to:
            raise UsageError("--to is missing.", hint=usage)
        output.emit(ai.translate(client, project_id, text, to=to, source=source, context=context), compact=True)


@app.command(
    "moderate",
    summary="Moderate a text.",
    effect="read",
    auth="service_key",
    example='run402 ai moderate "some text" | jq .flagged',
)
def moderate(
    words: Annotated[list[str] | None, typer.Argument(metavar="TEXT", show_default=False)] = None,
    project: ProjectOpt = None,
) -> None:
    """Check a text against the moderation categories. Free."""
    with TerminalClient() as client:
        project_id, text = _project_and_text(client.profile, project, words or [], 'run402 ai moderate "<text>"')
        output.emit(ai.moderate(client, project_id, text), compact=True)


@app.command(
    "usage",
    summary="Translation quota.",
    effect="read",
    auth="service_key",
    example="run402 ai usage | jq .translation.remaining_words",
)
def usage(words: Words = None, project: ProjectOpt = None) -> None:
    """Translation quota of the billing cycle."""
    with TerminalClient() as client:
        if project is not None:
            project_id = resolve_project(client.profile, project)
        else:
            project_id, _ = take_project(client.profile, None, words or [], reject_bare=True)
        output.emit(ai.usage(client, project_id), compact=True)
