"""Which files of a release are public, where, and how long they may be cached.

See docs/protocol/releases.md, "Static manifest".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import unquote

from run402_cli.release.canonical import canonical_sha256
from run402_cli.release.errors import ReleaseError, invalid_spec

VERSION: Final = "run402.static_manifest.v1"
IMMUTABLE: Final = "immutable_versioned"
REVALIDATING: Final = "revalidating_asset"
HTML: Final = "html"
IMMUTABLE_CHANGED: Final = "STATIC_IMMUTABLE_PATH_CHANGED"

_CACHE_CONTROL: Final = {
    IMMUTABLE: "public, max-age=31536000, immutable",
    HTML: "public, max-age=0, must-revalidate",
    REVALIDATING: "public, max-age=0, must-revalidate",
}
_FINGERPRINT: Final = re.compile(r"(?:^|[._-])[0-9a-fA-F]{8,}(?=[._-])|(?:^|[._-])[0-9a-fA-F]{12,}$")
_BAD_ESCAPE: Final = re.compile("%(?![0-9A-Fa-f]{2})")
_CONTROL: Final = re.compile("[\x00-\x1f\x7f]")
_RESERVED: Final = re.compile("^/(?:_cas|_run402)(?:/|$)")


def build_static_manifest(
    paths: Iterable[Mapping[str, Any]],
    *,
    public_paths: Mapping[str, Any] | None = None,
    base: Mapping[str, Any] | None = None,
    routes: Iterable[Mapping[str, Any]] = (),
) -> dict[str, Any] | None:
    """The static manifest of a release, or None when nothing is public in implicit mode.

    `paths` are the state's `site.paths`, `public_paths` the spec's `site.public_paths`, `base` the previous static
    manifest, `routes` the state's route entries. Raises ReleaseError: INVALID_SPEC (resource site.public_paths), or
    STATIC_IMMUTABLE_PATH_CHANGED when a path served as immutable would change its bytes.
    """
    assets = {entry["path"]: entry for entry in paths}
    explicit = (public_paths or {}).get("mode", (base or {}).get("public_path_mode", "implicit")) == "explicit"
    static_routes = [route for route in routes if route["target"]["type"] == "static"]
    if not explicit and not assets and not static_routes:
        return None
    files = _explicit_files(assets, public_paths, base) if explicit else _implicit_files(assets)
    _add_route_aliases(files, assets, static_routes)
    _check_immutable(files, (base or {}).get("files", {}))
    manifest: dict[str, Any] = {"version": VERSION}
    if explicit:
        manifest["public_path_mode"] = "explicit"
    manifest["files"] = files
    manifest["spa_fallback"] = "/index.html" if not explicit and "/index.html" in files else None
    return manifest


def static_manifest_sha256(manifest: Mapping[str, Any] | None) -> str | None:
    """SHA-256 hex of the manifest's canonical JSON; None without a manifest."""
    return None if manifest is None else canonical_sha256(manifest)


def cache_control(cache_class: str) -> str:
    """The Cache-Control header of a cache class; an unknown class is revalidated."""
    return _CACHE_CONTROL.get(cache_class, _CACHE_CONTROL[REVALIDATING])


def classify(path: str, content_type: str, declared: str | None = None) -> tuple[str, str]:
    """`(cache_class, cache_class_source)` of a public path.

    A declared immutable class holds only where the file name carries a fingerprint.
    """
    if path.endswith(".html") or content_type.startswith("text/html"):
        return HTML, "inferred_html"
    fingerprinted = is_fingerprinted(path)
    if declared == IMMUTABLE:
        return (IMMUTABLE, "declared") if fingerprinted else (REVALIDATING, "downgraded")
    if declared is not None:
        return declared, "declared"
    return (IMMUTABLE, "inferred_sha_filename") if fingerprinted else (REVALIDATING, "downgraded")


def is_fingerprinted(path: str) -> bool:
    """Whether the file name carries a content hash, such as app-1a2b3c4d.js."""
    return _FINGERPRINT.search(path.rpartition("/")[2]) is not None


def normalize_public_path(path: str) -> str:
    """A declared public path as stored: percent-decoded, NFC.

    Raises ReleaseError (INVALID_SPEC) for a path that a browser could not ask for unambiguously.
    """
    problem = _literal_problem(path)
    if problem is None and any(character in path for character in "?#"):
        problem = "has a ? or # in it"
    if problem is None and _BAD_ESCAPE.search(path):
        problem = "has a % that is not followed by two hex digits"
    if problem is None and re.search("%2f|%5c", path, re.IGNORECASE):
        problem = "has an encoded slash or backslash"
    decoded = unicodedata.normalize("NFC", unquote(path, errors="replace"))
    if problem is None and "�" in decoded and "�" not in path:
        problem = "does not decode to UTF-8"
    # Decoded twice it must still be harmless: some proxies decode once more than they should.
    problem = problem or _literal_problem(decoded) or _literal_problem(unquote(decoded))
    if problem:
        raise invalid_spec(f"The public path {path!r} {problem}. Use a path like /docs/.", "site.public_paths")
    return decoded


def _literal_problem(path: str) -> str | None:
    if not path.startswith("/"):
        return "does not start with /"
    if "\\" in path or _CONTROL.search(path):
        return "has a backslash or control character in it"
    if "//" in path:
        return "has an empty segment"
    if "/." in path and any(segment in (".", "..") for segment in path.split("/")):
        return "has a . or .. segment"
    return "is reserved" if _RESERVED.match(path) else None


def _implicit_files(assets: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    files: dict[str, Any] = {}
    for path, asset in assets.items():
        public = "/" + path.lstrip("/")
        if not public.isascii():
            public = unicodedata.normalize("NFC", public)
        problem = _literal_problem(public)
        if problem:
            raise invalid_spec(f"The site path {path!r} {problem}: it could never be served. Rename it.", "site")
        declared = IMMUTABLE if is_fingerprinted(public) else REVALIDATING
        entry = _file(asset, public, declared, "implicit_file_path")
        files[public] = entry
        if public.endswith("/index.html"):
            files[public.removesuffix("index.html")] = dict(entry)
    return files


def _explicit_files(
    assets: Mapping[str, Mapping[str, Any]], public_paths: Mapping[str, Any] | None, base: Mapping[str, Any] | None
) -> dict[str, Any]:
    if public_paths is None or "replace" not in public_paths:
        return _inherited_files(assets, (base or {}).get("files", {}))
    files: dict[str, Any] = {}
    for path, declared in public_paths["replace"].items():
        public = normalize_public_path(path)
        asset = assets.get(declared["asset"])
        if asset is None:
            raise invalid_spec(
                f"The public path {path!r} names the asset {declared['asset']!r}, which is not in the site. "
                "Add the file or correct the name.",
                "site.public_paths",
            )
        if public in files:
            raise invalid_spec(f"Two public paths mean {public!r}. Remove one.", "site.public_paths")
        files[public] = _file(asset, public, declared.get("cache_class"), "explicit_public_path")
    return files


def _inherited_files(assets: Mapping[str, Mapping[str, Any]], base: Mapping[str, Any]) -> dict[str, Any]:
    files: dict[str, Any] = {}
    for public, old in base.items():
        asset = assets.get(old["asset_path"])
        # A release that drops the file drops its public path with it.
        if old["direct"] and asset is not None:
            declared = old["cache_class"] if old["cache_class_source"] == "declared" else None
            files[public] = _file(asset, public, declared, "explicit_public_path")
    return files


def _add_route_aliases(
    files: dict[str, Any], assets: Mapping[str, Mapping[str, Any]], routes: Iterable[Mapping[str, Any]]
) -> None:
    for route in routes:
        asset = assets.get(route["target"]["file"])
        if asset is None:
            continue
        public = normalize_public_path(route["pattern"])
        direct = files.get(public)
        if direct is not None:
            if direct["asset_path"] == asset["path"]:
                continue
            if not (public.endswith("/") and direct["authority"] == "implicit_file_path"):
                raise invalid_spec(
                    f"The static route {route['pattern']!r} and the public path {public!r} serve different files "
                    f"({asset['path']!r} and {direct['asset_path']!r}). Remove one.",
                    "site.public_paths",
                )
        alias = _file(asset, public, None, "route_static_alias")
        alias |= {
            "direct": False,
            "route_id": f"{route['pattern']}:{','.join(route['methods'])}",
            "methods": list(route["methods"]),
        }
        files[public] = alias


def _file(asset: Mapping[str, Any], public: str, declared: str | None, authority: str) -> dict[str, Any]:
    content_type = str(asset["content_type"]).strip().lower()
    cache_class, source = classify(public, content_type, declared)
    return {
        "sha256": asset["content_sha256"],
        "size": asset["size_bytes"],
        "content_type": content_type,
        "cache_class": cache_class,
        "cache_class_source": source,
        "asset_path": asset["path"],
        "direct": True,
        "authority": authority,
    }


def _check_immutable(files: Mapping[str, Any], previous: Mapping[str, Any]) -> None:
    for public, entry in files.items():
        old = previous.get(public)
        if old is not None and old["cache_class"] == IMMUTABLE and old["sha256"] != entry["sha256"]:
            raise ReleaseError(
                f"{public} is cached as immutable and would change. Give the new file another name.",
                code=IMMUTABLE_CHANGED,
                phase="validate",
                resource=f"site.paths.{entry['asset_path']}",
                details={
                    "public_path": public,
                    "asset_path": entry["asset_path"],
                    "sha256_old": old["sha256"],
                    "sha256_new": entry["sha256"],
                },
            )


def public_paths(manifest: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """static_public_paths of an inventory, by public path."""
    optional = ("route_id", "methods")
    return [
        {
            "public_path": public,
            "asset_path": entry["asset_path"],
            "reachability_authority": entry["authority"],
            "direct": entry["direct"],
            "cache_class": entry["cache_class"],
            "content_type": entry["content_type"],
            **{key: entry[key] for key in optional if key in entry},
        }
        for public, entry in sorted((manifest or {"files": {}})["files"].items())
    ]
