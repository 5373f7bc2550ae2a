"""Mailboxes of a project: addresses that send to the outbox, and receive from other mailboxes of this gateway.

See docs/local-gateway-users.md, "Mail".
"""

from __future__ import annotations

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from run402_cli import advice
from run402_cli.core.callers.policies import SERVICE_KEY_OF_A_PROJECT
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError, bad_field
from run402_cli.core.gateway import gateway_of
from run402_cli.core.mail import mailbox_rows, message_rows
from run402_cli.core.mail.callers import MAILBOX_OWNER, MailboxOwner
from run402_cli.core.mail.mailbox_rows import ROLES, Mailbox
from run402_cli.core.mail.messages import PROVIDER
from run402_cli.core.projects.rows import Project
from run402_cli.core.web.http import read_object, reply
from run402_cli.core.web.instants import iso
from run402_cli.core.web.routing import Route, admitted

FOOTER_POLICIES = ("run402_transparency", "none")
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
# Names that people trust to be the operator's.
RESERVED = frozenset(
    {
        *("abuse", "admin", "administrator", "api", "billing", "hello", "hostmaster", "info", "mailer-daemon"),
        *("no-reply", "noreply", "postmaster", "root", "security", "support", "team", "webmaster"),
    }
)


def readiness() -> dict[str, Any]:
    """The provider is the outbox, and always ready."""
    return {"status": "configured", "provider": PROVIDER}


async def _view(conn: Connection, project: Project, mailbox: Mailbox, roles: dict[str, str | None]) -> dict[str, Any]:
    sends_today, recipients = await message_rows.sent_counts(conn, mailbox.mailbox_id)
    return {
        "mailbox_id": mailbox.mailbox_id,
        "address": mailbox.address,
        "managed_address": mailbox.address,
        "slug": mailbox.slug,
        "project_id": mailbox.project_id,
        "status": "active",
        "sends_today": sends_today,
        "unique_recipients": recipients,
        "is_default_outbound": roles["default_outbound_mailbox_id"] == mailbox.mailbox_id,
        "is_auth_sender": roles["auth_sender_mailbox_id"] == mailbox.mailbox_id,
        "can_send": True,
        "send_blocked_reason": None,
        "can_receive": True,
        "receive_blocked_reason": None,
        "provider_readiness": readiness(),
        "domain_kind": "managed",
        "address_domain": mailbox_rows.domain_of(project),
        "managed_domain": mailbox_rows.domain_of(project),
        "custom_domain_ready": False,
        "footer_policy": mailbox.footer_policy,
        "effective_footer_policy": mailbox.footer_policy,
        "footer_policy_locked_reason": None,
        "created_at": iso(mailbox.created_at),
        "updated_at": iso(mailbox.updated_at),
        "tombstoned_at": None,
    }


async def _listing(conn: Connection, project: Project) -> dict[str, Any]:
    roles = await mailbox_rows.roles(conn, project.project_id)
    found = await mailbox_rows.of_project(conn, project.project_id)
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
        return reply(await _listing(conn, admitted(request, Project)))


async def create_mailbox(request: Request) -> Response:
    """POST /mailboxes/v1 (service key) `{slug}`: 201 the mailbox. The first one becomes the default outbound mailbox.

    400 invalid_request; 409 mailbox_limit_reached (five), slug_already_in_use (also by a deleted mailbox).
    """
    project = admitted(request, Project)
    slug = _checked_slug((await read_object(request)).get("slug"))
    async with gateway_of(request).connection() as conn, conn.transaction():
        mailbox = await mailbox_rows.insert(conn, project, slug)
        roles = await mailbox_rows.roles(conn, project.project_id)
        view = await _view(conn, project, mailbox, roles)
    return reply({**view, "mailbox_settings": roles, "next_actions": []}, 201)


def _checked_slug(value: Any) -> str:
    slug = value if isinstance(value, str) else ""
    if not 3 <= len(slug) <= 63 or not _SLUG.fullmatch(slug) or "--" in slug:
        said = "must have 3 to 63 lower-case letters, digits and single hyphens, no hyphen at either end"
        raise GatewayError(400, "invalid_request", f"`slug` {said}.", code=None, field="slug")
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
    project = admitted(request, Project)
    body = await read_object(request)
    if not body or set(body) - set(ROLES) or not all(isinstance(value, str | None) for value in body.values()):
        raise GatewayError(
            400, "invalid_request", f"Send {' or '.join(ROLES)}: the id of a mailbox, or null for none.", code=None
        )
    async with gateway_of(request).connection() as conn, conn.transaction():
        known = {mailbox.mailbox_id for mailbox in await mailbox_rows.of_project(conn, project.project_id)}
        for value in body.values():
            if value is not None and value not in known:
                raise mailbox_rows.not_found(value)
        roles = {**await mailbox_rows.roles(conn, project.project_id), **body}
        await mailbox_rows.set_roles(conn, project.project_id, roles)
        return reply(await _listing(conn, project))


async def get_mailbox(request: Request) -> Response:
    """GET /mailboxes/v1/{mailbox_id} (service key): the mailbox. 404 mailbox_not_found, 403 mailbox_forbidden."""
    owner = admitted(request, MailboxOwner)
    async with gateway_of(request).connection() as conn:
        roles = await mailbox_rows.roles(conn, owner.project.project_id)
        return reply(await _view(conn, owner.project, owner.mailbox, roles))


async def change_mailbox(request: Request) -> Response:
    """PATCH /mailboxes/v1/{mailbox_id} (service key) `{footer_policy: run402_transparency|none}`: the mailbox."""
    policy = (await read_object(request)).get("footer_policy")
    if policy not in FOOTER_POLICIES:
        raise bad_field("footer_policy", f"one of {', '.join(FOOTER_POLICIES)}")
    owner = admitted(request, MailboxOwner)
    async with gateway_of(request).connection() as conn:
        await mailbox_rows.set_footer(conn, owner.mailbox.mailbox_id, policy)
        mailbox = await mailbox_rows.fetch(conn, owner.mailbox.mailbox_id)
        roles = await mailbox_rows.roles(conn, owner.project.project_id)
        return reply(await _view(conn, owner.project, mailbox, roles))


async def delete_mailbox(request: Request) -> Response:
    """DELETE /mailboxes/v1/{mailbox_id} (service key): with its messages and webhooks, `{status, mailbox_id, address}`."""
    mailbox = admitted(request, MailboxOwner).mailbox
    async with gateway_of(request).connection() as conn, conn.transaction():
        await mailbox_rows.delete(conn, mailbox.mailbox_id)
    address = mailbox.address
    body = {"status": "deleted", "mailbox_id": mailbox.mailbox_id, "address": address, "managed_address": address}
    return reply(body)


ROUTES = [
    Route("/mailboxes/v1", list_mailboxes, methods=["GET"], who=SERVICE_KEY_OF_A_PROJECT),
    Route("/mailboxes/v1", create_mailbox, methods=["POST"], who=SERVICE_KEY_OF_A_PROJECT),
    Route("/mailboxes/v1/settings", change_roles, methods=["PATCH"], who=SERVICE_KEY_OF_A_PROJECT),
    Route("/mailboxes/v1/{mailbox_id}", get_mailbox, methods=["GET"], who=MAILBOX_OWNER),
    Route("/mailboxes/v1/{mailbox_id}", change_mailbox, methods=["PATCH"], who=MAILBOX_OWNER),
    Route("/mailboxes/v1/{mailbox_id}", delete_mailbox, methods=["DELETE"], who=MAILBOX_OWNER),
]
