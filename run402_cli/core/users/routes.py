"""/auth/v1: sign up, sign in, sign out, and what a signed-in user may change. See docs/local-gateway-users.md."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.attempts import Guesser
from run402_cli.core.callers.policies import SERVICE_KEY
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError, bad_field
from run402_cli.core.gateway import Gateway, gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.users import (
    accounts,
    links,
    mail_routes,
    own_account,
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
    app_of,
    guesser,
    is_owner,
    session_of,
)
from run402_cli.core.web.http import read_object, reply
from run402_cli.core.web.routing import Route, admitted


async def sign_up(request: Request) -> Response:
    """POST /auth/v1/signup (anon key) `{email, password, data?}`: 201 the user. No tokens: sign in with POST /auth/v1/token.

    With neither `email` nor `password`: 200 the session of a new anonymous user, where anybody may sign up.
    400 invalid_email, weak_password; 403 signup_not_allowed; 409 user_exists, which tells who has an account.
    """
    project = admitted(request, Project)
    body = await read_object(request)
    if body.get("email") is None and body.get("password") is None:
        return await _anonymous(request, project, body)
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


async def _anonymous(request: Request, project: Project, body: dict[str, Any]) -> Response:
    """A user without an address: its session is all that it has, and ends with the last refresh token."""
    if body.get("phone") is not None:
        raise bad_field("phone", "left out: a local gateway sends mails only, so give `email`")
    given = body.get("data")
    data = accounts.checked_data({} if given is None else given)
    gateway = gateway_of(request)
    async with gateway.connection() as conn:
        rules = await setting_rows.of_project(conn, project.project_id)
        if not rules.admits_anonymous:
            raise links.signup_refused(rules, None)
        async with conn.transaction():
            user = await user_rows.add(conn, project.project_id, None)
            user = await user_rows.change(conn, user, data=data)
            return accounts.private(await sessions.start(conn, gateway.settings, user, "anonymous"))


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
        answer = await exchange(conn, gateway, guesser(request, admitted(request, Project).project_id), body)
    return accounts.private(answer)


async def _by_password(conn: Connection, gateway: Gateway, who: Guesser, body: dict[str, Any]) -> dict[str, Any]:
    email = accounts.checked_email(body.get("email"))
    gateway.attempts.begin(who, email)
    user = await user_rows.by_email(conn, who.project_id, email)
    if not await passwords.matches(body.get("password"), user.password_hash if user else None) or user is None:
        raise passwords.wrong("The e-mail address or the password is wrong.", 401)
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


ROUTES = [
    Route("/auth/v1/signup", sign_up, methods=["POST"], who=APP),
    Route("/auth/v1/token", token, methods=["POST"], who=APP),
    Route("/auth/v1/logout", sign_out, methods=["POST"], who=APP_OR_USER),
    Route("/auth/v1/admin/users", add_user, methods=["POST"], who=APP_OWNER),
    *own_account.ROUTES,
    *mail_routes.ROUTES,
    *settings.ROUTES,
    Route("/projects/v1/admin/{project_id}/promote-user", promote_user, methods=["POST"], who=SERVICE_KEY),
    Route("/projects/v1/admin/{project_id}/demote-user", demote_user, methods=["POST"], who=SERVICE_KEY),
]
