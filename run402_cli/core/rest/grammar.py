"""The small parsers that PostgREST's grammar is made of. Pure: raises RestError (PGRST100) only."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, TypeVar

from run402_cli.core.rest.errors import RestError, parse_error
from run402_cli.core.rest.nodes import Column, Condition, Embed, Field, Filter, Item, Logic, Order, Star, Step

T = TypeVar("T")

MODIFIABLE = frozenset({"eq", "gt", "gte", "lt", "lte", "like", "ilike", "match", "imatch"})
CONTAINMENT = frozenset({"cs", "cd", "ov", "sl", "sr", "nxr", "nxl", "adj"})
TEXT_SEARCH = frozenset({"fts", "plfts", "phfts", "wfts"})
OPERATORS = MODIFIABLE | CONTAINMENT | TEXT_SEARCH | {"neq", "isdistinct", "in", "is"}
IS_VALUES = frozenset({"null", "not_null", "true", "false", "unknown"})
AGGREGATES = frozenset({"count", "sum", "avg", "min", "max"})

_LANGUAGE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_CAST = re.compile(r"[A-Za-z_][A-Za-z0-9_ ]*(\[\])?")
# A key of a JSON object, as it may stand without quotes; it ends where an arrow begins.
_KEY = re.compile(r"[^(\-:.,>)]+(?:-[^(\-:.,>)]+)*")
_LOGIC = re.compile(r"(not\.)?(and|or) *(?=\()")
_MAX_DEPTH = 24
_MAX_STEPS = 50


class Scanner:
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

    def key(self) -> str:
        """A key of a JSON object: quoted, or anything but what ends it."""
        if self.peek() == '"':
            return self.quoted()
        found = _KEY.match(self.text, self.position)
        if found is None or not found[0].strip():
            raise self.error("an index, or a key without any of ( ) . , : > (else in double quotes)")
        self.position = found.end()
        return found[0].strip()

    def spaces(self) -> None:
        while self.eat(" "):
            pass

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
            elif self.peek() == "-":
                raise self.error("digits of an index, and the end of the key after them")
            else:
                found.append(Step(self.key(), as_text))
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
        self.spaces()
        if self.eat("...") or self.eat(".."):
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
        start = self.position
        self.spaces()
        if self.eat(")"):
            return ()
        self.position = start
        values = self.separated(self.listed_value, ",")
        self.expect(")")
        return tuple(values)

    def listed_value(self) -> str:
        """Blanks around a quoted value are no part of it."""
        start = self.position
        self.spaces()
        if self.peek() == '"':
            try:
                value = self.quoted()
            except RestError:
                pass
            else:
                self.spaces()
                if self.peek() in (",", ")"):
                    return value
        self.position = start
        return self.nested_value()

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
        self.spaces()
        if logic := _LOGIC.match(self.text, self.position):
            self.position = logic.end()
            found: Condition = self.logic("and" if logic[2] == "and" else "or", logic[1] is not None, depth + 1)
        else:
            field = self.field()
            self.expect(".")
            found = self.operation(field, nested=True)
        self.spaces()
        return found

    def operation(self, field: Field, *, nested: bool) -> Filter:
        """`[not.]op[(modifier)].value`; nested values end at a comma or a closing parenthesis."""
        negated = self.eat("not.")
        op = self.word()
        if op not in OPERATORS:
            self.position -= len(op)
            raise self.error("an operator such as eq, gt, like, in, is or not.eq")
        modifier: Literal["any", "all"] | None = None
        language = None
        if op in MODIFIABLE and self.eat("("):
            word = self.word()
            if word not in ("any", "all"):
                raise self.error("any or all")
            modifier = "any" if word == "any" else "all"
            self.expect(")")
        elif op in TEXT_SEARCH and self.eat("("):
            language = self.name()
            if not _LANGUAGE.fullmatch(language):
                # A number or a name with a schema would be looked up outside of the project.
                raise self.error("the name of a text search configuration, such as english", at=self.position)
            self.expect(")")
        self.expect(".")
        value: str | tuple[str, ...]
        if op == "in":
            value = self.value_list()
            if not nested:
                self.end("the end after the list")
        else:
            value = self.nested_value() if nested else self.rest()
            if op == "is":
                value = value.lower()
                if value not in IS_VALUES:
                    raise self.error("null, not_null, true, false or unknown", at=self.position - len(value))
        return Filter(field, op, value, negated=negated, modifier=modifier, language=language)
