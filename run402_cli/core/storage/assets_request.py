"""The `assets` section of a release request: shape, and the checked form that plan and commit work with."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from run402_cli.core.errors import GatewayError
from run402_cli.core.storage.keys import checked_key, checked_prefix
from run402_cli.release.fields import WIRE, is_integer
from run402_cli.release.refs import SHA256
from run402_cli.release.sections.assets import CONFIRM_KEYS, EXIF_POLICIES, MAX_METADATA_BYTES, VISIBILITIES

OCTET_STREAM: Final = "application/octet-stream"

_MEDIA_TYPE: Final = re.compile(r"[^\s/;,]+/[^\s/;,]+(?:\s*;[^\x00-\x1f\x7f]*)?")
_PUT_KEYS: Final = (
    *("key", "sha256", "size_bytes", "content_type", "visibility", "immutable", "metadata", "exif_policy"),
)


@dataclass(frozen=True, slots=True)
class Put:
    """One object to be: `size_bytes` of content, and how it is served."""

    key: str
    sha256: str
    size_bytes: int
    content_type: str
    visibility: str
    immutable: bool
    metadata: Mapping[str, Any] | None = None
    exif_policy: str | None = None


@dataclass(frozen=True, slots=True)
class Sync:
    """Delete what is below `prefix` and not put; `confirm` is what a caller has seen in an earlier plan."""

    prefix: str
    confirm: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class AssetSpec:
    """A checked section."""

    puts: tuple[Put, ...]
    deletes: tuple[str, ...]
    sync: Sync | None


def read(value: Mapping[str, Any]) -> AssetSpec:
    """The section, checked. 409 asset_spec_empty, asset_duplicate_key, asset_key_conflict, asset_sync_prune_required."""
    section = WIRE.known(value, ("put", "delete", "sync"), "assets")
    puts = [_put(entry, index) for index, entry in enumerate(WIRE.array(section.get("put") or [], "assets.put"))]
    texts = WIRE.strings(section.get("delete") or [], "assets.delete")
    deletes = [checked_key(text, f"assets.delete.{index}") for index, text in enumerate(texts)]
    sync = None if section.get("sync") is None else _sync(section["sync"])
    if not puts and not deletes and sync is None:
        raise _conflict("asset_spec_empty", "The `assets` section has no put, delete or sync. Fill or remove it.")
    seen: set[str] = set()
    for put in puts:
        if put.key in seen:
            raise _conflict("asset_duplicate_key", f"The asset {put.key} is put twice. Keep one of the entries.")
        seen.add(put.key)
    if both := seen.intersection(deletes):
        raise _conflict("asset_key_conflict", f"The asset {min(both)} is both put and deleted. Keep one of them.")
    return AssetSpec(tuple(puts), tuple(dict.fromkeys(deletes)), sync)


def _put(value: Any, index: int) -> Put:
    where = f"assets.put.{index}"
    entry = WIRE.mapping(value, where)
    size = entry.get("size_bytes")
    if not isinstance(entry.get("sha256"), str) or not SHA256.fullmatch(entry["sha256"]):
        raise _invalid("invalid_sha256", f"{where}.sha256 must be 64 lower-case hex digits.", f"{where}.sha256")
    if not is_integer(size) or size < 1:
        raise _invalid("invalid_size", f"{where}.size_bytes must be 1 or more: an asset cannot be empty.", where)
    return Put(
        checked_key(entry.get("key"), f"{where}.key"),
        entry["sha256"],
        int(size),
        content_type(entry.get("content_type"), where),
        visibility(entry.get("visibility"), where),
        _flag(entry.get("immutable", True), f"{where}.immutable"),
        metadata(entry.get("metadata"), where),
        exif_policy(entry.get("exif_policy"), where),
    )


def content_type(value: Any, where: str) -> str:
    """A media type, or the default. 400 invalid_content_type."""
    if value is None:
        return OCTET_STREAM
    if not isinstance(value, str) or len(value) > 255 or not _MEDIA_TYPE.fullmatch(value.strip()):
        raise _invalid("invalid_content_type", f"{where}: content_type must be like text/plain, not {value!r}.", where)
    return value.strip()


def visibility(value: Any, where: str) -> str:
    """public or private. 400 invalid_visibility."""
    if value is None:
        return "public"
    if value not in VISIBILITIES:
        raise _invalid("invalid_visibility", f"{where}: visibility must be public or private.", where)
    return str(value)


def metadata(value: Any, where: str) -> Mapping[str, Any] | None:
    """Strings, numbers, booleans and arrays of strings by name, 4096 bytes at most. 400 INVALID_ASSET_METADATA."""
    if value is None:
        return None
    if not isinstance(value, Mapping) or not all(name and _is_leaf(leaf) for name, leaf in value.items()):
        problem = "may hold strings, numbers, booleans and arrays of strings under names that are not empty"
    elif len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()) > MAX_METADATA_BYTES:
        problem = f"is larger than {MAX_METADATA_BYTES} bytes as JSON"
    else:
        return dict(value)
    raise _invalid("invalid_asset_metadata", f"{where}: metadata {problem}.", where)


def _is_leaf(value: Any) -> bool:
    if isinstance(value, list):
        return all(isinstance(item, str) for item in value)
    return isinstance(value, str | bool | int | float)


def exif_policy(value: Any, where: str) -> str | None:
    """keep, strip or nothing. 400 INVALID_EXIF_POLICY."""
    if value is not None and value not in EXIF_POLICIES:
        raise _invalid("invalid_exif_policy", f"{where}: exif_policy must be keep or strip.", where)
    return value if value is None else str(value)


def _flag(value: Any, where: str) -> bool:
    WIRE.one_of(value, (True, False), where)
    return value is True


def _sync(value: Any) -> Sync:
    sync = WIRE.known(value, ("prefix", "prune", "confirm"), "assets.sync")
    if sync.get("prune") is not True:
        raise _conflict("asset_sync_prune_required", "assets.sync needs prune: true; to add files only, use put alone.")
    prefix = checked_prefix(WIRE.text(sync.get("prefix"), "assets.sync.prefix"), "assets.sync.prefix")
    confirm = sync.get("confirm")
    if confirm is not None:
        confirm = WIRE.known(confirm, CONFIRM_KEYS, "assets.sync.confirm")
        missing = [key for key in CONFIRM_KEYS if key not in confirm]
        if missing:
            raise WIRE.error(
                f"assets.sync.confirm lacks {missing[0]}. Copy it from asset_sync of a plan of the same sync.",
                "assets.sync.confirm",
            )
    return Sync(prefix, confirm)


def _invalid(error: str, message: str, resource: str) -> GatewayError:
    return GatewayError(400, error, message, resource=resource, retryable=False)


def _conflict(error: str, message: str) -> GatewayError:
    return GatewayError(409, error, message, phase="plan", resource="assets", retryable=False, safe_to_retry=False)
