"""The routes below /ci/v1."""

from __future__ import annotations

from run402_cli.core.callers.policies import OWNER_OF_WHAT_IT_NAMES
from run402_cli.core.ci import bindings, sessions
from run402_cli.core.ci.callers import BINDING_OWNER, PROJECT_OWNER, WORKFLOW
from run402_cli.core.web.routing import Route

ROUTES = [
    Route("/ci/v1/bindings", bindings.create, methods=["POST"], who=OWNER_OF_WHAT_IT_NAMES),
    Route("/ci/v1/bindings", bindings.list_bindings, methods=["GET"], who=PROJECT_OWNER),
    Route("/ci/v1/bindings/{binding_id}", bindings.get_binding, methods=["GET"], who=BINDING_OWNER),
    Route("/ci/v1/bindings/{binding_id}/revoke", bindings.revoke, methods=["POST"], who=BINDING_OWNER),
    Route("/ci/v1/bindings/{binding_id}/asset-scopes", bindings.set_asset_scopes, methods=["POST"], who=BINDING_OWNER),
    Route("/ci/v1/token-exchange", sessions.exchange, methods=["POST"], who=WORKFLOW),
]
