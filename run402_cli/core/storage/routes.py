"""The route table of stored objects."""

from __future__ import annotations

from run402_cli.core.callers.policies import SERVICE_KEY, SERVICE_KEY_OF_A_PROJECT
from run402_cli.core.sites.routes import HostRoute
from run402_cli.core.storage import blobs, handed, reads, uploads
from run402_cli.core.storage.callers import PUBLIC_OR_SIGNED, SIGNED_URL
from run402_cli.core.web.body_limit import STREAMED
from run402_cli.core.web.routing import OPEN, Route

_PROJECT = "/projects/v1/{project_id}/storage"

ROUTES = [
    Route("/storage/v1/blobs", blobs.list_blobs, methods=["GET"], who=SERVICE_KEY_OF_A_PROJECT),
    Route("/storage/v1/blobs/diagnose", blobs.diagnose, methods=["GET"], who=SERVICE_KEY_OF_A_PROJECT),
    Route("/storage/v1/blob/{key:path}/sign", blobs.sign_blob, methods=["POST"], who=SERVICE_KEY_OF_A_PROJECT),
    Route("/storage/v1/blob/{key:path}", blobs.get_blob, methods=["GET"], who=SERVICE_KEY_OF_A_PROJECT),
    Route("/storage/v1/blob/{key:path}", blobs.delete_blob, methods=["DELETE"], who=SERVICE_KEY_OF_A_PROJECT),
    Route(
        "/apply/v1/service-asset-put",
        handed.service_asset_put,
        methods=["POST"],
        who=SERVICE_KEY_OF_A_PROJECT,
        body=STREAMED,
    ),
    Route(f"{_PROJECT}/uploads", uploads.create, methods=["POST"], who=SERVICE_KEY),
    Route(f"{_PROJECT}/uploads/{{upload_id}}", uploads.show, methods=["GET"], who=SERVICE_KEY),
    Route(
        f"{_PROJECT}/uploads/{{upload_id}}/bytes",
        uploads.receive,
        methods=["PUT"],
        who=SERVICE_KEY,
        body=STREAMED,
        settles=False,
    ),
    Route(f"{_PROJECT}/uploads/{{upload_id}}/complete", uploads.complete, methods=["POST"], who=SERVICE_KEY),
    Route(f"{_PROJECT}/uploads/{{upload_id}}/abort", uploads.abort, methods=["POST"], who=SERVICE_KEY),
    Route(f"{_PROJECT}/objects", blobs.list_objects, methods=["GET"], who=SERVICE_KEY),
    Route(f"{_PROJECT}/cleanup", uploads.cleanup, methods=["POST"], who=SERVICE_KEY),
    Route(f"{_PROJECT}/public/{{key:path}}", reads.read_public, methods=["GET"], who=OPEN),
    Route(f"{_PROJECT}/immutable/{{sha256}}/{{key:path}}", reads.read_immutable, methods=["GET"], who=PUBLIC_OR_SIGNED),
    Route(f"{_PROJECT}/signed/{{key:path}}", reads.read_signed, methods=["GET"], who=SIGNED_URL),
    Route(f"{_PROJECT}/blob/{{key:path}}/sign", blobs.sign_object, methods=["POST"], who=SERVICE_KEY),
    Route(f"{_PROJECT}/blob/{{key:path}}", reads.read_blob, methods=["GET"], who=SERVICE_KEY),
    Route(f"{_PROJECT}/blob/{{key:path}}", blobs.delete_object, methods=["DELETE"], who=SERVICE_KEY),
    HostRoute("/_blob/{key:path}", reads.read_at_site, methods=["GET"], who=OPEN),
]
