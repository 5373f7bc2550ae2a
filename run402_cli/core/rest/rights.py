"""What a role may do with a relation, asked before work is done for it. PostgreSQL decides again when the statement runs."""

from __future__ import annotations

from run402_cli.core.db import Connection

# A right on one column is enough to try.
_MAY_WRITE = """
SELECT pg_catalog.has_any_column_privilege(u.oid, c.oid, %(right)s)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace, pg_catalog.pg_roles u
WHERE n.nspname = %(schema)s AND c.relname = %(name)s AND u.rolname = %(role)s
"""


async def may_write(conn: Connection, schema: str, name: str, role: str, method: str) -> bool:
    """Whether the role may insert (POST, PUT) or update (PATCH) at all. `conn` is one of the gateway's own."""
    right = "UPDATE" if method == "PATCH" else "INSERT"
    given = {"schema": schema, "name": name, "role": role, "right": right}
    row = await (await conn.execute(_MAY_WRITE, given)).fetchone()
    # What is not there any more is for the statement to say.
    return row is None or bool(row[0])
