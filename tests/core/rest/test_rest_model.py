"""Random reads of three tables against a model of them in Python, which knows nothing of the compiler."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from library_kit import Library
from novels_kit import add_novels

Row = dict[str, Any]
TABLES: dict[str, list[Row]] = {
    "writers": [
        {"id": n, "name": f"w{n % 3}", "editor_id": 1 if n > 1 else None, "rival_id": None} for n in range(1, 6)
    ],
    "novels": [
        {
            "id": n,
            "title": f"t{n % 4}",
            "pages": None if n % 5 == 0 else n * 7 % 11,
            "writer_id": None if n == 9 else n % 4 + 1,
        }
        for n in range(1, 13)
    ],
    "shelves": [{"id": n, "label": f"s{n}"} for n in range(1, 5)],
    "novel_shelf": [{"novel_id": n, "shelf_id": s} for n in range(1, 13) for s in range(1, 4) if n * s % 3 == 1],
}
# From a table to others: the name, whether there is one row at most, and the rows of it.
WAYS: dict[str, list[tuple[str, bool, Callable[[Row], list[Row]]]]] = {
    "writers": [("novels", False, lambda row: [n for n in TABLES["novels"] if n["writer_id"] == row["id"]])],
    "novels": [
        ("writers", True, lambda row: [w for w in TABLES["writers"] if w["id"] == row["writer_id"]]),
        ("shelves", False, lambda row: shelved(row["id"], "novel_id", "shelf_id", "shelves")),
    ],
    "shelves": [("novels", False, lambda row: shelved(row["id"], "shelf_id", "novel_id", "novels"))],
}
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda value, wanted: value == wanted,
    "neq": lambda value, wanted: value != wanted,
    "gt": lambda value, wanted: value > wanted,
    "lte": lambda value, wanted: value <= wanted,
}


def shelved(key: int, near: str, far: str, table: str) -> list[Row]:
    wanted = {pair[far] for pair in TABLES["novel_shelf"] if pair[near] == key}
    return [row for row in TABLES[table] if row["id"] in wanted]


@dataclass(frozen=True)
class Condition:
    """`column op value` or a tree of them; `holds` gives None where SQL gives NULL."""

    text: str
    holds: Callable[[Row], bool | None]


@dataclass(frozen=True)
class Read:
    """One level. `kind`: plain, inner or spread."""

    table: str
    columns: tuple[str, ...]
    tests: tuple[Condition, ...]
    descending: bool
    limit: int | None
    embeds: tuple[tuple[str, str, bool, Read], ...] = ()

    def select(self) -> str:
        parts = list(self.columns)
        for name, kind, _, read in self.embeds:
            before, after = ("..." if kind == "spread" else ""), ("!inner" if kind == "inner" else "")
            parts.append(f"{before}{name}{after}({read.select()})")
        return ",".join(parts)

    def parameters(self, path: str = "") -> list[tuple[str, str]]:
        """Every level has an order that leaves no two rows alike."""
        found = [(f"{path}and", f"({test.text})") for test in self.tests]
        found.append((f"{path}order", "id.desc" if self.descending else "id"))
        found += [(f"{path}limit", str(self.limit))] if self.limit is not None else []
        for name, _, _, read in self.embeds:
            found += read.parameters(f"{path}{name}.")
        return found

    def of(self, rows: list[Row]) -> list[list[tuple[str, Any]]]:
        kept = [row for row in rows if all(test.holds(row) for test in self.tests)]
        kept.sort(key=lambda row: row["id"], reverse=self.descending)
        shown = [made for row in kept if (made := self._shown(row)) is not None]
        return shown[: self.limit] if self.limit is not None else shown

    def _shown(self, row: Row) -> list[tuple[str, Any]] | None:
        found = [(name, row[name]) for name in self.columns]
        for name, kind, to_one, read in self.embeds:
            reach = next(way[2] for way in WAYS[self.table] if way[0] == name)
            rows = read.of(reach(row))
            if kind == "inner" and not rows:
                return None
            if kind == "spread" and to_one:
                found += rows[0] if rows else [(key, None) for key in read.names()]
            elif kind == "spread":
                found += [(key, [made[n][1] for made in rows]) for n, key in enumerate(read.names())]
            elif to_one:
                found.append((name, dict(rows[0]) if rows else None))
            else:
                found.append((name, [dict(made) for made in rows]))
        return found

    def names(self) -> list[str]:
        found = list(self.columns)
        for name, kind, _, read in self.embeds:
            found += read.names() if kind == "spread" else [name]
        return found


def compared(column: str, op: str, value: int, negated: bool) -> Condition:
    def holds(row: Row) -> bool | None:
        found = None if row[column] is None else OPERATORS[op](row[column], value)
        return found if found is None or not negated else not found

    return Condition(f"{column}.{'not.' if negated else ''}{op}.{value}", holds)


def joint(op: str, negated: bool, tests: list[Condition]) -> Condition:
    def holds(row: Row) -> bool | None:
        found = [test.holds(row) for test in tests]
        decisive = op == "or"
        result = decisive if decisive in found else None if None in found else not decisive
        return result if result is None or not negated else not result

    return Condition(f"{'not.' if negated else ''}{op}({','.join(test.text for test in tests)})", holds)


def conditions_of(table: str) -> st.SearchStrategy[Condition]:
    numbers = [name for name in TABLES[table][0] if isinstance(TABLES[table][0][name], int)]
    plain = st.builds(
        compared, st.sampled_from(numbers), st.sampled_from(sorted(OPERATORS)), st.integers(0, 9), st.booleans()
    )
    trees = st.builds(joint, st.sampled_from(["and", "or"]), st.booleans(), st.lists(plain, min_size=1, max_size=3))
    return st.one_of(plain, trees)


@st.composite
def reads(draw: st.DrawFn, table: str, depth: int = 2) -> Read:
    names = sorted(TABLES[table][0])
    embeds = []
    for name, to_one, _ in WAYS[table] if depth else []:
        kind = draw(st.sampled_from(["none", "plain", "inner", "spread"]))
        if kind != "none":
            embeds.append((name, kind, to_one, draw(reads(name, depth - 1))))
    return Read(
        table,
        tuple(draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))),
        tuple(draw(st.lists(conditions_of(table), max_size=2))),
        draw(st.booleans()),
        draw(st.none() | st.integers(0, 4)),
        tuple(embeds),
    )


@pytest.fixture(scope="module")
def novels(filled: Library) -> Library:
    add_novels(filled)
    filled.sql("TRUNCATE writers, novels, shelves, novel_shelf")
    for table, rows in TABLES.items():
        values = ",".join("(" + ",".join(literal(value) for value in row.values()) + ")" for row in rows)
        filled.sql(f"INSERT INTO {table} ({','.join(rows[0])}) VALUES {values}")
    return filled


def literal(value: Any) -> str:
    return "NULL" if value is None else f"'{value}'"


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(read=st.sampled_from(["writers", "novels", "shelves"]).flatmap(reads))
def test_any_read_gives_what_the_model_gives(novels: Library, read: Read) -> None:
    response = novels.service.get(f"/{read.table}", params=[("select", read.select()), *read.parameters()])
    assert response.status_code == 200, response.text
    # The last of two equal keys is what JSON readers keep.
    assert response.json() == [dict(made) for made in read.of(TABLES[read.table])]
