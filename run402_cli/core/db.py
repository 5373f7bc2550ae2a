"""The type of a database connection, what every function that reads or writes rows is handed; and the check of a cursor
that names a row. The floor of core/.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import AsyncConnection, sql
from psycopg_pool import PoolTimeout

from run402_cli.core.errors import GatewayError

Connection = AsyncConnection[Any]

# In a query for the next row of a queue that all projects share: how much of the row's project is in progress. `busy` of
# its parameters is that of slots.py, as Jsonb.
IN_PROGRESS = "coalesce((%(busy)s::jsonb->>project_id)::int, 0)"

# Of SQLSTATE: the connection is lost, there is no room (memory, disk, connections), the server is going or coming.
_AWAY = ("08", "53", "57P")


def is_away(exc: BaseException) -> bool:
    """Whether the database could not be reached. Any other error is about what it was given: to repeat that is no use."""
    if isinstance(exc, GatewayError):
        return exc.error == "database_unavailable"
    if isinstance(exc, psycopg.OperationalError):
        return exc.sqlstate is None or exc.sqlstate.startswith(_AWAY)
    return isinstance(exc, (PoolTimeout, psycopg.InterfaceError))


def reason_of(exc: BaseException) -> str:
    """An error in words that can be stored and shown: one line, without characters that PostgreSQL or a terminal minds."""
    text = (exc.message if isinstance(exc, GatewayError) else str(exc)) or type(exc).__name__
    return "".join(char if char.isprintable() else " " for char in text)[:500]


async def check_cursor(conn: Connection, field: str, value: str, table: str, **columns: str) -> None:
    """400 INVALID_CURSOR when no row of `table` has these columns: a page after nothing would be empty, as at the end.

    `value`, the cursor, stands in one of the columns.
    """
    wanted = sql.SQL(" AND ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in columns)
    query = sql.SQL("SELECT 1 FROM {} WHERE {}").format(sql.Identifier("internal", table), wanted)
    if await (await conn.execute(query, tuple(columns.values()))).fetchone() is None:
        raise GatewayError(
            400,
            "invalid_cursor",
            f"`{field}` is {value[:100]!r}, which is not there (any more). Give the next_cursor of a page, or start again "
            "without it.",
            field=field,
        )
