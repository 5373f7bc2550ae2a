"""Who may call a function: the caller's token, and the role that the project's own table gives that user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import psycopg
from psycopg import sql
from starlette.requests import Request

from run402_cli.core.callers.auth import bearer_of, token_claims
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import Gateway
from run402_cli.core.projects.rows import Project
from run402_cli.core.users.session_rows import live


@dataclass(frozen=True, slots=True)
class Caller:
    """A verified end user of the project; `role` is what a passed role gate found."""

    token: str
    claims: Mapping[str, Any]
    role: str | None = None

    @property
    def actor(self) -> dict[str, Any]:
        """The user as the helper library shows it (`auth.user()`)."""
        methods, moment = self.claims.get("amr", []), self.claims.get("auth_time", 0)
        return {
            "id": self.claims["sub"],
            "email": self.claims.get("email", ""),
            "emailVerified": self.claims.get("email_verified") is True,
            "authTime": moment,
            "amr": methods,
            "amrTimes": dict.fromkeys(methods, moment),
            "sessionId": self.claims.get("session_id", f"bearer:{self.claims['sub']}"),
        }


class SignInRedirect(Exception):
    """The gate sends browsers to a sign-in page instead of refusing them."""

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self.location = location


async def caller_of(gateway: Gateway, project: Project, request: Request) -> Caller | None:
    """The user whose token the request carries; None for nobody, also when the token is not one of this project, or its
    session has ended."""
    token = bearer_of(request)
    if token is None or token.count(".") != 2:
        return None
    try:
        claims = token_claims(gateway.settings, token)
    except GatewayError:
        return None
    if claims.get("project_id") != project.project_id or not claims.get("sub"):
        return None
    if claims.get("role") in (None, "anon", "service_role"):
        return None
    if "session_id" in claims:
        async with gateway.connection() as conn:
            session = await live(conn, project.project_id, claims["session_id"])
        if session is None or session.user.user_id != claims["sub"]:
            return None
    return Caller(token, claims)


def check_signed_in(entry: Mapping[str, Any], caller: Caller | None, request: Request) -> Caller | None:
    """The caller, if the function is open to it without a look at its role. 401 authentication_required.

    With `on_deny: redirect` a page load gets SignInRedirect instead. docs/local-gateway-functions.md
    """
    if caller is None and (entry["require_auth"] or entry["require_role"] is not None):
        _redirect(entry["require_role"], request)
        raise GatewayError(
            401,
            "authentication_required",
            f"{entry['name']} needs a signed-in user. Send `Authorization: Bearer <the user's access token>`.",
        )
    return caller


async def check_role(
    conn: Connection, project: Project, entry: Mapping[str, Any], caller: Caller, request: Request
) -> Caller:
    """The caller with the role that the gate's table gives it. 403 ROLE_FORBIDDEN, or SignInRedirect as above."""
    gate = entry["require_role"]
    role = await _role(conn, project, gate, caller.claims["sub"])
    if role not in gate["allowed"]:
        _redirect(gate, request)
        raise GatewayError(
            403,
            "ROLE_FORBIDDEN",
            f"{entry['name']} is for {', '.join(gate['allowed'])}; the caller has "
            f"{'no role' if role is None else 'another role'} in {gate['table']}.",
            allowed_roles=list(gate["allowed"]),
        )
    return Caller(caller.token, caller.claims, role)


def _redirect(gate: Mapping[str, Any] | None, request: Request) -> None:
    if gate is None or gate.get("onDeny") != "redirect" or not gate.get("signInPath"):
        return
    if request.method in ("GET", "HEAD") and "text/html" in request.headers.get("accept", ""):
        back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        raise SignInRedirect(f"{gate['signInPath']}?{urlencode({'returnTo': back})}")


async def _role(conn: Connection, project: Project, gate: Mapping[str, Any], user_id: str) -> str | None:
    """The role as text; None when the user has none, or when its id cannot be one of that column."""
    query = sql.SQL("SELECT {role}::text FROM {schema}.{table} WHERE {id}::text = %s LIMIT 1").format(
        role=sql.Identifier(gate["roleColumn"]),
        schema=sql.Identifier(project.schema_slot),
        table=sql.Identifier(gate["table"]),
        id=sql.Identifier(gate["idColumn"]),
    )
    try:
        row = await (await conn.execute(query, (user_id,))).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.InsufficientPrivilege) as exc:
        raise GatewayError(
            500,
            "role_gate_unavailable",
            f"The role gate cannot be checked: {exc.diag.message_primary}. Create the table, or correct require_role.",
        ) from exc
    return None if row is None else row[0]
