"""A parsed query over a known schema, turned into one parameterized SELECT. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg.sql import SQL, Composable

from run402_cli.core.rest.errors import RestError
from run402_cli.core.rest.level import Level
from run402_cli.core.rest.nodes import Window
from run402_cli.core.rest.statement import Source, Statement, at


@dataclass(frozen=True, slots=True)
class Read:
    """`rows` is the wanted window; `all_rows` the same without window; `counted` gives as many rows, at less cost.

    `counted` does not mention every parameter: it can only stand in a statement beside `rows`.
    """

    rows: Composable
    all_rows: Composable
    counted: Composable


class ReadCompiler(Statement):
    """Compiles one query."""

    def read(self, source: Source, window: Window, *, filtered: bool = True) -> Read:
        """`filtered` is False after a write: its filters chose the rows already."""
        level = Level(self, source, self.query.select, (), self.alias(source.name), filtered)
        body, tail = level.body(), level.tail()
        self._refuse_unused_paths()
        rows = SQL(" ").join([body, *tail, *self.window(window)])
        return Read(rows, SQL(" ").join([body, *tail]), level.counted())

    def _refuse_unused_paths(self) -> None:
        entries = (*self.query.filters, *self.query.orders, *self.query.windows)
        for path, _ in entries:
            if not any(at(path, where) for where in self.visited):
                raise RestError(
                    400,
                    "PGRST108",
                    f"'{'.'.join(path)}' is not an embedded resource in this request",
                    hint=f"Embed it: add '{path[-1]}(*)' to select. A column name with a dot goes in double quotes.",
                )
