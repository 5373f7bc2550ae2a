"""The origin cache of server-rendered pages. With the caller's own credential. See docs/domains.md."""

from __future__ import annotations

import re
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from run402_cli.client import Client, with_query

_DEFAULT_PORTS = {"http": 80, "https": 443}
# What a browser leaves as it is in a path and in a query; everything else is percent-encoded as UTF-8.
_PATH_SAFE = "/%:@!$&'()*+,;=~-._[]|\\^"
_QUERY_SAFE = "/%:@!$&()*+,;=~-._[]|\\^?`{}"
_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+")

Json = Any


class Page(NamedTuple):
    """A page as the cache keys it: host in lower case (with a port that is not the scheme's own), path with query."""

    host: str
    path: str


def page(url: str) -> Page:
    """The cache key of an absolute http(s) URL. ValueError for anything else."""
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS or not url.startswith(("http://", "https://")) or not parts.hostname:
        raise ValueError("not an absolute http or https URL")
    host = parts.hostname
    if not host.isascii():
        host = host.encode("idna").decode()
    if not _HOST.fullmatch(host):
        raise ValueError("not a host name or address")
    if ":" in host:
        host = f"[{host}]"
    if parts.port is not None and parts.port != _DEFAULT_PORTS[parts.scheme]:
        host = f"{host}:{parts.port}"
    path = quote(parts.path or "/", safe=_PATH_SAFE)
    return Page(host, f"{path}?{quote(parts.query, safe=_QUERY_SAFE)}" if parts.query else path)


def inspect(client: Client, url: str, *, locale: str | None = None, release_id: str | None = None) -> dict[str, Json]:
    """GET /cache/v1/inspect?host&path[&locale&release_id] -> {url, status: HIT|MISS, cached_at?, expires_at?, ...}.

    The page itself is not requested. Defaults: the project's locale, the live release. Raises ValueError for a URL that is
    not absolute.
    """
    host, path = page(url)
    query = with_query("/cache/v1/inspect", host=host, path=path, locale=locale, release_id=release_id)
    answer = client.request("GET", query, context="inspecting the cache", auth=client.principal())
    return {**(answer if isinstance(answer, dict) else {}), "url": url}


def invalidate(client: Client, what: dict[str, str]) -> Json:
    """POST /cache/v1/invalidate with one of the bodies below -> {deleted, generation, host, path?, results?}.

    {kind: exact, host, path}, {kind: prefix, host, prefix} or {kind: all, host}. Raises ApiError 403
    R402_CACHE_INVALIDATION_HOST_FORBIDDEN for a host of somebody else.
    """
    context = "invalidating the cache"
    return client.request("POST", "/cache/v1/invalidate", context=context, auth=client.principal(), body=what)
