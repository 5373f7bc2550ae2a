"""What a view shows unchanged of its tables, and the keys and defaults that come with it. Pure."""

from __future__ import annotations

import re
from dataclasses import replace

from run402_cli.core.rest.schema import ForeignKey, Relation


def bases_first(origins: dict[int, dict[int, tuple[int, int]]]) -> list[int]:
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


def inherit(
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
        shown_column = by_name[base.name].columns[base_name]
        own = columns[name].default
        columns[name] = replace(
            columns[name], default=shown_column.default if own is None else own, always=shown_column.always
        )
    primary_key: tuple[str, ...] = ()
    shown_keys: list[str] = []
    uniques: list[frozenset[str]] = []
    found: list[ForeignKey] = []
    for base_name, names in shown.items():
        base = by_name[base_name]
        if base.primary_key and len(shown) == 1 and all(c in names for c in base.primary_key):
            primary_key = tuple(names[c] for c in base.primary_key)
        if all(c in names for c in base.row_key):
            shown_keys += [names[c] for c in base.row_key]
        if len(shown) == 1:
            uniques += [frozenset(names[c] for c in u) for u in base.uniques if all(c in names for c in u)]
        for key in keys:
            if key.table == base_name and all(c in names for c in key.columns):
                found.append(replace(key, table=relation.name, columns=tuple(names[c] for c in key.columns)))
            if key.target == base_name and all(c in names for c in key.target_columns):
                target_columns = tuple(names[c] for c in key.target_columns)
                found.append(replace(key, target=relation.name, target_columns=target_columns))
    relations[view] = replace(
        relation, columns=columns, primary_key=primary_key, uniques=tuple(uniques), shown_keys=tuple(shown_keys)
    )
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
