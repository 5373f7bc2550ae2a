"""The REST routes: dispatch by path and method. See docs/rest.md."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import psycopg
from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.aside import SHORT
from run402_cli.core.gateway import Gateway, gateway_of
from run402_cli.core.projects import role_rows
from run402_cli.core.projects.rows import Project
from run402_cli.core.rest import options
from run402_cli.core.rest.access import ANON_OR_USER, SERVICE, Caller
from run402_cli.core.rest.body import Payload, parse_body, read_body
from run402_cli.core.rest.calling import Call
from run402_cli.core.rest.errors import RestError, denied, from_database, unknown_relation
from run402_cli.core.rest.exchange import Exchange, error_response
from run402_cli.core.rest.long_answers import LongResponse
from run402_cli.core.rest.reading import select
from run402_cli.core.rest.rights import may_write
from run402_cli.core.rest.root import describe, is_root
from run402_cli.core.rest.routines import Routines
from run402_cli.core.rest.schema import Catalog, Relation
from run402_cli.core.rest.schemas import Schema, routines_of, schema_of
from run402_cli.core.rest.session import Session
from run402_cli.core.rest.timezones import timezone_names
from run402_cli.core.rest.writing import Write
from run402_cli.core.role_connection import RoleConnection
from run402_cli.core.web.body_limit import STREAMED
from run402_cli.core.web.http import left
from run402_cli.core.web.routing import Route, admitted

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is about, and what the schema holds for the caller; `routines` for a call of a function."""

    name: str
    schema: Schema
    catalog: Catalog
    routines: Routines | None = None
    timezones: frozenset[str] = frozenset()


async def rest(request: Request) -> Response:
    """ANY /rest/v1/{table} and /rest/v1/rpc/{function}: as anon, or as the user of the bearer token.

    GET /rest/v1 describes what that caller may use.

    The same at /admin/v1/rest/... with the service key, which row-level security does not bind.
    """
    gateway, caller = gateway_of(request), admitted(request, Caller)
    try:
        if is_root(request):
            if request.method == "OPTIONS":
                return options.answer(*options.READS)
            _check_profile(request, caller.project)
            return await describe(gateway, caller.project, caller.role, request)
        # Before a connection is taken: neither a slow sender nor a long body may hold one.
        body = await read_body(request)
        target = await _target(gateway, caller, request)
        payload = await _payload(gateway, caller, request, body, target)
    except RestError as error:
        return error_response(error, request, caller.project)
    answer: Response | None = None
    session: Session | None = None
    try:
        async with gateway.request_connection(caller.project, caller.role, left=left(request)) as conn:
            session = _session(conn, request, target)
            answer = await serve(session, caller, request, payload, target)
            if target.schema.mark != gateway.changes.of_schema(caller.project.schema_slot):
                # What was quiet when it was looked at may have been another thing when it was read or written.
                conn.touched, session.quiet = True, False
    except BaseException:
        if isinstance(answer, LongResponse):
            await answer.close()
        raise
    finally:
        if request.method not in ("GET", "HEAD", "OPTIONS") and not (session and session.quiet):
            # A function, a trigger may have changed the schema, whatever became of the answer.
            await gateway.changes.settled()
    return answer


def _session(conn: RoleConnection, request: Request, target: Target) -> Session:
    quiet, reads = target.schema.quiet, request.method in ("GET", "HEAD")
    silent = _is_in(quiet.relations if reads else quiet.written, request, target)
    return Session(conn, quiet=silent, unasking=reads and _is_in(quiet.unasking, request, target))


def _is_in(names: frozenset[str], request: Request, target: Target) -> bool:
    """Is the request about these tables and nothing else?"""
    if request.method == "OPTIONS" or target.routines is not None:
        return False
    # What else it reads is not known before it is compiled.
    embeds = b"(" in request.scope["query_string"] or b"%28" in request.scope["query_string"]
    if target.catalog.handlers:
        # An aggregate may make the answer.
        return False
    return target.name in names and (not embeds or names >= target.catalog.relations.keys())


async def _target(gateway: Gateway, caller: Caller, request: Request) -> Target:
    """What the path names, looked up on a connection of the gateway."""
    _check_profile(request, caller.project)
    name = request.path_params.get("path", "").rstrip("/")
    function = name[4:] if name.startswith("rpc/") and "/" not in name[4:] else None
    if function is not None:
        if request.method not in ("GET", "HEAD", "POST", "OPTIONS"):
            raise RestError(405, "PGRST101", f"Cannot use the {request.method} method on RPC")
        if "\0" in function:
            raise RestError(404, "PGRST202", "A function's name has no NUL character.")
    elif "/" in name or "\0" in name:
        raise RestError(
            404,
            "PGRST125",
            "Invalid path specified in request URL",
            hint="The path is /rest/v1/<table> or /rest/v1/rpc/<function>.",
        )
    schema = caller.project.schema_slot
    role = role_rows.name_of(caller.project.roles, caller.role)
    known = await schema_of(gateway, schema)
    catalog = known.catalog.seen_by(role)
    zones = await _timezones(gateway, request)
    if function is None:
        return Target(name, known, catalog, timezones=zones)
    return Target(function, known, catalog, await routines_of(gateway, schema, function, role), zones)


async def _timezones(gateway: Gateway, request: Request) -> frozenset[str]:
    """The names of time zones, where the request asks for one."""
    prefer = request.headers.getlist("prefer")
    if not any("timezone=" in header for header in prefer):
        return frozenset()
    async with gateway.connection() as conn:
        return await timezone_names(conn)


def _check_profile(request: Request, project: Project) -> None:
    """406 PGRST106 for a schema other than the project's, which may also be called public: a project has one."""
    asked = request.headers.get("accept-profile" if request.method in ("GET", "HEAD") else "content-profile")
    if asked not in (None, "", "public", project.schema_slot):
        raise RestError(
            406,
            "PGRST106",
            f"The schema must be one of the following: public, {project.schema_slot}",
            hint="Both mean the schema of the project: leave the header out.",
        )


async def _payload(gateway: Gateway, caller: Caller, request: Request, body: bytes, target: Target) -> Payload | None:
    """The body of a write or a call, read. A long one only for who may write there at all."""
    if request.method not in ("POST", "PUT", "PATCH"):
        return None
    if target.routines is None:
        relation = _relation(caller.project, target)
        if len(body) > SHORT and not await _may_write(gateway, caller, request.method, relation, target.schema):
            kind = "view" if relation.is_view else "table"
            raise denied(caller.role, f"permission denied for {kind} {relation.name}")
    read = functools.partial(
        parse_body,
        body,
        request.headers.get("content-type", ""),
        function=target.routines is not None,
    )
    return await gateway.aside.run(caller.project.project_id, len(body), read)


async def _may_write(gateway: Gateway, caller: Caller, method: str, relation: Relation, schema: Schema) -> bool:
    role = role_rows.name_of(caller.project.roles, caller.role)
    key = (relation.name, role, method == "PATCH")
    # A right that somebody got is soon known. One that was taken is for PostgreSQL to refuse.
    if schema.mark is None or key not in schema.writers:
        async with gateway.connection() as conn:
            if not await may_write(conn, schema.catalog.schema, relation.name, role, method):
                return False
        schema.writers.add(key)
    return True


def _relation(project: Project, target: Target) -> Relation:
    relation = target.catalog.relations.get(target.name)
    if relation is None:
        raise unknown_relation(project, target.name, list(target.catalog.relations))
    return relation


async def serve(
    session: Session, caller: Caller, request: Request, payload: Payload | None, target: Target
) -> Response:
    """Answer one request in one transaction as the caller's role.

    Errors are answers in PostgREST's form. Raises psycopg.Error only when the database itself is away.
    """
    try:
        exchange = Exchange(session, caller.project, caller.role, caller.claims, request, payload, target.timezones)
        async with session.transaction():
            answer = await _answer(exchange, target)
            if exchange.prefer.rollback:
                await session.check_constraints()
                raise psycopg.Rollback
        return answer
    except RestError as error:
        return error_response(error, request, caller.project)
    except psycopg.Error as error:
        if session.conn.closed:
            raise
        return error_response(from_database(error, caller.role), request, caller.project)


async def _answer(exchange: Exchange, target: Target) -> Response:
    catalog = target.catalog
    if target.routines is not None:
        if exchange.request.method == "OPTIONS" and target.routines.found:
            return options.of_routines(target.routines.found)
        return await Call(exchange, catalog, target.routines).answer(target.name)
    relation = _relation(exchange.project, target)
    if exchange.request.method == "OPTIONS":
        exchange.enter(read_only=True)
        return await options.of_relation(exchange.session, catalog.schema, relation)
    if exchange.reading:
        return await select(exchange, catalog, relation)
    return await Write(exchange, catalog, relation).answer()


ROUTES = [
    Route("/rest/v1", rest, methods=METHODS, who=ANON_OR_USER, body=STREAMED, settles=False),
    Route("/rest/v1/{path:path}", rest, methods=METHODS, who=ANON_OR_USER, body=STREAMED, settles=False),
    Route("/admin/v1/rest", rest, methods=METHODS, who=SERVICE, body=STREAMED, settles=False),
    Route("/admin/v1/rest/{path:path}", rest, methods=METHODS, who=SERVICE, body=STREAMED, settles=False),
]
