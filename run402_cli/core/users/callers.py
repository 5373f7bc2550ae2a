"""Who calls an auth route: an application with a project key, its owner with the service key, or a signed-in user."""

from __future__ import annotations

from starlette.requests import Request

from run402_cli.core.attempts import Guesser
from run402_cli.core.callers.auth import bearer_of, key_holder, presented_key, verify_token
from run402_cli.core.callers.kinds import Kind
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.users.session_rows import Session, live
from run402_cli.core.web.routing import Policy
from run402_cli.proxies import is_loopback_address


async def app_of(conn: Connection, request: Request) -> Project:
    """The project whose key the request carries, in `apikey` or as bearer. 401 authentication_required."""
    key = presented_key(request)
    holder = await key_holder(conn, key) if key else None
    if holder is None:
        said = "holds no key of this gateway" if key else "is missing"
        raise _refused(
            f"The apikey header {said}. Send the project's anon key; "
            "`run402 credentials project-keys export --project <project_id> --reveal` prints it."
        )
    return holder[0]


async def is_owner(conn: Connection, request: Request, project: Project) -> bool:
    """Does the request carry the service key of this project, in either header?"""
    for key in (bearer_of(request), request.headers.get("apikey")):
        holder = await key_holder(conn, key) if key else None
        if holder is not None and holder[1] == "service" and holder[0].project_id == project.project_id:
            return True
    return False


async def owner_of(conn: Connection, request: Request) -> Project:
    """Like app_of, but the service key must be there too. 401 authentication_required."""
    project = await app_of(conn, request)
    if not await is_owner(conn, request, project):
        raise _refused(f"This route needs the service key of {project.project_id} as bearer token.")
    return project


async def session_of(conn: Connection, request: Request) -> Session:
    """The live session of the user whose access token is the bearer. 401 authentication_required.

    The project's key in `apikey` may be left out: the token names the project.
    """
    token = bearer_of(request)
    if token is None or token.count(".") != 2:
        raise _refused("Send the user's access token as `Authorization: Bearer <access_token>`.")
    claims = verify_token(gateway_of(request).settings, token)
    project_id = claims.get("project_id", "")
    key = request.headers.get("apikey")
    if key is not None and (await app_of(conn, request)).project_id != project_id:
        raise GatewayError(
            403, "project_token_mismatch", "The access token belongs to another project than the apikey."
        )
    session = await live(conn, project_id, claims.get("session_id", ""))
    if session is None or session.user.user_id != claims.get("sub"):
        raise session_ended()
    return session


def guesser(request: Request, project_id: str) -> Guesser:
    """Whoever may be guessing passwords and codes of this project."""
    host = request.client.host if request.client else ""
    # Whoever is on this machine has all of its addresses.
    return Guesser(project_id, "" if is_loopback_address(host) else host)


def session_ended() -> GatewayError:
    return _refused("The session of this access token has ended. Sign in again.")


def _refused(message: str) -> GatewayError:
    return GatewayError(401, "authentication_required", message)


# The project of the key is what `admitted(request, Project)` gives; of USER it is `admitted(request, Session)`.
APP = Policy(
    "application",
    "sends a key of the project.",
    frozenset({Kind.ANON_KEY, Kind.SERVICE_KEY}),
    app_of,
    of_the_caller=True,
)
APP_OWNER = Policy(
    "owner of the application",
    "sends the service key of the project.",
    frozenset({Kind.SERVICE_KEY}),
    owner_of,
    of_the_caller=True,
)
USER = Policy(
    "user",
    "sends the access token of a user whose session lives.",
    frozenset({Kind.USER_TOKEN}),
    session_of,
    of_the_caller=True,
)
APP_OR_USER = Policy(
    "application or user",
    "sends a key of the project and a refresh token of a user, or the access token of one.",
    frozenset({Kind.ANON_KEY, Kind.SERVICE_KEY, Kind.USER_TOKEN}),
    within="session_of",
    of_the_caller=True,
)
