"""A parsed query over a known schema, turned into one parameterized SELECT. Pure.

Identifiers are quoted by psycopg; every value is a parameter without a type, so that PostgreSQL gives it the type of
the column it meets, exactly as if it were a quoted literal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.sql import SQL, Composable, Composed, Identifier

from run402_cli.core.rest.casts import cast_type
from run402_cli.core.rest.catalog import Catalog, Relation, Relationship
from run402_cli.core.rest.errors import RestError
from run402_cli.core.rest.nodes import (
    Column,
    Condition,
    Embed,
    Field,
    Filter,
    Item,
    Logic,
    Order,
    Query,
    Star,
    Window,
)

_COMPARISONS = {
    "eq": "=",
    "neq": "<>",
    "gt": ">",
    "gte": ">=",
    "lt": "<",
    "lte": "<=",
    "like": "LIKE",
    "ilike": "ILIKE",
    "match": "~",
    "imatch": "~*",
    "cs": "@>",
    "cd": "<@",
    "ov": "&&",
    "sl": "<<",
    "sr": ">>",
    "nxr": "&<",
    "nxl": "&>",
    "adj": "-|-",
    "isdistinct": "IS DISTINCT FROM",
}
_TEXT_SEARCH = {
    "fts": "to_tsquery",
    "plfts": "plainto_tsquery",
    "phfts": "phraseto_tsquery",
    "wfts": "websearch_to_tsquery",
}
_IS = {"null": "NULL", "not_null": "NOT NULL", "true": "TRUE", "false": "FALSE", "unknown": "UNKNOWN"}

Where = tuple[frozenset[str], ...]


def raw(text: str) -> SQL:
    """SQL text that is ours: never a part of the request."""
    return SQL(text)


class Parameters:
    """Values of one statement, numbered as they are added."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def add(self, value: Any) -> SQL:
        self.values.append(value)
        return raw(f"${len(self.values)}")


@dataclass(frozen=True, slots=True)
class Source:
    """Where rows come from: a relation of the schema, or the output of a write or a function."""

    table: Composable
    relation: Relation | None

    @property
    def name(self) -> str:
        return self.relation.name if self.relation else "result"


@dataclass(frozen=True, slots=True)
class Read:
    """`rows` is the wanted window; `all_rows` the same without window; `counted` gives as many rows, at less cost.

    `counted` does not mention every parameter: it can only stand in a statement beside `rows`.
    """

    rows: Composable
    all_rows: Composable
    counted: Composable


class ReadCompiler:
    """Compiles one query; collects parameters on the way."""

    def __init__(self, catalog: Catalog, query: Query, parameters: Parameters) -> None:
        self.catalog = catalog
        self.query = query
        self.parameters = parameters
        # With how often each was wanted.
        self.aliases: dict[str, int] = {}
        self.visited: list[Where] = [()]

    def table(self, name: str) -> Identifier:
        return Identifier(self.catalog.schema, name)

    def source(self, relation: Relation) -> Source:
        return Source(self.table(relation.name), relation)

    def read(self, source: Source, window: Window, *, filtered: bool = True) -> Read:
        """`filtered` is False after a write: its filters chose the rows already."""
        node = Node(self, source, self.query.select, (), self.alias(source.name), filtered)
        body, tail = node.body(), node.tail()
        self._refuse_unused_paths()
        rows = SQL(" ").join([body, *tail, *self.window(window)])
        return Read(rows, SQL(" ").join([body, *tail]), node.counted())

    def alias(self, wanted: str) -> str:
        """A table alias of this statement: the wanted name, numbered from its second use on.

        PostgreSQL's messages name it, so it should be a name that the caller knows.
        """
        # 63 bytes is all that PostgreSQL keeps of a name.
        name = short = wanted.encode()[:50].decode(errors="ignore")
        while name in self.aliases:
            self.aliases[short] = self.aliases.get(short, 0) + 1
            name = f"{short}_{self.aliases[short]}"
        self.aliases[name] = 1
        return name

    def window(self, window: Window) -> list[Composable]:
        parts: list[Composable] = []
        if window.limit is not None:
            parts.append(raw(f"LIMIT {int(window.limit)}"))
        if window.offset:
            parts.append(raw(f"OFFSET {int(window.offset)}"))
        return parts

    def _refuse_unused_paths(self) -> None:
        entries = (*self.query.filters, *self.query.orders, *self.query.windows)
        for path, _ in entries:
            if not any(_at(path, where) for where in self.visited):
                raise RestError(
                    400,
                    "PGRST108",
                    f"'{'.'.join(path)}' is not an embedded resource in this request",
                    hint=f"Embed it: add '{path[-1]}(*)' to select. A column name with a dot goes in double quotes.",
                )


def _at(path: tuple[str, ...], where: Where) -> bool:
    return len(path) == len(where) and all(name in names for name, names in zip(path, where, strict=True))


class Node:
    """One level: the root or an embedded resource."""

    def __init__(
        self,
        compiler: ReadCompiler,
        source: Source,
        items: Sequence[Item],
        where: Where,
        alias: str,
        filtered: bool = True,
        joined: Sequence[Composable] = (),
    ) -> None:
        self.compiler = compiler
        self.source = source
        self.where = where
        self.alias = alias
        self.filtered = filtered
        self.columns: list[Composable] = []
        self.groups: list[Composable] = []
        self.joins: list[Composable] = []
        self.inner_joins: list[Composable] = []
        self.joined = list(joined)
        self.conditions: list[Composable] | None = None
        self.embeds: dict[str, tuple[str, Embed, Relationship]] = {}
        items = [self._counted(item) for item in items]
        self.aggregated = any(isinstance(item, Column) and item.aggregate for item in items)
        for item in items:
            self._item(item)

    def body(self) -> Composed:
        """SELECT ... FROM ... WHERE ... GROUP BY, without order and window."""
        parts: list[Composable] = [
            SQL("SELECT"),
            SQL(", ").join(self.columns),
            SQL("FROM {} AS {}").format(self.source.table, Identifier(self.alias)),
            *self.joins,
        ]
        parts += self._where()
        if self.aggregated and self.groups:
            parts += [SQL("GROUP BY"), SQL(", ").join(self.groups)]
        return SQL(" ").join(parts)

    def counted(self) -> Composable:
        """As many rows as body() gives. Joins that neither drop rows nor take part in a filter are left out."""
        tests_presence = self.filtered and any(map(self._tests_presence, self._mine(self.compiler.query.filters)))
        if self.aggregated or tests_presence:
            return self.body()
        source = SQL("SELECT 1 FROM {} AS {}").format(self.source.table, Identifier(self.alias))
        return SQL(" ").join([source, *self.inner_joins, *self._where()])

    def _tests_presence(self, condition: Condition) -> bool:
        if isinstance(condition, Logic):
            return any(map(self._tests_presence, condition.conditions))
        return condition.field.name in self.embeds

    def _where(self) -> list[Composable]:
        if self.conditions is None:
            mine = self._mine(self.compiler.query.filters) if self.filtered else []
            self.conditions = [*self.joined, *map(self.condition, mine)]
        return [SQL("WHERE"), SQL(" AND ").join(self.conditions)] if self.conditions else []

    def tail(self) -> list[Composable]:
        terms = [self._order(term) for terms in self._mine(self.compiler.query.orders) for term in terms]
        return [SQL("ORDER BY"), SQL(", ").join(terms)] if terms else []

    def _mine(self, entries: Iterable[tuple[tuple[str, ...], Any]]) -> list[Any]:
        return [entry for path, entry in entries if _at(path, self.where)]

    # what is selected

    def _counted(self, item: Item) -> Item:
        """A bare `count` that is no column counts rows, the older way to write `count()`."""
        bare = isinstance(item, Column) and item.field == Field("count") and not item.aggregate
        relation = self.source.relation
        if bare and isinstance(item, Column) and relation and "count" not in relation.columns:
            return Column(None, item.alias, aggregate="count", aggregate_cast=item.cast)
        return item

    def _item(self, item: Item) -> None:
        if isinstance(item, Star):
            self._output(SQL("{}.*").format(Identifier(self.alias)))
        elif isinstance(item, Column):
            self._column(item)
        else:
            self._embed(item)

    def _output(self, column: Composable) -> None:
        self.columns.append(column)
        self.groups.append(raw(str(len(self.columns))))

    def _column(self, item: Column) -> None:
        if item.field is None:
            value: Composable = SQL("count(*)")
            name = item.alias or "count"
        else:
            value = _cast(self.field(item.field), item.cast)
            name = item.alias or _output_name(item)
        if item.aggregate:
            if item.field is not None:
                value = SQL("{}({})").format(raw(item.aggregate), value)
            self.columns.append(SQL("{} AS {}").format(_cast(value, item.aggregate_cast), Identifier(name)))
        else:
            self._output(SQL("{} AS {}").format(value, Identifier(name)))

    def _embed(self, embed: Embed) -> None:
        compiler = self.compiler
        relationship = compiler.catalog.relationship(self.source.name, embed.target, embed.hint)
        if embed.spread and not relationship.to_one:
            raise RestError(
                400,
                "PGRST119",
                f"A spread operation on '{embed.target}' is not possible",
                details=f"'{self.source.name}' and '{embed.target}' do not form a many-to-one or one-to-one relationship.",
                hint=f"Write {embed.target}(...) without the dots.",
            )
        lateral = compiler.alias("pgrst_e")
        self.embeds.setdefault(embed.key, (lateral, embed, relationship))
        self.embeds.setdefault(embed.target, (lateral, embed, relationship))
        rows = self._embedded_rows(embed, relationship)
        join = SQL("INNER JOIN LATERAL") if embed.inner else SQL("LEFT JOIN LATERAL")
        if embed.spread:
            self._join_lateral(SQL("{} ({}) AS {} ON TRUE").format(join, rows, Identifier(lateral)), embed.inner)
            if embed.items:
                self._output(SQL("{}.*").format(Identifier(lateral)))
            return
        collect = SQL("row_to_json(pgrst_x.*)") if relationship.to_one else SQL("json_agg(pgrst_x.*)")
        value = SQL("{}.pgrst_v").format(Identifier(lateral))
        on = SQL("{} IS NOT NULL").format(value) if embed.inner and not relationship.to_one else SQL("TRUE")
        one = SQL("(SELECT {} AS pgrst_v FROM ({}) AS pgrst_x)").format(collect, rows)
        self._join_lateral(SQL("{} {} AS {} ON {}").format(join, one, Identifier(lateral), on), embed.inner)
        if embed.items:
            shown = value if relationship.to_one else SQL("COALESCE({}, '[]')").format(value)
            # GROUP BY needs equality, which json lacks and jsonb has.
            shown = SQL("CAST({} AS jsonb)").format(shown) if self.aggregated else shown
            self._output(SQL("{} AS {}").format(shown, Identifier(embed.key)))

    def _join_lateral(self, join: Composable, inner: bool) -> None:
        self.joins.append(join)
        if inner:
            self.inner_joins.append(join)

    def _embedded_rows(self, embed: Embed, relationship: Relationship) -> Composable:
        compiler = self.compiler
        where = (*self.where, frozenset({embed.key, embed.target}))
        compiler.visited.append(where)
        alias = compiler.alias(relationship.target)
        source = compiler.source(compiler.catalog.relations[relationship.target])
        node = Node(compiler, source, embed.items, where, alias, joined=[self._join(relationship, alias)])
        body, tail = node.body(), node.tail()
        windows = node._mine(compiler.query.windows)
        return SQL(" ").join([body, *tail, *compiler.window(windows[0] if windows else Window())])

    def _join(self, relationship: Relationship, alias: str) -> Composable:
        def equal(left: str, lefts: Sequence[str], right: str, rights: Sequence[str]) -> Composable:
            pairs = zip(lefts, rights, strict=True)
            return SQL(" AND ").join(SQL("{} = {}").format(Identifier(left, a), Identifier(right, b)) for a, b in pairs)

        junction = relationship.junction
        if junction is None:
            return equal(alias, relationship.target_columns, self.alias, relationship.columns)
        middle = self.compiler.alias(junction.table)
        return SQL("EXISTS (SELECT 1 FROM {} AS {} WHERE {} AND {})").format(
            self.compiler.table(junction.table),
            Identifier(middle),
            equal(middle, junction.near, self.alias, relationship.columns),
            equal(middle, junction.far, alias, relationship.target_columns),
        )

    # fields, filters, order

    def field(self, field: Field) -> Composable:
        value: Composable = Identifier(self.alias, field.name)
        if not field.steps:
            return value
        relation = self.source.relation
        info = relation.columns.get(field.name) if relation else None
        if info and not info.is_json:
            value = SQL("to_jsonb({})").format(value)
        for step in field.steps:
            arrow = SQL("->>") if step.as_text else SQL("->")
            key = raw(str(step.key)) if isinstance(step.key, int) else self._text(step.key)
            value = SQL("({} {} {})").format(value, arrow, key)
        return value

    def _text(self, value: str) -> Composable:
        return SQL("{}::text").format(self.compiler.parameters.add(value))

    def condition(self, condition: Condition) -> Composable:
        if isinstance(condition, Logic):
            joint = SQL(" AND ") if condition.op == "and" else SQL(" OR ")
            tree = SQL("({})").format(joint.join(self.condition(c) for c in condition.conditions))
            return SQL("NOT {}").format(tree) if condition.negated else tree
        embedded = self.embeds.get(condition.field.name) if not condition.field.steps else None
        test = self._presence(condition, embedded[0]) if embedded else self._comparison(condition)
        return SQL("NOT ({})").format(test) if condition.negated else test

    def _presence(self, condition: Filter, lateral: str) -> Composable:
        if condition.op != "is" or condition.value not in ("null", "not_null"):
            raise RestError(
                400,
                "PGRST120",
                f"'{condition.field.name}' is an embedded resource: only is.null and not.is.null can filter on it",
                hint=f"Filter on its columns with {condition.field.name}.<column>=eq.<value>.",
            )
        return SQL("{} IS {}").format(Identifier(lateral, "pgrst_v"), raw(_IS[str(condition.value)]))

    def _comparison(self, condition: Filter) -> Composable:
        field, add = self.field(condition.field), self.compiler.parameters.add
        op, value = condition.op, condition.value
        if op == "is":
            return SQL("{} IS {}").format(field, raw(_IS[str(value)]))
        if op == "in":
            return SQL("{} = ANY ({})").format(field, add(array_literal(value)))
        if op in _TEXT_SEARCH:
            return self._text_search(condition, field)
        text = str(value)
        if op in ("like", "ilike"):
            text = text.replace("*", "%")
        operator = raw(_COMPARISONS[op])
        if condition.modifier:
            return SQL("{} {} {} ({})").format(field, operator, raw(condition.modifier.upper()), add(text))
        return SQL("{} {} {}").format(field, operator, add(text))

    def _text_search(self, condition: Filter, field: Composable) -> Composable:
        add = self.compiler.parameters.add
        relation = self.source.relation
        info = relation.columns.get(condition.field.name) if relation else None
        if condition.field.steps:
            searchable = condition.field.steps[-1].as_text
        else:
            searchable = info is not None and info.is_searchable
        language = condition.language
        if searchable:
            given = [SQL("{}::regconfig").format(add(language))] if language else []
            field = SQL("to_tsvector({})").format(SQL(", ").join([*given, field]))
        given = [SQL("{}::regconfig").format(add(language))] if language else []
        wanted = SQL(", ").join([*given, add(condition.value)])
        return SQL("{} @@ {}({})").format(field, raw(_TEXT_SEARCH[condition.op]), wanted)

    def _order(self, term: Order) -> Composable:
        value = self._related(term) if term.relation else self.field(term.field)
        direction = SQL(" DESC") if term.descending else SQL(" ASC")
        nulls = raw(f" NULLS {term.nulls.upper()}") if term.nulls else SQL("")
        return SQL("{}{}{}").format(value, direction, nulls)

    def _related(self, term: Order) -> Composable:
        """A column of an embedded to-one resource, under the same filters as the embedding itself."""
        found = self.embeds.get(term.relation or "")
        if found is None:
            raise RestError(
                400,
                "PGRST108",
                f"'{term.relation}' is not an embedded resource in this request",
                hint=f"Embed it: add '{term.relation}(...)' to select.",
            )
        _, embed, relationship = found
        if not relationship.to_one:
            raise RestError(
                400,
                "PGRST118",
                f"A related order on '{term.relation}' is not possible",
                details=f"'{self.source.name}' and '{term.relation}' do not form a many-to-one or one-to-one relationship.",
                hint=f"Order the embedded rows instead: {term.relation}.order=<column>.",
            )
        compiler, alias = self.compiler, self.compiler.alias(relationship.target)
        where = (*self.where, frozenset({embed.key, embed.target}))
        source = compiler.source(compiler.catalog.relations[relationship.target])
        node = Node(compiler, source, (), where, alias, joined=[self._join(relationship, alias)])
        node.columns.append(node.field(term.field))
        return SQL("({} LIMIT 1)").format(node.body())


def array_literal(values: Iterable[str]) -> str:
    """A PostgreSQL array literal of quoted elements: one parameter however long the list is."""
    escaped = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "{" + ",".join(f'"{value}"' for value in escaped) + "}"


def _cast(value: Composable, cast: str | None) -> Composable:
    if cast is None:
        return value
    return SQL("CAST({} AS {})").format(value, raw(cast_type(cast)))


def _output_name(item: Column) -> str:
    """The last key of a JSON path, else the column; an aggregate is named after itself."""
    if item.aggregate:
        return item.aggregate
    assert item.field is not None
    keys = [step.key for step in item.field.steps if isinstance(step.key, str)]
    return keys[-1] if keys else item.field.name
