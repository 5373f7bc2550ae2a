"""Type names and argument lists in one spelling, so that `(user_id UUID)`, `(uuid)` and the catalog's answer compare equal.

Pure. See docs/expose.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from run402_cli.core.sql.lexer import SqlTextError, Token, split_commas, tokenize

_ALIASES = {
    "int": "integer",
    "int4": "integer",
    "int2": "smallint",
    "int8": "bigint",
    "serial": "integer",
    "serial4": "integer",
    "smallserial": "smallint",
    "serial2": "smallint",
    "bigserial": "bigint",
    "serial8": "bigint",
    "bool": "boolean",
    "float4": "real",
    "float8": "double precision",
    "float": "double precision",
    "decimal": "numeric",
    "dec": "numeric",
    "varchar": "character varying",
    "char varying": "character varying",
    "char": "character",
    "bpchar": "character",
    "nchar": "character",
    "timestamptz": "timestamp with time zone",
    "timestamp": "timestamp without time zone",
    "timetz": "time with time zone",
    "time": "time without time zone",
    "varbit": "bit varying",
}
_MODES = ("in", "inout", "variadic")


@dataclass(frozen=True, slots=True)
class Signature:
    """The input arguments of a function: types in the spelling of `type_name`, and names (None where there is none)."""

    types: tuple[str, ...]
    names: tuple[str | None, ...] = ()

    def __str__(self) -> str:
        names = self.names or (None,) * len(self.types)
        return "(" + ", ".join(f"{n} {t}" if n else t for n, t in zip(names, self.types, strict=True)) + ")"


def type_name(tokens: Sequence[Token]) -> str:
    """One spelling for a type: PostgreSQL's long name, no length or precision, `[]` once for any array, no schema."""
    words: list[str] = []
    array = False
    depth = 0
    for token in tokens:
        if token.kind == "punct" and token.text in "()":
            depth += 1 if token.text == "(" else -1
        elif depth:
            continue
        elif token.is_punct("[") or (token.is_word("array") and words):
            array = True
        elif token.is_punct("."):
            words.clear()
        elif token.is_name:
            words.append(token.text)
    name = " ".join(words).removeprefix("setof ")
    name = _ALIASES.get(name, name)
    return name + "[]" if array else name


def arguments(tokens: Sequence[Token]) -> Signature:
    """The argument list of a CREATE FUNCTION (the tokens between its parentheses); OUT and TABLE columns are left out."""
    types: list[str] = []
    names: list[str | None] = []
    for item in split_commas(tokens):
        argument = _without_mode_and_default(item)
        if argument is None:
            continue
        name, type_tokens = _name_and_type(argument)
        types.append(type_name(type_tokens))
        names.append(name)
    return Signature(tuple(types), tuple(names))


def _without_mode_and_default(item: Sequence[Token]) -> list[Token] | None:
    if item[0].is_word("out") and len(item) > 1:
        return None
    tokens = list(item[1:]) if item[0].is_word(*_MODES) and len(item) > 1 else list(item)
    for index, token in enumerate(tokens):
        if index and (token.is_word("default") or token.is_punct("=") or token.is_punct(":")):
            return tokens[:index]
    return tokens


def _name_and_type(tokens: Sequence[Token]) -> tuple[str | None, Sequence[Token]]:
    """`user_id uuid` -> the name and the rest; `uuid` or `double precision` -> no name."""
    if len(tokens) < 2 or not tokens[0].is_name or not tokens[1].is_name:
        return None, tokens
    if tokens[0].kind == "word" and _starts_long_type(tokens):
        return None, tokens
    return tokens[0].text, tokens[1:]


def _starts_long_type(tokens: Sequence[Token]) -> bool:
    pair = (tokens[0].text, tokens[1].text)
    return pair in {
        ("double", "precision"),
        ("character", "varying"),
        ("char", "varying"),
        ("national", "character"),
        ("bit", "varying"),
        ("timestamp", "with"),
        ("timestamp", "without"),
        ("time", "with"),
        ("time", "without"),
        ("integer", "array"),
        ("text", "array"),
        ("int", "array"),
    } or (pair[0] == "interval" and pair[1] in ("year", "month", "day", "hour", "minute", "second"))


def parse(text: str) -> Signature:
    """A manifest's `signature`, e.g. `(uuid)`, `(user_id uuid, n int default 1)`, `()`. SqlTextError when it is none."""
    tokens = tokenize(text)
    if len(tokens) < 2 or not tokens[0].is_punct("(") or not tokens[-1].is_punct(")"):
        raise SqlTextError("a signature is an argument list in parentheses, `()` for none")
    depth = 0
    for token in tokens[:-1]:
        depth += token.is_punct("(") - token.is_punct(")")
        if token.is_punct(";") or depth < 1:
            raise SqlTextError("a signature is one argument list and nothing else")
    if depth != 1:
        raise SqlTextError("the parentheses of the signature do not pair up")
    return arguments(tokens[1:-1])


def matching(wanted: Signature, candidates: Sequence[Signature]) -> list[Signature]:
    """The functions that the signature fits: by types; when it has no types, by argument names alone, as in `(user_id)`."""
    by_type = [c for c in candidates if c.types == wanted.types]
    if by_type:
        return by_type
    if wanted.types and all(name is None for name in wanted.names):
        return [c for c in candidates if tuple(c.names) == wanted.types]
    return []
