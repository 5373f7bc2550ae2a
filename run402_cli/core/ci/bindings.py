"""CI bindings: which workflow may deploy which project. See docs/ci.md, "The local gateway"."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from psycopg import errors
from psycopg.types.json import Jsonb
from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.callers import siwx, wallet_rows
from run402_cli.core.callers.auth import project_by_id
from run402_cli.core.ci import delegations
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import gateway_of
from run402_cli.core.web.http import public_base, read_object, reply
from run402_cli.core.web.instants import iso
from run402_cli.release.ci_delegation import (
    ACTIONS,
    EVENTS,
    ISSUER,
    Delegation,
    InvalidDelegation,
    delegation,
    normalize_scopes,
)

DDL = """
CREATE TABLE IF NOT EXISTS internal.core_ci_bindings (
  binding_id text PRIMARY KEY,
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  subject_match text NOT NULL,
  allowed_events jsonb NOT NULL,
  route_scopes jsonb NOT NULL,
  asset_key_scopes jsonb NOT NULL DEFAULT '[]',
  github_repository_id text,
  created_by text NOT NULL,
  nonce text NOT NULL UNIQUE,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz,
  revoked_at timestamptz,
  last_used_at timestamptz,
  use_count bigint NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS core_ci_bindings_project ON internal.core_ci_bindings (project_id);
"""
COLUMNS = (
    "binding_id, project_id, subject_match, allowed_events, route_scopes, asset_key_scopes, github_repository_id,"
    " created_by, nonce, created_at, expires_at, revoked_at, last_used_at, use_count"
)
PROVIDER = "github-actions"
_MAX_ASSET_SCOPES = 100
_MAX_ASSET_SCOPE = 1024


@dataclass(frozen=True, slots=True)
class Binding:
    """A row of internal.core_ci_bindings."""

    binding_id: str
    project_id: str
    subject_match: str
    allowed_events: list[str]
    route_scopes: list[str]
    asset_key_scopes: list[str]
    github_repository_id: str | None
    created_by: str
    nonce: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    use_count: int

    @property
    def expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= datetime.now(UTC)

    def matches(self, subject: str) -> bool:
        """Whether an OIDC subject is the binding's, or begins like it where it ends in *."""
        if self.subject_match.endswith("*"):
            return subject.startswith(self.subject_match[:-1])
        return subject == self.subject_match

    def view(self) -> dict[str, Any]:
        return {
            "id": self.binding_id,
            "project_id": self.project_id,
            "provider": PROVIDER,
            "issuer": ISSUER,
            "subject_match": self.subject_match,
            "allowed_actions": list(ACTIONS),
            "allowed_events": self.allowed_events,
            "route_scopes": self.route_scopes,
            "asset_key_scopes": self.asset_key_scopes,
            "github_repository_id": self.github_repository_id,
            "created_by": self.created_by,
            "nonce": self.nonce,
            "created_at": iso(self.created_at),
            "expires_at": iso(self.expires_at),
            "revoked_at": iso(self.revoked_at),
            "last_used_at": iso(self.last_used_at),
            "use_count": self.use_count,
        }


async def of_project(conn: Connection, project_id: str) -> list[Binding]:
    """All bindings of a project, newest first, revoked ones included."""
    cur = await conn.execute(
        f"SELECT {COLUMNS} FROM internal.core_ci_bindings WHERE project_id = %s ORDER BY created_at DESC, binding_id",
        (project_id,),
    )
    return [Binding(*row) for row in await cur.fetchall()]


async def fetch(conn: Connection, binding_id: str) -> Binding:
    """The binding, or 404 binding_not_found."""
    cur = await conn.execute(
        f"SELECT {COLUMNS} FROM internal.core_ci_bindings WHERE binding_id = %s", (binding_id.replace("\0", ""),)
    )
    row = await cur.fetchone()
    if row is None:
        raise GatewayError(
            404,
            "binding_not_found",
            f"There is no CI binding {binding_id}. `run402 ci list` prints the ones of a project.",
            code="BINDING_NOT_FOUND",
        )
    return Binding(*row)


async def _own(conn: Connection, binding_id: str) -> Binding:
    """The binding, unless its project belongs to another wallet than the caller's."""
    binding = await fetch(conn, binding_id)
    await project_by_id(conn, binding.project_id)
    return binding


async def create(request: Request) -> Response:
    """POST /ci/v1/bindings {project_id, provider, subject_match, ..., nonce, signed_delegation}: 201 with the row.

    A live binding of the same subject and repository is revoked: the new one takes its place. 400 invalid_request,
    invalid_route_scopes or delegation_*, 403 signer_mismatch, 404 project_not_found, 409 nonce_replay. docs/ci.md
    """
    body = await read_object(request)
    wanted, expires_at = _wanted(body)
    base = public_base(request)
    uri = f"{base}/ci/v1/bindings"
    signer = delegations.signer(body.get("signed_delegation"), wanted, domain=urlsplit(base).hostname or "", uri=uri)
    async with gateway_of(request).connection() as conn, conn.transaction():
        await project_by_id(conn, wanted.project_id)
        await _check_signer(conn, wanted.project_id, signer)
        try:
            made = await _insert(conn, wanted, expires_at, signer)
        except errors.UniqueViolation as exc:
            message = "This delegation was used before: its nonce makes one binding only."
            raise delegations.refused("nonce_replay", message, status=409) from exc
    return reply(made.view(), 201)


async def _insert(conn: Connection, wanted: Delegation, expires_at: datetime | None, signer: str) -> Binding:
    await conn.execute(
        "UPDATE internal.core_ci_bindings SET revoked_at = now() WHERE project_id = %s AND subject_match = %s"
        " AND github_repository_id IS NOT DISTINCT FROM %s AND revoked_at IS NULL AND nonce <> %s",
        (wanted.project_id, wanted.subject_match, wanted.github_repository_id, wanted.nonce),
    )
    cur = await conn.execute(
        "INSERT INTO internal.core_ci_bindings (binding_id, project_id, subject_match, allowed_events, route_scopes,"
        f" github_repository_id, created_by, nonce, expires_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
        f" RETURNING {COLUMNS}",
        (
            f"cib_{secrets.token_hex(12)}",
            wanted.project_id,
            wanted.subject_match,
            Jsonb(wanted.allowed_events),
            Jsonb(wanted.route_scopes),
            wanted.github_repository_id,
            signer,
            wanted.nonce,
            expires_at,
        ),
    )
    row = await cur.fetchone()
    assert row is not None
    return Binding(*row)


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
        raise delegations.refused("invalid_route_scopes", str(exc)) from exc
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
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise _invalid("`expires_at` must be an ISO date-time such as 2030-01-01T00:00:00Z.") from exc
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _strings(value: Any, name: str) -> list[str]:
    if not isinstance(value, Sequence) or isinstance(value, str) or not all(isinstance(item, str) for item in value):
        raise _invalid(f"`{name}` must be a list of strings.")
    return list(value)


async def _check_signer(conn: Connection, project_id: str, signer: str) -> None:
    """Who makes the request, and who owns the project, must have signed the delegation; where that is nobody, anybody."""
    wallets = {siwx.caller.get(), await wallet_rows.owner_of(conn, project_id)} - {None}
    if wallets - {signer}:
        raise delegations.refused(
            "signer_mismatch", f"The delegation is signed by another wallet, {signer}.", status=403
        )


async def list_bindings(request: Request) -> Response:
    """GET /ci/v1/bindings?project=: {bindings}, newest first, revoked ones included. 404 project_not_found."""
    async with gateway_of(request).connection() as conn:
        project = await project_by_id(conn, request.query_params.get("project", ""))
        found = await of_project(conn, project.project_id)
    return reply({"bindings": [binding.view() for binding in found]})


async def get_binding(request: Request) -> Response:
    """GET /ci/v1/bindings/{id}: the row. 404 binding_not_found."""
    async with gateway_of(request).connection() as conn:
        return reply((await _own(conn, request.path_params["binding_id"])).view())


async def revoke(request: Request) -> Response:
    """POST /ci/v1/bindings/{id}/revoke: the row with revoked_at; its sessions end at once. Repeating changes nothing."""
    binding_id = request.path_params["binding_id"]
    async with gateway_of(request).connection() as conn:
        await _own(conn, binding_id)
        await conn.execute(
            "UPDATE internal.core_ci_bindings SET revoked_at = now() WHERE binding_id = %s AND revoked_at IS NULL",
            (binding_id,),
        )
        return reply((await fetch(conn, binding_id)).view())


async def set_asset_scopes(request: Request) -> Response:
    """POST /ci/v1/bindings/{id}/asset-scopes {asset_key_scopes}: the row. 400 invalid_request, 409 binding_revoked."""
    binding_id = request.path_params["binding_id"]
    scopes = _strings((await read_object(request)).get("asset_key_scopes"), "asset_key_scopes")
    for scope in scopes:
        if not 0 < len(scope) <= _MAX_ASSET_SCOPE or "*" in scope.removesuffix("/*") or "\0" in scope:
            raise _invalid(f"{scope[:80]!r} is not an asset scope. Write a key, or a prefix ending in /*.")
    if len(scopes) > _MAX_ASSET_SCOPES:
        raise _invalid(f"A binding has at most {_MAX_ASSET_SCOPES} asset scopes.")
    async with gateway_of(request).connection() as conn:
        if (await _own(conn, binding_id)).revoked_at is not None:
            message = f"{binding_id} is revoked and cannot be changed."
            raise delegations.refused("binding_revoked", message, status=409)
        await conn.execute(
            "UPDATE internal.core_ci_bindings SET asset_key_scopes = %s WHERE binding_id = %s",
            (Jsonb(scopes), binding_id),
        )
        return reply((await fetch(conn, binding_id)).view())


def _invalid(message: str) -> GatewayError:
    return GatewayError(400, "invalid_request", message, code="INVALID_REQUEST")
