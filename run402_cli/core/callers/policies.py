"""Who may call: the policies that rooms share. A room with a caller of its own has a callers.py."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from starlette.requests import Request

from run402_cli.core.callers.auth import key_holder, key_owner, presented_key, project_by_id, require_service_key
from run402_cli.core.callers.kinds import Kind
from run402_cli.core.callers.person import look, redeemed
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


OWNERS: Final = frozenset({Kind.CONTROL_TOKEN, Kind.ADMITTED_WALLET, Kind.SERVICE_KEY})
KEY_ALONE: Final = frozenset({Kind.SERVICE_KEY})
# The project of the path is what `admitted(request, Project)` gives.
OWNER = Policy(
    "owner",
    "sends the control token or the service key of the project of the path, or is an admitted wallet that owns it.",
    OWNERS,
    _project_of_path,
)
SERVICE_KEY = Policy(
    "service key", "holds the service key of the project of the path.", KEY_ALONE, _service_key_of_path
)
OWNER_OF_WHAT_IT_NAMES = Policy(
    "owner of what it names",
    "is an owner of the project that the body or the row names.",
    OWNERS,
    within="project_by_id",
)
# What a deploy calls.
DEPLOYER = Policy(
    "deployer",
    "is an owner, or a CI session, of the project of the path.",
    OWNERS | {Kind.CI_SESSION},
    _project_of_path,
)
DEPLOYER_OF_WHAT_IT_NAMES = Policy(
    "deployer of what it names",
    "is an owner, or a CI session, of the project that the body, the row or the key names.",
    OWNERS | {Kind.CI_SESSION},
    within="project_by_id",
)
SERVICE_KEY_NO_OTHER = Policy(
    "service key, no other key",
    "holds the service key of the project of the path; 403 for another key.",
    KEY_ALONE,
    _service_key_no_other,
)
# Here it is the project of the key.
SERVICE_KEY_OF_A_PROJECT = Policy(
    "service key of a project",
    "holds the service key of a project, and speaks for that one.",
    KEY_ALONE,
    key_owner,
    of_the_caller=True,
)
PERSON = Policy(
    "person at this machine",
    "sends the control token, or is the person with a pass that `run402 open` led to; no page reads it.",
    frozenset({Kind.CONTROL_TOKEN, Kind.PERSON}),
    alone=look,
    of_the_caller=True,
)
PERSON_AT_PROJECT = replace(
    PERSON,
    name="person at a project",
    says="is a person at this machine, as above; a wallet that is sent too must own the project.",
    of_the_caller=False,
)
TICKET_HOLDER = Policy(
    "holder of a ticket", "has a ticket that was not used yet.", frozenset({Kind.TICKET}), alone=redeemed
)
