"""Who is calling REST: the anon key, a user's token, or the service key. See docs/rest.md."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from run402_cli.core.callers.auth import bearer_of, key_holder, key_owner, project_by_id, same_secret, verify_token
from run402_cli.core.callers.kinds import Kind
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.rest import known_callers
from run402_cli.core.rest.execute import Role
from run402_cli.core.users.session_rows import live
from run402_cli.core.users.user_rows import ADMIN
from run402_cli.core.web.routing import Policy


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose rows a request sees: `role` and `claims` are what PostgreSQL is told."""

    project: Project
    role: Role
    claims: dict[str, str]


async def caller(conn: Connection, request: Request) -> Caller:
    """`/rest/v1`: the anon key in `apikey`, and optionally a user's token as bearer; or only the token, in `apikey`.

    401 authentication_required; 403 admin_required for a service key, project_token_mismatch, role_forbidden.
    """
    settings = gateway_of(request).settings
    key = request.headers.get("apikey", "")
    if key.count(".") == 2:
        claims = verify_token(settings, key)
        return await _user(conn, await project_by_id(conn, claims.get("project_id", "")), claims)
    holder = await key_holder(conn, key) if key else None
    if holder is None:
        said = "The apikey header holds no key of this gateway" if key else "The apikey header is missing"
        raise _unauthenticated(
            f"{said}. Send the project's anon key in it; "
            "`run402 credentials project-keys export --project <project_id> --reveal` prints it."
        )
    project, kind = holder
    if kind == "service":
        raise _admin_required()
    anonymous = _claims(project, "anon")
    if "authorization" not in request.headers:
        return Caller(project, "anon", anonymous)
    token = bearer_of(request)
    if token is None:
        raise _unauthenticated(
            "The Authorization header is not `Bearer <token>`. Send a user's token, or no such header."
        )
    if same_secret(token, key):
        return Caller(project, "anon", anonymous)
    if token.count(".") != 2:
        return await _key_as_bearer(conn, project, token)
    return await _user(conn, project, verify_token(settings, token))


async def _key_as_bearer(conn: Connection, project: Project, token: str) -> Caller:
    holder = await key_holder(conn, token)
    if holder is None:
        raise _unauthenticated("The bearer token is neither a token nor a key of this gateway.")
    if holder[1] == "service":
        raise _admin_required()
    if holder[0].project_id != project.project_id:
        raise _mismatch(project)
    return Caller(project, "anon", _claims(project, "anon"))


async def _user(conn: Connection, project: Project, claims: dict[str, str]) -> Caller:
    if claims.get("project_id") != project.project_id:
        raise _mismatch(project)
    role = claims.get("role")
    if role == "anon":
        return Caller(project, "anon", claims)
    if role == "authenticated" and "session_id" not in claims:
        return Caller(project, "authenticated", claims)
    if role in ("authenticated", ADMIN):
        return await _signed_in(conn, project, claims)
    raise GatewayError(
        403,
        "role_forbidden",
        f"A token with role {role!r} may not call /rest/v1: only anon, authenticated and project_admin may. "
        "Use /admin/v1/rest with the service key.",
        code="ADMIN_REQUIRED" if role == "service_role" else "ROLE_FORBIDDEN",
    )


async def _signed_in(conn: Connection, project: Project, claims: dict[str, str]) -> Caller:
    """A user whose session lives; an admin from whom the role was taken since the token was made is an ordinary user."""
    session = await live(conn, project.project_id, claims.get("session_id", ""))
    if session is None or session.user.user_id != claims.get("sub"):
        raise _unauthenticated("The session of this token has ended. Sign in again.")
    if claims.get("role") == ADMIN and session.user.acting_role == ADMIN:
        return Caller(project, "project_admin", claims)
    # For policies: auth.jwt_claim('is_anonymous').
    anonymous = {"is_anonymous": "true"} if session.user.email is None else {}
    return Caller(project, "authenticated", {**claims, "role": "authenticated", **anonymous})


async def service_caller(conn: Connection, request: Request) -> Caller:
    """`/admin/v1/rest`: the service key, which row-level security does not bind. 401 for anything else."""
    project = await key_owner(conn, request)
    return Caller(project, "service_role", {**_claims(project, "service_role"), "sub": "service"})


# What `admitted(request, Caller)` gives is whose rows the request sees.
ANON_OR_USER = Policy(
    "anon key or user",
    "sends the project's anon key, a user's token, or both; row-level security decides.",
    frozenset({Kind.ANON_KEY, Kind.USER_TOKEN}),
    known_callers.remembering(caller),
    kept=known_callers.find,
    of_the_caller=True,
)
SERVICE = Policy(
    "service key past row security",
    "holds a project's service key; row-level security does not bind it.",
    frozenset({Kind.SERVICE_KEY}),
    known_callers.remembering(service_caller),
    kept=known_callers.find,
    of_the_caller=True,
)


def _claims(project: Project, role: Role) -> dict[str, str]:
    return {"iss": "run402-core", "project_id": project.project_id, "role": role}


def _unauthenticated(message: str) -> GatewayError:
    return GatewayError(401, "authentication_required", message, code=None)


def _admin_required() -> GatewayError:
    return GatewayError(
        403,
        "admin_required",
        "A service key may not call /rest/v1, where row-level security decides. "
        "Call /admin/v1/rest with it, or send the anon key.",
    )


def _mismatch(project: Project) -> GatewayError:
    return GatewayError(
        403,
        "project_token_mismatch",
        f"The bearer token belongs to another project than the apikey, which is of {project.project_id}.",
    )
