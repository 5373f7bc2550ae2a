"""The route table of stored objects."""

from __future__ import annotations

from starlette.routing import Route

from run402_cli.core.sites.static import HostRoute
from run402_cli.core.storage import blobs, handed, reads, uploads
from run402_cli.core.web.routing import OPEN

_PROJECT = "/projects/v1/{project_id}/storage"

ROUTES = [
    Route("/storage/v1/blobs", blobs.list_blobs, methods=["GET"]),
    Route("/storage/v1/blobs/diagnose", blobs.diagnose, methods=["GET"]),
    Route("/storage/v1/blob/{key:path}/sign", blobs.sign_blob, methods=["POST"]),
    Route("/storage/v1/blob/{key:path}", blobs.get_blob, methods=["GET"]),
    Route("/storage/v1/blob/{key:path}", blobs.delete_blob, methods=["DELETE"]),
    Route("/apply/v1/service-asset-put", handed.service_asset_put, methods=["POST"]),
    Route(f"{_PROJECT}/uploads", uploads.create, methods=["POST"]),
    Route(f"{_PROJECT}/uploads/{{upload_id}}", uploads.show, methods=["GET"]),
    Route(f"{_PROJECT}/uploads/{{upload_id}}/bytes", uploads.receive, methods=["PUT"]),
    Route(f"{_PROJECT}/uploads/{{upload_id}}/complete", uploads.complete, methods=["POST"]),
    Route(f"{_PROJECT}/uploads/{{upload_id}}/abort", uploads.abort, methods=["POST"]),
    Route(f"{_PROJECT}/objects", blobs.list_objects, methods=["GET"]),
    Route(f"{_PROJECT}/cleanup", uploads.cleanup, methods=["POST"]),
    Route(f"{_PROJECT}/public/{{key:path}}", reads.read_public, methods=["GET"]),
    Route(f"{_PROJECT}/immutable/{{sha256}}/{{key:path}}", reads.read_immutable, methods=["GET"]),
    Route(f"{_PROJECT}/signed/{{key:path}}", reads.read_signed, methods=["GET"]),
    Route(f"{_PROJECT}/blob/{{key:path}}/sign", blobs.sign_object, methods=["POST"]),
    Route(f"{_PROJECT}/blob/{{key:path}}", reads.read_blob, methods=["GET"]),
    Route(f"{_PROJECT}/blob/{{key:path}}", blobs.delete_object, methods=["DELETE"]),
    HostRoute("/_blob/{key:path}", reads.read_at_site, methods=["GET"], who=OPEN),
]
