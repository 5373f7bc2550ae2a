"""How the rows of an embedded resource are joined to the level above it, and under which keys they are shown. Pure.

Every way is a lateral join that has the column `pgrst_v`, which is NULL where there is no row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from psycopg.sql import SQL, Composable, Identifier

from run402_cli.core.rest.fields import cast
from run402_cli.core.rest.nodes import Field
from run402_cli.core.rest.statement import raw


@dataclass(frozen=True, slots=True)
class Output:
    """One key of a level's rows. `name` None stands for all columns; `value` None for the row itself, which is counted.

    `field` is the column of the level that it shows, if it shows one as it is. `value` is what comes before `aggregate`,
    which may have to wait for a level further out. `group` is what to group by where that is not the value.
    """

    name: str | None
    value: Composable | None
    field: Field | None = None
    aggregate: str | None = None
    aggregate_cast: str | None = None
    is_json: bool = False
    group: Composable | None = None

    def shown(self, *, grouped: bool) -> Composable:
        value = self.value
        if value is None:
            value = SQL("{}(*)").format(raw(str(self.aggregate)))
        elif self.aggregate:
            value = SQL("{}({})").format(raw(self.aggregate), value)
        elif grouped and self.is_json and self.group is None:
            # GROUP BY needs equality, which json lacks and jsonb has.
            value = SQL("CAST({} AS jsonb)").format(value)
        value = cast(value, self.aggregate_cast)
        return value if self.name is None else SQL("{} AS {}").format(value, Identifier(self.name))


def raw_columns(outputs: Sequence[Output]) -> Composable:
    """What a spread passes on: values under names that no key can collide with, aggregates still to be made of them."""
    values = (SQL("1") if output.value is None else output.value for output in outputs)
    numbered = [SQL("{} AS {}").format(value, _number(n)) for n, value in enumerate(values)]
    return SQL(", ").join([SQL("TRUE AS pgrst_v"), *numbered])


def lifted(outputs: Sequence[Output], lateral: str, *, collected: bool) -> list[Output]:
    """The outputs of a spread as those of the level around it; `collected` when they are arrays."""
    found = []
    for n, output in enumerate(outputs):
        value = SQL("{}.{}").format(Identifier(lateral), _number(n))
        found.append(replace(output, value=value, field=None, group=None, is_json=output.is_json or collected))
    return found


def _number(n: int) -> Identifier:
    return Identifier(f"pgrst_{n}")


def object_rows(rows: Composable) -> Composable:
    return SQL("(SELECT row_to_json(pgrst_x.*) AS pgrst_v FROM ({}) AS pgrst_x)").format(rows)


def array_rows(rows: Composable) -> Composable:
    return SQL("(SELECT json_agg(pgrst_x.*) AS pgrst_v FROM ({}) AS pgrst_x)").format(rows)


def spread_arrays(rows: Composable, outputs: Sequence[Output]) -> Composable:
    """One row with an array for each column: all are collected from the same rows in the same order."""
    arrays = (
        SQL("COALESCE(json_agg(pgrst_x.{}), '[]') AS {}").format(_number(n), _number(n)) for n in range(len(outputs))
    )
    columns = SQL(", ").join([SQL("NULLIF(count(*), 0) AS pgrst_v"), *arrays])
    return SQL("(SELECT {} FROM ({}) AS pgrst_x)").format(columns, rows)


def lateral_join(rows: Composable, lateral: str, *, inner: bool, presence: bool) -> Composable:
    """`presence` when the join gives a row also where nothing was found."""
    join = SQL("INNER JOIN LATERAL") if inner else SQL("LEFT JOIN LATERAL")
    on = SQL("{} IS NOT NULL").format(Identifier(lateral, "pgrst_v")) if inner and presence else SQL("TRUE")
    return SQL("{} {} AS {} ON {}").format(join, rows, Identifier(lateral), on)
