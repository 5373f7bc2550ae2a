"""The routes of functions' logs."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.callers.policies import SERVICE_KEY
from run402_cli.core.errors import GatewayError
from run402_cli.core.functions.bundle_rows import require_deployed
from run402_cli.core.functions.functions_request import NAME
from run402_cli.core.functions.logs import DEFAULT_TAIL, read
from run402_cli.core.gateway import gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.web.http import instant_of, query_limit, reply
from run402_cli.core.web.routing import Route, admitted

MAX_TAIL = 1000
REQUEST_ID = re.compile(r"(?:req|fnrun|fnatt)_[A-Za-z0-9_-]{4,128}")


def tail_of(request: Request) -> int:
    """`tail` of the query; above the limit means the limit. 400 invalid_request."""
    return query_limit(request, "tail", DEFAULT_TAIL, MAX_TAIL, code=None, field="tail")


async def function_logs(request: Request) -> Response:
    """GET /projects/v1/admin/{id}/functions/{name}/logs?tail&since&request_id and .../functions/logs (service key).

    200 `{logs: [{timestamp, message, stream, level, request_id, ...}]}`, oldest first. 400 invalid_request,
    invalid_request_id, invalid_timestamp, invalid_function_name. 404 function_not_found when there is neither a line nor
    such a function. docs/local-gateway-functions.md
    """
    gateway = gateway_of(request)
    project = admitted(request, Project)
    name = request.path_params.get("name") or request.query_params.get("function_name")
    if name is not None and not NAME.fullmatch(name):
        raise GatewayError(400, "invalid_function_name", f"{name!r} is not the name of a function.", code=None)
    request_id = request.query_params.get("request_id")
    if request_id is not None and not REQUEST_ID.fullmatch(request_id):
        raise GatewayError(400, "invalid_request_id", "request_id must begin with req_, fnrun_ or fnatt_.", code=None)
    entries = await read(
        gateway,
        project.project_id,
        function_name=name,
        request_id=request_id,
        since=instant_of(request, "since", code=None),
        tail=tail_of(request),
    )
    gone = name is not None and not entries and not await read(gateway, project.project_id, function_name=name, tail=1)
    if name is not None and gone:  # one that is no longer deployed has left its lines
        async with gateway.connection() as conn:
            await require_deployed(conn, project, name)
    return reply({"logs": entries})


ROUTES = [
    Route("/projects/v1/admin/{project_id}/functions/{name}/logs", function_logs, methods=["GET"], who=SERVICE_KEY),
    Route("/projects/v1/{project_id}/functions/logs", function_logs, methods=["GET"], who=SERVICE_KEY),
]
