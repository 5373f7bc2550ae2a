"""What exists in a project's schema right now, read from PostgreSQL's catalog. See docs/expose.md."""

from __future__ import annotations

from dataclasses import dataclass

from run402_cli.core.db import Connection
from run402_cli.core.expose.ddl_reader import Relation, Schema
from run402_cli.core.expose.signatures import Signature, type_name
from run402_cli.core.sql.lexer import tokenize

_COLUMNS = """
SELECT c.relname, c.relkind IN ('v', 'm'), a.attname, format_type(a.atttypid, NULL)
FROM pg_class c
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = to_regnamespace(quote_ident(%s)) AND c.relkind IN ('r', 'p', 'f', 'v', 'm')
ORDER BY c.relname, a.attnum
"""

_FUNCTIONS = """
SELECT p.oid::int8, p.proname,
       ARRAY(SELECT format_type(t.type, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY AS t(type, n) ORDER BY t.n),
       CASE WHEN p.proargmodes IS NULL THEN p.proargnames
            ELSE ARRAY(SELECT p.proargnames[m.n] FROM unnest(p.proargmodes) WITH ORDINALITY AS m(mode, n)
                       WHERE m.mode IN ('i', 'b', 'v') ORDER BY m.n) END
FROM pg_proc p WHERE p.pronamespace = to_regnamespace(quote_ident(%s)) AND p.prokind IN ('f', 'p')
ORDER BY p.proname, p.oid
"""


@dataclass(frozen=True, slots=True)
class Function:
    oid: int
    name: str
    signature: Signature


async def read_schema(conn: Connection, slot: str) -> Schema:
    """Tables and views with their columns, and functions, of one schema."""
    schema = Schema()
    for name, is_view, column, kind in await (await conn.execute(_COLUMNS, (slot,))).fetchall():
        relation = schema.relations.setdefault(name, Relation("view" if is_view else "table"))
        if column is not None:
            relation.columns[column] = type_name(tokenize(kind))
    for function in await read_functions(conn, slot):
        schema.functions.setdefault(function.name, []).append(function.signature)
    return schema


async def read_functions(conn: Connection, slot: str) -> list[Function]:
    rows = await (await conn.execute(_FUNCTIONS, (slot,))).fetchall()
    return [Function(oid, name, _signature(types, names)) for oid, name, types, names in rows]


def _signature(types: list[str], names: list[str | None] | None) -> Signature:
    named = [name or None for name in names or []][: len(types)]
    padded = named + [None] * (len(types) - len(named))
    return Signature(tuple(type_name(tokenize(kind)) for kind in types), tuple(padded))
