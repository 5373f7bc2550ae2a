"""GET, HEAD and POST on rpc/<function>. See docs/rest.md."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Final

from psycopg.sql import SQL, Composable, Identifier
from starlette.responses import Response

from run402_cli.core.rest import calls, routines
from run402_cli.core.rest.bodies import lines_of, row_body
from run402_cli.core.rest.body import Payload
from run402_cli.core.rest.compile import ReadCompiler
from run402_cli.core.rest.errors import RestError
from run402_cli.core.rest.exchange import PRIVATE, Exchange, respond
from run402_cli.core.rest.execute import run
from run402_cli.core.rest.nodes import Query
from run402_cli.core.rest.query import parse_query
from run402_cli.core.rest.schema import Catalog
from run402_cli.core.rest.statement import Parameters, Source


@dataclass(slots=True)
class Call:
    """GET, HEAD and POST on rpc/<function>."""

    exchange: Exchange
    catalog: Catalog
    known: routines.Routines

    async def answer(self, name: str) -> Response:
        exchange, payload = self.exchange, self.exchange.payload
        schema, parameters = exchange.project.schema_slot, Parameters()
        if payload is None:
            query = self._query_of_get()
            given: frozenset[str] | None = frozenset(key for key, _ in query.arguments)
        else:
            query = parse_query(exchange.pairs)
            given = _given(payload, query)
        routine = routines.choose(schema, name, self.known, given, payload)
        if not routine.allowed:
            raise self._forbidden(routine)
        if payload is None:
            call = calls.with_texts(schema, routine, query.arguments, parameters)
        elif routine.unnamed is not None:
            call = calls.with_whole_body(schema, routine, payload, parameters)
        elif payload.fields is not None:
            call = calls.with_texts(schema, routine, payload.fields, parameters)
        else:
            call = calls.with_json(schema, routine, payload, given or frozenset(), parameters)
        return await self._run(routine, call, query, parameters)

    def _query_of_get(self) -> Query:
        """The query string, where what is no filter is an argument."""
        found = self.known.found
        names = frozenset(a.name for r in found for a in r.arguments)
        columns = frozenset(column for r in found for column in r.columns)
        return parse_query(self.exchange.pairs, arguments=names, result_columns=columns)

    async def _run(self, routine: routines.Routine, call: Composable, query: Query, parameters: Parameters) -> Response:
        exchange = self.exchange
        prefer, window = exchange.prefer, exchange.window(query)
        accept = exchange.accept(self.catalog, routine.relation, query, routine.media)
        compiler = ReadCompiler(self.catalog, query, parameters)
        relation = self.catalog.relations.get(routine.relation) if routine.relation else None
        source = Source(Identifier("pgrst_source"), relation)
        if not routine.has_columns:
            self._refuse_columns(routine, query)
        if prefer.strict and prefer.max_affected is not None and not routine.returns_set:
            raise RestError(
                400,
                "PGRST128",
                "Function must return SETOF or TABLE when max-affected preference is used with handling=strict",
                hint="Leave max-affected out: what such a function changes cannot be counted.",
            )
        read = compiler.read(source, window)
        exchange.enter(read_only=exchange.reading)
        total = await exchange.total(read, parameters, call)
        single = not routine.returns_set
        scalar = None if routine.has_columns else routine.name
        result = await run(
            exchange.session,
            parameters,
            source=call,
            rows=read.rows,
            body=row_body(accept, single=single, scalar=scalar),
            count=SQL("count(*)"),
            total=total,
            plan=accept.plan,
            lines=lines_of(accept, single=single, scalar=scalar) if exchange.reading else None,
        )
        if accept.plan is not None:
            return exchange.plan_answer(result, accept)
        exchange.refuse_excess(prefer, result.rows)
        if routine.shape == "void":
            headers = {**prefer.applied(exchange.applied), **PRIVATE}
            return respond(exchange.request, result.status or 204, b"", None, headers, result.headers)
        response = await exchange.read_answer(result, window, prefer, accept)
        if exchange.request.method == "HEAD":
            del response.headers["content-length"]
        return response

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


# PostgreSQL's own. More names fit no function, however many they are.
_MOST_ARGUMENTS: Final = 100


def _given(payload: Payload, query: Query) -> frozenset[str] | None:
    """The names of the arguments in a body: those of `columns` if the request has them; None when the body has no names."""
    if payload.raw is not None:
        return None
    if query.columns is not None:
        return frozenset(query.columns)
    if not payload.objects:
        return None
    return frozenset(islice(payload.first or (), _MOST_ARGUMENTS + 1))
