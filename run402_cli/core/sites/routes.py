"""Sites, below /projects/v1/{id}/static and at http://<name>.localhost."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from run402_cli.core.callers.auth import project_by_id
from run402_cli.core.callers.policies import SERVICE_KEY
from run402_cli.core.callers.surfaces import CONTROL_PLANE, site_label
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.sites.lookup import ALL_METHODS, live_sites, project_of_host
from run402_cli.core.sites.origin import sent_on
from run402_cli.core.sites.static import raw_path, redirect, serve
from run402_cli.core.web.http import reply
from run402_cli.core.web.routing import OPEN, Route, admitted
from run402_cli.release.static_manifest import static_manifest_sha256

_STATIC_PREFIX = re.compile(rb"^/projects/v1/[^/]+/static")


async def serve_project(request: Request) -> Response:
    """Any method /projects/v1/{project_id}/static[/path]: a file of the active release, or a JSON error.

    307 to the project's own origin for a browser that would show it as a page.
    400 invalid_request for a path that no site can have, 404 project_not_found or static_not_found, 405
    method_not_allowed with Allow. docs/local-gateway.md
    """
    async with gateway_of(request).connection() as conn:
        project = await project_by_id(conn, request.path_params["project_id"])
        raw = raw_path(request.scope)
        prefix = _STATIC_PREFIX.match(raw)
        below = raw[prefix.end() :] if prefix else b""
        if (away := await sent_on(conn, request, project, below)) is not None:
            return away
        site = await live_sites.active(conn, project.project_id)
    if not below and site is not None and request.method in ("GET", "HEAD"):
        # Without the slash a page's relative links would point beside the site.
        return redirect(request, raw + b"/")
    path = (below or b"/").decode("latin-1")
    return await serve(request, site, path, f"project {project.project_id}", project)


async def serve_host(request: Request) -> Response:
    """Any method http://<name>.localhost/path: the site of the project that holds the name (or has it as public id)."""
    label = site_label(request.headers) or ""
    async with gateway_of(request).connection() as conn:
        project_id = await project_of_host(conn, label)
        site = await live_sites.active(conn, project_id) if project_id else None
    if project_id is None:
        raise GatewayError(
            404,
            "host_not_found",
            f"No project of this gateway has the subdomain {label}. Deploy one with subdomains.set.",
        )
    return await serve(request, site, raw_path(request.scope).decode("latin-1"), f"project {project_id}")


async def diagnostics(request: Request) -> Response:
    """GET /projects/v1/{project_id}/static-diagnostics (service key): what is public and what is not."""
    project = admitted(request, Project)
    async with gateway_of(request).connection() as conn:
        site = await live_sites.active(conn, project.project_id)
    files = site.files if site else {}
    assets = [entry["path"] for entry in site.state["site"]["paths"]] if site else []
    public = {entry["asset_path"] for entry in files.values()}
    return reply(
        {
            "project_id": project.project_id,
            "release_id": site.release_id if site else None,
            "route_manifest_sha256": site.state["routes"]["manifest_sha256"] if site else None,
            "static_manifest_sha256": static_manifest_sha256(site.state["static_manifest"]) if site else None,
            "public_paths": [
                {
                    "public_path": path,
                    **{key: entry[key] for key in ("asset_path", "sha256", "content_type", "authority", "direct")},
                    "methods": entry.get("methods", ["GET", "HEAD"]),
                }
                for path, entry in sorted(files.items())
            ],
            "release_asset_paths": assets,
            "non_public_asset_paths": [path for path in assets if path not in public],
        }
    )


class HostRoute(Route):
    """Matches any path of `<name>.localhost` that is not an API path."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http" or CONTROL_PLANE.fullmatch(scope["path"]):
            return Match.NONE, {}
        if site_label(Request(scope).headers) is None:
            return Match.NONE, {}
        return super().matches(scope)


METHODS = list(ALL_METHODS)
ROUTES = [
    Route("/projects/v1/{project_id}/static-diagnostics", diagnostics, methods=["GET"], who=SERVICE_KEY),
    Route("/projects/v1/{project_id}/static", serve_project, methods=METHODS, who=OPEN, settles=False),
    Route("/projects/v1/{project_id}/static/{path:path}", serve_project, methods=METHODS, who=OPEN, settles=False),
    HostRoute("/{path:path}", serve_host, methods=METHODS, who=OPEN, settles=False),
]
