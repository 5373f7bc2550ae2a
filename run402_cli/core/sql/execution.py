"""Runs project SQL on a connection of its own and gives PostgreSQL's answer as JSON. See docs/local-gateway.md."""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import psycopg.errors
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGconn

from run402_cli.core import expose
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import Gateway
from run402_cli.core.projects.rows import Project
from run402_cli.core.sql import results
from run402_cli.core.sql.lexer import SqlTextError, each_statement
from run402_cli.core.sql.script import Piece, Script
from run402_cli.core.sql.shared import search_path
from run402_cli.core.sql.values import encode_parameter
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
    """What is run, and the values of $1, $2, ... of a text that is one statement."""

    script: Script
    params: list[Any]


async def execute(
    gateway: Gateway, project: Project, statement: Statement, left: Callable[[], Awaitable[None]] | None = None
) -> results.Answer:
    """Run the text on a connection of its own; the answer of the route. It is undone when `left` returns before."""
    try:
        return await _in_one_session(gateway, project, statement, left)
    except Exception:
        read = functools.partial(_ends_transactions, statement.script.sql)
        if await gateway.aside.run(project.project_id, len(statement.script.text), read):
            # What it has committed before it failed stays, but dark.
            async with gateway.owner_connection(project.roles) as conn:
                await expose.reapply(conn, project)
        raise


def _ends_transactions(text: str) -> bool:
    try:
        return any(
            tokens[0].is_word("commit", "end", "rollback", "abort") for tokens in each_statement(text, repeats=False)
        )
    except SqlTextError:
        return True


async def _in_one_session(
    gateway: Gateway, project: Project, statement: Statement, left: Callable[[], Awaitable[None]] | None
) -> results.Answer:
    # The search path and claims are start-up options of a connection that is closed afterwards: COMMIT, ROLLBACK, RESET
    # ALL or DISCARD ALL inside the text fall back to them, and temporary tables or locks never reach another request.
    # It logs in as the owner of the project's schema, whom nothing else belongs to.
    settings = session_options(project)
    answer = results.Answer.of(project.schema_slot, gateway.settings.data_dir)
    try:
        async with gateway.owner_connection(
            project.roles, name="run402-sql", options=settings, seconds=None, left=left
        ) as conn:
            await _in_session(conn, project, statement, answer)
    except BaseException:
        answer.close()
        raise
    return answer


async def _in_session(conn: Connection, project: Project, statement: Statement, answer: results.Answer) -> None:
    text = statement.script.text
    await conn.execute("BEGIN")
    for piece in statement.script.pieces:
        with reporting_sql_errors(conn, project, text, piece.start):
            await _run(conn, piece, statement, answer)
    commands = answer.commands
    again = "COMMIT" in commands or conn.pgconn.transaction_status != TransactionStatus.INTRANS
    if commands - PLAIN_COMMANDS and conn.pgconn.transaction_status == TransactionStatus.INTRANS:
        again = await _restore_privileges(conn, project) or again
    with reporting_sql_errors(conn, project, text):
        await _finish(conn)
    if commands - PLAIN_COMMANDS and again:
        # The text ended its transaction by itself, so there was none of ours left to do it in; or its end ran more of it.
        await _restore_privileges(conn, project)


@contextmanager
def reporting_sql_errors(conn: Connection, project: Project, text: str, start: int = 0) -> Iterator[None]:
    """What PostgreSQL says about the text, sent from `start` on, is a 400; losing PostgreSQL is not (app.py answers 503
    then)."""
    try:
        yield
    except DISCONNECTED:
        raise
    except psycopg.Error as exc:
        if conn.closed and exc.sqlstate is None:
            raise
        raise sql_error(exc, text, project.project_id, start) from exc


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


async def _run(conn: Connection, piece: Piece, statement: Statement, answer: results.Answer) -> None:
    values = await _bind(conn, piece.sql, statement.params) if statement.params else []
    rows = None if piece.rows is None else statement.script.parts(piece.rows)
    await results.run(conn, piece.sql.encode(), answer, values=values, rows=rows)


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


async def _bind(conn: Connection, text: str, params: list[Any]) -> list[bytes | None]:
    json_params = await _json_parameters(conn, text) if any(isinstance(p, list) for p in params) else ()
    try:
        values = [encode_parameter(value, as_json=index in json_params) for index, value in enumerate(params)]
    except RecursionError as exc:
        raise GatewayError(400, "invalid_request", "A parameter is nested too deeply.", code=None) from exc
    if any("\x00" in value for value in values if value is not None):
        raise GatewayError(
            400, "invalid_request", "A parameter contains a NUL character, which PostgreSQL refuses.", code=None
        )
    return [None if value is None else value.encode() for value in values]


async def _json_parameters(conn: Connection, text: str) -> set[int]:
    """Indexes of the parameters that PostgreSQL takes as json or jsonb; only it can say."""
    from anyio import to_thread

    def describe(pgconn: PGconn) -> set[int]:
        pgconn.prepare(b"run402_describe", text.encode())
        result = pgconn.describe_prepared(b"run402_describe")
        return {index for index in range(result.nparams) if result.param_type(index) in JSON_OIDS}

    # On a savepoint: when the statement is wrong, executing it is what should report so.
    await conn.execute("SAVEPOINT run402_describe")
    found = await to_thread.run_sync(describe, conn.pgconn)
    await conn.execute("ROLLBACK TO SAVEPOINT run402_describe")
    return found


def sql_error(exc: psycopg.Error, text: str, project_id: str, start: int = 0) -> GatewayError:
    """400 sql_error with all that PostgreSQL says; `position` counts characters of the text from 1, `line` lines from 1.

    `excerpt` is that line with a caret under the place.
    """
    diag = exc.diag
    message = diag.message_primary or str(exc).strip() or type(exc).__name__
    position = start + int(diag.statement_position) if diag.statement_position else None
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
