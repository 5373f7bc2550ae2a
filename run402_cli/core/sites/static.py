"""What answers a request for a path of a site: a file, a function, or a refusal."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Scope

from run402_cli import advice
from run402_cli.core.errors import GatewayError
from run402_cli.core.functions.routed import call_route
from run402_cli.core.gateway import gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.sites.lookup import Found, Site, look_up
from run402_cli.core.web.http import reply
from run402_cli.release.static_manifest import cache_control

STREAM_BYTES = 256 * 1024
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


async def serve(request: Request, site: Site | None, path: str, owner: str, project: Project | None = None) -> Response:
    """Answer a request for `path` (percent-encoded) of a site; `project` is its project, if it is known already."""
    if site is None:
        raise GatewayError(
            404, "static_not_found", f"Nothing is deployed for {owner} yet. `run402 deploy apply` puts a site here."
        )
    found = look_up(site, path, request.method)
    if found.kind == "path_error":
        raise GatewayError(400, "invalid_request", found.problem or "")
    if found.kind == "route_method_miss":
        return method_not_allowed(request.method, found)
    if found.kind == "route_function":
        return await call_route(request, site, found, path, project)
    if found.entry is None:
        raise GatewayError(
            404,
            "static_not_found",
            f"The active release {site.release_id} has nothing at {found.path}. "
            f"`{advice.command('deploy', 'release', 'active', '--project', site.project_id)}` lists its public paths.",
        )
    if found.kind == "static_index" and not path.endswith("/"):
        # Relative links of the page would be looked for beside the directory, whoever follows them.
        return redirect(request, raw_path(request.scope) + b"/")
    return await send_file(request, found.entry)


def raw_path(scope: Scope) -> bytes:
    """The path as on the request line; the decoded one cannot tell `%2f` from `/`."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return raw.partition(b"?")[0]


def redirect(request: Request, path: bytes) -> Response:
    query = request.scope.get("query_string") or b""
    location = (path + (b"?" + query if query else b"")).decode("latin-1")
    # A leading "//" would name another host.
    return Response(status_code=308, headers={"Location": "/" + location.lstrip("/")})


def method_not_allowed(method: str, found: Found) -> Response:
    allow = ", ".join(found.allow)
    error = GatewayError(405, "method_not_allowed", f"{found.path} answers {allow}, not {method}.")
    return reply(error.body(), 405, {"Allow": allow})


async def send_file(request: Request, entry: Mapping[str, Any]) -> Response:
    """The bytes of a manifest entry, from disk, with its headers."""
    return await send_stored(request, entry["sha256"], file_headers(entry))


async def send_stored(request: Request, sha256: str, headers: dict[str, str]) -> Response:
    """Stored bytes with the given headers (ETag and Cache-Control among them); answers If-None-Match and one Range."""
    path = gateway_of(request).store.path(sha256)
    stored = await asyncio.to_thread(_size, path)
    if stored is None:
        raise GatewayError(
            409,
            "content_digest_missing",
            f"The bytes {sha256} are gone from the content directory. Deploy them again to restore them.",
        )
    if _matches(request.headers.get("if-none-match"), headers["ETag"]):
        kept = {name: headers[name] for name in ("ETag", "Cache-Control")}
        return Response(status_code=304, headers=kept)
    status, start, end = _span(request, stored, headers["ETag"])
    if status == 416:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{stored}", "Accept-Ranges": "bytes"})
    if status == 206:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{stored}"
    headers["Content-Length"] = str(end - start)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    if end - start <= STREAM_BYTES:
        return Response(await asyncio.to_thread(_slice, path, start, end), status, headers)
    return StreamingResponse(_stream(path, start, end), status, headers)


def file_headers(entry: Mapping[str, Any]) -> dict[str, str]:
    """Headers of a file but for its length."""
    sha256: str = entry["sha256"]
    custom = (entry.get("response_metadata") or {}).get("headers") or {}
    return {
        **custom,
        "Content-Type": entry["content_type"],
        "ETag": f'"sha256-{sha256}"',
        "X-Run402-Content-Sha256": sha256,
        "Content-Digest": f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:",
        "Cache-Control": cache_control(entry["cache_class"]),
        "Accept-Ranges": "bytes",
    }


def _matches(header: str | None, etag: str) -> bool:
    if header is None:
        return False
    given = [tag.strip().removeprefix("W/") for tag in header.split(",")]
    return "*" in given or etag in given


def _span(request: Request, size: int, etag: str) -> tuple[int, int, int]:
    """(status, start, end) of the bytes to send. Several ranges, or a form we do not know, mean the whole file."""
    found = _RANGE.fullmatch(request.headers.get("range", "").replace(" ", ""))
    condition = request.headers.get("if-range")
    if found is None or request.method != "GET" or found.group() == "bytes=-" or condition not in (None, etag):
        return 200, 0, size
    first, last = found.groups()
    if first and last and int(last) < int(first):
        return 200, 0, size
    start = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    if start >= size or end <= start:
        return 416, 0, 0
    return 206, start, end


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _slice(path: Path, start: int, end: int) -> bytes:
    with path.open("rb") as handle:
        handle.seek(start)
        return handle.read(end - start)


async def _stream(path: Path, start: int, end: int) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(path.open, "rb") as handle:
        handle.seek(start)
        left = end - start
        while left > 0 and (chunk := await asyncio.to_thread(handle.read, min(STREAM_BYTES, left))):
            left -= len(chunk)
            yield chunk
