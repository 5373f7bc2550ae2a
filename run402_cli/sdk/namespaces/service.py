"""Public health of the gateway.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Namespace
from run402_cli.services import service as _service

if TYPE_CHECKING:
    from typing import Any


class Service(Namespace[None]):
    """Public health of the gateway."""

    def health(self) -> Any:
        """Liveness of the gateway with its per-dependency checks.

        GET /health -> {status, checks: {name: string}, version}. No credentials.

        Raises ApiError (503 with the same body when degraded) and NetworkError.
        """
        return self._call(_service.health)

    def status(self) -> Any:
        """Availability report: status, uptime, deployed version, capabilities, operator.

        GET /status -> {status, uptime_seconds, deployment, capabilities, operator}. No credentials.
        """
        return self._call(_service.status)
