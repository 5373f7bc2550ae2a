"""GET /health, /status and /capabilities/v1: no credential, no secrets. See docs/local-gateway.md."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import psycopg
from psycopg_pool import PoolTimeout
from starlette.requests import Request
from starlette.responses import Response

from run402_cli._version import __version__
from run402_cli.core.gateway import Gateway, gateway_of
from run402_cli.core.web.capabilities import RUNTIME_CONTRACT, SUPPORTED, UNSUPPORTED, capability_document
from run402_cli.core.web.http import reply
from run402_cli.core.web.instants import iso
from run402_cli.core.web.routing import OPEN, Route


async def get_health(request: Request) -> Response:
    """GET /health: 200 when PostgreSQL answers, else 503 with status degraded. `pid` tells two gateways apart."""
    gateway = gateway_of(request)
    database = await _database_state(gateway)
    body = {
        "status": "ok" if database == "ok" else "degraded",
        "mode": "core",
        "runtime_contract_version": RUNTIME_CONTRACT,
        "supported_features": len(SUPPORTED),
        "unsupported_features": len(UNSUPPORTED),
        "checks": {"database": database, "content": "ok" if gateway.settings.data_dir.is_dir() else "missing"},
        "version": __version__,
        "pid": os.getpid(),
    }
    return reply(body, 200 if database == "ok" else 503)


async def _database_state(gateway: Gateway) -> str:
    lost = gateway.database_lost()
    if lost is not None:
        return f"down: {lost}"
    try:
        async with gateway.pool.connection(timeout=2):  # the pool asks PostgreSQL for a sign of life
            pass
    except (psycopg.Error, PoolTimeout) as exc:
        return f"down: {str(exc).strip().splitlines()[0]}"
    return "ok"


async def get_status(request: Request) -> Response:
    """GET /status: availability report of this gateway."""
    gateway = gateway_of(request)
    database = await _database_state(gateway)
    return reply(
        {
            "status": "operational" if database == "ok" else "degraded",
            "mode": "core",
            "uptime_seconds": round((datetime.now(UTC) - gateway.started_at).total_seconds(), 3),
            "started_at": iso(gateway.started_at),
            "deployment": {"version": __version__},
            "capabilities": list(SUPPORTED),
            "operator": {"name": "local", "contact": "run402 core status"},
        }
    )


async def get_capabilities(request: Request) -> Response:
    """GET /capabilities/v1."""
    return reply(capability_document())


ROUTES = [
    Route("/health", get_health, methods=["GET"], who=OPEN),
    Route("/status", get_status, methods=["GET"], who=OPEN),
    Route("/capabilities/v1", get_capabilities, methods=["GET"], who=OPEN),
]
