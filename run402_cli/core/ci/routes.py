"""The routes below /ci/v1."""

from __future__ import annotations

from starlette.routing import Route

from run402_cli.core.ci import bindings, sessions

ROUTES = [
    Route("/ci/v1/bindings", bindings.create, methods=["POST"]),
    Route("/ci/v1/bindings", bindings.list_bindings, methods=["GET"]),
    Route("/ci/v1/bindings/{binding_id}", bindings.get_binding, methods=["GET"]),
    Route("/ci/v1/bindings/{binding_id}/revoke", bindings.revoke, methods=["POST"]),
    Route("/ci/v1/bindings/{binding_id}/asset-scopes", bindings.set_asset_scopes, methods=["POST"]),
    Route("/ci/v1/token-exchange", sessions.exchange, methods=["POST"]),
]
