"""Users of a project's own application: sign-in, sessions, passwords, passkeys, roles."""

from __future__ import annotations

import re
from typing import Any

from run402_cli.errors import ValidationError
from run402_cli.mcp._tool import DESTRUCTIVE, LOCAL_READ, PROJECT, READ, WRITE, Call, exclusive, may, need, tool
from run402_cli.services import auth

_EMAIL = need("email")
_TOKEN = need("access_token")
_ORIGIN = need("app_origin", about="Origin of the web application, https://app.example.com.")
_CHALLENGE = need("challenge_id")
_RESPONSE = may("response", "any", "What the browser's WebAuthn call returned. Needed.")
_REDIRECT = may("redirect_url", about="Where the link leads.")
_STATE = may("client_state", "any", "Comes back with the sign-in.")
_ROLE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")
_SQL_NAME = "^[A-Za-z_][A-Za-z0-9_]*$"
_SETTINGS = (
    *("allow_password_set", "preferred_sign_in_method", "public_signup"),
    *("require_passkey_for_project_admin", "allowed_email_domains"),
)


def _magic_link(call: Call) -> Any:
    if call["delivery"] != "code" and not call["redirect_url"]:
        raise ValidationError("A link needs redirect_url; delivery code needs none.", details={"field": "redirect_url"})
    return auth.magic_link(
        call.client,
        call.project,
        email=call["email"],
        delivery=call["delivery"],
        redirect_url=call["redirect_url"],
        intent=call["intent"],
        state=call["client_state"],
    )


def _verify(call: Call) -> Any:
    exclusive(call, "token", "code", exactly=True)
    if call["token"] is not None:
        exclusive(call, "token", "challenge_id")
        return auth.verify_link(call.client, call.project, call["token"])
    if call["challenge_id"] is None:
        raise ValidationError("code goes with challenge_id.", details={"field": "challenge_id"})
    return auth.verify_code(call.client, call.project, challenge_id=call["challenge_id"], code=call["code"])


def _put_user(call: Call, *, invite: bool) -> Any:
    if invite and not call["redirect_url"]:
        raise ValidationError("An invite needs redirect_url.", details={"field": "redirect_url"})
    return auth.put_user(
        call.client,
        call.project,
        email=call["email"],
        invite=invite,
        redirect_url=call["redirect_url"],
        is_admin=call["is_admin"],
        state=call["client_state"],
    )


def _settings(call: Call) -> Any:
    changes = call.given(*_SETTINGS)
    if not changes:
        raise ValidationError(
            f"Nothing is to be changed. Give one of {', '.join(_SETTINGS)}.", reason="NOTHING_TO_CHANGE"
        )
    return auth.change_settings(call.client, call.project, changes)


def _scaffold(call: Call) -> Any:
    for role in call["roles"]:
        if not _ROLE.fullmatch(role):
            raise ValidationError(
                f"{role[:80]!r} cannot be a role: letters, digits, _ and -.",
                details={"field": "roles"},
                reason="BAD_ROLE",
            )
    if not call["roles"]:
        raise ValidationError("roles names no role.", details={"field": "roles"})
    return auth.scaffold_roles(
        table=call["table"],
        user_column=call["user_col"],
        role_column=call["role_col"],
        roles=call["roles"],
        cache_ttl=call["cache_ttl"],
    )


def _response(call: Call) -> Any:
    if call["response"] is None:
        raise ValidationError("response is missing: what the browser's WebAuthn call returned.", reason="MISSING_VALUE")
    return call["response"]


def _register_verify(call: Call) -> Any:
    return auth.passkey_register_verify(
        call.client,
        call.project,
        call["access_token"],
        challenge_id=call["challenge_id"],
        response=_response(call),
        label=call["label"],
    )


TOOLS = (
    tool(
        "request_magic_link",
        "Mail a sign-in link, a six-digit code, or both.",
        WRITE,
        _magic_link,
        PROJECT,
        _EMAIL,
        may("delivery", "link|code|both", default="link"),
        _REDIRECT,
        may("intent", "signin|invite|claim|recovery"),
        _STATE,
        cli="auth magic-link",
    ),
    tool(
        "verify_magic_link",
        "Exchange a link's token, or challenge_id with code, for a session. The answer holds its tokens.",
        WRITE,
        _verify,
        PROJECT,
        may("token"),
        may("challenge_id"),
        may("code"),
        cli="auth verify",
    ),
    tool(
        "create_auth_user",
        "Create or update a user of the project's application.",
        WRITE,
        lambda c: _put_user(c, invite=bool(c["send_invite"])),
        PROJECT,
        _EMAIL,
        may("is_admin", "bool"),
        may("send_invite", "bool", "Needs redirect_url."),
        _REDIRECT,
        _STATE,
        cli="auth create-user",
    ),
    tool(
        "invite_auth_user",
        "Create or update a user and mail an invite.",
        WRITE,
        lambda c: _put_user(c, invite=True),
        PROJECT,
        _EMAIL,
        need("redirect_url", about="Where the invite leads."),
        may("is_admin", "bool"),
        _STATE,
        cli="auth invite-user",
    ),
    tool(
        "set_user_password",
        "Set, reset or change a user's password, as that user.",
        WRITE,
        lambda c: auth.set_password(
            c.client, c.project, c["access_token"], new=c["new_password"], current=c["current_password"]
        ),
        PROJECT,
        _TOKEN,
        need("new_password"),
        may("current_password", about="Not for a first password or a reset."),
        cli="auth set-password",
    ),
    tool(
        "auth_settings",
        "Change how users sign up and sign in; only what is given changes.",
        WRITE,
        _settings,
        PROJECT,
        may("allow_password_set", "bool"),
        may("preferred_sign_in_method", "password|magic_link|oauth_google|passkey|null", "null clears."),
        may("public_signup", "open|known_email|invite_only"),
        may("require_passkey_for_project_admin", "bool"),
        may("allowed_email_domains", "[string]", "An empty list allows all."),
        cli="auth settings",
    ),
    tool(
        "scaffold_roles",
        "What a role gate of functions needs: a migration, the gate, the first row. Nothing is sent or written.",
        LOCAL_READ,
        _scaffold,
        may("table", default="app_roles", pattern=_SQL_NAME),
        may("user_col", default="user_id", pattern=_SQL_NAME),
        may("role_col", default="role", pattern=_SQL_NAME),
        may("roles", "[string]", "Roles that may pass.", default=["operator"]),
        may("cache_ttl", "int", "Seconds that a role is remembered.", default=60, low=0, high=600),
        cli="auth scaffold-roles",
    ),
    tool(
        "passkey_register_options",
        "Begin to register a passkey of a signed-in user.",
        WRITE,
        lambda c: auth.passkey_register_options(c.client, c.project, c["access_token"], app_origin=c["app_origin"]),
        PROJECT,
        _TOKEN,
        _ORIGIN,
        cli="auth passkey-register-options",
    ),
    tool(
        "passkey_register_verify",
        "Finish registering a passkey with the browser's answer.",
        WRITE,
        _register_verify,
        PROJECT,
        _TOKEN,
        _CHALLENGE,
        _RESPONSE,
        may("label", about="Name of the passkey."),
        cli="auth passkey-register-verify",
    ),
    tool(
        "passkey_login_options",
        "Begin to sign in with a passkey.",
        WRITE,
        lambda c: auth.passkey_login_options(c.client, c.project, app_origin=c["app_origin"], email=c["email"]),
        PROJECT,
        _ORIGIN,
        may("email"),
        cli="auth passkey-login-options",
    ),
    tool(
        "passkey_login_verify",
        "Finish signing in with a passkey. The answer holds the session's tokens.",
        WRITE,
        lambda c: auth.passkey_login_verify(c.client, c.project, challenge_id=c["challenge_id"], response=_response(c)),
        PROJECT,
        _CHALLENGE,
        _RESPONSE,
        cli="auth passkey-login-verify",
    ),
    tool(
        "list_passkeys",
        "List the passkeys of the signed-in user.",
        READ,
        lambda c: auth.list_passkeys(c.client, c.project, c["access_token"]),
        PROJECT,
        _TOKEN,
        cli="auth passkeys",
    ),
    tool(
        "delete_passkey",
        "Delete a passkey of the signed-in user.",
        DESTRUCTIVE,
        lambda c: auth.delete_passkey(c.client, c.project, c["access_token"], c["passkey_id"]),
        PROJECT,
        _TOKEN,
        need("passkey_id"),
        cli="auth delete-passkey",
    ),
)
