"""Who calls a route of stored objects."""

from __future__ import annotations

from starlette.requests import Request

from run402_cli.core.callers.auth import key_owner
from run402_cli.core.db import Connection
from run402_cli.core.projects.rows import Project
from run402_cli.core.storage import objects
from run402_cli.core.storage.reads import is_signed, requested_key
from run402_cli.core.web.routing import Policy


async def owner(conn: Connection, request: Request) -> Project:
    """The project whose service key the request holds; 401 authentication_required otherwise."""
    problem = "This route needs a project's service key, as `apikey` or `Authorization: Bearer`."
    return await key_owner(conn, request, problem, code="AUTHENTICATION_REQUIRED")


def _holder_of_the_url(request: Request) -> None:
    """404 storage_not_found, whatever is wrong with the signature."""
    project_id, key = request.path_params["project_id"], requested_key(request, b"/storage/signed/")
    if not is_signed(request, project_id, key, request.query_params.get("sha256")):
        raise objects.not_found(project_id, key)


# The project of the key is what `admitted(request, Project)` gives.
PROJECT_OF_KEY = Policy(
    "service key of a project", "holds the service key of a project, and speaks for that one.", owner
)
SIGNED_URL = Policy("signed URL", "has a URL that the gateway signed for this object.", alone=_holder_of_the_url)
PUBLIC_OR_SIGNED = Policy(
    "public or signed",
    "needs no credential for what is public, and for what is private a URL that the gateway signed.",
    within="is_signed",
)
