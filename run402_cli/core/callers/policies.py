"""Who may call: the policies that rooms share. A room with a caller of its own has a callers.py."""

from __future__ import annotations

from starlette.requests import Request

from run402_cli.core.callers.auth import key_holder, key_owner, presented_key, project_by_id, require_service_key
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.projects.rows import Project
from run402_cli.core.web.routing import Policy


async def _project_of_path(conn: Connection, request: Request) -> Project:
    return await project_by_id(conn, request.path_params["project_id"])


async def _service_key_of_path(conn: Connection, request: Request) -> Project:
    return await require_service_key(conn, request, request.path_params["project_id"])


async def _service_key_no_other(conn: Connection, request: Request) -> Project:
    """The project of the path, if the caller holds its service key. 401 without a key, 403 FORBIDDEN for any other."""
    project = await project_by_id(conn, request.path_params["project_id"])
    key = presented_key(request)
    if not key:
        raise GatewayError(
            401,
            "authentication_required",
            f"Send the service key of {project.project_id} in the apikey header or as bearer token.",
        )
    holder = await key_holder(conn, key)
    if holder is None or holder[1] != "service" or holder[0].project_id != project.project_id:
        raise GatewayError(403, "forbidden", f"The key sent is not the service key of {project.project_id}.")
    return project


# The project of the path is what `admitted(request, Project)` gives.
OWNER = Policy(
    "owner",
    "is a program on this machine; a signed wallet must own the project of the path.",
    _project_of_path,
)
SERVICE_KEY = Policy("service key", "holds the service key of the project of the path.", _service_key_of_path)
OWNER_OF_WHAT_IT_NAMES = Policy(
    "owner of what it names",
    "is a program on this machine; a signed wallet must own the project that the body or the row names.",
    within="project_by_id",
)
KEY_OR_NAME = Policy(
    "key or name",
    "sends a key of the project, or is a program on this machine that names the project.",
    within="caller_project",
)
SERVICE_KEY_NO_OTHER = Policy(
    "service key, no other key",
    "holds the service key of the project of the path; 403 for another key.",
    _service_key_no_other,
)
# Here it is the project of the key.
SERVICE_KEY_OF_A_PROJECT = Policy(
    "service key of a project", "holds the service key of a project, and speaks for that one.", key_owner
)
