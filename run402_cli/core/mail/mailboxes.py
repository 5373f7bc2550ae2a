"""Mailboxes of a project: addresses that send to the outbox, and receive from other mailboxes of this gateway.

See docs/local-gateway-users.md, "Mail".
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from run402_cli import advice
from run402_cli.core.callers.auth import bearer_of, key_holder
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.web.http import read_object, reply
from run402_cli.core.web.instants import iso

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

MAX_MAILBOXES = 5
FOOTER_POLICIES = ("run402_transparency", "none")
PROVIDER = "outbox"
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
# Names that people trust to be the operator's.
RESERVED = frozenset(
    {
        *("abuse", "admin", "administrator", "api", "billing", "hello", "hostmaster", "info", "mailer-daemon"),
        *("no-reply", "noreply", "postmaster", "root", "security", "support", "team", "webmaster"),
    }
)
_COLUMNS = "mailbox_id, project_id, slug, address, footer_policy, created_at, updated_at"
_ROLES = ("default_outbound_mailbox_id", "auth_sender_mailbox_id")


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


def readiness() -> dict[str, Any]:
    """The provider is the outbox, and always ready."""
    return {"status": "configured", "provider": PROVIDER}


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


async def mailbox_of(conn: Connection, request: Request) -> tuple[Project, Mailbox]:
    """The mailbox of the path. 401, 404 mailbox_not_found, 403 mailbox_forbidden for another project's."""
    project = await service_project(conn, request)
    mailbox_id = request.path_params["mailbox_id"]
    found = await _fetch(conn, "mailbox_id = %s AND tombstoned_at IS NULL", mailbox_id)
    if not found:
        raise _not_found(mailbox_id)
    if found[0].project_id != project.project_id:
        raise GatewayError(
            403,
            "mailbox_forbidden",
            f"{mailbox_id} belongs to another project than the key.",
            code="MAILBOX_FORBIDDEN",
        )
    return project, found[0]


def _not_found(mailbox_id: str) -> GatewayError:
    return GatewayError(
        404,
        "mailbox_not_found",
        f"There is no mailbox {mailbox_id}. `run402 email mailboxes` lists the project's.",
        code="MAILBOX_NOT_FOUND",
    )


async def of_project(conn: Connection, project_id: str) -> list[Mailbox]:
    """The live mailboxes, oldest first."""
    return await _fetch(conn, "project_id = %s AND tombstoned_at IS NULL", project_id)


async def at_address(conn: Connection, address: str) -> Mailbox | None:
    """The live mailbox that receives at an address, whichever project it belongs to."""
    found = await _fetch(conn, "address = lower(%s) AND tombstoned_at IS NULL", address)
    return found[0] if found else None


async def _fetch(conn: Connection, condition: str, value: str) -> list[Mailbox]:
    query = f"SELECT {_COLUMNS} FROM internal.core_mailboxes WHERE {condition} ORDER BY created_at, mailbox_id"
    async with conn.cursor(row_factory=class_row(Mailbox)) as cursor:
        return await (await cursor.execute(query.encode(), (value.replace("\0", ""),))).fetchall()


async def roles_of(conn: Connection, project_id: str) -> dict[str, str | None]:
    """`{default_outbound_mailbox_id, auth_sender_mailbox_id}`, null for none."""
    cursor = await conn.execute(
        f"SELECT {', '.join(_ROLES)} FROM internal.core_project_mailbox_settings WHERE project_id = %s".encode(),
        (project_id,),
    )
    row = await cursor.fetchone()
    return dict(zip(_ROLES, row or (None, None), strict=True))


async def _view(conn: Connection, project: Project, mailbox: Mailbox, roles: dict[str, str | None]) -> dict[str, Any]:
    cursor = await conn.execute(
        "SELECT count(*) FILTER (WHERE created_at >= date_trunc('day', now(), 'UTC')), count(DISTINCT lower(to_address))"
        " FROM internal.core_email_messages WHERE mailbox_id = %s AND direction = 'outbound'",
        (mailbox.mailbox_id,),
    )
    counts: Any = await cursor.fetchone()
    return {
        "mailbox_id": mailbox.mailbox_id,
        "address": mailbox.address,
        "managed_address": mailbox.address,
        "slug": mailbox.slug,
        "project_id": mailbox.project_id,
        "status": "active",
        "sends_today": counts[0],
        "unique_recipients": counts[1],
        "is_default_outbound": roles["default_outbound_mailbox_id"] == mailbox.mailbox_id,
        "is_auth_sender": roles["auth_sender_mailbox_id"] == mailbox.mailbox_id,
        "can_send": True,
        "send_blocked_reason": None,
        "can_receive": True,
        "receive_blocked_reason": None,
        "provider_readiness": readiness(),
        "domain_kind": "managed",
        "address_domain": domain_of(project),
        "managed_domain": domain_of(project),
        "custom_domain_ready": False,
        "footer_policy": mailbox.footer_policy,
        "effective_footer_policy": mailbox.footer_policy,
        "footer_policy_locked_reason": None,
        "created_at": iso(mailbox.created_at),
        "updated_at": iso(mailbox.updated_at),
        "tombstoned_at": None,
    }


async def _listing(conn: Connection, project: Project) -> dict[str, Any]:
    roles = await roles_of(conn, project.project_id)
    found = await of_project(conn, project.project_id)
    create = advice.action(
        "create_mailbox",
        "email",
        "create",
        advice.Blank("slug"),
        "--project",
        project.project_id,
        why="Mail is sent from a mailbox; the project has none.",
    )
    return {
        "mailboxes": [await _view(conn, project, mailbox, roles) for mailbox in found],
        "mailbox_settings": roles,
        "provider_readiness": readiness(),
        "inbound_provider_readiness": readiness(),
        "next_actions": [] if found else [create],
    }


async def list_mailboxes(request: Request) -> Response:
    """GET /mailboxes/v1 (service key): `{mailboxes, mailbox_settings, provider_readiness, next_actions}`."""
    async with gateway_of(request).connection() as conn:
        return reply(await _listing(conn, await service_project(conn, request)))


async def create_mailbox(request: Request) -> Response:
    """POST /mailboxes/v1 (service key) `{slug}`: 201 the mailbox. The first one becomes the default outbound mailbox.

    400 invalid_request; 409 mailbox_limit_reached (five), slug_already_in_use (also by a deleted mailbox).
    """
    body = await read_object(request)
    async with gateway_of(request).connection() as conn, conn.transaction():
        project = await service_project(conn, request)
        slug = _checked_slug(body.get("slug"))
        # Two creations at once must not both be the fifth, or the first.
        await conn.execute(
            "SELECT 1 FROM internal.core_projects WHERE project_id = %s FOR NO KEY UPDATE", (project.project_id,)
        )
        mailbox = await _insert(conn, project, slug)
        await conn.execute(
            "INSERT INTO internal.core_project_mailbox_settings (project_id, default_outbound_mailbox_id)"
            " VALUES (%(project)s, %(id)s) ON CONFLICT (project_id) DO UPDATE SET default_outbound_mailbox_id ="
            " coalesce(core_project_mailbox_settings.default_outbound_mailbox_id, %(id)s)",
            {"project": project.project_id, "id": mailbox.mailbox_id},
        )
        roles = await roles_of(conn, project.project_id)
        view = await _view(conn, project, mailbox, roles)
    return reply({**view, "mailbox_settings": roles, "next_actions": []}, 201)


async def _insert(conn: Connection, project: Project, slug: str) -> Mailbox:
    taken = await conn.execute(
        "SELECT 1 FROM internal.core_mailboxes WHERE project_id = %s AND slug = %s", (project.project_id, slug)
    )
    if await taken.fetchone():
        raise GatewayError(
            409,
            "slug_already_in_use",
            f"{project.project_id} has, or had, a mailbox {slug}: an address is never given out twice. Choose another slug.",
            code="SLUG_ALREADY_IN_USE",
        )
    if len(await of_project(conn, project.project_id)) >= MAX_MAILBOXES:
        raise GatewayError(
            409,
            "mailbox_limit_reached",
            f"A project has at most {MAX_MAILBOXES} mailboxes. Delete one: run402 email delete <slug> --confirm",
            code="MAILBOX_LIMIT_REACHED",
        )
    values = (f"mbx_{secrets.token_hex(16)}", project.project_id, slug, f"{slug}@{domain_of(project)}")
    query = (
        "INSERT INTO internal.core_mailboxes (mailbox_id, project_id, slug, address) VALUES (%s, %s, %s, %s)"
        f" RETURNING {_COLUMNS}"
    )
    async with conn.cursor(row_factory=class_row(Mailbox)) as cursor:
        made = await (await cursor.execute(query.encode(), values)).fetchone()
    assert made is not None
    return made


def _checked_slug(value: Any) -> str:
    slug = value if isinstance(value, str) else ""
    if not 3 <= len(slug) <= 63 or not _SLUG.fullmatch(slug) or "--" in slug:
        said = "must have 3 to 63 lower-case letters, digits and single hyphens, no hyphen at either end"
        raise GatewayError(400, "invalid_request", f"`slug` {said}.", field="slug")
    if slug in RESERVED:
        raise GatewayError(
            400,
            "invalid_request",
            f"{slug} is a reserved name. Choose another slug, such as news or bookings.",
            code="RESERVED_SLUG",
            field="slug",
        )
    return slug


async def change_roles(request: Request) -> Response:
    """PATCH /mailboxes/v1/settings (service key) `{default_outbound_mailbox_id?, auth_sender_mailbox_id?}`: the list.

    null clears a role. 400 invalid_request; 404 mailbox_not_found.
    """
    body = await read_object(request)
    if not body or set(body) - set(_ROLES) or not all(isinstance(value, str | None) for value in body.values()):
        raise GatewayError(
            400, "invalid_request", f"Send {' or '.join(_ROLES)}: the id of a mailbox, or null for none."
        )
    async with gateway_of(request).connection() as conn, conn.transaction():
        project = await service_project(conn, request)
        known = {mailbox.mailbox_id for mailbox in await of_project(conn, project.project_id)}
        for value in body.values():
            if value is not None and value not in known:
                raise _not_found(value)
        roles = {**await roles_of(conn, project.project_id), **body}
        await conn.execute(
            "INSERT INTO internal.core_project_mailbox_settings VALUES (%(p)s, %(out)s, %(auth)s) ON CONFLICT (project_id)"
            " DO UPDATE SET default_outbound_mailbox_id = %(out)s, auth_sender_mailbox_id = %(auth)s",
            {"p": project.project_id, "out": roles[_ROLES[0]], "auth": roles[_ROLES[1]]},
        )
        return reply(await _listing(conn, project))


async def get_mailbox(request: Request) -> Response:
    """GET /mailboxes/v1/{mailbox_id} (service key): the mailbox. 404 mailbox_not_found, 403 mailbox_forbidden."""
    async with gateway_of(request).connection() as conn:
        project, mailbox = await mailbox_of(conn, request)
        return reply(await _view(conn, project, mailbox, await roles_of(conn, project.project_id)))


async def change_mailbox(request: Request) -> Response:
    """PATCH /mailboxes/v1/{mailbox_id} (service key) `{footer_policy: run402_transparency|none}`: the mailbox."""
    policy = (await read_object(request)).get("footer_policy")
    if policy not in FOOTER_POLICIES:
        said = f"`footer_policy` must be one of {', '.join(FOOTER_POLICIES)}."
        raise GatewayError(400, "invalid_request", said, field="footer_policy")
    async with gateway_of(request).connection() as conn:
        project, mailbox = await mailbox_of(conn, request)
        query = "UPDATE internal.core_mailboxes SET footer_policy = %s, updated_at = now() WHERE mailbox_id = %s"
        await conn.execute(query, (policy, mailbox.mailbox_id))
        project, mailbox = await mailbox_of(conn, request)
        return reply(await _view(conn, project, mailbox, await roles_of(conn, project.project_id)))


async def delete_mailbox(request: Request) -> Response:
    """DELETE /mailboxes/v1/{mailbox_id} (service key): with its messages and webhooks, `{status, mailbox_id, address}`."""
    async with gateway_of(request).connection() as conn, conn.transaction():
        _, mailbox = await mailbox_of(conn, request)
        for table in ("core_email_messages", "core_webhook_deliveries", "core_mailbox_webhooks"):
            await conn.execute(f"DELETE FROM internal.{table} WHERE mailbox_id = %s".encode(), (mailbox.mailbox_id,))
        for role in _ROLES:
            await conn.execute(
                f"UPDATE internal.core_project_mailbox_settings SET {role} = NULL WHERE {role} = %s".encode(),
                (mailbox.mailbox_id,),
            )
        await conn.execute(
            "UPDATE internal.core_mailboxes SET tombstoned_at = now(), updated_at = now() WHERE mailbox_id = %s",
            (mailbox.mailbox_id,),
        )
    address = mailbox.address
    body = {"status": "deleted", "mailbox_id": mailbox.mailbox_id, "address": address, "managed_address": address}
    return reply(body)


async def sender_of(conn: Connection, project: Project) -> tuple[str | None, str]:
    """(mailbox id or None, address) that sign-in mails come from."""
    auth_sender = (await roles_of(conn, project.project_id))["auth_sender_mailbox_id"]
    for mailbox in await of_project(conn, project.project_id):
        if mailbox.mailbox_id == auth_sender:
            return mailbox.mailbox_id, mailbox.address
    return None, f"no-reply@{domain_of(project)}"


def limit_of(request: Request, default: int, most: int) -> int:
    """`limit` of the query; above the most it means the most. 400 invalid_request."""
    text = request.query_params.get("limit", str(default))
    if not text.isascii() or not text.isdigit() or int(text[:9]) < 1:
        raise GatewayError(400, "invalid_request", f"`limit` must be a whole number from 1 to {most}.", field="limit")
    return min(int(text[:9]), most)


ROUTES = [
    Route("/mailboxes/v1", list_mailboxes, methods=["GET"]),
    Route("/mailboxes/v1", create_mailbox, methods=["POST"]),
    Route("/mailboxes/v1/settings", change_roles, methods=["PATCH"]),
    Route("/mailboxes/v1/{mailbox_id}", get_mailbox, methods=["GET"]),
    Route("/mailboxes/v1/{mailbox_id}", change_mailbox, methods=["PATCH"]),
    Route("/mailboxes/v1/{mailbox_id}", delete_mailbox, methods=["DELETE"]),
]
