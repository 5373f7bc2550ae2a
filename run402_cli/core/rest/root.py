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
from run402_cli.core.rest.openapi_rows import able_views, as_able, schema_comment, usable_relations
from run402_cli.core.rest.routines import usable_routines
from run402_cli.core.rest.schemas import schema_of
from run402_cli.core.web.http import left

METHODS = ["GET", "HEAD"]
_MEDIA = "application/openapi+json"
_TAKEN = (_MEDIA, "application/json", "application/*", "*/*")
# About what stands in the document for one column, one argument.
_COLUMN_LENGTH = 500


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
        comment = await schema_comment(conn, schema)
        relations, routines = await usable_relations(conn, schema, name), await usable_routines(conn, schema, name)
    if any(relation.kind in ("v", "f") for relation in relations):
        async with gateway.request_connection(project, role, left=left(request)) as conn:
            able = await able_views(conn, schema)
        relations = [as_able(relation, able) for relation in relations]
    surface = openapi.Surface(comment, relations, routines)
    size = sum(len(relation.columns) for relation in surface.relations)
    size += sum(1 + len(routine.arguments) for routine in surface.routines)
    write = functools.partial(openapi.document, surface, catalog, request.url.path.rstrip("/"))
    text = await gateway.aside.run(project.project_id, size * _COLUMN_LENGTH, write)
    return respond(request, 200, text.encode(), f"{_MEDIA}; charset=utf-8", PRIVATE)
