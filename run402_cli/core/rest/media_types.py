"""The media types that a schema makes itself from rows: aggregates that give a domain of such a name."""

from __future__ import annotations

from run402_cli.core.db import Connection
from run402_cli.core.rest.media import MEDIA_NAME, Handler

# 2283 is anyelement.
_HANDLERS = """
SELECT pg_catalog.lower(d.typname), b.typname = 'bytea', n.nspname, p.proname, r.relname
FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
JOIN pg_catalog.pg_type d ON d.oid = p.prorettype
JOIN pg_catalog.pg_type b ON b.oid = d.typbasetype
LEFT JOIN pg_catalog.pg_type a ON a.oid = p.proargtypes[0]
LEFT JOIN pg_catalog.pg_class r ON r.oid = a.typrelid AND r.relnamespace = n.oid AND r.relkind IN ('r','p','v','m','f')
WHERE n.nspname = %s AND p.prokind = 'a' AND p.pronargs = 1 AND d.typtype = 'd' AND d.typname ~ %s
  AND (r.oid IS NOT NULL OR p.proargtypes[0] = 2283)
ORDER BY p.oid
"""


async def load_handlers(conn: Connection, schema: str) -> tuple[Handler, ...]:
    """`conn` is one of the gateway's own."""
    cursor = await conn.execute(_HANDLERS, (schema, MEDIA_NAME))
    return tuple(
        Handler(media, binary, (namespace, name), relation)
        for media, binary, namespace, name, relation in await cursor.fetchall()
    )
