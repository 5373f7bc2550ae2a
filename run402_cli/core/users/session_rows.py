"""The tables of sessions and of their refresh tokens, of which only a hash is kept."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from run402_cli.core.db import Connection
from run402_cli.core.users import user_rows
from run402_cli.core.users.user_rows import User

DDL = """
CREATE TABLE IF NOT EXISTS internal.core_auth_sessions (
  session_id text PRIMARY KEY,
  project_id text NOT NULL,
  user_id text NOT NULL,
  method text NOT NULL,
  signed_in_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  revoked_at timestamptz,
  revoked_reason text,
  FOREIGN KEY (project_id, user_id) REFERENCES internal.core_auth_users ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS core_auth_sessions_user ON internal.core_auth_sessions (project_id, user_id);
CREATE TABLE IF NOT EXISTS internal.core_auth_refresh_tokens (
  token_sha256 text PRIMARY KEY,
  session_id text NOT NULL REFERENCES internal.core_auth_sessions ON DELETE CASCADE,
  created_at timestamptz NOT NULL DEFAULT now(),
  used_at timestamptz
);
CREATE INDEX IF NOT EXISTS core_auth_refresh_tokens_session ON internal.core_auth_refresh_tokens (session_id);
"""
_OF_USER = ", ".join(f"u.{name.strip()}" for name in user_rows.COLUMNS.split(","))


@dataclass(frozen=True, slots=True)
class Session:
    """A live session: how and when its user signed in."""

    session_id: str
    user: User
    method: str
    signed_in_at: datetime


def digest(token: str) -> str:
    """What is kept of a token: enough to recognize it, useless to present."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


async def insert(conn: Connection, session: Session, expires_at: datetime) -> None:
    await conn.execute(
        "INSERT INTO internal.core_auth_sessions (session_id, project_id, user_id, method, signed_in_at, expires_at)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        (
            *(session.session_id, session.user.project_id, session.user.user_id),
            *(session.method, session.signed_in_at, expires_at),
        ),
    )


async def forget_expired(conn: Connection, user: User) -> None:
    """Nobody else looks at the sessions that are over."""
    await conn.execute(
        "DELETE FROM internal.core_auth_sessions WHERE project_id = %s AND user_id = %s AND expires_at < now()",
        (user.project_id, user.user_id),
    )


async def extend(conn: Connection, session_id: str, expires_at: datetime) -> None:
    await conn.execute(
        "UPDATE internal.core_auth_sessions SET expires_at = %s WHERE session_id = %s", (expires_at, session_id)
    )


async def live(conn: Connection, project_id: str, session_id: str) -> Session | None:
    """The session with its user as they are now, or None when it has ended."""
    query = (
        f"SELECT s.method, s.signed_in_at, {_OF_USER} FROM internal.core_auth_sessions s"
        " JOIN internal.core_auth_users u USING (project_id, user_id)"
        " WHERE s.session_id = %s AND s.project_id = %s AND s.revoked_at IS NULL AND s.expires_at > now()"
    )
    row = await (await conn.execute(query.encode(), (session_id, project_id))).fetchone()
    return None if row is None else Session(session_id, User(*row[2:]), row[0], row[1])


async def seconds_left(conn: Connection, session_id: str) -> list[float]:
    """Until a session expires; empty when there is none."""
    query = (
        "SELECT extract(epoch FROM expires_at - now())::float8 FROM internal.core_auth_sessions WHERE session_id = %s"
    )
    return [row[0] for row in await (await conn.execute(query, (session_id.replace("\0", ""),))).fetchall()]


async def end(
    conn: Connection,
    project_id: str,
    user_id: str,
    reason: str,
    *,
    session_id: str | None = None,
    but: str | None = None,
) -> int:
    """End one session of a user, or all (`but` one); how many."""
    cursor = await conn.execute(
        "UPDATE internal.core_auth_sessions SET revoked_at = now(), revoked_reason = %(reason)s"
        " WHERE project_id = %(project)s AND user_id = %(user)s AND revoked_at IS NULL"
        " AND (%(only)s::text IS NULL OR session_id = %(only)s) AND (%(but)s::text IS NULL OR session_id <> %(but)s)",
        {"reason": reason, "project": project_id, "user": user_id, "only": session_id, "but": but},
    )
    return cursor.rowcount


async def end_by_refresh_token(conn: Connection, project_id: str, token: str) -> int:
    """End the session that a refresh token belongs to; how many."""
    cursor = await conn.execute(
        "UPDATE internal.core_auth_sessions s SET revoked_at = now(), revoked_reason = 'signed_out'"
        " FROM internal.core_auth_refresh_tokens t WHERE t.token_sha256 = %s AND t.session_id = s.session_id"
        " AND s.project_id = %s AND s.revoked_at IS NULL",
        (digest(token), project_id),
    )
    return cursor.rowcount


async def add_refresh_token(conn: Connection, session_id: str, token: str) -> None:
    await conn.execute(
        "INSERT INTO internal.core_auth_refresh_tokens (token_sha256, session_id) VALUES (%s, %s)",
        (digest(token), session_id),
    )


async def of_refresh_token(conn: Connection, project_id: str, token: str) -> tuple[Session, bool] | None:
    """The live session that a refresh token belongs to, and whether the token was used already; both stay locked."""
    cursor = await conn.execute(
        "SELECT s.session_id, s.user_id, s.method, s.signed_in_at, t.used_at"
        " FROM internal.core_auth_refresh_tokens t JOIN internal.core_auth_sessions s USING (session_id)"
        " WHERE t.token_sha256 = %s AND s.project_id = %s AND s.revoked_at IS NULL AND s.expires_at > now()"
        " FOR UPDATE",
        (digest(token), project_id),
    )
    row = await cursor.fetchone()
    user = await user_rows.by_id(conn, project_id, row[1]) if row else None
    return (Session(row[0], user, row[2], row[3]), row[4] is not None) if row and user else None


async def use_refresh_token(conn: Connection, token: str) -> None:
    await conn.execute(
        "UPDATE internal.core_auth_refresh_tokens SET used_at = now() WHERE token_sha256 = %s", (digest(token),)
    )
