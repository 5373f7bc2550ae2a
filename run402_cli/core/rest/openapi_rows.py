"""What a role may use of a schema, with its comments: read for the OpenAPI document, on a connection of the gateway."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from run402_cli.core.db import Connection

_RELATIONS = """
SELECT c.relname, c.relkind::pg_catalog.text, pg_catalog.obj_description(c.oid, 'pg_class'),
  pg_catalog.has_any_column_privilege(u.oid, c.oid, 'SELECT'),
  pg_catalog.has_any_column_privilege(u.oid, c.oid, 'INSERT'),
  pg_catalog.has_any_column_privilege(u.oid, c.oid, 'UPDATE'),
  pg_catalog.has_table_privilege(u.oid, c.oid, 'DELETE'),
  (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', a.attname, 'format', pg_catalog.format_type(a.atttypid, NULL), 'required', a.attnotnull,
      'length', CASE WHEN a.atttypid IN (1042, 1043) AND a.atttypmod > 4 THEN a.atttypmod - 4 END,
      'comment', pg_catalog.col_description(c.oid, a.attnum),
      'refers', (SELECT pg_catalog.json_build_array(t.relname, k.attname)
                 FROM pg_catalog.pg_constraint o JOIN pg_catalog.pg_class t ON t.oid = o.confrelid
                 JOIN pg_catalog.pg_attribute k ON k.attrelid = t.oid AND k.attnum = o.confkey[1]
                 WHERE o.contype = 'f' AND o.conrelid = c.oid AND o.conkey = ARRAY[a.attnum]
                 AND (pg_catalog.has_any_column_privilege(u.oid, t.oid, 'SELECT,INSERT,UPDATE')
                   OR pg_catalog.has_table_privilege(u.oid, t.oid, 'DELETE'))
                 ORDER BY o.conname LIMIT 1),
      'labels', (SELECT pg_catalog.json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum e
                 WHERE e.enumtypid = a.atttypid)) ORDER BY a.attnum)
    FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    AND pg_catalog.has_column_privilege(u.oid, c.oid, a.attnum, 'SELECT,INSERT,UPDATE'))
FROM pg_catalog.pg_class c, pg_catalog.pg_namespace n, pg_catalog.pg_roles u
WHERE c.relnamespace = n.oid AND n.nspname = %(schema)s AND u.rolname = %(role)s
  AND c.relkind IN ('r','p','v','m','f') AND NOT c.relispartition
  AND (pg_catalog.has_any_column_privilege(u.oid, c.oid, 'SELECT,INSERT,UPDATE')
    OR pg_catalog.has_table_privilege(u.oid, c.oid, 'DELETE'))
ORDER BY c.relname
"""

# What is written for a relation is a few times as long as what is read of it.
MOST_BYTES: Final = 8 * 1024 * 1024

_ABLE = """
SELECT c.relname, pg_catalog.pg_relation_is_updatable(c.oid, true)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind IN ('v','f')
"""

_COMMENT = """
SELECT pg_catalog.obj_description(n.oid, 'pg_namespace') FROM pg_catalog.pg_namespace n WHERE n.nspname = %s
"""


@dataclass(frozen=True, slots=True)
class UsableColumn:
    """`format` is PostgreSQL's type, `length` the most characters, `labels` those of an enum.

    `refers` is the table and the column that a foreign key of this column alone leads to.
    """

    name: str
    format: str
    required: bool
    length: int | None
    comment: str | None
    refers: list[str] | None
    labels: list[str] | None


@dataclass(frozen=True, slots=True)
class UsableRelation:
    """A table or view with what the role may do to it, and the columns that it may touch at all."""

    name: str
    kind: str
    comment: str | None
    reads: bool
    inserts: bool
    updates: bool
    deletes: bool
    columns: tuple[UsableColumn, ...]


async def size(conn: Connection, query: str, names: dict[str, str]) -> int:
    """The bytes of what a query of the document reads: comments and labels may be as long as a project likes."""
    measured = (
        f"SELECT coalesce(pg_catalog.sum(pg_catalog.octet_length(told::pg_catalog.text)), 0) FROM ({query}) AS told"
    )
    row = await (await conn.execute(measured.encode(), names)).fetchone()
    assert row is not None
    return int(row[0])


async def size_of_relations(conn: Connection, schema: str, role: str) -> int:
    return await size(conn, _RELATIONS, {"schema": schema, "role": role})


async def usable_relations(conn: Connection, schema: str, role: str) -> list[UsableRelation]:
    cursor = await conn.execute(_RELATIONS, {"schema": schema, "role": role})
    return [_relation(row) for row in await cursor.fetchall()]


def _relation(row: tuple[Any, ...]) -> UsableRelation:
    name, kind, comment, reads, inserts, updates, deletes, columns = row
    found = tuple(UsableColumn(**column) for column in columns or [])
    return UsableRelation(name, kind, comment, reads, inserts, updates, deletes, found)


async def able_views(conn: Connection, schema: str) -> dict[str, int]:
    """What PostgreSQL itself can write to by name: 4 for UPDATE, 8 for INSERT, 16 for DELETE.

    `conn` is the caller's: to look at a view, PostgreSQL waits for who changes it.
    """
    cursor = await conn.execute(_ABLE, (schema,))
    return dict(await cursor.fetchall())


def as_able(relation: UsableRelation, able: dict[str, int]) -> UsableRelation:
    """Without what was granted on a view that takes no writes."""
    if relation.kind in ("r", "p"):
        return relation
    bits = able.get(relation.name, 0)
    return replace(
        relation,
        inserts=relation.inserts and bool(bits & 8),
        updates=relation.updates and bool(bits & 4),
        deletes=relation.deletes and bool(bits & 16),
    )


async def schema_comment(conn: Connection, schema: str) -> str | None:
    row = await (await conn.execute(_COMMENT, (schema,))).fetchone()
    return row[0] if row else None
