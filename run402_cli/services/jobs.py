"""Platform-managed jobs: submit, read, cancel, purge, fetch artifacts. All with the service key. See docs/jobs.md."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from run402_cli import advice, global_options
from run402_cli.client import Client, segment, with_query
from run402_cli.client.http import httpx
from run402_cli.errors import CommandError
from run402_cli.services.output_file import require_free, written

Json = Any

MAX_TAIL = 1000
# The two spellings of a request file: wire key -> key in the file.
_SNAKE = {"job_type": "job_type", "max_cost_usd_micros": "max_cost_usd_micros", "callback_url": "callback_url"}
_CAMEL = {"job_type": "jobType", "max_cost_usd_micros": "maxCostUsdMicros", "callback_url": "callbackUrl"}
_INPUT_KEYS = ("input_json", "inputJson", "input.json")


def _run(job_id: str, what: str = "") -> str:
    return f"/jobs/v1/runs/{segment(job_id)}{what}"


def request_body(document: Json, *, source: str) -> dict[str, Json]:
    """The request of a job file, in either spelling: {job_type, input: {input_json}, max_cost_usd_micros, callback_url?}.

    Keys that a job does not have are dropped. Raises CommandError BAD_JSON when the file or its `input` is no object, or
    when `input` holds something else than `input_json`; `source` names the file in it.
    """
    if not isinstance(document, dict):
        raise _bad(f'{source} must hold a JSON object, like {{"job_type": ..., "input": ...}}.', source)
    given = document.get("input")
    if not isinstance(given, dict):
        state = "is missing" if "input" not in document else "is not an object"
        raise _bad(f'The job\'s `input` {state}. Write "input": {{"input_json": {{...}}}}.', source)
    value = next((given[key] for key in _INPUT_KEYS if key in given), None)
    if value is None and given and not any(key in given for key in _INPUT_KEYS):
        raise _bad(
            f"The job's `input` has {', '.join(sorted(map(repr, given)))}, which no job reads: use input_json.", source
        )
    names = _CAMEL if "jobType" in document else _SNAKE
    fields = {key: document[name] for key, name in names.items() if document.get(name) is not None}
    if fields.get("callback_url") == "":
        del fields["callback_url"]
    body: dict[str, Json] = {"input": {"input_json": {} if value is None else value}}
    return {
        key: {**fields, **body}[key] for key in ("job_type", "input", *list(_SNAKE)[1:]) if key in {**fields, **body}
    }


def _bad(message: str, source: str) -> CommandError:
    return CommandError(message, code="BAD_JSON", details={"source": source})


def submit(client: Client, project_id: str, body: dict[str, Json]) -> Json:
    """POST /jobs/v1/runs {job_type, input: {input_json}, max_cost_usd_micros, callback_url?} -> the job.

    Every call is a job of its own: it carries a new idempotency key. Costs are in USD micros.
    """
    headers = {"Idempotency-Key": f"job-{uuid.uuid4()}"}
    auth = client.service_key(project_id)
    return client.request("POST", "/jobs/v1/runs", context="submitting the job", auth=auth, body=body, headers=headers)


def get(client: Client, project_id: str, job_id: str) -> Json:
    """GET /jobs/v1/runs/{id} -> {job_id, job_type, status, created_at, artifacts?, metadata?, error?}."""
    return client.request("GET", _run(job_id), context="reading the job", auth=client.service_key(project_id))


def logs(client: Client, project_id: str, job_id: str, *, tail: int | None = None, since: str | None = None) -> Json:
    """GET /jobs/v1/runs/{id}/logs[?tail][&since] -> {logs: [{timestamp, message, log_stream_name, event_id}]}.

    `since` is an ISO date-time in UTC with milliseconds.
    """
    path = with_query(_run(job_id, "/logs"), tail=tail, since=since)
    return client.request("GET", path, context="reading the job's logs", auth=client.service_key(project_id))


def cancel(client: Client, project_id: str, job_id: str) -> Json:
    """DELETE /jobs/v1/runs/{id} -> the job."""
    return client.request("DELETE", _run(job_id), context="cancelling the job", auth=client.service_key(project_id))


def purge(client: Client, project_id: str) -> Json:
    """DELETE /jobs/v1/runs -> {deleted_jobs, cancelled_active_jobs, terminated_instances}; running jobs are ended first."""
    return client.request("DELETE", "/jobs/v1/runs", context="purging jobs", auth=client.service_key(project_id))


def fetch_artifact(
    client: Client, project_id: str, job_id: str, filename: str, target: Path, *, overwrite: bool = False
) -> dict[str, Json]:
    """GET /jobs/v1/runs/{id}/artifacts/{file}, streamed to `target`, which appears only when it is complete.

    Returns {job_id, filename, project_id, output (absolute path), content_type?, size_bytes?}. Raises ApiError 404 while the
    job has not completed or has no such file, CommandError EMPTY_BODY when nothing came, FILE_EXISTS (unless `overwrite`),
    BAD_FILE when `target` cannot be written.
    """
    require_free(target, overwrite=overwrite)
    global_options.about_to_write(target)
    path = _run(job_id, f"/artifacts/{segment(filename)}")
    auth = client.service_key(project_id)
    with client.stream("GET", path, context="fetching the artifact", auth=auth) as response:
        size, replaced = _save(response, target, filename, job_id, overwrite=overwrite)
    content_type = response.headers.get("content-type")
    length = response.headers.get("content-length", "")
    known = int(length) if length.isascii() and length.isdigit() else size
    return {
        "job_id": job_id,
        "filename": filename,
        "project_id": project_id,
        "output": str(target),
        "replaced": replaced,
        **({"content_type": content_type} if content_type else {}),
        **({"size_bytes": known} if length else {}),
    }


def _save(response: httpx.Response, target: Path, filename: str, job_id: str, *, overwrite: bool) -> tuple[int, bool]:
    """(bytes written, whether a file with other bytes was replaced)."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with written(target, overwrite=overwrite) as output:
            for chunk in response.iter_bytes():
                output.write(chunk)
            if output.size == 0:
                raise CommandError(
                    f"The gateway sent no bytes for {filename}; nothing was written.",
                    code="EMPTY_BODY",
                    hint=f"See the artifacts of the job: {advice.command('jobs', 'get', job_id)}",
                )
    except OSError as exc:
        reason = exc.strerror or exc
        raise CommandError(
            f"Cannot write {target}: {reason}.", code="BAD_FILE", hint="Give another --output.", field="--output"
        ) from exc
    return output.size, output.replaced
