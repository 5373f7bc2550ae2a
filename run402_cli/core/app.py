"""The application: one route table, JSON error envelopes, the guard. See docs/local-gateway.md."""

from __future__ import annotations

import errno
import logging
import re
import time

import psycopg
import psycopg.errors
from psycopg_pool import PoolTimeout
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from run402_cli.core.archives import routes as archives_routes
from run402_cli.core.callers import account, credentials, person, token_routes
from run402_cli.core.callers.guard import Cors, Guard
from run402_cli.core.callers.isolation import Isolation
from run402_cli.core.callers.siwx import Siwx
from run402_cli.core.ci import routes as ci_routes
from run402_cli.core.ci.sessions import Sessions
from run402_cli.core.console import routes as console_routes
from run402_cli.core.content import routes as content_routes
from run402_cli.core.copies import branch_routes, snapshot_routes
from run402_cli.core.diagnostics import routes as diagnostics_routes
from run402_cli.core.errors import GatewayError
from run402_cli.core.expose import routes as expose_routes
from run402_cli.core.functions import manage as functions_manage
from run402_cli.core.functions import routes as functions_routes
from run402_cli.core.gateway import Gateway, database_busy, database_unavailable, gateway_of
from run402_cli.core.jobs import routes as jobs_routes
from run402_cli.core.mail import routes as mail_routes
from run402_cli.core.projects import routes as project_routes
from run402_cli.core.releases import apply, operations, rehearse, url_resolution
from run402_cli.core.releases import routes as releases_routes
from run402_cli.core.rest import handler as rest_handler
from run402_cli.core.sites import cache, domains, subdomains
from run402_cli.core.sites import routes as sites_routes
from run402_cli.core.sql import load_routes
from run402_cli.core.sql import routes as sql
from run402_cli.core.storage import routes as storage_routes
from run402_cli.core.users import routes as users_routes
from run402_cli.core.web import health, hints
from run402_cli.core.web.http import reply
from run402_cli.core.web.unavailable import unavailable
from run402_cli.local_gateway import CONSOLE

log = logging.getLogger("run402.core")

# The first match wins, so modules with fixed paths stand before modules with parameters in the same place.
ROUTES: tuple[BaseRoute, ...] = (
    *health.ROUTES,
    *token_routes.ROUTES,
    *rest_handler.ROUTES,
    *sql.ROUTES,
    *load_routes.ROUTES,
    *expose_routes.ROUTES,
    *credentials.ROUTES,
    *account.ROUTES,
    *content_routes.ROUTES,
    *apply.ROUTES,
    *rehearse.ROUTES,
    *operations.ROUTES,
    *releases_routes.ROUTES,
    *url_resolution.ROUTES,
    *project_routes.ROUTES,
    *snapshot_routes.ROUTES,
    *branch_routes.ROUTES,
    *subdomains.ROUTES,
    *domains.ROUTES,
    *cache.ROUTES,
    *users_routes.ROUTES,
    *mail_routes.ROUTES,
    *console_routes.ROUTES,
    *jobs_routes.ROUTES,
    *diagnostics_routes.ROUTES,
    *storage_routes.ROUTES,
    *functions_routes.ROUTES,
    *functions_manage.ROUTES,
    *ci_routes.ROUTES,
    *archives_routes.ROUTES,
    *sites_routes.ROUTES,
)
# SQLSTATE classes: connection lost, server shutting down or starting.
LOST_CONNECTION = re.compile(r"08|57P0")
# Errors of a login have no SQLSTATE.
NO_CONNECTION_FREE = re.compile(r"too many clients|connection slots are reserved|too many connections")
# Rollback (serialization, deadlock), lock not available, cancelled by a timeout.
CONTENTION = re.compile(r"40|55P03|57014")


def create_app(gateway: Gateway) -> Starlette:
    """The ASGI application around an opened gateway."""
    app = Starlette(
        routes=ROUTES,
        middleware=[
            Middleware(AccessLog),
            Middleware(Isolation),
            Middleware(person.Passes),
            Middleware(Cors),
            Middleware(Envelope),
            Middleware(Guard),
            Middleware(Siwx),
            Middleware(Sessions),
        ],
        exception_handlers={GatewayError: _gateway_error, HTTPException: _http_error},
    )
    app.router.redirect_slashes = False
    app.state.gateway = gateway
    return app


class AccessLog:
    """One line per request: method, path (never the query: it may carry a signature), status, milliseconds."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0

        async def send_noting_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, send_noting_status)
        finally:
            elapsed = (time.perf_counter() - started) * 1000
            log.info(
                "%s %r %s %.0fms", scope["method"], person.without_pass(scope["path"]), status or "aborted", elapsed
            )


class Envelope:
    """Whatever goes wrong below becomes one JSON answer; the process never ends because of a request."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def send_noting_start(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, send_noting_start)
        except ClientDisconnect:
            return
        except Exception as exc:
            error = exc if isinstance(exc, GatewayError) else envelope_of(exc, scope["app"].state.gateway)
            if error.status >= 500:
                log.error("%s %r failed", scope["method"], scope["path"], exc_info=exc)
            if started:
                # The status line is out: closing the connection is the only way left to say that it failed.
                raise
            await reply(hints.body(error, scope["path"]), error.status, error.headers)(scope, receive, send)


def envelope_of(exc: Exception, gateway: Gateway) -> GatewayError:
    """The answer to an exception that no handler expected."""
    if isinstance(exc, psycopg.errors.DiskFull) or (isinstance(exc, OSError) and exc.errno == errno.ENOSPC):
        return GatewayError(
            507,
            "storage_full",
            f"The disk under {gateway.settings.data_dir} is full: nothing was stored. Free space and repeat.",
            retryable=True,
        )
    if isinstance(exc, PoolTimeout) and gateway.pool_in_use():
        return database_busy("All connections of the gateway for its own tables were in use, for too long.")
    if isinstance(exc, psycopg.OperationalError) and NO_CONNECTION_FREE.search(str(exc)):
        return database_busy("PostgreSQL has as many connections open as it allows.")
    if isinstance(exc, PoolTimeout | psycopg.InterfaceError) or (
        isinstance(exc, psycopg.OperationalError) and (exc.sqlstate is None or LOST_CONNECTION.match(exc.sqlstate))
    ):
        lines = str(exc).strip().splitlines()
        return database_unavailable(f"{lines[0] if lines else type(exc).__name__}.")
    if isinstance(exc, psycopg.Error) and CONTENTION.match(exc.sqlstate or ""):
        return database_busy(
            f"Another request held what this one needed: {exc.diag.message_primary}. Nothing was changed."
        )
    return GatewayError(
        500,
        "internal_error",
        f"The gateway failed on this request ({type(exc).__name__}). `run402 core logs` has the details.",
    )


async def _gateway_error(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, GatewayError)
    return reply(hints.body(exc, request.url.path), exc.status, exc.headers)


async def _http_error(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    path = request.url.path
    if exc.status_code == 405:
        allowed = ", ".join(sorted(_methods_at(request)))
        error = GatewayError(405, "method_not_allowed", f"{path} answers {allowed}, not {request.method}.", code=None)
        return reply(hints.body(error, path), 405, {"Allow": allowed})
    if exc.status_code == 404:
        missing = unavailable(path)
        if missing is not None:
            return reply(hints.body(missing, path), missing.status)
        message = f"This gateway has no route {request.method} {path}. GET /capabilities/v1 lists what it can do."
        # Somebody who typed the bare address is looking for something to look at.
        to_look = {"console_url": f"{gateway_of(request).settings.public_url}{CONSOLE}"} if path == "/" else {}
        return reply(hints.body(GatewayError(404, "not_found", message, code=None, **to_look), path), 404)
    error = GatewayError(exc.status_code, "http_error", str(exc.detail), code=None)
    return reply(hints.body(error, path), exc.status_code)


def _methods_at(request: Request) -> set[str]:
    methods: set[str] = set()
    for route in request.app.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    return methods
