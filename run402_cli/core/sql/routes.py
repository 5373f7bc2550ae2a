"""SQL with the service key, and what is in the project's schema. See docs/local-gateway.md."""

from __future__ import annotations

import functools
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.callers.policies import SERVICE_KEY
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.sql import script
from run402_cli.core.sql.execution import Statement, execute
from run402_cli.core.sql.guard import find_blocked, statements
from run402_cli.core.sql.schema import tables
from run402_cli.core.sql.shared import SharedNameError, install
from run402_cli.core.sql.values import Digits
from run402_cli.core.web import json_text
from run402_cli.core.web.body_limit import MIB
from run402_cli.core.web.http import left, reply
from run402_cli.core.web.routing import Route, admitted

MOST_STATEMENTS = 200_000


async def run_sql(request: Request) -> Response:
    """Text, or JSON `{sql, params?}`: `{status, schema, rows, row_count, fields}`; rows and fields of the last result.

    `values`, an array of arrays, stands after `rows` when columns have the same name. All statements are one transaction
    unless the text itself says BEGIN/COMMIT. The rows of a `COPY ... FROM stdin` stand in the text, as pg_dump writes them.
    Errors: 400 invalid_request, 400 sql_error (PostgreSQL's message, sqlstate, position, line, detail, hint),
    401 authentication_required, 403 sql_forbidden, 404 project_not_found, 413 sql_result_too_large (results.MOST_BYTES).
    """
    gateway, project = gateway_of(request), admitted(request, Project)
    raw = await request.body()
    as_json = "application/json" in request.headers.get("content-type", "").lower()
    read = functools.partial(_permitted, raw, as_json=as_json)
    statement = await gateway.aside.run(project.project_id, len(raw), read)
    if statement.script.extensions:
        try:
            async with gateway.connection() as conn:
                await install(conn, statement.script.extensions)
        except SharedNameError as exc:
            raise _shared_name(exc) from exc
    answer = await execute(gateway, project, statement, left(request))
    return await answer.response()


def _permitted(raw: bytes, *, as_json: bool) -> Statement:
    """What is run."""
    text, params = read_statement(raw, as_json=as_json)
    try:
        found = script.read(text)
        blocked = find_blocked(found.sql)
        if blocked is not None:
            raise GatewayError(
                403,
                "sql_forbidden",
                f"{blocked.statement} is not allowed in project SQL. {blocked.hint}",
                code="FORBIDDEN",
                hint=blocked.hint,
            )
        _refuse_many(found.sql)
        if params and len(found.pieces) > 1:
            raise GatewayError(400, "invalid_request", "A text with the rows of a COPY takes no `params`.", code=None)
        return Statement(script.prepared(found), params)
    except SharedNameError as exc:
        raise _shared_name(exc) from exc


def _refuse_many(text: str) -> None:
    """413: each statement is answered by itself, and all answers are kept until the last one."""
    if text.count(";") > MOST_STATEMENTS and sum(1 for _ in statements(text)) > MOST_STATEMENTS:
        raise GatewayError(
            413,
            "request_too_large",
            f"The SQL may have {MOST_STATEMENTS:,} statements. Send it in several files, or the rows over REST: "
            "run402 projects rest <table> --method POST --body-file rows.csv --key-type service",
            max_statements=MOST_STATEMENTS,
        )


def _shared_name(exc: SharedNameError) -> GatewayError:
    return GatewayError(
        403,
        "sql_forbidden",
        f"The SQL cannot run: {exc}. {exc.hint}",
        code="FORBIDDEN",
        hint=exc.hint,
        line=exc.line,
    )


def read_statement(raw: bytes, *, as_json: bool) -> tuple[str, list[Any]]:
    """The SQL and its parameters."""
    try:
        text = raw.decode().removeprefix(script.BOM)
    except UnicodeDecodeError as exc:
        raise GatewayError(400, "invalid_request", f"The SQL is not UTF-8 text (byte {exc.start}).", code=None) from exc
    params: Any = []
    if as_json:
        text, params = _from_json(text)
    if "\x00" in text:
        raise GatewayError(
            400, "invalid_request", "The SQL contains a NUL character, which PostgreSQL refuses.", code=None
        )
    if not text.strip():
        raise GatewayError(
            400, "invalid_request", "The SQL is empty. Send statements as text, or {sql, params}.", code=None
        )
    return text, params


def _from_json(text: str) -> tuple[str, list[Any]]:
    try:
        body = json_text.loads(text, fraction=Digits)
    except ValueError as exc:
        raise GatewayError(400, "invalid_request", f"The request body is not valid JSON: {exc}", code=None) from exc
    query = body.get("sql", body.get("query")) if isinstance(body, dict) else None
    if not isinstance(query, str):
        raise GatewayError(400, "invalid_request", "The JSON body must be {sql: string, params?: array}.", code=None)
    params = body.get("params")
    if params is not None and not isinstance(params, list):
        raise GatewayError(400, "invalid_request", "`params` must be an array: the values of $1, $2, ...", code=None)
    return query, params or []


async def get_schema(request: Request) -> Response:
    """GET /projects/v1/admin/{project_id}/schema: `{schema, tables}`.

    A table is {name, columns, constraints, rls_enabled, row_estimate, policies}.
    """
    project = admitted(request, Project)
    async with gateway_of(request).owner_connection(project.roles, left=left(request)) as conn:
        return reply({"schema": project.schema_slot, "tables": await tables(conn, project.schema_slot)})


ROUTES = [
    Route("/projects/v1/admin/{project_id}/sql", run_sql, methods=["POST"], who=SERVICE_KEY, body=32 * MIB),
    Route("/projects/v1/admin/{project_id}/schema", get_schema, methods=["GET"], who=SERVICE_KEY),
]
