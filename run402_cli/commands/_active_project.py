"""A refusal about a project that nobody typed: the error says that it is the active one, and where the directory points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from run402_cli import advice, as_typed, global_options, secrecy
from run402_cli.effects import READ, SURFACE
from run402_cli.errors import Run402Error
from run402_cli.state.profile import current
from run402_cli.state.project_choice import may_choose
from run402_cli.state.workspace import link_path, read_link

# Refusals about what a project has: it may be another project's.
_NOT_THERE = (403, 404)
_NO_RELATION = ("42P01", "42703", "42883", "3F000", "PGRST202", "PGRST204", "PGRST205")


def told(envelope: dict[str, Any], project_id: str) -> dict[str, Any]:
    """The envelope with `note`; when this directory is linked to another project, with the command on that one too.

    A command that only reads comes first among the next actions, one that writes last; one that deletes is not repeated.
    """
    if not _may_be_anothers(envelope):
        return envelope
    note = f"{project_id} is the active project; the command names none."
    linked = _linked()
    if linked is None or linked == project_id:
        return {**envelope, "note": note}
    note += f" This directory is linked to {linked}, which `run402 up` uses."
    effect, typed = _repeatable(), secrecy.CommandLine(as_typed.words())
    if effect is None or not typed.flags.get("--project"):
        return {**envelope, "note": note}
    action = advice.run(*as_typed.again("--project", linked), why=f"This directory is linked to {linked}.")
    listed = envelope.get("next_actions")
    others = listed if isinstance(listed, list) else []
    return {**envelope, "note": note, "next_actions": [action, *others] if effect == READ else [*others, action]}


def by_id(envelope: dict[str, Any]) -> dict[str, Any]:
    """Of a refused project id that is the name of a project: the command as typed with the id comes first.

    A command that deletes is left as it is, and looks at the list of projects.
    """
    project_id = envelope.get("project_id")
    if not isinstance(project_id, str) or _repeatable() is None:
        return envelope
    typed = secrecy.CommandLine(as_typed.words())
    wrong = typed.given.get("--project") or next(iter(typed.bare), "")
    words = typed.with_word(wrong, project_id) if wrong and wrong != project_id else []
    if not words:
        return envelope
    return {**envelope, "next_actions": [advice.run(*words, why=f"{wrong} is the name of {project_id}.")]}


def _repeatable() -> str | None:
    """What the running command does, when it may be named as a next step on another project."""
    known = SURFACE.get(global_options.current.command)
    return None if known is None or known.effect == "destructive" else known.effect


def _may_be_anothers(envelope: dict[str, Any]) -> bool:
    body = envelope.get("body")
    said = [envelope.get("code"), envelope.get("sqlstate"), body.get("sqlstate") if isinstance(body, dict) else None]
    return envelope.get("http") in _NOT_THERE or any(code in _NO_RELATION for code in said)


def _linked() -> str | None:
    """The project of the directory's link; what a clone's link says leads to no command."""
    try:
        here = Path.cwd()
        link = read_link(here)
        known = link is not None and may_choose(current(), link.project_id, link_path(here))
    except (Run402Error, OSError):
        return None
    return link.project_id if link is not None and known else None
