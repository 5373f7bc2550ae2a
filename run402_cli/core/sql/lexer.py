"""SQL cut into tokens and statements: comments, every kind of quote and `BEGIN ATOMIC` bodies as PostgreSQL reads them.

Pure and never executed: used to read what a migration creates, to hold `custom_sql` and `filter` to their one purpose,
and to refuse admin SQL. Strict unless told to be lenient. See docs/expose.md and docs/local-gateway.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

Kind = Literal["word", "quoted", "string", "number", "param", "punct", "rows", "blank"]


class SqlTextError(ValueError):
    """The text ends inside a quote or a comment, or its parentheses do not pair up."""


class Token(NamedTuple):
    """`text` is lower case for an unquoted word, unescaped for a quoted identifier, raw otherwise.

    `rows` are those of VALUES that consist of plain strings and numbers: a script of them is read ten times as fast.
    """

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
# For PostgreSQL a no-break space is a letter. A lenient reader takes it for a space, so that no word hides behind it.
_LENIENT_BLANK = re.compile(r"(?:\s+|--[^\r\n]*)+")
# One match for what nearly all of a long script consists of. A word that touches a quote may be a string's prefix.
_PLAIN = re.compile(
    r"""(?P<word>[^\W\d][\w$]*+(?!['&]))|(?P<number>\d[\w.]*|\.\d[\w.]*)|(?P<punct>[(),;=<>.:\[\]*+])"""
)
# A bounded number of rows, each of bounded length: nobody else is served during one match.
_VALUE = r"(?:'[^']{0,9999}+(?:''[^']{0,999}+){0,99}+'|[-+]?[0-9][0-9.]{0,99}+|null|true|false)"
_ROW = rf"\(\s*+{_VALUE}(?:\s*+,\s*+{_VALUE}){{0,199}}+\s*+\)"
_ROWS = re.compile(rf"\s*+,?\s*+{_ROW}(?:\s*+,\s*+{_ROW}){{0,99}}+", re.I)
_REPEATS = 1000
_COMMENT_MARK = re.compile(r"/\*|\*/")
_WORD = re.compile(r"[^\W\d][\w$]*")
_DOLLAR_TAG = re.compile(r"\$(?:[^\W\d]\w*)?\$")
_PARAM = re.compile(r"\$\d+")
# The group is the closing quote, empty where the text ends first.
_QUOTED = re.compile(r'"[^"]*+(?:""[^"]*+)*+("?)')
_STRING = re.compile(r"'[^']*+(?:''[^']*+)*+('?)")
_ESCAPE_STRING = re.compile(r"'[^'\\]*+(?:(?:''|\\.?)[^'\\]*+)*+('?)", re.S)


def tokenize(sql: str, *, lenient: bool = False) -> list[Token]:
    """Tokens without white space and comments. SqlTextError when a quote or a comment is never closed.

    `lenient` never raises: what is never closed goes on to the end of the text, and U&"..." is an identifier, undecoded.
    """
    return list(lex(sql, lenient=lenient))


def lex(sql: str, *, lenient: bool = False, blanks: bool = False, start: int = 0) -> Iterator[Token]:
    """Like `tokenize`, from a place on; with `blanks`, white space and comments too: then every character is in one token."""
    at, space = start, _LENIENT_BLANK if lenient else _BLANK
    while at < len(sql):
        if plain := _PLAIN.match(sql, at):
            kind: Kind = plain.lastgroup  # type: ignore[assignment]
            text = plain.group()
            at = plain.end()
            if kind != "word":
                yield Token(kind, text, plain.start(), at)
                continue
            text = text.lower()
            yield Token(kind, text, plain.start(), at)
            if text == "values":
                while rows := _ROWS.match(sql, at):
                    yield Token("rows", rows.group(), at, rows.end())
                    at = rows.end()
        elif blank := space.match(sql, at):
            at = blank.end()
            if blanks:
                yield Token("blank", blank.group(), blank.start(), at)
        else:
            token = _token_at(sql, at, lenient)
            at = token.end
            if blanks or token.kind != "blank":
                yield token


def _token_at(sql: str, at: int, lenient: bool) -> Token:
    char = sql[at]
    if char == "'":
        return _string(_STRING, sql, at, at, "a '...' string", lenient)
    if char == '"':
        return _identifier(sql, at, at, lenient)
    if sql.startswith("/*", at):
        end = _block_comment_end(sql, at, lenient)
        return Token("blank", sql[at:end], at, end)
    if char == "$":
        if tag := _DOLLAR_TAG.match(sql, at):
            return _dollar_quoted(sql, at, tag, lenient)
        if param := _PARAM.match(sql, at):
            return Token("param", param.group(), at, param.end())
    if word := _WORD.match(sql, at):
        return _word_or_prefixed(sql, at, word.end(), lenient)
    return Token("punct", char, at, at + 1)


def _block_comment_end(sql: str, start: int, lenient: bool) -> int:
    depth = 0
    for match in _COMMENT_MARK.finditer(sql, start):
        depth += 1 if match.group() == "/*" else -1
        if depth == 0:
            return match.end()
    return _unclosed(sql, "a /* comment", lenient)


def _dollar_quoted(sql: str, at: int, tag: re.Match[str], lenient: bool) -> Token:
    close = sql.find(tag.group(), tag.end())
    end = _unclosed(sql, f"a {tag.group()} body", lenient) if close < 0 else close + len(tag.group())
    return Token("string", sql[at:end], at, end)


def _word_or_prefixed(sql: str, at: int, end: int, lenient: bool) -> Token:
    """E'..', B'..', X'..', N'..', U&'..' and U&".." look like a word that touches a quote."""
    prefix = sql[at:end].lower()
    if prefix == "u" and sql.startswith("&'", end):
        return _string(_STRING, sql, at, end + 1, "a U&'...' string", lenient)
    if prefix == "u" and sql.startswith('&"', end):
        if not lenient:
            raise SqlTextError('U&"..." identifiers are not read; write the character itself')
        return _identifier(sql, at, end + 1, lenient)
    if prefix in ("e", "b", "x", "n") and sql.startswith("'", end):
        pattern = _ESCAPE_STRING if prefix == "e" else _STRING
        return _string(pattern, sql, at, end, "a string", lenient)
    return Token("word", prefix, at, end)


def _string(pattern: re.Pattern[str], sql: str, start: int, quote: int, what: str, lenient: bool) -> Token:
    end, _ = _quote_end(pattern, sql, quote, what, lenient)
    return Token("string", sql[start:end], start, end)


def _identifier(sql: str, start: int, quote: int, lenient: bool) -> Token:
    end, closed = _quote_end(_QUOTED, sql, quote, 'a "..." identifier', lenient)
    return Token("quoted", sql[quote + 1 : end - closed].replace('""', '"'), start, end)


def _quote_end(pattern: re.Pattern[str], sql: str, quote: int, what: str, lenient: bool) -> tuple[int, bool]:
    match = pattern.match(sql, quote)
    assert match is not None  # a quote opens there, and it may stay open
    closed = bool(match[1])
    return (match.end() if closed else _unclosed(sql, what, lenient)), closed


def _unclosed(sql: str, what: str, lenient: bool) -> int:
    if lenient:
        return len(sql)
    raise SqlTextError(f"{what} is never closed")


def statements(sql: str) -> list[list[Token]]:
    """The text as statements, split at `;` outside parentheses and `BEGIN ATOMIC ... END` bodies; empty ones are left out."""
    return list(each_statement(sql))


def each_statement(sql: str, *, repeats: bool = True) -> Iterator[list[Token]]:
    """Like `statements`, one after the other: a long text has more tokens than should be kept at once.

    Without `repeats` most statements that insert other plain rows, in the same words as the one before, are left out: they
    say nothing new, and a long script may consist of them.
    """
    current: list[Token] = []
    parens = blocks = at = 0
    before: Token | None = None
    while at < len(sql):
        for token in lex(sql, start=at):
            kind, text = token.kind, token.text
            if kind == "punct":
                if text == ";" and parens <= 0 and blocks == 0:
                    at = token.end
                    break
                parens += (text == "(") - (text == ")")
            elif kind == "word":
                if blocks:
                    blocks += (text in ("case", "begin")) - (text == "end")
                elif text == "atomic" and before is not None and before.is_word("begin"):
                    blocks = 1
            current.append(token)
            before = token
        else:
            at = len(sql)
        if current:
            yield current
            if not repeats and len(current) > 1 and current[-1].kind == "rows":
                at = _after_repeats(sql, sql[current[0].start : current[-2].end], at)
        current, parens, before = [], 0, None


def _after_repeats(sql: str, words: str, at: int) -> int:
    """The end of the statements from `at` on that are `words` and plain rows. Not of all: places in between are known."""
    for _ in range(_REPEATS):
        found = _BLANK.match(sql, at)
        begin = found.end() if found else at
        if not sql.startswith(words, begin):
            break
        rows = _ROWS.match(sql, begin + len(words))
        if rows is None or not sql.startswith(";", rows.end()):
            break
        at = rows.end() + 1
    return at


class Lines:
    """The lines of places in a text, asked for from its beginning to its end: what was counted is not counted again."""

    def __init__(self, text: str) -> None:
        self._text, self._at, self._line = text, 0, 1

    def at(self, position: int) -> int:
        self._line += self._text.count("\n", self._at, position)
        self._at = position
        return self._line


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
