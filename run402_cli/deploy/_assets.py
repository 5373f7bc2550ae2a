"""The `assets` block of a deploy result: what each key of the plan became."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from run402_cli.client import Client
from run402_cli.deploy import _plans
from run402_cli.errors import Run402Error
from run402_cli.release.wire import WireRelease

_OWN = ("key", "sha256", "size_bytes", "content_type", "visibility")
_REF = ("url", "immutable_url", "cdn_url", "cdn_immutable_url", "sri", "etag", "content_digest")
_OPTIONAL = (
    *("width_px", "height_px", "blurhash", "variant_spec_version", "display_url", "display_immutable_url", "variants"),
    *("metadata", "image_format", "image_info", "image_exif", "image_exif_policy", "blurhash_data_url", "asset_schema"),
)


def manifest(client: Client, project_id: str, release: WireRelease, plan: Mapping[str, Any]) -> dict[str, Any] | None:
    """{list, byKey, manifest, totals} of the plan's asset entries (sizes in bytes), or None when the plan has none.

    Image properties are known only after the upload: with images among the entries they are read from one more
    dry-run plan.
    """
    entries = plan.get("asset_entries")
    if not isinstance(entries, list):
        return None
    later = _refreshed(client, project_id, release) if _has_images(release) else {}
    listed = [_entry(entry, later.get(entry.get("key"), {})) for entry in entries if isinstance(entry, dict)]
    by_key = {entry["key"]: entry for entry in listed if "key" in entry}
    pending = [entry for entry in entries if isinstance(entry, dict) and entry.get("status") == "upload_pending"]
    uploaded = sum(_size(entry) for entry in pending)
    total = sum(_size(entry) for entry in entries if isinstance(entry, dict))
    totals = {
        "files": len(listed),
        "bytes_uploaded": uploaded,
        "bytes_reused": total - uploaded,
        "duration_ms": 0,
    }
    return {"list": listed, "byKey": by_key, "manifest": by_key, "totals": totals}


def _has_images(release: WireRelease) -> bool:
    put = (release.spec.get("assets") or {}).get("put") or ()
    return any(str(entry.get("content_type")).startswith("image/") for entry in put)


def _refreshed(client: Client, project_id: str, release: WireRelease) -> dict[Any, Mapping[str, Any]]:
    try:
        answer = _plans.request(client, project_id, release, core=False, dry_run=True)
    except Run402Error:
        return {}
    entries = answer.get("asset_entries") if isinstance(answer, dict) else None
    return {entry.get("key"): entry for entry in entries or () if isinstance(entry, dict)}


def _entry(entry: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    ref, later_ref = _mapping(entry.get("asset_ref")), _mapping(later.get("asset_ref"))
    out = {key: entry[key] for key in _OWN if key in entry}
    out |= {key: ref.get(key) for key in _REF}
    merged = {**ref, **{key: value for key, value in later_ref.items() if value is not None}}
    return out | {key: merged[key] for key in _OPTIONAL if merged.get(key) is not None}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _size(entry: Mapping[str, Any]) -> int:
    size = entry.get("size_bytes")
    return size if isinstance(size, int) else 0
