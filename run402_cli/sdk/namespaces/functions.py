"""Deploy, call and inspect serverless functions.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk import _releases
from run402_cli.sdk._namespace import Id, Namespace, of_project
from run402_cli.services import functions as _functions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from run402_cli.services import function_runs


class Functions(Namespace[Id]):
    """Deploy, call and inspect serverless functions. `project.functions` fills in `project_id`."""

    @of_project
    def deploy(
        self,
        project_id: str,
        name: str,
        source: str,
        *,
        timeout: int | None = None,
        memory: int | None = None,
        deps: Sequence[str] = (),
        schedule: str | None = None,
        on_event: Callable[[dict[str, Any]], None] | None = None,
    ) -> dict[str, Any]:
        """Add or replace one function; all other functions stay as they are.

        Add or replace one function by its source text; all others stay. `timeout` in seconds, `memory` in MB.

        `deps` are npm packages (name, name@version); `schedule` is a five-field cron expression, "" removes it. Returns
        {name, url, status, runtime, timeout, memory, schedule, ...}. Raises ValidationError for an unusable name,
        source or dependency, and what `deploy.apply` raises. docs/functions.md
        """
        return self._call(
            _releases.deploy_function,
            project_id,
            name,
            source,
            timeout=timeout,
            memory=memory,
            deps=deps,
            schedule=schedule,
            on_event=on_event,
        )

    @of_project
    def invoke(
        self,
        project_id: str,
        name: str,
        *,
        method: str = "POST",
        body: str | None = None,
        idempotency_key: str | None = None,
        extra_headers: Mapping[str, str] | None = None,
        wait: function_runs.Wait | None = None,
        raw: bool = False,
    ) -> dict[str, Any]:
        """Call a function with the project's service key: {http_status, body, duration_ms}.

        {method} /functions/v1/{name} with the service key as `apikey`: {http_status, body, body_encoding?,
        duration_ms}.

        `body` is JSON text, sent byte for byte (not with GET and HEAD); `extra_headers` win over its Content-Type. With
        `wait`, an answer 202 that names a run is followed to the run's end, and with a key the call is then repeated
        for its answer; duration_ms covers all of that. An answer that is neither JSON nor text is base64, and
        `body_encoding` says so. Raises ApiError for any non-2xx answer of the function, NetworkError ANSWER_UNREADABLE
        for one that says it is JSON and is none, RunFailed and ValidationError from waiting. With `raw` the body is the
        bytes as they came, with their `content_type`.
        """
        return self._call(
            _functions.invoke,
            project_id,
            name,
            method=method,
            body=body,
            idempotency_key=idempotency_key,
            extra_headers=extra_headers,
            wait=wait,
            raw=raw,
        )

    @of_project
    def logs(
        self, project_id: str, name: str, *, tail: int = 50, since: int | None = None, request_id: str | None = None
    ) -> dict[str, Any]:
        """Show recent log entries of a function, or follow them. --follow goes on through lost connections and restarts of
        the gateway, until Ctrl-C or SIGTERM.

        GET /projects/v1/admin/{id}/functions/{name}/logs?tail[&since][&request_id] with the service key: {logs:
        [entry]}.

        `since` in milliseconds since 1970. An entry is {timestamp, message, event_id?, log_stream_name?, request_id?,
        ...}.
        """
        return self._call(_functions.logs, project_id, name, tail=tail, since=since, request_id=request_id)

    @of_project
    def follow(
        self,
        project_id: str,
        name: str,
        *,
        tail: int = 50,
        since: int | None = None,
        request_id: str | None = None,
        note: Callable[[str], None] | None = None,
    ) -> Iterator[Any]:
        """Log entries as they appear, each once, without end: the logs are read again every 3 seconds.

        A lost connection or a gateway that restarts is waited for, with pauses that grow to 30 seconds, for up to 15
        minutes; `note` is told when it goes and when it is back. Raises what the first read raises, what cannot be
        cured by waiting, and the last error after the 15 minutes.
        """
        return self._call(_functions.follow, project_id, name, tail=tail, since=since, request_id=request_id, note=note)

    @of_project
    def list(self, project_id: str) -> Any:
        """List the deployed functions: address, runtime, limits, schedule, resolved dependencies.

        GET /projects/v1/admin/{id}/functions -> {functions: [{name, url, runtime, timeout (seconds), memory (MB),
        ...}]}.
        """
        return self._call(_functions.list_functions, project_id)

    @of_project
    def delete(self, project_id: str, name: str) -> dict[str, Any]:
        """Remove a function.

        DELETE /projects/v1/admin/{id}/functions/{name} with the service key: {name, project_id, deleted}.
        """
        return self._call(_functions.delete, project_id, name)

    @of_project
    def update(
        self,
        project_id: str,
        name: str,
        *,
        schedule: str | None = None,
        timeout: int | None = None,
        memory: int | None = None,
    ) -> Any:
        """Change schedule, timeout or memory of a function without new code.

        PATCH /projects/v1/admin/{id}/functions/{name} {schedule?, config?: {timeout?, memory?}} with the service key.

        `schedule` is a five-field cron expression, "" removes it, None leaves it; `timeout` in seconds, `memory` in MB.
        Returns the changed function. Raises ValidationError LOCAL_ERROR for a schedule without five fields.
        """
        return self._call(_functions.update, project_id, name, schedule=schedule, timeout=timeout, memory=memory)

    @of_project
    def rebuild(self, project_id: str, name: str) -> Any:
        """Bundle the stored source of a function, or of all, on the current platform runtime.

        POST /projects/v1/{id}/functions/{name}/rebuild as the owner: bundle the stored source on the current runtime.

        Returns {name, rebuilt, old_fingerprint, new_fingerprint, runtime_version_before, runtime_version_after,
        code_hash}. Raises CommandError CANNOT_REBUILD_UNLOCKED_DEPS when the versions of its dependencies were never
        recorded.
        """
        return self._call(_functions.rebuild, project_id, name)

    @of_project
    def rebuild_all(self, project_id: str) -> Any:
        """Bundle the stored source of every function on the current platform runtime.

        POST /projects/v1/{id}/functions/rebuild as the owner -> {rebuilt_count, total, results}; failed rows gain
        `hint`.
        """
        return self._call(_functions.rebuild_all, project_id)
