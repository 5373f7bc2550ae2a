"""The origin cache of server-rendered pages.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Namespace
from run402_cli.services import cache as _cache

if TYPE_CHECKING:
    from typing import Any


class Cache(Namespace[None]):
    """The origin cache of server-rendered pages."""

    def inspect(self, url: str, *, locale: str | None = None, release_id: str | None = None) -> dict[str, Any]:
        """Show whether a page is cached (HIT or MISS), since when and until when.

        GET /cache/v1/inspect?host&path[&locale&release_id] -> {url, status: HIT|MISS, cached_at?, expires_at?, ...}.

        The page itself is not requested. Defaults: the project's locale, the live release. Raises ValueError for a URL
        that is not absolute.
        """
        return self._call(_cache.inspect, url, locale=locale, release_id=release_id)

    def invalidate(self, what: dict[str, str]) -> Any:
        """Drop cached pages: one URL, a path prefix, or a whole host.

        POST /cache/v1/invalidate with one of the bodies below -> {deleted, generation, host, path?, results?}.

        {kind: exact, host, path}, {kind: prefix, host, prefix} or {kind: all, host}. Raises ApiError 403
        R402_CACHE_INVALIDATION_HOST_FORBIDDEN for a host of somebody else.
        """
        return self._call(_cache.invalidate, what)
