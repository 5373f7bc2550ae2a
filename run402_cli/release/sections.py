"""Shapes of the sections that both validation layers check: site, assets, i18n.

Each function takes the layer's `Fields`, so that the same rule answers LOCAL_ERROR for a manifest and INVALID_SPEC
for a ReleaseSpec. See docs/protocol/releases.md, "Sections".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from run402_cli.release.fields import Fields, is_number

_SITE_HINTS: Final = dict.fromkeys(
    ("file", "files"), "Put files under site.replace (the whole site) or site.patch.put."
)
_ASSET_KEYS: Final = ("key", "source", "sha256", "size_bytes", "content_type", "visibility", "immutable")
_CONFIRM_KEYS: Final = ("base_revision", "delete_set_digest", "expected_delete_count")
_I18N_KEYS: Final = (
    *("default_locale", "defaultLocale", "locales", "detect"),
    *("unknown_locale_policy", "unknownLocalePolicy"),
)
_I18N_HINTS: Final = {
    "default": "The field is called default_locale.",
    "locale": "The field is called locales and is an array.",
}


def check_site(value: Any, fields: Fields) -> Mapping[str, Any]:
    """`site`: exactly one of replace, patch, or public_paths alone; file maps are objects, deletes are strings."""
    site = fields.known(value, ("replace", "patch", "public_paths"), "site", _SITE_HINTS)
    if "replace" in site and "patch" in site:
        raise fields.error("site has both replace and patch. Keep replace for the whole site, or patch.", "site")
    if not site:
        raise fields.error("site is empty. Give replace, patch or public_paths, or leave site out.", "site")
    if "replace" in site:
        fields.mapping(site["replace"], "site.replace")
    if "patch" in site:
        patch = fields.known(site["patch"], ("put", "delete"), "site.patch")
        if "put" in patch:
            fields.mapping(patch["put"], "site.patch.put")
        if "delete" in patch:
            fields.strings(patch["delete"], "site.patch.delete")
    if "public_paths" in site:
        _check_public_paths(site["public_paths"], fields)
    return site


def _check_public_paths(value: Any, fields: Fields) -> None:
    where = "site.public_paths"
    public_paths = fields.known(value, ("mode", "replace"), where)
    fields.one_of(public_paths.get("mode"), ("implicit", "explicit"), f"{where}.mode")
    if public_paths["mode"] == "implicit":
        if "replace" in public_paths:
            raise fields.error(f"{where}.replace needs mode explicit. Remove it, or set the mode.", where)
        return
    if "replace" not in public_paths:
        raise fields.error(f"{where}.replace is required in explicit mode; it may be {{}}.", where)
    for path, value in fields.mapping(public_paths["replace"], f"{where}.replace").items():
        place = f"{where}.replace.{path}"
        if not path.startswith("/"):
            raise fields.error(f"{place} must be a path that starts with /.", place)
        entry = fields.known(value, ("asset", "cache_class"), place)
        fields.text(entry.get("asset"), f"{place}.asset")
        if "cache_class" in entry:
            fields.text(entry["cache_class"], f"{place}.cache_class")


def check_assets(value: Any, fields: Fields, extra_keys: tuple[str, ...] = ()) -> Mapping[str, Any]:
    """`assets`: put entries with a source or a digest, delete keys, sync with prune.

    `extra_keys` are the put keys that only library callers may use.
    """
    assets = fields.known(value, ("put", "delete", "sync"), "assets")
    for index, entry in enumerate(fields.array(assets.get("put", []), "assets.put")):
        _check_asset(entry, f"assets.put[{index}]", fields, extra_keys)
    fields.strings(assets.get("delete", []), "assets.delete")
    if "sync" in assets:
        _check_sync(assets["sync"], fields)
    return assets


def _check_asset(value: Any, where: str, fields: Fields, extra_keys: tuple[str, ...]) -> None:
    asset = fields.known(value, (*_ASSET_KEYS, *extra_keys), where)
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
        fields.one_of(asset["visibility"], ("public", "private"), f"{where}.visibility")
    if "immutable" in asset:
        fields.one_of(asset["immutable"], (True, False), f"{where}.immutable")


def _check_sync(value: Any, fields: Fields) -> None:
    where = "assets.sync"
    sync = fields.known(value, ("prefix", "prune", "confirm"), where)
    fields.text(sync.get("prefix"), f"{where}.prefix")
    fields.one_of(sync.get("prune"), (True,), f"{where}.prune")
    if "confirm" not in sync:
        return
    confirm = fields.known(sync["confirm"], _CONFIRM_KEYS, f"{where}.confirm")
    for key in _CONFIRM_KEYS[:2]:
        fields.text(confirm.get(key), f"{where}.confirm.{key}")
    if not is_number(confirm.get("expected_delete_count")):
        raise fields.error(
            f"{where}.confirm.expected_delete_count must be a number. Copy confirm from a plan of the same sync.",
            f"{where}.confirm.expected_delete_count",
        )


def check_i18n_keys(value: Any, fields: Fields) -> Mapping[str, Any]:
    """`i18n` as an object with known keys, in either spelling."""
    return fields.known(value, _I18N_KEYS, "i18n", _I18N_HINTS)
