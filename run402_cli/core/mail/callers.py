"""Who calls a mail route: whoever holds the service key of a project."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from run402_cli.core.callers.auth import key_owner
from run402_cli.core.callers.kinds import Kind
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.mail import mailbox_rows
from run402_cli.core.mail.mailbox_rows import Mailbox
from run402_cli.core.projects.rows import Project
from run402_cli.core.web.routing import Policy


@dataclass(frozen=True, slots=True)
class MailboxOwner:
    """What the policy of a mailbox's routes admits."""

    project: Project
    mailbox: Mailbox


async def mailbox_owner(conn: Connection, request: Request) -> MailboxOwner:
    """The mailbox of the path. 401, 404 mailbox_not_found, 403 mailbox_forbidden for another project's."""
    project = await key_owner(conn, request)
    mailbox = await mailbox_rows.fetch(conn, request.path_params["mailbox_id"])
    if mailbox.project_id != project.project_id:
        raise GatewayError(403, "mailbox_forbidden", f"{mailbox.mailbox_id} belongs to another project than the key.")
    return MailboxOwner(project, mailbox)


MAILBOX_OWNER = Policy(
    "owner of the mailbox",
    "holds the service key of the project that the mailbox of the path belongs to.",
    frozenset({Kind.SERVICE_KEY}),
    mailbox_owner,
)
