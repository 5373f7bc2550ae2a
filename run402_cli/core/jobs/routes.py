"""/jobs/v1: submit a job, read it and its log, fetch its files, cancel, purge; service key. See docs/jobs.md."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from run402_cli.core.callers.policies import SERVICE_KEY_OF_A_PROJECT
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError, bad_field
from run402_cli.core.functions.log_routes import tail_of
from run402_cli.core.gateway import gateway_of
from run402_cli.core.jobs import rows
from run402_cli.core.jobs.types import TYPES
from run402_cli.core.jobs.views import view
from run402_cli.core.projects.rows import Project
from run402_cli.core.web.http import instant_of, read_object, reply
from run402_cli.core.web.instants import iso
from run402_cli.core.web.outbound import checked_target
from run402_cli.core.web.routing import Route, admitted
from run402_cli.release.canonical import compact_json

MAX_COST = 2**53
MAX_KEY = 255


async def submit(request: Request) -> Response:
    """POST /jobs/v1/runs (service key) `{job_type, input: {input_json}, max_cost_usd_micros, callback_url?}`: 201 the job.

    The same `Idempotency-Key` and body give the same job with 200. 400 invalid_request, invalid_job_input; 409
    idempotency_key_conflict; 422 unknown_job_type. Costs in USD micros.
    """
    gateway = gateway_of(request)
    project = admitted(request, Project)
    values = _checked(await read_object(request), request.headers.get("idempotency-key"))
    async with gateway.connection() as conn:
        row = await rows.insert(conn, project.project_id, values)
        if row is None:
            return reply(view(gateway.settings.public_url, await _same(conn, project, values)))
    gateway.jobs.wake()
    return reply(view(gateway.settings.public_url, row), 201)


def _checked(body: Mapping[str, Any], key: str | None) -> dict[str, Any]:
    if key is not None and not 1 <= len(key) <= MAX_KEY:
        raise GatewayError(400, "invalid_request", f"Idempotency-Key must have 1 to {MAX_KEY} characters.", code=None)
    name, cost = body.get("job_type"), body.get("max_cost_usd_micros")
    kind = TYPES.get(name) if isinstance(name, str) else None
    if kind is None:
        raise GatewayError(
            422,
            "unknown_job_type",
            f"A local gateway has no job type {name!r}; it has {', '.join(TYPES)}. Other types run on a cloud project.",
            field="job_type",
            details={"job_types": list(TYPES)},
        )
    given = body.get("input")
    data = given.get("input_json") if isinstance(given, Mapping) else None
    if not isinstance(data, Mapping):
        raise bad_field("input.input_json", "a JSON object")
    if isinstance(cost, bool) or not isinstance(cost, int) or not 0 <= cost <= MAX_COST:
        said = "`max_cost_usd_micros` must be a whole number of USD micros, 0 or more. Nothing is charged here."
        raise GatewayError(400, "invalid_request", said, code=None, field="max_cost_usd_micros")
    kind.check(data)
    callback = body.get("callback_url")
    target = None if callback is None else checked_target(callback, "callback_url")
    wanted = {"job_type": name, "input": data, "cost": cost, "callback": target}
    return {
        **wanted,
        "key": key,
        "sha256": hashlib.sha256(compact_json(wanted).encode()).hexdigest(),
    }


async def _same(conn: Connection, project: Project, values: Mapping[str, Any]) -> rows.Row:
    row = await rows.of_key(conn, project.project_id, values["key"])
    if row is None or row["request_sha256"] != values["sha256"]:
        raise GatewayError(
            409,
            "idempotency_key_conflict",
            "This Idempotency-Key made another job. Repeat the same request, or use another key.",
        )
    return row


async def _job(conn: Connection, request: Request) -> rows.Row:
    return await rows.fetch(conn, admitted(request, Project).project_id, request.path_params["job_id"])


async def get_job(request: Request) -> Response:
    """GET /jobs/v1/runs/{job_id} (service key): the job. 404 job_not_found."""
    gateway = gateway_of(request)
    async with gateway.connection() as conn:
        return reply(view(gateway.settings.public_url, await _job(conn, request)))


async def job_logs(request: Request) -> Response:
    """GET /jobs/v1/runs/{job_id}/logs?tail&since (service key): `{logs}`, oldest first.

    400 invalid_request, invalid_timestamp; 404 job_not_found.
    """
    tail, since = tail_of(request), instant_of(request, "since", code=None)
    async with gateway_of(request).connection() as conn:
        row = await _job(conn, request)
        found = await rows.said(conn, row["job_id"], since=since, tail=tail)
    stream = f"{row['job_type']}/{row['job_id']}"
    entries = [
        {
            "timestamp": iso(moment),
            "message": message,
            "log_stream_name": stream,
            "event_id": f"joblog_{number}",
            "ingestion_time": iso(moment),
        }
        for number, moment, message in found
    ]
    return reply({"logs": entries})


async def cancel(request: Request) -> Response:
    """DELETE /jobs/v1/runs/{job_id} (service key): the job, cancelled; one that has ended stays as it is."""
    gateway = gateway_of(request)
    async with gateway.connection() as conn:
        row = await _job(conn, request)
        if await rows.cancel(conn, row["job_id"]):
            gateway.jobs.stop(row["job_id"])
            gateway.jobs.wake()
        return reply(view(gateway.settings.public_url, await _job(conn, request)))


async def purge(request: Request) -> Response:
    """DELETE /jobs/v1/runs (service key): every job of the project goes.

    `{deleted_jobs, cancelled_active_jobs, terminated_instances}`
    """
    gateway = gateway_of(request)
    async with gateway.connection() as conn:
        gone = await rows.delete_all(conn, admitted(request, Project).project_id)
    ended = sum(gateway.jobs.stop(job_id) for job_id, status in gone if status == "running")
    active = sum(status in rows.ACTIVE for _, status in gone)
    return reply({"deleted_jobs": len(gone), "cancelled_active_jobs": active, "terminated_instances": ended})


async def artifact(request: Request) -> Response:
    """GET /jobs/v1/runs/{job_id}/artifacts/{file} (service key): the bytes. 404 job_not_found, artifact_not_found."""
    gateway = gateway_of(request)
    async with gateway.connection() as conn:
        row = await _job(conn, request)
    name = request.path_params["file"]
    facts = (row["artifacts"] or {}).get(name)
    path: Path | None = gateway.store.path(facts["sha256"]) if facts else None
    if facts is None or path is None or not path.exists():
        has = ", ".join(row["artifacts"] or {}) or f"none: it is {row['status']}"
        raise GatewayError(404, "artifact_not_found", f"{row['job_id']} has no file {name}. It has {has}.")
    # Starlette would add a charset to text types that have one already.
    return FileResponse(path, headers={"Content-Type": facts["content_type"], "Cache-Control": "private, no-store"})


ROUTES = [
    Route("/jobs/v1/runs", submit, methods=["POST"], who=SERVICE_KEY_OF_A_PROJECT),
    Route("/jobs/v1/runs", purge, methods=["DELETE"], who=SERVICE_KEY_OF_A_PROJECT),
    Route("/jobs/v1/runs/{job_id}", get_job, methods=["GET"], who=SERVICE_KEY_OF_A_PROJECT),
    Route("/jobs/v1/runs/{job_id}", cancel, methods=["DELETE"], who=SERVICE_KEY_OF_A_PROJECT),
    Route("/jobs/v1/runs/{job_id}/logs", job_logs, methods=["GET"], who=SERVICE_KEY_OF_A_PROJECT),
    Route("/jobs/v1/runs/{job_id}/artifacts/{file}", artifact, methods=["GET"], who=SERVICE_KEY_OF_A_PROJECT),
]
