"""run402 jobs: platform-managed jobs and the files that they make."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from run402_cli import advice, output, standard_input
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._options import (
    OverwriteOpt,
    ProjectOpt,
    decode_text,
    instant,
    integer,
    load_json,
    read_file,
    resolve_project,
)
from run402_cli.errors import CommandError, UsageError
from run402_cli.services import instants, jobs
from run402_cli.services.terminal import TerminalClient
from run402_cli.state.profile import current

app = CommandGroup()

JobWord = Annotated[str | None, typer.Argument(metavar="JOB_ID", show_default=False)]


def _job(job_id: str | None, what: str) -> str:
    if not job_id:
        raise UsageError("The job id is missing.", hint=advice.command("jobs", *what.split(), advice.Blank("job_id")))
    return job_id


@app.command(
    "submit",
    summary="Submit a job.",
    effect="write",
    auth="service_key",
    example=["run402 jobs submit --file job.json | jq -r .job_id", "run402 jobs submit --stdin < job.json"],
)
def submit(
    file: Annotated[
        str | None, typer.Option("--file", metavar="PATH", help="JSON file with the job; - is standard input.")
    ] = None,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read the job from standard input.")] = False,
    project: ProjectOpt = None,
) -> None:
    """Submit a job: {"job_type": ..., "input": {"input_json": {...}}, "max_cost_usd_micros": ...}.

    Every call submits a new job, which may cost up to max_cost_usd_micros (millionths of a US dollar).
    """
    project_id = resolve_project(current(), project)
    if (file is not None) == stdin:
        problem = "Give --file or --stdin, not both." if stdin else "No job is given."
        raise UsageError(problem, hint="run402 jobs submit --file job.json")
    from_stdin = file is None or file == "-"
    source = "stdin" if from_stdin else str(file)
    data = _stdin() if from_stdin else read_file("--file", source)
    body = jobs.request_body(_document(data, source), source=source)
    with TerminalClient() as client:
        output.emit(jobs.submit(client, project_id, body))


def _stdin() -> bytes:
    data = b"" if standard_input.is_terminal() else standard_input.read("the job", "Or pass --file <path>.")
    if not data:
        raise UsageError("Standard input is a terminal or empty.", hint="run402 jobs submit --stdin < job.json")
    return data


def _document(data: bytes, source: str) -> Any:
    text = decode_text("--file", source, data)
    try:
        return load_json(text)
    except (ValueError, RecursionError) as exc:
        raise CommandError(
            f"The job in {source} is not valid JSON: {exc}.",
            code="BAD_JSON",
            hint="Nothing was sent. Correct the file and run the command again.",
            details={"source": source, "parse_error": str(exc)},
        ) from exc


@app.command(
    "get", summary="Show one job.", effect="read", auth="service_key", example="run402 jobs get job_123 | jq .status"
)
def get(job_id: JobWord = None, project: ProjectOpt = None) -> None:
    """Show one job: status, times, artifacts, cost (millionths of a US dollar), error."""
    project_id = resolve_project(current(), project)
    checked = _job(job_id, "get")
    with TerminalClient() as client:
        output.emit(jobs.get(client, project_id, checked))


@app.command(
    "logs",
    summary="What the job's runner wrote.",
    effect="read",
    auth="service_key",
    example="run402 jobs logs job_123 --tail 200",
)
def logs(
    job_id: JobWord = None,
    tail: Annotated[
        str | None, typer.Option("--tail", metavar="N", help="The last N entries, 1 to 1000. Default: the server's.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="2026-03-15T12:00:00Z, milliseconds since 1970, or a span: 1h."),
    ] = None,
    project: ProjectOpt = None,
) -> None:
    """Show what the job's runner wrote."""
    project_id = resolve_project(current(), project)
    checked = _job(job_id, "logs")
    count = integer("--tail", tail, high=jobs.MAX_TAIL)
    with TerminalClient() as client:
        output.emit(jobs.logs(client, project_id, checked, tail=count, since=_since(since)))


def _since(text: str | None) -> str | None:
    moment = instants.epoch_ms(instant("--since", text) or "")
    return None if moment is None else instants.iso(moment)


@app.command("cancel", effect="destructive", auth="service_key", example="run402 jobs cancel job_123")
def cancel(job_id: JobWord = None, project: ProjectOpt = None) -> None:
    """Cancel a queued or running job."""
    project_id = resolve_project(current(), project)
    checked = _job(job_id, "cancel")
    with TerminalClient() as client:
        output.emit(jobs.cancel(client, project_id, checked))


@app.command(
    "purge",
    summary="Delete every job record of the project.",
    effect="destructive",
    auth="service_key",
    example="run402 jobs purge --project prj_123",
)
def purge(project: ProjectOpt = None) -> None:
    """Delete every job record of the project; running jobs are ended first. There is no confirmation."""
    project_id = resolve_project(current(), project)
    with TerminalClient() as client:
        output.emit(jobs.purge(client, project_id))


@app.command(
    "artifacts get",
    effect="write",
    auth="service_key",
    needed="--output",
    example="run402 jobs artifacts get job_123 --file result.json --output ./result.json",
)
def artifacts_get(
    words: Annotated[list[str] | None, typer.Argument(metavar="JOB_ID", show_default=False)] = None,
    file: Annotated[
        str | None, typer.Option("--file", metavar="NAME", help="The artifact: a key of `artifacts` in jobs get.")
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="PATH", help="Where to save it."),
    ] = None,
    overwrite: OverwriteOpt = False,
    project: ProjectOpt = None,
) -> None:
    """Save one output file of a completed job."""
    project_id = resolve_project(current(), project)
    given = list(words or [])
    usage = "run402 jobs artifacts get <job_id> --file <name> --output <path>"
    if len(given) < (2 if file is None else 1):
        raise UsageError("The job id or the name of the artifact is missing.", hint=usage)
    if len(given) > (2 if file is None else 1):
        raise UsageError(f"Unexpected argument {given[-1]!r}.", hint=usage)
    name = given[1] if file is None else file
    if not target:
        raise UsageError("--output is missing.", hint=usage)
    with TerminalClient() as client:
        path = Path(target).absolute()
        output.emit(jobs.fetch_artifact(client, project_id, given[0], name, path, overwrite=overwrite), compact=True)
