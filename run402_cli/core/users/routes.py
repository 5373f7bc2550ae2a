"""/auth/v1: sign up, sign in, sign out, and what a signed-in user may change. See docs/local-gateway-users.md."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.attempts import Guesser
from run402_cli.core.callers.policies import SERVICE_KEY
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import Gateway, gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.users import (
    accounts,
    links,
    passwords,
    proofs,
    session_rows,
    sessions,
    setting_rows,
    settings,
    user_rows,
)
from run402_cli.core.users.callers import (
    APP,
    APP_OR_USER,
    APP_OWNER,
    USER,
    app_of,
    is_owner,
    owner_of,
    session_ended,
    session_of,
)
from run402_cli.core.users.session_rows import Session
from run402_cli.core.web.http import read_object, reply
from run402_cli.core.web.routing import Route, admitted
from run402_cli.proxies import is_loopback_address

# A password may be reset without the old one this long after a sign-in by mail.
RESET_WINDOW = timedelta(minutes=15)
MAIL_METHODS = ("magic_link", "email_code")


async def sign_up(request: Request) -> Response:
    """POST /auth/v1/signup (anon key) `{email, password, data?}`: 201 the user. No tokens: sign in with POST /auth/v1/token.

    400 invalid_email, weak_password; 403 signup_not_allowed; 409 user_exists, which tells who has an account.
    """
    project = admitted(request, Project)
    body = await read_object(request)
    email, data = accounts.checked_email(body.get("email")), accounts.checked_data(body.get("data", {}))
    hashed = await passwords.hashed(passwords.checked(body.get("password")))
    async with gateway_of(request).connection() as conn:
        rules = await setting_rows.of_project(conn, project.project_id)
        by_owner = await is_owner(conn, request, project)
        if not by_owner and not rules.admits(email, None):
            raise links.signup_refused(rules, email)
        async with conn.transaction():
            user = await user_rows.add(conn, project.project_id, email)
            now = datetime.now(UTC)
            vouched_at = now if by_owner else None
            user = await user_rows.change(
                conn, user, password_hash=hashed, password_set_at=now, vouched_at=vouched_at, data=data
            )
    return reply(accounts.view(user), 201)


async def token(request: Request) -> Response:
    """POST /auth/v1/token?grant_type=password|refresh_token|magic_link|email_code (anon key): 200 a session.

    Bodies: `{email, password}` (the default), `{refresh_token}`, `{token}`, `{challenge_id, code}`. Session:
    `{access_token, refresh_token, token_type, expires_in (seconds), user, magic_link?}`. 400 unsupported_grant_type;
    401 invalid_credentials, invalid_refresh_token, refresh_token_reused, invalid_token, invalid_code; 429 rate_limited.
    """
    body = await read_object(request)
    grant = request.query_params.get("grant_type") or body.get("grant_type") or "password"
    exchange = _GRANTS.get(grant) if isinstance(grant, str) else None
    if exchange is None:
        raise GatewayError(
            400,
            "unsupported_grant_type",
            f"grant_type must be one of {', '.join(_GRANTS)}.",
            code="R402_AUTH_UNSUPPORTED_GRANT_TYPE",
            field="grant_type",
        )
    gateway = gateway_of(request)
    async with gateway.connection() as conn:
        answer = await exchange(conn, gateway, _guesser(request, admitted(request, Project).project_id), body)
    return _private(answer)


def _guesser(request: Request, project_id: str) -> Guesser:
    host = request.client.host if request.client else ""
    # Whoever is on this machine has all of its addresses.
    return Guesser(project_id, "" if is_loopback_address(host) else host)


async def _by_password(conn: Connection, gateway: Gateway, who: Guesser, body: dict[str, Any]) -> dict[str, Any]:
    email = accounts.checked_email(body.get("email"))
    gateway.attempts.begin(who, email)
    user = await user_rows.by_email(conn, who.project_id, email)
    if not await passwords.matches(body.get("password"), user.password_hash if user else None) or user is None:
        raise _wrong_password("The e-mail address or the password is wrong.", 401)
    gateway.attempts.right(who, email)
    async with conn.transaction():
        return await sessions.start(conn, gateway.settings, user, "password")


async def _by_refresh(conn: Connection, gateway: Gateway, who: Guesser, body: dict[str, Any]) -> dict[str, Any]:
    given = body.get("refresh_token")
    return await sessions.refresh(conn, gateway.settings, who.project_id, given if isinstance(given, str) else "")


async def _by_link(conn: Connection, gateway: Gateway, who: Guesser, body: dict[str, Any]) -> dict[str, Any]:
    proof = await links.use_token(conn, gateway.attempts, who, body.get("token"))
    return await _proven(conn, gateway, who, proof, "magic_link")


async def _by_code(conn: Connection, gateway: Gateway, who: Guesser, body: dict[str, Any]) -> dict[str, Any]:
    proof = await links.use_code(conn, gateway, who, body.get("challenge_id"), body.get("code"))
    return await _proven(conn, gateway, who, proof, "email_code")


async def _proven(conn: Connection, gateway: Gateway, who: Guesser, proof: links.Proof, method: str) -> dict[str, Any]:
    async with conn.transaction():
        user = await links.admit(conn, who.project_id, proof)
        session = await sessions.start(conn, gateway.settings, user, method)
    return {**session, "magic_link": proof.view()}


_GRANTS = {
    "password": _by_password,
    "refresh_token": _by_refresh,
    "magic_link": _by_link,
    "email_code": _by_code,
}


async def sign_out(request: Request) -> Response:
    """POST /auth/v1/logout (access token as bearer, or `{refresh_token}` with the anon key): `{signed_out, sessions}`.

    `?scope=global` ends all sessions of the user. Signing out twice is fine.
    """
    body = await read_object(request)
    given = body.get("refresh_token")
    async with gateway_of(request).connection() as conn:
        if isinstance(given, str):
            project = await app_of(conn, request)
            ended = await session_rows.end_by_refresh_token(conn, project.project_id, given)
        else:
            session = await session_of(conn, request)
            everywhere = request.query_params.get("scope") == "global"
            ended = await session_rows.end(
                conn,
                session.user.project_id,
                session.user.user_id,
                "signed_out",
                session_id=None if everywhere else session.session_id,
            )
    return reply({"signed_out": True, "sessions": ended})


async def read_user(request: Request) -> Response:
    """GET /auth/v1/user (access token as bearer): the user as it is now."""
    return _private(accounts.view(admitted(request, Session).user))


async def change_user(request: Request) -> Response:
    """PATCH or PUT /auth/v1/user (access token as bearer) `{data}`: the user.

    `data` is the application's own object, at most 16 KiB. 400 invalid_request.
    """
    body = await read_object(request)
    if set(body) != {"data"}:
        raise GatewayError(
            400,
            "invalid_request",
            "A user may change `data` here; a password has POST /auth/v1/user/password, and an address cannot be changed.",
            code=None,
            field="data",
        )
    data = accounts.checked_data(body.get("data", {}))
    async with gateway_of(request).connection() as conn:
        user = await user_rows.change(conn, admitted(request, Session).user, data=data)
    return _private(accounts.view(user))


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
        hashed = await passwords.hashed(new)
        async with conn.transaction():
            user = await user_rows.change(conn, session.user, password_hash=hashed, password_set_at=datetime.now(UTC))
            # The session may have ended since it was asked, and the row waited for whoever ended it.
            if await session_rows.live(conn, user.project_id, session.session_id) is None:
                raise session_ended()
            await session_rows.end(conn, user.project_id, user.user_id, "password_changed", but=session.session_id)
    return _private({"project_id": user.project_id, "password_set": True, "mode": mode})


async def _password_mode(conn: Connection, request: Request, session: Session, current: Any) -> str:
    user = session.user
    if current is not None:
        attempts, who = gateway_of(request).attempts, _guesser(request, user.project_id)
        attempts.begin(who, user.email)
        if not await passwords.matches(current, user.password_hash):
            raise _wrong_password("`current_password` is not the user's password.", 403)
        attempts.right(who, user.email)
        return "change"
    by_mail = session.method in MAIL_METHODS and datetime.now(UTC) - session.signed_in_at <= RESET_WINDOW
    if user.password_set_at is not None:
        if by_mail:
            return "reset"
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


def _wrong_password(message: str, status: int) -> GatewayError:
    return GatewayError(
        status,
        "invalid_credentials",
        f'{message} Try again, or ask for a link: POST /auth/v1/magic-link with intent "recovery".',
        code="R402_AUTH_INVALID_CREDENTIALS",
    )


async def magic_link(request: Request) -> Response:
    """POST /auth/v1/magic-link (anon key) `{email, redirect_url?, delivery, intent?, client_state?}`.

    200 `{message, challenge_id?}`. Accepted, not delivered: addresses that may not sign in get no mail. `intent: invite` needs
    the service key as bearer.
    400 invalid_email, invalid_request; 401 authentication_required; 429 rate_limited.
    """
    gateway = gateway_of(request)
    project = admitted(request, Project)
    body = await read_object(request)
    async with gateway.connection() as conn:
        trusted = await is_owner(conn, request, project)
        wish = links.wish_of(body, trusted=trusted)
        if wish.intent == "invite" and not trusted:
            await owner_of(conn, request)
        async with conn.transaction():
            prepared = await links.prepare(conn, gateway.settings, project, wish)
            removed = await _invited(conn, project, wish.email) if wish.intent == "invite" else {}
    # Written after the answer, for every address: the time of the answer does not tell which one has an account.
    await gateway.afterwards.put(prepared.post, keep=prepared.allowed)
    message = "If the address may sign in, a mail is in the local outbox: `run402 email outbox` shows it."
    challenge = {"challenge_id": prepared.challenge_id} if wish.delivery != "link" else {}
    return reply({"message": message, **challenge, **removed})


async def _invited(conn: Connection, project: Project, email: str) -> dict[str, Any]:
    """The owner invites whoever reads this address; what there is to tell about the account that is there."""
    found = await user_rows.by_email(conn, project.project_id, email)
    return {} if found is None else proofs.told(found, await proofs.vouch(conn, found))


async def add_user(request: Request) -> Response:
    """POST /auth/v1/admin/users (service key) `{email, is_admin?, send_invite?, redirect_url?, client_state?}`: the user.

    201 `{id, email, is_admin, email_verified_at, created, invite_sent}`, 200 when it was there. `is_admin` changes the role
    of one that is there; `password_removed` and `note` as for promote-user. 400 invalid_email, invalid_request;
    429 rate_limited.
    """
    project = admitted(request, Project)
    body = await read_object(request)
    is_admin, invite = body.get("is_admin"), body.get("send_invite", False)
    if not isinstance(is_admin, bool | None) or not isinstance(invite, bool):
        raise GatewayError(400, "invalid_request", "`is_admin` and `send_invite` must be true or false.", code=None)
    gateway = gateway_of(request)
    email = accounts.checked_email(body.get("email"))
    wish = links.wish_of({**body, "delivery": "link"}, trusted=True, intent="invite") if invite else None
    async with gateway.connection() as conn, conn.transaction():
        found = await user_rows.by_email(conn, project.project_id, email)
        user = found or await user_rows.add(conn, project.project_id, email)
        changes: dict[str, Any] = {} if is_admin is None else {"role": user_rows.ADMIN if is_admin else user_rows.USER}
        if wish is not None:
            changes["invited_at"] = datetime.now(UTC)
            await (await links.prepare(conn, gateway.settings, project, wish)).post(conn)
        # To take a role away says nothing about whose the address is.
        demoted = found is not None and is_admin is False and wish is None
        user = await (user_rows.change if demoted else proofs.vouch)(conn, user, **changes)
    answer = {**accounts.view(user), "created": found is None, "invite_sent": wish is not None}
    return reply({**answer, **proofs.told(found, user)}, 201 if found is None else 200)


async def promote_user(request: Request) -> Response:
    """POST /projects/v1/admin/{project_id}/promote-user `{email}` (service key): the user gets the role project_admin.

    `password_removed` and `note` where a password had been set before the address was proven.
    """
    return await _set_role(request, user_rows.ADMIN)


async def demote_user(request: Request) -> Response:
    """POST /projects/v1/admin/{project_id}/demote-user `{email}` (service key): the user is an ordinary user again."""
    return await _set_role(request, user_rows.USER)


async def _set_role(request: Request, role: str) -> Response:
    project = admitted(request, Project)
    email = (await read_object(request)).get("email")
    if not isinstance(email, str) or not email.strip() or "\0" in email:
        raise GatewayError(
            400, "invalid_request", "email is required: the user's e-mail address.", code=None, field="email"
        )
    async with gateway_of(request).connection() as conn, conn.transaction():
        found = await user_rows.by_email(conn, project.project_id, accounts.one_form(email))
        if found is None:
            raise _no_such_user(project, email.strip())
        change = proofs.vouch if role == user_rows.ADMIN else user_rows.change
        user = await change(conn, found, role=role)
    answer = {
        "status": "ok",
        "project_id": project.project_id,
        "user_id": user.user_id,
        "email": user.email,
        "role": role,
    }
    return reply({**answer, **proofs.told(found, user)})


def _no_such_user(project: Project, email: str) -> GatewayError:
    return GatewayError(
        404,
        "user_not_found",
        f"{project.project_id} has no user {email}. The person signs up to the app first; then repeat this command.",
        next_actions=[{"type": "sign_up_user", "email": email, "path": "/auth/v1/signup"}],
    )


def _private(body: dict[str, Any]) -> Response:
    return reply(body, 200, {"Cache-Control": "no-store"})


ROUTES = [
    Route("/auth/v1/signup", sign_up, methods=["POST"], who=APP),
    Route("/auth/v1/token", token, methods=["POST"], who=APP),
    Route("/auth/v1/logout", sign_out, methods=["POST"], who=APP_OR_USER),
    Route("/auth/v1/user", read_user, methods=["GET"], who=USER),
    Route("/auth/v1/user", change_user, methods=["PATCH", "PUT"], who=USER),
    Route("/auth/v1/user/password", set_password, methods=["POST", "PUT"], who=USER),
    Route("/auth/v1/magic-link", magic_link, methods=["POST"], who=APP),
    Route("/auth/v1/admin/users", add_user, methods=["POST"], who=APP_OWNER),
    *settings.ROUTES,
    Route("/projects/v1/admin/{project_id}/promote-user", promote_user, methods=["POST"], who=SERVICE_KEY),
    Route("/projects/v1/admin/{project_id}/demote-user", demote_user, methods=["POST"], who=SERVICE_KEY),
]
