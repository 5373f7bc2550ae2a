"""Routes of portable archives. See docs/archives.md."""

from __future__ import annotations

from starlette.routing import Route

from run402_cli.core.archives.exporting import create_archive, download_archive, get_archive
from run402_cli.core.archives.importing import import_route

ROUTES = [
    Route("/archives/v1/import", import_route, methods=["POST"]),
    Route("/projects/v1/{project_id}/archives", create_archive, methods=["POST"]),
    Route("/projects/v1/{project_id}/archives/{archive_id}", get_archive, methods=["GET"]),
    Route("/projects/v1/{project_id}/archives/{archive_id}/download", download_archive, methods=["GET"]),
]
