"""INSERT, upsert, UPDATE and DELETE as one parameterized statement each. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from psycopg.sql import SQL, Composable, Identifier

from run402_cli import suggest
from run402_cli.core.rest.body import Payload
from run402_cli.core.rest.errors import RestError
from run402_cli.core.rest.level import Level
from run402_cli.core.rest.nodes import Column, Embed, Filter, Item, Query, Star
from run402_cli.core.rest.schema import Catalog, ColumnInfo, Relation
from run402_cli.core.rest.statement import Parameters, Source, Statement, raw


def payload_columns(relation: Relation, query: Query, payload: Payload, missing_default: bool) -> list[ColumnInfo]:
    """The columns to write, by `columns` or else by the keys of the body. PGRST204 for one the relation lacks."""
    if query.columns is not None:
        names: Iterable[str] = query.columns
    else:
        if payload.uneven and not missing_default:
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
            f"Could not find the '{name[:200]}' column of '{relation.name}' in the schema cache",
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
    missing_default: bool = False,
    conflict: Composable | None = None,
    where: Composable | None = None,
) -> Composable:
    """INSERT without RETURNING. `conflict` is the ON CONFLICT clause; `where` a condition on the rows, `pgrst_r`."""
    if missing_default:
        columns = [c for c in columns if not _left_out(relation, c, payload)]
    text = parameters.add(payload.text if payload.is_array else f"[{payload.text}]")
    if columns:
        names = SQL(", ").join(Identifier(c.name) for c in columns)
        values = SQL(", ").join(_value(c, payload, missing_default) for c in columns)
        source = _rows_by_one if missing_default and payload.uneven else _rows
        select = SQL("({}) SELECT {} FROM {}").format(names, values, source(text, columns))
    else:
        # A select list without columns leaves every column to its default.
        select = SQL("SELECT FROM json_array_elements({}::json)").format(text)
    target = SQL("INSERT INTO {} AS {}").format(Identifier(catalog.schema, relation.name), Identifier(relation.name))
    condition = [SQL("WHERE {}").format(where)] if where is not None else []
    return SQL(" ").join([target, select, *condition, *([conflict] if conflict else [])])


def _rows(text: Composable, columns: Iterable[ColumnInfo]) -> Composable:
    return SQL("json_to_recordset({}::json) AS pgrst_r({})").format(text, _shape(columns))


def _rows_by_one(text: Composable, columns: Iterable[ColumnInfo]) -> Composable:
    """The same, with each row's object as `pgrst_e.row` beside it: it takes about twice as long."""
    return SQL("json_array_elements({}::json) AS pgrst_e(row), json_to_record(pgrst_e.row) AS pgrst_r({})").format(
        text, _shape(columns)
    )


def _shape(columns: Iterable[ColumnInfo]) -> Composable:
    """What is read from the body: json of a column whose domain reads it by itself."""
    return SQL(", ").join(
        SQL("{} {}").format(Identifier(c.name), raw("pg_catalog.json" if c.forms.read else c.type)) for c in columns
    )


def _given(column: ColumnInfo) -> Composable:
    value = Identifier("pgrst_r", column.name)
    return column.forms.read.of(value) if column.forms.read else value


def _left_out(relation: Relation, column: ColumnInfo, payload: Payload) -> bool:
    """Whether PostgreSQL is to fill the column by itself in every row; the trigger of a view could not."""
    return column.name not in payload.keys and (column.always or not relation.instead)


def _value(column: ColumnInfo, payload: Payload, missing_default: bool) -> Composable:
    value = _given(column)
    if not missing_default or column.initial is None:
        return value
    # The default is PostgreSQL's own text of an expression of this schema, and is evaluated only when it is needed.
    default = raw(column.initial)
    if column.name not in payload.keys:
        return default
    if not payload.uneven:
        return value
    key = raw(_literal(column.name))
    return SQL("CASE WHEN (pgrst_e.row -> {}) IS NULL THEN {} ELSE {} END").format(key, default, value)


def _literal(text: str) -> str:
    escaped = text.replace("'", "''")
    return "E'" + escaped.replace("\\", "\\\\") + "'" if "\\" in text else f"'{escaped}'"


# PostgreSQL does not say which rows of an upsert were there before, so the statement counts those that were not.
_INSERTED = (
    "pg_catalog.set_config('pgrst.inserted', (coalesce(nullif(pg_catalog.current_setting('pgrst.inserted', true), ''), '0')"
    "::pg_catalog.int8 {} 1)::pg_catalog.text, true) IS NOT NULL"
)
INSERTED = raw("nullif(pg_catalog.current_setting('pgrst.inserted', true), '')::pg_catalog.int8")


def counted(conditions: Sequence[Composable] = ()) -> Composable:
    """The condition of an upsert: it counts the rows that meet the conditions, and no others."""
    count = raw(_INSERTED.format("+"))
    if not conditions:
        return count
    # Of conditions joined by AND, PostgreSQL may choose which comes first.
    return SQL("CASE WHEN {} THEN {} END").format(SQL(" AND ").join(conditions), count)


def conflict_clause(
    relation: Relation, columns: Sequence[ColumnInfo], resolution: str, target: Sequence[str] | None
) -> Composable | None:
    """ON CONFLICT on `target`, by default the primary key; None when there is neither.

    With counted() as the condition on the rows, INSERTED is the number of those that were new.
    """
    keys = [column_of(relation, name).name for name in target] if target else list(relation.primary_key)
    if not keys:
        return None
    on = SQL("ON CONFLICT ({})").format(SQL(", ").join(map(Identifier, keys)))
    changed = [c.name for c in columns if not c.always]
    if resolution == "ignore-duplicates" or not changed:
        return SQL("{} DO NOTHING").format(on)
    changes = SQL(", ").join(SQL("{} = {}").format(Identifier(name), Identifier("excluded", name)) for name in changed)
    return SQL("{} DO UPDATE SET {} WHERE {}").format(on, changes, raw(_INSERTED.format("-")))


def update(
    compiler: Statement, relation: Relation, columns: Sequence[ColumnInfo], payload: Payload, missing_default: bool
) -> Composable:
    """UPDATE from one JSON object, without RETURNING."""
    given = {c.name: c for c in columns if c.name in payload.keys or not missing_default}
    changes = SQL(", ").join(
        SQL("{} = {}").format(Identifier(c.name), _given(c) if c.name in given else _reset(relation, c))
        for c in columns
    )
    source: Composable = SQL("")
    if given:
        row = SQL("{}::json").format(compiler.parameters.add(payload.text))
        row = SQL("({} -> 0)").format(row) if payload.is_array else row
        source = SQL(" FROM json_to_record({}) AS pgrst_r({})").format(row, _shape(given.values()))
    return SQL("UPDATE {} AS {} SET {}{}{}").format(
        compiler.table(relation.name), Identifier(relation.name), changes, source, _where(compiler, relation)
    )


def _reset(relation: Relation, column: ColumnInfo) -> Composable:
    """The default of a column; DEFAULT of a view would be null where the view has none of its own."""
    return raw(column.initial) if relation.is_view and column.initial is not None else SQL("DEFAULT")


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
    inner.picked = [Identifier(inner.alias, name) for name in relation.primary_key]
    picked = SQL(" ").join([inner.body(), *inner.tail(), *compiler.window(window)])
    keys = SQL(", ").join(Identifier(relation.name, name) for name in relation.primary_key)
    return SQL(" WHERE ({}) IN ({})").format(keys, picked)


def returning(catalog: Catalog, relation: Relation, query: Query) -> Composable:
    """The columns that the answer needs and no others: RETURNING takes the privilege to read them."""
    names = _needed(catalog, relation, query.select)
    if names is None:
        return SQL("{}.*").format(Identifier(relation.name))
    names |= {term.field.name for term in query.order_at(()) if term.relation is None}
    if names & relation.functions - relation.columns.keys():
        # A function of the row may read any of its columns.
        return SQL("{}.*").format(Identifier(relation.name))
    if not names:
        return SQL("1 AS pgrst_one")
    return SQL(", ").join(
        SQL("{} AS {}").format(Identifier(relation.name, name), Identifier(name)) for name in sorted(names)
    )


def keys(relation: Relation) -> Composable:
    """The key of the first row that a write returned, as pairs of names and texts that a filter takes."""
    columns = SQL(", ").join(
        SQL("{} AS {}").format(_filtered(relation.columns[name]), Identifier(name)) for name in relation.row_key
    )
    return SQL(
        "(SELECT json_agg(json_build_array(pgrst_k.key, pgrst_k.value)) FROM (SELECT row_to_json(pgrst_s.*) AS pgrst_row"
        " FROM (SELECT {} FROM pgrst_source LIMIT 1) AS pgrst_s) AS pgrst_o, json_each_text(pgrst_o.pgrst_row) AS pgrst_k)"
    ).format(columns)


def _filtered(column: ColumnInfo) -> Composable:
    value, forms = Identifier("pgrst_source", column.name), column.forms
    if forms.shown is None or forms.compared is None:
        return value
    return SQL("CASE WHEN {} IS NOT NULL THEN {} END").format(value, forms.shown.of(value))


def _needed(catalog: Catalog, relation: Relation, items: Sequence[Item]) -> set[str] | None:
    names: set[str] = set()
    for item in items:
        if isinstance(item, Star):
            return None
        if isinstance(item, Column):
            names |= {item.field.name} if item.field else set()
        elif isinstance(item, Embed):
            relationship = catalog.relationship(relation.name, item.target, item.hint)
            if relationship.function is not None:
                return None
            names |= set(relationship.columns)
    return names


def written(relation: Relation) -> Source:
    """The rows that a write returned, as the source of the answer."""
    return Source(Identifier("pgrst_source"), relation)


def put_conditions(
    relation: Relation, columns: Sequence[ColumnInfo], query: Query, parameters: Parameters
) -> list[Composable]:
    """PUT names one row by equality filters on exactly the primary key: the same as conditions on the rows of the body."""
    window = query.window_at(())
    if window.limit is not None or window.offset:
        raise RestError(400, "PGRST114", "limit/offset querystring parameters are not allowed for PUT")
    wanted: dict[str, str] = {}
    for path, condition in query.filters:
        if path:
            continue
        plain = isinstance(condition, Filter) and not (condition.field.steps or condition.negated)
        if not (plain and isinstance(condition, Filter) and condition.op == "eq" and condition.modifier is None):
            raise _put_filters(relation)
        wanted[condition.field.name] = str(condition.value)
    if not wanted or set(wanted) != set(relation.primary_key):
        raise _put_filters(relation)
    if not set(wanted) <= {c.name for c in columns}:
        raise put_mismatch()
    conditions: list[Composable] = []
    for name, text in wanted.items():
        column, value = relation.columns[name], parameters.add(text)
        compared = column.forms.compared
        conditions.append(SQL("{} = {}").format(_given(column), compared.of(value) if compared else value))
    return conditions


def put_mismatch() -> RestError:
    return RestError(
        400,
        "PGRST115",
        "Payload values do not match URL in primary key column(s)",
        hint="Send the primary key in the body too, with the value of the URL.",
    )


def _put_filters(relation: Relation) -> RestError:
    example = "&".join(f"{name}=eq.<value>" for name in relation.primary_key)
    return RestError(
        405,
        "PGRST105",
        "Filters must include all and only primary key columns with 'eq' operators",
        hint=f"Use ?{example}." if example else f"'{relation.name}' has no primary key: use POST or PATCH.",
    )
