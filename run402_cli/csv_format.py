"""--format csv: the list of a result as CSV with a header line. docs/protocol/conventions.md, "CSV".

As `projects load` reads it: null is an empty cell, an empty text is `""`. Numbers have the digits that they came with, objects
and lists are JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from run402_cli import exact_json
from run402_cli.errors import CommandError

_QUOTED = re.compile(r'[",\r\n]|\A\s|\s\Z|\A\Z|\A\\\.\Z')


def texts(rows: Sequence[Any]) -> Iterator[str]:
    """The lines of rows that are all there: the columns are those of all of them."""
    objects = all(isinstance(row, dict) for row in rows)
    names = list(dict.fromkeys(name for row in rows for name in row)) if objects else ["value"]
    if names:
        yield line(names)
    for row in rows:
        yield line([row.get(name) for name in names] if objects else [row])


def streamed(rows: Iterable[Any], columns: Callable[[], list[str]]) -> Iterator[str]:
    """The lines of rows as they come: the first one has the columns. CommandError for one that has others.

    `columns` says them where no row came.
    """
    names: list[str] = []
    for row in rows:
        cells = row if isinstance(row, dict) else {"value": row}
        if not names:
            names = list(cells)
            yield line(names)
        elif not cells.keys() <= set(names):
            other = next(name for name in cells if name not in names)
            raise CommandError(
                f"A row has the column {other!r}, which the first one does not have: rows of CSV have the same columns.",
                code="ROWS_DIFFER",
                hint="Use --format jsonl, or name the columns in the query.",
                details={"column": other, "columns": names},
            )
        yield line([cells.get(name) for name in names])
    if not names and (names := columns()):
        yield line(names)


def line(cells: Iterable[Any]) -> str:
    return ",".join(map(_cell, cells))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else exact_json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text
