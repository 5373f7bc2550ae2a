"""From a ReleaseSpec to what is sent: content hashed and replaced by refs, in the Cloud or the Core dialect.

See docs/protocol/releases.md, "On the wire".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Literal

from run402_cli.release.canonical import code_unit_key, compact_json, sha256_hex
from run402_cli.release.content_types import OCTET_STREAM, PLAN_MANIFEST, SQL, content_type_for, is_binary
from run402_cli.release.entries import FILE, is_directory_marker
from run402_cli.release.errors import ReleaseError, invalid_spec
from run402_cli.release.fields import ROLE_SPELLINGS, SPEC, is_number, kind_of
from run402_cli.release.paths import check_path
from run402_cli.release.routes import STATIC_METHODS
from run402_cli.release.sources import BytesSource, Source, hash_files, is_content_ref, utf8, walk
from run402_cli.release.spec import validate_spec
from run402_cli.release.state import normal_trigger

INLINE_PLAN_BYTES: Final = 5 * 1024 * 1024
MAX_METADATA_BYTES: Final = 4096

SliceKind = Literal["release", "asset", "mixed"]
Place = tuple[str, ...]

SNAKE: Final = {
    "timeoutSeconds": "timeout_seconds",
    "memoryMb": "memory_mb",
    "requireAuth": "require_auth",
    "requireRole": "require_role",
    "idColumn": "id_column",
    "roleColumn": "role_column",
    "cacheTtl": "cache_ttl",
    "onDeny": "on_deny",
    "signInPath": "sign_in_path",
    "defaultLocale": "default_locale",
    "unknownLocalePolicy": "unknown_locale_policy",
    "contentType": "content_type",
}
_CONFIG_KEYS: Final = ("timeoutSeconds", "memoryMb")
_I18N_KEYS: Final = ("defaultLocale", "locales", "detect", "unknownLocalePolicy")
_FUNCTION_SLOTS: Final = (("replace", None), ("patch", "set"))


class Dialect(StrEnum):
    """Whom the spec is for: Cloud (project_id, snake_case, SQL by ref) or a Core gateway (project, camelCase, SQL inline)."""

    CLOUD = "cloud"
    CORE = "core"


@dataclass(frozen=True, slots=True)
class ContentObject:
    """One distinct piece of content whose bytes are at hand.

    `size` in bytes; `label` is what upload events call it; `content_type` is None where nobody said;
    `slice_kind` is "mixed" when a release file and an asset share the bytes.
    """

    sha256: str
    size: int
    label: str
    content_type: str | None
    source: Source
    slice_kind: SliceKind

    def entry(self) -> dict[str, Any]:
        """The object as a content plan lists it: `{sha256, size, content_type?}`."""
        known = {} if self.content_type is None else {"content_type": self.content_type}
        return {"sha256": self.sha256, "size": self.size, **known}


@dataclass(frozen=True, slots=True)
class WireRelease:
    """A spec as sent, the content it refers to by sha256 (in order of first use), and its slice kinds, sorted."""

    spec: dict[str, Any]
    objects: dict[str, ContentObject]
    slice_kinds: list[str]


def to_wire(spec: Mapping[str, Any], dialect: Dialect = Dialect.CLOUD, *, own: Path | None = None) -> WireRelease:
    """Validate a ReleaseSpec, read and hash everything it names, and write it in `dialect`.

    `own` is the manifest's file, which is part of no directory that the spec names.
    Reads every file once. Raises ReleaseError: the spec layer's codes, BINARY_CONTENT_REQUIRES_BYTES,
    ASSET_DUPLICATE_KEY_IN_PUT, ASSET_KEY_IN_PUT_AND_DELETE, INVALID_ASSET_METADATA, INVALID_EXIF_POLICY,
    CONTENT_CHANGED, or the operating system's error name for a file.
    """
    validate_spec(spec)
    return _Writer(spec, dialect, own).write()


def plan_bytes(body: Mapping[str, Any]) -> bytes:
    """A plan request's body as the bytes to send: compact JSON, UTF-8."""
    return compact_json(body).encode()


def is_oversized(body: Mapping[str, Any]) -> bool:
    """Whether a plan body is too large to be sent inline (more than 5 MiB) and needs a manifest object."""
    return len(plan_bytes(body)) > INLINE_PLAN_BYTES


def manifest_object(wire_spec: Mapping[str, Any]) -> ContentObject:
    """The stored manifest that stands in for an oversized spec: its compact JSON as a content object."""
    data = plan_bytes(wire_spec)
    sha256 = sha256_hex(data)
    return ContentObject(sha256, len(data), sha256, PLAN_MANIFEST, BytesSource(data), "release")


def oversized_error(code: Literal["PLAN_REQUIRES_INLINE_SPEC", "DRY_RUN_REQUIRES_INLINE_SPEC"]) -> ReleaseError:
    """The refusal of an oversized spec where a stored manifest is not possible."""
    return invalid_spec(
        f"The spec is larger than {INLINE_PLAN_BYTES} bytes, which this kind of plan takes only inline. "
        "Deploy fewer files at once, or run a plain apply.",
        "manifest_ref",
        code=code,
    )


@dataclass(slots=True)
class _Item:
    """One use of content: where it is named, and the ref once it is hashed."""

    label: str
    slice_kind: SliceKind
    content_type: str | None = None
    path: Path | None = None
    follow: bool = True
    source: Source | None = None
    sha256: str = ""
    size: Any = 0
    integrity: Any = None


class _Writer:
    """Two passes over one spec: collect every piece of content, then write refs to it."""

    def __init__(self, spec: Mapping[str, Any], dialect: Dialect, own: Path | None) -> None:
        self.spec = spec
        self.own = own
        self.core = dialect is Dialect.CORE
        # By the place in the spec, so that writing finds what collecting put there.
        self.items: dict[Place, _Item] = {}
        self.site_keys: dict[str, list[str]] = {}

    def write(self) -> WireRelease:
        self._collect_migrations()
        self._collect_functions()
        self._collect_site()
        self._collect_assets()
        self._hash()
        kinds = {"asset": ("assets",), "release": ("database", "functions", "site")}
        slice_kinds = [
            kind for kind in ("release", "asset") if any(self.spec.get(section) is not None for section in kinds[kind])
        ]
        return WireRelease(self._wire_spec(), self._objects(), slice_kinds)

    # -- collecting

    def _collect_migrations(self) -> None:
        ids: set[str] = set()
        for index, migration in enumerate(self._section("database").get("migrations") or ()):
            name = migration.get("id") or migration.get("name")
            place = f"database.migrations.{index}"
            ref = migration.get("sql_ref")
            if ref is not None:
                if not is_content_ref(ref):
                    raise invalid_spec(f"{place}.sql_ref must have sha256 and size.", f"database.migrations.{name}")
                self.items["database", str(index)] = _given(ref, f"migration:{name}", "release")
            elif migration.get("sql") is not None:
                self.items["database", str(index)] = _inline(
                    utf8(migration["sql"]), f"migration:{name}", "release", SQL
                )
            else:
                raise invalid_spec(
                    f"The migration {name!r} has no SQL. Give sql, sql_path or sql_ref.", f"database.migrations.{name}"
                )
            migration_id = self._migration_id(index, migration)
            if migration_id in ids:
                raise invalid_spec(f"The migration id {migration_id!r} is used twice. Rename one.", f"{place}.id")
            ids.add(migration_id)

    def _collect_functions(self) -> None:
        for place, function in self._each_function():
            if function.get("source") is not None:
                self._collect((place, "source"), function["source"], "function source", "release")
            for path, entry in (function.get("files") or {}).items():
                self._collect((place, "files", path), entry, path, "release", path=path)

    def _collect_site(self) -> None:
        site = self._section("site")
        maps = {"site.replace": site.get("replace"), "site.patch.put": (site.get("patch") or {}).get("put")}
        for place, files in maps.items():
            if files is None:
                continue
            if is_directory_marker(files):
                self.site_keys[place] = self._collect_directory(place, files)
                continue
            self.site_keys[place] = list(files)
            for path, entry in files.items():
                self._collect((place, path), entry, path, "release", path=path)

    def _collect_directory(self, place: str, marker: Mapping[str, Any]) -> list[str]:
        found = walk(
            Path(marker["path"]),
            prefix=marker.get("prefix"),
            ignore=marker.get("ignore") or (),
            include_sensitive=marker.get("includeSensitive") is True,
            own=self.own,
        )
        for file in found:
            check_path(file.key, place, SPEC)
            item = _Item(file.key, "release", content_type_for(file.key), file.path, follow=False)
            self.items[place, file.key] = item
        return [file.key for file in found]

    def _collect_assets(self) -> None:
        assets = self._section("assets")
        keys: set[str] = set()
        for index, asset in enumerate(assets.get("put") or ()):
            key, place = asset["key"], f"assets.put[{index}]"
            if key in keys:
                raise invalid_spec(
                    f"The asset {key!r} is put twice. Keep one of the entries.",
                    place,
                    code="ASSET_DUPLICATE_KEY_IN_PUT",
                )
            keys.add(key)
            _check_asset_options(asset, place)
            if "source" in asset:
                self._collect(
                    ("assets", str(index)),
                    asset["source"],
                    f"{place} ({key})",
                    "asset",
                    path=key,
                    resource=place,
                    content_type=asset.get("content_type"),
                )
        both = keys.intersection(assets.get("delete") or ())
        if both:
            raise invalid_spec(
                f"The asset {min(both)!r} is both put and deleted. Keep one of them.",
                "assets",
                code="ASSET_KEY_IN_PUT_AND_DELETE",
            )

    def _collect(
        self,
        place: Place,
        entry: Any,
        label: str,
        slice_kind: SliceKind,
        *,
        path: str | None = None,
        resource: str | None = None,
        content_type: str | None = None,
    ) -> None:
        """Note one file entry; `path` is what a content type is inferred from, None infers nothing."""
        if is_content_ref(entry):
            self.items[place] = _given(entry, label, slice_kind)
            return
        typed = isinstance(entry, Mapping)
        content_type = content_type or (entry.get("contentType") if typed else None)
        if content_type is None and path is not None:
            content_type = content_type_for(path)
        if typed and entry.get("__source") == FILE and isinstance(entry.get("path"), str):
            self.items[place] = _Item(label, slice_kind, content_type, Path(entry["path"]))
            return
        data = entry.get("data") if typed else entry
        if isinstance(data, str):
            if path is not None and is_binary(path, content_type or OCTET_STREAM):
                raise _text_for_binary(path, content_type or OCTET_STREAM, resource or label)
            data = utf8(data)
        if not isinstance(data, bytes):
            raise invalid_spec(
                f"{'.'.join(place)} is {kind_of(entry)} that names no content. "
                'Write text, {"path": ...}, {"data": ..., "encoding": "base64"} or {"sha256": ..., "size": ...}.',
                resource or label,
            )
        self.items[place] = _inline(data, label, slice_kind, content_type)

    def _hash(self) -> None:
        for follow in (True, False):
            pending = [(item, item.path) for item in self.items.values() if item.path and item.follow is follow]
            hashed_files = hash_files([path for _, path in pending], follow=follow)
            for (item, _), hashed in zip(pending, hashed_files, strict=True):
                item.source, item.sha256, item.size = hashed.source, hashed.sha256, hashed.source.size

    def _objects(self) -> dict[str, ContentObject]:
        objects: dict[str, ContentObject] = {}
        for place, item in self.items.items():
            if item.source is None or (self.core and place[0] == "database"):
                continue
            first = objects.get(item.sha256)
            if first is None:
                first = ContentObject(
                    item.sha256, item.size, item.label, item.content_type, item.source, item.slice_kind
                )
            elif first.slice_kind != item.slice_kind:
                first = replace(first, slice_kind="mixed")
            objects[item.sha256] = replace(first, content_type=first.content_type or item.content_type)
        return objects

    # -- writing

    def _wire_spec(self) -> dict[str, Any]:
        spec = self.spec
        sections: dict[str, Callable[[], Any]] = {
            "base": lambda: spec["base"],
            "database": self._database,
            "secrets": lambda: spec["secrets"],
            "functions": self._functions,
            "site": self._site,
            "subdomains": lambda: spec["subdomains"],
            "routes": lambda: _wire_routes(spec["routes"]),
            "checks": lambda: spec["checks"],
            "assets": self._assets,
            "i18n": lambda: self._renamed(spec["i18n"], _I18N_KEYS) if spec["i18n"] else spec["i18n"],
        }
        wire: dict[str, Any] = {"project" if self.core else "project_id": spec["project"]}
        wire |= {key: write() for key, write in sections.items() if key in spec}
        if not wire.get("assets", True):
            del wire["assets"]
        return wire

    def _database(self) -> dict[str, Any]:
        database = self._section("database")
        wire = {key: database[key] for key in ("expose", "zero_downtime") if key in database}
        migrations = [self._migration(index, entry) for index, entry in enumerate(database.get("migrations") or ())]
        return {**wire, "migrations": migrations} if migrations else wire

    def _migration(self, index: int, migration: Mapping[str, Any]) -> dict[str, Any]:
        item = self.items["database", str(index)]
        wire = {
            "id": self._migration_id(index, migration),
            "checksum": migration.get("checksum") or item.sha256,
        }
        if self.core and item.source is not None:
            wire["sql"] = migration["sql"]
        else:
            wire["sql_ref"] = self._ref(item)
        return wire | {key: migration[key] for key in ("transaction",) if key in migration}

    def _migration_id(self, index: int, migration: Mapping[str, Any]) -> str:
        given = migration.get("id")
        return (
            str(given) if given is not None else f"{migration['name']}_{self.items['database', str(index)].sha256[:16]}"
        )

    def _functions(self) -> dict[str, Any]:
        functions = self._section("functions")
        wire: dict[str, Any] = {}
        if "replace" in functions:
            wire["replace"] = self._function_map(functions["replace"], "functions.replace")
        if "patch" in functions:
            wire["patch"] = {}
            if "set" in functions["patch"]:
                wire["patch"]["set"] = self._function_map(functions["patch"]["set"], "functions.patch.set")
            if "delete" in functions["patch"]:
                wire["patch"]["delete"] = functions["patch"]["delete"]
        return wire

    def _function_map(self, functions: Mapping[str, Any], place: str) -> dict[str, Any]:
        return {name: self._function(spec, f"{place}.{name}") for name, spec in functions.items()}

    def _function(self, spec: Mapping[str, Any], place: str) -> dict[str, Any]:
        wire: dict[str, Any] = {"runtime": spec.get("runtime") or "node22"}
        if spec.get("source") is not None:
            wire["source"] = self._ref(self.items[place, "source"])
        if spec.get("files") is not None:
            wire["files"] = {path: self._ref(self.items[place, "files", path]) for path in spec["files"]}
        if spec.get("entrypoint"):
            wire["entrypoint"] = spec["entrypoint"]
        config = self._renamed(spec.get("config") or {}, _CONFIG_KEYS)
        if config:
            wire["config"] = config
        if spec.get("deps") is not None:
            wire["deps"] = spec["deps"]
        if spec.get("triggers") is not None:
            ordered = sorted(spec["triggers"], key=lambda trigger: code_unit_key(trigger["id"]))
            wire["triggers"] = [normal_trigger(trigger) for trigger in ordered]
        # Null means "remove" for these two, so it travels.
        if "schedule" in spec:
            wire["schedule"] = spec["schedule"]
        if spec.get("requireAuth") is not None:
            wire[self._name("requireAuth")] = spec["requireAuth"]
        if "requireRole" in spec:
            role = spec["requireRole"]
            wire[self._name("requireRole")] = role and self._renamed(role, ROLE_SPELLINGS)
        return wire | {key: spec[key] for key in ("class", "capabilities") if spec.get(key) is not None}

    def _site(self) -> dict[str, Any]:
        site = self._section("site")
        wire: dict[str, Any] = {}
        if "replace" in site:
            wire["replace"] = self._site_map("site.replace")
        if "patch" in site:
            wire["patch"] = {"put": self._site_map("site.patch.put")} if "put" in site["patch"] else {}
            if "delete" in site["patch"]:
                wire["patch"]["delete"] = site["patch"]["delete"]
        if "public_paths" in site:
            wire["public_paths"] = site["public_paths"]
        return wire

    def _site_map(self, place: str) -> dict[str, Any]:
        return {key: self._ref(self.items[place, key]) for key in self.site_keys[place]}

    def _assets(self) -> dict[str, Any]:
        assets = self._section("assets")
        wire: dict[str, Any] = {}
        if assets.get("put"):
            wire["put"] = [self._asset(index, asset) for index, asset in enumerate(assets["put"])]
        if assets.get("delete"):
            wire["delete"] = assets["delete"]
        if "sync" in assets:
            wire["sync"] = {key: assets["sync"][key] for key in ("prefix", "prune", "confirm") if key in assets["sync"]}
        return wire

    def _asset(self, index: int, asset: Mapping[str, Any]) -> dict[str, Any]:
        item = self.items.get(("assets", str(index)))
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
        return wire | {key: asset[key] for key in ("metadata", "exif_policy") if key in asset}

    # -- small parts

    def _section(self, key: str) -> Mapping[str, Any]:
        return self.spec.get(key) or {}

    def _each_function(self) -> Iterable[tuple[str, Mapping[str, Any]]]:
        functions = self._section("functions")
        for slot, inner in _FUNCTION_SLOTS:
            section = functions.get(slot) or {}
            named = section if inner is None else section.get(inner) or {}
            place = f"functions.{slot}" if inner is None else f"functions.{slot}.{inner}"
            for name, function in named.items():
                yield f"{place}.{name}", function

    def _name(self, camel: str) -> str:
        return camel if self.core else SNAKE.get(camel, camel)

    def _renamed(self, value: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
        return {self._name(key): value[key] for key in keys if value.get(key) is not None}

    def _ref(self, item: _Item) -> dict[str, Any]:
        ref: dict[str, Any] = {"sha256": item.sha256, "size": item.size}
        if item.content_type is not None:
            ref[self._name("contentType")] = item.content_type
        if item.integrity is not None:
            ref["integrity"] = item.integrity
        return ref


def _inline(data: bytes, label: str, slice_kind: SliceKind, content_type: str | None) -> _Item:
    item = _Item(label, slice_kind, content_type, source=BytesSource(data))
    item.sha256, item.size = sha256_hex(data), len(data)
    return item


def _given(ref: Mapping[str, Any], label: str, slice_kind: SliceKind) -> _Item:
    content_type = ref.get("contentType", ref.get("content_type"))
    item = _Item(label, slice_kind, content_type, integrity=ref.get("integrity"))
    item.sha256, item.size = ref["sha256"], ref["size"]
    return item


def _wire_routes(routes: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not routes:
        return None if routes is None else dict(routes)
    # A static route without methods means GET and HEAD; every gateway understands it spelled out.
    return {
        "replace": [
            {"pattern": route["pattern"], "methods": list(STATIC_METHODS), **route}
            if route["target"]["type"] == "static" and "methods" not in route
            else route
            for route in routes["replace"]
        ]
    }


def _text_for_binary(path: str, content_type: str, resource: str) -> ReleaseError:
    return invalid_spec(
        f"{path!r} is {content_type}, which text cannot hold. "
        'Name the file with {"path": ...}, or give {"data": ..., "encoding": "base64"}.',
        resource,
        code="BINARY_CONTENT_REQUIRES_BYTES",
        fix={"action": "use_bytes", "path": path},
        details={"path": path, "content_type": content_type},
    )


def _check_asset_options(asset: Mapping[str, Any], place: str) -> None:
    if asset.get("exif_policy", "keep") not in ("keep", "strip"):
        raise invalid_spec(f"{place}.exif_policy must be keep or strip.", place, code="INVALID_EXIF_POLICY")
    metadata = asset.get("metadata")
    if metadata is None:
        return
    if not isinstance(metadata, Mapping) or not all(map(_is_metadata_value, metadata.values())):
        problem = "may hold strings, numbers, booleans and arrays of strings"
    elif len(plan_bytes(metadata)) > MAX_METADATA_BYTES:
        problem = f"is larger than {MAX_METADATA_BYTES} bytes"
    else:
        return
    raise invalid_spec(f"{place}.metadata {problem}.", place, code="INVALID_ASSET_METADATA")


def _is_metadata_value(value: Any) -> bool:
    if isinstance(value, list):
        return all(isinstance(item, str) for item in value)
    return isinstance(value, (str, bool)) or is_number(value)
