"""Whose an account is. Before its address is proven, or the owner of the project has vouched for it, whoever made it may be a
stranger who only knew the address. See docs/local-gateway-users.md, "Whose an account is".
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from run402_cli import advice
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.users import session_rows, setting_rows, user_rows
from run402_cli.core.users.user_rows import User


async def prove(conn: Connection, user: User) -> User:
    """Somebody has read a mail to the address. Inside a transaction."""
    if user.email_verified_at is not None:
        return user
    return await _settle(conn, user, "email_verified", email_verified_at=datetime.now(UTC))


async def vouch(conn: Connection, user: User, **values: Any) -> User:
    """The owner knows whose the address is, and changes `values` too. Inside a transaction."""
    return await _settle(conn, user, "vouched", vouched_at=user.vouched_at or datetime.now(UTC), **values)


async def _settle(conn: Connection, user: User, reason: str, **values: Any) -> User:
    if user.is_known:
        return await user_rows.change(conn, user, **values)
    # The row first: who signs in or sets a password at this moment waits for it, and finds neither password nor session.
    user = await user_rows.change(conn, user, password_hash=None, **values)
    await session_rows.end(conn, user.project_id, user.user_id, reason)
    return user


def told(before: User | None, after: User) -> dict[str, Any]:
    """What the owner is told when vouching took a password away: `{password_removed, note}`, else nothing."""
    if before is None or before.password_hash is None or after.password_hash is not None or after.email is None:
        return {}
    command = advice.command("auth", "magic-link", "--email", after.email, "--redirect", advice.Blank("url"))
    note = (
        "Somebody had set a password for this account before the address was proven, which may have been anybody: it was "
        f"removed, and its sessions were ended. The user signs in with a mailed link ({command}) and may set a password then."
    )
    return {"password_removed": True, "note": note}


async def check_proven(conn: Connection, user: User) -> None:
    """403 domain_not_allowed: where only addresses of some domains may sign up, an address is worth nothing without proof."""
    domains = (await setting_rows.of_project(conn, user.project_id)).allowed_email_domains
    if domains and not user.is_known:
        raise GatewayError(
            403,
            "domain_not_allowed",
            f"This project is for addresses of {', '.join(domains)}, and nobody has proven yet to read {user.email or 'one'}. "
            "Ask for a link: POST /auth/v1/magic-link; then set a new password within 15 minutes.",
            code="R402_AUTH_DOMAIN_NOT_ALLOWED",
        )
