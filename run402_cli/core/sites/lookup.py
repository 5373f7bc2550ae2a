"""Which file, if any, answers a path of a site. Pure, and the same for serving and for diagnosing."""

from __future__ import annotations

import unicodedata
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from run402_cli.core.db import Connection
from run402_cli.release.errors import ReleaseError
from run402_cli.release.static_manifest import normalize_public_path

MatchKind = Literal[
    "static_exact", "static_index", "route_static_alias", "route_function", "route_method_miss", "path_error", "none"
]
READ_METHODS = ("GET", "HEAD")
ALL_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
CACHED_SITES = 16


@dataclass(frozen=True, slots=True)
class Site:
    """What serving needs of a release; made once per release and kept."""

    project_id: str
    release_id: str
    files: Mapping[str, Mapping[str, Any]]
    routes: tuple[Mapping[str, Any], ...]
    explicit: bool
    state: Mapping[str, Any]

    @classmethod
    def of(cls, project_id: str, release_id: str, state: Mapping[str, Any]) -> Site:
        manifest = state["static_manifest"] or {"files": {}}
        return cls(
            project_id,
            release_id,
            manifest["files"],
            tuple(state["routes"]["entries"]),
            manifest.get("public_path_mode") == "explicit",
            state,
        )


@dataclass(frozen=True, slots=True)
class Found:
    """The outcome of a look-up. `public_path` is the manifest's key of `entry`; `allow` lists what a miss would take."""

    kind: MatchKind
    path: str
    public_path: str | None = None
    entry: Mapping[str, Any] | None = None
    route: Mapping[str, Any] | None = None
    allow: tuple[str, ...] = ()
    problem: str | None = None


def look_up(site: Site, raw_path: str, method: str) -> Found:
    """The first route that accepts the method, else a public file, else 405 when the path exists for other methods.

    A route that matched is the answer, whatever becomes of it: nothing falls back from there to a file. `raw_path` is
    percent-encoded, as on the request line. docs/local-gateway.md
    """
    try:
        path = normalize_public_path(raw_path)
    except ReleaseError as exc:
        return Found("path_error", raw_path, problem=exc.message)
    trimmed = path.rstrip("/") or "/"
    routes = [route for route in site.routes if _covers(route, trimmed)]
    public, kind = _file_at(site, path, trimmed)
    for route in routes:
        # No deploy makes a route over everything; an imported server-rendered site has one, behind its files.
        behind = route["prefix"] == "/" and public is not None and method in READ_METHODS
        if method in _methods(route) and not behind:
            static = route["target"]["type"] == "static"
            return _aliased(site, route, trimmed) if static else Found("route_function", trimmed, route=route)
    if public is not None and method in READ_METHODS:
        return Found(kind, trimmed, public, site.files[public])
    if public is None and not routes:
        return Found("none", trimmed)
    allow = {name for route in routes for name in _methods(route)}
    allow.update(READ_METHODS if public is not None else ())
    return Found("route_method_miss", trimmed, public, route=routes[0] if routes else None, allow=tuple(sorted(allow)))


def _covers(route: Mapping[str, Any], path: str) -> bool:
    if route["kind"] == "prefix":
        return path.startswith(unicodedata.normalize("NFC", route["prefix"]))
    try:
        return (normalize_public_path(route["pattern"]).rstrip("/") or "/") == path
    except ReleaseError:
        return False


def _methods(route: Mapping[str, Any]) -> tuple[str, ...]:
    methods = route["methods"]
    if methods is None:
        return ALL_METHODS
    return (*methods, "HEAD") if "GET" in methods and "HEAD" not in methods else tuple(methods)


def _aliased(site: Site, route: Mapping[str, Any], path: str) -> Found:
    public = normalize_public_path(route["pattern"])
    entry = site.files.get(public)
    if entry is None:
        return Found("none", path, route=route)
    return Found("route_static_alias", path, public, entry, route)


def _file_at(site: Site, path: str, trimmed: str) -> tuple[str | None, MatchKind]:
    """The public path that answers `path`: itself, a directory's index, or the page without its .html."""
    if _direct(site, trimmed):
        return trimmed, "static_index" if trimmed == "/" else "static_exact"
    if site.explicit:
        # Declared paths are taken literally; only the trailing slash is forgiven.
        return (path, "static_exact") if _direct(site, path) else (None, "none")
    for public in (f"{trimmed}/", f"{trimmed}/index.html"):
        if trimmed != "/" and _direct(site, public):
            return public, "static_index"
    if "." not in trimmed and trimmed != "/" and _direct(site, f"{trimmed}.html"):
        return f"{trimmed}.html", "static_exact"
    return None, "none"


def _direct(site: Site, public: str) -> bool:
    entry = site.files.get(public)
    return entry is not None and bool(entry["direct"])


class SiteCache:
    """Parsed release states of the sites served last. A release's content never changes, so nothing goes stale."""

    def __init__(self) -> None:
        self._sites: OrderedDict[tuple[str, str, str], Site] = OrderedDict()

    async def active(self, conn: Connection, project_id: str) -> Site | None:
        """The site of a project's active release, or None when nothing is active."""
        cur = await conn.execute(
            "SELECT r.release_id, r.digest FROM internal.core_projects p JOIN internal.core_releases r"
            " ON r.project_id = p.project_id AND r.release_id = p.active_release_id WHERE p.project_id = %s",
            (project_id,),
        )
        row = await cur.fetchone()
        if row is None:
            return None
        key = (project_id, row[0], row[1])
        site = self._sites.get(key)
        if site is None:
            site = self._sites[key] = await self._load(conn, project_id, row[0])
        self._sites.move_to_end(key)
        while len(self._sites) > CACHED_SITES:
            self._sites.popitem(last=False)
        return site

    async def _load(self, conn: Connection, project_id: str, release_id: str) -> Site:
        cur = await conn.execute(
            "SELECT state FROM internal.core_releases WHERE project_id = %s AND release_id = %s",
            (project_id, release_id),
        )
        row = await cur.fetchone()
        assert row is not None
        return Site.of(project_id, release_id, row[0])


live_sites = SiteCache()


async def project_of_host(conn: Connection, label: str) -> str | None:
    """The project that answers at `<label>.localhost`: by claimed subdomain, else by public id."""
    cur = await conn.execute(
        "SELECT project_id FROM internal.core_subdomains WHERE name = %s UNION ALL"
        " SELECT project_id FROM internal.core_projects WHERE public_id = %s LIMIT 1",
        (label, label),
    )
    row = await cur.fetchone()
    return row[0] if row else None
