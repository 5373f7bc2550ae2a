"""`assets`: files that are stored beside the site and stay when a release goes. See docs/assets.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from run402_cli.release.canonical import compact_json
from run402_cli.release.content import Writer
from run402_cli.release.content_types import OCTET_STREAM, content_type_for
from run402_cli.release.entries import Base, normalize_file_entry
from run402_cli.release.errors import invalid_spec
from run402_cli.release.fields import MANIFEST, SPEC, Fields, is_number
from run402_cli.release.section import Section

MAX_METADATA_BYTES: Final = 4096
CONFIRM_KEYS: Final = ("base_revision", "delete_set_digest", "expected_delete_count")
EXIF_POLICIES: Final = ("keep", "strip")
VISIBILITIES: Final = ("public", "private")
# What only library callers may write.
_LIBRARY_KEYS: Final = ("metadata", "exif_policy")
_PUT_KEYS: Final = ("key", "source", "sha256", "size_bytes", "content_type", "visibility", "immutable")


class AssetsSection(Section):
    """A gateway's check is `core/storage/assets_request.py`, which has codes of its own."""

    name = "assets"
    slice_kind = "asset"
    sent_empty = False

    def normalize(self, value: Any, base: Base) -> Any:
        assets = dict(_checked(value, MANIFEST))
        if "put" in assets:
            assets["put"] = [
                {**entry, "source": normalize_file_entry(entry["source"], f"assets.put[{index}].source", base)}
                if "source" in entry
                else dict(entry)
                for index, entry in enumerate(assets["put"])
            ]
        return {key: assets[key] for key in ("put", "delete", "sync") if key in assets}

    def check_spec(self, value: Any) -> None:
        _checked(value, SPEC, _LIBRARY_KEYS)

    def deploys(self, value: Any) -> bool:
        return bool(value) and bool(value.get("put") or value.get("delete") or "sync" in value)

    def collect(self, value: Any, writer: Writer) -> None:
        keys: set[str] = set()
        for index, asset in enumerate(value.get("put") or ()):
            key, place = asset["key"], f"assets.put[{index}]"
            if key in keys:
                raise invalid_spec(
                    f"The asset {key!r} is put twice. Keep one of the entries.",
                    place,
                    code="ASSET_DUPLICATE_KEY_IN_PUT",
                )
            keys.add(key)
            _check_options(asset, place)
            if "source" in asset:
                writer.add(
                    ("assets", str(index)),
                    asset["source"],
                    f"{place} ({key})",
                    "asset",
                    path=key,
                    resource=place,
                    content_type=asset.get("content_type"),
                )
        both = keys.intersection(value.get("delete") or ())
        if both:
            raise invalid_spec(
                f"The asset {min(both)!r} is both put and deleted. Keep one of them.",
                "assets",
                code="ASSET_KEY_IN_PUT_AND_DELETE",
            )

    def to_wire(self, value: Any, writer: Writer) -> Any:
        wire: dict[str, Any] = {}
        if value.get("put"):
            wire["put"] = [_put(index, asset, writer) for index, asset in enumerate(value["put"])]
        if value.get("delete"):
            wire["delete"] = value["delete"]
        if "sync" in value:
            wire["sync"] = {key: value["sync"][key] for key in ("prefix", "prune", "confirm") if key in value["sync"]}
        return wire


def _checked(value: Any, fields: Fields, more_keys: tuple[str, ...] = ()) -> Mapping[str, Any]:
    """Put entries with a source or a digest, delete keys, sync with prune."""
    assets = fields.known(value, ("put", "delete", "sync"), "assets")
    for index, entry in enumerate(fields.array(assets.get("put", []), "assets.put")):
        _check_put(entry, f"assets.put[{index}]", fields, more_keys)
    fields.strings(assets.get("delete", []), "assets.delete")
    if "sync" in assets:
        _check_sync(assets["sync"], fields)
    return assets


def _check_put(value: Any, where: str, fields: Fields, more_keys: tuple[str, ...]) -> None:
    asset = fields.known(value, (*_PUT_KEYS, *more_keys), where)
    fields.text(asset.get("key"), f"{where}.key")
    if ("source" in asset) == ("sha256" in asset):
        raise fields.error(f"{where} needs either source (a file entry) or sha256 with size_bytes.", where)
    if "sha256" in asset:
        fields.text(asset["sha256"], f"{where}.sha256")
        if not is_number(asset.get("size_bytes")):
            raise fields.error(f"{where}.size_bytes must be a number of bytes; sha256 alone is not enough.", where)
    if "content_type" in asset:
        fields.text(asset["content_type"], f"{where}.content_type")
    if "visibility" in asset:
        fields.one_of(asset["visibility"], VISIBILITIES, f"{where}.visibility")
    if "immutable" in asset:
        fields.one_of(asset["immutable"], (True, False), f"{where}.immutable")


def _check_sync(value: Any, fields: Fields) -> None:
    where = "assets.sync"
    sync = fields.known(value, ("prefix", "prune", "confirm"), where)
    fields.text(sync.get("prefix"), f"{where}.prefix")
    fields.one_of(sync.get("prune"), (True,), f"{where}.prune")
    if "confirm" not in sync:
        return
    confirm = fields.known(sync["confirm"], CONFIRM_KEYS, f"{where}.confirm")
    for key in CONFIRM_KEYS[:2]:
        fields.text(confirm.get(key), f"{where}.confirm.{key}")
    if not is_number(confirm.get("expected_delete_count")):
        raise fields.error(
            f"{where}.confirm.expected_delete_count must be a number. Copy confirm from a plan of the same sync.",
            f"{where}.confirm.expected_delete_count",
        )


def _put(index: int, asset: Mapping[str, Any], writer: Writer) -> dict[str, Any]:
    item = writer.items.get(("assets", str(index)))
    content_type = asset.get("content_type")
    if item is None:
        sha256, size = asset["sha256"], asset["size_bytes"]
        content_type = content_type or OCTET_STREAM
    else:
        sha256, size = item.sha256, item.size
        content_type = content_type or item.content_type or content_type_for(asset["key"])
    wire = {
        "key": asset["key"],
        "sha256": sha256,
        "size_bytes": size,
        "content_type": content_type,
        "visibility": asset.get("visibility") or "public",
        "immutable": asset.get("immutable", True),
    }
    return wire | {key: asset[key] for key in _LIBRARY_KEYS if key in asset}


def _check_options(asset: Mapping[str, Any], place: str) -> None:
    if asset.get("exif_policy", "keep") not in EXIF_POLICIES:
        raise invalid_spec(f"{place}.exif_policy must be keep or strip.", place, code="INVALID_EXIF_POLICY")
    metadata = asset.get("metadata")
    if metadata is None:
        return
    if not isinstance(metadata, Mapping) or not all(map(_is_metadata_value, metadata.values())):
        problem = "may hold strings, numbers, booleans and arrays of strings"
    elif len(compact_json(metadata).encode()) > MAX_METADATA_BYTES:
        problem = f"is larger than {MAX_METADATA_BYTES} bytes"
    else:
        return
    raise invalid_spec(f"{place}.metadata {problem}.", place, code="INVALID_ASSET_METADATA")


def _is_metadata_value(value: Any) -> bool:
    if isinstance(value, list):
        return all(isinstance(item, str) for item in value)
    return isinstance(value, (str, bool)) or is_number(value)


SECTION: Final = AssetsSection()
