"""run402 functions: deploy, call, inspect and run serverless functions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from run402_cli import advice, as_typed, exact_json, global_options, output
from run402_cli.client import Client
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._deploy import this_command
from run402_cli.commands._options import (
    OverwriteOpt,
    ProjectOpt,
    instant,
    integer,
    load_json,
    read_text_file,
    take_project,
)
from run402_cli.errors import CommandError, FlagError, Interrupted, UsageError
from run402_cli.services import function_runs, functions, instants
from run402_cli.services.output_file import require_free
from run402_cli.services.terminal import TerminalClient
from run402_cli.state.profile import current

app = CommandGroup()

NameWord = Annotated[list[str] | None, typer.Argument(metavar="NAME", show_default=False)]
RunWord = Annotated[list[str] | None, typer.Argument(metavar="RUN_ID", show_default=False)]
ProjectWord = Annotated[list[str] | None, typer.Argument(hidden=True)]  # an older form of --project
TimeoutOpt = Annotated[str | None, typer.Option("--timeout", metavar="SECONDS", help="How long a call may take.")]
MemoryOpt = Annotated[str | None, typer.Option("--memory", metavar="MB", help="Memory of the function.")]
TailOpt = Annotated[str | None, typer.Option("--tail", metavar="N", help="The last N entries, 1 to 1000. Default: 50.")]
SinceOpt = Annotated[
    str | None,
    typer.Option("--since", metavar="TIME", help="2026-03-15T12:00:00Z, milliseconds since 1970, or a span: 1h."),
]
WaitOpt = Annotated[bool, typer.Option("--wait", help="Wait until the run has ended.")]
TimeoutMsOpt = Annotated[
    str | None, typer.Option("--timeout-ms", metavar="MS", help="With --wait: give up after this. Default: 300000.")
]
PollOpt = Annotated[
    str | None,
    typer.Option("--poll-interval-ms", metavar="MS", help="With --wait: pause between looks. Default: 1000."),
]
PresetOpt = Annotated[
    str | None, typer.Option("--retry-preset", metavar="NAME", help="How failed attempts are repeated: standard.")
]
AttemptsOpt = Annotated[str | None, typer.Option("--max-attempts", metavar="N", help="Attempts at most.")]

_REQUEST_ID = re.compile(r"(req|fnrun|fnatt)_[A-Za-z0-9_-]{4,128}")
_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PREVIEW = 48


def _words(words: list[str] | None, project: str | None) -> tuple[str, list[str]]:
    return take_project(current(), project, words or [])


def _only(words: list[str], what: str, usage: str) -> str:
    if not words or not words[0]:
        raise UsageError(f"The {what} is missing.", hint=usage)
    _no_more(words[1:])
    return words[0]


def _no_more(words: list[str]) -> None:
    if words:
        raise UsageError(
            f"Unexpected argument {words[0]!r}.",
            hint="Add --help to the command to see its arguments.",
            details={"argument": words[0]},
        )


def _tail(text: str | None) -> int:
    return integer("--tail", text, high=functions.MAX_TAIL) or 50


def _wait(wait: bool, timeout_ms: str | None, interval_ms: str | None) -> function_runs.Wait | None:
    timeout = integer("--timeout-ms", timeout_ms)
    interval = integer("--poll-interval-ms", interval_ms, low=0)
    if not wait:
        return None
    defaults = function_runs.Wait()
    return function_runs.Wait(
        defaults.timeout_ms if timeout is None else timeout, defaults.interval_ms if interval is None else interval
    )


def _header_text(flag: str, value: str | None) -> str | None:
    if value is not None and not (value.isascii() and value.isprintable()):
        raise FlagError(
            f"{flag} is sent as an HTTP header and must be printable ASCII.", details={"flag": flag, "value": value}
        )
    return value


# -- deploy and change --------------------------------------------------------------------------------------------------


@app.command(
    "deploy",
    summary="Add or replace one function.",
    effect="write",
    auth=("principal", "anon_key"),
    spends=True,
    needed="--file",
    example=[
        "run402 functions deploy hello --file hello.ts | jq -r .url",
        "run402 functions deploy report --file report.js --deps zod@3,date-fns --schedule '0 6 * * *'",
    ],
)
def deploy(
    words: NameWord = None,
    file: Annotated[
        str | None,
        typer.Option("--file", metavar="PATH", help="JavaScript or TypeScript source, one file; - is stdin."),
    ] = None,
    timeout: TimeoutOpt = None,
    memory: MemoryOpt = None,
    deps: Annotated[
        str | None,
        typer.Option("--deps", metavar="LIST", help="npm packages: name, name@version, separated by commas."),
    ] = None,
    schedule: Annotated[
        str | None, typer.Option("--schedule", metavar="CRON", help="Five-field cron; empty removes the schedule.")
    ] = None,
    project: ProjectOpt = None,
) -> None:
    """Add or replace one function; all other functions stay as they are.

    The source's default export is the handler: async (req: Request) => Response.
    """
    project_id, rest = _words(words, project)
    name = _only(rest, "name of the function", "run402 functions deploy <name> --file <file>")
    seconds, megabytes = integer("--timeout", timeout), integer("--memory", memory)
    packages = _deps(deps)
    if file is None:
        raise UsageError(
            "--file is missing.", hint=advice.command("functions", "deploy", name, "--file", advice.Blank("file"))
        )
    source = read_text_file("--file", file)
    patch = functions.release_patch(name, source, timeout=seconds, memory=megabytes, deps=packages, schedule=schedule)
    with TerminalClient() as client:
        client.profile.keys.require(project_id)
        release = _release(client, project_id, patch)
        output.emit(functions.deployed(client, name, release, timeout=seconds, memory=megabytes, schedule=schedule))


def _deps(text: str | None) -> list[str]:
    packages = [] if text is None else [part.strip() for part in text.split(",")]
    if not all(packages):
        raise UsageError(
            "--deps has an empty entry.",
            hint="Separate the packages by single commas: --deps zod@3,date-fns",
            details={"flag": "--deps", "value": text},
        )
    return packages


def _release(client: Client, project_id: str, patch: dict[str, Any]) -> dict[str, Any]:
    from run402_cli import deploy as engine

    return engine.patch_functions(client, project_id, patch, command=this_command("run402 functions deploy"))


@app.command(
    "update",
    summary="Change schedule, timeout or memory.",
    effect="write",
    auth="service_key",
    example="run402 functions update hello --timeout 20 --schedule '*/15 * * * *'",
)
def update(
    words: NameWord = None,
    schedule: Annotated[
        str | None, typer.Option("--schedule", metavar="CRON", help="Five-field cron; empty removes the schedule.")
    ] = None,
    schedule_remove: Annotated[bool, typer.Option("--schedule-remove", help="Remove the schedule.")] = False,
    timeout: TimeoutOpt = None,
    memory: MemoryOpt = None,
    project: ProjectOpt = None,
) -> None:
    """Change schedule, timeout or memory of a function without new code."""
    project_id, rest = _words(words, project)
    usage = "run402 functions update <name> --timeout 20"
    name = _only(rest, "name of the function", usage)
    seconds, megabytes = integer("--timeout", timeout), integer("--memory", memory)
    if schedule is not None and schedule_remove:
        raise UsageError(
            "--schedule and --schedule-remove exclude each other.",
            hint="Keep one of them.",
            details={"flags": ["--schedule", "--schedule-remove"]},
        )
    if schedule is None and not schedule_remove and seconds is None and megabytes is None:
        raise UsageError("Nothing is to be changed.", hint=f"Give --schedule, --timeout or --memory: {usage}")
    cron = "" if schedule_remove else schedule
    with TerminalClient() as client:
        output.emit(functions.update(client, project_id, name, schedule=cron, timeout=seconds, memory=megabytes))


@app.command(
    "rebuild",
    summary="Bundle stored source on the current runtime.",
    effect="write",
    auth="principal",
    example=["run402 functions rebuild hello", "run402 functions rebuild --all"],
)
def rebuild(
    words: NameWord = None,
    everything: Annotated[bool, typer.Option("--all", help="Every function of the project.")] = False,
    project: ProjectOpt = None,
) -> None:
    """Bundle the stored source of a function, or of all, on the current platform runtime. Needs the project's owner."""
    project_id, rest = _words(words, project)
    _no_more(rest[1:])
    if bool(rest) == everything:
        problem = "Give a name or --all, not both." if everything else "The name of the function is missing."
        raise UsageError(problem, hint="run402 functions rebuild <name>, or run402 functions rebuild --all")
    with TerminalClient() as client:
        if everything:
            output.emit(functions.rebuild_all(client, project_id))
        else:
            output.emit(functions.rebuild(client, project_id, rest[0]))


@app.command(
    "list",
    summary="List deployed functions.",
    effect="read",
    auth="service_key",
    example="run402 functions list | jq -r '.functions[].name'",
)
def list_(words: ProjectWord = None, project: ProjectOpt = None) -> None:
    """List the deployed functions: address, runtime, limits, schedule, resolved dependencies."""
    project_id, rest = _words(words, project)
    _no_more(rest)
    with TerminalClient() as client:
        output.emit(functions.list_functions(client, project_id))


@app.command("delete", effect="destructive", auth="service_key", example="run402 functions delete hello")
def delete(words: NameWord = None, project: ProjectOpt = None) -> None:
    """Remove a function. There is no confirmation."""
    project_id, rest = _words(words, project)
    name = _only(rest, "name of the function", "run402 functions delete <name>")
    with TerminalClient() as client:
        output.emit(functions.delete(client, project_id, name), compact=True)


# -- call and read ------------------------------------------------------------------------------------------------------


@app.command(
    "invoke",
    summary="Call a function.",
    effect="write",
    auth=("service_key", "principal"),
    spends=True,
    passes_on=True,
    example=[
        'run402 functions invoke hello --body \'{"name":"Ada"}\' | jq .body',
        "run402 functions invoke hello --method GET --raw",
    ],
)
def invoke(
    words: NameWord = None,
    method: Annotated[str, typer.Option("--method", metavar="METHOD", help="HTTP method.")] = "POST",
    body: Annotated[str | None, typer.Option("--body", metavar="JSON", help="Request body.")] = None,
    body_file: Annotated[
        str | None, typer.Option("--body-file", metavar="PATH", help="Request body from a JSON file; - is stdin.")
    ] = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option("--idempotency-key", metavar="KEY", help="Names this call: repeat it with the same key."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="When the answer is a run (202): wait for its end.")] = False,
    timeout_ms: TimeoutMsOpt = None,
    poll_interval_ms: PollOpt = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Print the body of the answer as it came, and nothing else.")
    ] = False,
    output_file: Annotated[
        str | None, typer.Option("--output", metavar="FILE", help="Write the body of the answer there, byte for byte.")
    ] = None,
    overwrite: OverwriteOpt = False,
    project: ProjectOpt = None,
) -> None:
    """Call a function with the project's service key: {http_status, body, duration_ms}."""
    project_id, rest = _words(words, project)
    name = _only(rest, "name of the function", "run402 functions invoke <name> --body <json>")
    waiting = _wait(wait, timeout_ms, poll_interval_ms)
    if not _METHOD.fullmatch(method):
        raise FlagError(f"{method!r} is not an HTTP method.", details={"flag": "--method", "value": method})
    key = _header_text("--idempotency-key", idempotency_key)
    text = _body(body, body_file)
    if output_file is not None:
        require_free(Path(output_file), overwrite=overwrite)
    as_it_came = output_file is not None or (raw and not global_options.current.reshapes)
    with TerminalClient() as client:
        result = functions.invoke(
            client, project_id, name, method=method, body=text, idempotency_key=key, wait=waiting, raw=as_it_came
        )
    if output_file is not None:
        output.emit(functions.save_body(result, Path(output_file), overwrite=overwrite), compact=True)
    elif as_it_came:
        output.emit_bytes(result["body"])
    else:
        output.emit(result["body"] if raw else result)


def _body(inline: str | None, file: str | None) -> str | None:
    if inline is not None and file is not None:
        raise CommandError(
            "--body and --body-file both give the body.",
            code="FUNCTION_BODY_SOURCE_CONFLICT",
            hint="Keep one of them.",
            details={"flags": ["--body", "--body-file"]},
        )
    flag = "--body" if file is None else "--body-file"
    text = inline if file is None else read_text_file(flag, file)
    if text is not None:
        _check_json(flag, text)
    return text


def _from_a_file(flag: str, text: str) -> tuple[str, ...]:
    """The call as typed with its body from a file: the one that `@file` names, as in other tools, or one to be written."""
    file = text[1:] if flag == "--body" and text.startswith("@") and len(text) > 1 else advice.Blank("body.json")
    words = as_typed.again(without=(flag, text, f"{flag}={text}"))
    return (*(words or ("functions", "invoke", advice.Blank("name"))), "--body-file", file)


def _check_json(flag: str, text: str) -> None:
    try:
        exact_json.loads(text)  # sent as it is: what it means is the function's own affair
        text.encode()
    except (ValueError, RecursionError) as exc:
        raise CommandError(
            f"{flag} is not valid JSON: {exc}.",
            code="FUNCTION_BODY_INVALID_JSON",
            hint="Nothing was sent. A file avoids the quoting rules of the shell.",
            details={"flag": flag, "value_preview": text[:_PREVIEW], "parse_error": str(exc)},
            next_actions=[advice.run(*_from_a_file(flag, text))],
        ) from exc


@app.command(
    "logs",
    summary="Recent log entries, or follow them.",
    effect="read",
    auth="service_key",
    example=["run402 functions logs hello --tail 100", "run402 functions logs hello --follow | jq -r .message"],
)
def logs(
    words: NameWord = None,
    tail: TailOpt = None,
    since: SinceOpt = None,
    request_id: Annotated[
        str | None,
        typer.Option(
            "--request-id", metavar="ID", help="Entries of one request (req_), run (fnrun_) or attempt (fnatt_)."
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Print entries as they appear, one a line, until Ctrl-C.")
    ] = False,
    project: ProjectOpt = None,
) -> None:
    """Show recent log entries of a function, or follow them.

    --follow goes on through lost connections and restarts of the gateway, until Ctrl-C or SIGTERM.
    """
    project_id, rest = _words(words, project)
    name = _only(rest, "name of the function", "run402 functions logs <name>")
    count = _tail(tail)
    moment = _since(since)
    if request_id is not None and not _REQUEST_ID.fullmatch(request_id):
        raise UsageError(
            f"--request-id {request_id!r} is not a request id.",
            hint="It starts with req_, fnrun_ or fnatt_; a failed call reports it.",
            details={
                "flag": "--request-id",
                "value": request_id,
                "expected": "req_, fnrun_ or fnatt_, then 4 to 128 letters, digits, _ or -",
            },
        )
    with TerminalClient() as client:
        if follow:
            _follow(client, project_id, name, tail=count, since=moment, request_id=request_id)
        else:
            output.emit(functions.logs(client, project_id, name, tail=count, since=moment, request_id=request_id))


def _follow(
    client: Client, project_id: str, name: str, *, tail: int, since: int | None, request_id: str | None
) -> None:
    try:
        for entry in functions.follow(
            client, project_id, name, tail=tail, since=since, request_id=request_id, note=output.notice
        ):
            output.emit_line(entry)
    except (Interrupted, KeyboardInterrupt):
        return  # this is how following ends


def _typed(flag: str, text: str | None) -> str | None:
    """A time for the routes of runs, which take milliseconds as they are typed."""
    checked = instant(flag, text)
    return text if text is not None and text.isdecimal() else checked


def _since(text: str | None) -> int | None:
    moment = instant("--since", text)
    return None if moment is None else instants.epoch_ms(moment)


# -- runs ---------------------------------------------------------------------------------------------------------------


@app.command("runs", example="run402 functions runs list hello", hidden=True)
def runs(words: Annotated[list[str] | None, typer.Argument(hidden=True)] = None) -> None:
    """Durable runs: create, list, get, logs, cancel, redrive. Each has its own --help."""
    from run402_cli.registry import GROUPS

    known = {path.split()[1]: text for path, text in GROUPS["functions"].commands.items() if path.startswith("runs ")}
    if words:
        raise UsageError(
            f"Unknown action {words[0]!r} of functions runs.",
            hint=f"Use one of: {', '.join(known)}",
            details={"action": words[0], "known_actions": sorted(known)},
        )
    rows = [f"  {name:<9}{text}" for name, text in known.items()]
    output.emit_text("\n".join(("Usage: run402 functions runs <action> [arguments]", "", *rows)))


@app.command(
    "runs create",
    summary="Create a durable run.",
    effect="write",
    auth="service_key",
    needed=("--event-type", "--idempotency-key"),
    example=[
        "run402 functions runs create report --event-type report.daily --idempotency-key report-2026-03-15",
        "run402 functions runs create report --event-type e --idempotency-key k --delay 5m --max-attempts 3 --wait",
    ],
)
def runs_create(
    words: NameWord = None,
    event_type: Annotated[
        str | None, typer.Option("--event-type", metavar="TYPE", help="What the run is about.")
    ] = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option("--idempotency-key", metavar="KEY", help="Names the intent: the same key is the same run."),
    ] = None,
    payload_json: Annotated[
        str | None, typer.Option("--payload-json", metavar="JSON", help="Object that the function receives.")
    ] = None,
    delay: Annotated[str | None, typer.Option("--delay", metavar="DURATION", help="Start later: 90s, 5m, 2h.")] = None,
    run_at: Annotated[str | None, typer.Option("--run-at", metavar="TIME", help="Start at this time.")] = None,
    expires_at: Annotated[
        str | None, typer.Option("--expires-at", metavar="TIME", help="Do not start after this time.")
    ] = None,
    expires_after: Annotated[
        str | None, typer.Option("--expires-after", metavar="DURATION", help="The same, counted from now.")
    ] = None,
    retry_preset: PresetOpt = None,
    max_attempts: AttemptsOpt = None,
    wait: WaitOpt = False,
    timeout_ms: TimeoutMsOpt = None,
    poll_interval_ms: PollOpt = None,
    project: ProjectOpt = None,
) -> None:
    """Create a durable run: the gateway calls the function, now or later, and repeats it when it fails."""
    project_id, rest = _words(words, project)
    usage = "run402 functions runs create <function> --event-type <type> --idempotency-key <key>"
    name = _only(rest, "name of the function", usage)
    attempts = integer("--max-attempts", max_attempts)
    waiting = _wait(wait, timeout_ms, poll_interval_ms)
    for flag, value in (("--event-type", event_type), ("--idempotency-key", idempotency_key)):
        if value is None:
            raise UsageError(f"{flag} is missing.", hint=usage)
    assert event_type is not None
    key = _header_text("--idempotency-key", idempotency_key)
    assert key is not None
    payload = _payload(payload_json)
    with TerminalClient() as client:
        run = function_runs.create(
            client,
            project_id,
            name,
            event_type=event_type,
            idempotency_key=key,
            payload=payload,
            schedule=function_runs.Schedule(
                delay=delay, run_at=run_at, expires_at=expires_at, expires_after=expires_after
            ),
            retry=function_runs.Retry(preset=retry_preset, max_attempts=attempts),
        )
        _emit_run(client, project_id, run, waiting)


def _payload(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        value = load_json(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise UsageError(
            "--payload-json must be a JSON object.",
            hint="Nothing was sent. Quote it for the shell: --payload-json '{\"a\": 1}'",
            details={"flag": "--payload-json", "value": text},
        )
    return value


def _emit_run(client: Client, project_id: str, run: Any, waiting: function_runs.Wait | None) -> None:
    if waiting is not None:
        run = function_runs.wait_for(client, project_id, function_runs.created_run_id(run), waiting)
    output.emit(run)


@app.command(
    "runs list",
    summary="List the runs of a function.",
    effect="read",
    auth="service_key",
    example="run402 functions runs list report --status failed --limit 20",
)
def runs_list(
    words: NameWord = None,
    status: Annotated[
        str | None, typer.Option("--status", metavar="STATUS", help=f"One of: {', '.join(function_runs.STATUSES)}.")
    ] = None,
    event_type: Annotated[str | None, typer.Option("--event-type", metavar="TYPE", help="Only of this type.")] = None,
    since: SinceOpt = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Runs before this time; written as --since.")
    ] = None,
    limit: Annotated[str | None, typer.Option("--limit", metavar="N", help="Runs in a page, 1 to 100.")] = None,
    cursor: Annotated[
        str | None, typer.Option("--cursor", metavar="CURSOR", help="`next_cursor` of the page before.")
    ] = None,
    project: ProjectOpt = None,
) -> None:
    """List the runs of one function, newest first."""
    project_id, rest = _words(words, project)
    name = _only(rest, "name of the function", "run402 functions runs list <function>")
    count = integer("--limit", limit, high=100)
    with TerminalClient() as client:
        output.emit(
            function_runs.list_runs(
                client,
                project_id,
                name,
                status=status,
                event_type=event_type,
                since=_typed("--since", since),
                until=_typed("--until", until),
                limit=count,
                cursor=cursor,
            )
        )


@app.command(
    "runs get",
    summary="Show one run.",
    effect="read",
    auth="service_key",
    example="run402 functions runs get fnrun_abc123 | jq .status",
)
def runs_get(words: RunWord = None, project: ProjectOpt = None) -> None:
    """Show one run: status, attempts, last error, next actions."""
    project_id, rest = _words(words, project)
    run_id = _only(rest, "run id", "run402 functions runs get <run_id>")
    with TerminalClient() as client:
        output.emit(function_runs.get(client, project_id, run_id))


@app.command(
    "runs logs",
    summary="Log entries of one run.",
    effect="read",
    auth="service_key",
    example="run402 functions runs logs fnrun_abc123 --tail 200",
)
def runs_logs(words: RunWord = None, tail: TailOpt = None, since: SinceOpt = None, project: ProjectOpt = None) -> None:
    """Show the log entries of one run, over all of its attempts."""
    project_id, rest = _words(words, project)
    run_id = _only(rest, "run id", "run402 functions runs logs <run_id>")
    count = _tail(tail)
    with TerminalClient() as client:
        output.emit(function_runs.logs(client, project_id, run_id, tail=count, since=_typed("--since", since)))


@app.command("runs cancel", effect="write", auth="service_key", example="run402 functions runs cancel fnrun_abc123")
def runs_cancel(words: RunWord = None, project: ProjectOpt = None) -> None:
    """Cancel a scheduled or queued run."""
    project_id, rest = _words(words, project)
    run_id = _only(rest, "run id", "run402 functions runs cancel <run_id>")
    with TerminalClient() as client:
        output.emit(function_runs.cancel(client, project_id, run_id))


@app.command(
    "runs redrive", effect="write", auth="service_key", example="run402 functions runs redrive fnrun_abc123 --wait"
)
def runs_redrive(
    words: RunWord = None,
    retry_preset: PresetOpt = None,
    max_attempts: AttemptsOpt = None,
    wait: WaitOpt = False,
    timeout_ms: TimeoutMsOpt = None,
    poll_interval_ms: PollOpt = None,
    project: ProjectOpt = None,
) -> None:
    """Start a failed, cancelled or expired run again."""
    project_id, rest = _words(words, project)
    run_id = _only(rest, "run id", "run402 functions runs redrive <run_id>")
    attempts = integer("--max-attempts", max_attempts)
    waiting = _wait(wait, timeout_ms, poll_interval_ms)
    retry = function_runs.Retry(preset=retry_preset, max_attempts=attempts)
    with TerminalClient() as client:
        _emit_run(client, project_id, function_runs.redrive(client, project_id, run_id, retry=retry), waiting)
