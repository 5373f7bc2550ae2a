"""What a schema has: relations with their columns and keys, and the ways from one relation to another. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from run402_cli import suggest
from run402_cli.core.rest.errors import RestError
from run402_cli.core.rest.forms import PLAIN, Forms
from run402_cli.core.rest.media import Handler


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    """`type` as PostgreSQL prints it; `base` without modifiers and domains; defaults are SQL expressions, if any.

    `always` is for what PostgreSQL alone fills: GENERATED ALWAYS, as identity or by an expression.
    """

    name: str
    type: str
    base: str
    default: str | None
    domain_default: str | None = None
    always: bool = False
    forms: Forms = PLAIN

    @property
    def initial(self) -> str | None:
        """What a row gets that is written without this column; None for null."""
        return self.default if self.default is not None else self.domain_default

    @property
    def is_json(self) -> bool:
        return self.base in ("json", "jsonb")

    @property
    def is_searchable(self) -> bool:
        return self.is_json or self.base in ("text", "character varying", "character")


@dataclass(frozen=True, slots=True)
class Relation:
    """`shown_keys` of a view are the key columns of all tables that it shows. `instead`: a trigger does its inserts.

    `functions` are those of the schema that take its row; `computed` their forms, where they give a domain that has some.
    """

    name: str
    kind: str
    columns: dict[str, ColumnInfo]
    primary_key: tuple[str, ...] = ()
    uniques: tuple[frozenset[str], ...] = ()
    shown_keys: tuple[str, ...] = ()
    instead: bool = False
    computed: dict[str, Forms] = field(default_factory=dict)
    functions: set[str] = field(default_factory=set)

    def forms(self, name: str) -> Forms:
        """How the values of a column, or of a computed one, are written."""
        info = self.columns.get(name)
        return info.forms if info is not None else self.computed.get(name, PLAIN)

    @property
    def has_forms(self) -> bool:
        return bool(self.computed) or any(info.forms != PLAIN for info in self.columns.values())

    def seen_by(self, role: str) -> Relation:
        if not self.has_forms:
            return self
        columns = {name: replace(info, forms=info.forms.seen_by(role)) for name, info in self.columns.items()}
        return replace(
            self, columns=columns, computed={name: forms.seen_by(role) for name, forms in self.computed.items()}
        )

    @property
    def row_key(self) -> tuple[str, ...]:
        """The columns that tell one row from another."""
        return self.primary_key or self.shown_keys

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
    # Whether the foreign key is one of the parent.
    holds_key: bool = False
    # The function from a row of the parent to the rows of the target, in place of a key.
    function: str | None = None
    returns_set: bool = True

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
    handlers: tuple[Handler, ...] = ()
    seen: dict[str, Catalog] = field(default_factory=dict, compare=False)
    # No other has it, however equal.
    number: int = field(default_factory=itertools.count().__next__, init=False, compare=False)

    def seen_by(self, role: str) -> Catalog:
        """The same with the forms of domains that the role may use."""
        found = self.seen.get(role)
        if found is None:
            found = self
            if any(relation.has_forms for relation in self.relations.values()):
                relations = {name: relation.seen_by(role) for name, relation in self.relations.items()}
                found = replace(self, relations=relations, seen={})
            self.seen[role] = found
        return found

    def relationship(self, parent: str, target: str, hint: str | None) -> Relationship:
        """The one way from `parent` to what `target` (and `hint`) name. PGRST200 when none, PGRST201 when several."""
        ways = self.relationships.get(parent, ())
        found = [r for r in ways if r.function == target] or [r for r in ways if _named(r, target, hint)]
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
        reachable = sorted({r.function or r.target for r in self.relationships.get(parent, ())})
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
    if r.function is not None:
        return False
    constraints = (*r.junction.constraints, r.junction.table) if r.junction else (r.constraint,)
    if r.parent == r.target and r.junction is None:
        # One foreign key, two directions: a table's name means the rows below, the key's column the row above.
        if r.holds_key:
            return hint is None and r.columns == (target,)
        return target == r.target and (hint in (None, r.constraint) or r.target_columns == (hint,))
    if r.junction and r.parent == r.target:
        return target == r.target and hint in (None, r.junction.constraints[0])
    if hint is None:
        by_column = r.to_one and len(r.columns) == 1 and target == r.columns[0]
        return target == r.target or (target in constraints and r.junction is None) or by_column
    sides = [side[0] for side in (r.columns, r.target_columns) if len(side) == 1 and r.junction is None]
    return target == r.target and (hint in constraints or hint in sides)


def computed_relationship(parent: str, target: str, function: str, to_one: bool, returns_set: bool) -> Relationship:
    cardinality: Literal["many-to-one", "one-to-many"] = "many-to-one" if to_one else "one-to-many"
    return Relationship(cardinality, parent, target, function, (), (), function=function, returns_set=returns_set)


def relationships(
    relations: dict[str, Relation], keys: list[ForeignKey], computed: Sequence[Relationship]
) -> dict[str, tuple[Relationship, ...]]:
    """By parent. A function that is named like its target stands in place of the keys that lead there."""
    found = _by_keys(relations, keys)
    for way in computed:
        found[way.parent] = [r for r in found.get(way.parent, ()) if r.function or r.target != way.function]
        found[way.parent].append(way)
    return {name: tuple(ways) for name, ways in found.items()}


def _by_keys(relations: dict[str, Relation], keys: list[ForeignKey]) -> dict[str, list[Relationship]]:
    found: dict[str, list[Relationship]] = {}
    for key in keys:
        one = frozenset(key.columns) in relations[key.table].uniques
        up = Relationship(
            "one-to-one" if one else "many-to-one",
            key.table,
            key.target,
            key.name,
            key.columns,
            key.target_columns,
            holds_key=True,
        )
        down = Relationship(
            "one-to-one" if one else "one-to-many", key.target, key.table, key.name, key.target_columns, key.columns
        )
        found.setdefault(key.table, []).append(up)
        found.setdefault(key.target, []).append(down)
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
    return found
