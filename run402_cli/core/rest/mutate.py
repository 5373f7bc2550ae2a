"""INSERT, upsert, UPDATE and DELETE as one parameterized statement each. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from psycopg.sql import SQL, Composable, Identifier

from run402_cli import suggest
from run402_cli.core.rest.body import Payload
from run402_cli.core.rest.errors import RestError
from run402_cli.core.rest.level import Level
from run402_cli.core.rest.nodes import Column, Embed, Filter, Item, Query, Star
from run402_cli.core.rest.preferences import Preferences
from run402_cli.core.rest.schema import Catalog, ColumnInfo, Relation
from run402_cli.core.rest.statement import Parameters, Source, Statement, raw


def payload_columns(relation: Relation, query: Query, payload: Payload, prefer: Preferences) -> list[ColumnInfo]:
    """The columns to write, by `columns` or else by the keys of the body. PGRST204 for one the relation lacks."""
    if query.columns is not None:
        names: Iterable[str] = query.columns
    else:
        if payload.uneven and not prefer.missing_default:
            raise RestError(
                400,
                "PGRST102",
                "All object keys must match",
                hint="Give every row the same keys, or name them in ?columns=a,b, or send Prefer: missing=default.",
            )
        names = payload.keys
    return [column_of(relation, name) for name in names]


def column_of(relation: Relation, name: str) -> ColumnInfo:
    info = relation.columns.get(name)
    if info is None:
        close = suggest.alike(name, relation.columns)
        raise RestError(
            400,
            "PGRST204",
            f"Could not find the '{name}' column of '{relation.name}' in the schema cache",
            hint=f"Perhaps you meant '{close[0]}'."
            if close
            else f"Its columns are {', '.join(relation.columns)[:300]}.",
        )
    return info


def insert(
    catalog: Catalog,
    relation: Relation,
    columns: Sequence[ColumnInfo],
    payload: Payload,
    parameters: Parameters,
    *,
    missing_default: bool,
    conflict: Composable | None,
) -> Composable:
    """INSERT without RETURNING. `conflict` is the ON CONFLICT clause."""
    names = SQL(", ").join(Identifier(c.name) for c in columns)
    text = payload.text if payload.is_array else f"[{payload.text}]"
    rows = SQL("json_array_elements({}::json) AS pgrst_e(row)").format(parameters.add(text))
    if columns:
        shape = SQL(", ").join(SQL("{} {}").format(Identifier(c.name), raw(c.type)) for c in columns)
        values = SQL(", ").join(_value(c, missing_default) for c in columns)
        select = SQL("({}) SELECT {} FROM {}, LATERAL json_to_record(pgrst_e.row) AS pgrst_r({})").format(
            names, values, rows, shape
        )
    else:
        # A select list without columns leaves every column to its default.
        select = SQL("SELECT FROM {}").format(rows)
    target = SQL("INSERT INTO {} AS {}").format(Identifier(catalog.schema, relation.name), Identifier(relation.name))
    return SQL(" ").join([target, select, *([conflict] if conflict else [])])


def _value(column: ColumnInfo, missing_default: bool) -> Composable:
    value = Identifier("pgrst_r", column.name)
    if not missing_default or column.default is None:
        return value
    # The default is PostgreSQL's own text of an expression of this schema, and is evaluated only when it is needed.
    key = SQL("{}").format(raw(_literal(column.name)))
    return SQL("CASE WHEN (pgrst_e.row -> {}) IS NULL THEN {} ELSE {} END").format(key, raw(column.default), value)


def _literal(text: str) -> str:
    escaped = text.replace("'", "''")
    return "E'" + escaped.replace("\\", "\\\\") + "'" if "\\" in text else f"'{escaped}'"


def conflict_clause(
    relation: Relation, columns: Sequence[ColumnInfo], resolution: str, target: Sequence[str] | None
) -> Composable | None:
    """ON CONFLICT on `target`, by default the primary key; None when there is neither."""
    keys = [column_of(relation, name).name for name in target] if target else list(relation.primary_key)
    if not keys:
        return None
    on = SQL("ON CONFLICT ({})").format(SQL(", ").join(map(Identifier, keys)))
    if resolution == "ignore-duplicates" or not columns:
        return SQL("{} DO NOTHING").format(on)
    changes = SQL(", ").join(SQL("{} = {}").format(Identifier(c.name), Identifier("excluded", c.name)) for c in columns)
    return SQL("{} DO UPDATE SET {}").format(on, changes)


def update(compiler: Statement, relation: Relation, columns: Sequence[ColumnInfo], payload: Payload) -> Composable:
    """UPDATE from one JSON object, without RETURNING."""
    text = payload.text
    row = SQL("{}::json").format(compiler.parameters.add(text))
    row = SQL("({} -> 0)").format(row) if payload.is_array else row
    names = [Identifier(c.name) for c in columns]
    shape = SQL(", ").join(SQL("{} {}").format(Identifier(c.name), raw(c.type)) for c in columns)
    changes = SQL(", ").join(SQL("{} = {}").format(name, SQL("pgrst_r.{}").format(name)) for name in names)
    return SQL("UPDATE {} AS {} SET {} FROM json_to_record({}) AS pgrst_r({}){}").format(
        compiler.table(relation.name), Identifier(relation.name), changes, row, shape, _where(compiler, relation)
    )


def delete(compiler: Statement, relation: Relation) -> Composable:
    """DELETE without RETURNING."""
    return SQL("DELETE FROM {} AS {}{}").format(
        compiler.table(relation.name), Identifier(relation.name), _where(compiler, relation)
    )


def _where(compiler: Statement, relation: Relation) -> Composable:
    """The root filters; with `limit` or `offset` the rows are picked by primary key in the order asked for."""
    node = Level(compiler, compiler.source(relation), (), (), relation.name)
    window = compiler.query.window_at(())
    if window.limit is None and not window.offset:
        conditions = [node.condition(c) for c in compiler.query.conditions_at(())]
        return SQL(" WHERE {}").format(SQL(" AND ").join(conditions)) if conditions else SQL("")
    if not compiler.query.order_at(()) or not relation.primary_key:
        raise RestError(
            400,
            "PGRST109",
            "A 'limit' was applied without an explicit 'order'",
            hint="Add order=<a unique column>, so that it is clear which rows change. The table needs a primary key.",
        )
    inner = Level(compiler, compiler.source(relation), (), (), compiler.alias(relation.name))
    inner.columns = [Identifier(inner.alias, name) for name in relation.primary_key]
    picked = SQL(" ").join([inner.body(), *inner.tail(), *compiler.window(window)])
    keys = SQL(", ").join(Identifier(relation.name, name) for name in relation.primary_key)
    return SQL(" WHERE ({}) IN ({})").format(keys, picked)


def returning(catalog: Catalog, relation: Relation, query: Query) -> Composable:
    """The columns that the answer needs and no others: RETURNING takes the privilege to read them."""
    names = _needed(catalog, relation, query.select)
    if names is None:
        return SQL("{}.*").format(Identifier(relation.name))
    names |= {term.field.name for term in query.order_at(()) if term.relation is None}
    if not names:
        return SQL("1 AS pgrst_one")
    return SQL(", ").join(
        SQL("{} AS {}").format(Identifier(relation.name, name), Identifier(name)) for name in sorted(names)
    )


def _needed(catalog: Catalog, relation: Relation, items: Sequence[Item]) -> set[str] | None:
    names: set[str] = set()
    for item in items:
        if isinstance(item, Star):
            return None
        if isinstance(item, Column):
            names |= {item.field.name} if item.field else set()
        elif isinstance(item, Embed):
            names |= set(catalog.relationship(relation.name, item.target, item.hint).columns)
    return names


def written(relation: Relation) -> Source:
    """The rows that a write returned, as the source of the answer."""
    return Source(Identifier("pgrst_source"), relation)


def put_key(relation: Relation, query: Query, payload: Payload) -> None:
    """PUT names one row: equality filters on exactly the primary key, the same values in the body, no window."""
    if query.windows or query.orders:
        raise RestError(400, "PGRST114", "limit/offset querystring parameters are not allowed for PUT")
    wanted: dict[str, str] = {}
    for path, condition in query.filters:
        plain = isinstance(condition, Filter) and not (path or condition.field.steps or condition.negated)
        if not (plain and isinstance(condition, Filter) and condition.op == "eq" and condition.modifier is None):
            raise _put_filters(relation)
        wanted[condition.field.name] = str(condition.value)
    if not wanted or set(wanted) != set(relation.primary_key):
        raise _put_filters(relation)
    if payload.rows != 1:
        raise RestError(400, "PGRST102", "PUT takes exactly one object.")
    row = payload.first
    if any(name not in row or _shown(row[name]) != value for name, value in wanted.items()):
        raise RestError(
            400,
            "PGRST115",
            "Payload values do not match URL in primary key column(s)",
            hint="Send the primary key in the body too, with the value of the URL.",
        )


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _put_filters(relation: Relation) -> RestError:
    example = "&".join(f"{name}=eq.<value>" for name in relation.primary_key)
    return RestError(
        405,
        "PGRST105",
        "Filters must include all and only primary key columns with 'eq' operators",
        hint=f"Use ?{example}." if example else f"'{relation.name}' has no primary key: use POST or PATCH.",
    )
