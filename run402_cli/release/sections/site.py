"""`site`: the public files of a release, and under which paths they answer. See docs/protocol/releases.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from run402_cli.release.content import Writer
from run402_cli.release.content_types import core_content_type_for
from run402_cli.release.entries import Base, is_directory_marker, normalize_file_map
from run402_cli.release.fields import MANIFEST, SPEC, WIRE, Fields, spelled
from run402_cli.release.paths import check_path
from run402_cli.release.refs import check_ref
from run402_cli.release.section import Section, in_order
from run402_cli.release.static_manifest import public_paths

_KEYS: Final = ("replace", "patch", "public_paths")
_HINTS: Final = dict.fromkeys(("file", "files"), "Put files under site.replace (the whole site) or site.patch.put.")
_CACHE_CLASSES: Final = ("html", "immutable_versioned", "revalidating_asset")


class SiteSection(Section):
    """The state has the site's static manifest too, which is made of what other sections leave as well (state.py)."""

    name = state_key = "site"
    slice_kind = "release"
    noun = "file"
    long_lists = True

    def normalize(self, value: Any, base: Base) -> Any:
        site = dict(_checked(value, MANIFEST))
        if "replace" in site:
            site["replace"] = normalize_file_map(site["replace"], "site.replace", base)
        if "patch" in site:
            patch = dict(site["patch"])
            if "put" in patch:
                patch["put"] = normalize_file_map(patch["put"], "site.patch.put", base)
            site["patch"] = patch
        return {key: site[key] for key in _KEYS if key in site}

    def check_spec(self, value: Any) -> None:
        for where, files in _maps(_checked(value, SPEC)).items():
            if not is_directory_marker(files):
                for path in files:
                    check_path(path, where, SPEC)

    def deploys(self, value: Any) -> bool:
        if not value:
            return False
        patch = value.get("patch") or {}
        return bool(value.get("replace") or patch.get("put") or patch.get("delete") or "public_paths" in value)

    def collect(self, value: Any, writer: Writer) -> None:
        for place, files in _maps(value).items():
            if is_directory_marker(files):
                writer.directory(place, files, "release")
                continue
            for path, entry in files.items():
                writer.add((place, path), entry, path, "release", path=path)

    def to_wire(self, value: Any, writer: Writer) -> Any:
        wire: dict[str, Any] = {}
        if "replace" in value:
            wire["replace"] = writer.refs("site.replace")
        if "patch" in value:
            wire["patch"] = {"put": writer.refs("site.patch.put")} if "put" in value["patch"] else {}
            if "delete" in value["patch"]:
                wire["patch"]["delete"] = value["patch"]["delete"]
        if "public_paths" in value:
            wire["public_paths"] = value["public_paths"]
        return wire

    def check_wire(self, value: Any) -> None:
        site = WIRE.known(value, _KEYS, "site")
        if not site or ("replace" in site and "patch" in site):
            raise WIRE.error(
                "site needs one of replace, patch and public_paths; replace and patch exclude each other.", "site"
            )
        if "replace" in site:
            _read_files(site["replace"], "site.replace")
        if "patch" in site:
            patch = WIRE.known(site["patch"], ("put", "delete"), "site.patch")
            _read_files(patch.get("put", {}), "site.patch.put")
            for path in WIRE.strings(patch.get("delete", []), "site.patch.delete"):
                if path in patch.get("put", {}):
                    raise WIRE.error(f"{path!r} is in both put and delete of site.patch. Keep one.", "site.patch")
        if "public_paths" in site:
            _read_public_paths(site["public_paths"])

    def empty(self) -> dict[str, Any]:
        return {"site": {"paths": []}, "static_manifest": None}

    def after(self, base: Any, value: Any) -> Any:
        site = value or {}
        paths = {} if "replace" in site else {entry["path"]: dict(entry) for entry in base["paths"]}
        patch = site.get("patch") or {}
        for path in patch.get("delete") or ():
            paths.pop(path, None)
        for path, ref in (site.get("replace") or patch.get("put") or {}).items():
            paths[path] = {
                "path": path,
                "content_sha256": ref["sha256"],
                "content_type": spelled(ref, "contentType", "content_type") or core_content_type_for(path),
                "size_bytes": ref["size"],
            }
        return {"paths": in_order(paths.values(), "path")}

    def normal(self, part: Any) -> Any:
        return {"paths": in_order(part["paths"], "path")}

    def shown(self, state: Mapping[str, Any]) -> dict[str, Any]:
        paths = [
            {key: entry[key] for key in ("path", "content_sha256", "content_type")} for entry in self.of(state)["paths"]
        ]
        return {"site": {"paths": paths}, "static_public_paths": public_paths(state["static_manifest"])}

    def diff(self, old: Any, new: Any) -> dict[str, Any]:
        before = {entry["path"]: entry for entry in old["paths"]}
        after = {entry["path"]: entry for entry in new["paths"]}
        return {
            "added": [
                {"path": path, "sha256": entry["content_sha256"], "content_type": entry["content_type"]}
                for path, entry in after.items()
                if path not in before
            ],
            "removed": [path for path in before if path not in after],
            "changed": [
                {
                    "path": path,
                    "sha256_old": before[path]["content_sha256"],
                    "sha256_new": entry["content_sha256"],
                    "content_type_old": before[path]["content_type"],
                    "content_type_new": entry["content_type"],
                }
                for path, entry in after.items()
                if path in before and _bytes_and_type(before[path]) != _bytes_and_type(entry)
            ],
        }


def _bytes_and_type(entry: Mapping[str, Any]) -> tuple[str, str]:
    return entry["content_sha256"], entry["content_type"]


def _maps(site: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The file maps and directories of a section, by the place where they stand."""
    maps = {"site.replace": site.get("replace"), "site.patch.put": (site.get("patch") or {}).get("put")}
    return {where: files for where, files in maps.items() if files is not None}


def _checked(value: Any, fields: Fields) -> Mapping[str, Any]:
    """Exactly one of replace, patch, or public_paths alone; file maps are objects, deletes are strings."""
    site = fields.known(value, _KEYS, "site", _HINTS)
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
    paths = fields.known(value, ("mode", "replace"), where)
    fields.one_of(paths.get("mode"), ("implicit", "explicit"), f"{where}.mode")
    if paths["mode"] == "implicit":
        if "replace" in paths:
            raise fields.error(f"{where}.replace needs mode explicit. Remove it, or set the mode.", where)
        return
    if "replace" not in paths:
        raise fields.error(f"{where}.replace is required in explicit mode; it may be {{}}.", where)
    for path, value in fields.mapping(paths["replace"], f"{where}.replace").items():
        place = f"{where}.replace.{path}"
        if not path.startswith("/"):
            raise fields.error(f"{place} must be a path that starts with /.", place)
        entry = fields.known(value, ("asset", "cache_class"), place)
        fields.text(entry.get("asset"), f"{place}.asset")
        if "cache_class" in entry:
            fields.text(entry["cache_class"], f"{place}.cache_class")


def _read_files(value: Any, where: str) -> None:
    for path, ref in WIRE.mapping(value, where).items():
        check_path(path, where, WIRE)
        check_ref(ref, f"{where}.{path}")


def _read_public_paths(value: Any) -> None:
    where = "site.public_paths"
    paths = WIRE.known(value, ("mode", "replace"), where)
    WIRE.one_of(paths.get("mode"), ("implicit", "explicit"), f"{where}.mode")
    if (paths["mode"] == "explicit") != ("replace" in paths):
        raise WIRE.error(f"{where}.replace belongs to mode explicit, and explicit needs it.", f"{where}.replace")
    for public, entry in WIRE.mapping(paths.get("replace", {}), f"{where}.replace").items():
        place = f"{where}.replace.{public}"
        WIRE.text(WIRE.known(entry, ("asset", "cache_class"), place).get("asset"), f"{place}.asset")
        if "cache_class" in entry:
            WIRE.one_of(entry["cache_class"], _CACHE_CLASSES, f"{place}.cache_class")


SECTION: Final = SiteSection()
