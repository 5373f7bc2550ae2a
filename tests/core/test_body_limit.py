"""The body of a request has a limit before it is read, on every route; streams have one of their own."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from run402_cli.core.app import ROUTES, Envelope
from run402_cli.core.web import body_limit
from run402_cli.core.web.body_limit import DEFAULT, LIMITS, BodyLimit, limit_of

# Routes whose handlers stream, each under a limit that its own tests hold.
STREAMS = {
    "/content/v1/uploads/x/x",
    "/projects/v1/x/storage/uploads/x/bytes",
    "/apply/v1/service-asset-put",
    "/rest/v1",
    "/rest/v1/x",
    "/admin/v1/rest",
    "/admin/v1/rest/x",
    "/functions/v1/x",
}


async def keep(request: Request) -> Response:
    return Response(str(len(await request.body())))


@pytest.fixture
def http(monkeypatch: pytest.MonkeyPatch) -> httpx.AsyncClient:
    monkeypatch.setattr(body_limit, "DEFAULT", 1000)
    app = Starlette(routes=[Route("/{path:path}", keep, methods=["POST"])])
    app.add_middleware(BodyLimit)
    app.user_middleware.insert(0, Middleware(Envelope))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://gateway.test")


async def _in_pieces(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 100):
        yield b"x" * 100


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_that_is_too_large_is_refused(http: httpx.AsyncClient, declared: bool) -> None:
    async def post(size: int) -> httpx.Response:
        return await http.post("/a", content=b"x" * size if declared else _in_pieces(size))

    async def both() -> tuple[httpx.Response, httpx.Response]:
        async with http:
            return await post(1000), await post(1100)

    fits, answer = asyncio.run(both())
    assert fits.text == "1000"
    assert answer.status_code == 413
    assert answer.json()["error"] == "request_too_large"
    assert answer.json()["max_bytes"] == 1000
    assert answer.json()["hint"]


def test_every_route_has_a_limit_or_streams() -> None:
    paths = {re.sub(r"\{[^}]*\}", "x", route.path) for route in ROUTES if isinstance(route, Route)}
    unlimited = {path for path in paths if limit_of(path) is None}
    assert unlimited == STREAMS
    assert limit_of("/functions/v1/invoke") == limit_of("/projects/v1") == limit_of("/nothing/here") == DEFAULT


def test_each_row_of_the_table_is_for_a_route() -> None:
    paths = [re.sub(r"\{[^}]*\}", "x", route.path) for route in ROUTES if isinstance(route, Route)]
    for pattern, limit in LIMITS:
        assert any(re.match(pattern, path) for path in paths), pattern
        assert limit is None or limit > DEFAULT
