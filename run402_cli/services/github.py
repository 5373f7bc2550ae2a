"""What git and GitHub know about the repository of the current directory. See docs/ci.md, "Link"."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

from run402_cli import global_options
from run402_cli.client import Client, parse_body, segment, transport
from run402_cli.client.http import httpx
from run402_cli.errors import CommandError

API = "https://api.github.com"

_ORIGIN = re.compile(r"(?:git@github\.com:|https://github\.com/|ssh://git@github\.com/)([^/]+/.+)")
_GIT_SECONDS = 10
_LOOKUP_SECONDS = 20.0


def origin_repository() -> str | None:
    """OWNER/REPO of the remote `origin` when that is on github.com, else None."""
    url = git("remote", "get-url", "origin")
    match = _ORIGIN.fullmatch(url.removesuffix(".git")) if url else None
    return match[1] if match else None


def current_branch() -> str | None:
    """The branch that is checked out; None for a detached HEAD and outside of a repository."""
    return git("branch", "--show-current") or None


def git(*args: str) -> str | None:
    """What git prints; None when it cannot be run, fails, or takes too long."""
    program = shutil.which("git")
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, *args],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_GIT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def repository_id(client: Client, repository: str) -> str:
    """GET api.github.com/repos/{owner}/{repo} -> its numeric id in decimal; GITHUB_TOKEN or GH_TOKEN goes along.

    Raises CommandError GITHUB_REPOSITORY_ID_REQUIRED when GitHub gives none. docs/ci.md
    """
    owner, _, name = repository.partition("/")
    headers = {"Accept": "application/vnd.github+json", "User-Agent": "run402-cli"}
    token = os.environ.get("GITHUB_TOKEN") or os.environ.get("GH_TOKEN")
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        response = client.http.get(
            f"{API}/repos/{segment(owner)}/{segment(name)}",
            headers=headers,
            timeout=global_options.current.http_timeout or _LOOKUP_SECONDS,
        )
    except httpx.LocalProtocolError:
        # Its text would repeat the token.
        raise _unknown_id(repository, "the GitHub token holds a character that HTTP cannot carry") from None
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        raise _unknown_id(repository, f"GitHub cannot be reached: {transport.reason(exc)}") from exc
    body = parse_body(response) if response.is_success else None
    number = body.get("id") if isinstance(body, dict) else None
    if isinstance(number, int) and not isinstance(number, bool):
        return str(number)
    raise _unknown_id(repository, f"GitHub answered HTTP {response.status_code} without an id")


def _unknown_id(repository: str, reason: str) -> CommandError:
    return CommandError(
        f"The id of the GitHub repository {repository} is not known: {reason}.",
        code="GITHUB_REPOSITORY_ID_REQUIRED",
        hint="For a private repository set GITHUB_TOKEN and run this again, or pass --repository-id <id>. "
        f"The id: gh api repos/{repository} --jq .id",
        details={"repo": repository},
    )
