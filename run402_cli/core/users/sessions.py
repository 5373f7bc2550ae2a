"""Sessions: an access token for an hour, and a refresh token that is good for one exchange.

Every refresh gives a new refresh token and uses up the one sent. A token that comes a second time was copied by somebody, so
its whole session ends. See docs/local-gateway-users.md, "Sessions".
"""

from __future__ import annotations

import hashlib
import secrets
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from run402_cli.core.callers.auth import sign_token
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.settings import Settings
from run402_cli.core.users.accounts import User, by_id, change

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

ACCESS_SECONDS = 3600
LIFETIME = timedelta(days=30)
ISSUER = "run402-core"


@dataclass(frozen=True, slots=True)
class Session:
    """A live session: how and when its user signed in."""

    session_id: str
    user: User
    method: str
    signed_in_at: datetime


async def start(conn: Connection, settings: Settings, user: User, method: str) -> dict[str, Any]:
    """Sign a user in: `{access_token, refresh_token, token_type, expires_in, user}`; seconds. Inside a transaction."""
    now = datetime.now(UTC)
    user = await change(conn, user, last_sign_in_at=now)
    # Nobody else looks at them again; a session of a user is the right moment to tidy up that user's.
    await conn.execute(
        "DELETE FROM internal.core_auth_sessions WHERE project_id = %s AND user_id = %s AND expires_at < now()",
        (user.project_id, user.user_id),
    )
    session = Session(str(uuid.uuid4()), user, method, now)
    await conn.execute(
        "INSERT INTO internal.core_auth_sessions (session_id, project_id, user_id, method, signed_in_at, expires_at)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        (session.session_id, user.project_id, user.user_id, method, now, now + LIFETIME),
    )
    return await _tokens(conn, settings, session)


async def _tokens(conn: Connection, settings: Settings, session: Session) -> dict[str, Any]:
    refresh = f"r402_refresh_{secrets.token_urlsafe(32)}"
    await conn.execute(
        "INSERT INTO internal.core_auth_refresh_tokens (token_sha256, session_id) VALUES (%s, %s)",
        (digest(refresh), session.session_id),
    )
    return {
        "access_token": _access_token(settings, session),
        "refresh_token": refresh,
        "token_type": "bearer",
        "expires_in": ACCESS_SECONDS,
        "user": session.user.view(),
    }


def _access_token(settings: Settings, session: Session) -> str:
    user, now = session.user, int(time.time())
    claims = {
        "iss": ISSUER,
        "sub": user.user_id,
        "role": user.role,
        "project_id": user.project_id,
        "email": user.email,
        "email_verified": user.email_verified_at is not None,
        "session_id": session.session_id,
        "amr": [session.method],
        "auth_time": int(session.signed_in_at.timestamp()),
        "iat": now,
        "exp": now + ACCESS_SECONDS,
    }
    return sign_token(settings, claims)


async def refresh(conn: Connection, settings: Settings, project_id: str, token: str) -> dict[str, Any]:
    """New tokens for a refresh token. 401 invalid_refresh_token, refresh_token_reused (which ends the session)."""
    reused = False
    async with conn.transaction():
        cursor = await conn.execute(
            "SELECT s.session_id, s.user_id, s.method, s.signed_in_at, t.used_at"
            " FROM internal.core_auth_refresh_tokens t JOIN internal.core_auth_sessions s USING (session_id)"
            " WHERE t.token_sha256 = %s AND s.project_id = %s AND s.revoked_at IS NULL AND s.expires_at > now()"
            " FOR UPDATE",
            (digest(token), project_id),
        )
        row = await cursor.fetchone()
        user = await by_id(conn, project_id, row[1]) if row else None
        if row is None or user is None:
            raise _invalid("This refresh token is unknown, or its session has ended.")
        if row[4] is not None:
            reused = True
            await end(conn, project_id, row[1], "refresh_token_reused", session_id=row[0])
        else:
            await conn.execute(
                "UPDATE internal.core_auth_refresh_tokens SET used_at = now() WHERE token_sha256 = %s",
                (digest(token),),
            )
            await conn.execute(
                "UPDATE internal.core_auth_sessions SET expires_at = %s WHERE session_id = %s",
                (datetime.now(UTC) + LIFETIME, row[0]),
            )
            return await _tokens(conn, settings, Session(row[0], user, row[2], row[3]))
    assert reused
    raise _invalid(
        "This refresh token was used before, so it is in other hands as well; the session was ended.",
        error="refresh_token_reused",
    )


def _invalid(message: str, error: str = "invalid_refresh_token") -> GatewayError:
    return GatewayError(401, error, f"{message} Sign in again.", code=f"R402_AUTH_{error.upper()}")


async def live(conn: Connection, project_id: str, session_id: str) -> Session | None:
    """The session with its user as they are now, or None when it has ended."""
    cursor = await conn.execute(
        "SELECT user_id, method, signed_in_at FROM internal.core_auth_sessions"
        " WHERE session_id = %s AND project_id = %s AND revoked_at IS NULL AND expires_at > now()",
        (session_id, project_id),
    )
    row = await cursor.fetchone()
    user = await by_id(conn, project_id, row[0]) if row else None
    return Session(session_id, user, row[1], row[2]) if row and user else None


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


def digest(token: str) -> str:
    """What is kept of a token: enough to recognize it, useless to present."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
