"""Web routes: the client's rules for a manifest, and the route table that a release stores.

See docs/protocol/releases.md, "Routes".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from run402_cli.release.canonical import code_unit_key, code_unit_sorted, compact_json, sha256_hex
from run402_cli.release.errors import ReleaseError
from run402_cli.release.fields import SPEC, Fields, shown

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
STATIC_METHODS: Final = ["GET", "HEAD"]
MAX_ROUTES: Final = 100
MAX_PATTERN_BYTES: Final = 256
READONLY_WARNING: Final = "WILDCARD_ROUTE_EXCLUDES_MUTATION_METHODS"

_ROUTE_KEYS: Final = ("pattern", "methods", "target", "pricing", "acknowledge_readonly")
_PRICING_KEYS: Final = ("mode", "amount_usd_micros", "pay_to", "networks", "receipt")
_READ_METHODS: Final = frozenset(STATIC_METHODS)
_MUTATIONS: Final = ["POST", "PUT", "PATCH", "DELETE"]
_BAD_ESCAPE: Final = re.compile("%(?![0-9A-Fa-f]{2})")
_EXAMPLE: Final = {
    "routes": {"replace": [{"pattern": "/api/*", "methods": ["GET"], "target": {"type": "function", "name": "api"}}]}
}


def check_routes(value: Any, fields: Fields, *, pricing: bool) -> None:
    """Check `routes` by the client's rules. None and `{replace: [...]}` are the only shapes.

    `pricing` objects are looked into only when `pricing` is true (the spec layer). Raises the error of `fields`'
    layer; in the spec layer it carries `fix` with an example.
    """
    try:
        _check_table(value, fields, pricing=pricing)
    except ReleaseError as error:
        if fields.phase:
            error.fix = {"action": "set_field", "path": "routes.replace", "example": _EXAMPLE}
        raise


def _check_table(value: Any, fields: Fields, *, pricing: bool) -> None:
    if value is None:
        return
    table = fields.mapping(value, "routes")
    if any(key.startswith("/") for key in table):
        raise fields.error(
            "routes is a map of paths. Write an array instead: "
            '{"replace": [{"pattern": "/api", "target": {"type": "function", "name": "api"}}]}.',
            "routes",
        )
    fields.known(table, ("replace",), "routes")
    if "replace" not in table:
        raise fields.error("routes needs replace: an array of routes, [] to remove them all.", "routes.replace")
    for index, route in enumerate(fields.array(table["replace"], "routes.replace")):
        _check_route(route, f"routes.replace[{index}]", fields, pricing=pricing)


def _check_route(value: Any, where: str, fields: Fields, *, pricing: bool) -> None:
    route = fields.known(value, _ROUTE_KEYS, where)
    pattern = route.get("pattern")
    if not isinstance(pattern, str) or not pattern:
        raise fields.error(f"{where}.pattern must be a path like /admin or /admin/*.", f"{where}.pattern")
    methods = _check_methods(route["methods"], f"{where}.methods", fields) if "methods" in route else None
    kind = _check_target(route.get("target"), f"{where}.target", fields)
    if kind == "static":
        _check_static_route(route, pattern, methods, where, fields)
    elif "pricing" in route and pricing:
        _check_pricing(route["pricing"], f"{where}.pricing", fields)
    if "acknowledge_readonly" in route:
        readonly = bool(methods) and _READ_METHODS.issuperset(methods or ())
        if (
            route["acknowledge_readonly"] is not True
            or kind != "function"
            or not pattern.endswith("/*")
            or not readonly
        ):
            raise fields.error(
                f"{where}.acknowledge_readonly is only for a function route that ends in /* and whose methods are "
                "GET and HEAD; its value is true. Remove it.",
                f"{where}.acknowledge_readonly",
            )


def _check_methods(value: Any, where: str, fields: Fields) -> Sequence[str]:
    methods = fields.strings(value, where)
    if not methods:
        raise fields.error(f"{where} is empty. Leave it out to accept every method.", where)
    for method in methods:
        fields.one_of(method, METHODS, where)
    if len(set(methods)) != len(methods):
        raise fields.error(f"{where} lists a method twice. List each once.", where)
    return methods


def _check_target(value: Any, where: str, fields: Fields) -> str:
    target = fields.mapping(value, where)
    kind = target.get("type")
    if kind is None and ("function" in target or "static" in target):
        raise fields.error(
            f'{where} lacks its type. Write {{"type": "function", "name": ...}} or {{"type": "static", "file": ...}}.',
            where,
        )
    fields.one_of(kind, ("function", "static"), f"{where}.type")
    key = "name" if kind == "function" else "file"
    fields.known(target, ("type", key), where)
    fields.text(target.get(key), f"{where}.{key}")
    return str(kind)


def _check_static_route(
    route: Mapping[str, Any], pattern: str, methods: Sequence[str] | None, where: str, fields: Fields
) -> None:
    if "*" in pattern:
        raise fields.error(
            f"{where}.pattern {pattern!r} has a wildcard; a static route serves one path.", f"{where}.pattern"
        )
    if methods is not None and set(methods) not in ({"GET"}, {"GET", "HEAD"}):
        raise fields.error(f"{where}.methods of a static route is GET or GET and HEAD.", f"{where}.methods")
    if "pricing" in route:
        raise fields.error(f"{where}.pricing is only for function routes. Remove it.", f"{where}.pricing")
    problem = static_file_problem(route["target"]["file"])
    if problem:
        raise fields.error(f"{where}.target.file {problem}. Use a site path like docs/index.html.", f"{where}.target")


def static_file_problem(file: str) -> str | None:
    """Why `file` cannot be the file of a static route, or None."""
    if any(character in file for character in "?#\\"):
        return f"{file!r} has a ?, # or backslash in it"
    if file.startswith("/") or file.endswith("/"):
        return f"{file!r} starts or ends with a slash"
    if any(segment in ("", ".", "..") for segment in file.split("/")):
        return f"{file!r} has an empty, . or .. segment"
    return None


def _check_pricing(value: Any, where: str, fields: Fields) -> None:
    pricing = fields.known(value, _PRICING_KEYS, where)
    fields.one_of(pricing.get("mode"), ("always",), f"{where}.mode")
    fields.positive_integer(pricing.get("amount_usd_micros"), f"{where}.amount_usd_micros")
    fields.one_of(pricing.get("pay_to"), ("org_default_payout",), f"{where}.pay_to")
    if "networks" in pricing:
        networks = fields.strings(pricing["networks"], f"{where}.networks")
        for network in networks:
            fields.one_of(network, ("mainnet", "testnet"), f"{where}.networks")
        if not networks or len(set(networks)) != len(networks):
            raise fields.error(f"{where}.networks must name mainnet, testnet or both, once.", f"{where}.networks")
    if "receipt" in pricing:
        fields.one_of(pricing["receipt"], ("on_fulfillment",), f"{where}.receipt")


def readonly_wildcard_warning(spec: Mapping[str, Any]) -> dict[str, Any] | None:
    """The client's own plan warning: wildcard function routes that turn mutations away before the function runs."""
    replace = (spec.get("routes") or {}).get("replace") or []
    affected = {
        route["pattern"]
        for route in replace
        if route["target"].get("type") == "function"
        and route["pattern"].endswith("/*")
        and route.get("methods")
        and _READ_METHODS.issuperset(route["methods"])
        and not route.get("acknowledge_readonly")
    }
    if not affected:
        return None
    patterns = code_unit_sorted(affected)
    return {
        "code": READONLY_WARNING,
        "severity": "warn",
        "requires_confirmation": True,
        "message": f"{', '.join(patterns)}: only GET and HEAD reach the function; "
        "POST, PUT, PATCH and DELETE are refused before it runs.",
        "affected": patterns,
        "confidence": "heuristic",
        "details": {
            "missing_common_methods": list(_MUTATIONS),
            "fix": "Add the methods, leave methods out, or set acknowledge_readonly: true on the route.",
        },
    }


def route_table(replace: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """`{manifest_sha256, entries}` of a release: checked, completed and sorted as requests are matched.

    Raises ReleaseError (INVALID_SPEC, phase validate) for a route that a gateway cannot serve.
    """
    check_routes({"replace": list(replace)}, SPEC, pricing=True)
    entries = [_entry(route, f"routes.replace[{index}]") for index, route in enumerate(replace)]
    if len(entries) > MAX_ROUTES:
        raise SPEC.error(f"routes.replace has {len(entries)} routes; the limit is {MAX_ROUTES}.", "routes.replace")
    seen: set[tuple[str, str]] = set()
    for entry in entries:
        for method in _effective(entry["methods"]):
            key = (entry["pattern"].rstrip("/") or "/", method)
            if key in seen:
                raise SPEC.error(
                    f"Two routes answer {method} {key[0]} (a trailing slash and GET's HEAD count). Remove one.",
                    "routes",
                )
            seen.add(key)
    entries.sort(key=_match_order)
    return {"manifest_sha256": sha256_hex(compact_json(entries).encode()) if entries else None, "entries": entries}


def _entry(route: Mapping[str, Any], where: str) -> dict[str, Any]:
    pattern: str = route["pattern"]
    _check_pattern(pattern, f"{where}.pattern")
    prefix = pattern[:-1] if pattern.endswith("/*") else None
    target = route["target"]
    static = target["type"] == "static"
    methods = route.get("methods")
    entry: dict[str, Any] = {
        "pattern": pattern,
        "kind": "exact" if prefix is None else "prefix",
        "prefix": prefix,
        "methods": list(STATIC_METHODS) if static else (sorted(set(methods)) if methods else None),
        "target": {"type": "static", "file": target["file"]}
        if static
        else {"type": "function", "name": target["name"]},
    }
    if "pricing" in route:
        entry["pricing"] = {"networks": ["mainnet"], **route["pricing"]}
        entry["pricing"] = {key: entry["pricing"][key] for key in _PRICING_KEYS if key in entry["pricing"]}
    return entry


def _check_pattern(pattern: str, where: str) -> None:
    problem = None
    if not pattern.startswith("/"):
        problem = "must start with /"
    elif "?" in pattern:
        problem = "must not contain ?; the query string is never matched"
    elif _BAD_ESCAPE.search(pattern):
        problem = "has a % that is not followed by two hex digits"
    elif pattern == "/*":
        problem = "would take every path; name a prefix such as /api/*"
    elif "*" in pattern.removesuffix("/*"):
        problem = "has a * that is not a final /*"
    elif len(pattern.encode("utf-8", "surrogatepass")) > MAX_PATTERN_BYTES:
        problem = f"is longer than {MAX_PATTERN_BYTES} bytes"
    if problem:
        raise SPEC.error(f"{where} {shown(pattern)} {problem}.", where)


def _effective(methods: Sequence[str] | None) -> list[str]:
    if methods is None:
        return sorted(METHODS)
    return sorted({*methods, "HEAD"} if "GET" in methods else methods)


def _match_order(entry: Mapping[str, Any]) -> tuple[bool, int, bytes, str, str]:
    target = entry["target"]
    methods = "*" if entry["methods"] is None else ",".join(_effective(entry["methods"]))
    return (
        entry["kind"] == "prefix",
        -len(entry["prefix"] or ""),
        code_unit_key(entry["pattern"]),
        methods,
        f"{target['type']}:{target.get('name') or target.get('file')}",
    )
