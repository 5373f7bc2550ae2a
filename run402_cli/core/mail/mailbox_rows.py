"""The tables of mailboxes and of what a project uses each for."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.projects.rows import Project

DDL = """
CREATE TABLE IF NOT EXISTS internal.core_mailboxes (
  mailbox_id text PRIMARY KEY,
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  slug text NOT NULL,
  address text NOT NULL UNIQUE,
  footer_policy text NOT NULL DEFAULT 'none',
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  tombstoned_at timestamptz
);
CREATE INDEX IF NOT EXISTS core_mailboxes_project ON internal.core_mailboxes (project_id);
CREATE TABLE IF NOT EXISTS internal.core_project_mailbox_settings (
  project_id text PRIMARY KEY REFERENCES internal.core_projects ON DELETE CASCADE,
  default_outbound_mailbox_id text REFERENCES internal.core_mailboxes ON DELETE SET NULL,
  auth_sender_mailbox_id text REFERENCES internal.core_mailboxes ON DELETE SET NULL
);
"""
_COLUMNS = "mailbox_id, project_id, slug, address, footer_policy, created_at, updated_at"
MAX_MAILBOXES = 5
ROLES = ("default_outbound_mailbox_id", "auth_sender_mailbox_id")


@dataclass(frozen=True, slots=True)
class Mailbox:
    mailbox_id: str
    project_id: str
    slug: str
    address: str
    footer_policy: str
    created_at: datetime
    updated_at: datetime


def domain_of(project: Project) -> str:
    """What stands after the @ of a project's addresses: a name below .localhost leads nowhere else."""
    return f"{project.public_id.replace('_', '-')}.mail.localhost"


def not_found(mailbox_id: str) -> GatewayError:
    """404 mailbox_not_found."""
    return GatewayError(
        404, "mailbox_not_found", f"There is no mailbox {mailbox_id}. `run402 email mailboxes` lists the project's."
    )


async def fetch(conn: Connection, mailbox_id: str) -> Mailbox:
    """The live mailbox, whichever project it belongs to, or 404 mailbox_not_found."""
    found = await _where(conn, "mailbox_id = %s AND tombstoned_at IS NULL", mailbox_id)
    if not found:
        raise not_found(mailbox_id)
    return found[0]


async def of_project(conn: Connection, project_id: str) -> list[Mailbox]:
    """The live mailboxes, oldest first."""
    return await _where(conn, "project_id = %s AND tombstoned_at IS NULL", project_id)


async def at_address(conn: Connection, address: str) -> Mailbox | None:
    """The live mailbox that receives at an address, whichever project it belongs to."""
    found = await _where(conn, "address = lower(%s) AND tombstoned_at IS NULL", address)
    return found[0] if found else None


async def _where(conn: Connection, condition: str, value: str) -> list[Mailbox]:
    query = f"SELECT {_COLUMNS} FROM internal.core_mailboxes WHERE {condition} ORDER BY created_at, mailbox_id"
    async with conn.cursor(row_factory=class_row(Mailbox)) as cursor:
        return await (await cursor.execute(query.encode(), (value.replace("\0", ""),))).fetchall()


async def roles(conn: Connection, project_id: str) -> dict[str, str | None]:
    """`{default_outbound_mailbox_id, auth_sender_mailbox_id}`, null for none."""
    cursor = await conn.execute(
        f"SELECT {', '.join(ROLES)} FROM internal.core_project_mailbox_settings WHERE project_id = %s".encode(),
        (project_id,),
    )
    row = await cursor.fetchone()
    return dict(zip(ROLES, row or (None, None), strict=True))


async def sender_of(conn: Connection, project: Project) -> tuple[str | None, str]:
    """(mailbox id or None, address) that sign-in mails come from."""
    auth_sender = (await roles(conn, project.project_id))["auth_sender_mailbox_id"]
    for mailbox in await of_project(conn, project.project_id):
        if mailbox.mailbox_id == auth_sender:
            return mailbox.mailbox_id, mailbox.address
    return None, f"no-reply@{domain_of(project)}"


async def insert(conn: Connection, project: Project, slug: str) -> Mailbox:
    """A new mailbox; inside a transaction. 409 slug_already_in_use (also by a deleted one), mailbox_limit_reached.

    The first one of a project becomes its default outbound mailbox.
    """
    # Two creations at once must not both be the fifth, or the first.
    await conn.execute(
        "SELECT 1 FROM internal.core_projects WHERE project_id = %s FOR NO KEY UPDATE", (project.project_id,)
    )
    taken = await conn.execute(
        "SELECT 1 FROM internal.core_mailboxes WHERE project_id = %s AND slug = %s", (project.project_id, slug)
    )
    if await taken.fetchone():
        raise GatewayError(
            409,
            "slug_already_in_use",
            f"{project.project_id} has, or had, a mailbox {slug}: an address is never given out twice. Choose another slug.",
        )
    if len(await of_project(conn, project.project_id)) >= MAX_MAILBOXES:
        raise GatewayError(
            409,
            "mailbox_limit_reached",
            f"A project has at most {MAX_MAILBOXES} mailboxes. Delete one: run402 email delete <slug> --confirm",
        )
    values = (f"mbx_{secrets.token_hex(16)}", project.project_id, slug, f"{slug}@{domain_of(project)}")
    query = (
        "INSERT INTO internal.core_mailboxes (mailbox_id, project_id, slug, address) VALUES (%s, %s, %s, %s)"
        f" RETURNING {_COLUMNS}"
    )
    async with conn.cursor(row_factory=class_row(Mailbox)) as cursor:
        made = await (await cursor.execute(query.encode(), values)).fetchone()
    assert made is not None
    await conn.execute(
        "INSERT INTO internal.core_project_mailbox_settings (project_id, default_outbound_mailbox_id)"
        " VALUES (%(project)s, %(id)s) ON CONFLICT (project_id) DO UPDATE SET default_outbound_mailbox_id ="
        " coalesce(core_project_mailbox_settings.default_outbound_mailbox_id, %(id)s)",
        {"project": project.project_id, "id": made.mailbox_id},
    )
    return made


async def set_roles(conn: Connection, project_id: str, roles: Mapping[str, str | None]) -> None:
    """`roles` names both."""
    await conn.execute(
        "INSERT INTO internal.core_project_mailbox_settings VALUES (%(p)s, %(out)s, %(auth)s) ON CONFLICT (project_id)"
        " DO UPDATE SET default_outbound_mailbox_id = %(out)s, auth_sender_mailbox_id = %(auth)s",
        {"p": project_id, "out": roles[ROLES[0]], "auth": roles[ROLES[1]]},
    )


async def set_footer(conn: Connection, mailbox_id: str, policy: str) -> None:
    query = "UPDATE internal.core_mailboxes SET footer_policy = %s, updated_at = now() WHERE mailbox_id = %s"
    await conn.execute(query, (policy, mailbox_id))


async def delete(conn: Connection, mailbox_id: str) -> None:
    """With its messages and webhooks; the row stays, so that nobody gets the address again. Inside a transaction."""
    for table in ("core_email_messages", "core_webhook_deliveries", "core_mailbox_webhooks"):
        await conn.execute(f"DELETE FROM internal.{table} WHERE mailbox_id = %s".encode(), (mailbox_id,))
    for role in ROLES:
        await conn.execute(
            f"UPDATE internal.core_project_mailbox_settings SET {role} = NULL WHERE {role} = %s".encode(),
            (mailbox_id,),
        )
    await conn.execute(
        "UPDATE internal.core_mailboxes SET tombstoned_at = now(), updated_at = now() WHERE mailbox_id = %s",
        (mailbox_id,),
    )
