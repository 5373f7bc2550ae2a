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

from run402_cli.core.app import ROUTES, Envelope
from run402_cli.core.web.body_limit import DEFAULT, MIB
from run402_cli.core.web.routing import OPEN, Route

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
    "/projects/v1/admin/x/load",
}


async def keep(request: Request) -> Response:
    return Response(str(len(await request.body())))


@pytest.fixture
def http() -> httpx.AsyncClient:
    route = Route("/{path:path}", keep, methods=["POST"], who=OPEN, body=1000, settles=False)
    app = Starlette(routes=[route], middleware=[Middleware(Envelope)])
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
    limits = {
        (method, re.sub(r"\{[^}]*\}", "x", route.path)): route.body
        for route in ROUTES
        if isinstance(route, Route)
        for method in route.methods or ()
    }
    assert {path for (_, path), limit in limits.items() if limit is None} == STREAMS
    assert all(limit is None or limit >= DEFAULT for limit in limits.values())
    # In the order of docs/local-gateway.md.
    assert limits["POST", "/projects/v1/x/content"] == 512 * MIB
    assert limits["POST", "/apply/v1/plans"] == limits["POST", "/content/v1/plans"] == 64 * MIB
    assert limits["POST", "/projects/v1/admin/x/sql"] == 32 * MIB
    assert limits["POST", "/mailboxes/v1/x/messages"] == 16 * MIB
    assert limits["POST", "/functions/v1/invoke"] == limits["POST", "/projects/v1"] == DEFAULT
