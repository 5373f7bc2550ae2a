"""SQL cut into tokens and statements, tolerant of comments, every kind of quote and `BEGIN ATOMIC` bodies.

Pure and never executed: used to read what a migration creates and to hold `custom_sql` and `filter` to their one purpose.
See docs/expose.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

Kind = Literal["word", "quoted", "string", "number", "param", "punct"]


class SqlTextError(ValueError):
    """The text ends inside a quote or a comment, or its parentheses do not pair up."""


class Token(NamedTuple):
    """`text` is lower case for an unquoted word, unescaped for a quoted identifier, raw otherwise."""

    kind: Kind
    text: str
    start: int
    end: int

    def is_word(self, *words: str) -> bool:
        return self.kind == "word" and self.text in words

    def is_punct(self, text: str) -> bool:
        return self.kind == "punct" and self.text == text

    @property
    def is_name(self) -> bool:
        return self.kind in ("word", "quoted")


_BLANK = re.compile(r"(?:[ \t\r\n\f\v]+|--[^\r\n]*)+")
# One match for what nearly all of a long script consists of. A word that touches a quote may be a string's prefix.
_PLAIN = re.compile(
    r"""(?P<word>[^\W\d][\w$]*+(?!['&]))|(?P<number>\d[\w.]*|\.\d[\w.]*)|(?P<punct>[(),;=<>.:\[\]*+])"""
)
_COMMENT_MARK = re.compile(r"/\*|\*/")
_WORD = re.compile(r"[^\W\d][\w$]*")
_DOLLAR_TAG = re.compile(r"\$(?:[^\W\d]\w*)?\$")
_PARAM = re.compile(r"\$\d+")
_QUOTED = re.compile(r'"((?:[^"]|"")*)"')
_STRING = re.compile(r"'(?:[^']|'')*'")
_ESCAPE_STRING = re.compile(r"'(?:[^'\\]|''|\\.)*'", re.S)


def tokenize(sql: str) -> list[Token]:
    """Tokens without white space and comments. SqlTextError when a quote or a comment is never closed."""
    return list(_tokens(sql))


def _tokens(sql: str) -> Iterator[Token]:
    at = 0
    while at < len(sql):
        if plain := _PLAIN.match(sql, at):
            kind: Kind = plain.lastgroup  # type: ignore[assignment]
            text = plain.group()
            yield Token(kind, text.lower() if kind == "word" else text, at, plain.end())
            at = plain.end()
        elif blank := _BLANK.match(sql, at):
            at = blank.end()
        elif sql.startswith("/*", at):
            at = _block_comment_end(sql, at)
        else:
            token = _token_at(sql, at)
            yield token
            at = token.end


def _block_comment_end(sql: str, start: int) -> int:
    depth, at = 0, start
    for match in _COMMENT_MARK.finditer(sql, start):
        depth += 1 if match.group() == "/*" else -1
        at = match.end()
        if depth == 0:
            return at
    raise SqlTextError("a /* comment is never closed")


def _token_at(sql: str, at: int) -> Token:
    char = sql[at]
    if char == "'":
        return _closed(_STRING, sql, at, at, "string", "a '...' string is never closed")
    if char == '"':
        token = _closed(_QUOTED, sql, at, at, "quoted", 'a "..." identifier is never closed')
        return Token("quoted", token.text[1:-1].replace('""', '"'), at, token.end)
    if char == "$":
        if tag := _DOLLAR_TAG.match(sql, at):
            close = sql.find(tag.group(), tag.end())
            if close < 0:
                raise SqlTextError(f"a {tag.group()} body is never closed")
            end = close + len(tag.group())
            return Token("string", sql[at:end], at, end)
        if param := _PARAM.match(sql, at):
            return Token("param", param.group(), at, param.end())
    if word := _WORD.match(sql, at):
        return _word_or_prefixed(sql, at, word.end())
    return Token("punct", char, at, at + 1)


def _word_or_prefixed(sql: str, at: int, end: int) -> Token:
    """E'..', B'..', X'..', N'..' and U&'..' strings look like a word that touches a quote."""
    prefix = sql[at:end].lower()
    if prefix == "u" and sql[end : end + 2] in ("&'", '&"'):
        if sql[end + 1] == "'":
            return _closed(_STRING, sql, end + 1, at, "string", "a U&'...' string is never closed")
        raise SqlTextError('U&"..." identifiers are not read; write the character itself')
    if sql[end : end + 1] == "'" and prefix in ("e", "b", "x", "n"):
        pattern = _ESCAPE_STRING if prefix == "e" else _STRING
        return _closed(pattern, sql, end, at, "string", "a string is never closed")
    return Token("word", prefix, at, end)


def _closed(pattern: re.Pattern[str], sql: str, at: int, start: int, kind: Kind, problem: str) -> Token:
    match = pattern.match(sql, at)
    if match is None:
        raise SqlTextError(problem)
    return Token(kind, sql[start : match.end()], start, match.end())


def statements(sql: str) -> list[list[Token]]:
    """The text as statements, split at `;` outside parentheses and `BEGIN ATOMIC ... END` bodies; empty ones are left out."""
    found: list[list[Token]] = [[]]
    parens = blocks = 0
    before: Token | None = None
    for token in _tokens(sql):
        kind, text = token.kind, token.text
        if kind == "punct":
            if text == ";" and parens <= 0 and blocks == 0:
                found.append([])
                parens, before = 0, None
                continue
            parens += (text == "(") - (text == ")")
        elif kind == "word":
            if blocks:
                blocks += (text in ("case", "begin")) - (text == "end")
            elif text == "atomic" and before is not None and before.is_word("begin"):
                blocks = 1
        found[-1].append(token)
        before = token
    return [tokens for tokens in found if tokens]


def check_expression(sql: str) -> None:
    """SqlTextError unless the text can only be one expression when put between parentheses."""
    depth = 0
    tokens = tokenize(sql)
    if not tokens:
        raise SqlTextError("the condition is empty")
    for token in tokens:
        if token.is_punct(";"):
            raise SqlTextError("a condition cannot contain `;`")
        if token.kind == "param":
            raise SqlTextError(f"a condition cannot contain the parameter {token.text}")
        depth += token.is_punct("(") - token.is_punct(")")
        if depth < 0:
            raise SqlTextError("a `)` closes nothing")
    if depth:
        raise SqlTextError("a `(` is never closed")


def split_commas(tokens: Sequence[Token]) -> list[list[Token]]:
    """The tokens as items separated by commas outside parentheses and brackets."""
    items: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        depth += (token.text in "([" and token.kind == "punct") - (token.text in ")]" and token.kind == "punct")
        if token.is_punct(",") and depth == 0:
            items.append([])
        else:
            items[-1].append(token)
    return [item for item in items if item]


def in_parens(tokens: Sequence[Token], at: int) -> tuple[list[Token], int]:
    """The tokens inside the parentheses that open at index `at`, and the index after the closing one."""
    depth = 0
    for index in range(at, len(tokens)):
        depth += tokens[index].is_punct("(") - tokens[index].is_punct(")")
        if depth == 0:
            return list(tokens[at + 1 : index]), index + 1
    raise SqlTextError("a `(` is never closed")
