"""Routes of portable archives. See docs/archives.md."""

from __future__ import annotations

from run402_cli.core.archives.export_routes import create_archive, download_archive, get_archive
from run402_cli.core.archives.import_routes import import_route
from run402_cli.core.callers.policies import OWNER
from run402_cli.core.web.routing import HOLDER, Route

ROUTES = [
    Route("/archives/v1/import", import_route, methods=["POST"], who=HOLDER),
    Route("/projects/v1/{project_id}/archives", create_archive, methods=["POST"], who=OWNER),
    Route("/projects/v1/{project_id}/archives/{archive_id}", get_archive, methods=["GET"], who=OWNER),
    Route("/projects/v1/{project_id}/archives/{archive_id}/download", download_archive, methods=["GET"], who=OWNER),
]
