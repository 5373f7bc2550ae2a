"""Who calls a CI route: the owner of a project, or a workflow."""

from __future__ import annotations

from starlette.requests import Request

from run402_cli.core.callers.auth import project_by_id
from run402_cli.core.callers.kinds import Kind
from run402_cli.core.callers.policies import OWNERS
from run402_cli.core.ci import binding_rows
from run402_cli.core.ci.binding_rows import Binding
from run402_cli.core.db import Connection
from run402_cli.core.projects.rows import Project
from run402_cli.core.web.routing import Policy


async def _project_of_query(conn: Connection, request: Request) -> Project:
    return await project_by_id(conn, request.query_params.get("project", ""))


async def _binding_of_path(conn: Connection, request: Request) -> Binding:
    """The binding, unless its project belongs to another wallet than the caller's."""
    binding = await binding_rows.fetch(conn, request.path_params["binding_id"])
    await project_by_id(conn, binding.project_id)
    return binding


PROJECT_OWNER = Policy(
    "owner of the project",
    "is an owner of the project that `project` names.",
    OWNERS,
    _project_of_query,
)
BINDING_OWNER = Policy(
    "owner of the binding",
    "is an owner of the project of the binding.",
    OWNERS,
    _binding_of_path,
)
WORKFLOW = Policy(
    "workflow",
    "sends the OIDC token of a workflow that a binding allows.",
    frozenset({Kind.WORKFLOW_TOKEN}),
    within="oidc.claims",
)
