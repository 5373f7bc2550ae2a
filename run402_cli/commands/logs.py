"""run402 logs: the log entries of one request, across functions."""

from __future__ import annotations

import os
import re
from typing import Annotated

import click
import typer

from run402_cli import output
from run402_cli.commands._command import CommandGroup
from run402_cli.errors import UsageError
from run402_cli.services import logs as logs_service
from run402_cli.services.terminal import TerminalClient

app = CommandGroup()

_REQUEST_ID = re.compile(r"req_[A-Za-z0-9_-]{4,128}")
_TAIL = re.compile(r"\d{1,4}", re.ASCII)
_MAX_TAIL = 1000


@app.command(
    "logs",
    effect="read",
    auth="service_key",
    needed="--request-id",
    example="run402 logs --request-id req_abc123 --project prj_123 | jq -r '.entries[].message'",
)
def logs(
    request_id: Annotated[
        str | None, typer.Option("--request-id", metavar="ID", help="req_..., as a failed call reports it.")
    ] = None,
    function: Annotated[
        str | None, typer.Option("--function", metavar="NAME", help="Look into one function. Default: all.")
    ] = None,
    project: Annotated[
        str | None,
        typer.Option("--project", metavar="ID", help="Project id. Default: RUN402_PROJECT_ID; not the active project."),
    ] = None,
    tail: Annotated[
        str | None, typer.Option("--tail", metavar="N", help="The last N entries of each function, 1 to 1000 (100).")
    ] = None,
) -> None:
    """Collect what the functions of a project logged for one request, in order of time.

    Functions whose logs cannot be read are listed in `errors`, and `ok` is false.
    """
    if (request_id, function, project, tail) == (None, None, None, None):
        output.emit_text(click.get_current_context().get_help())
        return
    usage = "run402 logs --request-id req_... --project <id>"
    if not request_id:
        raise UsageError("--request-id is missing.", hint=usage)
    if not _REQUEST_ID.fullmatch(request_id):
        raise UsageError(
            f"--request-id {request_id!r} is not a request id: req_ and 4 to 128 letters, digits, _ or -.",
            hint="It is in the X-Run402-Request-Id header of the answer, and in request_id of its error.",
            details={"flag": "--request-id", "value": request_id},
        )
    project_id = project or os.environ.get("RUN402_PROJECT_ID")
    if not project_id:
        raise UsageError("No project is named.", hint=f"{usage}, or set RUN402_PROJECT_ID. The active one is not used.")
    count = _count(tail)
    with TerminalClient() as client:
        output.emit(logs_service.of_request(client, project_id, request_id, function=function, tail=count))


def _count(text: str | None) -> int:
    if text is None:
        return 100
    if not _TAIL.fullmatch(text) or not 1 <= int(text) <= _MAX_TAIL:
        raise UsageError(
            f"--tail takes a whole number from 1 to {_MAX_TAIL}, not {text!r}.",
            details={"flag": "--tail", "value": text},
        )
    return int(text)
