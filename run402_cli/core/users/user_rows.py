"""The table of users: one row for each user of a project, found by e-mail address in lower case; an anonymous one has none."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError

# The columns after created_at came later than the table; a data directory may have it without them.
DDL = """
CREATE TABLE IF NOT EXISTS internal.core_auth_users (
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  user_id text NOT NULL,
  email text NOT NULL,
  role text NOT NULL DEFAULT 'authenticated',
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, user_id)
);
CREATE UNIQUE INDEX IF NOT EXISTS core_auth_users_email ON internal.core_auth_users (project_id, lower(email));
ALTER TABLE internal.core_auth_users
  ADD COLUMN IF NOT EXISTS email_verified_at timestamptz,
  ADD COLUMN IF NOT EXISTS invited_at timestamptz,
  ADD COLUMN IF NOT EXISTS vouched_at timestamptz,
  ADD COLUMN IF NOT EXISTS password_hash text,
  ADD COLUMN IF NOT EXISTS password_set_at timestamptz,
  ADD COLUMN IF NOT EXISTS last_sign_in_at timestamptz,
  ADD COLUMN IF NOT EXISTS data jsonb NOT NULL DEFAULT '{}',
  ALTER COLUMN email DROP NOT NULL;
DO $body$
BEGIN
  IF NOT pg_has_role('project_admin', 'MEMBER') THEN
    EXECUTE format('GRANT project_admin TO %I', current_user);
  END IF;
EXCEPTION WHEN insufficient_privilege THEN
  NULL;  -- the role came from somebody else; only requests of project admins need it
END
$body$;
"""
USER, ADMIN = "authenticated", "project_admin"
COLUMNS = (
    "project_id, user_id, email, role, created_at, email_verified_at, invited_at, vouched_at, password_hash,"
    " password_set_at, last_sign_in_at, data"
)


@dataclass(frozen=True, slots=True)
class User:
    project_id: str
    user_id: str
    email: str | None
    role: str
    created_at: datetime
    email_verified_at: datetime | None
    invited_at: datetime | None
    vouched_at: datetime | None
    password_hash: str | None
    password_set_at: datetime | None
    last_sign_in_at: datetime | None
    data: dict[str, Any]

    @property
    def is_known(self) -> bool:
        """Was the address proven, or did the owner vouch for it? Else a stranger may have made the account."""
        return self.email_verified_at is not None or self.vouched_at is not None

    @property
    def acting_role(self) -> str:
        """The role that counts: nobody who may be a stranger is an admin."""
        return self.role if self.is_known else USER


async def by_email(conn: Connection, project_id: str, email: str) -> User | None:
    return await _one(conn, "lower(email) = lower(%s)", (project_id, email))


async def by_id(conn: Connection, project_id: str, user_id: str) -> User | None:
    return await _one(conn, "user_id = %s", (project_id, user_id))


async def newest(conn: Connection, project_id: str, *, limit: int, offset: int) -> list[User]:
    """Users of a project, the latest sign-up first."""
    query = (
        f"SELECT {COLUMNS} FROM internal.core_auth_users WHERE project_id = %s"
        " ORDER BY created_at DESC, user_id LIMIT %s OFFSET %s"
    )
    async with conn.cursor(row_factory=class_row(User)) as cursor:
        return await (await cursor.execute(query.encode(), (project_id, limit, offset))).fetchall()


async def _one(conn: Connection, condition: str, values: tuple[str, str]) -> User | None:
    query = f"SELECT {COLUMNS} FROM internal.core_auth_users WHERE project_id = %s AND {condition}"
    async with conn.cursor(row_factory=class_row(User)) as cursor:
        return await (await cursor.execute(query.encode(), values)).fetchone()


async def locked(conn: Connection, user: User) -> User:
    """The user as it is now, which nobody else changes until the end of the transaction."""
    found = await _one(conn, "user_id = %s FOR UPDATE", (user.project_id, user.user_id))
    assert found is not None
    return found


async def add(conn: Connection, project_id: str, email: str | None, *, role: str = USER) -> User:
    """A new user. 409 user_exists when the address is taken."""
    query = (
        "INSERT INTO internal.core_auth_users (project_id, user_id, email, role) VALUES (%s, %s, %s, %s)"
        f" RETURNING {COLUMNS}"
    )
    try:
        async with conn.cursor(row_factory=class_row(User)) as cursor:
            made = await (await cursor.execute(query.encode(), (project_id, str(uuid.uuid4()), email, role))).fetchone()
    except psycopg.errors.UniqueViolation as exc:
        raise GatewayError(
            409,
            "user_exists",
            f"{email} has an account already. Sign in: POST /auth/v1/token, or POST /auth/v1/magic-link for a link.",
        ) from exc
    assert made is not None
    return made


async def change(conn: Connection, user: User, **values: Any) -> User:
    """The user with these columns changed."""
    names = ", ".join(f"{name} = %s" for name in values)
    query = f"UPDATE internal.core_auth_users SET {names} WHERE project_id = %s AND user_id = %s RETURNING {COLUMNS}"
    given = [Jsonb(value) if isinstance(value, dict) else value for value in values.values()]
    async with conn.cursor(row_factory=class_row(User)) as cursor:
        changed = await (await cursor.execute(query.encode(), [*given, user.project_id, user.user_id])).fetchone()
    assert changed is not None
    return changed


async def copy(conn: Connection, project_id: str, branch_id: str) -> None:
    """The users of a project become those of its branch as well."""
    columns = COLUMNS.removeprefix("project_id, ")
    await conn.execute(
        f"INSERT INTO internal.core_auth_users (project_id, {columns}) SELECT %s, {columns}"
        " FROM internal.core_auth_users WHERE project_id = %s".encode(),
        (branch_id, project_id),
    )
