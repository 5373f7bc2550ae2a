"""Functions: what a deploy of one needs, and calls, logs and changes of deployed ones. See docs/functions.md."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from run402_cli import advice
from run402_cli.client import Client, body_of, credentials, parse_body, segment, with_query
from run402_cli.client.http import httpx
from run402_cli.errors import ApiError, CommandError, EnvironmentFault, NetworkError, Run402Error, ValidationError
from run402_cli.services import function_runs, instants, output_file
from run402_cli.services.prices import UNPUBLISHED
from run402_cli.state.files import now_iso

Json = Any

MAX_TAIL = 1000
_RUNTIME = "node22"
_CONTENT_TYPE = "text/javascript; charset=utf-8"
_MAX_DEPS = 30
_MAX_DEP_LENGTH = 200
_PROVIDED = ("@run402/functions", "run402-functions", "sharp", "canvas", "bcrypt")
# Addresses of the release itself in its `urls`; a function of that name has its own address.
_RELEASE_URLS = ("site", "origin", "static", "rest", "storage", "project", "deployment_id")
_RUN_ID = re.compile(r"fnrun_[A-Za-z0-9_-]+")
_UNLOCKED = "CANNOT_REBUILD_UNLOCKED_DEPS"
_FOLLOW_SECONDS = 3.0
_FIRST_RETRY_SECONDS = 1.0
_LONGEST_RETRY_SECONDS = 30.0
_GIVE_UP_SECONDS = 15 * 60.0


def _admin(project_id: str, name: str | None = None) -> str:
    path = f"/projects/v1/admin/{segment(project_id)}/functions"
    return path if name is None else f"{path}/{segment(name)}"


# -- deploy -------------------------------------------------------------------------------------------------------------


def release_patch(
    name: str,
    source: str,
    *,
    timeout: int | None = None,
    memory: int | None = None,
    deps: list[str] | None = None,
    schedule: str | None = None,
) -> dict[str, Json]:
    """The `functions` section of a release that sets one function and leaves all others alone.

    `timeout` in seconds, `memory` in MB; `schedule` is a five-field cron expression, "" removes the schedule, None leaves it.
    Raises ValidationError LOCAL_ERROR for an unusable name, source, dependency or schedule.
    """
    function_runs.check_name(name)
    if not source.strip():
        raise ValidationError(
            f"The source of {name} is empty. Write a default export: export default async (req) => new Response('ok')",
            details={"field": "file"},
        )
    _check_deps(deps or [])
    config = {"timeoutSeconds": timeout, "memoryMb": memory}
    given = {key: value for key, value in config.items() if value is not None}
    function: dict[str, Json] = {"runtime": _RUNTIME, "source": {"data": source, "contentType": _CONTENT_TYPE}}
    if given:
        function["config"] = given
    if deps:
        function["deps"] = deps
    if schedule is not None:
        function["schedule"] = _cron(schedule)
    return {"patch": {"set": {name: function}}}


def _check_deps(deps: list[str]) -> None:
    if len(deps) > _MAX_DEPS:
        raise ValidationError(
            f"{len(deps)} dependencies are more than the {_MAX_DEPS} a function may have. Bundle some of them into the file.",
            details={"field": "deps", "count": len(deps), "max": _MAX_DEPS},
        )
    for dep in deps:
        package = dep[: dep.find("@", 1)] if "@" in dep[1:] else dep
        if len(dep) > _MAX_DEP_LENGTH or re.search(r"\s", dep):
            raise ValidationError(
                f"{dep[:60]!r} is not a package: write name, name@version or name@range without spaces.",
                details={"field": "deps", "value": dep[:_MAX_DEP_LENGTH]},
            )
        if package in _PROVIDED:
            why = "the platform provides it" if "functions" in package else "it needs native code, which cannot run"
            raise ValidationError(
                f"{package} cannot be a dependency: {why}. Leave it out of --deps.",
                details={"field": "deps", "value": dep},
            )


def _cron(schedule: str) -> str | None:
    if schedule and len(schedule.split()) != 5:
        raise ValidationError(
            f"The schedule {schedule!r} needs five fields: minute hour day month weekday, like '*/15 * * * *'.",
            details={"field": "schedule", "value": schedule},
        )
    return schedule or None


def deployed(
    client: Client,
    name: str,
    release: Mapping[str, Json],
    *,
    timeout: int | None,
    memory: int | None,
    schedule: str | None,
) -> dict[str, Json]:
    """What `functions deploy` prints, from the result of the release. `timeout` in seconds, `memory` in MB."""
    from run402_cli.release.sections.functions import DEFAULT_MEMORY_MB, DEFAULT_TIMEOUT_SECONDS

    urls = release.get("urls")
    own = urls.get(name) if isinstance(urls, Mapping) and name not in _RELEASE_URLS else None
    warnings = [
        warning["message"]
        for warning in release.get("warnings") or []
        if isinstance(warning, Mapping) and isinstance(warning.get("message"), str)
    ]
    return {
        "name": name,
        "url": own if isinstance(own, str) else f"{client.api_base}/functions/v1/{segment(name)}",
        "status": "deployed",
        "runtime": _RUNTIME,
        "timeout": timeout or DEFAULT_TIMEOUT_SECONDS,
        "memory": memory or DEFAULT_MEMORY_MB,
        "schedule": schedule or None,
        "created_at": now_iso(),
        "runtime_version": None,
        "deps_resolved": None,
        **({"warnings": warnings} if warnings else {}),
    }


# -- invoke -------------------------------------------------------------------------------------------------------------


def invoke(
    client: Client,
    project_id: str,
    name: str,
    *,
    method: str = "POST",
    body: str | None = None,
    idempotency_key: str | None = None,
    extra_headers: Mapping[str, str] | None = None,
    wait: function_runs.Wait | None = None,
    raw: bool = False,
) -> dict[str, Json]:
    """{method} /functions/v1/{name} with the service key as `apikey`: {http_status, body, body_encoding?, duration_ms}.

    `body` is JSON text, sent byte for byte (not with GET and HEAD); `extra_headers` win over its Content-Type. With `wait`,
    an answer 202 that names a run is followed to the run's end, and with a key the call is then repeated for its answer;
    duration_ms covers all of that. An answer that is neither JSON nor text is base64, and `body_encoding` says so. Raises
    ApiError for any non-2xx answer of the function, NetworkError ANSWER_UNREADABLE for one that says it is JSON and is none,
    RunFailed and ValidationError from waiting. With `raw` the body is the bytes as they came, with their `content_type`.
    """
    auth = credentials.ProjectKey(
        client.profile.keys.cached_key(project_id, "service_key"),
        bearer=False,
        apikey=True,
        principal=client.principal(),
    )
    content = body.encode() if body is not None and method.upper() not in ("GET", "HEAD") else None
    headers = _call_headers(extra_headers or {}, idempotency_key, is_json=content is not None)
    path, context = f"/functions/v1/{segment(name)}", f"invoking {name}"
    began = time.monotonic()

    def call() -> httpx.Response:
        try:
            return client.send(
                method, path, context=context, auth=auth, content=content, headers=headers, priced=UNPUBLISHED
            )
        except ApiError as exc:
            raise _answered(exc, name, project_id) from None

    response = call()
    answer = parse_body(response) if wait is not None and response.status_code == 202 else None
    run_id = answer.get("run_id") if isinstance(answer, dict) else None
    if wait is not None and isinstance(run_id, str) and _RUN_ID.fullmatch(run_id):
        function_runs.wait_for(client, project_id, run_id, wait)
        if idempotency_key is not None:
            response = call()
    found = _bytes(response) if raw else client.answered(response, context, body_of)
    duration_ms = round((time.monotonic() - began) * 1000)
    return {"http_status": response.status_code, **found, "duration_ms": duration_ms}


def _call_headers(extra: Mapping[str, str], key: str | None, *, is_json: bool) -> dict[str, str]:
    headers = {"Content-Type": "application/json"} if is_json else {}
    for header, value in extra.items():
        headers = {name: headers[name] for name in headers if name.lower() != header.lower()} | {header: value}
    return headers if key is None else headers | {"Idempotency-Key": key}


def _bytes(response: httpx.Response) -> dict[str, Json]:
    return {"body": response.content, "content_type": response.headers.get("content-type")}


def save_body(answer: dict[str, Json], path: Path, *, overwrite: bool = False) -> dict[str, Json]:
    """The bytes of a raw `invoke` to a file: its answer with `output`, `bytes` and `replaced` in place of the body.

    CommandError FILE_EXISTS unless `overwrite`, EnvironmentFault when it cannot be written.
    """
    body = answer["body"]
    try:
        with output_file.written(path, overwrite=overwrite) as file:
            file.write(body)
    except (OSError, ValueError) as exc:
        raise EnvironmentFault(
            f"The function was called, but its answer cannot be written to {path}: {getattr(exc, 'strerror', None) or exc}.",
            hint="The directory must exist and be writable; choose another --output.",
            details={"path": str(path)},
        ) from exc
    saved = {"output": str(path), "bytes": len(body), "replaced": file.replaced}
    return {name: value for name, value in answer.items() if name != "body"} | saved


def _answered(exc: ApiError, name: str, project_id: str) -> ApiError:
    """A refusal that may be the function's own: what it says stays, where it says nothing the way to its log is told."""
    if not exc.explained:
        exc.message = f"The function {name} answered HTTP {exc.http}."
    log = advice.action("run_command", "functions", "logs", name, "--project", project_id, "--tail", "20")
    exc.extra = {"hint": f"Its log: {log['command']}", "next_actions": [log], **exc.extra}
    return exc


# -- logs ---------------------------------------------------------------------------------------------------------------


def logs(
    client: Client,
    project_id: str,
    name: str,
    *,
    tail: int = 50,
    since: int | None = None,
    request_id: str | None = None,
) -> dict[str, Json]:
    """GET /projects/v1/admin/{id}/functions/{name}/logs?tail[&since][&request_id] with the service key: {logs: [entry]}.

    `since` in milliseconds since 1970. An entry is {timestamp, message, event_id?, log_stream_name?, request_id?, ...}.
    """
    auth = client.service_key(project_id)
    path = with_query(f"{_admin(project_id, name)}/logs", tail=tail, since=since, request_id=request_id)
    answer = client.request("GET", path, context=f"reading the logs of {name}", auth=auth)
    entries = answer.get("logs") if isinstance(answer, dict) else None
    return {"logs": entries if isinstance(entries, list) else []}


def follow(
    client: Client,
    project_id: str,
    name: str,
    *,
    tail: int = 50,
    since: int | None = None,
    request_id: str | None = None,
    note: Callable[[str], None] | None = None,
) -> Iterator[Json]:
    """Log entries as they appear, each once, without end: the logs are read again every 3 seconds.

    A lost connection or a gateway that restarts is waited for, with pauses that grow to 30 seconds, for up to 15 minutes;
    `note` is told when it goes and when it is back. Raises what the first read raises, what cannot be cured by waiting,
    and the last error after the 15 minutes.
    """
    new = _NewEntries(since)

    def read(window: int) -> list[Json]:
        answer = logs(client, project_id, name, tail=window, since=new.mark, request_id=request_id)
        entries: list[Json] = answer["logs"]
        return entries

    entries = read(tail)
    while True:
        yield from new.of(entries)
        time.sleep(_FOLLOW_SECONDS)
        outage = _Outage(note)
        while True:
            try:
                entries = read(tail)
                if len(entries) >= tail and new.may_miss_some(entries):
                    entries = read(MAX_TAIL)
                break
            except (NetworkError, ApiError) as exc:
                outage.wait(exc)
        outage.over()


class _Outage:
    """Pauses between tries while the gateway does not answer."""

    def __init__(self, note: Callable[[str], None] | None) -> None:
        self.began: float | None = None
        self._note = note
        self._pause = _FIRST_RETRY_SECONDS

    def wait(self, error: NetworkError | ApiError) -> None:
        if isinstance(error, ApiError) and error.http < 500 and error.http not in (408, 425, 429):
            raise error
        now = time.monotonic()
        if self.began is None:
            self.began = now
            self._tell(f"Connection lost, trying again: {error.message}")
        elif now - self.began > _GIVE_UP_SECONDS:
            raise error
        time.sleep(self._pause)
        self._pause = min(self._pause * 2, _LONGEST_RETRY_SECONDS)

    def over(self) -> None:
        if self.began is not None:
            self._tell("Connection restored.")

    def _tell(self, text: str) -> None:
        if self._note is not None:
            self._note(text)


class _NewEntries:
    """Which entries were not there before: later than the latest seen, or of the same millisecond but another identity."""

    def __init__(self, since: int | None) -> None:
        self.mark = since
        self._seen: set[str] = set()

    def may_miss_some(self, entries: list[Json]) -> bool:
        """Whether entries may lie between those seen and these: the latest seen come again in a complete answer."""
        return not any(isinstance(entry, Mapping) and _identity(entry) in self._seen for entry in entries)

    def of(self, entries: list[Json]) -> Iterator[Json]:
        known, before, fresh = self.mark, self._seen, set[str]()
        for entry in entries:
            if not isinstance(entry, Mapping):
                continue
            moment, identity = log_time(entry), _identity(entry)
            if (known is not None and moment < known) or (moment == known and identity in before) or identity in fresh:
                continue
            if self.mark is None or moment > self.mark:
                self.mark, self._seen = moment, set()
            if moment == self.mark:
                self._seen = self._seen | {identity}
            fresh.add(identity)
            yield entry


def log_time(entry: Mapping[str, Json]) -> int:
    """When a log entry was written, in milliseconds since 1970; 0 when it does not say so."""
    return instants.any_date_ms(str(entry.get("timestamp") or "")) or 0


def _identity(entry: Mapping[str, Json]) -> str:
    event_id = entry.get("event_id")
    if event_id:
        return str(event_id)
    return f"{entry.get('log_stream_name')}:{entry.get('timestamp')}:{entry.get('message')}"


# -- deployed functions -------------------------------------------------------------------------------------------------


def list_functions(client: Client, project_id: str) -> Json:
    """GET /projects/v1/admin/{id}/functions -> {functions: [{name, url, runtime, timeout (seconds), memory (MB), ...}]}."""
    auth = client.service_key(project_id)
    return client.request("GET", _admin(project_id), context="listing functions", auth=auth)


def delete(client: Client, project_id: str, name: str) -> dict[str, Json]:
    """DELETE /projects/v1/admin/{id}/functions/{name} with the service key: {name, project_id, deleted}."""
    auth = client.service_key(project_id)
    client.request("DELETE", _admin(project_id, name), context=f"deleting {name}", auth=auth)
    return {"name": name, "project_id": project_id, "deleted": True}


def update(
    client: Client,
    project_id: str,
    name: str,
    *,
    schedule: str | None = None,
    timeout: int | None = None,
    memory: int | None = None,
) -> Json:
    """PATCH /projects/v1/admin/{id}/functions/{name} {schedule?, config?: {timeout?, memory?}} with the service key.

    `schedule` is a five-field cron expression, "" removes it, None leaves it; `timeout` in seconds, `memory` in MB. Returns
    the changed function. Raises ValidationError LOCAL_ERROR for a schedule without five fields.
    """
    body: dict[str, Json] = {}
    if schedule is not None:
        body["schedule"] = _cron(schedule)
    config = {"timeout": timeout, "memory": memory}
    if given := {key: value for key, value in config.items() if value is not None}:
        body["config"] = given
    auth = client.service_key(project_id)
    return client.request("PATCH", _admin(project_id, name), context=f"changing {name}", auth=auth, body=body)


def rebuild(client: Client, project_id: str, name: str) -> Json:
    """POST /projects/v1/{id}/functions/{name}/rebuild as the owner: bundle the stored source on the current runtime.

    Returns {name, rebuilt, old_fingerprint, new_fingerprint, runtime_version_before, runtime_version_after, code_hash}.
    Raises CommandError CANNOT_REBUILD_UNLOCKED_DEPS when the versions of its dependencies were never recorded.
    """
    function_runs.check_name(name)
    path = f"/projects/v1/{segment(project_id)}/functions/{segment(name)}/rebuild"
    try:
        return client.request("POST", path, context=f"rebuilding {name}", auth=client.principal())
    except ApiError as exc:
        if exc.http == 409 and exc.fields.get("code") == _UNLOCKED:
            raise _redeploy(exc, project_id, name) from exc
        raise


def _redeploy(exc: ApiError, project_id: str, name: str) -> Run402Error:
    command = advice.command("functions", "deploy", name, "--file", advice.Blank("file"), "--project", project_id)
    why = "A deploy records the versions of the dependencies."
    return CommandError(
        exc.message,
        code=_UNLOCKED,
        hint=f"Deploy it again from its source: {command}",
        next_actions=[advice.entry("deploy", command, why=why)],
        safe_to_retry=False,
    )


def rebuild_all(client: Client, project_id: str) -> Json:
    """Bundle the stored source of every function on the current platform runtime.

    POST /projects/v1/{id}/functions/rebuild as the owner -> {rebuilt_count, total, results}; failed rows gain `hint`.
    """
    path = f"/projects/v1/{segment(project_id)}/functions/rebuild"
    answer = client.request("POST", path, context="rebuilding the functions", auth=client.principal())
    rows = answer.get("results") if isinstance(answer, dict) else None
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict) and row.get("code") == _UNLOCKED:
            name = row.get("name") or advice.Blank("name")
            row["hint"] = "Deploy it again from its source: " + advice.command(
                "functions", "deploy", name, "--file", advice.Blank("file")
            )
    return answer
