"""GET and HEAD of the address above all tables: the OpenAPI document of what the caller may use. See docs/rest.md."""

from __future__ import annotations

import functools

from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.gateway import Gateway
from run402_cli.core.projects import role_rows
from run402_cli.core.projects.rows import Project
from run402_cli.core.rest import openapi
from run402_cli.core.rest.errors import RestError
from run402_cli.core.rest.exchange import PRIVATE, respond
from run402_cli.core.rest.execute import Role
from run402_cli.core.rest.media import ranked
from run402_cli.core.rest.openapi_rows import (
    MOST_BYTES,
    able_views,
    as_able,
    schema_comment,
    size_of_relations,
    usable_relations,
)
from run402_cli.core.rest.routines import size_of_routines, usable_routines
from run402_cli.core.rest.schemas import schema_of
from run402_cli.core.web.http import left

METHODS = ["GET", "HEAD"]
_MEDIA = "application/openapi+json"
_TAKEN = (_MEDIA, "application/json", "application/*", "*/*")


def is_root(request: Request) -> bool:
    return not request.path_params.get("path", "").strip("/")


async def describe(gateway: Gateway, project: Project, role: Role, request: Request) -> Response:
    """200 with the document; 405 for a method that writes; 406 when `Accept` has neither OpenAPI nor JSON."""
    if request.method not in METHODS:
        raise RestError(
            405,
            "PGRST117",
            f"Unsupported HTTP method: {request.method}",
            hint="Name a table: /rest/v1/<table>.",
            headers={"Allow": ", ".join(["OPTIONS", *METHODS])},
        )
    accept = request.headers.get("accept", "").strip()
    if accept and not any(media in _TAKEN for media, _ in ranked(accept)):
        raise RestError(
            406, "PGRST107", f"None of these media types are available: {accept[:200]}", hint=f"Ask for {_MEDIA}."
        )
    schema, name = project.schema_slot, role_rows.name_of(project.roles, role)
    catalog = (await schema_of(gateway, schema)).catalog
    async with gateway.connection() as conn:
        size = await size_of_relations(conn, schema, name) + await size_of_routines(conn, schema, name)
        if size > MOST_BYTES:
            raise _too_long(size)
        comment = await schema_comment(conn, schema)
        relations, routines = await usable_relations(conn, schema, name), await usable_routines(conn, schema, name)
    if any(relation.kind in ("v", "f") for relation in relations):
        async with gateway.request_connection(project, role, left=left(request)) as conn:
            able = await able_views(conn, schema)
        relations = [as_able(relation, able) for relation in relations]
    surface = openapi.Surface(comment, relations, routines)
    write = functools.partial(openapi.document, surface, catalog, request.url.path.rstrip("/"))
    text = await gateway.aside.run(project.project_id, size, write)
    return respond(request, 200, text.encode(), f"{_MEDIA}; charset=utf-8", PRIVATE)


def _too_long(size: int) -> RestError:
    return RestError(
        400,
        "RESULT_TOO_LARGE",
        f"The OpenAPI document would be made of {size} bytes of names, types and comments; {MOST_BYTES} are the most.",
        hint="Shorten the comments of tables, columns and functions, and the lists of enum types.",
    )
