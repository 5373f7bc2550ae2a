"""CI bindings: which workflow may deploy which project. See docs/ci.md, "The local gateway"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.callers import siwx, wallet_rows
from run402_cli.core.callers.auth import project_by_id
from run402_cli.core.ci import binding_rows
from run402_cli.core.ci.binding_rows import Binding
from run402_cli.core.ci.delegations import refused
from run402_cli.core.ci.delegations import signer as signer_of
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.web.http import public_base, read_object, reply
from run402_cli.core.web.instants import date_time, iso
from run402_cli.core.web.routing import admitted
from run402_cli.release.ci_delegation import (
    ACTIONS,
    EVENTS,
    ISSUER,
    Delegation,
    InvalidDelegation,
    delegation,
    normalize_scopes,
)

PROVIDER = "github-actions"
_MAX_ASSET_SCOPES = 100
_MAX_ASSET_SCOPE = 1024


def view(binding: Binding) -> dict[str, Any]:
    """The binding as the API shows it."""
    return {
        "id": binding.binding_id,
        "project_id": binding.project_id,
        "provider": PROVIDER,
        "issuer": ISSUER,
        "subject_match": binding.subject_match,
        "allowed_actions": list(ACTIONS),
        "allowed_events": binding.allowed_events,
        "route_scopes": binding.route_scopes,
        "asset_key_scopes": binding.asset_key_scopes,
        "github_repository_id": binding.github_repository_id,
        "created_by": binding.created_by,
        "nonce": binding.nonce,
        "created_at": iso(binding.created_at),
        "expires_at": iso(binding.expires_at),
        "revoked_at": iso(binding.revoked_at),
        "last_used_at": iso(binding.last_used_at),
        "use_count": binding.use_count,
    }


async def create(request: Request) -> Response:
    """POST /ci/v1/bindings {project_id, provider, subject_match, ..., nonce, signed_delegation}: 201 with the row.

    A live binding of the same subject and repository is revoked: the new one takes its place. 400 invalid_request,
    invalid_route_scopes or delegation_*, 403 signer_mismatch, 404 project_not_found, 409 nonce_replay. docs/ci.md
    """
    body = await read_object(request)
    wanted, expires_at = _wanted(body)
    base = public_base(request)
    uri = f"{base}/ci/v1/bindings"
    signer = signer_of(body.get("signed_delegation"), wanted, domain=urlsplit(base).hostname or "", uri=uri)
    async with gateway_of(request).connection() as conn, conn.transaction():
        await project_by_id(conn, wanted.project_id)
        await _check_signer(conn, wanted.project_id, signer)
        made = await binding_rows.insert(conn, wanted, expires_at, signer)
        if made is None:
            message = "This delegation was used before: its nonce makes one binding only."
            raise refused("nonce_replay", message, status=409)
    return reply(view(made), 201)


def _wanted(body: Mapping[str, Any]) -> tuple[Delegation, datetime | None]:
    """The delegation that a request amounts to, and when it ends."""
    if body.get("provider") != PROVIDER or body.get("allowed_actions") != list(ACTIONS):
        raise _invalid(f'`provider` must be {PROVIDER} and `allowed_actions` ["deploy"].')
    texts = {name: body.get(name) for name in ("project_id", "subject_match", "nonce")}
    optional = {name: body.get(name) for name in ("github_repository_id", "expires_at")}
    if not all(isinstance(value, str) and "\0" not in value for value in texts.values()):
        raise _invalid(f"{', '.join(texts)} must be strings.")
    if not all(value is None or (isinstance(value, str) and "\0" not in value) for value in optional.values()):
        raise _invalid(f"{', '.join(optional)} must be strings or null.")
    events = _strings(body.get("allowed_events"), "allowed_events")
    if not set(events) <= set(EVENTS):
        raise _invalid(f"`allowed_events` may hold {', '.join(EVENTS)}.")
    scopes = _strings(body.get("route_scopes") or [], "route_scopes")
    try:
        normalize_scopes(scopes)
    except InvalidDelegation as exc:
        raise refused("invalid_route_scopes", str(exc)) from exc
    try:
        made = delegation(
            str(texts["project_id"]),
            str(texts["subject_match"]),
            nonce=str(texts["nonce"]),
            allowed_events=events,
            route_scopes=scopes,
            **optional,
        )
    except InvalidDelegation as exc:
        raise _invalid(str(exc)) from exc
    return made, _expiry(made.expires_at)


def _expiry(text: str | None) -> datetime | None:
    if text is None:
        return None
    moment = date_time(text)
    if moment is None:
        raise _invalid("`expires_at` must be an ISO date-time such as 2030-01-01T00:00:00Z.")
    return moment


def _strings(value: Any, name: str) -> list[str]:
    if not isinstance(value, Sequence) or isinstance(value, str) or not all(isinstance(item, str) for item in value):
        raise _invalid(f"`{name}` must be a list of strings.")
    return list(value)


async def _check_signer(conn: Connection, project_id: str, signer: str) -> None:
    """Who makes the request, and who owns the project, must have signed the delegation; where that is nobody, anybody."""
    wallets = {siwx.caller.get(), await wallet_rows.owner_of(conn, project_id)} - {None}
    if wallets - {signer}:
        raise refused("signer_mismatch", f"The delegation is signed by another wallet, {signer}.", status=403)


async def list_bindings(request: Request) -> Response:
    """GET /ci/v1/bindings?project=: {bindings}, newest first, revoked ones included. 404 project_not_found."""
    async with gateway_of(request).connection() as conn:
        found = await binding_rows.of_project(conn, admitted(request, Project).project_id)
    return reply({"bindings": [view(binding) for binding in found]})


async def get_binding(request: Request) -> Response:
    """GET /ci/v1/bindings/{id}: the row. 404 binding_not_found."""
    return reply(view(admitted(request, Binding)))


async def revoke(request: Request) -> Response:
    """POST /ci/v1/bindings/{id}/revoke: the row with revoked_at; its sessions end at once. Repeating changes nothing."""
    binding_id = admitted(request, Binding).binding_id
    async with gateway_of(request).connection() as conn:
        await binding_rows.revoke(conn, binding_id)
        return reply(view(await binding_rows.fetch(conn, binding_id)))


async def set_asset_scopes(request: Request) -> Response:
    """POST /ci/v1/bindings/{id}/asset-scopes {asset_key_scopes}: the row. 400 invalid_request, 409 binding_revoked."""
    binding = admitted(request, Binding)
    scopes = _strings((await read_object(request)).get("asset_key_scopes"), "asset_key_scopes")
    for scope in scopes:
        if not 0 < len(scope) <= _MAX_ASSET_SCOPE or "*" in scope.removesuffix("/*") or "\0" in scope:
            raise _invalid(f"{scope[:80]!r} is not an asset scope. Write a key, or a prefix ending in /*.")
    if len(scopes) > _MAX_ASSET_SCOPES:
        raise _invalid(f"A binding has at most {_MAX_ASSET_SCOPES} asset scopes.")
    if binding.revoked_at is not None:
        raise refused("binding_revoked", f"{binding.binding_id} is revoked and cannot be changed.", status=409)
    async with gateway_of(request).connection() as conn:
        await binding_rows.set_asset_scopes(conn, binding.binding_id, scopes)
        return reply(view(await binding_rows.fetch(conn, binding.binding_id)))


def _invalid(message: str) -> GatewayError:
    return GatewayError(400, "invalid_request", message)
