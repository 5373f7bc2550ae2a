"""Issued project credentials: named, revocable, expiring keys beside the two that a project is born with.

Only a hash of the secret is kept; the secret itself is in one answer, once. See docs/credentials.md.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import psycopg
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from run402_cli import advice
from run402_cli.core import auth
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import gateway_of
from run402_cli.core.http import iso, read_object, reply

DDL = """
CREATE TABLE IF NOT EXISTS internal.core_credentials (
  credential_id text PRIMARY KEY,
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  kind text NOT NULL CHECK (kind IN ('anon', 'service')),
  name text NOT NULL,
  secret_sha256 text NOT NULL UNIQUE,
  short_lived boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now(),
  last_used_at timestamptz,
  expires_at timestamptz,
  revoked_at timestamptz,
  revoked_reason text,
  replacement_of text
);
CREATE UNIQUE INDEX IF NOT EXISTS core_credentials_live_name
  ON internal.core_credentials (project_id, name) WHERE revoked_at IS NULL;
"""

Kind = Literal["anon", "service"]
KINDS = ("anon", "service")
MAX_NAME = 128
MAX_LIFETIME = timedelta(days=366)
TOKEN_SECONDS = 3600
_COLUMNS = (
    "credential_id, project_id, kind, name, created_at,"
    " last_used_at, expires_at, revoked_at, revoked_reason, replacement_of"
)
_LIVE = "revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())"


async def find_credential(conn: Connection, secret: str) -> tuple[str, Kind] | None:
    """Project id and kind of a live issued credential, or None. Notes the use, at most once a minute."""
    digest = _digest(secret)
    query = f"SELECT project_id, kind FROM internal.core_credentials WHERE secret_sha256 = %s AND {_LIVE}"
    row = await (await conn.execute(query, (digest,))).fetchone()
    if row is None:
        return None
    await conn.execute(
        "UPDATE internal.core_credentials SET last_used_at = now()"
        " WHERE secret_sha256 = %s AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')",
        (digest,),
    )
    return row[0], row[1]


async def issue_credential(request: Request) -> Response:
    """POST /projects/v1/{project_id}/credentials `{kind, name, expires_at?}`: the record plus `secret`.

    409 CREDENTIAL_NAME_TAKEN while a live credential of the project has the name.
    """
    body = await read_object(request)
    kind, name, expires = _kind(body), _name(body), _expiry(body)
    async with gateway_of(request).connection() as conn:
        project = await auth.project_by_id(conn, request.path_params["project_id"])
        async with conn.transaction():
            # An expired credential no longer holds its name.
            await conn.execute(
                "UPDATE internal.core_credentials SET revoked_at = expires_at, revoked_reason = 'expired'"
                " WHERE project_id = %s AND name = %s AND revoked_at IS NULL AND expires_at <= now()",
                (project.project_id, name),
            )
            record, secret = await _insert(conn, project.project_id, kind, name, expires_at=expires)
    return reply({**record, "secret": secret, "next_actions": _store_it(project.project_id, kind)}, 201)


async def list_credentials(request: Request) -> Response:
    """GET /projects/v1/{project_id}/credentials[?include_revoked=true]: `{credentials: [record]}`, never a secret."""
    with_revoked = request.query_params.get("include_revoked", "").lower() in ("true", "1")
    async with gateway_of(request).connection() as conn:
        project = await auth.project_by_id(conn, request.path_params["project_id"])
        records = await _records(conn, project.project_id, with_revoked=with_revoked)
    return reply({"credentials": records})


async def credential_status(request: Request) -> Response:
    """GET /projects/v1/{project_id}/credential-status: whether the project still lives on its two original keys alone.

    A local gateway never retires those, so `retirement` has nothing it waits for and no deadline.
    """
    async with gateway_of(request).connection() as conn:
        project = await auth.project_by_id(conn, request.path_params["project_id"])
        records = await _records(conn, project.project_id, with_revoked=False)
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
    async with gateway_of(request).connection() as conn:
        project = await auth.project_by_id(conn, request.path_params["project_id"])
        async with conn.transaction():
            row = await _locked(conn, project.project_id, request.path_params["credential_id"])
            credential_id, kind, name, expires, live = row
            if not live:
                again = ("credentials", "issue", "--kind", kind, "--name", advice.Blank("name"))
                raise GatewayError(
                    409,
                    "credential_not_live",
                    f"The credential {name} is revoked or expired and cannot be rotated. Issue a new one:"
                    f" `{advice.command(*again, '--project', project.project_id)}`.",
                    code="CREDENTIAL_NOT_LIVE",
                )
            await _mark_revoked(conn, credential_id, "rotated")
            record, secret = await _insert(
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
        raise GatewayError(400, "invalid_request", "reason must be a string.")
    async with gateway_of(request).connection() as conn:
        project = await auth.project_by_id(conn, request.path_params["project_id"])
        async with conn.transaction():
            credential_id = (await _locked(conn, project.project_id, request.path_params["credential_id"]))[0]
            await _mark_revoked(conn, credential_id, reason)
            record = await _record(conn, credential_id)
    return reply({**record, "revoked": True})


async def mint_token(request: Request) -> Response:
    """POST /projects/v1/{project_id}/tokens `{kind?}` (default service): a key with `secret` and `expires_in` seconds."""
    body = await read_object(request)
    kind = _kind({"kind": body.get("kind", "service")})
    async with gateway_of(request).connection() as conn:
        project = await auth.project_by_id(conn, request.path_params["project_id"])
        async with conn.transaction():
            await conn.execute(
                "DELETE FROM internal.core_credentials WHERE short_lived AND project_id = %s AND expires_at <= now()",
                (project.project_id,),
            )
            expires = datetime.now(UTC) + timedelta(seconds=TOKEN_SECONDS)
            name = f"token-{secrets.token_hex(6)}"
            record, secret = await _insert(conn, project.project_id, kind, name, expires_at=expires, short_lived=True)
    return reply({**record, "secret": secret, "expires_in": TOKEN_SECONDS}, 201)


def _digest(secret: str) -> str:
    # Plain SHA-256 is enough: the secret is 192 random bits, there is nothing to guess.
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _kind(body: dict[str, Any]) -> Kind:
    match body.get("kind"):
        case "anon":
            return "anon"
        case "service":
            return "service"
    raise GatewayError(400, "invalid_request", "kind must be anon or service.", field="kind")


def _name(body: dict[str, Any]) -> str:
    name = body.get("name")
    clean = name.strip() if isinstance(name, str) else ""
    if not clean or len(clean) > MAX_NAME or not clean.isprintable():
        message = f"name must be 1 to {MAX_NAME} printable characters."
        raise GatewayError(400, "invalid_request", message, field="name")
    return clean


def _expiry(body: dict[str, Any]) -> datetime | None:
    value = body.get("expires_at")
    if value is None:
        return None
    now = datetime.now(UTC)
    example = iso(now + timedelta(days=90))
    try:
        moment = datetime.fromisoformat(value)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        in_range = now < moment <= now + MAX_LIFETIME
    except (TypeError, ValueError, OverflowError):
        in_range = False
    if not in_range:
        raise GatewayError(
            400,
            "invalid_request",
            f"expires_at must be an ISO-8601 time in the future and within one year, e.g. {example}.",
            field="expires_at",
        )
    return moment


async def _insert(
    conn: Connection,
    project_id: str,
    kind: Kind,
    name: str,
    *,
    expires_at: datetime | None,
    short_lived: bool = False,
    replacement_of: str | None = None,
) -> tuple[dict[str, Any], str]:
    secret = f"r402_{kind}_{secrets.token_hex(24)}"
    credential_id = f"cred_{secrets.token_hex(12)}"
    try:
        await conn.execute(
            "INSERT INTO internal.core_credentials"
            " (credential_id, project_id, kind, name, secret_sha256, short_lived, expires_at, replacement_of)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            (credential_id, project_id, kind, name, _digest(secret), short_lived, expires_at, replacement_of),
        )
    except psycopg.errors.UniqueViolation as exc:
        raise GatewayError(
            409,
            "credential_name_taken",
            f"A live credential of {project_id} is already named {name}. Choose another name, or rotate that one;"
            f" `{advice.command('credentials', 'list', '--project', project_id)}` shows its id.",
            code="CREDENTIAL_NAME_TAKEN",
            field="name",
        ) from exc
    return await _record(conn, credential_id), secret


async def _mark_revoked(conn: Connection, credential_id: str, reason: str | None) -> None:
    await conn.execute(
        "UPDATE internal.core_credentials SET revoked_at = now(), revoked_reason = %s"
        " WHERE credential_id = %s AND revoked_at IS NULL",
        (reason, credential_id),
    )


async def _locked(
    conn: Connection, project_id: str, credential_id: str
) -> tuple[str, Kind, str, datetime | None, bool]:
    """Id, kind, name, expiry and liveness; the row stays locked so that two rotations cannot both win."""
    query = (
        f"SELECT credential_id, kind, name, expires_at, {_LIVE} FROM internal.core_credentials"
        " WHERE project_id = %s AND credential_id = %s FOR UPDATE"
    )
    row = None
    if "\0" not in credential_id:
        row = await (await conn.execute(query, (project_id, credential_id))).fetchone()
    if row is None:
        raise GatewayError(
            404,
            "credential_not_found",
            f"{project_id} has no credential {credential_id}."
            f" `{advice.command('credentials', 'list', '--project', project_id, '--include-revoked')}` shows their ids.",
            code="CREDENTIAL_NOT_FOUND",
        )
    return row[0], row[1], row[2], row[3], row[4]


async def _record(conn: Connection, credential_id: str) -> dict[str, Any]:
    query = f"SELECT {_COLUMNS} FROM internal.core_credentials WHERE credential_id = %s"
    row = await (await conn.execute(query, (credential_id,))).fetchone()
    assert row is not None
    return _as_record(row)


async def _records(conn: Connection, project_id: str, *, with_revoked: bool) -> list[dict[str, Any]]:
    query = f"SELECT {_COLUMNS} FROM internal.core_credentials WHERE project_id = %s AND NOT short_lived"
    query += "" if with_revoked else " AND revoked_at IS NULL"
    rows = await (await conn.execute(query + " ORDER BY created_at, credential_id", (project_id,))).fetchall()
    return [_as_record(row) for row in rows]


def _as_record(row: Sequence[Any]) -> dict[str, Any]:
    names = [name.strip() for name in _COLUMNS.split(",")]
    return {name: iso(value) if isinstance(value, datetime) else value for name, value in zip(names, row, strict=True)}


def _store_it(project_id: str, kind: Kind) -> list[dict[str, str]]:
    if kind == "anon":
        return []
    command = advice.command("credentials", "project-keys", "import", "--project", project_id, "--service-key-stdin")
    return [advice.entry("run_command", command)]


ROUTES = [
    Route("/projects/v1/{project_id}/credentials", issue_credential, methods=["POST"]),
    Route("/projects/v1/{project_id}/credentials", list_credentials, methods=["GET"]),
    Route("/projects/v1/{project_id}/credentials/{credential_id}/rotate", rotate_credential, methods=["POST"]),
    Route("/projects/v1/{project_id}/credentials/{credential_id}", revoke_credential, methods=["DELETE"]),
    Route("/projects/v1/{project_id}/credential-status", credential_status, methods=["GET"]),
    Route("/projects/v1/{project_id}/tokens", mint_token, methods=["POST"]),
]
