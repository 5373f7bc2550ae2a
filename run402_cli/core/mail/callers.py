"""Who calls a mail route: whoever holds the service key of a project."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from run402_cli.core.callers.auth import bearer_of, key_holder
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.mail import mailbox_rows
from run402_cli.core.mail.mailbox_rows import Mailbox
from run402_cli.core.projects.rows import Project
from run402_cli.core.web.routing import Policy


async def service_project(conn: Connection, request: Request) -> Project:
    """The project of the service key sent. 401 authentication_required."""
    for key in (request.headers.get("apikey"), bearer_of(request)):
        holder = await key_holder(conn, key) if key else None
        if holder is not None and holder[1] == "service":
            return holder[0]
    raise GatewayError(
        401,
        "authentication_required",
        "Mailboxes need the project's service key, as `Authorization: Bearer <service_key>`.",
        code="AUTHENTICATION_REQUIRED",
    )


@dataclass(frozen=True, slots=True)
class MailboxOwner:
    """What the policy of a mailbox's routes admits."""

    project: Project
    mailbox: Mailbox


async def mailbox_owner(conn: Connection, request: Request) -> MailboxOwner:
    """The mailbox of the path. 401, 404 mailbox_not_found, 403 mailbox_forbidden for another project's."""
    project = await service_project(conn, request)
    mailbox = await mailbox_rows.fetch(conn, request.path_params["mailbox_id"])
    if mailbox.project_id != project.project_id:
        raise GatewayError(
            403,
            "mailbox_forbidden",
            f"{mailbox.mailbox_id} belongs to another project than the key.",
            code="MAILBOX_FORBIDDEN",
        )
    return MailboxOwner(project, mailbox)


# The project of the key is what `admitted(request, Project)` gives.
PROJECT_SERVICE_KEY = Policy(
    "service key of a project", "holds the service key of a project, and speaks for that one.", service_project
)
MAILBOX_OWNER = Policy(
    "owner of the mailbox",
    "holds the service key of the project that the mailbox of the path belongs to.",
    mailbox_owner,
)
