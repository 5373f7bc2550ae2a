"""What a project allows at sign-in: its settings, and the list of methods. See docs/local-gateway-users.md, "Settings"."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.errors import GatewayError, bad_field
from run402_cli.core.gateway import gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.users import setting_rows
from run402_cli.core.users.accounts import one_form
from run402_cli.core.users.callers import APP, APP_OWNER
from run402_cli.core.users.links import DELIVERIES
from run402_cli.core.users.setting_rows import AuthSettings
from run402_cli.core.web.http import read_object, reply
from run402_cli.core.web.routing import Route, admitted

METHODS = ("password", "magic_link", "oauth_google", "passkey")
SIGNUP = ("open", "known_email", "invite_only")
_LOCAL_METHODS = ("password", "magic_link")
_DOMAIN = re.compile(r"[^\W_](?:[\w.-]*[^\W_])?\.[\w-]{2,}")


async def read_settings(request: Request) -> Response:
    """GET /auth/v1/settings (service key): the five settings."""
    async with gateway_of(request).connection() as conn:
        return reply(_view(await setting_rows.of_project(conn, admitted(request, Project).project_id)))


async def change_settings(request: Request) -> Response:
    """PATCH /auth/v1/settings (service key) with some of the five settings: all of them.

    400 invalid_request; 422 unsupported_capability for a method that a local gateway does not have.
    """
    project = admitted(request, Project)
    body = await read_object(request)
    changes = {name: check(body[name], name) for name, check in _CHECKS.items() if name in body}
    unknown = sorted(set(body) - set(_CHECKS))
    if unknown or not changes:
        said = f"{', '.join(map(repr, unknown))} is no setting" if unknown else "No setting was given"
        raise GatewayError(400, "invalid_request", f"{said}. There are: {', '.join(_CHECKS)}.", code=None)
    async with gateway_of(request).connection() as conn, conn.transaction():
        before = await setting_rows.of_project(conn, project.project_id)
        after = AuthSettings(**{**asdict(before), **changes})
        await setting_rows.save(conn, project.project_id, after)
    return reply(_view(after))


def _view(settings: AuthSettings) -> dict[str, Any]:
    return {**asdict(settings), "allowed_email_domains": list(settings.allowed_email_domains)}


def _truth(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise bad_field(name, "true or false")
    return value


def _passkey_rule(value: Any, name: str) -> bool:
    if _truth(value, name):
        raise _no_passkeys("Requiring passkeys would lock every project admin out")
    return False


def _method(value: Any, name: str) -> str | None:
    if value is not None and value not in METHODS:
        raise bad_field(name, f"null or one of {', '.join(METHODS)}")
    if value is not None and value not in _LOCAL_METHODS:
        raise _no_passkeys(f"{value} cannot be the preferred method")
    return None if value is None else str(value)


def _signup(value: Any, name: str) -> str:
    if value not in SIGNUP:
        raise bad_field(name, f"one of {', '.join(SIGNUP)}")
    return str(value)


def _domains(value: Any, name: str) -> list[str]:
    if not isinstance(value, list) or len(value) > 100:
        raise bad_field(name, "a list of at most 100 domains; [] allows all")
    domains = [one_form(f"@{entry.strip().removeprefix('@')}")[1:] if isinstance(entry, str) else "" for entry in value]
    if not all(_DOMAIN.fullmatch(domain) for domain in domains):
        raise bad_field(name, "a list of domains, such as example.com")
    return list(dict.fromkeys(domains))


_CHECKS = {
    "allow_password_set": _truth,
    "preferred_sign_in_method": _method,
    "public_signup": _signup,
    "require_passkey_for_project_admin": _passkey_rule,
    "allowed_email_domains": _domains,
}


def _no_passkeys(what: str) -> GatewayError:
    return GatewayError(
        422,
        "unsupported_capability",
        f"{what}: a local gateway signs users in with passwords, mailed links and codes only. "
        "Use password or magic_link here, and set this on the cloud project.",
        capability="auth.passkeys",
    )


async def providers(request: Request) -> Response:
    """GET /auth/v1/providers (a project key): which sign-in methods work, `{magic_link, password, google, passkey, ...}`."""
    async with gateway_of(request).connection() as conn:
        settings = await setting_rows.of_project(conn, admitted(request, Project).project_id)
    return reply(
        {
            "magic_link": {"enabled": True, "delivery_modes": list(DELIVERIES)},
            "password": {"enabled": True, "allow_set": settings.allow_password_set},
            "google": {"enabled": False},
            "passkey": {"enabled": False},
            "preferred_sign_in_method": settings.preferred_sign_in_method,
            "public_signup": settings.public_signup,
        }
    )


ROUTES = [
    Route("/auth/v1/settings", read_settings, methods=["GET"], who=APP_OWNER),
    Route("/auth/v1/settings", change_settings, methods=["PATCH"], who=APP_OWNER),
    Route("/auth/v1/providers", providers, methods=["GET"], who=APP),
]
