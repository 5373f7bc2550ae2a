"""Where a browser finds what a project serves: at the project's own origin. docs/local-gateway.md, "Origins"."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from run402_cli.core.callers.surfaces import is_navigation, site_label
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.projects.rows import Project
from run402_cli.core.releases.rows import host_url
from run402_cli.core.sites.lookup import project_of_host
from run402_cli.core.web.http import public_base


async def sent_on(conn: Connection, request: Request, project: Project, path: bytes) -> Response | None:
    """The way to `path` at the project's origin, for a browser that came to the gateway's host to show it; else None.

    421 misdirected_request at the host of another project, whose page this would be.
    """
    label = site_label(request.headers)
    url = host_url(public_base(request), project.public_id)
    if label is None:
        if not is_navigation(request.headers):
            return None
        query: bytes = request.scope.get("query_string") or b""
        rest = (path.lstrip(b"/") + (b"?" + query if query else b"")).decode("latin-1")
        headers = {"Cache-Control": "no-store", "Vary": "Sec-Fetch-Mode, User-Agent, Accept"}
        return RedirectResponse(url + rest, 307, headers)
    if await project_of_host(conn, label) == project.project_id:
        return None
    raise GatewayError(
        421,
        "misdirected_request",
        f"{request.headers['host']} is not a host of {project.project_id}, which has {url}. Send the request there.",
        url=url.rstrip("/") + request.url.path,
    )
