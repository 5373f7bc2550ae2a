"""Stored objects as the API shows them: addresses, references, the revision of a set of keys."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from run402_cli.core.errors import GatewayError
from run402_cli.core.storage.assets_request import Put
from run402_cli.core.storage.keys import url_path
from run402_cli.core.storage.object_rows import (
    StoredObject,
)
from run402_cli.core.web.instants import iso

_REVISION_KEY: Final = b"run402-core-storage-inventory-v1"


def revision(keys: Iterable[str]) -> str:
    """What a set of keys looked like: equal for equal sets."""
    text = json.dumps(sorted(keys), ensure_ascii=False, separators=(",", ":"))
    return hmac.new(_REVISION_KEY, text.encode(), hashlib.sha256).hexdigest()


def public_url(base: str, project_id: str, key: str) -> str:
    return f"{base}/projects/v1/{project_id}/storage/public/{url_path(key)}"


def immutable_url(base: str, project_id: str, sha256: str, key: str) -> str:
    return f"{base}/projects/v1/{project_id}/storage/immutable/{sha256}/{url_path(key)}"


def object_view(base: str, project_id: str, item: StoredObject) -> dict[str, Any]:
    """The object as the storage routes answer it."""
    view: dict[str, Any] = {
        "project_id": project_id,
        "key": item.key,
        "sha256": item.sha256,
        "size_bytes": item.size_bytes,
        "content_type": item.content_type,
        "visibility": item.visibility,
        "immutable": item.immutable,
        "created_at": iso(item.created_at),
        "updated_at": iso(item.updated_at),
    }
    if item.visibility == "public":
        view["public_url"] = public_url(base, project_id, item.key)
        if item.immutable:
            view["immutable_url"] = immutable_url(base, project_id, item.sha256, item.key)
    return view


def asset_ref(
    base: str, project_id: str, put: Put, image: Mapping[str, Any] | None, *, metadata: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What a caller needs to use an asset: addresses, digests in every spelling, and picture facts."""
    public = put.visibility == "public"
    url = public_url(base, project_id, put.key) if public else None
    fixed = immutable_url(base, project_id, put.sha256, put.key) if public and put.immutable else None
    digest = base64.b64encode(bytes.fromhex(put.sha256)).decode()
    return {
        "key": put.key,
        "sha256": put.sha256,
        "size_bytes": put.size_bytes,
        "content_type": put.content_type,
        "visibility": put.visibility,
        "immutable": put.immutable,
        "url": url,
        "immutable_url": fixed,
        "cdn_url": url,
        "cdn_immutable_url": fixed,
        "etag": f'"sha256-{put.sha256}"',
        "sri": f"sha256-{digest}",
        "content_digest": f"sha-256=:{digest}:",
        "metadata": dict(put.metadata) if put.metadata is not None else metadata,
        "image_format": None,
        "image_exif_policy": put.exif_policy,
        **(image or {}),
    }


def not_found(project_id: str, key: str) -> GatewayError:
    return GatewayError(
        404,
        "storage_not_found",
        f"There is no asset {key} in {project_id} for this caller. `run402 assets ls` lists what is there.",
    )
