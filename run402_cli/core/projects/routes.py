"""Project routes: create, list, read, rename, delete, usage. See docs/local-gateway.md."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import uuid
from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import Response

from run402_cli import advice
from run402_cli.core.archives import files as archives
from run402_cli.core.callers import payments, reach, siwx
from run402_cli.core.callers.auth import project_by_id
from run402_cli.core.callers.policies import OWNER, SERVICE_KEY
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import Gateway, gateway_of
from run402_cli.core.mail.mailbox_rows import of_project
from run402_cli.core.projects import rows
from run402_cli.core.projects.keys import fresh, keys_of
from run402_cli.core.projects.locks import project_lock
from run402_cli.core.projects.rows import Project, drop_project, insert_project
from run402_cli.core.releases import rows as releases
from run402_cli.core.settings import LOCAL_ORG_ID, LOCAL_TIER
from run402_cli.core.web.capabilities import capability_document
from run402_cli.core.web.http import page, query_limit, read_object, reply
from run402_cli.core.web.instants import iso
from run402_cli.core.web.routing import HOLDER_OR_WALLET, Route, admitted
from run402_cli.naming import name_key

DEFAULT_NAME = "local-project"
PURPOSE = "A new project"
MAX_NEW_NAME = 120
MAX_NAME = 200
PAGE_SIZE = 50
MAX_PAGE_SIZE = 200
# Nothing is metered on the user's own machine; the largest integer that every JSON reader keeps exact.
UNLIMITED = 2**53 - 1
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


async def create_project(request: Request) -> Response:
    """POST /projects/v1 {name?}: 201 project with keys. With Idempotency-Key a repeat returns the same project.

    The key `provision:<name>`, which clients derive from the name, asks for the project of that name: the caller's one that
    is called so now (who made it, and what it was called then, does not matter), or a new one. Any other key is a key.
    On a gateway that charges, a new project has a price; a repeat costs nothing, nor does presenting its payment again.
    Errors: 400 invalid_request; 402 PAYMENT_REQUIRED, PAYMENT_INVALID; 409 idempotency_key_conflict when the key came
    with another body before, PAYMENT_ALREADY_USED. docs/local-gateway.md
    """
    body = await read_object(request)
    name = new_name(body.get("name"))
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    payment = payments.presented(request, payments.PROJECT_PRICE, PURPOSE)
    key = payments.purchase_key(request, payment, digest)
    gateway = gateway_of(request)
    by_name = body.get("name") is not None and request.headers.get("idempotency-key") == name_key(body["name"])
    async with gateway.connection() as conn, conn.transaction():
        await rows.lock_name(conn, name)
        if by_name:
            earlier = await reach.called(conn, name)
        else:
            earlier = await _made_before(conn, key, digest) if key else None
        project = earlier or await _paid_insert(conn, request, payment, name)
        if key and (by_name or earlier is None):
            await rows.remember_key(conn, key, digest, project.project_id)
        counts = payment is not None and await payments.counted(conn, payment)
    receipt = payment.receipt(first=earlier is None) if payment is not None and counts else None
    existing = {} if earlier is None else {"existing": True}
    return reply({**core_view(gateway, project), **existing}, 201, receipt)


async def _paid_insert(conn: Connection, request: Request, payment: payments.Payment | None, name: str) -> Project:
    await payments.count(conn, request, payment, payments.PROJECT_PRICE, PURPOSE)
    project = await insert_project(conn, name, fresh(gateway_of(request).settings))
    await siwx.take_ownership(conn, project.project_id)
    return project


async def _made_before(conn: Connection, key: str, digest: str) -> Project | None:
    row = await rows.made_with(conn, key)
    if row is None:
        return None
    if row[0] != digest:
        raise GatewayError(
            409,
            "idempotency_key_conflict",
            f"This Idempotency-Key already made project {row[1]} from a different request. "
            "Repeat the same request, or use another key: run402 projects provision --idempotency-key <new_key>",
            project_id=row[1],
        )
    return await project_by_id(conn, row[1])


def new_name(value: Any) -> str:
    """The display name of a new project; a missing or blank one gets a default."""
    if value is None:
        return DEFAULT_NAME
    if not isinstance(value, str):
        raise GatewayError(400, "invalid_request", "`name` must be a string.", code=None)
    return _checked_name(value.strip(), MAX_NEW_NAME) if value.strip() else DEFAULT_NAME


def _checked_name(name: str, limit: int) -> str:
    if len(name) > limit or _CONTROL.search(name) or not _is_text(name):
        raise GatewayError(
            400,
            "invalid_request",
            f"`name` must have at most {limit} characters and no control characters.",
            code="BAD_PROJECT_NAME",
            field="name",
        )
    return name


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


async def list_projects(request: Request) -> Response:
    """GET /projects/v1 [?org_id][&limit][&after]: `{projects, has_more, next_cursor}`, oldest first, no keys.

    Of a caller that signed in with a wallet: its projects and those that no wallet owns.
    Errors: 400 invalid_request (org_id is no UUID, bad limit or cursor), 403 org_forbidden (not the local org).
    """
    limit = query_limit(request, "limit", PAGE_SIZE, MAX_PAGE_SIZE, capped=False, code=None)
    _check_org(request.query_params.get("org_id"))
    after = request.query_params.get("after")
    gateway = gateway_of(request)
    async with gateway.connection() as conn:
        position = await project_by_id(conn, after) if after else None
        projects = await reach.visible(conn, after=position, limit=limit + 1)

    def view(project: Project) -> dict[str, Any]:
        return {"id": project.project_id, **summary_view(gateway, project)}

    return reply(page("projects", projects, limit, view, lambda project: project.project_id))


def _check_org(value: str | None) -> None:
    if value is None:
        return
    try:
        given = uuid.UUID(value)
    except ValueError as exc:
        raise GatewayError(400, "invalid_request", "`org_id` must be a UUID.", code=None) from exc
    if str(given) != LOCAL_ORG_ID:
        raise GatewayError(
            403, "org_forbidden", f"A local gateway has one organization: {LOCAL_ORG_ID}.", code="NOT_AUTHORIZED"
        )


async def get_project(request: Request) -> Response:
    """GET /projects/v1/{id}: keys, endpoints and capabilities, plus name, status, last deploy and usage."""
    gateway, project = gateway_of(request), admitted(request, Project)
    async with gateway.connection() as conn:
        used = await usage(conn, gateway, project)
        last_deploy = await _last_deploy(conn, project)
        mailboxes = [mailbox.address for mailbox in await of_project(conn, project.project_id)]
    return reply(
        {
            **core_view(gateway, project),
            **summary_view(gateway, project),
            "last_deploy": last_deploy,
            "mailbox": mailboxes,
            "usage": {
                "api_calls": used["api_calls"],
                "storage_bytes": used["storage_bytes"],
                "api_calls_limit": used["api_calls_limit"],
                "storage_bytes_limit": used["storage_limit_bytes"],
            },
        }
    )


async def rename_project(request: Request) -> Response:
    """PATCH /projects/v1/{id} {name}: `{project_id, name}`.

    Errors: 400 invalid_request, 404 project_not_found, 409 project_name_taken (another project of the caller has it).
    """
    body = await read_object(request)
    name = body.get("name")
    if not isinstance(name, str) or not name.strip():
        raise GatewayError(
            400, "invalid_request", f"`name` is required: 1 to {MAX_NAME} characters.", code=None, field="name"
        )
    name, project = _checked_name(name.strip(), MAX_NAME), admitted(request, Project)
    async with gateway_of(request).connection() as conn, conn.transaction():
        await rows.lock_name(conn, name)
        if taken := await reach.called(conn, name, but=project.project_id):
            words = ("projects", "rename", "--name", advice.Blank("name"), "--project", project.project_id)
            told = {"project_id": taken.project_id} if await reach.includes(conn, taken.project_id) else {}
            raise GatewayError(
                409,
                "project_name_taken",
                f"Project {told.get('project_id', 'of the same owner')} is called {name!r} already, and a name means one "
                "project. Choose another name.",
                **told,
                field="name",
                next_actions=[advice.run(*words)],
            )
        await rows.rename(conn, project.project_id, name)
    return reply({"project_id": project.project_id, "name": name})


async def delete_project(request: Request) -> Response:
    """DELETE /projects/v1/{id}, service key: schema, rows and content references go. `{project_id, status}`."""
    gateway, project = gateway_of(request), admitted(request, Project)
    # After a deploy that is running, not into it.
    async with project_lock(gateway, project.project_id) as conn, conn.transaction():
        gone = await drop_project(conn, await project_by_id(conn, project.project_id))
    for project_id in gone:
        await anyio.to_thread.run_sync(gateway.store.forget, project_id)
    async with gateway.connection() as conn:
        await archives.sweep(gateway, conn)
    return reply({"project_id": project.project_id, "status": "deleted"})


async def get_usage(request: Request) -> Response:
    """GET /projects/v1/admin/{id}/usage, service key. Sizes in bytes; API calls are not metered locally."""
    gateway = gateway_of(request)
    async with gateway.connection() as conn:
        return reply(await usage(conn, gateway, admitted(request, Project)))


async def usage(conn: Connection, gateway: Gateway, project: Project) -> dict[str, Any]:
    """What a project takes up: its tables and indexes plus the content it references."""
    database_bytes = await rows.table_bytes(conn, project)
    content_bytes = await anyio.to_thread.run_sync(_content_bytes, gateway, project.project_id)
    disk = await anyio.to_thread.run_sync(shutil.disk_usage, gateway.settings.data_dir)
    stored = database_bytes + content_bytes
    return {
        "project_id": project.project_id,
        "tier": LOCAL_TIER,
        "api_calls": 0,
        "api_calls_limit": UNLIMITED,
        "api_calls_metered": False,
        "storage_bytes": stored,
        "storage_limit_bytes": stored + disk.free,
        "database_bytes": database_bytes,
        "content_bytes": content_bytes,
        "lease_expires_at": None,
        "effective_status": "active",
        "organization_lifecycle_state": "active",
    }


def _content_bytes(gateway: Gateway, project_id: str) -> int:
    return gateway.store.staged_bytes(project_id)


async def _last_deploy(conn: Connection, project: Project) -> dict[str, Any] | None:
    if project.active_release_id is None:
        return None
    made = await releases.made_at(conn, project.project_id, project.active_release_id)
    return {"release_id": project.active_release_id, "activated_at": iso(made)}


def core_view(gateway: Gateway, project: Project) -> dict[str, Any]:
    """The project with its keys, as POST and GET answer it."""
    base, keys = gateway.settings.public_url, keys_of(gateway.settings, project)
    return {
        "project_id": project.project_id,
        "schema_slot": project.schema_slot,
        "public_id": project.public_id,
        "anon_key": keys.anon,
        "service_key": keys.service,
        "endpoints": releases.endpoints(base, project),
        "active_release_id": project.active_release_id,
        "capabilities": capability_document(),
    }


def summary_view(gateway: Gateway, project: Project) -> dict[str, Any]:
    """The fields of an inventory row; no keys."""
    deployed = project.active_release_id is not None
    static = f"{gateway.settings.public_url}/projects/v1/{project.project_id}/static/"
    return {
        "project_id": project.project_id,
        "public_id": project.public_id,
        "name": project.name,
        "org_id": LOCAL_ORG_ID,
        "tier": LOCAL_TIER,
        "status": "active",
        "effective_status": "active",
        "organization_lifecycle_state": "active",
        "site_url": static if deployed else None,
        "custom_domains": [],
        "created_at": iso(project.created_at),
        "created_by": None,
        "creator": None,
    }


ROUTES = [
    Route("/projects/v1", create_project, methods=["POST"], who=HOLDER_OR_WALLET),
    Route("/projects/v1", list_projects, methods=["GET"], who=HOLDER_OR_WALLET),
    Route("/projects/v1/admin/{project_id}/usage", get_usage, methods=["GET"], who=SERVICE_KEY),
    Route("/projects/v1/{project_id}", get_project, methods=["GET"], who=OWNER),
    Route("/projects/v1/{project_id}", rename_project, methods=["PATCH"], who=OWNER),
    Route("/projects/v1/{project_id}", delete_project, methods=["DELETE"], who=SERVICE_KEY),
]
