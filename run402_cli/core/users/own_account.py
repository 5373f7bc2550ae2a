"""What signed-in users change about themselves: data and password. See docs/local-gateway-users.md."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import gateway_of
from run402_cli.core.users import accounts, passwords, session_rows, setting_rows, user_rows
from run402_cli.core.users.callers import USER, guesser, session_ended
from run402_cli.core.users.session_rows import Session
from run402_cli.core.users.user_rows import User
from run402_cli.core.web.http import read_object
from run402_cli.core.web.routing import Route, admitted

# A password may be reset without the old one this long after a sign-in by mail.
RESET_WINDOW = timedelta(minutes=15)
# For PUT /auth/v1/user, which has no field for the old password, a sign-in with it counts this long.
FRESH = timedelta(minutes=5)
MAIL_METHODS = ("magic_link", "email_code")


async def read_user(request: Request) -> Response:
    """GET /auth/v1/user (access token as bearer): the user as it is now."""
    return accounts.private(accounts.view(admitted(request, Session).user))


async def change_user(request: Request) -> Response:
    """PATCH or PUT /auth/v1/user (access token as bearer) `{data?, password?, current_password?}`: the user.

    `data` is the application's own object, at most 16 KiB: PATCH replaces it, PUT merges the keys given, where null takes
    one out. `password` sets a password under the rules of set_password; with PUT, a sign-in with the old one within the
    last 5 minutes counts as `current_password`. Other keys are ignored; `email` and `phone` are 400 invalid_request.
    """
    session = admitted(request, Session)
    body = await read_object(request)
    data, password = body.get("data"), body.get("password")
    if body.get("email") is not None or body.get("phone") is not None or (data is None and password is None):
        raise GatewayError(
            400,
            "invalid_request",
            "A user may change `data` and `password` here; an address cannot be changed.",
            code=None,
            field="data",
        )
    merged = request.method == "PUT"
    if data is not None:
        data = accounts.checked_data(data)
    async with gateway_of(request).connection() as conn:
        values: dict[str, Any] = {}
        if password is not None:
            new, current = passwords.checked(password), body.get("current_password")
            await _password_mode(conn, request, session, current, fresh_counts=merged)
            values = {"password_hash": await passwords.hashed(new), "password_set_at": datetime.now(UTC)}
        async with conn.transaction():
            if data is not None:
                values["data"] = await _merged(conn, session.user, data) if merged else data
            user = await _changed(conn, session, values)
    return accounts.private(accounts.view(user))


async def _merged(conn: Connection, user: User, data: dict[str, Any]) -> dict[str, Any]:
    """What is there with the keys of `data`; one that is null goes away. Inside a transaction."""
    before = await user_rows.locked(conn, user)
    both = {**before.data, **data}
    return accounts.checked_data({key: value for key, value in both.items() if data.get(key, value) is not None})


async def _changed(conn: Connection, session: Session, values: dict[str, Any]) -> User:
    """The user with these values; a new password ends the other sessions. Inside a transaction."""
    user = await user_rows.change(conn, session.user, **values)
    if "password_hash" in values:
        # The session may have ended since it was asked, and the row waited for whoever ended it.
        if await session_rows.live(conn, user.project_id, session.session_id) is None:
            raise session_ended()
        await session_rows.end(conn, user.project_id, user.user_id, "password_changed", but=session.session_id)
    return user


async def set_password(request: Request) -> Response:
    """POST or PUT /auth/v1/user/password (access token as bearer) `{new_password, current_password?}`: `{password_set, mode}`.

    With `current_password` a change; without it a reset within 15 minutes after a sign-in by mail, or a first password where
    allow_password_set is on. Ends the user's other sessions. 403 invalid_credentials, current_password_required,
    password_set_disabled; 400 weak_password.
    """
    session = admitted(request, Session)
    body = await read_object(request)
    new = passwords.checked(body.get("new_password"), "new_password")
    async with gateway_of(request).connection() as conn:
        mode = await _password_mode(conn, request, session, body.get("current_password"))
        values = {"password_hash": await passwords.hashed(new), "password_set_at": datetime.now(UTC)}
        async with conn.transaction():
            user = await _changed(conn, session, values)
    return accounts.private({"project_id": user.project_id, "password_set": True, "mode": mode})


async def _password_mode(
    conn: Connection, request: Request, session: Session, current: Any, *, fresh_counts: bool = False
) -> str:
    user, age = session.user, datetime.now(UTC) - session.signed_in_at
    if user.email is None:
        raise GatewayError(
            400, "invalid_request", "An anonymous user has no address to sign in with, so no password.", code=None
        )
    if current is not None:
        attempts, who = gateway_of(request).attempts, guesser(request, user.project_id)
        attempts.begin(who, user.email)
        if not await passwords.matches(current, user.password_hash):
            raise passwords.wrong("`current_password` is not the user's password.", 403)
        attempts.right(who, user.email)
        return "change"
    by_mail = session.method in MAIL_METHODS and age <= RESET_WINDOW
    if user.password_set_at is not None:
        if by_mail:
            return "reset"
        if fresh_counts and session.method == "password" and age <= FRESH:
            return "change"
        raise GatewayError(
            403,
            "current_password_required",
            "Send `current_password` too; or sign in with a mailed link and set the new password within 15 minutes.",
            code="R402_AUTH_CURRENT_PASSWORD_REQUIRED",
            field="current_password",
        )
    if not (await setting_rows.of_project(conn, user.project_id)).allow_password_set:
        raise GatewayError(
            403,
            "password_set_disabled",
            "This project lets nobody set a first password. Its owner can: run402 auth settings --allow-password-set true",
            code="R402_AUTH_PASSWORD_SET_DISABLED",
        )
    return "set"


ROUTES = [
    Route("/auth/v1/user", read_user, methods=["GET"], who=USER),
    Route("/auth/v1/user", change_user, methods=["PATCH", "PUT"], who=USER),
    Route("/auth/v1/user/password", set_password, methods=["POST", "PUT"], who=USER),
]
