"""Tokens for local development."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.callers.auth import sign_token
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import gateway_of
from run402_cli.core.projects.rows import PROJECT_ID
from run402_cli.core.web.http import read_object, reply
from run402_cli.core.web.routing import LOCAL, Route

ROLES = ("anon", "authenticated", "service_role")
_DEFAULT_SUBJECT = {"service_role": "service", "authenticated": "user"}


async def create_dev_token(request: Request) -> Response:
    """POST /auth/v1/dev-tokens: a token for any role and subject of a project, for local development."""
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
    claims = {"iss": "run402-core-dev", "project_id": project_id, "role": role}
    if subject is not None:
        claims["sub"] = subject
    token = sign_token(gateway_of(request).settings, claims)
    return reply({"token": token, "authorization": f"Bearer {token}", "role": role, "sub": subject}, 201)


ROUTES = [Route("/auth/v1/dev-tokens", create_dev_token, methods=["POST"], who=LOCAL)]
