"""GET, HEAD and POST on rpc/<function>. See docs/rest.md."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg.sql import SQL, Composable, Identifier
from starlette.responses import Response

from run402_cli.core.rest import routines
from run402_cli.core.rest.catalog import Catalog
from run402_cli.core.rest.compile import Parameters, ReadCompiler, Source
from run402_cli.core.rest.errors import RestError
from run402_cli.core.rest.exchange import PRIVATE, Exchange, respond
from run402_cli.core.rest.execute import row_body, run
from run402_cli.core.rest.nodes import Query
from run402_cli.core.rest.query import parse_query


@dataclass(slots=True)
class Call:
    """GET, HEAD and POST on rpc/<function>."""

    exchange: Exchange
    catalog: Catalog
    known: routines.Routines

    async def answer(self, name: str) -> Response:
        exchange = self.exchange
        schema, found = exchange.project.schema_slot, self.known.found
        payload = exchange.payload
        if payload is None:
            names = frozenset(a.name for r in found for a in r.arguments)
            columns = frozenset(column for r in found for column in r.columns)
            query = parse_query(exchange.pairs, arguments=names, result_columns=columns)
            given = {key for key, _ in query.arguments}
        else:
            query = parse_query(exchange.pairs)
            given = set(payload.keys) if payload.is_object else {""}
        routine = routines.choose(schema, name, self.known, given)
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
        compiler = ReadCompiler(self.catalog, query, parameters)
        relation = self.catalog.relations.get(routine.relation) if routine.relation else None
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
            count=SQL("count(*)"),
            total=total,
        )
        exchange.refuse_excess(prefer, result.rows)
        if routine.shape == "void":
            headers = {**PRIVATE, **dict(result.headers)}
            return respond(exchange.request, result.status or 204, b"", None, headers)
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
