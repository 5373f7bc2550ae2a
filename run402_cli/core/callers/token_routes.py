"""Tokens for local development."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.callers.auth import project_by_id, sign_token
from run402_cli.core.callers.policies import OWNER_OF_WHAT_IT_NAMES
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import gateway_of
from run402_cli.core.projects.rows import PROJECT_ID
from run402_cli.core.web.http import read_object, reply
from run402_cli.core.web.routing import Route

# A working day, and the night before it: who develops asks for one a day.
SECONDS = 24 * 3600
ROLES = ("anon", "authenticated", "service_role")
_DEFAULT_SUBJECT = {"service_role": "service", "authenticated": "user"}


async def create_dev_token(request: Request) -> Response:
    """POST /auth/v1/dev-tokens `{project_id, role?, sub?}`: a token for any role and subject of a project, for a day.

    201 `{token, authorization, role, sub, expires_in}`; `expires_in` in seconds. 400 invalid_request, 404 project_not_found.
    """
    body = await read_object(request)
    project_id = body.get("project_id", body.get("projectId"))
    role = body.get("role", "authenticated")
    subject = body.get("sub")
    if not isinstance(project_id, str) or not PROJECT_ID.fullmatch(project_id):
        raise GatewayError(
            400, "invalid_request", "`project_id` is required, for example prj_0123456789abcdef.", code=None
        )
    if role not in ROLES:
        raise GatewayError(400, "invalid_request", f"`role` must be one of {', '.join(ROLES)}.", code=None)
    if subject is not None and (not isinstance(subject, str) or "\x00" in subject):
        raise GatewayError(
            400, "invalid_request", "`sub` must be a string: the user id that auth.uid() returns.", code=None
        )
    subject = subject or _DEFAULT_SUBJECT.get(role)
    gateway, now = gateway_of(request), int(time.time())
    async with gateway.connection() as conn:
        await project_by_id(conn, project_id)
    claims = {"iss": "run402-core-dev", "project_id": project_id, "role": role, "iat": now, "exp": now + SECONDS}
    if subject is not None:
        claims["sub"] = subject
    token = sign_token(gateway.settings, claims)
    answer = {"token": token, "authorization": f"Bearer {token}", "role": role, "sub": subject, "expires_in": SECONDS}
    return reply(answer, 201, {"Cache-Control": "no-store"})


ROUTES = [Route("/auth/v1/dev-tokens", create_dev_token, methods=["POST"], who=OWNER_OF_WHAT_IT_NAMES)]
