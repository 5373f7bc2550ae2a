"""What a project's schema holds: relations, columns, keys and how relations refer to each other.

A schema is read once and kept until its stamp changes. The stamp is a hash over the row versions of the system
catalogs that describe the schema, computed for every request, so DDL from anywhere is noticed.

It is read on a connection of the gateway, whose search_path is pg_catalog alone: what is kept serves all callers of a
project and goes into their statements as it is, so no session in which one of them ran something is asked.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any, Literal

from run402_cli import suggest
from run402_cli.core.db import Connection
from run402_cli.core.rest.errors import RestError

_KEPT_SCHEMAS = 128

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
) versions
"""

# format_type and pg_get_expr print names relative to search_path: all but those of pg_catalog are qualified.
_RELATIONS = """
SELECT c.oid::pg_catalog.int8, c.relname, c.relkind::pg_catalog.text, (
  SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
    'number', a.attnum, 'name', a.attname, 'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
    'base', pg_catalog.format_type(coalesce(nullif(t.typbasetype, 0), t.oid), NULL),
    'default', CASE
      WHEN a.attidentity <> '' THEN pg_catalog.format('pg_catalog.nextval(%%L::pg_catalog.regclass)',
        pg_catalog.pg_get_serial_sequence(pg_catalog.format('%%I.%%I', n.nspname, c.relname), a.attname))
      WHEN a.attgenerated = '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END) ORDER BY a.attnum)
  FROM pg_catalog.pg_attribute a
  JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
), (SELECT w.ev_action::pg_catalog.text FROM pg_catalog.pg_rewrite w WHERE w.ev_class = c.oid AND w.ev_type = '1'
    AND c.relkind IN ('v','m'))
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind IN ('r','p','v','m','f')
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


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    """`type` as PostgreSQL prints it; `base` without modifiers and domains; `default` the SQL expression, if any."""

    name: str
    type: str
    base: str
    default: str | None

    @property
    def is_json(self) -> bool:
        return self.base in ("json", "jsonb")

    @property
    def is_searchable(self) -> bool:
        return self.is_json or self.base in ("text", "character varying", "character")


@dataclass(frozen=True, slots=True)
class Relation:
    name: str
    kind: str
    columns: dict[str, ColumnInfo]
    primary_key: tuple[str, ...] = ()
    uniques: tuple[frozenset[str], ...] = ()

    @property
    def is_view(self) -> bool:
        return self.kind in ("v", "m")


@dataclass(frozen=True, slots=True)
class ForeignKey:
    name: str
    table: str
    columns: tuple[str, ...]
    target: str
    target_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Junction:
    """The middle of a many-to-many: `near` columns meet the parent's, `far` columns the target's."""

    table: str
    near: tuple[str, ...]
    far: tuple[str, ...]
    constraints: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Relationship:
    """How `parent` reaches `target`: `columns` of the parent equal `target_columns` (or the junction's)."""

    cardinality: Literal["many-to-one", "one-to-one", "one-to-many", "many-to-many"]
    parent: str
    target: str
    constraint: str
    columns: tuple[str, ...]
    target_columns: tuple[str, ...]
    junction: Junction | None = None

    @property
    def to_one(self) -> bool:
        return self.cardinality in ("many-to-one", "one-to-one")

    @property
    def distinction(self) -> str:
        """What to write after `!` to mean this one."""
        if self.junction is None:
            return self.constraint
        return self.junction.constraints[0] if self.parent == self.target else self.junction.table

    def described(self) -> dict[str, str]:
        middle = f"{self.junction.table} using " if self.junction else ""
        names = " and ".join(self.junction.constraints) if self.junction else self.constraint
        sides = f"{self.parent}({', '.join(self.columns)}) and {self.target}({', '.join(self.target_columns)})"
        return {
            "cardinality": self.cardinality,
            "embedding": f"{self.parent} with {self.target}",
            "relationship": f"{middle}{names} using {sides}",
        }


@dataclass(frozen=True, slots=True)
class Catalog:
    schema: str
    relations: dict[str, Relation]
    relationships: dict[str, tuple[Relationship, ...]]

    def relationship(self, parent: str, target: str, hint: str | None) -> Relationship:
        """The one way from `parent` to what `target` (and `hint`) name. PGRST200 when none, PGRST201 when several."""
        found = [r for r in self.relationships.get(parent, ()) if _named(r, target, hint)]
        if len(found) > 1:
            found = [r for r in found if not self._through_view(r, target)] or found
        if not found:
            raise self._no_relationship(parent, target, hint)
        if len(found) > 1:
            choices = [f"'{target}!{r.distinction}'" for r in found]
            raise RestError(
                300,
                "PGRST201",
                f"Could not embed because more than one relationship was found for '{parent}' and '{target}'",
                details=[r.described() for r in found],
                hint=f"Name the one you mean: {', '.join(dict.fromkeys(choices))}.",
            )
        return found[0]

    def _through_view(self, r: Relationship, target: str) -> bool:
        """A view repeats the keys of its tables: it counts only when it is what the request names."""
        names = [r.target, *([r.junction.table] if r.junction else [])]
        return any(self.relations[name].is_view for name in names if name != target)

    def _no_relationship(self, parent: str, target: str, hint: str | None) -> RestError:
        using = f" using the hint '{hint}'" if hint else ""
        reachable = sorted({r.target for r in self.relationships.get(parent, ())})
        close = suggest.alike(target, reachable)
        advice = f"Perhaps you meant '{close[0]}' instead of '{target}'." if close else None
        return RestError(
            400,
            "PGRST200",
            f"Could not find a relationship between '{parent}' and '{target}' in the schema cache",
            details=f"Searched for a foreign key relationship between '{parent}' and '{target}'{using} "
            f"in the schema '{self.schema}', but no matches were found.",
            hint=advice,
        )


def _named(r: Relationship, target: str, hint: str | None) -> bool:
    constraints = (*r.junction.constraints, r.junction.table) if r.junction else (r.constraint,)
    if r.parent == r.target and r.junction is None:
        # One foreign key, two directions: a table name means the rows below, the key's column the row above.
        own_column = len(r.columns) == 1 and r.to_one
        if hint is None:
            return (target == r.target and not r.to_one) or (own_column and target == r.columns[0])
        if target != r.target:
            return False
        if r.to_one:
            return own_column and hint == r.columns[0]
        return hint == r.constraint or (len(r.columns) == 1 and hint == r.columns[0])
    if r.junction and r.parent == r.target:
        return target == r.target and hint in (None, r.junction.constraints[0])
    if hint is None:
        by_column = r.to_one and len(r.columns) == 1 and target == r.columns[0]
        return target == r.target or (target in constraints and r.junction is None) or by_column
    sides = [side[0] for side in (r.columns, r.target_columns) if len(side) == 1 and r.junction is None]
    return target == r.target and (hint in constraints or hint in sides)


_cache: OrderedDict[tuple[str, ...], tuple[str, Catalog]] = OrderedDict()


async def load_catalog(conn: Connection, schema: str) -> Catalog:
    """The schema as it is now. `conn` is one of the gateway's own."""
    cursor = await conn.execute(_STAMP, (schema,))
    stamp = str((await cursor.fetchone() or ("",))[0])
    key = (conn.info.host, str(conn.info.port), conn.info.dbname, schema)
    kept = _cache.get(key)
    if kept and kept[0] == stamp:
        _cache.move_to_end(key)
        return kept[1]
    catalog = await _read(conn, schema)
    _cache[key] = (stamp, catalog)
    while len(_cache) > _KEPT_SCHEMAS:
        _cache.popitem(last=False)
    return catalog


async def _read(conn: Connection, schema: str) -> Catalog:
    relations: dict[int, Relation] = {}
    origins: dict[int, dict[int, tuple[int, int]]] = {}
    numbers: dict[int, dict[int, str]] = {}
    for oid, name, kind, columns, action in await _rows(conn, _RELATIONS, schema):
        numbers[oid] = {c["number"]: c["name"] for c in columns or []}
        infos = {c["name"]: ColumnInfo(c["name"], c["type"], c["base"], c["default"]) for c in columns or []}
        relations[oid] = Relation(name, kind, infos)
        if action:
            origins[oid] = view_origins(action)
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
    for oid in _bases_first(origins):
        keys += _inherit(oid, origins[oid], relations, numbers, by_name, keys)
    return Catalog(schema, by_name, _relationships(by_name, keys))


async def _rows(conn: Connection, statement: str, schema: str) -> list[tuple[Any, ...]]:
    cursor = await conn.execute(statement, (schema,))
    return await cursor.fetchall()


def _bases_first(origins: dict[int, dict[int, tuple[int, int]]]) -> list[int]:
    """Views in an order in which a view comes after the views that it reads."""
    order: list[int] = []

    def visit(oid: int, trail: frozenset[int]) -> None:
        if oid in order or oid in trail:
            return
        for base, _ in origins[oid].values():
            if base in origins:
                visit(base, trail | {oid})
        order.append(oid)

    for oid in origins:
        visit(oid, frozenset())
    return order


def _inherit(
    view: int,
    origin: dict[int, tuple[int, int]],
    relations: dict[int, Relation],
    numbers: dict[int, dict[int, str]],
    by_name: dict[str, Relation],
    keys: list[ForeignKey],
) -> list[ForeignKey]:
    """Give a view the keys and defaults of the columns that it shows unchanged; return its foreign keys, both ways."""
    relation = relations[view]
    shown: dict[str, dict[str, str]] = {}
    columns = dict(relation.columns)
    for number, (table, base_number) in origin.items():
        base, name = relations.get(table), numbers[view].get(number)
        base_name = numbers.get(table, {}).get(base_number)
        if base is None or name is None or base_name is None:
            continue
        shown.setdefault(base.name, {}).setdefault(base_name, name)
        if columns[name].default is None:
            columns[name] = replace(columns[name], default=by_name[base.name].columns[base_name].default)
    primary_key: tuple[str, ...] = ()
    uniques: list[frozenset[str]] = []
    found: list[ForeignKey] = []
    for base_name, names in shown.items():
        base = by_name[base_name]
        if base.primary_key and len(shown) == 1 and all(c in names for c in base.primary_key):
            primary_key = tuple(names[c] for c in base.primary_key)
        if len(shown) == 1:
            uniques += [frozenset(names[c] for c in u) for u in base.uniques if all(c in names for c in u)]
        for key in keys:
            if key.table == base_name and all(c in names for c in key.columns):
                found.append(replace(key, table=relation.name, columns=tuple(names[c] for c in key.columns)))
            if key.target == base_name and all(c in names for c in key.target_columns):
                target_columns = tuple(names[c] for c in key.target_columns)
                found.append(replace(key, target=relation.name, target_columns=target_columns))
    relations[view] = replace(relation, columns=columns, primary_key=primary_key, uniques=tuple(uniques))
    by_name[relation.name] = relations[view]
    return found


_TOKEN = re.compile(r"\\.|[{}]", re.DOTALL)
_TARGET = re.compile(r":resno (\d+).*:resorigtbl (\d+) :resorigcol (\d+) :resjunk false", re.DOTALL)


def view_origins(action: str) -> dict[int, tuple[int, int]]:
    """From a view's stored parse tree: output column number -> (oid, column number) of the column that it shows.

    Only target entries of the outermost query count: those sit two braces deep.
    """
    found: dict[int, tuple[int, int]] = {}
    depth, entry, last = 0, "", 0
    for token in _TOKEN.finditer(action):
        if depth == 2:
            entry += action[last : token.start()]
        last = token.end()
        if token[0] == "{":
            depth += 1
            if depth == 2:
                entry = ""
        elif token[0] == "}":
            if depth == 2 and entry.startswith("TARGETENTRY"):
                match = _TARGET.search(entry)
                if match and match[2] != "0":
                    found[int(match[1])] = (int(match[2]), int(match[3]))
            depth -= 1
    return found


def _relationships(relations: dict[str, Relation], keys: list[ForeignKey]) -> dict[str, tuple[Relationship, ...]]:
    found: dict[str, list[Relationship]] = {}
    for key in keys:
        one = frozenset(key.columns) in relations[key.table].uniques
        found.setdefault(key.table, []).append(
            Relationship(
                "one-to-one" if one else "many-to-one", key.table, key.target, key.name, key.columns, key.target_columns
            )
        )
        found.setdefault(key.target, []).append(
            Relationship(
                "one-to-one" if one else "one-to-many", key.target, key.table, key.name, key.target_columns, key.columns
            )
        )
    for near in keys:
        for far in keys:
            pk = set(relations[near.table].primary_key)
            if near is far or near.table != far.table or not {*near.columns, *far.columns} <= pk:
                continue
            junction = Junction(near.table, near.columns, far.columns, (near.name, far.name))
            found.setdefault(near.target, []).append(
                Relationship(
                    "many-to-many",
                    near.target,
                    far.target,
                    near.name,
                    near.target_columns,
                    far.target_columns,
                    junction,
                )
            )
    return {name: tuple(ways) for name, ways in found.items()}
