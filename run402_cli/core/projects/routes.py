"""Project routes: create, list, read, rename, delete, usage. See docs/local-gateway.md."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import uuid
from typing import Any

import anyio
from psycopg import sql
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from run402_cli.core.archives import records as archives
from run402_cli.core.callers import payments, siwx
from run402_cli.core.callers.auth import project_by_id, require_service_key
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import Gateway, gateway_of
from run402_cli.core.mail.mailboxes import of_project
from run402_cli.core.projects.locks import project_lock
from run402_cli.core.projects.rows import COLUMNS, Project, drop_project, insert_project, project_from_row
from run402_cli.core.settings import LOCAL_ORG_ID, LOCAL_TIER
from run402_cli.core.web.capabilities import capability_document
from run402_cli.core.web.http import read_object, reply
from run402_cli.core.web.instants import iso
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
        await lock_name(conn, name)
        if by_name:
            earlier = await _called(conn, name)
        else:
            earlier = await _made_before(conn, key, digest) if key else None
        project = earlier or await _paid_insert(conn, request, payment, name)
        if key and (by_name or earlier is None):
            await conn.execute(
                "INSERT INTO internal.core_idempotency (idempotency_key, request_sha256, project_id) VALUES (%s, %s, %s)"
                " ON CONFLICT (idempotency_key) DO UPDATE SET request_sha256 = excluded.request_sha256,"
                " project_id = excluded.project_id",
                (key, digest, project.project_id),
            )
        counts = payment is not None and await payments.counted(conn, payment)
    receipt = payment.receipt(first=earlier is None) if payment is not None and counts else None
    return reply(core_view(gateway, project), 201, receipt)


async def _paid_insert(conn: Connection, request: Request, payment: payments.Payment | None, name: str) -> Project:
    await payments.count(conn, request, payment, payments.PROJECT_PRICE, PURPOSE)
    project = await insert_project(conn, name)
    await siwx.take_ownership(conn, project.project_id)
    return project


async def lock_name(conn: Connection, name: str) -> None:
    """Whoever gives this name to a project waits here for the end of the others' transactions."""
    await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 403))", (name,))


async def _called(conn: Connection, name: str, *, but: str | None = None) -> Project | None:
    """The project of this name that the caller may use: its own before one that no wallet owns, then the oldest.

    Branches have names of their own kind. `but` is a project that does not count.
    """
    wallet = siwx.caller.get()
    cursor = await conn.execute(
        f"""SELECT {COLUMNS} FROM internal.core_projects p
            WHERE name = %(name)s AND project_id IS DISTINCT FROM %(but)s::text AND {siwx.VISIBLE}
            AND NOT EXISTS (SELECT 1 FROM internal.core_branches b WHERE b.branch_project_id = p.project_id)
            ORDER BY ({siwx.OWNER} IS NOT DISTINCT FROM %(wallet)s::text) DESC, created_at, project_id LIMIT 1""".encode(),
        {"name": name, "but": but, "wallet": wallet},
    )
    row = await cursor.fetchone()
    return project_from_row(row) if row else None


async def _made_before(conn: Connection, key: str, digest: str) -> Project | None:
    # Two equal requests at once: the second waits here and then finds the row of the first.
    await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 402))", (key,))
    cursor = await conn.execute(
        "SELECT request_sha256, project_id FROM internal.core_idempotency WHERE idempotency_key = %s", (key,)
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    if row[0] != digest:
        raise GatewayError(
            409,
            "idempotency_key_conflict",
            f"This Idempotency-Key already made project {row[1]} from a different request. "
            "Repeat the same request, or use another key: run402 projects provision --idempotency-key <new_key>",
            code="IDEMPOTENCY_KEY_CONFLICT",
            project_id=row[1],
        )
    return await project_by_id(conn, row[1])


def new_name(value: Any) -> str:
    """The display name of a new project; a missing or blank one gets a default."""
    if value is None:
        return DEFAULT_NAME
    if not isinstance(value, str):
        raise GatewayError(400, "invalid_request", "`name` must be a string.")
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
    limit = _page_size(request.query_params.get("limit"))
    _check_org(request.query_params.get("org_id"))
    after = request.query_params.get("after")
    gateway = gateway_of(request)
    async with gateway.connection() as conn:
        position = await project_by_id(conn, after) if after else None
        cursor = await conn.execute(
            f"""SELECT {COLUMNS} FROM internal.core_projects p
                WHERE (%(at)s::timestamptz IS NULL OR (created_at, project_id) > (%(at)s::timestamptz, %(id)s::text))
                AND {siwx.VISIBLE}
                ORDER BY created_at, project_id LIMIT %(limit)s""".encode(),
            {
                "wallet": siwx.caller.get(),
                "at": position.created_at if position else None,
                "id": position.project_id if position else None,
                "limit": limit + 1,
            },
        )
        projects = [project_from_row(row) for row in await cursor.fetchall()]
    page = projects[:limit]
    rows = [{"id": project.project_id, **summary_view(gateway, project)} for project in page]
    more = len(projects) > limit
    return reply({"projects": rows, "has_more": more, "next_cursor": page[-1].project_id if more else None})


def _page_size(value: str | None) -> int:
    if value is None:
        return PAGE_SIZE
    if not value.isascii() or not value.isdigit() or not 1 <= int(value[:9]) <= MAX_PAGE_SIZE:
        raise GatewayError(400, "invalid_request", f"`limit` must be a number from 1 to {MAX_PAGE_SIZE}.")
    return int(value)


def _check_org(value: str | None) -> None:
    if value is None:
        return
    try:
        given = uuid.UUID(value)
    except ValueError as exc:
        raise GatewayError(400, "invalid_request", "`org_id` must be a UUID.") from exc
    if str(given) != LOCAL_ORG_ID:
        raise GatewayError(
            403, "org_forbidden", f"A local gateway has one organization: {LOCAL_ORG_ID}.", code="NOT_AUTHORIZED"
        )


async def get_project(request: Request) -> Response:
    """GET /projects/v1/{id}: keys, endpoints and capabilities, plus name, status, last deploy and usage."""
    gateway = gateway_of(request)
    async with gateway.connection() as conn:
        project = await project_by_id(conn, request.path_params["project_id"])
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
        raise GatewayError(400, "invalid_request", f"`name` is required: 1 to {MAX_NAME} characters.", field="name")
    name = _checked_name(name.strip(), MAX_NAME)
    async with gateway_of(request).connection() as conn, conn.transaction():
        project = await project_by_id(conn, request.path_params["project_id"])
        await lock_name(conn, name)
        if taken := await _called(conn, name, but=project.project_id):
            raise GatewayError(
                409,
                "project_name_taken",
                f"Project {taken.project_id} is called {name!r} already, and a name means one project. Choose another name.",
                code="PROJECT_NAME_TAKEN",
                project_id=taken.project_id,
                field="name",
            )
        await conn.execute(
            "UPDATE internal.core_projects SET name = %s, updated_at = now() WHERE project_id = %s",
            (name, project.project_id),
        )
    return reply({"project_id": project.project_id, "name": name})


async def delete_project(request: Request) -> Response:
    """DELETE /projects/v1/{id}, service key: schema, rows and content references go. `{project_id, status}`."""
    gateway = gateway_of(request)
    async with gateway.connection() as conn:
        project = await require_service_key(conn, request, request.path_params["project_id"])
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
        project = await require_service_key(conn, request, request.path_params["project_id"])
        return reply(await usage(conn, gateway, project))


async def usage(conn: Connection, gateway: Gateway, project: Project) -> dict[str, Any]:
    """What a project takes up: its tables and indexes plus the content it references."""
    cursor = await conn.execute(
        """SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c
           JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE n.nspname = %s AND c.relkind IN ('r', 'm')""",
        (project.schema_slot,),
    )
    row = await cursor.fetchone()
    database_bytes: int = row[0] if row else 0
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
    root = gateway.settings.content_dir
    total = 0
    for reference in (root / "refs" / project_id).glob("*/*"):
        path = root / "cas" / reference.name[:2] / reference.name
        total += path.stat().st_size if path.exists() else 0
    return total


async def _last_deploy(conn: Connection, project: Project) -> dict[str, Any] | None:
    if project.active_release_id is None:
        return None
    query = sql.SQL("SELECT created_at FROM internal.core_releases WHERE project_id = %s AND release_id = %s")
    cursor = await conn.execute(query, (project.project_id, project.active_release_id))
    row = await cursor.fetchone()
    return {"release_id": project.active_release_id, "activated_at": iso(row[0] if row else None)}


def core_view(gateway: Gateway, project: Project) -> dict[str, Any]:
    """The project with its keys, as POST and GET answer it."""
    base = gateway.settings.public_url
    return {
        "project_id": project.project_id,
        "schema_slot": project.schema_slot,
        "public_id": project.public_id,
        "anon_key": project.anon_key,
        "service_key": project.service_key,
        "endpoints": {
            "rest_url": f"{base}/rest/v1",
            "static_base_url": f"{base}/projects/v1/{project.project_id}/static",
            "storage_base_url": f"{base}/projects/v1/{project.project_id}/storage",
        },
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
    Route("/projects/v1", create_project, methods=["POST"]),
    Route("/projects/v1", list_projects, methods=["GET"]),
    Route("/projects/v1/admin/{project_id}/usage", get_usage, methods=["GET"]),
    Route("/projects/v1/{project_id}", get_project, methods=["GET"]),
    Route("/projects/v1/{project_id}", rename_project, methods=["PATCH"]),
    Route("/projects/v1/{project_id}", delete_project, methods=["DELETE"]),
]
