"""HTTP requests that the gateway makes itself, for webhooks and callbacks: one JSON POST, no redirects, no proxy."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from run402_cli.core.callers.surfaces import LOOPBACK_HOST
from run402_cli.core.errors import bad_field

TIMEOUT_SECONDS = 10
MAX_URL = 2048


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))


def checked_target(value: Any, field: str) -> str:
    """An https URL, or an http URL of this machine. 400 invalid_request."""
    try:
        parts = urlsplit(value if isinstance(value, str) else "")
        host = parts.hostname
        parts.port  # noqa: B018  # reading it is the check
    except ValueError:
        host = None
    good = host is not None and (
        parts.scheme == "https" or (parts.scheme == "http" and bool(LOOPBACK_HOST.fullmatch(parts.netloc)))
    )
    if not good or not value.isascii() or not value.isprintable() or " " in value or len(value) > MAX_URL:
        raise bad_field(field, "an https URL, or an http URL of this machine such as http://localhost:3000/hook")
    return str(value)


async def post_json(url: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> tuple[int | None, str | None]:
    """Send it: (status, None) for any answer, (None, reason) for none within ten seconds."""
    return await asyncio.to_thread(_post, url, json.dumps(body).encode(), dict(headers))


def _reached(url: str) -> str:
    """Names below localhost are this machine (RFC 6761), whatever its resolver says."""
    parts = urlsplit(url)
    if not (parts.hostname or "").rstrip(".").endswith(".localhost"):
        return url
    return parts._replace(netloc=f"127.0.0.1{f':{parts.port}' if parts.port else ''}").geturl()


def _post(url: str, data: bytes, headers: dict[str, str]) -> tuple[int | None, str | None]:
    own = {"Content-Type": "application/json", "User-Agent": "run402-core"}
    request = urllib.request.Request(
        _reached(url), data, {**own, "Host": urlsplit(url).netloc, **headers}, method="POST"
    )
    try:
        with _opener.open(request, timeout=TIMEOUT_SECONDS) as response:
            return response.status, None
    except urllib.error.HTTPError as exc:
        exc.close()
        return exc.code, None
    except (OSError, ValueError) as exc:
        return None, str(getattr(exc, "reason", None) or exc)[:500]
