"""Sessions: an access token for an hour, and a refresh token that is good for one exchange.

Every refresh gives a new refresh token and uses up the one sent. A token that comes a second time was copied by somebody, so
its whole session ends. See docs/local-gateway-users.md, "Sessions".
"""

from __future__ import annotations

import secrets
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from run402_cli.core.callers.auth import sign_token
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.settings import Settings
from run402_cli.core.users import proofs, session_rows, user_rows
from run402_cli.core.users.accounts import view
from run402_cli.core.users.session_rows import Session
from run402_cli.core.users.user_rows import User

ACCESS_SECONDS = 3600
LIFETIME = timedelta(days=30)
ISSUER = "run402-core"


async def start(conn: Connection, settings: Settings, user: User, method: str) -> dict[str, Any]:
    """Sign a user in: `{access_token, refresh_token, token_type, expires_in, user}`; seconds. Inside a transaction.

    401 invalid_credentials when the password was changed or removed while it was looked at; 403 as check_proven.
    """
    now, password = datetime.now(UTC), user.password_hash
    user = await user_rows.change(conn, user, last_sign_in_at=now)
    if user.password_hash != password:
        raise _invalid("The password of this account was just changed or removed.", error="invalid_credentials")
    await proofs.check_proven(conn, user)
    # A session of a user is the right moment to tidy up that user's.
    await session_rows.forget_expired(conn, user)
    session = Session(str(uuid.uuid4()), user, method, now)
    await session_rows.insert(conn, session, now + LIFETIME)
    return await _tokens(conn, settings, session)


async def _tokens(conn: Connection, settings: Settings, session: Session) -> dict[str, Any]:
    refresh = f"r402_refresh_{secrets.token_urlsafe(32)}"
    await session_rows.add_refresh_token(conn, session.session_id, refresh)
    return {
        "access_token": _access_token(settings, session),
        "refresh_token": refresh,
        "token_type": "bearer",
        "expires_in": ACCESS_SECONDS,
        "user": view(session.user),
    }


def _access_token(settings: Settings, session: Session) -> str:
    user, now = session.user, int(time.time())
    claims = {
        "iss": ISSUER,
        "sub": user.user_id,
        "role": user.acting_role,
        "project_id": user.project_id,
        **({"is_anonymous": True} if user.email is None else {"email": user.email}),
        "email_verified": user.email_verified_at is not None,
        "session_id": session.session_id,
        "amr": [session.method],
        "auth_time": int(session.signed_in_at.timestamp()),
        "iat": now,
        "exp": now + ACCESS_SECONDS,
    }
    return sign_token(settings, claims)


async def refresh(conn: Connection, settings: Settings, project_id: str, token: str) -> dict[str, Any]:
    """New tokens for a refresh token. 401 invalid_refresh_token, refresh_token_reused (which ends the session).

    403 as check_proven.
    """
    async with conn.transaction():
        found = await session_rows.of_refresh_token(conn, project_id, token)
        if found is None:
            raise _invalid("This refresh token is unknown, or its session has ended.")
        session, reused = found
        if not reused:
            await proofs.check_proven(conn, session.user)
            await session_rows.use_refresh_token(conn, token)
            await session_rows.extend(conn, session.session_id, datetime.now(UTC) + LIFETIME)
            return await _tokens(conn, settings, session)
        await session_rows.end(
            conn, project_id, session.user.user_id, "refresh_token_reused", session_id=session.session_id
        )
    # Only now: the end of the session must be committed.
    raise _invalid(
        "This refresh token was used before, so it is in other hands as well; the session was ended.",
        error="refresh_token_reused",
    )


def _invalid(message: str, error: str = "invalid_refresh_token") -> GatewayError:
    return GatewayError(401, error, f"{message} Sign in again.", code=f"R402_AUTH_{error.upper()}")
