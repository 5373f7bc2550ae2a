"""One REST request on its way through its transaction, and the answers that all kinds of requests share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import quote, urlencode

from psycopg.sql import SQL, Composable
from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.gateway import gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.rest import long_answers
from run402_cli.core.rest.bodies import render
from run402_cli.core.rest.body import Payload
from run402_cli.core.rest.compile import Read
from run402_cli.core.rest.errors import RestError
from run402_cli.core.rest.execute import Result, Role, entering, planned_rows
from run402_cli.core.rest.long_answers import Long
from run402_cli.core.rest.media import Answer, Handler, negotiate
from run402_cli.core.rest.nodes import Query, Window
from run402_cli.core.rest.preferences import (
    ALWAYS_APPLIED,
    Preferences,
    content_range,
    parse_prefer,
    parse_range,
)
from run402_cli.core.rest.query import parse_pairs
from run402_cli.core.rest.schema import Catalog
from run402_cli.core.rest.session import Session
from run402_cli.core.rest.statement import Parameters
from run402_cli.core.role_connection import Step
from run402_cli.core.web import hints
from run402_cli.core.web.addresses import path_of

PRIVATE = {"Cache-Control": "private, no-store"}
_TIMEZONE = b"SELECT pg_catalog.set_config('TimeZone', $1, true)"
# Above this many expected rows count=estimated trusts the planner.
_ESTIMATE_FROM = 1000


@dataclass(slots=True)
class Exchange:
    """One request on its way through the transaction; `payload` is None when its method takes no body."""

    session: Session
    project: Project
    role: Role
    claims: dict[str, str]
    request: Request
    payload: Payload | None
    timezones: frozenset[str] = frozenset()
    pairs: list[tuple[str, str]] = field(init=False)
    prefer: Preferences = field(init=False)

    def __post_init__(self) -> None:
        self.pairs = parse_pairs(self.request.scope.get("query_string", b""))
        self.prefer = parse_prefer(self.request.headers.getlist("prefer"), self.timezones)

    @property
    def reading(self) -> bool:
        return self.request.method in ("GET", "HEAD")

    def accept(self, catalog: Catalog, relation: str | None, query: Query, given: Handler | None = None) -> Answer:
        """The representation that is asked for. `given` is the media type that a function returns by its declaration."""
        whole = relation is not None and query.select == Query().select
        own = [h for h in catalog.handlers if whole and h.relation == relation] if given is None else [given]
        general = [h for h in catalog.handlers if h.relation is None]
        plans = self.role == "service_role"
        return negotiate(self.request.headers.get("accept"), own=own, general=general, plans=plans)

    def window(self, query: Query) -> Window:
        # HTTP has the header for GET alone.
        header = self.request.headers.get("range") if self.request.method == "GET" else None
        return parse_range(header, query.window_at(()))

    def enter(self, *, read_only: bool, ends: bool | None = None) -> None:
        """`ends`: with its last statement; as said, a read does."""
        ends = read_only if ends is None else ends
        entering(self.session, self.request, self.project, self.claims, read_only=read_only, ends=ends)
        if self.prefer.timezone is not None:
            self.session.enter(Step(_TIMEZONE, (self.prefer.timezone,)), ends=ends)

    async def total(self, read: Read, parameters: Parameters, source: Composable | None = None) -> Composable:
        """The expression for the number of all rows, as `Prefer: count` wants it.

        The planner counts rows that policies hide, so its numbers are for the service key alone; others get the exact one.
        """
        if self.asks_planner and source is None:
            planned = await planned_rows(self.session, read.all_rows, parameters)
            if self.prefer.count == "planned" or planned > _ESTIMATE_FROM:
                return SQL("{}::int8").format(planned)
        return self.counted(read)

    @property
    def asks_planner(self) -> bool:
        return self.prefer.count in ("planned", "estimated") and self.role == "service_role"

    def counted(self, read: Read) -> Composable:
        """The expression for the exact number, if it is wanted."""
        if self.prefer.count is None:
            return SQL("NULL::int8")
        return SQL("(SELECT count(*) FROM ({}) AS pgrst_c)").format(read.counted)

    def plan_answer(self, result: Result, accept: Answer) -> Response:
        return respond(self.request, 200, result.body, accept.content_type, PRIVATE)

    async def read_answer(self, result: Result, window: Window, prefer: Preferences, accept: Answer) -> Response:
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
        if result.long is not None:
            return await self._long_answer(result, result.long, window, prefer, accept)
        return self._rows_answer(result, window, prefer, accept)

    async def _long_answer(
        self, result: Result, long: Long, window: Window, prefer: Preferences, accept: Answer
    ) -> Response:
        """Its rows are read once more, and counted; what a function said of the answer is of the first time."""
        if self.request.method == "HEAD" or result.status in (204, 304):
            answer = self._rows_answer(result, window, prefer, accept)
            if self.request.method == "HEAD":
                answer.headers["Content-Length"] = str(long.size)
                if accept.format == "csv":
                    # It has been measured as JSON.
                    del answer.headers["Content-Length"]
            return answer
        waiting = await long_answers.read(gateway_of(self.request), self.project.project_id, self.session, long)
        try:
            total = None if result.total is None else max(result.total, window.offset + waiting.rows)
            counted = replace(result, rows=waiting.rows, total=total)
            return waiting.response(self._rows_answer(counted, window, prefer, accept))
        except BaseException:
            await waiting.close()
            raise

    def _rows_answer(self, result: Result, window: Window, prefer: Preferences, accept: Answer) -> Response:
        total = result.total
        headers = {
            "Content-Range": content_range(window.offset, result.rows, total),
            **prefer.applied(self.applied),
        }
        if not self.calls:
            headers["Content-Location"] = self._content_location()
        status = 206 if total is not None and result.rows < total else 200
        content = b"" if result.long is not None else render(result.body, accept)
        return self.finish(result, status, content, accept, headers)

    @property
    def applied(self) -> frozenset[str]:
        """The preferences that count for a read, or for the call of a function."""
        return ALWAYS_APPLIED | {"count"} | ({"max-affected"} if self.calls else frozenset())

    @property
    def calls(self) -> bool:
        return bool(self.request.path_params.get("path", "").startswith("rpc/"))

    def _content_location(self) -> str:
        """One address for one content: the same parameters in the same order."""
        query = urlencode(sorted(self.pairs, key=lambda pair: pair[0]))
        return quote(path_of(self.request).rstrip("/")) + (f"?{query}" if query else "")

    def refuse_plural(self, accept: Answer, rows: int) -> None:
        if accept.format == "object" and rows != 1:
            raise RestError(
                406,
                "PGRST116",
                "Cannot coerce the result to a single JSON object",
                details=f"The result contains {rows} rows",
            )

    def refuse_excess(self, prefer: Preferences, rows: int) -> None:
        if prefer.strict and prefer.max_affected is not None and rows > prefer.max_affected:
            raise RestError(
                400,
                "PGRST124",
                "Query result exceeds max-affected preference constraint",
                details=f"The query affects {rows} rows",
            )

    def finish(self, result: Result, status: int, content: bytes, accept: Answer, headers: dict[str, str]) -> Response:
        headers = {**headers, **PRIVATE}
        return respond(self.request, result.status or status, content, accept.content_type, headers, result.headers)


def error_response(error: RestError, request: Request, project: Project | None = None) -> Response:
    """The answer for an error; a 4xx has a hint, with commands for `project` where it is known."""
    body = error.body()
    if 400 <= error.status < 500:
        body = hints.rest(body, project.project_id if project is not None else None)
    content = json.dumps(body, ensure_ascii=False, default=str).encode("utf-8", "replace")
    headers = {**PRIVATE, **error.headers}
    if error.code.isalnum() and error.code.isascii():
        # Clients read the code from here when there is no body, as for HEAD.
        headers["Proxy-Status"] = f"PostgREST; error={error.code}"
    return respond(request, error.status, content, "application/json; charset=utf-8", headers)


def respond(
    request: Request,
    status: int,
    content: bytes,
    content_type: str | None,
    headers: dict[str, str],
    own: Sequence[tuple[str, str]] = (),
) -> Response:
    """`own` are headers that a function chose: all of them are sent, and the gateway's of the same names are not."""
    if status in (204, 304):
        response = Response(status_code=status, headers=headers)
    else:
        if request.method == "HEAD":
            headers = {**headers, "Content-Length": str(len(content))}
            content = b""
        response = Response(content, status, {**headers, "Content-Type": content_type} if content_type else headers)
    for name in {name.lower() for name, _ in own}:
        if name in response.headers:
            del response.headers[name]
    for name, value in own:
        response.headers.append(name, value)
    return response
