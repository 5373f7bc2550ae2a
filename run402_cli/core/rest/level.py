"""One level of a query, the root or an embedded resource: what it selects, joins, filters and orders by. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from psycopg.sql import SQL, Composable, Composed, Identifier

from run402_cli.core.rest import embedding
from run402_cli.core.rest.embedding import Output
from run402_cli.core.rest.errors import RestError
from run402_cli.core.rest.fields import IS, Rows, cast
from run402_cli.core.rest.nodes import Column, Condition, Embed, Field, Filter, Item, Logic, Order, Star, Window
from run402_cli.core.rest.schema import Relationship
from run402_cli.core.rest.statement import Source, Statement, Where, at, raw


@dataclass(frozen=True, slots=True)
class Embedded:
    """An embedded resource: its place in the statement, and for a spread the outputs that it gives to this level."""

    lateral: str
    embed: Embed
    relationship: Relationship
    where: Where
    level: Level
    lifted: tuple[Output, ...] = ()


class Level:
    """One level: the root or an embedded resource. `picked` are the columns that are selected whatever the items are."""

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
        self.rows = Rows(source, alias, statement.parameters, statement.catalog.schema)
        self.filtered = filtered
        self.passes_on = False
        self.picked: list[Composable] = []
        self.outputs: list[Output] = []
        self.joins: list[Composable] = []
        # Those that change how many rows there are.
        self.counted_joins: list[Composable] = []
        self.joined = list(joined)
        self.conditions: list[Composable] | None = None
        self.embeds: dict[str, Embedded] = {}
        keys = {item.key for item in items if isinstance(item, Embed)}
        for item in map(self._counted, items):
            if isinstance(item, Star):
                self.outputs += self._star()
            elif isinstance(item, Column):
                self.outputs.append(self._column(item))
            else:
                self._embed(item, keys)

    @property
    def aggregated(self) -> bool:
        """A to-one spread leaves aggregates to the level around it."""
        return not self.passes_on and any(output.aggregate for output in self.outputs)

    def body(self) -> Composed:
        """SELECT ... FROM ... WHERE ... GROUP BY, without order and window."""
        outputs = self._grouped()
        shown = [output.shown(grouped=self.aggregated) for output in outputs]
        parts = self._select(SQL(", ").join([*self.picked, *shown]))
        groups = [output.group or raw(str(n)) for n, output in enumerate(outputs, 1) if not output.aggregate]
        if self.aggregated and groups:
            parts += [SQL("GROUP BY"), SQL(", ").join(groups)]
        return SQL(" ").join(parts)

    def raw_body(self) -> Composed:
        """The same for a spread: nothing is named or aggregated in it."""
        return SQL(" ").join(self._select(embedding.raw_columns(self.outputs)))

    def _select(self, columns: Composable) -> list[Composable]:
        source = SQL("FROM {} AS {}").format(self.source.table, Identifier(self.alias))
        return [SQL("SELECT"), columns, source, *self.joins, *self._where()]

    def _grouped(self) -> list[Output]:
        """The outputs; with an aggregate among them each column on its own, since GROUP BY goes by their numbers."""
        if not self.aggregated:
            return self.outputs
        return self.expanded()

    def expanded(self) -> list[Output]:
        found = []
        for output in self.outputs:
            found += self._columns() if output.name is None and self.source.relation else [output]
        return found

    def _star(self) -> list[Output]:
        relation = self.source.relation
        if relation is not None and relation.has_forms:
            return self._columns()
        return [Output(None, SQL("{}.*").format(Identifier(self.alias)))]

    def _columns(self) -> list[Output]:
        relation = self.source.relation
        return [self._column(Column(Field(name))) for name in relation.columns] if relation is not None else []

    def counted(self) -> Composable:
        """As many rows as body() gives. Joins that neither change that nor take part in a filter are left out."""
        tests_presence = self.filtered and any(map(self._tests_presence, self._mine(self.statement.query.filters)))
        if self.aggregated or tests_presence:
            return self.body()
        source = SQL("SELECT 1 FROM {} AS {}").format(self.source.table, Identifier(self.alias))
        return SQL(" ").join([source, *self.counted_joins, *self._where()])

    def _tests_presence(self, condition: Condition) -> bool:
        if isinstance(condition, Logic):
            return any(map(self._tests_presence, condition.conditions))
        return self._embedded(condition) is not None

    def _embedded(self, condition: Filter) -> Embedded | None:
        """The resource whose presence is asked for. Every other operator is for a column of this level."""
        if condition.op != "is" or condition.value not in ("null", "not_null") or condition.field.steps:
            return None
        return self.embeds.get(condition.field.name)

    def _where(self) -> list[Composable]:
        if self.conditions is None:
            mine = self._mine(self.statement.query.filters) if self.filtered else []
            self.conditions = [*self.joined, *map(self.condition, mine)]
        return [SQL("WHERE"), SQL(" AND ").join(self.conditions)] if self.conditions else []

    def tail(self) -> list[Composable]:
        terms = [self._order(term) for terms in self._mine(self.statement.query.orders) for term in terms]
        return [SQL("ORDER BY"), SQL(", ").join(terms)] if terms else []

    def window(self) -> list[Composable]:
        """Of an embedded resource; the root's also comes from the Range header."""
        found = self._mine(self.statement.query.windows)
        return self.statement.window(found[0] if found else Window())

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

    def _column(self, item: Column) -> Output:
        if item.field is None:
            return Output(item.alias or "count", None, None, item.aggregate, item.aggregate_cast)
        name = item.alias or _output_name(item)
        if item.aggregate:
            stored = cast(self.rows.field(item.field), item.cast)
            return Output(name, stored, None, item.aggregate, item.aggregate_cast)
        value = cast(self.rows.shown(item.field), item.cast)
        field = None if item.cast else item.field
        if not self.rows.formed(item.field):
            return Output(name, value, field)
        # What a domain's cast makes is json, which has no equality.
        return Output(name, value, field, is_json=not item.cast, group=self.rows.field(item.field))

    def _embed(self, embed: Embed, keys: set[str]) -> None:
        statement = self.statement
        relationship = statement.catalog.relationship(self.source.name, embed.target, embed.hint)
        lateral = statement.alias("pgrst_e")
        # An alias does not take the target's name away from an embed that has no alias.
        where = (*self.where, frozenset({embed.key} if embed.target in keys else {embed.key, embed.target}))
        statement.visited.append(where)
        alias = statement.alias(relationship.target)
        source, joined = self._target(relationship, alias)
        level = Level(statement, source, embed.items, where, alias, joined=joined)
        found = Embedded(lateral, embed, relationship, where, level)
        found = self._spread(found) if embed.spread else self._nested(found)
        self.embeds.setdefault(embed.key, found)

    def _nested(self, found: Embedded) -> Embedded:
        """As an object or an array under a key of its own."""
        to_one, level = found.relationship.to_one, found.level
        rows = SQL(" ").join([level.body(), *level.tail(), *level.window()])
        joined = embedding.object_rows(rows) if to_one else embedding.array_rows(rows)
        self._join_lateral(found, joined)
        if level.outputs:
            value: Composable = Identifier(found.lateral, "pgrst_v")
            if not to_one:
                value = SQL("COALESCE({}, '[]')").format(value)
            self.outputs.append(Output(found.embed.key, value, is_json=True))
        return found

    def _spread(self, found: Embedded) -> Embedded:
        """Its columns are those of this level; those of several rows as arrays. Aggregates are made outside of it."""
        to_one, level = found.relationship.to_one, found.level
        level.outputs, level.passes_on = level.expanded(), to_one
        if level.aggregated:
            raise RestError(
                400,
                "PGRST127",
                "Feature not implemented",
                details="Aggregates are not implemented for one-to-many or many-to-many spreads.",
                hint=f"Embed it without the dots: {found.embed.target}(...).",
            )
        rows = SQL(" ").join([level.raw_body(), *level.tail(), *level.window()])
        joined = SQL("({})").format(rows) if to_one else embedding.spread_arrays(rows, level.outputs)
        self._join_lateral(found, joined)
        lifted = embedding.lifted(level.outputs, found.lateral, collected=not to_one)
        self.outputs += lifted
        return replace(found, lifted=tuple(lifted))

    def _join_lateral(self, found: Embedded, rows: Composable) -> None:
        inner = found.embed.inner
        join = embedding.lateral_join(rows, found.lateral, inner=inner, presence=not found.relationship.to_one)
        self.joins.append(join)
        several = found.relationship.function is not None and found.relationship.to_one
        if inner or several:
            self.counted_joins.append(join)

    def _target(self, relationship: Relationship, alias: str) -> tuple[Source, list[Composable]]:
        """Where the rows of an embedded resource come from, and the conditions that tie them to a row of this level."""
        statement = self.statement
        relation = statement.catalog.relations[relationship.target]
        if relationship.function is None:
            return statement.source(relation), [self._join(relationship, alias)]
        called = SQL("{}({})").format(statement.table(relationship.function), self.rows.whole())
        # A function that gives NULL for one row gives a row of nulls here.
        some = [] if relationship.returns_set else [SQL("NOT ({} IS NULL)").format(Identifier(alias))]
        return Source(called, relation), list(some)

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
        embedded = self._embedded(condition)
        if embedded is None:
            test = self.rows.comparison(condition)
        else:
            test = SQL("{} IS {}").format(Identifier(embedded.lateral, "pgrst_v"), raw(IS[str(condition.value)]))
        return SQL("NOT ({})").format(test) if condition.negated else test

    def _order(self, term: Order) -> Composable:
        value = self._related(term) if term.relation else self._ordered(term.field)
        direction = SQL(" DESC") if term.descending else SQL(" ASC")
        nulls = raw(f" NULLS {term.nulls.upper()}") if term.nulls else SQL("")
        return SQL("{}{}{}").format(value, direction, nulls)

    def _ordered(self, field: Field) -> Composable:
        """Rows are grouped by what is selected: PostgreSQL sees that two expressions are one when they are one."""
        if self.aggregated:
            for n, output in enumerate(self._grouped(), 1):
                if output.field == field:
                    return output.group or raw(str(n))
        return self.rows.field(field)

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
        if not found.relationship.to_one:
            raise RestError(
                400,
                "PGRST118",
                f"A related order on '{term.relation}' is not possible",
                details=f"'{self.source.name}' and '{term.relation}' do not form a many-to-one or one-to-one relationship.",
                hint=f"Order the embedded rows instead: {term.relation}.order=<column>.",
            )
        return self._spread_order(found, term.field) or self._outside_order(found, term.field)

    def _spread_order(self, found: Embedded, field: Field) -> Composable | None:
        """What a spread shows under that name or of that column is there already, and grouped by if need be."""
        pairs = list(zip(found.level.outputs, found.lifted, strict=False))
        named = [up for own, up in pairs if not field.steps and own.name == field.name]
        same = [up for own, up in pairs if own.field == field]
        for output in (*named, *same):
            if not self.aggregated:
                return output.value
            return raw(str(1 + self._grouped().index(output)))
        return None

    def _outside_order(self, found: Embedded, field: Field) -> Composable:
        statement, relationship = self.statement, found.relationship
        alias = statement.alias(relationship.target)
        source, joined = self._target(relationship, alias)
        level = Level(statement, source, found.embed.items, found.where, alias, joined=joined)
        level.outputs, level.picked = [], [level.rows.field(field)]
        return SQL("({} LIMIT 1)").format(level.body())


def _output_name(item: Column) -> str:
    """The last key of a JSON path, else the column; an aggregate is named after itself."""
    if item.aggregate:
        return item.aggregate
    assert item.field is not None
    keys = [step.key for step in item.field.steps if isinstance(step.key, str)]
    return keys[-1] if keys else item.field.name
