"""/projects/v1/{project_id}/archives: start an export, look at it, download it. See docs/archives.md."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from run402_cli import advice
from run402_cli.archive.format import VERSION
from run402_cli.core.archives import exporting
from run402_cli.core.archives.files import file_of
from run402_cli.core.archives.rows import ArchiveRecord
from run402_cli.core.archives.writing import CONSISTENCY, SCOPE
from run402_cli.core.errors import GatewayError, run_command
from run402_cli.core.gateway import gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.web.http import read_object, reply
from run402_cli.core.web.instants import iso
from run402_cli.core.web.routing import admitted

AUTH_MODES: Final = ("stubs", "none")
CONSISTENCY_MODES: Final = ("pause-writes", CONSISTENCY)


async def create_archive(request: Request) -> Response:
    """POST /projects/v1/{project_id}/archives {scope?, auth?, consistency?}: 202 archive, status running.

    A repeated Idempotency-Key returns the first archive. 400 EXPORT_SCOPE_UNSUPPORTED or EXPORT_CONSISTENCY_UNAVAILABLE.
    docs/archives.md
    """
    gateway, project = gateway_of(request), admitted(request, Project)
    body = await read_object(request)
    scope, auth = body.get("scope", SCOPE), body.get("auth", "stubs")
    consistency = body.get("consistency", CONSISTENCY)
    _refuse_other("scope", scope, (SCOPE,), "export_scope_unsupported")
    _refuse_other("auth", auth, AUTH_MODES, "export_scope_unsupported")
    _refuse_other("consistency", consistency, CONSISTENCY_MODES, "export_consistency_unavailable")
    key = request.headers.get("idempotency-key")
    async with gateway.connection() as conn:
        record = await exporting.begin(conn, project, scope, auth, key)
    exporting.carry_out(gateway, record)
    return reply(view(record), 202)


def _refuse_other(field: str, value: Any, allowed: tuple[str, ...], error: str) -> None:
    if value not in allowed:
        raise GatewayError(400, error, f"{field} must be {' or '.join(allowed)}, not {value!r}.", field=field)


async def get_archive(request: Request) -> Response:
    """GET /projects/v1/{project_id}/archives/{archive_id}: the archive. 404 archive_not_found."""
    return reply(view(await _find(request)))


async def _find(request: Request) -> ArchiveRecord:
    project = admitted(request, Project)
    async with gateway_of(request).connection() as conn:
        return await exporting.fetch(conn, project.project_id, request.path_params["archive_id"])


async def download_archive(request: Request) -> Response:
    """GET /projects/v1/{project_id}/archives/{archive_id}/download: the tar. 409 archive_not_ready, 410 archive_expired."""
    record = await _find(request)
    file = file_of(gateway_of(request), record.archive_id)
    again = f"Make a new one: {advice.command('cloud', 'archives', 'create', '--project', record.project_id, '--wait')}"
    if record.status == "expired" or (record.status == "ready" and not file.exists()):
        raise GatewayError(410, "archive_expired", f"{record.archive_id} has expired. {again}", retryable=False)
    if record.status != "ready":
        raise GatewayError(
            409,
            "archive_not_ready",
            f"{record.archive_id} is {record.status}.",
            details={"archive_id": record.archive_id, "status": record.status},
            retryable=record.status == "running",
        )
    return FileResponse(
        file,
        media_type="application/x-tar",
        filename=file.name,
        headers={"X-Run402-Content-Sha256": record.sha256 or "", "Cache-Control": "private, no-store"},
    )


def view(record: ArchiveRecord) -> dict[str, Any]:
    """The API's archive object; sizes in bytes."""
    ready = record.status == "ready"
    return {
        "archive_id": record.archive_id,
        "operation_id": record.operation_id,
        "project_id": record.project_id,
        "status": record.status,
        "format_version": VERSION,
        "scope": record.scope,
        "auth_export": record.auth_export,
        "consistency_mode": record.consistency_mode,
        "active_release_id": record.active_release_id,
        "consistency": record.facts.get("consistency", {}),
        "export_report": record.facts.get("export_report", {}),
        "portability_report": record.facts.get("portability_report", {"entries": []}),
        "error": record.error,
        "byte_count": record.byte_count,
        "sha256": record.sha256,
        "content_type": "application/x-tar" if ready else None,
        "download_url": f"/projects/v1/{record.project_id}/archives/{record.archive_id}/download" if ready else None,
        "download_authorized_until": iso(record.expires_at) if ready else None,
        "expires_at": iso(record.expires_at),
        "started_at": iso(record.started_at),
        "completed_at": iso(record.completed_at),
        "created_at": iso(record.created_at),
        "updated_at": iso(record.updated_at),
        "next_action": _next_action(record),
    }


def _next_action(record: ArchiveRecord) -> dict[str, Any]:
    name = (record.archive_id, "--project", record.project_id)
    match record.status:
        case "ready":
            return run_command("cloud", "archives", "download", *name, "--output", f"{record.archive_id}.r402ar")
        case "running":
            return run_command("cloud", "archives", "status", *name)
        case _:
            return run_command("cloud", "archives", "create", "--project", record.project_id, "--wait")
