"""Runs project SQL on a connection of its own and gives PostgreSQL's answer as JSON. See docs/local-gateway.md."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import psycopg.errors
from psycopg import AsyncRawCursor
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGconn

from run402_cli.core import expose
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import Gateway
from run402_cli.core.projects.rows import Project
from run402_cli.core.sql.lexer import SqlTextError, each_statement
from run402_cli.core.sql.shared import search_path
from run402_cli.core.sql.values import decode, encode_parameter, type_name
from run402_cli.core.web import hints

JSON_OIDS = (114, 3802)
# Statements that neither create, drop nor change an object, so privileges need no second look.
PLAIN_COMMANDS = frozenset(
    {"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "EXPLAIN", "SET", "RESET", "SHOW"}
    | {"BEGIN", "START", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE"}
)
DISCONNECTED = (psycopg.errors.AdminShutdown, psycopg.errors.CrashShutdown, psycopg.errors.CannotConnectNow)


@dataclass(frozen=True, slots=True)
class Statement:
    sql: str
    params: list[Any]


async def execute(
    gateway: Gateway, project: Project, statement: Statement, left: Callable[[], Awaitable[None]] | None = None
) -> dict[str, Any]:
    """Run the text on a connection of its own and return the answer of the route. It is undone when `left` returns before."""
    try:
        return await _in_one_session(gateway, project, statement, left)
    except Exception:
        read = functools.partial(_ends_transactions, statement.sql)
        if await gateway.aside.run(project.project_id, len(statement.sql), read):
            # What it has committed before it failed stays, but dark.
            async with gateway.owner_connection(project.roles) as conn:
                await expose.reapply(conn, project)
        raise


def _ends_transactions(text: str) -> bool:
    try:
        return any(tokens[0].is_word("commit", "end", "rollback", "abort") for tokens in each_statement(text))
    except SqlTextError:
        return True


async def _in_one_session(
    gateway: Gateway, project: Project, statement: Statement, left: Callable[[], Awaitable[None]] | None
) -> dict[str, Any]:
    # The search path and claims are start-up options of a connection that is closed afterwards: COMMIT, ROLLBACK, RESET
    # ALL or DISCARD ALL inside the text fall back to them, and temporary tables or locks never reach another request.
    # It logs in as the owner of the project's schema, whom nothing else belongs to.
    settings = session_options(project)
    async with gateway.owner_connection(
        project.roles, name="run402-sql", options=settings, seconds=None, left=left
    ) as conn:
        await conn.execute("BEGIN")
        with reporting_sql_errors(conn, project, statement.sql):
            answer, commands = await _run(conn, project, statement)
        again = "COMMIT" in commands or conn.pgconn.transaction_status != TransactionStatus.INTRANS
        if commands - PLAIN_COMMANDS and conn.pgconn.transaction_status == TransactionStatus.INTRANS:
            again = await _restore_privileges(conn, project) or again
        with reporting_sql_errors(conn, project, statement.sql):
            await _finish(conn)
        if commands - PLAIN_COMMANDS and again:
            # The text ended its transaction by itself, so there was none of ours left to do it in; or its end ran more of it.
            await _restore_privileges(conn, project)
    return answer


@contextmanager
def reporting_sql_errors(conn: Connection, project: Project, text: str) -> Iterator[None]:
    """What PostgreSQL says about the text is a 400; losing PostgreSQL is not (app.py answers 503 then)."""
    try:
        yield
    except DISCONNECTED:
        raise
    except psycopg.Error as exc:
        if conn.closed and exc.sqlstate is None:
            raise
        raise sql_error(exc, text, project.project_id) from exc


def session_options(project: Project, **more: str) -> str:
    """libpq `options`: the settings of a session that acts as the project's owner, and `more` of them (without spaces)."""
    claims = {"iss": "run402-core", "project_id": project.project_id, "role": "service_role", "sub": "service"}
    settings = {
        "search_path": search_path(project.schema_slot).replace(" ", ""),
        "request.jwt.claims": json.dumps(claims, sort_keys=True, separators=(",", ":")),
        "timezone": "UTC",
        "datestyle": "ISO,YMD",
        "intervalstyle": "postgres",
        "bytea_output": "hex",
        "extra_float_digits": "1",
        **more,
    }
    return " ".join(f"-c {name}={value}" for name, value in settings.items())


async def _run(conn: Connection, project: Project, statement: Statement) -> tuple[dict[str, Any], set[str]]:
    # The raw cursor takes $1, $2, ... as they are.
    cursor = AsyncRawCursor(conn)
    if statement.params:
        await cursor.execute(statement.sql.encode(), await _bind(conn, statement))
    else:
        await cursor.execute(statement.sql.encode())
    # There are as many results as statements, and as many rows as were asked for.
    return await asyncio.to_thread(_collect, cursor, project)


async def _finish(conn: Connection) -> None:
    if conn.pgconn.transaction_status == TransactionStatus.INERROR:
        await conn.execute("ROLLBACK")
        raise GatewayError(
            400, "sql_error", "The transaction was aborted by an earlier statement.", code=None, sqlstate="25P02"
        )
    if conn.pgconn.transaction_status == TransactionStatus.INTRANS:
        await conn.execute("COMMIT")


async def _restore_privileges(conn: Connection, project: Project) -> bool:
    """What the text created is dark to anon and users until exposed. As `reapply`."""
    # The text may have set a timeout or a role for itself; neither is meant for this.
    await conn.execute("RESET ALL; RESET ROLE")
    return await expose.reapply(conn, project)


def _collect(cursor: psycopg.AsyncCursor[Any], project: Project) -> tuple[dict[str, Any], set[str]]:
    """The answer, and the first word of every command that ran."""
    row_count, commands = 0, set[str]()
    while True:
        result = cursor.pgresult
        if result is not None:
            row_count += result.command_tuples or 0
            commands.add((result.command_status or b"").decode().partition(" ")[0])
            # `EXPLAIN` and utility statements with rows have no count in their tag.
            if not result.command_tuples and result.nfields:
                row_count += result.ntuples
        if not cursor.nextset():
            break
    fields: list[dict[str, str]] = []
    rows: list[dict[str, Any]] = []
    if result is not None and result.nfields:
        names = [(result.fname(column) or b"").decode() for column in range(result.nfields)]
        oids = [result.ftype(column) for column in range(result.nfields)]
        fields = [{"name": name, "type": type_name(oid)} for name, oid in zip(names, oids, strict=True)]
        for row in range(result.ntuples):
            values = [decode(oid, result.get_value(row, column)) for column, oid in enumerate(oids)]
            rows.append(dict(zip(names, values, strict=True)))
    return {
        "status": "ok",
        "schema": project.schema_slot,
        "rows": rows,
        "row_count": row_count,
        "fields": fields,
    }, commands


async def _bind(conn: Connection, statement: Statement) -> list[str | None]:
    json_params = await _json_parameters(conn, statement) if any(isinstance(p, list) for p in statement.params) else ()
    values = [encode_parameter(value, as_json=index in json_params) for index, value in enumerate(statement.params)]
    if any("\x00" in value for value in values if value is not None):
        raise GatewayError(
            400, "invalid_request", "A parameter contains a NUL character, which PostgreSQL refuses.", code=None
        )
    return values


async def _json_parameters(conn: Connection, statement: Statement) -> set[int]:
    """Indexes of the parameters that PostgreSQL takes as json or jsonb; only it can say."""
    from anyio import to_thread

    def describe(pgconn: PGconn) -> set[int]:
        pgconn.prepare(b"run402_describe", statement.sql.encode())
        result = pgconn.describe_prepared(b"run402_describe")
        return {index for index in range(result.nparams) if result.param_type(index) in JSON_OIDS}

    # On a savepoint: when the statement is wrong, executing it is what should report so.
    await conn.execute("SAVEPOINT run402_describe")
    found = await to_thread.run_sync(describe, conn.pgconn)
    await conn.execute("ROLLBACK TO SAVEPOINT run402_describe")
    return found


def sql_error(exc: psycopg.Error, text: str, project_id: str) -> GatewayError:
    """400 sql_error with all that PostgreSQL says; `position` counts characters from 1, `line` lines from 1.

    `excerpt` is that line with a caret under the place.
    """
    diag = exc.diag
    message = diag.message_primary or str(exc).strip() or type(exc).__name__
    position = int(diag.statement_position) if diag.statement_position else None
    fields = {
        "sqlstate": exc.sqlstate,
        "position": position,
        "line": text.count("\n", 0, position - 1) + 1 if position else None,
        "detail": diag.message_detail,
        **hints.sql(text, position, exc.sqlstate, diag.message_hint, project_id),
        "context": diag.context,
        "schema_name": diag.schema_name,
        "table_name": diag.table_name,
        "column_name": diag.column_name,
        "constraint_name": diag.constraint_name,
    }
    return GatewayError(400, "sql_error", message, **{name: value for name, value in fields.items() if value})
