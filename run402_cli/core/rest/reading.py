"""GET and HEAD on a table or view. What a query of one shape is compiled to is remembered, whatever its values are."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from psycopg.sql import SQL, Composable
from starlette.responses import Response

from run402_cli.core.gateway import gateway_of
from run402_cli.core.rest.bodies import lines_of, row_body
from run402_cli.core.rest.compile import Read, ReadCompiler
from run402_cli.core.rest.exchange import Exchange
from run402_cli.core.rest.execute import Result, answering, fetched, run
from run402_cli.core.rest.media import Answer
from run402_cli.core.rest.nodes import Condition, Filter, Logic, Query, Window
from run402_cli.core.rest.query import parse_query
from run402_cli.core.rest.schema import Catalog, Relation
from run402_cli.core.rest.statement import Parameters, sent
from run402_cli.core.role_connection import LONGEST_PREPARED

# A shape's own size, for each byte of a query string.
_SHAPE: Final = 10


@dataclass(frozen=True, slots=True)
class Compiled:
    """A statement for all queries of one shape: its values, and which of them the query's filters give, by their numbers."""

    sql: bytes
    values: tuple[Any, ...]
    filters: tuple[tuple[int, int], ...]

    def values_for(self, filters: Sequence[Filter]) -> list[Any]:
        values = list(self.values)
        for place, number in self.filters:
            values[place] = sent(filters[number])
        return values


def shape(query: Query, filters: list[Filter]) -> Hashable:
    """All of a query but the values of its filters, which are added to `filters` in the order of the shape.

    What `is` tests for is a part of the statement, so it stays.
    """
    conditions = tuple((path, _shape(condition, filters)) for path, condition in query.filters)
    return (query.select, conditions, query.orders, query.windows)


def _shape(condition: Condition, filters: list[Filter]) -> Hashable:
    if isinstance(condition, Logic):
        return (condition.op, condition.negated, tuple(_shape(inner, filters) for inner in condition.conditions))
    filters.append(condition)
    kept = condition.value if condition.op == "is" else None
    return (condition.field, condition.op, kept, condition.negated, condition.modifier, condition.language)


def compiled(sql: bytes, parameters: Parameters, filters: Sequence[Filter]) -> Compiled:
    numbers = {id(condition): number for number, condition in enumerate(filters)}
    places = tuple((place, numbers[id(condition)]) for place, condition in parameters.filters.items())
    return Compiled(sql, tuple(parameters.values), places)


async def select(exchange: Exchange, catalog: Catalog, relation: Relation) -> Response:
    """Answer a read."""
    query = parse_query(exchange.pairs)
    accept = exchange.accept(catalog, relation.name, query)
    window = exchange.window(query)
    if accept.plan is None and not exchange.asks_planner:
        result = await _known(exchange, catalog, relation, query, window, accept)
        return await exchange.read_answer(result, window, exchange.prefer, accept)
    read, parameters = _read(catalog, relation, query, window)
    exchange.enter(read_only=True)
    total = await exchange.total(read, parameters)
    result = await run(
        exchange.session,
        parameters,
        body=row_body(accept),
        rows=read.rows,
        count=SQL("count(*)"),
        total=total,
        plan=accept.plan,
        lines=lines_of(accept),
    )
    if accept.plan is not None:
        return exchange.plan_answer(result, accept)
    return await exchange.read_answer(result, window, exchange.prefer, accept)


async def _known(
    exchange: Exchange, catalog: Catalog, relation: Relation, query: Query, window: Window, accept: Answer
) -> Result:
    """The answer, by the statement of an earlier query of the same shape if there was one."""
    session, known = exchange.session, gateway_of(exchange.request).known_reads
    filters: list[Filter] = []
    lines = lines_of(accept)
    counts = exchange.prefer.count is not None
    key = (catalog.number, relation.name, session.unasking, counts, accept, window, shape(query, filters))
    found: Compiled | None = known.get(key)
    if found is None:
        read, parameters = _read(catalog, relation, query, window)
        statement = answering(
            unasking=session.unasking,
            body=row_body(accept),
            rows=read.rows,
            count=SQL("count(*)"),
            total=exchange.counted(read),
            lines=lines,
        )
        found = compiled(statement.as_bytes(session.conn), parameters, filters)
        if len(found.sql) <= LONGEST_PREPARED:
            asked: bytes = exchange.request.scope["query_string"]
            known.put(key, found, len(found.sql) + _SHAPE * len(asked))
    exchange.enter(read_only=True)

    def again() -> tuple[Composable, None]:
        return _read(catalog, relation, query, window)[0].rows, None

    return await fetched(session, found.sql, found.values_for(filters), lines, again)


def _read(catalog: Catalog, relation: Relation, query: Query, window: Window) -> tuple[Read, Parameters]:
    parameters = Parameters()
    compiler = ReadCompiler(catalog, query, parameters)
    return compiler.read(compiler.source(relation), window), parameters
