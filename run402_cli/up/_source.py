"""Where the app is: an existing directory, or a repository that is cloned into a temporary one."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from run402_cli import secrecy
from run402_cli.errors import ValidationError
from run402_cli.services.github import git
from run402_cli.up._steps import StepLog

_REPOSITORY = re.compile(r"(?:https?|ssh|file)://|git@[^:/]+:")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Source:
    """`workspace` is an absolute directory; `repo_url` is set when it is a temporary checkout of that repository."""

    workspace: Path
    repo_url: str | None
    commit: str | None


def is_repository(word: str) -> bool:
    """Whether the word is the address of a repository."""
    return _REPOSITORY.match(word) is not None


@contextlib.contextmanager
def open_source(word: str, log: StepLog) -> Iterator[Source]:
    """Step app.source.resolve; a checkout is removed at the end in every case.

    Raises ValidationError RUN402_SOURCE_INVALID (no such directory) or RUN402_SOURCE_RESOLVE_FAILED (git failed).
    """
    if not is_repository(word):
        yield _directory(word, log)
        return
    shown = _without_credentials(word)
    step = log.start("app.source.resolve", source=shown)
    with tempfile.TemporaryDirectory(prefix="run402-app-source-", ignore_cleanup_errors=True) as folder:
        checkout = Path(folder).resolve() / "checkout"
        _clone(word, shown, checkout)
        source = Source(checkout, shown, head_commit(checkout))
        step.to("succeeded", kind="repo", repo_url=shown, commit=source.commit, checkout=str(checkout))
        yield source


def _directory(word: str, log: StepLog) -> Source:
    shown = secrecy.without_shapes(word)
    step = log.start("app.source.resolve", source=shown)
    path = Path(os.path.abspath(word))  # noqa: PTH100 - a symlinked workspace keeps the name that the user gave it
    if not path.is_dir():
        where = ", nor is that an address of a repository" if "://" in word else f" (looked at {path})"
        raise ValidationError(
            f"There is no directory {shown!r}{where}. Name the app's directory: run402 up <directory>",
            code="RUN402_SOURCE_INVALID",
            details={"source": shown, **({} if "://" in word else {"resolved_path": str(path)})},
        )
    source = Source(path, None, head_commit(path))
    step.to("succeeded", kind="local", path=str(path), commit=source.commit)
    return source


def _clone(url: str, shown: str, checkout: Path) -> None:
    failure: str | None = None
    try:
        done = subprocess.run(
            ["git", "clone", "--quiet", "--depth", "1", "--", url, str(checkout)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},
        )
    except OSError as exc:
        failure = f"git cannot be run: {exc.strerror or exc}"
    else:
        if done.returncode != 0:
            said = secrecy.without_shapes(done.stderr.strip().replace(url, shown))
            failure = said or f"git exited with {done.returncode}"
    if failure is not None:
        raise ValidationError(
            f"Cannot fetch {shown}: {failure}. Clone it yourself and run: run402 up <directory>",
            code="RUN402_SOURCE_RESOLVE_FAILED",
            details={"source": shown, "error": failure},
        )


def head_commit(path: Path) -> str | None:
    """The commit that is checked out in a directory, 40 hex digits, or None."""
    commit = git("-C", str(path), "rev-parse", "--verify", "HEAD")
    return commit if commit and _COMMIT.fullmatch(commit) else None


def _without_credentials(url: str) -> str:
    """The URL as it may be shown: without a password or token before the @, and without what stands behind the path."""
    shown = secrecy.without_shapes(url)
    return re.split(r"[?#]", shown, maxsplit=1)[0] if "://" in shown else shown
