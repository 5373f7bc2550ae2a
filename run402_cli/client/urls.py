"""Parts of addresses: an origin, a path segment, a query string."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from run402_cli.client.http import httpx

_SAFE = "!'()*~-._"


def origin(url: str) -> str:
    """Scheme, host and port of an address, as browsers compare them."""
    parsed = httpx.URL(url)
    return f"{parsed.scheme}://{parsed.netloc.decode('ascii')}"


def same_origin(one: str, other: str) -> bool:
    """Whether two addresses have one origin; what is no address has none."""
    try:
        return origin(one) == origin(other)
    except httpx.InvalidURL:
        return False


def same_resource(text: str, request: httpx.URL) -> bool:
    """Whether a 402 names the request that it answers: same host and path, and the same query where it has one.

    Scheme and port may differ: servers behind a proxy get those wrong. A look-alike host is another host.
    """
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError, TypeError):
        return False
    if url.scheme not in ("http", "https") or url.raw_host != request.raw_host:
        return False
    path, _, query = url.raw_path.partition(b"?")
    asked, _, asked_query = request.raw_path.partition(b"?")
    return path == asked and query in (b"", asked_query)


def segment(value: str) -> str:
    """A value percent-encoded as one path segment."""
    return quote(value, safe=_SAFE)


def with_query(path: str, /, **query: Any) -> str:
    """`path?x=1&y=2`; entries that are None are left out, order is kept."""
    pairs = [(key, str(value)) for key, value in query.items() if value is not None]
    return f"{path}?{urlencode(pairs, quote_via=quote, safe=_SAFE)}" if pairs else path
