"""Small helpers that every handler uses: JSON in, JSON out."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import gateway_of
from run402_cli.core.web import body_limit, json_text
from run402_cli.core.web.instants import parse_instant

_Row = TypeVar("_Row")


def reply(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer with a final newline."""
    data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    return Response(data, status, headers, media_type="application/json; charset=utf-8")


async def read_json(request: Request) -> Any:
    """The request body as JSON whatever its content type; an empty body is `{}`. 400 invalid_request otherwise.

    413 request_too_large: a route that takes few bytes takes few values.
    """
    raw = await request.body()
    if not raw.strip():
        return {}
    most = json_text.most_values(body_limit.of(request.scope))
    sender = request.headers.get("apikey") or request.headers.get("authorization") or ""
    try:
        return await gateway_of(request).aside.run(sender, len(raw), functools.partial(_json, raw, most))
    except json_text.TooManyValues as exc:
        raise GatewayError(
            413,
            "request_too_large",
            f"The JSON of a request to this route may have {exc.most} values, at all depths together, "
            "and 16 escaped characters count as one. Send less at a time.",
            max_values=exc.most,
        ) from exc
    except ValueError as exc:
        raise GatewayError(400, "invalid_request", f"The request body is not valid JSON: {exc}", code=None) from exc


def _json(raw: bytes, most: int) -> Any:
    value = json_text.loads(raw.decode(json.detect_encoding(raw), "surrogatepass"), most)
    if b"\\u" in raw:
        # Half of a surrogate pair: JSON can write it, but nothing behind this can store or answer it.
        json.dumps(value, ensure_ascii=False).encode()
    return value


async def read_object(request: Request) -> dict[str, Any]:
    """Like read_json, but the body must be a JSON object."""
    body = await read_json(request)
    if not isinstance(body, dict):
        raise GatewayError(400, "invalid_request", "The request body must be a JSON object.", code=None)
    return body


def instant_of(request: Request, name: str, *, error: str = "invalid_timestamp", **fields: Any) -> datetime | None:
    """A point in time of the query: ISO-8601 with a zone, or milliseconds since 1970. 400 with `error` otherwise."""
    text = request.query_params.get(name)
    if text is None:
        return None
    # An unescaped + arrives as a space.
    found = parse_instant(text.replace(" ", "+"))
    if found is None:
        raise GatewayError(
            400,
            error,
            f"{name} is {text!r}. Use ISO-8601 with a zone, such as 2026-01-31T12:00:00Z, or milliseconds since 1970.",
            field=name,
            **fields,
        )
    return found


def query_limit(
    request: Request,
    name: str,
    default: int,
    most: int,
    *,
    capped: bool = True,
    error: str = "invalid_request",
    **fields: Any,
) -> int:
    """A query parameter as a whole number from 1; above `most` it means `most`, or is refused when it is not `capped`.

    400 with `error` and the fields for anything else.
    """
    found = re.fullmatch(r"0*([1-9][0-9]*)", request.query_params.get(name, str(default)))
    value = int(found[1][:9]) if found else 0
    if value < 1 or (value > most and not capped):
        raise GatewayError(400, error, f"`{name}` must be a whole number from 1 to {most}.", **fields)
    return min(value, most)


def page(
    name: str, rows: Sequence[_Row], limit: int, view: Callable[[_Row], Any], id_of: Callable[[_Row], str]
) -> dict[str, Any]:
    """`{<name>, has_more, next_cursor}` of the rows that were found for one more than `limit`."""
    shown, more = rows[:limit], len(rows) > limit
    return {name: [view(row) for row in shown], "has_more": more, "next_cursor": id_of(shown[-1]) if more else None}


def left(request: Request) -> Callable[[], Awaitable[None]]:
    """What returns when the client has hung up. The body has to be read before."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    return gone


def public_base(request: Request) -> str:
    """Scheme and host by which the client reached this gateway; answers use the same ones."""
    return f"{request.url.scheme}://{request.url.netloc}"
