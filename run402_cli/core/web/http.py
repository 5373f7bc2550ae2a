"""Small helpers that every handler uses: JSON in, JSON out."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.errors import GatewayError


def reply(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer with a final newline."""
    data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    return Response(data, status, headers, media_type="application/json; charset=utf-8")


async def read_json(request: Request) -> Any:
    """The request body as JSON whatever its content type; an empty body is `{}`. 400 invalid_request otherwise."""
    raw = await request.body()
    if not raw.strip():
        return {}
    try:
        value = json.loads(raw)
        if b"\\u" in raw:
            # Half of a surrogate pair: JSON can write it, but nothing behind this can store or answer it.
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except (ValueError, RecursionError) as exc:
        raise GatewayError(400, "invalid_request", f"The request body is not valid JSON: {exc}") from exc


async def read_object(request: Request) -> dict[str, Any]:
    """Like read_json, but the body must be a JSON object."""
    body = await read_json(request)
    if not isinstance(body, dict):
        raise GatewayError(400, "invalid_request", "The request body must be a JSON object.")
    return body


def iso(moment: datetime | None) -> str | None:
    """ISO-8601 UTC with milliseconds and Z, the API's time format."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
