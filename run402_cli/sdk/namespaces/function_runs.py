"""Durable runs of functions.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Id, Namespace, of_project
from run402_cli.services import function_runs as _function_runs

if TYPE_CHECKING:
    from typing import Any

    from run402_cli.services.function_runs import Retry, Schedule, Wait


class FunctionRuns(Namespace[Id]):
    """Durable runs of functions. `project.function_runs` fills in `project_id`."""

    @of_project
    def create(
        self,
        project_id: str,
        function: str,
        *,
        event_type: str,
        idempotency_key: str,
        payload: dict[str, Any] | None = None,
        schedule: Schedule | None = None,
        retry: Retry | None = None,
    ) -> Any:
        """Create a durable run: the gateway calls the function, now or later, and repeats it when it fails.

        POST /functions/v1/{function}/runs -> the run: {run_id, status, terminal, attempts, next_actions, ...}.

        The same key with the same intent returns the run that exists (`deduplicated`). Raises ValidationError for a bad
        name, blank text or a start and expiry that make no sense; ApiError 409 for a key used with another intent.
        """
        return self._call(
            _function_runs.create,
            project_id,
            function,
            event_type=event_type,
            idempotency_key=idempotency_key,
            payload=payload,
            schedule=schedule,
            retry=retry,
        )

    @of_project
    def list(
        self,
        project_id: str,
        function: str,
        *,
        status: str | None = None,
        event_type: str | None = None,
        since: str | None = None,
        until: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Any:
        """List the runs of one function, newest first.

        GET /functions/v1/{function}/runs[?...] -> {runs: [run], next_cursor?}, newest first.

        `since` and `until` are ISO date-times with a zone or milliseconds since 1970, sent as given. Raises
        ValidationError.
        """
        return self._call(
            _function_runs.list_runs,
            project_id,
            function,
            status=status,
            event_type=event_type,
            since=since,
            until=until,
            limit=limit,
            cursor=cursor,
        )

    @of_project
    def get(self, project_id: str, run_id: str) -> Any:
        """Show one run: status, attempts, last error, next actions.

        GET /functions/v1/runs/{run_id} -> the run.
        """
        return self._call(_function_runs.get, project_id, run_id)

    @of_project
    def logs(self, project_id: str, run_id: str, *, tail: int = 50, since: str | None = None) -> Any:
        """Show the log entries of one run, over all of its attempts.

        GET /functions/v1/runs/{run_id}/logs?tail[&since] -> {logs: [entry]}; `since` as in `list_runs`.
        """
        return self._call(_function_runs.logs, project_id, run_id, tail=tail, since=since)

    @of_project
    def cancel(self, project_id: str, run_id: str) -> Any:
        """Cancel a scheduled or queued run.

        POST /functions/v1/runs/{run_id}/cancel -> the run; one that has ended stays as it is.
        """
        return self._call(_function_runs.cancel, project_id, run_id)

    @of_project
    def redrive(self, project_id: str, run_id: str, *, retry: Retry | None = None) -> Any:
        """Start a failed, cancelled or expired run again.

        POST /functions/v1/runs/{run_id}/redrive {retry?} -> the run that starts again, which may have another id.
        """
        return self._call(_function_runs.redrive, project_id, run_id, retry=retry)

    @of_project
    def wait_for(self, project_id: str, run_id: str, wait: Wait) -> Any:
        """Read the run until it has ended; the run when it succeeded.

        Raises RunFailed when it ended otherwise, ValidationError LOCAL_ERROR when `wait.timeout_ms` passed before its
        end. The run itself goes on after that.
        """
        return self._call(_function_runs.wait_for, project_id, run_id, wait)
