"""The agent skill: SKILL.md of this package in the places where coding agents look for skills. See docs/how-to/skill.md.

A place is {agent, path, status}; `status` is absent, current, outdated (as some release of run402 wrote it) or edited.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from run402_cli import advice, global_options, work_tree
from run402_cli._version import __version__
from run402_cli.errors import CommandError, EnvironmentFault, UsageError
from run402_cli.state.catalogue import SKILL_RECORD
from run402_cli.state.files import read_state
from run402_cli.state.profile import home
from run402_cli.suggest import closest, did_you_mean

NAME = "run402"
# What was installed, beside it: tells a file that nobody touched from one that somebody edited.


@dataclass(frozen=True, slots=True)
class Agent:
    """Where an agent reads skills: for its user below `home` (or in `variable`, when that is set), and in a project."""

    home: str
    project: str
    variable: str | None = None
    below: str = "skills"


AGENTS = {
    "claude": Agent(".claude", ".claude/skills", "CLAUDE_CONFIG_DIR"),
    "cursor": Agent(".cursor", ".cursor/skills"),
    "codex": Agent(".codex", ".codex/skills", "CODEX_HOME"),
    "opencode": Agent(".config/opencode", ".opencode/skills", "XDG_CONFIG_HOME", "opencode/skills"),
    "openclaw": Agent(".openclaw", "skills"),
}


@dataclass(frozen=True, slots=True)
class Place:
    """SKILL.md of one agent, there or not."""

    agent: str
    path: Path
    base: Path | None = None  # the project that it is in; None: the user's own directories, linked or not

    @property
    def record(self) -> Path:
        return self.path.with_name(SKILL_RECORD.name)

    def status(self) -> str:
        if self.path.is_symlink():
            return "edited"  # somebody keeps it elsewhere; replacing the link would cut it off
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return "absent"
        except OSError as exc:
            raise _refused(self.path, exc, "read") from exc
        if _digest(content) == _digest(source().read_bytes()):
            return "current"
        record = read_state(self.record, SKILL_RECORD) or {}
        return "outdated" if record.get("sha256") == _digest(content) else "edited"

    def shown(self, status: str) -> dict[str, Any]:
        return {"agent": self.agent, "path": str(self.path), "status": status}


def source() -> Path:
    """SKILL.md as it came with this package."""
    return Path(__file__).resolve().parent.parent / "skill" / "SKILL.md"


def places(directory: Path | None = None) -> list[Place]:
    """Where each agent looks: in the user's home, or with `directory` in that project. CommandError NOT_A_DIRECTORY."""
    if directory is not None and not directory.is_dir():
        raise CommandError(
            f"--dir: {str(directory)!r} is not a directory.",
            code="NOT_A_DIRECTORY",
            hint="Name the directory of a project, or leave --dir out to install for yourself.",
            field="--dir",
        )
    base = None if directory is None else directory.absolute()
    return [Place(name, _folder(agent, directory) / NAME / "SKILL.md", base) for name, agent in AGENTS.items()]


def _folder(agent: Agent, directory: Path | None) -> Path:
    if directory is not None:
        return directory.absolute() / agent.project
    moved = os.environ.get(agent.variable, "").strip() if agent.variable else ""
    return Path(moved).absolute() / agent.below if moved else home(agent.variable) / agent.home / "skills"


def overview(directory: Path | None = None) -> dict[str, Any]:
    """{path, version, sha256, skills: [place]}: the file that is installed, and what each agent has of it. No change."""
    skills = [place.shown(place.status()) for place in places(directory)]
    return {
        "path": str(source()),
        "version": __version__,
        "sha256": _digest(source().read_bytes()),
        "skills": skills,
    }


def install(
    agents: Sequence[str], *, everywhere: bool = False, directory: Path | None = None, force: bool = False
) -> tuple[dict[str, Any], bool]:
    """Put the skill where the named agents look, or all: ({version, skills: [place], hint?}, whether all have it).

    `status` is installed, updated, current, or edited: what somebody changed is left alone unless `force`. Raises UsageError
    for an unknown agent, none, or both names and `everywhere`; EnvironmentFault for a file that cannot be written.
    """
    if bool(agents) == everywhere:
        problem = "Names and --all exclude each other." if everywhere else "Name the agent."
        raise UsageError(
            problem, hint=f"{advice.command('skill', 'install', '|'.join(AGENTS))}, or run402 skill install --all"
        )
    for name in agents:
        if name not in AGENTS:
            near = closest(name, AGENTS)
            raise UsageError(
                f"Unknown agent {name!r}.{did_you_mean(near)}",
                hint=f"One of {', '.join(AGENTS)}.",
                details={"agent": name, "closest": near, "allowed": list(AGENTS)},
            )
    chosen = [place for place in places(directory) if everywhere or place.agent in agents]
    return _bring(chosen, force=force)


def update(*, directory: Path | None = None, force: bool = False) -> tuple[dict[str, Any], bool]:
    """Bring every installed skill to this version, and no other: result and errors as for `install`."""
    return _bring([place for place in places(directory) if place.status() != "absent"], force=force)


def _bring(chosen: list[Place], *, force: bool) -> tuple[dict[str, Any], bool]:
    found = [(place, place.status()) for place in chosen]
    due = [place for place, status in found if status in ("absent", "outdated") or (status == "edited" and force)]
    for place in due:
        if place.base is not None:
            work_tree.require_own(place.base, place.path.parent)
    if due:
        global_options.about_to_write(*(place.path for place in due))
    done = []
    for place, status in found:
        if place in due:
            _write(place)
            status = "installed" if status == "absent" else "updated"
        done.append(place.shown(status))
    result: dict[str, Any] = {"version": __version__, "skills": done}
    complete = all(each["status"] != "edited" for each in done)
    if not complete:
        result["hint"] = "Files marked edited were changed by somebody and left alone. --force replaces them."
    return result, complete


def _write(place: Place) -> None:
    """The file first: a crash before the record is written leaves a file that equals ours, which counts as current."""
    content = source().read_bytes()
    try:
        base = place.base
        if base is None:
            base = place.path.parent
            base.mkdir(parents=True, exist_ok=True)
        work_tree.write(base, place.path, content)
        record = f'{{"version": "{__version__}", "sha256": "{_digest(content)}"}}\n'
        work_tree.write(base, place.record, record.encode())
    except OSError as exc:
        raise _refused(place.path, exc, "write") from exc


def _digest(content: bytes) -> str:
    """SHA-256 of the text; a version control system that changes line endings has edited nothing."""
    return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()


def _refused(path: Path, exc: OSError, verb: str) -> EnvironmentFault:
    return EnvironmentFault(
        f"Cannot {verb} {path}: {exc.strerror or exc}.",
        hint="Check the permissions and free space of that directory, or install into a project: --dir <directory>",
        details={"path": str(path)},
    )
