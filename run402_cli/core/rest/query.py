"""The query string grammar of PostgREST, parsed into `nodes`. Pure: raises RestError (PGRST100, PGRST103) only."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar
from urllib.parse import unquote_to_bytes

from run402_cli.core.rest.errors import RestError, parse_error
from run402_cli.core.rest.nodes import (
    Column,
    Condition,
    Embed,
    Field,
    Filter,
    Item,
    Logic,
    Order,
    Path,
    Query,
    Star,
    Step,
    Window,
)

T = TypeVar("T")

MODIFIABLE = frozenset({"eq", "gt", "gte", "lt", "lte", "like", "ilike", "match", "imatch"})
CONTAINMENT = frozenset({"cs", "cd", "ov", "sl", "sr", "nxr", "nxl", "adj"})
TEXT_SEARCH = frozenset({"fts", "plfts", "phfts", "wfts"})
OPERATORS = MODIFIABLE | CONTAINMENT | TEXT_SEARCH | {"neq", "isdistinct", "in", "is"}
IS_VALUES = frozenset({"null", "not_null", "true", "false", "unknown"})
AGGREGATES = frozenset({"count", "sum", "avg", "min", "max"})

_OPERATION = re.compile(rf"(not\.)?({'|'.join(sorted(OPERATORS, key=len, reverse=True))})(\([^()]*\))?\.")
_RESERVED = frozenset({"select", "order", "limit", "offset", "columns", "on_conflict", "and", "or"})
_INTEGER = re.compile(r"-?[0-9]{1,18}")
_LANGUAGE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_CAST = re.compile(r"[A-Za-z_][A-Za-z0-9_ ]*(\[\])?")
_MAX_DEPTH = 24
_MAX_STEPS = 50
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
        scanner = _Scanner("a query parameter's name", key)
        names = scanner.separated(scanner.name, ".")
        steps = scanner.steps()
        scanner.end("the end of the name")
        path, last = tuple(names[:-1]), names[-1]
        quoted = bool(steps) or key.endswith('"')
        if quoted or last not in ("order", "limit", "offset", "and", "or"):
            condition = _parse_operation(_Scanner(f"the filter on {key[:80]}", value), Field(last, steps), nested=False)
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
    scanner = _Scanner("select", text)
    if not text.strip():
        return (Star(),)
    items = scanner.items(0)
    scanner.end("a comma or the end")
    return items


def parse_order(text: str) -> tuple[Order, ...]:
    scanner = _Scanner("order", text)
    if not text.strip():
        return ()
    terms = scanner.separated(scanner.order_term, ",")
    scanner.end("a comma or the end")
    return tuple(terms)


def parse_logic(op: str, text: str, *, negated: bool = False) -> Logic:
    scanner = _Scanner(op, text)
    tree = scanner.logic("and" if op == "and" else "or", negated, 0)
    scanner.end("the end after the closing parenthesis")
    return tree


def parse_filter(name: str, text: str) -> Filter:
    """`name=text` as one filter on a plain column."""
    return _parse_operation(_Scanner(f"the filter on {name[:80]}", text), Field(name), nested=False)


def _parse_names(where: str, text: str) -> tuple[str, ...]:
    scanner = _Scanner(where, text)
    if not text.strip():
        return ()
    names = scanner.separated(scanner.name, ",")
    scanner.end("a comma or the end")
    return tuple(dict.fromkeys(names))


def _parse_count(where: str, text: str) -> int:
    if not _INTEGER.fullmatch(text.strip()):
        raise parse_error(where, text, 0, "a whole number")
    number = int(text)
    if number < 0:
        raise RestError(
            416,
            "PGRST103",
            "Requested range not satisfiable",
            details=f"{where} is {number}: it must be 0 or more.",
        )
    return number


def _parse_operation(scanner: _Scanner, field: Field, *, nested: bool) -> Filter:
    """`[not.]op[(modifier)].value`; nested values end at a comma or a closing parenthesis."""
    negated = scanner.eat("not.")
    op = scanner.word()
    if op not in OPERATORS:
        scanner.position -= len(op)
        raise scanner.error("an operator such as eq, gt, like, in, is or not.eq")
    modifier: Literal["any", "all"] | None = None
    language = None
    if op in MODIFIABLE and scanner.eat("("):
        word = scanner.word()
        if word not in ("any", "all"):
            raise scanner.error("any or all")
        modifier = "any" if word == "any" else "all"
        scanner.expect(")")
    elif op in TEXT_SEARCH and scanner.eat("("):
        language = scanner.name()
        if not _LANGUAGE.fullmatch(language):
            # A number or a name with a schema would be looked up outside of the project.
            raise scanner.error("the name of a text search configuration, such as english", at=scanner.position)
        scanner.expect(")")
    scanner.expect(".")
    value: str | tuple[str, ...]
    if op == "in":
        value = scanner.value_list()
        if not nested:
            scanner.end("the end after the list")
    else:
        value = scanner.nested_value() if nested else scanner.rest()
        if op == "is":
            value = value.lower()
            if value not in IS_VALUES:
                raise scanner.error("null, not_null, true, false or unknown", at=scanner.position - len(value))
    return Filter(field, op, value, negated=negated, modifier=modifier, language=language)


class _Scanner:
    """A cursor over one text with the small parsers that the grammar is made of."""

    def __init__(self, where: str, text: str) -> None:
        self.where = where
        self.text = text
        self.position = 0

    def error(self, expected: str, at: int | None = None) -> RestError:
        return parse_error(self.where, self.text, self.position if at is None else at, expected)

    def peek(self, offset: int = 0) -> str:
        return self.text[self.position + offset : self.position + offset + 1]

    def eat(self, token: str) -> bool:
        if self.text.startswith(token, self.position):
            self.position += len(token)
            return True
        return False

    def expect(self, token: str) -> None:
        if not self.eat(token):
            raise self.error(f'"{token}"')

    def end(self, expected: str) -> None:
        if self.position != len(self.text):
            raise self.error(expected)

    def rest(self) -> str:
        value = self.text[self.position :]
        self.position = len(self.text)
        return value

    def separated(self, parse: Callable[[], T], separator: str) -> list[T]:
        found = [parse()]
        while self.eat(separator):
            found.append(parse())
        return found

    def word(self) -> str:
        start = self.position
        while self.peek() and "a" <= self.peek() <= "z":
            self.position += 1
        return self.text[start : self.position]

    def name(self) -> str:
        """A quoted name, or letters, digits, `_`, `$`, spaces and dashes that do not begin an arrow."""
        if self.peek() == '"':
            return self.quoted()
        start = self.position
        while True:
            char = self.peek()
            if not char or not (char.isalnum() or char in "_ $-") or (char == "-" and self.peek(1) == ">"):
                break
            self.position += 1
        found = self.text[start : self.position].strip()
        if not found:
            raise self.error("a name (letters, digits, _ or -; anything else in double quotes)")
        return found

    def quoted(self) -> str:
        """`"..."` where a backslash makes the next character literal."""
        start = self.position
        self.position += 1
        out = []
        while (char := self.peek()) != '"':
            if char == "\\":
                self.position += 1
                char = self.peek()
            if not char:
                raise self.error("a closing double quote", at=start)
            out.append(char)
            self.position += 1
        self.position += 1
        return "".join(out)

    def steps(self) -> tuple[Step, ...]:
        found = []
        while self.eat("->"):
            as_text = self.eat(">")
            index = re.compile(r"-?[0-9]{1,9}(?=$|->|::|[.,):])").match(self.text, self.position)
            if index:
                self.position = index.end()
                found.append(Step(int(index[0]), as_text))
            else:
                found.append(Step(self.name(), as_text))
            if len(found) > _MAX_STEPS:
                raise RestError(400, "PGRST100", f"{self.where} goes more than {_MAX_STEPS} steps into a JSON value.")
        return tuple(found)

    def field(self) -> Field:
        return Field(self.name(), self.steps())

    # select

    def items(self, depth: int) -> tuple[Item, ...]:
        if depth > _MAX_DEPTH:
            raise RestError(400, "PGRST100", f"select is nested more than {_MAX_DEPTH} levels deep.")
        return tuple(self.separated(lambda: self.item(depth), ","))

    def item(self, depth: int) -> Item:
        while self.eat(" "):
            pass
        if self.eat("..."):
            return self.embed(None, self.name(), depth, spread=True)
        if self.eat("*"):
            return Star()
        start = self.position
        alias: str | None = self.name()
        if self.peek() != ":" or self.peek(1) == ":":
            self.position, alias = start, None
        else:
            self.position += 1
        quoted = self.peek() == '"'
        name = self.name()
        if name == "count" and not quoted and self.eat("()"):
            return Column(None, alias, aggregate="count", aggregate_cast=self.cast())
        if self.peek() and self.peek() in "!(":
            return self.embed(alias, name, depth)
        field, cast = Field(name, self.steps()), self.cast()
        aggregate = self.aggregate()
        return Column(field, alias, cast, aggregate, self.cast() if aggregate else None)

    def cast(self) -> str | None:
        if not self.eat("::"):
            return None
        found = _CAST.match(self.text, self.position)
        if not found:
            raise self.error("a type name")
        self.position = found.end()
        return found[0].strip()

    def aggregate(self) -> str | None:
        if not self.eat("."):
            return None
        word = self.word()
        if word not in AGGREGATES:
            self.position -= len(word)
            raise self.error("count(), sum(), avg(), min() or max()")
        self.expect("()")
        return word

    def embed(self, alias: str | None, target: str, depth: int, *, spread: bool = False) -> Embed:
        hint, inner = None, False
        while self.eat("!"):
            word = self.name()
            if word == "inner":
                inner = True
            elif word != "left":
                hint = word
        self.expect("(")
        items: tuple[Item, ...] = ()
        if self.peek() != ")":
            items = self.items(depth + 1)
        self.expect(")")
        return Embed(target, items, alias, hint, inner, spread)

    # order

    def order_term(self) -> Order:
        name = self.name()
        relation = None
        if self.eat("("):
            relation, field = name, self.field()
            self.expect(")")
        else:
            field = Field(name, self.steps())
        descending = False
        nulls: Literal["first", "last"] | None = None
        if self.eat(".desc"):
            descending = True
        else:
            self.eat(".asc")
        if self.eat(".nullsfirst"):
            nulls = "first"
        elif self.eat(".nullslast"):
            nulls = "last"
        if self.peek() not in ("", ","):
            raise self.error("asc, desc, nullsfirst, nullslast or a comma")
        return Order(field, relation, descending, nulls)

    # filters

    def value_list(self) -> tuple[str, ...]:
        self.expect("(")
        if self.eat(")"):
            return ()
        values = self.separated(self.nested_value, ",")
        self.expect(")")
        return tuple(values)

    def nested_value(self) -> str:
        """A value inside parentheses: quoted, a `{...}` array literal, or plain up to a comma or parenthesis."""
        start = self.position
        if self.peek() == '"':
            try:
                value = self.quoted()
            except RestError:
                self.position = start
            else:
                if self.peek() in (",", ")", ""):
                    return value
                self.position = start
        if self.peek() == "{":
            close = self.text.find("}", start)
            if close > 0 and self.text[close + 1 : close + 2] in (",", ")", ""):
                self.position = close + 1
                return self.text[start : self.position]
        while self.peek() not in (",", ")", ""):
            self.position += 1
        return self.text[start : self.position]

    def logic(self, op: Literal["and", "or"], negated: bool, depth: int) -> Logic:
        if depth > _MAX_DEPTH:
            raise RestError(400, "PGRST100", f"and/or is nested more than {_MAX_DEPTH} levels deep.")
        self.expect("(")
        conditions = self.separated(lambda: self.condition(depth), ",")
        self.expect(")")
        return Logic(op, tuple(conditions), negated)

    def condition(self, depth: int) -> Condition:
        while self.eat(" "):
            pass
        for prefix, negated in (("not.", True), ("", False)):
            for op in ("and", "or"):
                if self.text.startswith(f"{prefix}{op}(", self.position):
                    self.position += len(prefix) + len(op)
                    return self.logic("and" if op == "and" else "or", negated, depth + 1)
        field = self.field()
        self.expect(".")
        return _parse_operation(self, field, nested=True)
