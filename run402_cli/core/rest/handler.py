"""The REST routes: authenticate, dispatch by method, answer as PostgREST does. See docs/local-gateway.md."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
from psycopg.sql import SQL, Composable, Identifier
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from run402_cli.core.gateway import Connection, gateway_of
from run402_cli.core.projects import Project
from run402_cli.core.rest import mutate, routines
from run402_cli.core.rest.access import caller, service_caller
from run402_cli.core.rest.body import Payload, parse_body, read_body, require_rows
from run402_cli.core.rest.catalog import Catalog, Relation, load_catalog
from run402_cli.core.rest.compile import Parameters, Read, ReadCompiler, Source
from run402_cli.core.rest.errors import RestError, from_database, is_outage, unknown_relation
from run402_cli.core.rest.execute import Result, Role, enter_role, planned_rows, row_body, run
from run402_cli.core.rest.nodes import Query, Window
from run402_cli.core.rest.preferences import (
    Answer,
    Preferences,
    content_range,
    parse_accept,
    parse_prefer,
    parse_range,
)
from run402_cli.core.rest.query import parse_pairs, parse_query
from run402_cli.core.settings import Settings

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_PRIVATE = {"Cache-Control": "private, no-store"}
# Above this many expected rows count=estimated trusts the planner.
_ESTIMATE_FROM = 1000


async def rest(request: Request) -> Response:
    """ANY /rest/v1/{table} and /rest/v1/rpc/{function}: as anon, or as the user of the bearer token."""
    return await _route(request, admin=False)


async def admin_rest(request: Request) -> Response:
    """ANY /admin/v1/rest/...: the same with the service key, which row-level security does not bind."""
    return await _route(request, admin=True)


async def _route(request: Request, *, admin: bool) -> Response:
    if request.method == "OPTIONS":
        return Response(status_code=200, headers={"Allow": ", ".join(METHODS), **_PRIVATE})
    gateway = gateway_of(request)
    try:
        # Before a connection is taken: a slow sender must not hold one.
        body = await read_body(request)
    except RestError as error:
        return _error_response(error, request)
    async with gateway.connection() as conn:
        if admin:
            project, role, claims = await service_caller(conn, request)
        else:
            project, role, claims = await caller(conn, gateway.settings, request)
        return await serve(
            conn, gateway.settings, project=project, role=role, claims=claims, request=request, body=body
        )


async def serve(
    conn: Connection,
    settings: Settings,
    *,
    project: Project,
    role: Role,
    claims: dict[str, str],
    request: Request,
    body: bytes | None = None,
) -> Response:
    """Answer one request in one transaction as `role`; `body` when it was read already.

    Errors are answers in PostgREST's form. Raises psycopg.Error only when the database itself is away.
    """
    try:
        raw = await read_body(request) if body is None else body
        exchange = _Exchange(conn, project, role, claims, request, raw)
        async with conn.transaction():
            return await exchange.answer()
    except RestError as error:
        return _error_response(error, request)
    except psycopg.Error as error:
        if is_outage(error):
            raise
        return _error_response(from_database(error, role), request)


def _error_response(error: RestError, request: Request) -> Response:
    content = json.dumps(error.body(), ensure_ascii=False, default=str).encode("utf-8", "replace")
    headers = {"Proxy-Status": f"PostgREST; error={error.code}", **_PRIVATE, **error.headers}
    return _response(request, error.status, content, "application/json; charset=utf-8", headers)


def _response(
    request: Request, status: int, content: bytes, content_type: str | None, headers: dict[str, str]
) -> Response:
    if status == 204:
        return Response(status_code=status, headers=headers)
    if request.method == "HEAD":
        headers = {**headers, "Content-Length": str(len(content))}
        content = b""
    response = Response(content, status, headers)
    if content_type:
        response.headers["Content-Type"] = content_type
    return response


@dataclass(slots=True)
class _Exchange:
    """One request on its way through the transaction."""

    conn: Connection
    project: Project
    role: Role
    claims: dict[str, str]
    request: Request
    raw: bytes

    async def answer(self) -> Response:
        name = self.request.path_params.get("path", "").rstrip("/")
        if name.startswith("rpc/") and "/" not in name[4:]:
            return await _Call(self).answer(name[4:])
        if not name:
            raise RestError(
                404, "PGRST125", "Invalid path specified in request URL", hint="Name a table: /rest/v1/<table>."
            )
        if "/" in name or "\0" in name:
            raise RestError(
                404,
                "PGRST125",
                "Invalid path specified in request URL",
                hint="The path is /rest/v1/<table> or /rest/v1/rpc/<function>.",
            )
        catalog = await load_catalog(self.conn, self.project.schema_slot)
        relation = catalog.relations.get(name)
        if relation is None:
            raise unknown_relation(self.project, name, list(catalog.relations))
        if self.reading:
            return await self.select(catalog, relation)
        return await _Write(self, catalog, relation).answer()

    @property
    def reading(self) -> bool:
        return self.request.method in ("GET", "HEAD")

    @property
    def pairs(self) -> list[tuple[str, str]]:
        return parse_pairs(self.request.scope.get("query_string", b""))

    @property
    def prefer(self) -> Preferences:
        return parse_prefer(self.request.headers.getlist("prefer"))

    @property
    def accept(self) -> Answer:
        return parse_accept(self.request.headers.get("accept"))

    def window(self, query: Query) -> Window:
        header = self.request.headers.get("range") if self.reading else None
        return parse_range(header, query.window_at(()))

    async def enter(self, *, read_only: bool) -> None:
        await enter_role(self.conn, self.request, self.project, self.role, self.claims, read_only=read_only)

    async def select(self, catalog: Catalog, relation: Relation) -> Response:
        prefer, accept = self.prefer, self.accept
        query = parse_query(self.pairs)
        window = self.window(query)
        parameters = Parameters()
        compiler = ReadCompiler(catalog, query, parameters)
        read = compiler.read(compiler.source(relation), window)
        await self.enter(read_only=True)
        total = await self.total(read, parameters)
        result = await run(
            self.conn, parameters, body=row_body(accept), rows=read.rows, count=SQL("count(pgrst_x)"), total=total
        )
        return self.read_answer(result, window, prefer, accept)

    async def total(self, read: Read, parameters: Parameters, source: Composable | None = None) -> Composable:
        """The expression for the number of all rows, as `Prefer: count` wants it."""
        wanted = self.prefer.count
        if wanted is None:
            return SQL("NULL::int8")
        if wanted != "exact" and source is None:
            planned = await planned_rows(self.conn, read.all_rows, parameters)
            if wanted == "planned" or planned > _ESTIMATE_FROM:
                return SQL("{}::int8").format(planned)
        return SQL("(SELECT count(*) FROM ({}) AS pgrst_c)").format(read.counted)

    def read_answer(self, result: Result, window: Window, prefer: Preferences, accept: Answer) -> Response:
        total = result.total
        if total is not None and window.offset > total:
            raise RestError(
                416,
                "PGRST103",
                "Requested range not satisfiable",
                details=f"An offset of {window.offset} was requested, but there are only {total} rows.",
                headers={"Content-Range": f"*/{total}"},
            )
        self.refuse_plural(accept, result.rows)
        headers = {
            "Content-Range": content_range(window.offset, result.rows, total),
            **prefer.applied({"count", "handling"} - ({"return"} if self.reading else set())),
        }
        status = 206 if total is not None and result.rows < total else 200
        return self.finish(result, status, render(result, accept), accept, headers)

    def refuse_plural(self, accept: Answer, rows: int) -> None:
        if accept.format == "object" and rows != 1:
            raise RestError(
                406,
                "PGRST116",
                "Cannot coerce the result to a single JSON object",
                details=f"The result contains {rows} rows",
            )

    def finish(self, result: Result, status: int, content: bytes, accept: Answer, headers: dict[str, str]) -> Response:
        own = {name: value for name, value in result.headers if name.lower() != "content-type"}
        own_type = next((value for name, value in result.headers if name.lower() == "content-type"), None)
        return _response(
            self.request,
            result.status or status,
            content,
            own_type or accept.content_type,
            {**headers, **_PRIVATE, **own},
        )


def render(result: Result, accept: Answer) -> bytes:
    """The body's bytes; CSV gets its header line from the keys of the first row."""
    if accept.format != "csv":
        return result.body.encode()
    first, lines = json.loads(result.body)
    if first is None:
        return b""
    header = io.StringIO()
    csv.writer(header, lineterminator="\n").writerow(first)
    return f"{header.getvalue()}{lines}".encode()


@dataclass(slots=True)
class _Write:
    """POST, PATCH, PUT and DELETE on a relation."""

    exchange: _Exchange
    catalog: Catalog
    relation: Relation

    async def answer(self) -> Response:
        exchange = self.exchange
        prefer, accept, query = exchange.prefer, exchange.accept, parse_query(exchange.pairs)
        parameters = Parameters()
        compiler = ReadCompiler(self.catalog, query, parameters)
        # Also without a representation: a filter on something that is not embedded must not be dropped silently.
        ReadCompiler(self.catalog, query, Parameters()).read(self._written(), Window(), filtered=False)
        statement = self._statement(compiler, query, prefer)
        await exchange.enter(read_only=False)
        if statement is None:
            result = Result("null" if accept.format == "object" else "[]", 0, None, None, None, [])
            content = b"" if accept.format == "csv" else result.body.encode()
        else:
            result = await self._run(compiler, statement, prefer, accept)
            content = render(result, accept) if prefer.returning == "representation" else b""
        exchange.refuse_plural(accept, result.rows)
        if prefer.strict and prefer.max_affected is not None and result.rows > prefer.max_affected:
            raise RestError(
                400,
                "PGRST124",
                "Query result exceeds max-affected preference constraint",
                details=f"The query affects {result.rows} rows",
            )
        return self._finish(result, content, prefer, accept)

    def _written(self) -> Source:
        return mutate.written(self.relation)

    def _statement(self, compiler: ReadCompiler, query: Query, prefer: Preferences) -> Composable | None:
        """The write without RETURNING; None when there is nothing to do."""
        method, relation = self.exchange.request.method, self.relation
        if method == "DELETE":
            return mutate.delete(compiler, relation)
        payload = parse_body(self.exchange.raw, self.exchange.request.headers.get("content-type", ""))
        require_rows(payload)
        if method == "PATCH" and len(payload.rows) > 1:
            raise RestError(400, "PGRST102", "PATCH takes one object: the new values of all rows that match.")
        columns = mutate.payload_columns(relation, query, payload, prefer)
        if method == "PATCH":
            return mutate.update(compiler, relation, columns, payload) if columns and payload.rows else None
        conflict = None
        if method == "PUT":
            mutate.put_key(relation, query, payload)
            conflict = mutate.conflict_clause(relation, columns, "merge-duplicates", None)
        elif prefer.resolution:
            conflict = mutate.conflict_clause(relation, columns, prefer.resolution, query.on_conflict)
        return mutate.insert(
            self.catalog,
            relation,
            columns,
            payload,
            compiler.parameters,
            missing_default=prefer.missing_default,
            conflict=conflict,
        )

    async def _run(self, compiler: ReadCompiler, write: Composable, prefer: Preferences, accept: Answer) -> Result:
        body: Composable = SQL("NULL")
        keys: Composable = SQL("NULL")
        rows: Composable = SQL("SELECT 1")
        if prefer.returning == "representation":
            columns = mutate.returning(self.catalog, self.relation, compiler.query)
            rows = compiler.read(self._written(), Window(), filtered=False).rows
            body = row_body(accept)
        elif prefer.returning == "headers-only" and self.relation.primary_key:
            columns = SQL(", ").join(Identifier(mutate.TARGET, name) for name in self.relation.primary_key)
            keys = SQL("(SELECT row_to_json(pgrst_k.*) FROM pgrst_source AS pgrst_k LIMIT 1)")
        else:
            columns = SQL("1 AS pgrst_one")
        return await run(
            self.exchange.conn,
            compiler.parameters,
            source=SQL("{} RETURNING {}").format(write, columns),
            rows=rows,
            body=body,
            count=SQL("(SELECT count(*) FROM pgrst_source)"),
            total=SQL("NULL::int8"),
            keys=keys,
        )

    def _finish(self, result: Result, content: bytes, prefer: Preferences, accept: Answer) -> Response:
        method = self.exchange.request.method
        total = result.rows if prefer.count else None
        first = 0 if method == "PATCH" else 1
        headers = {"Content-Range": content_range(first - first, result.rows if method == "PATCH" else 0, total)}
        names = {"return", "count", "handling", "max-affected"}
        headers |= prefer.applied(names | ({"resolution", "missing"} if method == "POST" else set()))
        if method == "POST" and result.keys and result.rows == 1:
            headers["Location"] = self._location(result.keys)
        if prefer.returning != "representation":
            status, accept_type = (201 if method == "POST" else 204), None
        else:
            status, accept_type = (201 if method == "POST" else 200), accept
        if accept_type is None:
            return _response(self.exchange.request, result.status or status, b"", None, {**headers, **_PRIVATE})
        return self.exchange.finish(result, status, content, accept, headers)

    def _location(self, keys: dict[str, Any]) -> str:
        filters = {name: f"eq.{value if isinstance(value, str) else json.dumps(value)}" for name, value in keys.items()}
        return f"{quote(self.exchange.request.url.path)}?{urlencode(filters)}"


@dataclass(slots=True)
class _Call:
    """GET, HEAD and POST on rpc/<function>."""

    exchange: _Exchange

    async def answer(self, name: str) -> Response:
        exchange = self.exchange
        if not exchange.reading and exchange.request.method != "POST":
            raise RestError(405, "PGRST101", f"Cannot use the {exchange.request.method} method on RPC")
        if "\0" in name:
            raise RestError(404, "PGRST202", "A function's name has no NUL character.")
        schema = exchange.project.schema_slot
        found = await routines.load_routines(exchange.conn, schema, name, exchange.role)
        payload: Payload | None = None
        if exchange.reading:
            names = frozenset(a.name for r in found for a in r.arguments)
            columns = frozenset(column for r in found for column in r.columns)
            query = parse_query(exchange.pairs, arguments=names, result_columns=columns)
            given = {key for key, _ in query.arguments}
        else:
            query = parse_query(exchange.pairs)
            payload = parse_body(exchange.raw, exchange.request.headers.get("content-type", ""), default="{}")
            given = set(payload.value) if isinstance(payload.value, dict) else {""}
        routine = await routines.choose(exchange.conn, schema, name, found, given)
        if not routine.allowed:
            raise self._forbidden(routine)
        parameters = Parameters()
        if payload is None:
            call = routines.call_with_text(schema, routine, query.arguments, parameters)
        else:
            call = routines.call_with_body(schema, routine, payload, parameters)
        return await self._run(routine, call, query, parameters)

    async def _run(self, routine: routines.Routine, call: Composable, query: Query, parameters: Parameters) -> Response:
        exchange = self.exchange
        prefer, accept, window = exchange.prefer, exchange.accept, exchange.window(query)
        catalog = await load_catalog(exchange.conn, exchange.project.schema_slot)
        compiler = ReadCompiler(catalog, query, parameters)
        relation = catalog.relations.get(routine.relation) if routine.relation else None
        source = Source(Identifier("pgrst_source"), relation)
        if not routine.has_columns:
            self._refuse_columns(routine, query)
        read = compiler.read(source, window)
        await exchange.enter(read_only=exchange.reading)
        total = await exchange.total(read, parameters, call)
        single = not routine.returns_set
        scalar = None if routine.has_columns else routine.name
        result = await run(
            exchange.conn,
            parameters,
            source=call,
            rows=read.rows,
            body=row_body(accept, single=single, scalar=scalar),
            count=SQL("count(pgrst_x)"),
            total=total,
        )
        if prefer.strict and prefer.max_affected is not None and result.rows > prefer.max_affected:
            details = f"The query affects {result.rows} rows"
            message = "Query result exceeds max-affected preference constraint"
            raise RestError(400, "PGRST124", message, details=details)
        if routine.shape == "void":
            own = dict(result.headers)
            return _response(exchange.request, result.status or 204, b"", None, {**_PRIVATE, **own})
        return exchange.read_answer(result, window, prefer, accept)

    def _refuse_columns(self, routine: routines.Routine, query: Query) -> None:
        if query.filters or query.orders or query.select != Query().select:
            raise RestError(
                400,
                "PGRST100",
                f"{routine.name} gives plain values: select, order and filters need a function that returns rows.",
                hint="Leave these parameters out, or declare the function RETURNS TABLE (...).",
            )

    def _forbidden(self, routine: routines.Routine) -> RestError:
        exchange = self.exchange
        return RestError(
            403,
            "42501",
            f"permission denied for function {routine.name}",
            hint=f"Grant it: list {routine.name} in rpcs of the expose manifest, with grant_to "
            f'["{exchange.role}"], and apply it with `run402 projects apply-expose`.',
            extra={"error": "forbidden_function"},
        )


ROUTES = [
    Route("/rest/v1", rest, methods=METHODS),
    Route("/rest/v1/{path:path}", rest, methods=METHODS),
    Route("/admin/v1/rest", admin_rest, methods=METHODS),
    Route("/admin/v1/rest/{path:path}", admin_rest, methods=METHODS),
]
