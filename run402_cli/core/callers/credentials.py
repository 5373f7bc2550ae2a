"""Issued project credentials: named, revocable, expiring keys beside the two that a project is born with.

Only a hash of the secret is kept; the secret itself is in one answer, once. See docs/credentials.md.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from run402_cli import advice
from run402_cli.core.callers import credential_rows
from run402_cli.core.callers.credential_rows import Kind
from run402_cli.core.callers.policies import OWNER
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.web.http import read_object, reply
from run402_cli.core.web.instants import date_time, iso
from run402_cli.core.web.routing import Route, admitted

KINDS = ("anon", "service")
MAX_NAME = 128
MAX_LIFETIME = timedelta(days=366)
TOKEN_SECONDS = 3600


async def issue_credential(request: Request) -> Response:
    """POST /projects/v1/{project_id}/credentials `{kind, name, expires_at?}`: the record plus `secret`.

    409 CREDENTIAL_NAME_TAKEN while a live credential of the project has the name.
    """
    body = await read_object(request)
    kind, name, expires = _kind(body), _name(body), _expiry(body)
    project = admitted(request, Project)
    async with gateway_of(request).connection() as conn, conn.transaction():
        await credential_rows.free_name(conn, project.project_id, name)
        record, secret = await credential_rows.issue(conn, project.project_id, kind, name, expires_at=expires)
    return reply({**record, "secret": secret, "next_actions": _store_it(project.project_id, kind)}, 201)


async def list_credentials(request: Request) -> Response:
    """GET /projects/v1/{project_id}/credentials[?include_revoked=true]: `{credentials: [record]}`, never a secret."""
    with_revoked = request.query_params.get("include_revoked", "").lower() in ("true", "1")
    project = admitted(request, Project)
    async with gateway_of(request).connection() as conn:
        records = await credential_rows.of_project(conn, project.project_id, with_revoked=with_revoked)
    return reply({"credentials": records})


async def credential_status(request: Request) -> Response:
    """GET /projects/v1/{project_id}/credential-status: whether the project still lives on its two original keys alone.

    A local gateway never retires those, so `retirement` has nothing it waits for and no deadline.
    """
    project = admitted(request, Project)
    async with gateway_of(request).connection() as conn:
        records = await credential_rows.of_project(conn, project.project_id, with_revoked=False)
    live = [
        record for record in records if record["expires_at"] is None or record["expires_at"] > iso(datetime.now(UTC))
    ]
    body: dict[str, Any] = {
        "project_id": project.project_id,
        "state": "rotatable" if live else "legacy",
        "legacy_key": "active",
        "rotatable_credentials": len(live),
        "credentials": records,
        "retirement": {"gated_on": [], "deadline": None},
    }
    if not live:
        command = advice.command(
            "credentials", "issue", "--kind", "service", "--name", "main", "--project", project.project_id
        )
        body["next_actions"] = [advice.entry("run_command", command)]
    return reply(body)


async def rotate_credential(request: Request) -> Response:
    """POST /projects/v1/{project_id}/credentials/{credential_id}/rotate: a new secret under the same name.

    The old secret stops at once. 404 credential_not_found; 409 CREDENTIAL_NOT_LIVE when revoked or expired.
    """
    project = admitted(request, Project)
    async with gateway_of(request).connection() as conn, conn.transaction():
        row = await credential_rows.locked(conn, project.project_id, request.path_params["credential_id"])
        credential_id, kind, name, expires, live = row
        if not live:
            again = ("credentials", "issue", "--kind", kind, "--name", advice.Blank("name"))
            raise GatewayError(
                409,
                "credential_not_live",
                f"The credential {name} is revoked or expired and cannot be rotated. Issue a new one:"
                f" `{advice.command(*again, '--project', project.project_id)}`.",
            )
        await credential_rows.mark_revoked(conn, credential_id, "rotated")
        record, secret = await credential_rows.issue(
            conn, project.project_id, kind, name, expires_at=expires, replacement_of=credential_id
        )
    return reply({**record, "secret": secret, "next_actions": _store_it(project.project_id, kind)}, 201)


async def revoke_credential(request: Request) -> Response:
    """DELETE /projects/v1/{project_id}/credentials/{credential_id} `{reason?}`: the record plus `revoked: true`.

    Repeating it changes nothing. 404 credential_not_found.
    """
    body = await read_object(request)
    reason = body.get("reason")
    if reason is not None and (not isinstance(reason, str) or "\0" in reason):
        raise GatewayError(400, "invalid_request", "reason must be a string.", code=None)
    project = admitted(request, Project)
    async with gateway_of(request).connection() as conn, conn.transaction():
        credential_id = (await credential_rows.locked(conn, project.project_id, request.path_params["credential_id"]))[
            0
        ]
        await credential_rows.mark_revoked(conn, credential_id, reason)
        record = await credential_rows.one(conn, credential_id)
    return reply({**record, "revoked": True})


async def mint_token(request: Request) -> Response:
    """POST /projects/v1/{project_id}/tokens `{kind?}` (default service): a key with `secret` and `expires_in` seconds."""
    body = await read_object(request)
    kind = _kind({"kind": body.get("kind", "service")})
    project = admitted(request, Project)
    async with gateway_of(request).connection() as conn, conn.transaction():
        await credential_rows.forget_expired_tokens(conn, project.project_id)
        expires = datetime.now(UTC) + timedelta(seconds=TOKEN_SECONDS)
        name = f"token-{secrets.token_hex(6)}"
        record, secret = await credential_rows.issue(
            conn, project.project_id, kind, name, expires_at=expires, short_lived=True
        )
    return reply({**record, "secret": secret, "expires_in": TOKEN_SECONDS}, 201)


def _kind(body: dict[str, Any]) -> Kind:
    match body.get("kind"):
        case "anon":
            return "anon"
        case "service":
            return "service"
    raise GatewayError(400, "invalid_request", "kind must be anon or service.", code=None, field="kind")


def _name(body: dict[str, Any]) -> str:
    name = body.get("name")
    clean = name.strip() if isinstance(name, str) else ""
    if not clean or len(clean) > MAX_NAME or not clean.isprintable():
        message = f"name must be 1 to {MAX_NAME} printable characters."
        raise GatewayError(400, "invalid_request", message, code=None, field="name")
    return clean


def _expiry(body: dict[str, Any]) -> datetime | None:
    value = body.get("expires_at")
    if value is None:
        return None
    now = datetime.now(UTC)
    example = iso(now + timedelta(days=90))
    moment = date_time(value)
    if moment is None or not now < moment <= now + MAX_LIFETIME:
        raise GatewayError(
            400,
            "invalid_request",
            f"expires_at must be an ISO-8601 time in the future and within one year, e.g. {example}.",
            code=None,
            field="expires_at",
        )
    return moment


def _store_it(project_id: str, kind: Kind) -> list[dict[str, str]]:
    if kind == "anon":
        return []
    command = advice.command("credentials", "project-keys", "import", "--project", project_id, "--service-key-stdin")
    return [advice.entry("run_command", command)]


ROUTES = [
    Route("/projects/v1/{project_id}/credentials", issue_credential, methods=["POST"], who=OWNER),
    Route("/projects/v1/{project_id}/credentials", list_credentials, methods=["GET"], who=OWNER),
    Route(
        "/projects/v1/{project_id}/credentials/{credential_id}/rotate", rotate_credential, methods=["POST"], who=OWNER
    ),
    Route("/projects/v1/{project_id}/credentials/{credential_id}", revoke_credential, methods=["DELETE"], who=OWNER),
    Route("/projects/v1/{project_id}/credential-status", credential_status, methods=["GET"], who=OWNER),
    Route("/projects/v1/{project_id}/tokens", mint_token, methods=["POST"], who=OWNER),
]
