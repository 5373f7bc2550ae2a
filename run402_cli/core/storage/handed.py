"""POST /apply/v1/service-asset-put: one asset from a running function, stored at once and without a release."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.content.files import file_sha256
from run402_cli.core.content.receiving import receive_to
from run402_cli.core.content.store import storage_failure
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.storage import assets_request, objects
from run402_cli.core.storage.keys import checked_key
from run402_cli.core.storage.uploads import store_object
from run402_cli.core.web.http import reply
from run402_cli.core.web.routing import admitted

PREFIX = "x-run402-asset-"
WHERE = "the request headers"


async def service_asset_put(request: Request) -> Response:
    """The raw body becomes the asset named by `x-run402-asset-key`; 200 with its asset reference. Service key.

    Further headers: -visibility, -immutable (default true), -exif-policy, -metadata (JSON), and Content-Type. 400 for
    a bad one or an empty body, 413 content_too_large. docs/assets.md
    """
    gateway = gateway_of(request)
    project = admitted(request, Project)
    named = _properties(request)
    limit = gateway.settings.max_object_bytes
    path = gateway.store.temporary()
    try:
        size = await receive_to(request, path, limit + 1)
        if not 1 <= size <= limit:
            raise _size_error(size, limit)
        sha256 = await asyncio.to_thread(file_sha256, path)
        put = assets_request.Put(sha256=sha256, size_bytes=size, **named)
        async with gateway.connection() as conn:
            facts = await store_object(gateway, conn, project.project_id, put, path)
    except OSError as exc:
        raise storage_failure(exc) from exc
    finally:
        path.unlink(missing_ok=True)
    ref = objects.asset_ref(gateway.settings.public_url, project.project_id, put, facts)
    return reply({**ref, "asset_ref": ref})


def _properties(request: Request) -> dict[str, Any]:
    headers = request.headers
    raw = headers.get(f"{PREFIX}metadata")
    try:
        metadata = None if raw is None else json.loads(raw)
    except (ValueError, RecursionError) as exc:
        raise GatewayError(400, "invalid_asset_metadata", f"{PREFIX}metadata is not JSON: {exc}.") from exc
    immutable = headers.get(f"{PREFIX}immutable", "true").lower()
    if immutable not in ("true", "false"):
        raise GatewayError(400, "invalid_request", f"{PREFIX}immutable must be true or false.")
    return {
        "key": checked_key(headers.get(f"{PREFIX}key")),
        "content_type": assets_request.content_type(headers.get("content-type") or None, WHERE),
        "visibility": assets_request.visibility(headers.get(f"{PREFIX}visibility"), WHERE),
        "immutable": immutable == "true",
        "metadata": assets_request.metadata(metadata, WHERE),
        "exif_policy": assets_request.exif_policy(headers.get(f"{PREFIX}exif-policy"), WHERE),
    }


def _size_error(size: int, limit: int) -> GatewayError:
    if size:
        return GatewayError(413, "content_too_large", f"An asset may have {limit} bytes.", max_bytes=limit)
    return GatewayError(400, "invalid_size", "The body is empty; an asset has at least one byte.")
