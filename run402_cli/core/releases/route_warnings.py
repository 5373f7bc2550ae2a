"""What is questionable about a release's routes, without being wrong: the route warnings of a plan. Pure.

See docs/local-gateway.md, "Warnings of a plan".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from run402_cli.core.sites.lookup import READ_METHODS
from run402_cli.release.routes import MAX_ROUTES

NEAR_LIMIT: Final = MAX_ROUTES * 9 // 10
# Half of the table spent on pages that public paths could serve.
MANY_ALIASES: Final = MAX_ROUTES // 2
LISTED: Final = 20
State = Mapping[str, Any]


def route_warnings(before: State, after: State, diff: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Warnings about the target state's route table; silent while neither routes, site nor functions change."""
    buckets = (diff[name] for name in ("routes", "site", "functions"))
    if not any(bucket.get(key) for bucket in buckets for key in ("added", "removed", "changed")):
        return
    entries = after["routes"]["entries"]
    files = (after["static_manifest"] or {"files": {}})["files"]
    direct = {path: entry for path, entry in files.items() if entry["direct"]}
    functions = [entry for entry in entries if entry["target"]["type"] == "function"]
    aliases = [entry for entry in entries if entry["target"]["type"] == "static"]
    yield from _about_functions(functions, direct, diff)
    yield from _carried_forward(before, after, functions, diff)
    yield from _about_aliases(aliases, direct, after)
    if len(entries) >= NEAR_LIMIT:
        message = f"{len(entries)} of {MAX_ROUTES} routes are in use. Join some under one /* pattern."
        yield _warning("ROUTE_TABLE_NEAR_LIMIT", "warn", message, [])
    if len(aliases) >= MANY_ALIASES:
        message = f"{len(aliases)} routes only give files another path. site.public_paths does that without routes."
        yield _warning("STATIC_ALIAS_TABLE_NEAR_LIMIT", "warn", message, [])


def _about_functions(
    routes: Sequence[Mapping[str, Any]], direct: Mapping[str, Any], diff: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    new = [entry["pattern"] for entry in diff["routes"]["added"] if entry["target"]["type"] == "function"]
    if new:
        message = "Anybody may call these functions through the site's routes; they must check callers themselves."
        yield _warning("PUBLIC_ROUTED_FUNCTION", "info", message, new)
    for route in routes:
        reads = route["methods"] is None or any(method in READ_METHODS for method in route["methods"])
        covered = _covered(route, direct)
        if not covered:
            continue
        if not reads:
            message = f"{route['pattern']} takes {', '.join(route['methods'])}; GET and HEAD are answered by the file."
            yield _warning("METHOD_SPECIFIC_ROUTE_ALLOWS_GET_STATIC_FALLBACK", "info", message, covered)
        elif route["kind"] == "prefix":
            message = f"The route {route['pattern']} answers in place of {len(covered)} public files below it."
            yield _warning("WILDCARD_ROUTE_SHADOWS_STATIC_PATHS", "warn", message, covered)
        else:
            message = f"The route {route['pattern']} answers in place of the public file at that path."
            yield _warning("ROUTE_SHADOWS_STATIC_PATH", "warn", message, covered)


def _covered(route: Mapping[str, Any], direct: Mapping[str, Any]) -> list[str]:
    if route["kind"] == "prefix":
        return [path for path in sorted(direct) if path.startswith(route["prefix"])]
    pattern = _trimmed(route["pattern"])
    return [path for path in sorted(direct) if _trimmed(path) == pattern]


def _carried_forward(
    before: State, after: State, routes: Sequence[Mapping[str, Any]], diff: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    if not any(diff["functions"].get(key) for key in ("added", "removed", "changed")):
        return
    old_routes = before["routes"]["entries"]
    old = {entry["name"]: entry["code_hash"] for entry in before["functions"]}
    same = {entry["name"] for entry in after["functions"] if old.get(entry["name"]) == entry["code_hash"]}
    kept = [r["pattern"] for r in routes if r in old_routes and r["target"]["name"] in same]
    if kept:
        message = "These routes still call functions of the release before, unchanged."
        yield _warning("ROUTE_TARGET_CARRIED_FORWARD", "info", message, kept)


def _about_aliases(
    aliases: Sequence[Mapping[str, Any]], direct: Mapping[str, Any], after: State
) -> Iterator[dict[str, Any]]:
    types = {entry["path"]: entry["content_type"] for entry in after["site"]["paths"]}
    public: dict[str, list[str]] = {}
    for path, entry in direct.items():
        public.setdefault(entry["asset_path"], []).append(path)
    found: dict[str, list[str]] = {code: [] for code in _ALIAS_MESSAGES}
    for route in aliases:
        for code in _alias_codes(route, direct, types, public):
            found[code].append(route["pattern"])
    for code, (severity, message) in _ALIAS_MESSAGES.items():
        if found[code]:
            yield _warning(code, severity, message, found[code])


def _alias_codes(
    route: Mapping[str, Any],
    direct: Mapping[str, Any],
    types: Mapping[str, str],
    public: Mapping[str, list[str]],
) -> Iterator[str]:
    file, path = route["target"]["file"], _trimmed(route["pattern"])
    html = types.get(file, "").startswith("text/html")
    otherwise = [direct.get(candidate) for candidate in (path, f"{path}/", f"{path}/index.html", f"{path}.html")]
    first = next((entry for entry in otherwise if entry is not None), None)
    if first is not None and first["asset_path"] != file:
        yield "STATIC_ALIAS_SHADOWS_STATIC_PATH"
    elif first is not None:
        yield "STATIC_ALIAS_REDUNDANT_PUBLIC_PATH"
    if [other for other in public.get(file, ()) if _trimmed(other) != path]:
        yield "STATIC_ALIAS_DUPLICATE_CANONICAL_URL"
    if html and file.rpartition("/")[0] != path.strip("/").rpartition("/")[0]:
        yield "STATIC_ALIAS_RELATIVE_ASSET_RISK"
    if not html and "." not in path.rpartition("/")[2]:
        yield "STATIC_ALIAS_EXTENSIONLESS_NON_HTML"


_ALIAS_MESSAGES: Final = {
    "STATIC_ALIAS_SHADOWS_STATIC_PATH": ("warn", "These static routes hide another file that has the same address."),
    "STATIC_ALIAS_REDUNDANT_PUBLIC_PATH": ("info", "These static routes repeat an address that the file has anyway."),
    "STATIC_ALIAS_DUPLICATE_CANONICAL_URL": ("info", "The files of these static routes have a second public address."),
    "STATIC_ALIAS_RELATIVE_ASSET_RISK": (
        "warn",
        "These static routes show a page in another directory than its file: its relative links will miss.",
    ),
    "STATIC_ALIAS_EXTENSIONLESS_NON_HTML": (
        "warn",
        "These static routes have no extension and serve no page: their type comes from the release alone.",
    ),
}


def _trimmed(path: str) -> str:
    return path.rstrip("/") or "/"


def _warning(code: str, severity: str, message: str, affected: Sequence[str]) -> dict[str, Any]:
    return {
        "code": code,
        "severity": severity,
        "requires_confirmation": False,
        "message": message,
        "affected": list(affected[:LISTED]),
        **({"details": {"count": len(affected)}} if len(affected) > LISTED else {}),
    }
