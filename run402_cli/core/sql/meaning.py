"""What names and operators mean in a session of a project's owner: PostgreSQL's own, but where the project's are meant.

An operator or an overload of a project that fits the types of a query of the gateway better than PostgreSQL's own would
answer in its place. So what the gateway asks and decides has nothing of the project on its path, and temporary tables,
which come first where they are not named, come last.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, LiteralString

from psycopg import sql

from run402_cli.core.db import Connection

OWN_PATH: Final = "pg_catalog, pg_temp"


async def only_own(conn: Connection) -> None:
    """From here on names are PostgreSQL's, until the transaction ends. A statement, not a function: nobody has another one."""
    await _set(conn, OWN_PATH)


@asynccontextmanager
async def own_meaning(conn: Connection) -> AsyncIterator[None]:
    """`only_own` in the block, in a transaction; after it, what the session began with."""
    await only_own(conn)
    yield
    await _set(conn, "DEFAULT")


@asynccontextmanager
async def of_project(conn: Connection, path: str) -> AsyncIterator[None]:
    """In the block names mean the project's: for what the project itself has written. After it, `only_own`."""
    await _set(conn, path)
    yield
    await only_own(conn)


async def as_written(conn: Connection, path: str, query: LiteralString, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The rows of a query of a catalog, whose definitions PostgreSQL prints as one writes them with this path.

    The path is there when the rows are made, and not yet when the query gets its meaning. After it, `only_own`.
    """
    async with conn.transaction():
        await only_own(conn)
        await conn.execute("DECLARE run402_rows NO SCROLL CURSOR FOR " + query, values)
        await _set(conn, path)
        rows = await (await conn.execute("FETCH ALL FROM run402_rows")).fetchall()
        await conn.execute("CLOSE run402_rows")
        await only_own(conn)
    return rows


def alone(slot: str) -> str:
    """A path of nothing but a schema."""
    return sql.Identifier(slot).as_string(None)


async def _set(conn: Connection, path: str) -> None:
    await conn.execute(f"SET LOCAL search_path = {path}".encode())
