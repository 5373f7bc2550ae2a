"""`functions`: code that runs on calls, schedules and mail. See docs/protocol/releases.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from run402_cli.release.canonical import canonical_sha256, code_unit_key, code_unit_sorted
from run402_cli.release.content import Writer
from run402_cli.release.entries import Base, normalize_file_entry
from run402_cli.release.fields import MANIFEST, ROLE_SPELLINGS, SPEC, Spellings, aliased, spelled, spellings
from run402_cli.release.paths import check_path
from run402_cli.release.section import Section, in_order
from run402_cli.release.triggers import check_triggers, normal_trigger

# What `functions deploy` tells its user where none was asked for; the gateway keeps the same.
DEFAULT_TIMEOUT_SECONDS: Final = 15
DEFAULT_MEMORY_MB: Final = 128

# In the order of the ReleaseSpec.
FIELDS: Final[Spellings] = {
    "runtime": ("runtime",),
    "source": ("source",),
    "files": ("files",),
    "entrypoint": ("entrypoint",),
    "config": ("config",),
    "deps": ("deps",),
    "triggers": ("triggers",),
    "schedule": ("schedule",),
    "requireAuth": ("requireAuth", "require_auth"),
    "requireRole": ("requireRole", "require_role"),
    "class": ("class",),
    "capabilities": ("capabilities",),
}
CONFIG_FIELDS: Final[Spellings] = {
    "timeoutSeconds": ("timeoutSeconds", "timeout_seconds"),
    "memoryMb": ("memoryMb", "memory_mb"),
}
_CONFIG_HINTS: Final = {"schedule": "A schedule belongs to the function's triggers, beside config."}
_COMPARED: Final = ("code_hash", "runtime", "timeout_seconds", "memory_mb", "schedule", "triggers", "deps")
_SHOWN: Final = ("name", "code_hash", "runtime", "timeout_seconds", "memory_mb", "schedule", "triggers")


class FunctionsSection(Section):
    """A gateway's check is `core/functions/functions_request.py`, which knows what it can run."""

    name = state_key = "functions"
    spellings = (FIELDS, CONFIG_FIELDS, ROLE_SPELLINGS)
    slice_kind = "release"
    noun = "function"
    confirms_removal = True

    def normalize(self, value: Any, base: Base) -> Any:
        functions = MANIFEST.known(value, ("replace", "patch"), "functions")
        section: dict[str, Any] = {}
        if functions.get("replace") is not None:
            section["replace"] = _normalize_map(functions["replace"], "functions.replace", base)
        if functions.get("patch") is not None:
            patch = MANIFEST.known(functions["patch"], ("set", "delete"), "functions.patch")
            section["patch"] = {}
            if patch.get("set") is not None:
                section["patch"]["set"] = _normalize_map(patch["set"], "functions.patch.set", base)
            if patch.get("delete") is not None:
                section["patch"]["delete"] = list(MANIFEST.array(patch["delete"], "functions.patch.delete"))
        return section

    def check_spec(self, value: Any) -> None:
        functions = SPEC.known(value, ("replace", "patch"), "functions")
        if "replace" in functions:
            SPEC.each(functions["replace"], "functions.replace", _check)
        if "patch" in functions:
            patch = SPEC.known(functions["patch"], ("set", "delete"), "functions.patch")
            if "set" in patch:
                SPEC.each(patch["set"], "functions.patch.set", _check)
            if "delete" in patch:
                SPEC.strings(patch["delete"], "functions.patch.delete")

    def deploys(self, value: Any) -> bool:
        patch = (value or {}).get("patch") or {}
        return bool(value) and bool(value.get("replace") or patch.get("set") or patch.get("delete"))

    def collect(self, value: Any, writer: Writer) -> None:
        for place, function in _each(value):
            if function.get("source") is not None:
                writer.add((place, "source"), function["source"], "function source", "release")
            for path, entry in (function.get("files") or {}).items():
                writer.add((place, "files", path), entry, path, "release", path=path)

    def to_wire(self, value: Any, writer: Writer) -> Any:
        wire: dict[str, Any] = {}
        if "replace" in value:
            wire["replace"] = _to_wire_map(value["replace"], "functions.replace", writer)
        if "patch" in value:
            wire["patch"] = {}
            if "set" in value["patch"]:
                wire["patch"]["set"] = _to_wire_map(value["patch"]["set"], "functions.patch.set", writer)
            if "delete" in value["patch"]:
                wire["patch"]["delete"] = value["patch"]["delete"]
        return wire

    def empty(self) -> dict[str, Any]:
        return {"functions": []}

    def after(self, base: Any, value: Any) -> Any:
        section = value or {}
        functions = {} if "replace" in section else {entry["name"]: dict(entry) for entry in base}
        patch = section.get("patch") or {}
        for name in patch.get("delete") or ():
            functions.pop(name, None)
        for name, spec in {**(section.get("replace") or {}), **(patch.get("set") or {})}.items():
            functions[name] = _entry(name, spec, functions.get(name) if "patch" in section else None)
        return in_order(functions.values(), "name")

    def normal(self, part: Any) -> Any:
        return [_normal(entry) for entry in in_order(part, "name")]

    def shown(self, state: Mapping[str, Any]) -> dict[str, Any]:
        return {"functions": [{key: entry[key] for key in _SHOWN if key in entry} for entry in self.of(state)]}

    def diff(self, old: Any, new: Any) -> dict[str, Any]:
        before = {entry["name"]: entry for entry in old}
        after = {entry["name"]: entry for entry in new}
        changed = []
        for name in sorted(before.keys() & after.keys()):
            fields = [field for field in _COMPARED if before[name].get(field) != after[name].get(field)]
            if fields:
                changed.append({"name": name, "fields_changed": fields})
        return {
            "added": sorted(after.keys() - before.keys()),
            "removed": sorted(before.keys() - after.keys()),
            "changed": changed,
        }


def _normalize_map(value: Any, where: str, base: Base) -> dict[str, Any]:
    return {name: _normalize(spec, f"{where}.{name}", base) for name, spec in MANIFEST.mapping(value, where).items()}


def _normalize(value: Any, where: str, base: Base) -> dict[str, Any]:
    spec = aliased(MANIFEST.known(value, spellings(FIELDS), where), FIELDS)
    if spec.get("config") is not None:
        config = MANIFEST.known(spec["config"], spellings(CONFIG_FIELDS), f"{where}.config", _CONFIG_HINTS)
        spec["config"] = aliased(config, CONFIG_FIELDS)
    if "source" in spec:
        spec["source"] = normalize_file_entry(spec["source"], f"{where}.source", base)
    if spec.get("files") is not None:
        spec["files"] = {
            path: normalize_file_entry(entry, f"{where}.files.{path}", base)
            for path, entry in MANIFEST.mapping(spec["files"], f"{where}.files").items()
        }
    if spec.get("requireRole") is not None:
        role = MANIFEST.known(spec["requireRole"], spellings(ROLE_SPELLINGS), f"{where}.requireRole")
        spec["requireRole"] = aliased(role, ROLE_SPELLINGS)
    if "capabilities" in spec:
        MANIFEST.strings(spec["capabilities"], f"{where}.capabilities")
    return spec


def _check(value: Any, where: str) -> None:
    function = SPEC.known(value, tuple(FIELDS), where)
    for path in SPEC.mapping(function.get("files") or {}, f"{where}.files"):
        check_path(path, f"{where}.files", SPEC)
    config = SPEC.known(function.get("config") or {}, tuple(CONFIG_FIELDS), f"{where}.config")
    for key, number in config.items():
        if number is not None:
            SPEC.positive_integer(number, f"{where}.config.{key}")
    if function.get("deps") is not None:
        SPEC.strings(function["deps"], f"{where}.deps")
    if function.get("schedule") is not None:
        SPEC.text(function["schedule"], f"{where}.schedule")
    if function.get("triggers") is not None:
        check_triggers(function["triggers"], f"{where}.triggers")


def _each(functions: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every function with its place: those of replace, then those of patch.set."""
    patched = (functions.get("patch") or {}).get("set")
    for place, named in (("functions.replace", functions.get("replace")), ("functions.patch.set", patched)):
        for name, function in (named or {}).items():
            yield f"{place}.{name}", function


def _to_wire_map(functions: Mapping[str, Any], place: str, writer: Writer) -> dict[str, Any]:
    return {name: _to_wire(spec, f"{place}.{name}", writer) for name, spec in functions.items()}


def _to_wire(spec: Mapping[str, Any], place: str, writer: Writer) -> dict[str, Any]:
    wire: dict[str, Any] = {"runtime": spec.get("runtime") or "node22"}
    if spec.get("source") is not None:
        wire["source"] = writer.ref(place, "source")
    if spec.get("files") is not None:
        wire["files"] = {path: writer.ref(place, "files", path) for path in spec["files"]}
    if spec.get("entrypoint"):
        wire["entrypoint"] = spec["entrypoint"]
    config = writer.renamed(spec.get("config") or {}, CONFIG_FIELDS)
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
        wire[writer.spelled(FIELDS, "requireAuth")] = spec["requireAuth"]
    if "requireRole" in spec:
        role = spec["requireRole"]
        wire[writer.spelled(FIELDS, "requireRole")] = role and writer.renamed(role, ROLE_SPELLINGS)
    return wire | {key: spec[key] for key in ("class", "capabilities") if spec.get(key) is not None}


def _entry(name: str, spec: Mapping[str, Any], previous: Mapping[str, Any] | None) -> dict[str, Any]:
    """A wire function as the state records it."""
    config = spec.get("config") or {}
    role = spelled(spec, "requireRole", "require_role")
    code_hash = (spec.get("source") or {}).get("sha256", "")
    if spec.get("files"):
        refs = {path: ref["sha256"] for path, ref in spec["files"].items()}
        code_hash = canonical_sha256({"entrypoint": spec.get("entrypoint"), "files": refs, "source": code_hash})
    if not code_hash and previous is not None:
        # A patch that changes settings only keeps the code that is there.
        code_hash = previous["code_hash"]
    entry: dict[str, Any] = {
        "name": name,
        "code_hash": code_hash,
        "runtime": spec.get("runtime", "node22"),
        "timeout_seconds": spelled(config, "timeoutSeconds", "timeout_seconds") or DEFAULT_TIMEOUT_SECONDS,
        "memory_mb": spelled(config, "memoryMb", "memory_mb") or DEFAULT_MEMORY_MB,
        "schedule": spec.get("schedule"),
        "deps": list(spec.get("deps") or ()),
        "require_auth": bool(spelled(spec, "requireAuth", "require_auth")),
        "require_role": None if role is None else aliased(role, ROLE_SPELLINGS),
    }
    if spec.get("triggers"):
        entry["triggers"] = [normal_trigger(trigger) for trigger in spec["triggers"]]
    for key in ("class", "capabilities"):
        if spec.get(key) is not None:
            entry[key] = spec[key]
    return entry


def _normal(entry: Mapping[str, Any]) -> dict[str, Any]:
    normal = {**entry, "deps": code_unit_sorted(entry["deps"])}
    if normal.get("require_role"):
        normal["require_role"] = {
            **normal["require_role"],
            "allowed": code_unit_sorted(normal["require_role"]["allowed"]),
        }
    if "capabilities" in normal:
        normal["capabilities"] = code_unit_sorted(normal["capabilities"])
    if not normal.get("triggers"):
        normal.pop("triggers", None)
    else:
        normal["triggers"] = in_order(normal["triggers"], "id")
    return normal


SECTION: Final = FunctionsSection()
