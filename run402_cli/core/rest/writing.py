"""POST, PATCH, PUT and DELETE on a table or view. See docs/rest.md."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urlencode

from psycopg.sql import SQL, Composable, Identifier
from starlette.responses import Response

from run402_cli.core.rest import mutate
from run402_cli.core.rest.bodies import render, row_body
from run402_cli.core.rest.body import require_rows
from run402_cli.core.rest.compile import ReadCompiler
from run402_cli.core.rest.errors import RestError
from run402_cli.core.rest.exchange import PRIVATE, Exchange, respond
from run402_cli.core.rest.execute import Result, changed, run
from run402_cli.core.rest.media import Answer
from run402_cli.core.rest.nodes import Query, Window
from run402_cli.core.rest.preferences import ALWAYS_APPLIED, Preferences, content_range
from run402_cli.core.rest.query import parse_query
from run402_cli.core.rest.schema import Catalog, Relation
from run402_cli.core.rest.statement import Parameters

_APPLIED = {
    "POST": frozenset({"resolution", "missing", "return", "count"}) | ALWAYS_APPLIED,
    "PATCH": frozenset({"missing", "return", "count", "max-affected"}) | ALWAYS_APPLIED,
    "PUT": frozenset({"return", "count"}) | ALWAYS_APPLIED,
    "DELETE": frozenset({"return", "count", "max-affected"}) | ALWAYS_APPLIED,
}


@dataclass(frozen=True, slots=True)
class Planned:
    """A write without RETURNING, None when there is nothing to do. `on_conflict` and `merges` are for what conflicts."""

    statement: Composable | None
    on_conflict: bool = False
    merges: bool = False


@dataclass(slots=True)
class Write:
    """POST, PATCH, PUT and DELETE on a relation."""

    exchange: Exchange
    catalog: Catalog
    relation: Relation

    async def answer(self) -> Response:
        exchange = self.exchange
        prefer, query = exchange.prefer, parse_query(exchange.pairs)
        accept = exchange.accept(self.catalog, self.relation.name, query)
        parameters = Parameters()
        compiler = ReadCompiler(self.catalog, query, parameters)
        # Also without a representation: a filter on something that is not embedded must not be dropped silently.
        shown = prefer.returning == "representation"
        reader = compiler if shown else ReadCompiler(self.catalog, query, Parameters())
        rows = reader.read(mutate.written(self.relation), Window(), filtered=False).rows
        planned = self._planned(compiler, query, prefer)
        plain = self._is_plain(planned, prefer, accept)
        exchange.enter(read_only=False, ends=plain and self._is_final(prefer, accept))
        if planned.statement is None:
            result = Result(b"null" if accept.format == "object" else b"[]", 0, None, None, None, [])
            content = b"" if accept.format == "csv" else result.body
        elif plain:
            session = exchange.session
            result = await changed(session, planned.statement.as_bytes(session.conn), parameters.values)
            content = b""
        else:
            result = await self._run(compiler, planned, rows if shown else SQL("SELECT 1"), prefer, accept)
            if accept.plan is not None:
                return exchange.plan_answer(result, accept)
            content = render(result.body, accept) if shown else b""
        if exchange.request.method == "PUT" and result.rows != 1:
            raise mutate.put_mismatch()
        exchange.refuse_plural(accept, result.rows)
        if exchange.request.method in ("PATCH", "DELETE"):
            exchange.refuse_excess(prefer, result.rows)
        return self._finish(planned, result, content, prefer, accept)

    def _is_plain(self, planned: Planned, prefer: Preferences, accept: Answer) -> bool:
        """Is the number of rows all that is to be known, and nobody's but PostgreSQL's?"""
        counted = prefer.returning == "minimal" and not planned.merges
        return counted and accept.plan is None and self.exchange.session.quiet

    def _is_final(self, prefer: Preferences, accept: Answer) -> bool:
        """Is it certain before that the write is kept, unless it fails?"""
        if prefer.rollback or accept.format == "object" or self.exchange.request.method == "PUT":
            return False
        return not (prefer.strict and prefer.max_affected is not None)

    def _planned(self, compiler: ReadCompiler, query: Query, prefer: Preferences) -> Planned:
        method, relation, payload = self.exchange.request.method, self.relation, self.exchange.payload
        if payload is None:
            return Planned(mutate.delete(compiler, relation))
        require_rows(payload)
        if method == "PATCH" and payload.rows > 1:
            raise RestError(400, "PGRST102", "PATCH takes one object: the new values of all rows that match.")
        missing_default = prefer.missing_default and method != "PUT"
        columns = mutate.payload_columns(relation, query, payload, missing_default)
        if method == "PATCH":
            if not (columns and payload.rows):
                return Planned(None)
            return Planned(mutate.update(compiler, relation, columns, payload, missing_default))
        resolution = "merge-duplicates" if method == "PUT" else prefer.resolution
        target = query.on_conflict if method == "POST" else None
        conditions = mutate.put_conditions(relation, columns, query, compiler.parameters) if method == "PUT" else []
        conflict = mutate.conflict_clause(relation, columns, resolution, target) if resolution else None
        merges = conflict is not None and resolution == "merge-duplicates"
        statement = mutate.insert(
            self.catalog,
            relation,
            columns,
            payload,
            compiler.parameters,
            missing_default=missing_default,
            conflict=conflict,
            where=mutate.counted(conditions) if merges else None,
        )
        return Planned(statement, conflict is not None, merges)

    async def _run(
        self, compiler: ReadCompiler, planned: Planned, rows: Composable, prefer: Preferences, accept: Answer
    ) -> Result:
        assert planned.statement is not None
        body: Composable = SQL("NULL")
        keys: Composable = SQL("NULL")
        if prefer.returning == "representation":
            columns = mutate.returning(self.catalog, self.relation, compiler.query)
            body = row_body(accept)
        elif prefer.returning == "headers-only" and self.relation.row_key:
            columns = SQL(", ").join(Identifier(self.relation.name, name) for name in self.relation.row_key)
            keys = mutate.keys(self.relation)
        else:
            columns = SQL("1 AS pgrst_one")
        return await run(
            self.exchange.session,
            compiler.parameters,
            source=SQL("{} RETURNING {}").format(planned.statement, columns),
            rows=rows,
            body=body,
            count=SQL("(SELECT count(*) FROM pgrst_source)"),
            total=mutate.INSERTED if planned.merges else SQL("NULL::int8"),
            keys=keys,
            plan=accept.plan,
        )

    def _finish(
        self, planned: Planned, result: Result, content: bytes, prefer: Preferences, accept: Answer
    ) -> Response:
        exchange, method = self.exchange, self.exchange.request.method
        shown = result.rows if method == "PATCH" else 0
        applied = _APPLIED[method] - (frozenset() if planned.on_conflict else frozenset({"resolution"}))
        headers = prefer.applied(applied)
        if method != "PUT":
            headers["Content-Range"] = content_range(0, shown, result.rows if prefer.count else None)
        if method == "POST" and result.keys and result.rows == 1:
            headers["Location"] = self._location(result.keys)
        if prefer.returning == "representation":
            return exchange.finish(result, self._status(planned, result), content, accept, headers)
        status = result.status or (self._status(planned, result) if method == "POST" else 204)
        return respond(exchange.request, status, b"", None, {**headers, **PRIVATE}, result.headers)

    def _status(self, planned: Planned, result: Result) -> int:
        """201 when there are rows that were not there, or could have been; `total` of an upsert counts them."""
        if planned.merges:
            return 201 if result.total else 200
        return 201 if self.exchange.request.method == "POST" else 200

    def _location(self, keys: list[tuple[str, str | None]]) -> str:
        filters = [(name, "is.null" if value is None else f"eq.{value}") for name, value in keys]
        return f"{quote(self.exchange.request.url.path)}?{urlencode(filters)}"
