"""Between an archive's release state and the wire spec that makes the same release. See docs/archives.md.

An imported state is never stored as it came: it is turned into a spec, which is checked like any deploy, and made anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from run402_cli.core.archives.contents import Contents, refused
from run402_cli.core.errors import GatewayError
from run402_cli.core.functions.build import LIBRARY_VERSION
from run402_cli.core.functions.bundle_rows import Bundle
from run402_cli.core.functions.functions_request import check_release_functions, code_content, code_of
from run402_cli.core.releases.release_request import read_spec
from run402_cli.release.errors import ReleaseError
from run402_cli.release.state import empty_state, materialize, normalize_state, state_digest

_CATCH_ALL: Final = "/*"
_ROLE_KEYS: Final = ("table", "idColumn", "roleColumn", "allowed", "cacheTtl", "onDeny", "signInPath")


@dataclass(frozen=True, slots=True)
class ImportedRelease:
    """The release that an archive makes: id, state, the functions' code, and the content that all of it needs."""

    release_id: str
    state: dict[str, Any]
    bundles: dict[str, Bundle]
    content: dict[str, int]

    @property
    def digest(self) -> str:
        return state_digest(self.state)


def spec_of(project: str, state: Mapping[str, Any], functions: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The wire spec that makes this state from nothing. `functions`: name to code ({source, files, entrypoint})."""
    spec: dict[str, Any] = {"project": project, "base": {"release": "empty"}}
    site = _site(state)
    if site:
        spec["site"] = site
    entries = {entry["name"]: _function(entry, functions.get(entry["name"]) or {}) for entry in state["functions"]}
    if entries:
        spec["functions"] = {"replace": entries}
    if state["secrets"]["keys"]:
        spec["secrets"] = {"require": list(state["secrets"]["keys"])}
    routes = [_route(entry) for entry in state["routes"]["entries"] if entry.get("pattern") != _CATCH_ALL]
    if routes:
        spec["routes"] = {"replace": routes}
    if state.get("i18n"):
        spec["i18n"] = state["i18n"]
    return spec


def _site(state: Mapping[str, Any]) -> dict[str, Any]:
    files = {
        str(entry["path"]).lstrip("/"): {
            "sha256": entry["content_sha256"],
            "size": entry["size_bytes"],
            "contentType": entry["content_type"],
        }
        for entry in state["site"]["paths"]
    }
    manifest = state.get("static_manifest") or {}
    site: dict[str, Any] = {"replace": files} if files else {}
    if manifest.get("public_path_mode") == "explicit":
        public = {path: _public(entry) for path, entry in manifest["files"].items() if entry.get("direct", True)}
        site |= {"replace": files, "public_paths": {"mode": "explicit", "replace": public}}
    return site


def _public(entry: Mapping[str, Any]) -> dict[str, Any]:
    declared = {"cache_class": entry["cache_class"]} if entry.get("cache_class_source") == "declared" else {}
    return {"asset": str(entry["asset_path"]).lstrip("/"), **declared}


def _route(entry: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: entry[key] for key in ("pattern", "target", "pricing") if entry.get(key) is not None}
    return kept if entry.get("methods") is None else {**kept, "methods": entry["methods"]}


def _function(entry: Mapping[str, Any], code: Mapping[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "runtime": entry.get("runtime", "node22"),
        "config": {"timeoutSeconds": entry.get("timeout_seconds", 10), "memoryMb": entry.get("memory_mb", 128)},
        "deps": entry.get("deps") or [],
        "requireAuth": entry.get("require_auth", False),
    }
    given = {
        "source": code.get("source"),
        "files": code.get("files"),
        "entrypoint": code.get("entrypoint"),
        "schedule": entry.get("schedule"),
        "triggers": entry.get("triggers"),
        "class": entry.get("class"),
        "capabilities": entry.get("capabilities"),
    }
    spec |= {key: value for key, value in given.items() if value}
    if entry.get("require_role"):
        role = entry["require_role"]
        spec["requireRole"] = {key: role[key] for key in _ROLE_KEYS if role.get(key) is not None}
    return spec


def release_of(contents: Contents, project_id: str) -> ImportedRelease | None:
    """The release of an archive, made anew; None when the archive has none. GatewayError 422 with an archive code."""
    if contents.state is None:
        return None
    runtime = {str(item.get("name")): item for item in contents.functions}
    try:
        given = contents.state
        codes = {entry["name"]: _code(contents, runtime.get(entry["name"])) for entry in given["functions"]}
        spec = spec_of(project_id, given, codes)
        read_spec(spec)
        state = materialize(None, spec)
        state = _completed(state, given)
        check_release_functions([{**entry, "class": "standard", "capabilities": []} for entry in state["functions"]])
        bundles = {entry["name"]: _bundle(entry, spec, runtime[entry["name"]]) for entry in state["functions"]}
    except (ReleaseError, GatewayError) as exc:
        if isinstance(exc, GatewayError) and exc.status == 422 and exc.error.isupper():
            raise
        raise _unusable(exc.message) from exc
    except (KeyError, TypeError, AttributeError, ValueError) as exc:
        raise _unusable(f"its shape is not the documented one ({type(exc).__name__}: {exc})") from exc
    if contents.release_id is None and state == empty_state():
        return None
    content = {entry["content_sha256"]: entry["size_bytes"] for entry in state["site"]["paths"]}
    for bundle in bundles.values():
        content |= code_content(bundle.code)
    release_id = contents.release_id or f"rel_{state_digest(state).partition(':')[2][:24]}"
    return ImportedRelease(release_id, state, bundles, content)


def _unusable(why: str) -> GatewayError:
    return refused("IMPORT_CONFORMANCE_FAILED", f"The release of the archive cannot be made here: {why}")


def _completed(state: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """What a spec cannot say: the migrations that were applied, and a catch-all route of a server-rendered site."""
    state["migrations"] = [_migration(entry) for entry in given["migrations"]]
    names = {entry["name"] for entry in state["functions"]}
    for entry in given["routes"]["entries"]:
        if entry["pattern"] == _CATCH_ALL and entry["target"].get("name") in names:
            methods = sorted({str(method) for method in entry["methods"]}) if entry.get("methods") else None
            catch_all = {"pattern": _CATCH_ALL, "kind": "prefix", "prefix": "/", "methods": methods}
            target = {"type": "function", "name": entry["target"]["name"]}
            state["routes"]["entries"].append({**catch_all, "target": target})
    return normalize_state(state)


def _migration(entry: Mapping[str, Any]) -> dict[str, str]:
    migration_id, checksum = entry["migration_id"], entry["checksum_hex"]
    if not isinstance(migration_id, str) or not migration_id.isprintable() or not 0 < len(migration_id) <= 256:
        raise ValueError("a migration has no usable id")
    if not isinstance(checksum, str) or not checksum.isalnum() or len(checksum) > 64:
        raise ValueError(f"the migration {migration_id} has no checksum")
    transaction = "none" if entry.get("transaction") == "none" else "default"
    return {"migration_id": migration_id, "checksum_hex": checksum, "transaction": transaction}


def _code(contents: Contents, item: Mapping[str, Any] | None) -> dict[str, Any]:
    """A function's code as a spec names it. `bundle` is our own addition, for functions of several files."""
    if item is None:
        raise ValueError("a function of the release is not in runtime/index.json")
    bundle = item.get("bundle")
    if isinstance(bundle, dict):
        return {key: bundle.get(key) for key in ("source", "files", "entrypoint")}
    digest = str(item["artifact_digest"]).removeprefix("sha256:")
    entry = contents.archive.entries.get(str(item["artifact_path"]))
    if entry is None:
        raise refused(
            "ARCHIVE_BLOB_MISSING", f"The code of {item['name']} is not in the archive.", path=item["artifact_path"]
        )
    return {"source": {"sha256": digest, "size": entry.size}, "entrypoint": item.get("entrypoint")}


def _bundle(entry: Mapping[str, Any], spec: Mapping[str, Any], item: Mapping[str, Any]) -> Bundle:
    code = code_of(spec["functions"]["replace"][entry["name"]])
    if code is None:
        raise ValueError(f"the function {entry['name']} has no code")
    lock = item.get("bundle", {}).get("lock") if isinstance(item.get("bundle"), dict) else None
    usable = isinstance(lock, dict) and isinstance(lock.get("packages"), dict)
    return Bundle(str(entry["name"]), entry, code, lock if usable else None, LIBRARY_VERSION)
