"""run402 cdn: whether public asset URLs serve what they should."""

from __future__ import annotations

import os
import re
from typing import Annotated

import typer

from run402_cli import advice, output
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._options import integer, resolve_project
from run402_cli.errors import FlagError, UsageError, Verdict
from run402_cli.services import cdn
from run402_cli.services.terminal import TerminalClient

app = CommandGroup()

_USAGE = "run402 cdn wait-fresh <url> --sha <64 hex digits>"
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@app.command(
    "wait-fresh",
    summary="Wait until a URL serves the content with a SHA-256.",
    effect="read",
    auth="service_key",
    needed="--sha",
    example='run402 cdn wait-fresh https://app.run402.com/_blob/logo.png --sha "$SHA"',
)
def wait_fresh(
    words: Annotated[list[str] | None, typer.Argument(metavar="URL", show_default=False)] = None,
    sha: Annotated[
        str | None, typer.Option("--sha", metavar="SHA256", help="The content to wait for: 64 hex digits.")
    ] = None,
    timeout: Annotated[str, typer.Option("--timeout", metavar="SECONDS", help="How long to wait.")] = "60",
    project: Annotated[
        str | None,
        typer.Option(
            "--project",
            metavar="ID",
            help="Project id. Default: RUN402_PROJECT, RUN402_PROJECT_ID, then the active project.",
        ),
    ] = None,
) -> None:
    """Wait until a mutable asset URL serves the content with this SHA-256.

    One place of the network looks; looking may itself fill the cache there. Immutable URLs never need this.
    """
    seconds = integer("--timeout", timeout)
    assert seconds is not None
    given = words or []
    if len(given) > 1:
        raise UsageError(f"Unexpected argument {given[1]!r}.", hint=_USAGE)
    with TerminalClient() as client:
        flag = project if project is not None else os.environ.get("RUN402_PROJECT") or None
        project_id = resolve_project(client.profile, flag)
        if not given:
            raise UsageError("The URL is missing.", hint=_USAGE)
        if not sha:
            raise UsageError("--sha is missing.", hint=_USAGE)
        if not _SHA256.fullmatch(sha):
            raise FlagError("--sha must be 64 hex digits.", hint=_USAGE, details={"flag": "--sha", "value": sha})
        result = cdn.wait_fresh(client, project_id, given[0], sha256=sha.lower(), timeout_s=seconds)
    output.emit(result)
    if not result["fresh"]:
        seen = (result.get("lastError") or {}).get("message") or f"It serves {result['observedSha256'] or 'nothing'}."
        raise Verdict(
            1, f"{given[0]} does not serve {sha.lower()}. {seen}", advice.command("assets", "diagnose", given[0])
        )
