"""What --verbose and --dry-run see of each HTTP request: hooks of the httpx client. Secrets are redacted."""

from __future__ import annotations

import hashlib
import json
import re
import time
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from run402_cli import global_options, output
from run402_cli.client.http import httpx
from run402_cli.errors import DryRun
from run402_cli.local_gateway import CONTROL_HEADER
from run402_cli.secrecy import REDACTED, redacted, sounds_secret

# POST routes that only ask; see docs/protocol/conventions.md.
_READING_POSTS = re.compile(r"/(validate|resolve|diagnose|quote|token-exchange)$")
_READS = ("GET", "HEAD", "OPTIONS")
_SECRET_HEADERS = frozenset(
    (
        "authorization",
        "apikey",
        "cookie",
        "sign-in-with-x",
        "payment-signature",
        "x-payment",
        "x-run402-write-auth",
        CONTROL_HEADER.lower(),
    )
)
_SECRET_ROUTES = re.compile(r"/secrets(/|$)")
_HIDDEN_HEADERS = frozenset(("host", "accept", "accept-encoding", "connection", "user-agent", "content-length"))
_STARTED = "run402_started"


def hooks() -> dict[str, list[Any]]:
    """Event hooks for this run; none when nothing looks at requests."""
    options = global_options.current
    if not options.dry_run and not options.verbose:
        return {}
    return {"request": [_before], "response": [_after] if options.verbose else []}


def _before(request: httpx.Request) -> None:
    request.extensions[_STARTED] = time.perf_counter()
    pays = "payment-signature" in request.headers or "x-payment" in request.headers
    if global_options.current.dry_run and (pays or is_write(request)):
        raise DryRun(requests=[described(request)])


def is_write(request: httpx.Request) -> bool:
    """Whether a request may change something on the server."""
    if request.method in _READS or request.extensions.get("run402_reads"):
        return False
    if request.method == "POST" and request.url.params.get("dry_run") == "true":
        return False
    return not (request.method == "POST" and _READING_POSTS.search(request.url.path))


def _after(response: httpx.Response) -> None:
    request = response.request
    started = request.extensions.get(_STARTED)
    took = None if started is None else round((time.perf_counter() - started) * 1000, 1)
    output.event(
        {
            "type": "http.request",
            "method": request.method,
            "url": redacted_url(str(request.url)),
            "status": response.status_code,
            "duration_ms": took,
            "request_id": response.headers.get("x-request-id"),
        }
    )


def described(request: httpx.Request) -> dict[str, Any]:
    """A request as --dry-run shows it: {method, url, headers, body}; bytes become {size_bytes, sha256}."""
    headers = {
        name: REDACTED if name in _SECRET_HEADERS or sounds_secret(name) else redacted(value)
        for name, value in request.headers.items()
        if name not in _HIDDEN_HEADERS
    }
    return {
        "method": request.method,
        "url": redacted_url(str(request.url)),
        "headers": headers,
        "body": _body(request),
    }


def _body(request: httpx.Request) -> Any:
    try:
        data = request.content
    except httpx.RequestNotRead:
        return {"streamed": True}
    if not data:
        return None
    if "json" in request.headers.get("content-type", ""):
        try:
            value = json.loads(data)
        except ValueError:
            pass
        else:
            return REDACTED if _SECRET_ROUTES.search(request.url.path) else redacted(value)
    if len(data) <= 65_536 and request.headers.get("content-type", "").startswith("text/"):
        return redacted(data.decode("utf-8", "replace"))
    return {"size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def redacted_url(url: str) -> str:
    """`url` without user info, and with the values of query parameters that sound secret taken out."""
    parts = urlsplit(str(redacted(url)))
    query = [
        (name, REDACTED if sounds_secret(name) else value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    ]
    return urlunsplit(
        parts._replace(netloc=parts.netloc.rpartition("@")[2], query=urlencode(query, safe="[]"), fragment="")
    )
