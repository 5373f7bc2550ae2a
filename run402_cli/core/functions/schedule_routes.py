"""Running a schedule by hand."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.callers.policies import SERVICE_KEY_NO_OTHER
from run402_cli.core.errors import GatewayError
from run402_cli.core.functions import runs, schedule_rows
from run402_cli.core.functions.run_routes import function_name
from run402_cli.core.functions.schedules import enqueue, metas
from run402_cli.core.gateway import gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.web.http import reply
from run402_cli.core.web.routing import Route, admitted


async def _trigger(request: Request, trigger_id: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Enqueue a trigger by hand: (run, schedule_meta)."""
    gateway = gateway_of(request)
    name = function_name(request)
    project_id = admitted(request, Project).project_id
    async with gateway.connection() as conn:
        async with conn.transaction():
            row = await schedule_rows.locked(conn, project_id, name, trigger_id)
            if row is None:
                raise GatewayError(
                    404,
                    "scheduled_function_not_found",
                    f"{name} has no schedule{f' {trigger_id}' if trigger_id else ''} in the active release. "
                    "`run402 functions list` shows what it has.",
                )
            run = await enqueue(conn, row, "manual", runs.current_time())
        meta = (await metas(conn, project_id))[name, row["trigger_id"]]
    gateway.functions.dispatcher.wake()
    return run, meta


async def run_trigger(request: Request) -> Response:
    """POST /projects/v1/{id}/functions/{name}/triggers/{trigger_id}/run (service key): 202 `{run, schedule_meta}`.

    404 scheduled_function_not_found, 403 forbidden for another key. docs/local-gateway-functions.md
    """
    run, meta = await _trigger(request, request.path_params["trigger_id"])
    return reply({"run": run, "schedule_meta": meta}, 202)


async def run_first_trigger(request: Request) -> Response:
    """POST /projects/v1/{id}/functions/{name}/trigger (service key): 200 with the run of its first schedule."""
    run, meta = await _trigger(request, None)
    body = {"request_id": run["run_id"], "status": 202, "response": run, "run": run, "schedule_meta": meta}
    return reply(body)


ROUTES = [
    Route(
        "/projects/v1/{project_id}/functions/{name}/triggers/{trigger_id}/run",
        run_trigger,
        methods=["POST"],
        who=SERVICE_KEY_NO_OTHER,
    ),
    Route(
        "/projects/v1/{project_id}/functions/{name}/trigger",
        run_first_trigger,
        methods=["POST"],
        who=SERVICE_KEY_NO_OTHER,
    ),
]
