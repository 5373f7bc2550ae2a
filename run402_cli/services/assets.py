"""Assets: list, sign, delete, diagnose, and what `put` needs to know about a file. See docs/assets.md.

Uploading is a deploy and lives in deploy/assets.py; downloading is in services/download.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from run402_cli.client import Client, segment, with_query
from run402_cli.errors import UsageError, ValidationError

MAX_METADATA_BYTES = 4096
SORTS = ("key:asc", "createdAt:asc", "createdAt:desc")
TEXT_FILTERS = ("uploaded_by", "tag", "format")
SIZE_FILTERS = ("min_width", "max_width", "min_height", "max_height")
FILTERS = ("uploaded_by", "tag", "format", "is_image", *SIZE_FILTERS)

_CONTENT_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "svg": "image/svg+xml",
    "webp": "image/webp",
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "json": "application/json",
    "txt": "text/plain",
    "md": "text/markdown",
    "pdf": "application/pdf",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "mov": "video/quicktime",
    "zip": "application/zip",
    "tgz": "application/gzip",
    "gz": "application/gzip",
}
_NUMBER = re.compile(r"-?(?:\d+(?:\.\d+)?|\.\d+)", re.ASCII)
_DIAGNOSIS: Mapping[str, Any] = {
    "project_id": "",
    "key": "",
    "expected_sha256": None,
    "observed_sha256": None,
    "vantage": "gateway-us-east-1",
    "probe_method": "GET_RANGE_0_0",
    "accept_encoding": "",
    "observed_at": "",
    "probe_may_have_warmed_cache": True,
    "canonical_url": "",
    "path_kind": "blob-mutable",
}
_CACHE = ("x_cache", "age_seconds", "cache_kind")
_INVALIDATION = ("id", "status")


def ls(
    client: Client,
    project_id: str,
    *,
    prefix: str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
    sort: str | None = None,
    filters: Mapping[str, str] | None = None,
) -> Any:
    """GET /storage/v1/blobs[?prefix&limit&cursor&sort&filter[k]=v] -> {blobs: [{key, size_bytes, ...}], next_cursor}.

    Service key. Sizes in bytes; `limit` 1-1000. Raises ApiError, NetworkError. docs/assets.md
    """
    query = {f"filter[{name}]": value for name, value in (filters or {}).items()}
    return client.request(
        "GET",
        with_query("/storage/v1/blobs", prefix=prefix, limit=limit, cursor=cursor, sort=sort, **query),
        context="listing assets",
        auth=client.service_key(project_id, apikey=True),
    )


def rm(client: Client, project_id: str, key: str) -> dict[str, Any]:
    """DELETE /storage/v1/blob/{key}. Service key. Returns {key, project_id, deleted: true}. docs/assets.md"""
    client.request(
        "DELETE", blob_path(key), context="deleting the asset", auth=client.service_key(project_id, apikey=True)
    )
    return {"key": key, "project_id": project_id, "deleted": True}


def sign(client: Client, project_id: str, key: str, *, ttl_seconds: int | None = None) -> Any:
    """POST /storage/v1/blob/{key}/sign {ttl_seconds?} -> {signed_url, expires_at, expires_in}, seconds. Service key.

    docs/assets.md
    """
    return client.request(
        "POST",
        f"{blob_path(key)}/sign",
        context="signing the asset URL",
        auth=client.service_key(project_id, apikey=True),
        body={} if ttl_seconds is None else {"ttl_seconds": ttl_seconds},
    )


def diagnose(client: Client, project_id: str, url: str) -> dict[str, Any]:
    """GET /storage/v1/blobs/diagnose?url= -> what a public URL serves and what it should serve. Service key.

    Every key is there, with a default for what the gateway left out; camelCase keys are read too. docs/assets.md
    """
    answer = client.request(
        "GET",
        with_query("/storage/v1/blobs/diagnose", url=url),
        context="diagnosing the asset URL",
        auth=client.service_key(project_id, apikey=True),
    )
    raw = answer if isinstance(answer, Mapping) else {}
    out = {key: _either(raw, key, default) for key, default in _DIAGNOSIS.items()}
    for block, keys in (("cache", _CACHE), ("invalidation", _INVALIDATION)):
        inner = _either(raw, block, {})
        out[block] = {key: _either(inner if isinstance(inner, Mapping) else {}, key, None) for key in keys}
    return {**out, "hint": _either(raw, "hint", "")}


def is_fresh(diagnosis: Mapping[str, Any]) -> bool:
    """Whether the probe saw exactly the bytes that it should."""
    return bool(diagnosis["observed_sha256"]) and diagnosis["observed_sha256"] == diagnosis["expected_sha256"]


def _either(values: Mapping[str, Any], key: str, default: Any) -> Any:
    head, *rest = key.split("_")
    found = values.get(key)
    if found is None:
        found = values.get(head + "".join(word.capitalize() for word in rest))
    return default if found is None else found


def blob_path(key: str) -> str:
    """The path of one asset; each segment is percent-encoded. UsageError for a key that no path can name."""
    check_key(key)
    return "/storage/v1/blob/" + "/".join(map(segment, key.split("/")))


def check_key(key: str) -> None:
    """UsageError for a key that would lead somewhere else: empty, or with a segment `.` or `..`."""
    if not key:
        raise UsageError(
            "The asset key is empty.",
            hint="An asset is one file. A folder as a site: run402 sites deploy-dir <path>; its files one by one: ./folder/*",
        )
    if any(part in (".", "..") for part in key.split("/")):
        raise UsageError(
            f"{key!r} is not an asset key: it has a . or .. segment. Keys are flat names such as img/a.png."
        )


def content_type_of(key: str) -> str:
    """The content type by the extension of the key (a key without a dot counts as one)."""
    return _CONTENT_TYPES.get(key.rpartition(".")[2].lower(), "application/octet-stream")


def metadata_of(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Metadata from `key=value` texts: a comma makes a list, true/false a boolean, digits a number. See `checked_metadata`."""
    return checked_metadata({key: _value(text) for key, text in pairs})


def checked_metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    """The metadata; ValidationError INVALID_ASSET_METADATA above 4096 bytes of compact JSON."""
    size = len(json.dumps(metadata, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace"))
    if size > MAX_METADATA_BYTES:
        raise ValidationError(
            f"The metadata has {size} bytes as JSON; the limit is {MAX_METADATA_BYTES}. Shorten or drop some --meta.",
            code="INVALID_ASSET_METADATA",
            details={"size_bytes": size, "limit_bytes": MAX_METADATA_BYTES},
        )
    return metadata


def _value(text: str) -> str | bool | int | float | Sequence[str]:
    if "," in text:
        return text.split(",")
    if text in ("true", "false"):
        return text == "true"
    if _NUMBER.fullmatch(text):
        number = float(text)
        return int(number) if number.is_integer() and abs(number) < 2**53 else number
    return text
