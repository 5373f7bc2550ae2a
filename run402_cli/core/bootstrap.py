"""Roles, schemas, helper functions and bookkeeping tables; run at every start, idempotent."""

from __future__ import annotations

from run402_cli.core.gateway import Connection

ROLES_AND_SCHEMAS = """
"""


async def bootstrap(conn: Connection) -> None:
    async with conn.transaction():
        await conn.execute(ROLES_AND_SCHEMAS)
