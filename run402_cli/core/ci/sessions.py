"""CI sessions: a workflow's OIDC token becomes a short bearer that may deploy one project, within its binding."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Mapping
from typing import Any, Final

import jwt
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from run402_cli import advice
from run402_cli.core.callers.admission import CI_SESSION
from run402_cli.core.callers.auth import bearer_of, project_by_id
from run402_cli.core.ci import binding_rows, oidc
from run402_cli.core.ci.binding_rows import Binding
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import gateway_of
from run402_cli.core.projects.keys import keys_of
from run402_cli.core.releases import diffs
from run402_cli.core.releases import rows as releases
from run402_cli.core.releases.plans import Plan
from run402_cli.core.settings import Settings
from run402_cli.core.web.http import read_object, reply
from run402_cli.release.ci_delegation import asset_covers, covers
from run402_cli.release.ci_rules import FORBIDDEN, check_ci_spec
from run402_cli.release.errors import ReleaseError

SESSION_SECONDS: Final = 900
PREFIX: Final = "r402ci_"
_ISSUER: Final = "run402-core-ci"
_GRANT: Final = {
    "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
    "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
}
# What a deploy calls. GET /projects/v1/{id} is not here: it answers the project's keys.
_ALLOWED: Final = re.compile(
    r"""POST\ /content/v1/plans(?:/[^/]+/commit)?
      | POST\ /projects/v1/(?P<project>[^/]+)/content(?:/batches)?
      | POST\ /apply/v1/plans(?:/[^/]+/(?:commit|rehearse))?
      | GET\ /apply/v1/operations/[^/]+(?:/events|/edge-coherence)?
      | GET\ /apply/v1/releases/[^/]+""",
    re.VERBOSE,
)


async def exchange(request: Request) -> Response:
    """POST /ci/v1/token-exchange {grant_type, subject_token, subject_token_type, project_id}: {access_token, expires_in}.

    401 invalid_request or invalid_token; 403 access_denied, binding_revoked, event_not_allowed or
    repository_id_mismatch; 422 unsupported_capability. docs/ci.md
    """
    body = await read_object(request)
    token, project_id = body.get("subject_token"), body.get("project_id")
    right = all(body.get(name) == value for name, value in _GRANT.items())
    if not right or not isinstance(token, str) or not isinstance(project_id, str):
        raise GatewayError(
            401,
            "invalid_request",
            "The body must be a token exchange with a JWT and a project_id.",
            code="INVALID_AUTH",
        )
    claims = await asyncio.to_thread(oidc.claims, token)
    gateway = gateway_of(request)
    async with gateway.connection() as conn:
        binding = _matching(await binding_rows.of_project(conn, project_id.replace("\0", "")), claims)
        await binding_rows.note_use(conn, binding.binding_id)
    issued = PREFIX + jwt.encode(
        {"iss": _ISSUER, "sub": binding.binding_id, "exp": int(time.time()) + SESSION_SECONDS},
        _secret(gateway.settings),
        algorithm="HS256",
    )
    answer = {"access_token": issued, "token_type": "Bearer", "expires_in": SESSION_SECONDS, "scope": "deploy"}
    return reply(answer, headers={"Cache-Control": "no-store"})


def _secret(settings: Settings) -> str:
    """A key of its own: a session must not pass for the token of an end user."""
    return hashlib.sha256(f"run402-ci-session:{settings.jwt_secret}".encode()).hexdigest()


def _matching(found: list[Binding], claims: Mapping[str, Any]) -> Binding:
    """The binding that a workflow's claims fall under: an exact subject before a prefix, a longer prefix first."""
    subject = str(claims["sub"])
    fitting = sorted(
        (b for b in found if b.matches(subject)), key=lambda b: (b.subject_match.endswith("*"), -len(b.subject_match))
    )
    live = [b for b in fitting if b.revoked_at is None and not b.expired]
    if not live:
        revoked = any(b.revoked_at is not None for b in fitting)
        word = "binding_revoked" if revoked else "access_denied"
        raise _denied(word, f"No {'live' if fitting else 'CI'} binding of this project allows {subject!r}.")
    binding = live[0]
    if claims.get("event_name") not in binding.allowed_events:
        raise _denied(
            "event_not_allowed",
            f"{binding.binding_id} allows {', '.join(binding.allowed_events)}, not {claims.get('event_name')!r}.",
        )
    if binding.github_repository_id is not None and str(claims.get("repository_id")) != binding.github_repository_id:
        raise _denied(
            "repository_id_mismatch",
            f"{binding.binding_id} is for repository {binding.github_repository_id}, not {claims.get('repository_id')!r}.",
        )
    return binding


def _denied(word: str, message: str) -> GatewayError:
    return GatewayError(403, word, message, code="FORBIDDEN", retryable=False)


class Sessions:
    """ASGI middleware: a CI session reaches the routes of a deploy only, and acts there as its project's anon key."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            token = bearer_of(Request(scope))
            if token is not None and token.startswith(PREFIX):
                scope = await _as_project(scope, token)
        await self.app(scope, receive, send)


async def _as_project(scope: Scope, token: str) -> Scope:
    gateway = gateway_of(Request(scope))
    async with gateway.connection() as conn:
        binding = await binding_rows.fetch(conn, _binding_of(gateway.settings, token))
        if binding.revoked_at is not None or binding.expired:
            raise _denied(
                "binding_revoked", f"{binding.binding_id} was revoked or has expired; its sessions end with it."
            )
        project = await project_by_id(conn, binding.project_id)
    _check_route(scope, binding)
    headers = Headers(scope=scope).mutablecopy()
    del headers["authorization"]
    headers["apikey"] = keys_of(gateway.settings, project).anon
    return {**scope, "headers": headers.raw, CI_SESSION: binding}


def _binding_of(settings: Settings, token: str) -> str:
    try:
        claims = jwt.decode(
            token.removeprefix(PREFIX),
            _secret(settings),
            algorithms=["HS256"],
            issuer=_ISSUER,
            options={"require": ["exp"]},
        )
    except (jwt.PyJWTError, ValueError, RecursionError) as exc:
        raise GatewayError(
            401, "invalid_token", f"The CI session was not accepted: {exc}. Run the job again.", code="INVALID_AUTH"
        ) from exc
    return str(claims["sub"])


def _check_route(scope: Scope, binding: Binding) -> None:
    match = _ALLOWED.fullmatch(f"{scope['method']} {scope['path']}")
    if match is None or match["project"] not in (None, binding.project_id):
        raise _denied(
            "access_denied", f"A CI session may deploy its project; it may not {scope['method']} {scope['path']}."
        )
    if scope["path"].endswith("/rehearse"):
        message = "A CI session cannot rehearse: a branch holds a copy of the data. Rehearse from a signed-in machine."
        raise GatewayError(403, "rehearsal_ci_unsupported", message, retryable=False)


async def permit(conn: Connection, request: Request, plan: Plan) -> None:
    """Nothing for callers that are no CI session; for one, 403 unless its binding allows the plan.

    access_denied (another project), forbidden_spec_field, CI_ROUTE_SCOPE_DENIED, CI_ASSET_SCOPE_DENIED. docs/ci.md
    """
    binding: Binding | None = request.scope.get(CI_SESSION)
    if binding is None:
        return
    if plan.project_id != binding.project_id:
        raise _denied("access_denied", f"The CI session is for {binding.project_id}, not for {plan.project_id}.")
    own = ("project_id", "idempotency_key")
    try:
        check_ci_spec({key: value for key, value in plan.spec.items() if key not in own})
    except ReleaseError as exc:
        raise _forbidden(FORBIDDEN, exc.message, exc.resource) from exc
    await _permit_routes(conn, plan, binding)
    _permit_assets(plan.spec.get("assets") or {}, binding)


async def _permit_routes(conn: Connection, plan: Plan, binding: Binding) -> None:
    if plan.spec.get("routes") is None:
        return
    base = await releases.find(conn, plan.project_id, plan.base_release_id) if plan.base_release_id else None
    before = base.state if base else None
    # The row of a plan that changes nothing has no state of its own.
    bucket = diffs.compare(before, before if before and plan.noop else plan.target_release)["routes"]
    patterns = {entry["pattern"] for name in ("added", "changed") for entry in bucket[name]} | set(bucket["removed"])
    for pattern in sorted(patterns):
        if not any(covers(scope, pattern) for scope in binding.route_scopes):
            raise _route_denied(f"does not cover the route {pattern}", binding)
    if not binding.route_scopes:
        raise _route_denied("has no route scopes, so a spec from CI may not have `routes`", binding)


def _route_denied(problem: str, binding: Binding) -> GatewayError:
    message = f"The binding {binding.binding_id} {problem}. Link again: run402 ci link github --route-scope <pattern>"
    return _forbidden("CI_ROUTE_SCOPE_DENIED", message, "routes")


def _permit_assets(section: Mapping[str, Any], binding: Binding) -> None:
    keys = [entry["key"] for entry in section.get("put") or ()] + list(section.get("delete") or ())
    # A sync deletes whatever is below its prefix, so the scope must cover every key that can be there.
    keys += [f"{section['sync']['prefix'].rstrip('/')}/"] if section.get("sync") else []
    for key in keys:
        if not any(asset_covers(scope, key) for scope in binding.asset_key_scopes):
            message = f"The binding {binding.binding_id} does not cover the asset {key}. Allow it: " + advice.command(
                "ci", "set-asset-scopes", binding.binding_id, advice.Blank("scope")
            )
            raise _forbidden("CI_ASSET_SCOPE_DENIED", message, f"assets.{key}")


def _forbidden(code: str, message: str, resource: str | None) -> GatewayError:
    return GatewayError(403, code.lower(), message, code=code, phase="plan", resource=resource, retryable=False)
