"""The state that a release leaves a project in, and how a spec turns one state into the next.

See docs/protocol/releases.md, "Release state".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from run402_cli.release.canonical import (
    MATERIALIZED_RELEASE,
    canonical_sha256,
    code_unit_key,
    code_unit_sorted,
    digest,
)
from run402_cli.release.content_types import core_content_type_for
from run402_cli.release.errors import invalid_spec
from run402_cli.release.fields import ROLE_SPELLINGS, aliased
from run402_cli.release.routes import route_table
from run402_cli.release.static_manifest import build_static_manifest

STATE_VERSION: Final = "run402.portable_release_state.v1"
# What `functions deploy` tells its user where none was asked for; the gateway keeps the same.
DEFAULT_TIMEOUT_SECONDS: Final = 15
DEFAULT_MEMORY_MB: Final = 128


def empty_state() -> dict[str, Any]:
    """The state of a project that has no release."""
    return {
        "state_version": STATE_VERSION,
        "site": {"paths": []},
        "static_manifest": None,
        "functions": [],
        "secrets": {"keys": []},
        "subdomains": {"names": []},
        "routes": {"manifest_sha256": None, "entries": []},
        "migrations": [],
        "i18n": None,
    }


def materialize(base_state: Mapping[str, Any] | None, spec: Mapping[str, Any]) -> dict[str, Any]:
    """The state after applying a valid wire spec (either dialect) to `base_state` (None: the empty state).

    Raises ReleaseError: INVALID_SPEC for routes or public paths that name what is not there (resource routes or
    site.public_paths), STATIC_IMMUTABLE_PATH_CHANGED.
    """
    base = empty_state() if base_state is None else base_state
    site = spec.get("site") or {}
    paths = _site_paths(base["site"]["paths"], site)
    functions = _functions(base["functions"], spec.get("functions") or {})
    routes = spec.get("routes")
    table = base["routes"] if routes is None else route_table(routes["replace"])
    _check_route_targets(table["entries"], functions, paths)
    state = {
        "state_version": STATE_VERSION,
        "site": {"paths": paths},
        "static_manifest": build_static_manifest(
            paths, public_paths=site.get("public_paths"), base=base["static_manifest"], routes=table["entries"]
        ),
        "functions": functions,
        "secrets": {"keys": _merged(base["secrets"]["keys"], spec.get("secrets"), "require", "delete")},
        "subdomains": {"names": _subdomains(base["subdomains"]["names"], spec.get("subdomains") or {})},
        "routes": table,
        "migrations": _migrations(base["migrations"], (spec.get("database") or {}).get("migrations") or []),
        "i18n": _i18n(spec["i18n"]) if "i18n" in spec else base["i18n"],
    }
    return normalize_state(state)


def normalize_state(state: Mapping[str, Any]) -> dict[str, Any]:
    """`state` with every list in its one order; route entries keep theirs, which is the order of matching."""
    return {
        **state,
        "site": {"paths": _ordered(state["site"]["paths"], "path")},
        "functions": [_normal_function(entry) for entry in _ordered(state["functions"], "name")],
        "secrets": {"keys": code_unit_sorted(set(state["secrets"]["keys"]))},
        "subdomains": {"names": code_unit_sorted(set(state["subdomains"]["names"]))},
        "migrations": _ordered(state["migrations"], "migration_id", "checksum_hex"),
    }


def state_digest(state: Mapping[str, Any]) -> str:
    """`run402-materialized-release-v1:<hex>` of the normalized state."""
    return digest(MATERIALIZED_RELEASE, normalize_state(state))


def spelled(value: Mapping[str, Any], camel: str, snake: str) -> Any:
    """The field under its camelCase name, else under its snake_case one, else None."""
    found = value.get(camel)
    return value.get(snake) if found is None else found


def _ordered(entries: Iterable[Mapping[str, Any]], *keys: str) -> list[Any]:
    return sorted(entries, key=lambda entry: [code_unit_key(entry[key]) for key in keys])


def _site_paths(base: Iterable[Mapping[str, Any]], site: Mapping[str, Any]) -> list[dict[str, Any]]:
    paths = {} if "replace" in site else {entry["path"]: dict(entry) for entry in base}
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
    return _ordered(paths.values(), "path")


def _functions(base: Iterable[Mapping[str, Any]], section: Mapping[str, Any]) -> list[dict[str, Any]]:
    functions = {} if "replace" in section else {entry["name"]: dict(entry) for entry in base}
    patch = section.get("patch") or {}
    for name in patch.get("delete") or ():
        functions.pop(name, None)
    for name, spec in {**(section.get("replace") or {}), **(patch.get("set") or {})}.items():
        functions[name] = _function(name, spec, functions.get(name) if "patch" in section else None)
    return _ordered(functions.values(), "name")


def _function(name: str, spec: Mapping[str, Any], previous: Mapping[str, Any] | None) -> dict[str, Any]:
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


def _normal_function(entry: Mapping[str, Any]) -> dict[str, Any]:
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
        normal["triggers"] = _ordered(normal["triggers"], "id")
    return normal


def normal_trigger(trigger: Mapping[str, Any]) -> dict[str, Any]:
    """A trigger with its defaults filled in: UTC, skip, allow, an empty payload; events sorted."""
    run = trigger["run"]
    wire_run = {"event_type": run["event_type"], "payload": run.get("payload", {})}
    wire_run |= {key: run[key] for key in ("retry", "expires_after_seconds") if key in run}
    head = {"id": trigger["id"], "type": trigger["type"]}
    if trigger["type"] == "schedule":
        schedule = {
            "cron": trigger["cron"],
            "timezone": trigger.get("timezone", "UTC"),
            "misfire_policy": trigger.get("misfire_policy", "skip"),
            "overlap_policy": trigger.get("overlap_policy", "allow"),
        }
        return {**head, **schedule, "run": wire_run}
    return {**head, "mailbox": trigger["mailbox"], "events": code_unit_sorted(trigger["events"]), "run": wire_run}


def _merged(base: Iterable[str], section: Mapping[str, Any] | None, add: str, remove: str) -> list[str]:
    section = section or {}
    return code_unit_sorted((set(base) | set(section.get(add) or ())) - set(section.get(remove) or ()))


def _subdomains(base: Iterable[str], section: Mapping[str, Any]) -> list[str]:
    return _merged(section.get("set", base), section, "add", "remove")


def _migrations(base: Iterable[Mapping[str, Any]], migrations: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    applied = [dict(entry) for entry in base]
    known = {(entry["migration_id"], entry["checksum_hex"]) for entry in applied}
    for migration in migrations:
        if (migration["id"], migration["checksum"]) not in known:
            known.add((migration["id"], migration["checksum"]))
            applied.append(migration_entry(migration))
    return applied


def migration_entry(migration: Mapping[str, Any]) -> dict[str, Any]:
    """A wire migration as the state records it."""
    return {
        "migration_id": migration["id"],
        "checksum_hex": migration["checksum"],
        "transaction": "none" if migration.get("transaction") == "none" else "default",
    }


def _i18n(value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if value is None:
        return None
    detect = value.get("detect")
    return {
        "defaultLocale": spelled(value, "defaultLocale", "default_locale"),
        "locales": list(value["locales"]),
        "detect": ["accept-language"] if detect is None else list(detect),
        "unknownLocalePolicy": spelled(value, "unknownLocalePolicy", "unknown_locale_policy") or "reject",
    }


def _check_route_targets(
    entries: Iterable[Mapping[str, Any]], functions: Iterable[Mapping[str, Any]], paths: Iterable[Mapping[str, Any]]
) -> None:
    names = {entry["name"] for entry in functions}
    files = {entry["path"] for entry in paths}
    for entry in entries:
        target = entry["target"]
        there = target["name"] in names if target["type"] == "function" else target["file"] in files
        if not there:
            kind, wanted = (
                ("function", target["name"]) if target["type"] == "function" else ("site file", target["file"])
            )
            raise invalid_spec(
                f"The route {entry['pattern']!r} needs the {kind} {wanted!r}, which the release does not have. "
                f"Deploy it in the same release, or remove the route.",
                "routes",
            )
