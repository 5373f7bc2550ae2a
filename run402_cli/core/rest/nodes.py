"""The parsed query string: frozen values, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a JSON path: `->key`, `->>key`, `->0`."""

    key: str | int
    as_text: bool


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Star:
    """`*`"""


@dataclass(frozen=True, slots=True)
class Column:
    """`alias:field.aggregate()::cast`; `field` is None for a bare `count()`."""

    field: Field | None
    alias: str | None = None
    cast: str | None = None
    aggregate: str | None = None
    aggregate_cast: str | None = None


@dataclass(frozen=True, slots=True)
class Embed:
    """`alias:target!hint!inner(items)`, or with `...` in front the spread form."""

    target: str
    items: tuple[Item, ...]
    alias: str | None = None
    hint: str | None = None
    inner: bool = False
    spread: bool = False

    @property
    def key(self) -> str:
        return self.alias or self.target


Item = Star | Column | Embed


@dataclass(frozen=True, slots=True)
class Filter:
    """`field=op.value`. `value` is a list for `in`; `modifier` is any/all; `language` belongs to full-text search."""

    field: Field
    op: str
    value: str | tuple[str, ...]
    negated: bool = False
    modifier: Literal["any", "all"] | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Logic:
    op: Literal["and", "or"]
    conditions: tuple[Condition, ...]
    negated: bool = False


Condition = Filter | Logic


@dataclass(frozen=True, slots=True)
class Order:
    """`field.desc.nullslast`; `relation` is set for `order=rel(field)`."""

    field: Field
    relation: str | None = None
    descending: bool = False
    nulls: Literal["first", "last"] | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """Rows wanted: `limit` None means all."""

    offset: int = 0
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """A whole query string. Keys of the mappings are embedding paths; `()` is the resource itself."""

    select: tuple[Item, ...] = (Star(),)
    filters: tuple[tuple[Path, Condition], ...] = ()
    orders: tuple[tuple[Path, tuple[Order, ...]], ...] = ()
    windows: tuple[tuple[Path, Window], ...] = ()
    columns: tuple[str, ...] | None = None
    on_conflict: tuple[str, ...] | None = None
    arguments: tuple[tuple[str, str], ...] = ()

    @property
    def size(self) -> int:
        """How many columns, steps into JSON, filters, terms of order, names and arguments it asks for, together."""
        named = len(self.columns or ()) + len(self.on_conflict or ()) + len(self.arguments) + len(self.windows)
        return (
            named
            + sum(map(_item_size, self.select))
            + sum(len(path) + _condition_size(condition) for path, condition in self.filters)
            + sum(len(path) + len(terms) for path, terms in self.orders)
        )

    def conditions_at(self, path: Path) -> tuple[Condition, ...]:
        return tuple(condition for where, condition in self.filters if where == path)

    def order_at(self, path: Path) -> tuple[Order, ...]:
        return tuple(term for where, terms in self.orders if where == path for term in terms)

    def window_at(self, path: Path) -> Window:
        return next((window for where, window in self.windows if where == path), Window())


def _item_size(item: Item) -> int:
    if isinstance(item, Embed):
        return 1 + sum(map(_item_size, item.items))
    return 1 + (len(item.field.steps) if isinstance(item, Column) and item.field else 0)


def _condition_size(condition: Condition) -> int:
    if isinstance(condition, Logic):
        return 1 + sum(map(_condition_size, condition.conditions))
    return 1 + len(condition.field.steps)
