"""The type of a database connection, what every function that reads or writes rows is handed; and the check of a cursor
that names a row. The floor of core/.
"""

from __future__ import annotations

from typing import Any

from psycopg import AsyncConnection, sql

from run402_cli.core.errors import GatewayError

Connection = AsyncConnection[Any]


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
