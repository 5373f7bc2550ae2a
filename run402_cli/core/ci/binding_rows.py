"""The table of CI bindings: which workflow may deploy which project."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from psycopg.types.json import Jsonb

from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.release.ci_delegation import Delegation

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
_COLUMNS = (
    "binding_id, project_id, subject_match, allowed_events, route_scopes, asset_key_scopes, github_repository_id,"
    " created_by, nonce, created_at, expires_at, revoked_at, last_used_at, use_count"
)


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


async def of_project(conn: Connection, project_id: str) -> list[Binding]:
    """All bindings of a project, newest first, revoked ones included."""
    cur = await conn.execute(
        f"SELECT {_COLUMNS} FROM internal.core_ci_bindings WHERE project_id = %s ORDER BY created_at DESC, binding_id",
        (project_id,),
    )
    return [Binding(*row) for row in await cur.fetchall()]


async def fetch(conn: Connection, binding_id: str) -> Binding:
    """The binding, or 404 binding_not_found."""
    cur = await conn.execute(
        f"SELECT {_COLUMNS} FROM internal.core_ci_bindings WHERE binding_id = %s", (binding_id.replace("\0", ""),)
    )
    row = await cur.fetchone()
    if row is None:
        raise GatewayError(
            404,
            "binding_not_found",
            f"There is no CI binding {binding_id}. `run402 ci list` prints the ones of a project.",
        )
    return Binding(*row)


async def insert(conn: Connection, wanted: Delegation, expires_at: datetime | None, signer: str) -> Binding | None:
    """A binding that takes the place of live ones of the same subject and repository; None for a nonce that made one.

    Inside a transaction that is rolled back for None.
    """
    await conn.execute(
        "UPDATE internal.core_ci_bindings SET revoked_at = now() WHERE project_id = %s AND subject_match = %s"
        " AND github_repository_id IS NOT DISTINCT FROM %s AND revoked_at IS NULL AND nonce <> %s",
        (wanted.project_id, wanted.subject_match, wanted.github_repository_id, wanted.nonce),
    )
    cur = await conn.execute(
        "INSERT INTO internal.core_ci_bindings (binding_id, project_id, subject_match, allowed_events, route_scopes,"
        f" github_repository_id, created_by, nonce, expires_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
        f" ON CONFLICT (nonce) DO NOTHING RETURNING {_COLUMNS}",
        (
            *(f"cib_{secrets.token_hex(12)}", wanted.project_id, wanted.subject_match),
            *(Jsonb(wanted.allowed_events), Jsonb(wanted.route_scopes), wanted.github_repository_id),
            *(signer, wanted.nonce, expires_at),
        ),
    )
    row = await cur.fetchone()
    return None if row is None else Binding(*row)


async def revoke(conn: Connection, binding_id: str) -> None:
    await conn.execute(
        "UPDATE internal.core_ci_bindings SET revoked_at = now() WHERE binding_id = %s AND revoked_at IS NULL",
        (binding_id,),
    )


async def set_asset_scopes(conn: Connection, binding_id: str, scopes: list[str]) -> None:
    await conn.execute(
        "UPDATE internal.core_ci_bindings SET asset_key_scopes = %s WHERE binding_id = %s", (Jsonb(scopes), binding_id)
    )


async def note_use(conn: Connection, binding_id: str) -> None:
    await conn.execute(
        "UPDATE internal.core_ci_bindings SET last_used_at = now(), use_count = use_count + 1 WHERE binding_id = %s",
        (binding_id,),
    )
