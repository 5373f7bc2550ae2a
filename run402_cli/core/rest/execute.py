"""Runs one compiled statement as the caller's role and reads its answer."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from psycopg.pq.abc import PGresult
from psycopg.sql import SQL, Composable
from starlette.requests import Request

from run402_cli.core.gateway import gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.rest.bodies import Lines
from run402_cli.core.rest.errors import RestError, checked_headers, checked_status
from run402_cli.core.rest.long_answers import MAX_VALUE_BYTES, SHORT_ANSWER, Long, bounded_lines, sized_lines, too_large
from run402_cli.core.rest.media import Plan
from run402_cli.core.rest.session import Session
from run402_cli.core.rest.statement import Parameters, raw
from run402_cli.core.role_connection import Step
from run402_cli.core.sql.results import MOST_BYTES
from run402_cli.core.sql.shared import search_path

Role = Literal["anon", "authenticated", "project_admin", "service_role"]

_SECRET_HEADERS = frozenset({"authorization", "apikey", "cookie", "proxy-authorization"})

_ENTER = b"""
SELECT pg_catalog.set_config('search_path', $1, true), pg_catalog.set_config('statement_timeout', $2, true),
  pg_catalog.set_config('transaction_read_only', $3, true), pg_catalog.set_config('request.jwt.claims', $4, true),
  pg_catalog.set_config('request.method', $5, true), pg_catalog.set_config('request.path', $6, true),
  pg_catalog.set_config('request.headers', $7, true), pg_catalog.set_config('request.cookies', $8, true),
  pg_catalog.set_config('response.headers', '', true), pg_catalog.set_config('response.status', '', true),
  pg_catalog.setseed($9)
"""
# Where nobody looks at the request, and nothing says a header or is random.
_ENTER_UNASKING = b"""
SELECT pg_catalog.set_config('search_path', $1, true), pg_catalog.set_config('statement_timeout', $2, true),
  pg_catalog.set_config('transaction_read_only', $3, true), pg_catalog.set_config('request.jwt.claims', $4, true)
"""


@dataclass(frozen=True, slots=True)
class Result:
    """`rows` counts what the body holds (or what a write touched); `total` what the filters match, if asked for.

    `long`: the body is not here, but can be read (long_answers.py).
    """

    body: bytes
    rows: int
    total: int | None
    keys: Any
    status: int | None
    headers: list[tuple[str, str]]
    long: Long | None = None


def entering(
    session: Session, request: Request, project: Project, claims: dict[str, str], *, read_only: bool, ends: bool
) -> None:
    """From the first statement to the end of the transaction the project's schema is on the path, the claims are where
    auth.uid() looks.

    The role is the one that the connection logged in as.
    """
    values: tuple[Any, ...] = (
        search_path(project.schema_slot),
        str(gateway_of(request).settings.statement_milliseconds),
        "on" if read_only else "off",
        json.dumps(claims),
    )
    if session.unasking:
        session.enter(Step(_ENTER_UNASKING, values, keep=True), ends=ends)
        return
    headers = {name: value for name, value in request.headers.items() if name not in _SECRET_HEADERS}
    values += (
        request.method,
        "/" + request.path_params.get("path", "").replace("\0", ""),
        json.dumps(headers),
        json.dumps(request.cookies),
        # Else random() is what somebody before chose in this session.
        secrets.randbelow(2**53) / 2**52 - 1,
    )
    session.enter(Step(_ENTER, values, keep=session.quiet), ends=ends)


_SAYS = raw(
    "current_setting('response.status', true) AS pgrst_status, current_setting('response.headers', true) AS pgrst_headers"
)
_SAYS_NOTHING = raw("NULL::text AS pgrst_status, NULL::text AS pgrst_headers")
# Its length is known before it is sent.
_SIZED = (
    "SELECT CASE WHEN COALESCE(pgrst_size, pg_catalog.octet_length(pgrst_body)) <= {} THEN pgrst_body END, pgrst_rows, "
    "pgrst_total, pgrst_keys, pgrst_status, pgrst_headers, COALESCE(pgrst_size, pg_catalog.octet_length(pgrst_body)) FROM"
)


def answering(
    *,
    unasking: bool,
    body: Composable,
    rows: Composable,
    count: Composable,
    total: Composable,
    keys: Composable | None = None,
    source: Composable | None = None,
    plan: Plan | None = None,
    lines: Lines | None = None,
) -> Composable:
    """`WITH pgrst_source AS (source) SELECT body, count, total, keys ... FROM (rows) AS pgrst_x`.

    `count` and `total` are expressions for the numbers of Result; `total` may be NULL. With a `plan` it is EXPLAIN of that.
    A body that is too long stays where it is: see `fetched`. What is made of `lines` does from SHORT_ANSWER on.
    """
    most, size, whole = MAX_VALUE_BYTES, SQL("NULL::pg_catalog.int8"), rows
    if lines is not None and plan is None:
        most, size, whole = SHORT_ANSWER, SQL("pg_catalog.max(pgrst_size)"), sized_lines(lines, rows)
        body = lines.whole(most)
    statement: Composable = SQL(
        "SELECT ({})::text AS pgrst_body, {} AS pgrst_rows, {} AS pgrst_total, {} AS pgrst_keys, "
        "{}, {} AS pgrst_size FROM ({}) AS pgrst_x"
    ).format(body, count, total, keys or SQL("NULL"), _SAYS_NOTHING if unasking else _SAYS, size, whole)
    if plan is None:
        statement = SQL("{} ({}) AS pgrst_o").format(raw(_SIZED.format(most)), statement)
    statement = _with_source(source, statement)
    if plan is not None:
        options = raw(", ".join([f"FORMAT {plan.format}", *plan.options]))
        statement = SQL("EXPLAIN ({}) {}").format(options, statement)
    return statement


async def run(session: Session, parameters: Parameters, *, plan: Plan | None = None, **parts: Any) -> Result:
    """The answer of what `answering` makes of these parts. With a `plan` the body is all that is known."""
    statement = answering(unasking=session.unasking, plan=plan, **parts).as_bytes(session.conn)
    if plan is not None:
        told = await session.fetch(statement, parameters.values, last=True)
        told_lines = (told.get_value(line, 0) or b"" for line in range(told.ntuples))
        return Result(b"\n".join(told_lines), 0, None, None, None, [])
    lines, rows, source = parts.get("lines"), parts["rows"], parts.get("source")
    return await fetched(session, statement, parameters.values, lines, lambda: (rows, source))


async def fetched(
    session: Session,
    statement: bytes,
    values: Sequence[Any],
    lines: Lines | None,
    again: Callable[[], tuple[Composable, Composable | None]],
) -> Result:
    """The answer of one statement. A body of more than MAX_VALUE_BYTES is refused, unless it is made of `lines`; `again` gives
    their rows and source then.
    """
    found = await session.fetch(statement, values, last=True)
    long, most = None, MAX_VALUE_BYTES if lines is None else SHORT_ANSWER
    if (size := int(found.get_value(0, 6) or 0)) > most:
        if lines is None or size > MOST_BYTES:
            raise too_large(size, int(found.get_value(0, 1) or 0), most if lines is None else MOST_BYTES)
        rows, source = again()
        # As many separators as lines: one too many, and the brackets.
        size += 2 - len(lines.between)
        long = Long(size, lines, _with_source(source, bounded_lines(lines, rows)), values)
    status, headers = _text(found, 4), _text(found, 5)
    return Result(
        found.get_value(0, 0) or b"",
        int(found.get_value(0, 1) or 0),
        _number(found, 2),
        json.loads(found.get_value(0, 3) or b"null"),
        _status(status),
        _headers(headers),
        long,
    )


async def changed(session: Session, statement: bytes, values: Sequence[Any]) -> Result:
    """What a write that nothing of the project has a say in did, by PostgreSQL's own word."""
    found = await session.fetch(statement, values, last=True)
    return Result(b"", found.command_tuples or 0, None, None, None, [])


def _with_source(source: Composable | None, statement: Composable) -> Composable:
    # At the top: a statement that writes may stand nowhere else.
    return statement if source is None else SQL("WITH pgrst_source AS ({}) {}").format(source, statement)


async def planned_rows(session: Session, rows: Composable, parameters: Parameters) -> int:
    """How many rows the planner expects, with those that policies hide: its statistics are of the whole table."""
    statement = SQL("EXPLAIN (FORMAT JSON) {}").format(rows).as_bytes(session.conn)
    found = await session.fetch(statement, parameters.values)
    return int(json.loads(found.get_value(0, 0) or b"")[0]["Plan"]["Plan Rows"])


def _text(found: PGresult, column: int) -> str | None:
    value = found.get_value(0, column)
    return None if value is None else value.decode()


def _number(found: PGresult, column: int) -> int | None:
    value = found.get_value(0, column)
    return None if value is None else int(value)


def _status(text: str | None) -> int | None:
    """`response.status`, which a function may set."""
    try:
        return checked_status(text) if text else None
    except ValueError as exc:
        raise RestError(500, "PGRST112", f"A function set response.status, but {exc}.") from exc


def _headers(text: str | None) -> list[tuple[str, str]]:
    """`response.headers`, which a function may set: `[{"Name": "value"}, ...]`."""
    if not text:
        return []
    try:
        return checked_headers(pair for entry in json.loads(text) for pair in entry.items())
    except (ValueError, TypeError, AttributeError, RecursionError) as exc:
        raise RestError(
            500,
            "PGRST111",
            "A function set response.headers to something else than headers of printable ASCII.",
            hint='Set it to a JSON array such as [{"X-Name": "value"}].',
        ) from exc
