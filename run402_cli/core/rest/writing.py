"""POST, PATCH, PUT and DELETE on a table or view. See docs/rest.md."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from psycopg.sql import SQL, Composable, Identifier
from starlette.responses import Response

from run402_cli.core.rest import mutate
from run402_cli.core.rest.body import require_rows
from run402_cli.core.rest.compile import ReadCompiler
from run402_cli.core.rest.errors import RestError
from run402_cli.core.rest.exchange import PRIVATE, Exchange, render, respond
from run402_cli.core.rest.execute import Result, row_body, run
from run402_cli.core.rest.nodes import Query, Window
from run402_cli.core.rest.preferences import Answer, Preferences, content_range
from run402_cli.core.rest.query import parse_query
from run402_cli.core.rest.schema import Catalog, Relation
from run402_cli.core.rest.statement import Parameters, Source


@dataclass(slots=True)
class Write:
    """POST, PATCH, PUT and DELETE on a relation."""

    exchange: Exchange
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
        exchange.refuse_excess(prefer, result.rows)
        return self._finish(result, content, prefer, accept)

    def _written(self) -> Source:
        return mutate.written(self.relation)

    def _statement(self, compiler: ReadCompiler, query: Query, prefer: Preferences) -> Composable | None:
        """The write without RETURNING; None when there is nothing to do."""
        method, relation = self.exchange.request.method, self.relation
        payload = self.exchange.payload
        if payload is None:
            return mutate.delete(compiler, relation)
        require_rows(payload)
        if method == "PATCH" and payload.rows > 1:
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
            columns = SQL(", ").join(Identifier(self.relation.name, name) for name in self.relation.primary_key)
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
        exchange, method = self.exchange, self.exchange.request.method
        shown = result.rows if method == "PATCH" else 0
        names = {"return", "count", "handling", "max-affected"}
        headers = {
            "Content-Range": content_range(0, shown, result.rows if prefer.count else None),
            **prefer.applied(names | ({"resolution", "missing"} if method == "POST" else set())),
        }
        if method == "POST" and result.keys and result.rows == 1:
            headers["Location"] = self._location(result.keys)
        if prefer.returning == "representation":
            return exchange.finish(result, 201 if method == "POST" else 200, content, accept, headers)
        status = result.status or (201 if method == "POST" else 204)
        return respond(exchange.request, status, b"", None, {**headers, **PRIVATE}, result.headers)

    def _location(self, keys: dict[str, Any]) -> str:
        filters = {name: f"eq.{value if isinstance(value, str) else json.dumps(value)}" for name, value in keys.items()}
        return f"{quote(self.exchange.request.url.path)}?{urlencode(filters)}"
