"""Platform-managed jobs.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Id, Namespace, of_project
from run402_cli.services import jobs as _jobs

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


class Jobs(Namespace[Id]):
    """Platform-managed jobs. `project.jobs` fills in `project_id`."""

    @of_project
    def submit(self, project_id: str, body: dict[str, Any]) -> Any:
        """Submit a job: {"job_type": ..., "input": {"input_json": {...}}, "max_cost_usd_micros": ...}.

        POST /jobs/v1/runs {job_type, input: {input_json}, max_cost_usd_micros, callback_url?} -> the job.

        Every call is a job of its own: it carries a new idempotency key. Costs are in USD micros.
        """
        return self._call(_jobs.submit, project_id, body)

    @of_project
    def get(self, project_id: str, job_id: str) -> Any:
        """Show one job: status, times, artifacts, cost (millionths of a US dollar), error.

        GET /jobs/v1/runs/{id} -> {job_id, job_type, status, created_at, artifacts?, metadata?, error?}.
        """
        return self._call(_jobs.get, project_id, job_id)

    @of_project
    def logs(self, project_id: str, job_id: str, *, tail: int | None = None, since: str | None = None) -> Any:
        """Show what the job's runner wrote.

        GET /jobs/v1/runs/{id}/logs[?tail][&since] -> {logs: [{timestamp, message, log_stream_name, event_id}]}.

        `since` is an ISO date-time in UTC with milliseconds.
        """
        return self._call(_jobs.logs, project_id, job_id, tail=tail, since=since)

    @of_project
    def cancel(self, project_id: str, job_id: str) -> Any:
        """Cancel a queued or running job.

        DELETE /jobs/v1/runs/{id} -> the job.
        """
        return self._call(_jobs.cancel, project_id, job_id)

    @of_project
    def purge(self, project_id: str) -> Any:
        """Delete every job record of the project; running jobs are ended first.

        DELETE /jobs/v1/runs -> {deleted_jobs, cancelled_active_jobs, terminated_instances}; running jobs are ended
        first.
        """
        return self._call(_jobs.purge, project_id)

    @of_project
    def artifacts_get(
        self, project_id: str, job_id: str, filename: str, target: Path, *, overwrite: bool = False
    ) -> dict[str, Any]:
        """Save one output file of a completed job.

        GET /jobs/v1/runs/{id}/artifacts/{file}, streamed to `target`, which appears only when it is complete.

        Returns {job_id, filename, project_id, output (absolute path), content_type?, size_bytes?}. Raises ApiError 404
        while the job has not completed or has no such file, CommandError EMPTY_BODY when nothing came, FILE_EXISTS
        (unless `overwrite`), BAD_FILE when `target` cannot be written.
        """
        return self._call(_jobs.fetch_artifact, project_id, job_id, filename, target, overwrite=overwrite)

    fetch_artifact = artifacts_get  # the older name
