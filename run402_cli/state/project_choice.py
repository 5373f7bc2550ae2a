"""Whether a file may choose the project that is deployed to: the user's own may, another one after the user agreed.

Whoever follows a manifest or a workspace link to a project asks here. See docs/up.md, "Which project".
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from run402_cli import advice, as_typed
from run402_cli.errors import ValidationError
from run402_cli.state import bindings
from run402_cli.state.catalogue import CONFIG
from run402_cli.state.files import read_state
from run402_cli.state.profile import Profile
from run402_cli.state.wallets import confirm

# What `confirmed_bindings` has for a file that a program wrote: no project, so that the user is asked.
_NONE = ""


def require_agreed(
    profile: Profile, project_id: str, files: Sequence[Path], *otherwise: str, active_counts: bool = True
) -> None:
    """ValidationError BINDING_NOT_CONFIRMED when one of the files that chose the project came along and nobody agreed to it.

    Nobody is asked about the active project, where it would be deployed to without a word (`active_counts`), nor about one
    that RUN402_PROJECT_ID names, nor in CI. `otherwise` is the command that names the project, for a caller whose command
    line was not typed.
    """
    if bindings.checked_out_by_ci() or os.environ.get("RUN402_PROJECT_ID") == project_id:
        return
    agreed = _agreed(profile.base)
    asked = next((file for file in files if not _may_choose(file, project_id, agreed)), None)
    if asked is not None and not (active_counts and profile.active.get() == project_id):
        raise _not_confirmed(project_id, asked, otherwise)


def may_choose(profile: Profile, project_id: str, file: Path) -> bool:
    """Whether the file is the user's own, or the user agreed to it."""
    return _may_choose(file, project_id, _agreed(profile.base))


def remember(profile: Profile, project_id: str, files: Sequence[Path]) -> None:
    """The user named the project at the command line, and so agreed to the files that name it, too."""
    agreed = _agreed(profile.base)
    for file in files:
        if not _may_choose(file, project_id, agreed):
            confirm(file, project_id)


def keep(profile: Profile, project_id: str, link: Path, *, own: bool) -> None:
    """Record a workspace link that was just written. Without `own` a program chose: the user is asked about it."""
    agreed = _agreed(profile.base)
    if own:
        remember(profile, project_id, [link])
    elif agreed.get(bindings.key(link)) != project_id:
        confirm(link, _NONE)


def speaks_for(profile: Profile, directory: Path, repository: str, project_id: str) -> bool:
    """The user agreed that a work tree is of this GitHub repository, or that its directory deploys to this project."""
    place = Path(os.path.realpath(directory))
    agreed = _agreed(profile.base)
    return any(
        bindings.folder(Path(known)) == place for known, chosen in agreed.items() if chosen in (repository, project_id)
    )


def remember_repository(directory: Path, repository: str) -> None:
    """The user named the GitHub repository of a work tree at the command line."""
    if bindings.in_work_tree(directory / ".git"):
        confirm(directory / ".git", repository)


def _agreed(base: Path) -> dict[str, Any]:
    return bindings.confirmed(read_state(base / "config.json", CONFIG) or {})


def _may_choose(file: Path, project_id: str, agreed: dict[str, Any]) -> bool:
    """The user agreed to this project for the directory of the file; or nobody else can have put the file there."""
    key = bindings.key(file)
    place = bindings.folder(Path(key))
    if any(chosen == project_id and bindings.folder(Path(known)) == place for known, chosen in agreed.items()):
        return True
    is_link = file.is_symlink() or file.parent.is_symlink()
    return not (is_link or key in agreed or bindings.came_along(file))


def _not_confirmed(project_id: str, file: Path, otherwise: Sequence[str]) -> ValidationError:
    typed = as_typed.words()
    command = as_typed.again("--project", project_id, *_missing(otherwise, typed)) if typed else otherwise
    return ValidationError(
        f"{file} is in a repository or came out of an archive and chooses the project {project_id}; nobody has confirmed "
        "that yet. "
        "What is deployed runs with that project's data and secrets. Nothing was deployed. "
        f"If that is your project, name it once: {advice.command(*command)}",
        code="BINDING_NOT_CONFIRMED",
        details={"binding_file": str(file), "project_id": project_id},
        next_actions=[advice.run(*command, why="The file may choose this project from then on.", confirms=True)],
    )


def _missing(otherwise: Sequence[str], typed: Sequence[str]) -> tuple[str, ...]:
    """What else the command needs where nobody is at a terminal."""
    return ("--yes",) if "--yes" in otherwise and not {"--yes", "-y"} & {*typed} else ()
