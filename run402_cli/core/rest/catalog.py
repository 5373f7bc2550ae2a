"""What a project's schema holds: relations, columns, keys and how relations refer to each other.

A schema is read once and kept until PostgreSQL tells that it has changed (schemas.py). Where it does not tell, the stamp is
looked at: a hash over the row versions of the system catalogs that describe the schema.

It is read on a connection of the gateway, whose search_path is pg_catalog alone: what is kept serves all callers of a
project and goes into their statements as it is, so no session in which one of them ran something is asked.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from run402_cli.core.db import Connection
from run402_cli.core.rest.forms import PLAIN, Form, Forms
from run402_cli.core.rest.media_types import load_handlers
from run402_cli.core.rest.schema import (
    Catalog,
    ColumnInfo,
    ForeignKey,
    Relation,
    Relationship,
    computed_relationship,
    relationships,
)
from run402_cli.core.rest.views import bases_first, inherit, view_origins

_STAMP = """
WITH relations AS (
  SELECT c.oid, c.xmin, c.relkind FROM pg_catalog.pg_class c
  WHERE c.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = %s)
)
SELECT coalesce(pg_catalog.sum(pg_catalog.hashtextextended(version, 0)), 0)::pg_catalog.text FROM (
  SELECT pg_catalog.concat_ws(' ', 'c', oid, xmin) AS version FROM relations
  UNION ALL
  SELECT pg_catalog.concat_ws(' ', 'a', a.attrelid, a.attnum, a.xmin)
  FROM relations r JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid
  WHERE r.relkind IN ('r','p','v','m','f') AND a.attnum > 0
  UNION ALL
  SELECT pg_catalog.concat_ws(' ', 'n', n.oid, n.xmin) FROM relations r JOIN pg_catalog.pg_constraint n ON n.conrelid = r.oid
  UNION ALL
  SELECT pg_catalog.concat_ws(' ', 'd', d.oid, d.xmin) FROM relations r JOIN pg_catalog.pg_attrdef d ON d.adrelid = r.oid
  UNION ALL
  SELECT pg_catalog.concat_ws(' ', 'v', w.oid, w.xmin) FROM relations r JOIN pg_catalog.pg_rewrite w ON w.ev_class = r.oid
  WHERE r.relkind IN ('v','m')
  UNION ALL
  SELECT pg_catalog.concat_ws(' ', 'f', k.oid, p.xmin)
  FROM pg_catalog.pg_cast k JOIN pg_catalog.pg_proc p ON p.oid = k.castfunc
  JOIN pg_catalog.pg_type d ON d.oid = ANY (ARRAY[k.castsource, k.casttarget])
  WHERE k.oid >= 16384 AND d.typnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = %s)
  UNION ALL
  SELECT pg_catalog.concat_ws(' ', 'p', p.oid, p.xmin) FROM pg_catalog.pg_depend e JOIN pg_catalog.pg_proc p ON p.oid = e.objid
  WHERE e.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND e.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
    AND e.refobjid = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = %s) AND (p.pronargs = 1 OR p.prokind = 'a')
) versions
"""

# format_type and pg_get_expr print names relative to search_path: all but those of pg_catalog are qualified.
_RELATIONS = """
SELECT c.oid::pg_catalog.int8, c.relname, c.relkind::pg_catalog.text, (
  SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
    'number', a.attnum, 'name', a.attname, 'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
    'base', pg_catalog.format_type(coalesce(nullif(t.typbasetype, 0), t.oid), NULL),
    'domain', CASE WHEN t.typtype = 'd' THEN t.oid::pg_catalog.int8 END,
    'always', a.attidentity = 'a' OR a.attgenerated <> '', 'domain_default', pg_catalog.pg_get_expr(t.typdefaultbin, 0),
    'default', CASE
      WHEN a.attidentity <> '' THEN pg_catalog.format('pg_catalog.nextval(%%L::pg_catalog.regclass)',
        pg_catalog.pg_get_serial_sequence(pg_catalog.format('%%I.%%I', n.nspname, c.relname), a.attname))
      WHEN a.attgenerated = '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END) ORDER BY a.attnum)
  FROM pg_catalog.pg_attribute a
  JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
), (SELECT w.ev_action::pg_catalog.text FROM pg_catalog.pg_rewrite w WHERE w.ev_class = c.oid AND w.ev_type = '1'
    AND c.relkind IN ('v','m')),
  EXISTS (SELECT FROM pg_catalog.pg_trigger g WHERE g.tgrelid = c.oid AND g.tgtype & 68 = 68)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind IN ('r','p','v','m','f') AND NOT c.relispartition
ORDER BY c.relname
"""

_UNIQUES = """
SELECT i.indrelid::pg_catalog.int8, i.indisprimary, (
  SELECT pg_catalog.json_agg(a.attname ORDER BY k.ord)
  FROM pg_catalog.unnest(i.indkey) WITH ORDINALITY AS k(attnum, ord)
  JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum WHERE k.ord <= i.indnkeyatts)
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indislive
ORDER BY i.indexrelid
"""

_FOREIGN_KEYS = """
SELECT o.conname, o.conrelid::pg_catalog.int8, o.confrelid::pg_catalog.int8,
  (SELECT pg_catalog.json_agg(a.attname ORDER BY k.ord) FROM pg_catalog.unnest(o.conkey) WITH ORDINALITY AS k(attnum, ord)
   JOIN pg_catalog.pg_attribute a ON a.attrelid = o.conrelid AND a.attnum = k.attnum),
  (SELECT pg_catalog.json_agg(a.attname ORDER BY k.ord) FROM pg_catalog.unnest(o.confkey) WITH ORDINALITY AS k(attnum, ord)
   JOIN pg_catalog.pg_attribute a ON a.attrelid = o.confrelid AND a.attnum = k.attnum)
FROM pg_catalog.pg_constraint o JOIN pg_catalog.pg_namespace n ON n.oid = o.connamespace
WHERE n.nspname = %s AND o.contype = 'f' AND o.conparentid = 0
ORDER BY o.conname, o.oid
"""


# Objects below 16384 are PostgreSQL's own. Who has no USAGE of the schema is not asked about: those are all other projects.
_FORMS = """
WITH callers AS MATERIALIZED (
  SELECT u.oid, u.rolname FROM pg_catalog.pg_roles u, pg_catalog.pg_namespace n
  WHERE n.nspname = %s AND pg_catalog.has_schema_privilege(u.oid, n.oid, 'USAGE')
)
SELECT d.oid::pg_catalog.int8, CASE WHEN k.castsource = d.oid THEN 'shown'
    WHEN k.castsource = 'pg_catalog.text'::pg_catalog.regtype THEN 'compared' ELSE 'read' END,
  s.nspname, p.proname, pg_catalog.format_type(p.proargtypes[0], NULL), (
    SELECT pg_catalog.json_agg(u.rolname) FROM callers u WHERE pg_catalog.has_function_privilege(u.oid, p.oid, 'EXECUTE'))
FROM pg_catalog.pg_cast k
JOIN pg_catalog.pg_type d ON d.oid = ANY (ARRAY[k.castsource, k.casttarget]) AND d.typtype = 'd'
JOIN pg_catalog.pg_namespace n ON n.oid = d.typnamespace
JOIN pg_catalog.pg_proc p ON p.oid = k.castfunc
JOIN pg_catalog.pg_namespace s ON s.oid = p.pronamespace
WHERE k.oid >= 16384 AND n.nspname = %s AND k.castcontext = 'i' AND k.castmethod = 'f' AND p.pronargs = 1
  AND ((k.castsource = d.oid AND k.casttarget = 'pg_catalog.json'::pg_catalog.regtype) OR (k.casttarget = d.oid
    AND k.castsource IN ('pg_catalog.json'::pg_catalog.regtype, 'pg_catalog.text'::pg_catalog.regtype)))
"""

# Functions of one row, or of any value: computed columns, and relationships where they give rows of a relation.
_COMPUTED = """
SELECT c.oid::pg_catalog.int8, p.proname, p.prorettype::pg_catalog.int8, d.typrelid::pg_catalog.int8, p.proretset,
  NOT p.proretset OR p.prorows = 1
FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
JOIN pg_catalog.pg_type y ON y.oid = p.proargtypes[0]
JOIN pg_catalog.pg_type d ON d.oid = p.prorettype
JOIN pg_catalog.pg_class c ON c.oid = y.typrelid OR (c.relnamespace = n.oid AND y.oid IN (
  'pg_catalog.record'::pg_catalog.regtype, 'pg_catalog.anyelement'::pg_catalog.regtype))
WHERE n.nspname = %s AND p.pronargs = 1 AND p.prokind = 'f'
ORDER BY p.oid
"""


async def stamp(conn: Connection, schema: str) -> str:
    """Another one when anything of the schema has changed."""
    row = await (await conn.execute(_STAMP, (schema, schema, schema))).fetchone()
    return str((row or ("",))[0])


async def _forms(conn: Connection, schema: str) -> dict[int, Forms]:
    """By the number of a domain of the schema."""
    found: dict[int, Forms] = {}
    cursor = await conn.execute(_FORMS, (schema, schema))
    for domain, use, namespace, name, takes, roles in await cursor.fetchall():
        form = Form(namespace, name, takes, frozenset(roles or ()))
        found[domain] = replace(found.get(domain, PLAIN), **{use: form})
    return found


def _column(found: dict[str, Any], forms: dict[int, Forms]) -> ColumnInfo:
    return ColumnInfo(**{key: found[key] for key in _COLUMN_KEYS}, forms=forms.get(found["domain"], PLAIN))


_COLUMN_KEYS = ("name", "type", "base", "default", "domain_default", "always")


async def read(conn: Connection, schema: str) -> Catalog:
    """The schema as it is now. `conn` is one of the gateway's own."""
    relations: dict[int, Relation] = {}
    origins: dict[int, dict[int, tuple[int, int]]] = {}
    numbers: dict[int, dict[int, str]] = {}
    forms = await _forms(conn, schema)
    for oid, name, kind, columns, action, instead in await _rows(conn, _RELATIONS, schema):
        numbers[oid] = {c["number"]: c["name"] for c in columns or []}
        infos = {c["name"]: _column(c, forms) for c in columns or []}
        relations[oid] = Relation(name, kind, infos, instead=instead)
        if action:
            origins[oid] = view_origins(action)
    computed: list[Relationship] = []
    for oid, function, result, target, returns_set, to_one in await _rows(conn, _COMPUTED, schema):
        relation = relations.get(oid)
        if relation is None:
            continue
        relation.functions.add(function)
        if result in forms and not returns_set:
            relation.computed[function] = forms[result]
        if target in relations:
            computed.append(computed_relationship(relation.name, relations[target].name, function, to_one, returns_set))
    for oid, primary, names in await _rows(conn, _UNIQUES, schema):
        relation = relations.get(oid)
        if relation is None:
            continue
        if primary:
            relation = replace(relation, primary_key=tuple(names))
        relations[oid] = replace(relation, uniques=(*relation.uniques, frozenset(names)))
    keys = [
        ForeignKey(name, relations[table].name, tuple(columns), relations[target].name, tuple(target_columns))
        for name, table, target, columns, target_columns in await _rows(conn, _FOREIGN_KEYS, schema)
        if table in relations and target in relations
    ]
    by_name = {relation.name: relation for relation in relations.values()}
    for oid in bases_first(origins):
        keys += inherit(oid, origins[oid], relations, numbers, by_name, keys)
    return Catalog(schema, by_name, relationships(by_name, keys, computed), await load_handlers(conn, schema))


async def _rows(conn: Connection, statement: str, schema: str) -> list[tuple[Any, ...]]:
    cursor = await conn.execute(statement, (schema,))
    return await cursor.fetchall()
