"""HTTP routes of the expose manifest. See docs/expose.md."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import anyio.to_thread
import psycopg
from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.callers.policies import SERVICE_KEY
from run402_cli.core.errors import GatewayError
from run402_cli.core.expose.applying import apply, current, validate, validate_alone
from run402_cli.core.expose.model import ExposeReport
from run402_cli.core.gateway import gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.sql.locks import lock_option, patiently
from run402_cli.core.web import body_limit, json_text
from run402_cli.core.web.http import read_json, read_object, reply
from run402_cli.core.web.routing import HOLDER_OR_WALLET, Route, admitted

_ATTEMPTS = 4
_TRY_AGAIN = (psycopg.errors.SerializationFailure, psycopg.errors.InternalError_)


async def post_expose(request: Request) -> Response:
    """POST /projects/v1/admin/{project_id}/expose, the manifest as the body: `{status, project_id, applied, dropped}`."""
    project = admitted(request, Project)
    manifest = await read_json(request)
    gateway = gateway_of(request)
    async with gateway.owner_connection(project.roles, options=lock_option()) as conn:

        async def once() -> dict[str, Any]:
            async with conn.transaction():
                return await apply(conn, project, manifest)

        result = await patiently(lambda: _repeated(once), gateway.settings.lock_patience)
    return reply({"status": "ok", "project_id": project.project_id, **result})


async def _repeated(once: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    for _ in range(_ATTEMPTS - 1):
        # A migration or another statement changed the same tables at the same time.
        with contextlib.suppress(*_TRY_AGAIN):
            return await once()
    return await once()


async def get_expose(request: Request) -> Response:
    """GET /projects/v1/admin/{project_id}/expose: `{status, project_id, source: applied|introspected, manifest}`."""
    project = admitted(request, Project)
    async with gateway_of(request).connection() as conn:
        found = await current(conn, project)
    return reply({"status": "ok", "project_id": project.project_id, **found})


async def validate_for_project(request: Request) -> Response:
    """POST /projects/v1/admin/{project_id}/expose/validate `{manifest, migration_sql?}`: `{hasErrors, errors, warnings}`."""
    manifest, migration_sql = await _validation_input(request)
    if isinstance(manifest, ExposeReport):
        return reply(manifest.body())
    project = admitted(request, Project)
    async with gateway_of(request).connection() as conn:
        report = await validate(conn, project, manifest, migration_sql)
    return reply(report.body())


async def validate_without_project(request: Request) -> Response:
    """POST /projects/v1/expose/validate: the same, against nothing but the migration SQL in the body."""
    manifest, migration_sql = await _validation_input(request)
    if isinstance(manifest, ExposeReport):
        return reply(manifest.body())
    report = await anyio.to_thread.run_sync(validate_alone, manifest, migration_sql)
    return reply(report.body())


async def _validation_input(request: Request) -> tuple[Any, str | None]:
    body = await read_object(request)
    if "manifest" not in body:
        raise GatewayError(
            400,
            "invalid_request",
            'The body has no manifest. Send {"manifest": {...}, "migration_sql": "..."}.',
            code=None,
        )
    migration_sql = body.get("migration_sql")
    if migration_sql is not None and not isinstance(migration_sql, str):
        raise GatewayError(400, "invalid_request", "migration_sql must be a string of SQL.", code=None)
    manifest = body["manifest"]
    if isinstance(manifest, str):
        try:
            manifest = json_text.loads(manifest, json_text.most_values(body_limit.DEFAULT))
        except ValueError as exc:
            report = ExposeReport()
            report.error("schema-shape", f"The manifest is not valid JSON: {exc}.", "Send a JSON object.")
            return report, migration_sql
    return manifest, migration_sql


ROUTES = [
    Route("/projects/v1/admin/{project_id}/expose", post_expose, methods=["POST"], who=SERVICE_KEY),
    Route("/projects/v1/admin/{project_id}/expose", get_expose, methods=["GET"], who=SERVICE_KEY),
    Route("/projects/v1/admin/{project_id}/expose/validate", validate_for_project, methods=["POST"], who=SERVICE_KEY),
    Route("/projects/v1/expose/validate", validate_without_project, methods=["POST"], who=HOLDER_OR_WALLET),
]
