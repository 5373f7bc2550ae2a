"""run402 skill: teach coding agents to use run402."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from run402_cli import advice, as_typed, output
from run402_cli.commands._command import CommandGroup
from run402_cli.errors import Verdict
from run402_cli.services import skill

app = CommandGroup()

DirOpt = Annotated[
    str | None, typer.Option("--dir", metavar="DIR", help="A project's directory, instead of the user's home.")
]
ForceOpt = Annotated[bool, typer.Option("--force", help="Replace files that somebody edited, too.")]


@app.command(
    "install",
    summary="Put the skill where an agent looks for skills.",
    effect="write",
    auth=(),
    example=["run402 skill install claude", "run402 skill install --all", "run402 skill install codex --dir ."],
)
def install(
    agents: Annotated[
        list[str] | None,
        typer.Argument(metavar="AGENT", help="claude, cursor, codex, opencode, openclaw.", show_default=False),
    ] = None,
    everywhere: Annotated[bool, typer.Option("--all", help="Every agent.")] = False,
    directory: DirOpt = None,
    force: ForceOpt = False,
) -> None:
    """Put the skill where an agent looks for skills, as run402/SKILL.md."""
    _finish(*skill.install(agents or [], everywhere=everywhere, directory=_path(directory), force=force))


@app.command(
    "update", summary="Bring installed skills to this version.", effect="write", auth=(), example="run402 skill update"
)
def update(directory: DirOpt = None, force: ForceOpt = False) -> None:
    """Bring the installed skills to this version of run402."""
    _finish(*skill.update(directory=_path(directory), force=force))


@app.command(
    "path",
    summary="Where the skill is, and which agents have it.",
    effect="read",
    auth=(),
    example="run402 skill path | jq -r .path",
)
def path(directory: DirOpt = None) -> None:
    """Where the skill is in this installation, and what each agent has of it."""
    output.emit(skill.overview(_path(directory)))


def _path(directory: str | None) -> Path | None:
    return None if directory is None else Path(directory)


def _finish(result: dict[str, Any], complete: bool) -> None:
    output.emit(result)
    if not complete:
        left = ", ".join(each["path"] for each in result["skills"] if each["status"] == "edited")
        raise Verdict(2, f"Changed by somebody and left alone: {left}.", advice.command(*as_typed.again("--force")))
