"""The table of issued credentials: found by their secret, of which only a hash is kept. See docs/credentials.md."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

import psycopg

from run402_cli import advice
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.web.instants import iso

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


async def seconds_left(conn: Connection, secret: str) -> list[float]:
    """Until an issued credential expires; empty for one that does not, and for other keys."""
    query = (
        "SELECT extract(epoch FROM expires_at - now())::float8 FROM internal.core_credentials"
        " WHERE secret_sha256 = %s AND expires_at IS NOT NULL"
    )
    return [row[0] for row in await (await conn.execute(query, (_digest(secret),))).fetchall()]


def _digest(secret: str) -> str:
    # Plain SHA-256 is enough: the secret is 192 random bits, there is nothing to guess.
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


async def issue(
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
            field="name",
        ) from exc
    return await one(conn, credential_id), secret


async def free_name(conn: Connection, project_id: str, name: str) -> None:
    """An expired credential no longer holds its name."""
    await conn.execute(
        "UPDATE internal.core_credentials SET revoked_at = expires_at, revoked_reason = 'expired'"
        " WHERE project_id = %s AND name = %s AND revoked_at IS NULL AND expires_at <= now()",
        (project_id, name),
    )


async def forget_expired_tokens(conn: Connection, project_id: str) -> None:
    await conn.execute(
        "DELETE FROM internal.core_credentials WHERE short_lived AND project_id = %s AND expires_at <= now()",
        (project_id,),
    )


async def mark_revoked(conn: Connection, credential_id: str, reason: str | None) -> None:
    await conn.execute(
        "UPDATE internal.core_credentials SET revoked_at = now(), revoked_reason = %s"
        " WHERE credential_id = %s AND revoked_at IS NULL",
        (reason, credential_id),
    )


async def locked(conn: Connection, project_id: str, credential_id: str) -> tuple[str, Kind, str, datetime | None, bool]:
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
        )
    return row[0], row[1], row[2], row[3], row[4]


async def one(conn: Connection, credential_id: str) -> dict[str, Any]:
    query = f"SELECT {_COLUMNS} FROM internal.core_credentials WHERE credential_id = %s"
    row = await (await conn.execute(query, (credential_id,))).fetchone()
    assert row is not None
    return _as_record(row)


async def of_project(conn: Connection, project_id: str, *, with_revoked: bool) -> list[dict[str, Any]]:
    query = f"SELECT {_COLUMNS} FROM internal.core_credentials WHERE project_id = %s AND NOT short_lived"
    query += "" if with_revoked else " AND revoked_at IS NULL"
    rows = await (await conn.execute(query + " ORDER BY created_at, credential_id", (project_id,))).fetchall()
    return [_as_record(row) for row in rows]


def _as_record(row: Sequence[Any]) -> dict[str, Any]:
    names = [name.strip() for name in _COLUMNS.split(",")]
    return {name: iso(value) if isinstance(value, datetime) else value for name, value in zip(names, row, strict=True)}
