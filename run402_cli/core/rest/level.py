"""One level of a query, the root or an embedded resource: what it selects, joins, filters and orders by. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from psycopg.sql import SQL, Composable, Composed, Identifier

from run402_cli.core.rest.errors import RestError
from run402_cli.core.rest.fields import IS, Rows, cast
from run402_cli.core.rest.nodes import Column, Condition, Embed, Field, Filter, Item, Logic, Order, Star, Window
from run402_cli.core.rest.schema import Relationship
from run402_cli.core.rest.statement import Source, Statement, Where, at, raw


class Level:
    """One level: the root or an embedded resource."""

    def __init__(
        self,
        statement: Statement,
        source: Source,
        items: Sequence[Item],
        where: Where,
        alias: str,
        filtered: bool = True,
        joined: Sequence[Composable] = (),
    ) -> None:
        self.statement = statement
        self.source = source
        self.where = where
        self.alias = alias
        self.rows = Rows(source, alias, statement.parameters)
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
        tests_presence = self.filtered and any(map(self._tests_presence, self._mine(self.statement.query.filters)))
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
            mine = self._mine(self.statement.query.filters) if self.filtered else []
            self.conditions = [*self.joined, *map(self.condition, mine)]
        return [SQL("WHERE"), SQL(" AND ").join(self.conditions)] if self.conditions else []

    def tail(self) -> list[Composable]:
        terms = [self._order(term) for terms in self._mine(self.statement.query.orders) for term in terms]
        return [SQL("ORDER BY"), SQL(", ").join(terms)] if terms else []

    def _mine(self, entries: Iterable[tuple[tuple[str, ...], Any]]) -> list[Any]:
        return [entry for path, entry in entries if at(path, self.where)]

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
            self._star()
        elif isinstance(item, Column):
            self._column(item)
        else:
            self._embed(item)

    def _star(self) -> None:
        relation = self.source.relation
        if relation is None or not relation.has_forms:
            self._output(SQL("{}.*").format(Identifier(self.alias)))
            return
        for name in relation.columns:
            self._column(Column(Field(name)))

    def _output(self, column: Composable, group: Composable | None = None) -> None:
        self.columns.append(column)
        self.groups.append(group or raw(str(len(self.columns))))

    def _column(self, item: Column) -> None:
        if item.field is None:
            value: Composable = SQL("count(*)")
            name = item.alias or "count"
        else:
            field = self.rows.field(item.field) if item.aggregate else self.rows.shown(item.field)
            value = cast(field, item.cast)
            name = item.alias or _output_name(item)
        if item.aggregate:
            if item.field is not None:
                value = SQL("{}({})").format(raw(item.aggregate), value)
            self.columns.append(SQL("{} AS {}").format(cast(value, item.aggregate_cast), Identifier(name)))
        else:
            # What a domain's cast makes is json, which has no equality.
            formed = item.field is not None and self.rows.formed(item.field)
            group = self.rows.field(item.field) if formed and item.field is not None else None
            self._output(SQL("{} AS {}").format(value, Identifier(name)), group)

    def _embed(self, embed: Embed) -> None:
        statement = self.statement
        relationship = statement.catalog.relationship(self.source.name, embed.target, embed.hint)
        if embed.spread and not relationship.to_one:
            raise RestError(
                400,
                "PGRST119",
                f"A spread operation on '{embed.target}' is not possible",
                details=f"'{self.source.name}' and '{embed.target}' do not form a many-to-one or one-to-one relationship.",
                hint=f"Write {embed.target}(...) without the dots.",
            )
        lateral = statement.alias("pgrst_e")
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
        statement = self.statement
        where = (*self.where, frozenset({embed.key, embed.target}))
        statement.visited.append(where)
        alias = statement.alias(relationship.target)
        source = statement.source(statement.catalog.relations[relationship.target])
        level = Level(statement, source, embed.items, where, alias, joined=[self._join(relationship, alias)])
        body, tail = level.body(), level.tail()
        windows = level._mine(statement.query.windows)
        return SQL(" ").join([body, *tail, *statement.window(windows[0] if windows else Window())])

    def _join(self, relationship: Relationship, alias: str) -> Composable:
        def equal(left: str, lefts: Sequence[str], right: str, rights: Sequence[str]) -> Composable:
            pairs = zip(lefts, rights, strict=True)
            return SQL(" AND ").join(SQL("{} = {}").format(Identifier(left, a), Identifier(right, b)) for a, b in pairs)

        junction = relationship.junction
        if junction is None:
            return equal(alias, relationship.target_columns, self.alias, relationship.columns)
        middle = self.statement.alias(junction.table)
        return SQL("EXISTS (SELECT 1 FROM {} AS {} WHERE {} AND {})").format(
            self.statement.table(junction.table),
            Identifier(middle),
            equal(middle, junction.near, self.alias, relationship.columns),
            equal(middle, junction.far, alias, relationship.target_columns),
        )

    # fields, filters, order

    def condition(self, condition: Condition) -> Composable:
        if isinstance(condition, Logic):
            joint = SQL(" AND ") if condition.op == "and" else SQL(" OR ")
            tree = SQL("({})").format(joint.join(self.condition(c) for c in condition.conditions))
            return SQL("NOT {}").format(tree) if condition.negated else tree
        embedded = self.embeds.get(condition.field.name) if not condition.field.steps else None
        test = self._presence(condition, embedded[0]) if embedded else self.rows.comparison(condition)
        return SQL("NOT ({})").format(test) if condition.negated else test

    def _presence(self, condition: Filter, lateral: str) -> Composable:
        if condition.op != "is" or condition.value not in ("null", "not_null"):
            raise RestError(
                400,
                "PGRST120",
                f"'{condition.field.name}' is an embedded resource: only is.null and not.is.null can filter on it",
                hint=f"Filter on its columns with {condition.field.name}.<column>=eq.<value>.",
            )
        return SQL("{} IS {}").format(Identifier(lateral, "pgrst_v"), raw(IS[str(condition.value)]))

    def _order(self, term: Order) -> Composable:
        value = self._related(term) if term.relation else self.rows.field(term.field)
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
        statement, alias = self.statement, self.statement.alias(relationship.target)
        where = (*self.where, frozenset({embed.key, embed.target}))
        source = statement.source(statement.catalog.relations[relationship.target])
        level = Level(statement, source, (), where, alias, joined=[self._join(relationship, alias)])
        level.columns.append(level.rows.field(term.field))
        return SQL("({} LIMIT 1)").format(level.body())


def _output_name(item: Column) -> str:
    """The last key of a JSON path, else the column; an aggregate is named after itself."""
    if item.aggregate:
        return item.aggregate
    assert item.field is not None
    keys = [step.key for step in item.field.steps if isinstance(step.key, str)]
    return keys[-1] if keys else item.field.name
