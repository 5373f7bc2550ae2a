"""The console's way to the data: the gateway's own routes, called in this process with the project's service key or the token.

So a page shows what the API answers, by the same queries and the same checks, and there is no second way to read anything.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.types import Message

from run402_cli.core.gateway import gateway_of
from run402_cli.core.projects.keys import keys_of
from run402_cli.core.projects.rows import Project
from run402_cli.local_gateway import CONTROL_HEADER


async def get(request: Request, path: str, project: Project | None = None, **query: str | int | None) -> Any:
    """The JSON that GET `path` answers; its GatewayError is raised. The answer has no page's request headers in it."""
    # Who may look has been asked already; what is about no project opens with the gateway's own token.
    settings = gateway_of(request).settings
    name, value = (
        ("apikey", keys_of(settings, project).service) if project else (CONTROL_HEADER, settings.control_token)
    )
    credential = (name.lower().encode(), value.encode())
    given = {field: each for field, each in query.items() if each is not None}
    scope = {
        "type": "http",
        "method": "GET",
        "http_version": "1.1",
        "scheme": "http",
        "path": path,
        "raw_path": quote(path).encode(),
        "root_path": "",
        "query_string": urlencode(given).encode(),
        "headers": [(b"host", request.url.netloc.encode()), credential],
        "client": request.scope.get("client"),
        "server": request.scope.get("server"),
        "app": request.app,
    }
    body = bytearray()

    async def send(message: Message) -> None:
        body.extend(message.get("body", b""))

    await request.app.router(scope, _nothing, send)
    return json.loads(body)


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}
