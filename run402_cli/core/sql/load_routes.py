"""Rows of CSV or NDJSON into a table, with the service key. See docs/projects.md, "Loading rows"."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from run402_cli.core.callers.policies import SERVICE_KEY
from run402_cli.core.errors import GatewayError, bad_field
from run402_cli.core.gateway import gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.sql.load import IDLE_SECONDS, load
from run402_cli.core.web.body_limit import STREAMED
from run402_cli.core.web.http import reply
from run402_cli.core.web.routing import Route, admitted

_FORMATS = ("csv", "ndjson")


async def load_table(request: Request) -> Response:
    """POST /projects/v1/admin/{project_id}/load?table&format=csv|ndjson[&again=true]: the rows are the body, all or none.

    `{status, table, rows, bytes, sha256, columns}`. CSV has a header line; an empty cell is NULL, with quotes an empty text.
    The same content is not loaded into the same table twice within a day, unless `again`.
    Errors: 400 invalid_request, 400 load_rejected (details.rejects: [{line, message, value, column?, detail?, sqlstate?}], at
    most 20), 400 sql_error, 401 authentication_required, 404 table_not_found, 408 request_timeout, 409 already_loaded or
    load_running, 413 request_too_large (bytes: load.MOST_BYTES).
    """
    gateway, project = gateway_of(request), admitted(request, Project)
    asked = request.query_params
    table, kind, again = asked.get("table", ""), asked.get("format", ""), asked.get("again", "false")
    if not table or "\0" in table:
        raise bad_field("table", "the name of a table")
    if kind not in _FORMATS:
        raise bad_field("format", " or ".join(_FORMATS))
    if again not in ("true", "false"):
        raise bad_field("again", "true or false")
    body = request.stream()
    try:
        return reply(await load(gateway, project, table, kind, body, again=again == "true"))
    except GatewayError as exc:
        if exc.status not in (408, 413):
            await _drain(body)
        raise


async def _drain(body: AsyncIterator[bytes]) -> None:
    """A client that is still sending hears the answer when it has sent all."""
    with contextlib.suppress(ClientDisconnect, TimeoutError, RuntimeError):
        async with asyncio.timeout(IDLE_SECONDS):
            async for _part in body:
                pass


ROUTES = [
    Route("/projects/v1/admin/{project_id}/load", load_table, methods=["POST"], who=SERVICE_KEY, body=STREAMED),
]
