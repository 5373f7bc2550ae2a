"""What one statement is put together from: its parameters, its table aliases and where its rows come from. Pure.

Identifiers are quoted by psycopg; every value is a parameter without a type, so that PostgreSQL gives it the type of
the column it meets, exactly as if it were a quoted literal.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from psycopg.sql import SQL, Composable, Identifier

from run402_cli.core.rest.nodes import Filter, Query, Window
from run402_cli.core.rest.schema import Catalog, Relation

# The names by which a level of embedding is known, for each step from the root to it.
Where = tuple[frozenset[str], ...]


def raw(text: str) -> SQL:
    """SQL text that is ours: never a part of the request."""
    return SQL(text)


class Parameters:
    """Values of one statement, numbered as they are added."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        # The filters that give some of them, by their places.
        self.filters: dict[int, Filter] = {}

    def add(self, value: Any) -> SQL:
        self.values.append(value)
        return raw(f"${len(self.values)}")

    def add_of(self, condition: Filter) -> SQL:
        """The value of a filter, as `sent` gives it."""
        self.filters[len(self.values)] = condition
        return self.add(sent(condition))


def sent(condition: Filter) -> str:
    """The value of a filter as PostgreSQL gets it. Nothing else of a statement depends on it, but for `is`."""
    if condition.op == "in":
        return array_literal(condition.value)
    text = str(condition.value)
    return text.replace("*", "%") if condition.op in ("like", "ilike") else text


def array_literal(values: Iterable[str]) -> str:
    """A PostgreSQL array literal of quoted elements: one parameter however long the list is."""
    escaped = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "{" + ",".join(f'"{value}"' for value in escaped) + "}"


@dataclass(frozen=True, slots=True)
class Source:
    """Where rows come from: a relation of the schema, or the output of a write or a function."""

    table: Composable
    relation: Relation | None

    @property
    def name(self) -> str:
        return self.relation.name if self.relation else "result"


class Statement:
    """One statement in the making; collects parameters and table aliases on the way."""

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


def at(path: tuple[str, ...], where: Where) -> bool:
    return len(path) == len(where) and all(name in names for name, names in zip(path, where, strict=True))
