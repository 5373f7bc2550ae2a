"""Users of a project's own application: sign-in mail, sessions, passwords, passkeys, settings. See docs/auth-users.md.

Every call carries the project's anon key as `apikey`; who acts is the bearer: the anon key (a visitor), the service key (the
project's owner) or a user's access token. Raises CommandError PROJECT_CREDENTIAL_NOT_FOUND without cached keys.

A session: {access_token, refresh_token, token_type, expires_in (seconds), user: {id, email, ...}, magic_link?}.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from run402_cli.client import Client, credentials, segment
from run402_cli.services._checks import email_address, http_url, refused

Json = Any

DELIVERIES = ("link", "code", "both")
INTENTS = ("signin", "invite", "claim", "recovery")
PREFERRED = ("password", "magic_link", "oauth_google", "passkey", "null")
SIGNUP = ("open", "known_email", "invite_only")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE)
_CODE = re.compile(r"[0-9]{6}")


def _visitor(client: Client, project_id: str) -> credentials.ProjectKey:
    return credentials.anon_key(client.profile.keys.cached_key(project_id, "anon_key"), bearer=True)


def _owner(client: Client, project_id: str) -> credentials.ProjectKey:
    return _user(client, project_id, client.profile.keys.cached_key(project_id, "service_key"))


def _user(client: Client, project_id: str, token: str) -> credentials.ProjectKey:
    return credentials.anon_key(
        client.profile.keys.cached_key(project_id, "anon_key"), principal=credentials.Bearer(token)
    )


def _given(**fields: Json) -> dict[str, Json]:
    return {key: value for key, value in fields.items() if value is not None}


# -- sign-in ------------------------------------------------------------------------------------------------------------


def magic_link(
    client: Client,
    project_id: str,
    *,
    email: str,
    delivery: str = "link",
    redirect_url: str | None = None,
    intent: str | None = None,
    state: str | None = None,
) -> dict[str, Json]:
    """POST /auth/v1/magic-link {email, redirect_url?, delivery, intent?, client_state?}: mail a link, a code, or both.

    Returns {email, delivery, redirect_url?, intent, accepted, message, warnings?, challenge_id?}; accepted is not delivered.
    Codes and links work once, for 15 minutes. An invite is sent by the owner, with password_removed and note as `create_user`.
    Raises ValidationError LOCAL_ERROR for an impossible address or URL; ApiError 429 after five mails an hour to one address.
    """
    email_address("email", email)
    if redirect_url:
        http_url("redirect", redirect_url)
    body = _given(email=email, redirect_url=redirect_url or None, delivery=delivery, intent=intent, client_state=state)
    auth = (_owner if intent == "invite" else _visitor)(client, project_id)
    answer = client.request("POST", "/auth/v1/magic-link", context="asking for a sign-in mail", auth=auth, body=body)
    found = answer if isinstance(answer, dict) else {}
    echo = {"email": email, "delivery": delivery, **_given(redirect_url=redirect_url or None)}
    shown = ("message", "warnings", "challenge_id", "password_removed", "note")
    told = {key: found[key] for key in shown if key in found}
    return {**echo, "intent": intent or "signin", "accepted": True, **told}


def verify(
    client: Client,
    project_id: str,
    *,
    token: str | None = None,
    challenge_id: str | None = None,
    code: str | None = None,
) -> Json:
    """`verify_link` with a token, else `verify_code` with a challenge_id and its code."""
    if token:
        return verify_link(client, project_id, token)
    return verify_code(client, project_id, challenge_id=challenge_id or "", code=code or "")


def verify_link(client: Client, project_id: str, token: str) -> Json:
    """Exchange the token of a mailed link for a session.

    POST /auth/v1/token?grant_type=magic_link {token} -> a session. Creates the user the first time.
    """
    return _session(client, project_id, "magic_link", {"token": token})


def verify_code(client: Client, project_id: str, *, challenge_id: str, code: str) -> Json:
    """Exchange a mailed code for a session.

    POST /auth/v1/token?grant_type=email_code {challenge_id, code} -> a session. Raises ValidationError LOCAL_ERROR.
    """
    if not _UUID.fullmatch(challenge_id):
        raise refused("challenge_id", "--challenge-id takes the challenge_id (a UUID) that auth magic-link printed.")
    if not _CODE.fullmatch(code):
        raise refused("code", "--code takes the six digits of the mail.")
    return _session(client, project_id, "email_code", {"challenge_id": challenge_id, "code": code})


def _session(client: Client, project_id: str, grant: str, body: dict[str, Json]) -> Json:
    path = f"/auth/v1/token?grant_type={grant}"
    return client.request(
        "POST", path, context="signing in", auth=_visitor(client, project_id), body=body, reveals=True
    )


def providers(client: Client, project_id: str) -> Json:
    """GET /auth/v1/providers -> the sign-in methods; magic_link: {enabled, deliveryModes, delivery_modes}."""
    auth = _visitor(client, project_id)
    answer = client.request("GET", "/auth/v1/providers", context="listing sign-in methods", auth=auth)
    link = answer.get("magic_link") if isinstance(answer, dict) else None
    if not isinstance(link, dict):
        return answer
    modes = link.get("delivery_modes", link.get("deliveryModes")) or ["link"]
    # Readers of the Node CLI's output look for the camelCase name.
    shown = {**_given(enabled=link.get("enabled")), "deliveryModes": modes, "delivery_modes": modes}
    return {**answer, "magic_link": shown}


# -- users --------------------------------------------------------------------------------------------------------------


def put_user(
    client: Client,
    project_id: str,
    *,
    email: str,
    invite: bool = False,
    redirect_url: str | None = None,
    is_admin: bool | None = None,
    state: str | None = None,
) -> Json:
    """POST /auth/v1/admin/users {email, is_admin?, send_invite, redirect_url?, client_state?}: create or update a user.

    Returns {id, email, is_admin, email_verified_at, created, invite_sent}; password_removed and note where a password that
    somebody had set before the address was proven was removed. Raises ValidationError LOCAL_ERROR.
    """
    email_address("email", email)
    if redirect_url:
        http_url("redirect", redirect_url)
    body = {
        **_given(email=email, is_admin=is_admin),
        "send_invite": invite,
        **_given(redirect_url=redirect_url or None, client_state=state),
    }
    auth = _owner(client, project_id)
    return client.request("POST", "/auth/v1/admin/users", context="saving the user", auth=auth, body=body)


def invite_user(
    client: Client,
    project_id: str,
    *,
    email: str,
    redirect_url: str,
    is_admin: bool | None = None,
    state: str | None = None,
) -> Json:
    """As `create_user`, and the user gets a mail with a link to `redirect_url`."""
    return put_user(
        client, project_id, email=email, invite=True, redirect_url=redirect_url, is_admin=is_admin, state=state
    )


def set_password(
    client: Client, project_id: str, token: str, *, new: str, current: str | None = None
) -> dict[str, Json]:
    """POST /auth/v1/user/password {new_password, current_password?} as the user -> {project_id, password_set}."""
    body = _given(new_password=new, current_password=current or None)
    auth = _user(client, project_id, token)
    client.request("POST", "/auth/v1/user/password", context="setting the password", auth=auth, body=body)
    return {"project_id": project_id, "password_set": True}


def change_settings(client: Client, project_id: str, settings: dict[str, Json]) -> dict[str, Json]:
    """PATCH /auth/v1/settings -> the settings sent, overlaid with the answer.

    `settings`: some of allow_password_set, preferred_sign_in_method (None clears), public_signup,
    require_passkey_for_project_admin, allowed_email_domains ([] allows all).
    """
    auth = _owner(client, project_id)
    context = "changing the auth settings"
    answer = client.request("PATCH", "/auth/v1/settings", context=context, auth=auth, body=settings)
    return {**settings, **(answer if isinstance(answer, dict) else {})}


# -- passkeys -----------------------------------------------------------------------------------------------------------


def passkey_register_options(client: Client, project_id: str, token: str, *, app_origin: str) -> Json:
    """POST /auth/v1/passkeys/register/options {app_origin} as the user -> {challenge_id, options}."""
    auth = _user(client, project_id, token)
    path, body = "/auth/v1/passkeys/register/options", {"app_origin": app_origin}
    return client.request("POST", path, context="starting the passkey registration", auth=auth, body=body)


def passkey_register_verify(
    client: Client, project_id: str, token: str, *, challenge_id: str, response: Json, label: str | None = None
) -> Json:
    """POST /auth/v1/passkeys/register/verify {challenge_id, response, label?} as the user -> the passkey."""
    auth = _user(client, project_id, token)
    body = {"challenge_id": challenge_id, "response": response, **_given(label=label or None)}
    path = "/auth/v1/passkeys/register/verify"
    return client.request("POST", path, context="finishing the passkey registration", auth=auth, body=body)


def passkey_login_options(client: Client, project_id: str, *, app_origin: str, email: str | None = None) -> Json:
    """POST /auth/v1/passkeys/login/options {app_origin, email?} -> {challenge_id, options}."""
    auth = _visitor(client, project_id)
    path, body = "/auth/v1/passkeys/login/options", _given(app_origin=app_origin, email=email or None)
    return client.request("POST", path, context="starting the passkey login", auth=auth, body=body)


def passkey_login_verify(client: Client, project_id: str, *, challenge_id: str, response: Json) -> Json:
    """POST /auth/v1/passkeys/login/verify {challenge_id, response} -> a session, and what a higher role would need."""
    auth = _visitor(client, project_id)
    path, body = "/auth/v1/passkeys/login/verify", {"challenge_id": challenge_id, "response": response}
    return client.request("POST", path, context="finishing the passkey login", auth=auth, body=body, reveals=True)


def list_passkeys(client: Client, project_id: str, token: str) -> Json:
    """GET /auth/v1/passkeys as the user -> {passkeys: [{id, label, created_at, ...}]}."""
    auth = _user(client, project_id, token)
    return client.request("GET", "/auth/v1/passkeys", context="listing passkeys", auth=auth)


def delete_passkey(client: Client, project_id: str, token: str, passkey_id: str) -> dict[str, Json]:
    """DELETE /auth/v1/passkeys/{passkey} as the user -> {passkey_id, deleted}."""
    path = f"/auth/v1/passkeys/{segment(passkey_id)}"
    client.request("DELETE", path, context="deleting the passkey", auth=_user(client, project_id, token))
    return {"passkey_id": passkey_id, "deleted": True}


# -- roles --------------------------------------------------------------------------------------------------------------


def scaffold_roles(
    *,
    table: str = "app_roles",
    user_column: str = "user_id",
    role_column: str = "role",
    roles: Sequence[str] = ("operator",),
    cache_ttl: int = 60,
) -> dict[str, Json]:
    """What a role gate needs, without any request: {table, migration, gate, bootstrap, notes}. `cache_ttl` in seconds.

    `gate` goes into a function's `requireRole`. Names must be plain SQL identifiers. docs/auth-users.md, "Roles".
    """
    first = roles[0].replace("'", "''")
    migration = (
        f"-- Who has which role; {user_column} is the id of a user of this app.\n"
        f"CREATE TABLE IF NOT EXISTS {table} (\n"
        f"  {user_column} uuid NOT NULL,\n"
        f"  {role_column} text NOT NULL,\n"
        f"  PRIMARY KEY ({user_column})\n"
        ");\n"
    )
    bootstrap = (
        "-- Run once with the service key: run402 projects sql --file bootstrap.sql\n"
        "-- The id is that of a user of this app (`sub` of the access token), not a wallet address.\n"
        f"INSERT INTO {table} ({user_column}, {role_column})\n"
        f"VALUES ('<FIRST_OPERATOR_USER_ID>', '{first}')\n"
        f"ON CONFLICT ({user_column}) DO NOTHING;\n"
    )
    gate = {
        "table": table,
        "idColumn": user_column,
        "roleColumn": role_column,
        "allowed": list(roles),
        "cacheTtl": cache_ttl,
    }
    notes = [
        "Put `gate` under requireRole of the function it guards.",
        "Only users whose role is in gate.allowed pass; list every role that may call the function.",
        "cacheTtl 0 makes a change of roles count at once; otherwise it counts after that many seconds.",
        "The id is the user's id in this app (`sub` of the access token), not a wallet address.",
        "Any table with an id column and a role column will do; this one is a start.",
    ]
    return {"table": table, "migration": migration, "gate": gate, "bootstrap": bootstrap, "notes": notes}
