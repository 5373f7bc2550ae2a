"""Public health of the gateway. See docs/protocol/conventions.md."""

from __future__ import annotations

from typing import Any

from run402_cli.client import Client


def health(client: Client) -> Any:
    """GET /health -> {status, checks: {name: string}, version}. No credentials.

    Raises ApiError (503 with the same body when degraded) and NetworkError.
    """
    return client.request("GET", "/health", context="fetching service health")


def status(client: Client) -> Any:
    """GET /status -> {status, uptime_seconds, deployment, capabilities, operator}. No credentials."""
    return client.request("GET", "/status", context="fetching service status")
