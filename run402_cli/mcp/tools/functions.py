"""Functions, their runs, secrets, jobs and errors."""

from __future__ import annotations

import json
from typing import Any

from run402_cli import deploy
from run402_cli.errors import ValidationError
from run402_cli.mcp._tool import (
    DESTRUCTIVE,
    LOCAL_WRITE,
    OVERWRITE,
    PROJECT,
    READ,
    WRITE,
    Call,
    Tool,
    exclusive,
    may,
    need,
    tool,
)
from run402_cli.services import errors, function_runs, functions, instants, jobs, secrets

_NAME = need("name", about="Name of the function.")
_RUN = need("run_id", about="Run id, fnrun_...")
_JOB = need("job_id")
_RETRY = '{preset?: "standard", max_attempts?: int, min_delay_seconds?: number, max_delay_seconds?: number}'
_STATUSES = "|".join(function_runs.STATUSES)
_WAIT = (
    may("wait", "bool", "Wait until the run has ended."),
    may("timeout_ms", "int", above=0),
    may("poll_interval_ms", "int", low=0),
)
_OPEN = {"readOnlyHint": False, "destructiveHint": False, "idempotentHint": False, "openWorldHint": True}


def _wait(call: Call) -> function_runs.Wait | None:
    if not call["wait"]:
        return None
    default = function_runs.Wait()
    interval = call["poll_interval_ms"]
    return function_runs.Wait(
        call["timeout_ms"] or default.timeout_ms, default.interval_ms if interval is None else interval
    )


def _deploy(call: Call) -> Any:
    name, config, schedule = call["name"], call["config"] or {}, call["schedule"]
    cron = "" if "schedule" in call.args and schedule is None else schedule
    timeout, memory = config.get("timeout"), config.get("memory")
    patch = functions.release_patch(
        name, call["code"], timeout=timeout, memory=memory, deps=call["deps"], schedule=cron
    )
    call.client.profile.keys.require(call.project)
    release = deploy.patch_functions(
        call.client, call.project, patch, command="run402 functions deploy", emit=call.note
    )
    return functions.deployed(call.client, name, release, timeout=timeout, memory=memory, schedule=cron)


def _invoke(call: Call) -> Any:
    body, headers = call["body"], dict(call["headers"] or {})
    text = body if body is None or isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    if isinstance(body, str) and not _is_json(body) and "content-type" not in {name.lower() for name in headers}:
        headers["Content-Type"] = "text/plain; charset=utf-8"
    for name, value in {**headers, "idempotency_key": call["idempotency_key"] or ""}.items():
        if not (name + value).isascii() or not (name + value).isprintable():
            raise ValidationError(f"{name} holds a character that no HTTP header can carry.", details={"field": name})
    return functions.invoke(
        call.client,
        call.project,
        call["name"],
        method=call["method"],
        body=text,
        idempotency_key=call["idempotency_key"],
        extra_headers=headers,
        wait=_wait(call),
    )


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _logs(call: Call) -> Any:
    tail = max(1, min(functions.MAX_TAIL, int(call["tail"])))
    since = None if call["since"] is None else _moment(call["since"])
    return functions.logs(
        call.client, call.project, call["name"], tail=tail, since=since, request_id=call["request_id"]
    )


def _moment(text: Any) -> int:
    """Milliseconds since 1970 of `since`."""
    moment = instants.epoch_ms(str(text))
    if moment is None:
        raise ValidationError(
            f"since {text!r} is not a time. Write 2026-03-15T12:00:00Z, or milliseconds since 1970.",
            details={"field": "since"},
        )
    return moment


def _rebuild(call: Call) -> Any:
    name = call["name"]
    if name is None:
        return functions.rebuild_all(call.client, call.project)
    return functions.rebuild(call.client, call.project, name)


# -- runs ---------------------------------------------------------------------------------------------------------------


def _create_run(call: Call) -> Any:
    exclusive(call, "delay", "delay_seconds", "run_at")
    exclusive(call, "expires_at", "expires_after")
    seconds = call["delay_seconds"]
    schedule = function_runs.Schedule(
        delay=call["delay"] if seconds is None else f"{round(seconds * 1000)}ms",
        **call.given("run_at", "expires_at", "expires_after"),
    )
    run = function_runs.create(
        call.client,
        call.project,
        call["name"],
        event_type=call["event_type"],
        idempotency_key=call["idempotency_key"],
        payload=call["payload"],
        schedule=schedule,
        retry=_retry(call),
    )
    return _ended(call, run)


def _retry(call: Call) -> function_runs.Retry:
    return function_runs.Retry(**(call["retry"] or {}))


def _ended(call: Call, run: Any) -> Any:
    wait = _wait(call)
    if wait is None:
        return run
    return function_runs.wait_for(call.client, call.project, function_runs.created_run_id(run), wait)


def _redrive(call: Call) -> Any:
    return _ended(call, function_runs.redrive(call.client, call.project, call["run_id"], retry=_retry(call)))


def _list_runs(call: Call) -> Any:
    given = call.given("status", "event_type", "since", "until", "limit", "cursor")
    return function_runs.list_runs(call.client, call.project, call["name"], **given)


# -- jobs and errors ----------------------------------------------------------------------------------------------------


def _job_logs(call: Call) -> Any:
    since = None if call["since"] is None else instants.iso(_moment(call["since"]))
    return jobs.logs(call.client, call.project, call["job_id"], tail=call["tail"], since=since)


def _artifact(call: Call) -> Any:
    path = call.files.target(call["output_path"], overwrite=call["overwrite"])
    overwrite = call["overwrite"] is True
    return jobs.fetch_artifact(call.client, call.project, call["job_id"], call["filename"], path, overwrite=overwrite)


def _errors(call: Call) -> Any:
    filters = call.given("since", "until", "function", "kind", "fingerprint", "new_in", "limit", "cursor")
    if call["fingerprint_id"] is None:
        return errors.page(call.client, call.project, **filters)
    if filters:
        raise ValidationError(
            f"fingerprint_id shows one error in detail, without {', '.join(filters)}. Use fingerprint to filter the list.",
            details={"given": list(filters)},
            reason="EXCLUSIVE_VALUES",
        )
    return errors.detail(call.client, call.project, call["fingerprint_id"])


_FUNCTIONS = (
    tool(
        "deploy_function",
        "Add or replace one function; the rest of the project stays. The default export is the handler: "
        "async (req: Request) => Response.",
        WRITE,
        _deploy,
        PROJECT,
        _NAME,
        need("code", about="JavaScript or TypeScript source, one file."),
        may("config", "{timeout?: int, memory?: int}", "timeout in seconds, memory in MB."),
        may("deps", "[string]", "npm packages: name, name@version."),
        may("schedule", "string|null", "Five-field cron; null removes the schedule."),
        cli="functions deploy",
        reports_402=True,
    ),
    tool(
        "invoke_function",
        "Call a deployed function. A paid one needs an idempotency_key.",
        WRITE,
        _invoke,
        PROJECT,
        _NAME,
        may("method", default="POST"),
        may("body", "string|{*: any}"),
        may("headers", "{*: string}"),
        may("idempotency_key"),
        *_WAIT,
        cli="functions invoke",
        annotations={"title": "Invoke function", **_OPEN},
    ),
    tool(
        "get_function_logs",
        "Recent log entries of a function, at most 1000.",
        READ,
        _logs,
        PROJECT,
        _NAME,
        may("tail", "number", "The last so many entries.", default=50),
        may("since"),
        may(
            "request_id", about="Of one request, run or attempt.", pattern="^(?:req|fnrun|fnatt)_[A-Za-z0-9_-]{4,128}$"
        ),
        cli=("functions logs", "logs"),
    ),
    tool(
        "list_functions",
        "List the deployed functions with runtime, limits and schedule.",
        READ,
        lambda c: functions.list_functions(c.client, c.project),
        PROJECT,
        cli="functions list",
    ),
    tool(
        "delete_function",
        "Remove a deployed function from a project, at once.",
        DESTRUCTIVE,
        lambda c: functions.delete(c.client, c.project, c["name"]),
        PROJECT,
        _NAME,
        cli="functions delete",
    ),
    tool(
        "update_function",
        "Change schedule, timeout or memory of a function without new code.",
        WRITE,
        lambda c: _update(c),
        PROJECT,
        _NAME,
        may("schedule", "string|null", "Five-field cron; null removes it."),
        may("timeout", "int", "Seconds.", above=0),
        may("memory", "int", "MB.", above=0),
        cli="functions update",
    ),
    tool(
        "functions_rebuild",
        "Bundle the stored source of one function, or of all, on the current platform runtime.",
        WRITE,
        _rebuild,
        PROJECT,
        may("name", about="Default: all functions."),
        cli="functions rebuild",
    ),
)


def _update(call: Call) -> Any:
    given = call.given("schedule", "timeout", "memory")
    if not given:
        raise ValidationError("Nothing is to be changed. Give schedule, timeout or memory.", reason="NOTHING_TO_CHANGE")
    if "schedule" in given and given["schedule"] is None:
        given["schedule"] = ""
    return functions.update(call.client, call.project, call["name"], **given)


_RUNS = (
    tool(
        "create_function_run",
        "Let the gateway call a function durably, now or later, with retries.",
        WRITE,
        _create_run,
        PROJECT,
        _NAME,
        need("event_type", about="What the run is about."),
        may("payload", "{*: any}"),
        need("idempotency_key"),
        may("delay", about="Start later: 90s, 5m, 2h."),
        may("delay_seconds", "number", "The same in seconds.", low=0),
        may("run_at", about="Start at this time."),
        may("expires_at", about="Do not start after this time."),
        may("expires_after", about="The same as a duration from now."),
        may("retry", _RETRY),
        *_WAIT,
        cli="functions runs create",
    ),
    tool(
        "list_function_runs",
        "List the runs of a function, newest first.",
        READ,
        _list_runs,
        PROJECT,
        _NAME,
        may("status", _STATUSES),
        may("event_type"),
        may("since"),
        may("until"),
        may("limit", "int", above=0, high=100),
        may("cursor"),
        cli="functions runs list",
    ),
    tool(
        "get_function_run",
        "Show one run: status, attempts, last error.",
        READ,
        lambda c: function_runs.get(c.client, c.project, c["run_id"]),
        PROJECT,
        _RUN,
        cli="functions runs get",
    ),
    tool(
        "get_function_run_logs",
        "Log entries of one run, over all its attempts.",
        READ,
        lambda c: function_runs.logs(c.client, c.project, c["run_id"], tail=c["tail"], since=c["since"]),
        PROJECT,
        _RUN,
        may("tail", "int", "The last so many entries.", default=50, above=0, high=1000),
        may("since"),
        cli="functions runs logs",
    ),
    tool(
        "cancel_function_run",
        "Cancel a run that has not ended.",
        WRITE,
        lambda c: function_runs.cancel(c.client, c.project, c["run_id"]),
        PROJECT,
        _RUN,
        cli="functions runs cancel",
    ),
    tool(
        "redrive_function_run",
        "Start a failed, cancelled or expired run again.",
        WRITE,
        _redrive,
        PROJECT,
        _RUN,
        may("retry", _RETRY),
        *_WAIT,
        cli="functions runs redrive",
    ),
)

_SECRETS = (
    tool(
        "set_secret",
        "Create or replace a secret of the project's functions. Its value is never shown again.",
        WRITE,
        lambda c: secrets.set_secret(c.client, c.project, c["key"], c["value"]),
        PROJECT,
        need("key"),
        need("value"),
        cli="secrets set",
    ),
    tool(
        "list_secrets",
        "List the names of secrets with times. Values cannot be read.",
        READ,
        lambda c: secrets.list_secrets(c.client, c.project),
        PROJECT,
        cli="secrets list",
    ),
    tool(
        "delete_secret",
        "Remove a secret of the project's functions, at once.",
        DESTRUCTIVE,
        lambda c: secrets.delete(c.client, c.project, c["key"]),
        PROJECT,
        need("key"),
        cli="secrets delete",
    ),
)

_REQUEST = "{job_type: string, input: {input_json: {*: any}}, max_cost_usd_micros: int, callback_url?: string}"

_JOBS = (
    tool(
        "jobs_submit",
        "Submit a managed job; it may cost up to max_cost_usd_micros.",
        WRITE,
        lambda c: jobs.submit(c.client, c.project, jobs.request_body(c["request"], source="request")),
        PROJECT,
        need("request", _REQUEST),
        cli="jobs submit",
    ),
    tool(
        "jobs_get",
        "Show a job: status, artifacts, cost, error.",
        READ,
        lambda c: jobs.get(c.client, c.project, c["job_id"]),
        PROJECT,
        _JOB,
        cli="jobs get",
    ),
    tool(
        "jobs_logs",
        "Read the log that a job's runner wrote.",
        READ,
        _job_logs,
        PROJECT,
        _JOB,
        may("tail", "int", "The last so many entries.", low=1, high=1000),
        may("since", "string|int"),
        cli="jobs logs",
    ),
    tool(
        "jobs_cancel",
        "Cancel a managed job that is queued or running.",
        DESTRUCTIVE,
        lambda c: jobs.cancel(c.client, c.project, c["job_id"]),
        PROJECT,
        _JOB,
        cli="jobs cancel",
    ),
    tool(
        "jobs_purge",
        "Delete every job record of a project; running jobs are ended.",
        DESTRUCTIVE,
        lambda c: jobs.purge(c.client, c.project),
        PROJECT,
        cli="jobs purge",
    ),
    tool(
        "jobs_download_artifact",
        "Save an output file of a completed job, replacing the local file.",
        LOCAL_WRITE,
        _artifact,
        PROJECT,
        _JOB,
        need("filename", about="A key of `artifacts` in the job."),
        need("output_path"),
        OVERWRITE,
        cli="jobs artifacts get",
        annotations={"openWorldHint": True},
    ),
)

_ERRORS = (
    tool(
        "errors_list",
        "Errors of the functions by identity with a verdict on a release, or one of them in detail.",
        READ,
        _errors,
        PROJECT,
        may("fingerprint_id", about="One error in detail; no other filter then."),
        may("since"),
        may("until"),
        may("function", about="Only of this function."),
        may("kind", "uncaught|boot_crash|invoke_failed|handled_5xx"),
        may("fingerprint"),
        may("new_in", about="What is new in this release; active is the live one."),
        may("limit", "int", low=1, high=200),
        may("cursor"),
        cli="errors",
    ),
)

TOOLS: tuple[Tool, ...] = (*_FUNCTIONS, *_RUNS, *_SECRETS, *_JOBS, *_ERRORS)
