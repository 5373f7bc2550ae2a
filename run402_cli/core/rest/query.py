"""The query string grammar of PostgREST, parsed into `nodes`. Pure: raises RestError (PGRST100, PGRST103) only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

from run402_cli.core.rest.errors import RestError, parse_error
from run402_cli.core.rest.grammar import OPERATORS, Scanner
from run402_cli.core.rest.nodes import (
    Condition,
    Field,
    Filter,
    Item,
    Logic,
    Order,
    Path,
    Query,
    Star,
    Window,
)

_OPERATION = re.compile(rf"(not\.)?({'|'.join(sorted(OPERATORS, key=len, reverse=True))})(\([^()]*\))?\.")
_RESERVED = frozenset({"select", "order", "limit", "offset", "columns", "on_conflict", "and", "or"})
_INTEGER = re.compile(r"-?[0-9]{1,18}")
_MAX_SIZE = 1000


def parse_pairs(raw: bytes) -> list[tuple[str, str]]:
    """Percent-decode a query string. 400 PGRST100 when it is not UTF-8 or has a NUL, which PostgreSQL cannot hold."""
    pairs = []
    for part in raw.split(b"&"):
        if not part:
            continue
        name, _, value = part.partition(b"=")
        pairs.append((_decode(name), _decode(value)))
    return pairs


def _decode(raw: bytes) -> str:
    try:
        text = unquote_to_bytes(raw.replace(b"+", b" ")).decode()
    except UnicodeDecodeError as exc:
        raise RestError(
            400, "PGRST100", "The query string is not valid UTF-8.", hint="Percent-encode text as UTF-8, é as %C3%A9."
        ) from exc
    if "\0" in text:
        raise RestError(400, "PGRST100", "The query string has a NUL character, which PostgreSQL text cannot hold.")
    return text


def parse_query(
    pairs: Sequence[tuple[str, str]],
    *,
    arguments: frozenset[str] | None = None,
    result_columns: frozenset[str] = frozenset(),
) -> Query:
    """Parse decoded pairs.

    `arguments` is given for functions called by GET: their parameter names. There a pair is an argument unless its
    value reads as an operation; a value that does both is a filter only when the result has such a column.
    """
    builder = _Builder()
    for key, value in pairs:
        if arguments is not None and _is_argument(key, value, arguments, result_columns):
            builder.arguments.append((key, value))
        else:
            builder.add(key, value)
    query = builder.build()
    if query.size > _MAX_SIZE:
        raise RestError(
            400,
            "PGRST100",
            f"The query string has {query.size} parts: columns, filters, terms of order and names. {_MAX_SIZE} is the most.",
            hint="Ask for less at a time. Many values of one column are one filter: id=in.(1,2,3).",
        )
    return query


def _is_argument(key: str, value: str, arguments: frozenset[str], result_columns: frozenset[str]) -> bool:
    if key in arguments:
        return not (_OPERATION.match(value) and key in result_columns)
    if key in _RESERVED or "." in key or "->" in key:
        return False
    return not _OPERATION.match(value)


class _Builder:
    def __init__(self) -> None:
        self.select: tuple[Item, ...] = (Star(),)
        self.filters: list[tuple[Path, Condition]] = []
        self.orders: list[tuple[Path, tuple[Order, ...]]] = []
        self.limits: dict[Path, int] = {}
        self.offsets: dict[Path, int] = {}
        self.columns: tuple[str, ...] | None = None
        self.on_conflict: tuple[str, ...] | None = None
        self.arguments: list[tuple[str, str]] = []

    def add(self, key: str, value: str) -> None:
        if key == "select":
            self.select = parse_select(value)
        elif key == "columns":
            self.columns = _parse_names("columns", value)
        elif key == "on_conflict":
            self.on_conflict = _parse_names("on_conflict", value)
        else:
            self._add_at_path(key, value)

    def _add_at_path(self, key: str, value: str) -> None:
        scanner = Scanner("a query parameter's name", key)
        names = scanner.separated(scanner.name, ".")
        steps = scanner.steps()
        scanner.end("the end of the name")
        path, last = tuple(names[:-1]), names[-1]
        quoted = bool(steps) or key.endswith('"')
        if quoted or last not in ("order", "limit", "offset", "and", "or"):
            condition = Scanner(f"the filter on {key[:80]}", value).operation(Field(last, steps), nested=False)
            self.filters.append((path, condition))
        elif last == "order":
            self.orders.append((path, parse_order(value)))
        elif last in ("and", "or"):
            negated = bool(path) and path[-1] == "not"
            where = path[:-1] if negated else path
            self.filters.append((where, parse_logic(last, value, negated=negated)))
        else:
            (self.limits if last == "limit" else self.offsets)[path] = _parse_count(last, value)

    def build(self) -> Query:
        paths = dict.fromkeys([*self.limits, *self.offsets])
        return Query(
            select=self.select,
            filters=tuple(self.filters),
            orders=tuple(self.orders),
            windows=tuple((path, Window(self.offsets.get(path, 0), self.limits.get(path))) for path in paths),
            columns=self.columns,
            on_conflict=self.on_conflict,
            arguments=tuple(self.arguments),
        )


def parse_select(text: str) -> tuple[Item, ...]:
    scanner = Scanner("select", text)
    if not text.strip():
        return (Star(),)
    items = scanner.items(0)
    # PostgREST ignores what comes after a closing parenthesis that is the last of them.
    if not text[: scanner.position].endswith(")"):
        scanner.end("a comma or the end")
    return items


def parse_order(text: str) -> tuple[Order, ...]:
    scanner = Scanner("order", text)
    if not text.strip():
        return ()
    terms = scanner.separated(scanner.order_term, ",")
    scanner.end("a comma or the end")
    return tuple(terms)


def parse_logic(op: str, text: str, *, negated: bool = False) -> Logic:
    scanner = Scanner(op, text)
    return scanner.logic("and" if op == "and" else "or", negated, 0)


def parse_filter(name: str, text: str) -> Filter:
    """`name=text` as one filter on a plain column."""
    return Scanner(f"the filter on {name[:80]}", text).operation(Field(name), nested=False)


def _parse_names(where: str, text: str) -> tuple[str, ...]:
    scanner = Scanner(where, text)
    if not text.strip() and where != "columns":
        return ()
    names = scanner.separated(scanner.name, ",")
    scanner.end("a comma or the end")
    return tuple(dict.fromkeys(names))


def _parse_count(where: str, text: str) -> int:
    if not _INTEGER.fullmatch(text.strip()):
        raise parse_error(where, text, 0, "a whole number")
    number = int(text)
    if number < 0 and where == "offset":
        return 0
    if number < 0:
        raise RestError(
            416,
            "PGRST103",
            "Requested range not satisfiable",
            details=f"{where} is {number}: it must be 0 or more.",
        )
    return number
