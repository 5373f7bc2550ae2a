"""SQL text as a dump of psql has it: the rows of `COPY ... FROM stdin` stand in it, and lines for psql itself. Pure.

`\\restrict` and `\\unrestrict`, which pg_dump writes, are left out; any other command of psql is refused. What is read of a
text elsewhere is `Script.sql`, without the rows and with the same lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from run402_cli.core.sql.lexer import Token, lex
from run402_cli.core.sql.shared import SharedNameError, prepare

BOM: Final = "\ufeff"
# What is sent of the rows at a time, in characters.
_PART: Final = 64 * 1024
_LINE: Final = re.compile(r"[^\n]*")
_HARMLESS: Final = re.compile(r"\\(?:un)?restrict\b[^\n]*")
_END: Final = re.compile(r"\\\.\r?(?:\n|\Z)")
_DUMP: Final = (
    "Remove the line. Dumps have none but \\restrict when made without --create: pg_dump --no-owner --no-privileges."
)


class Rows(NamedTuple):
    """Where the rows of a COPY stand in the text."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Piece:
    """SQL that is sent in one go, with its place in the text and its first line; the last statement takes `rows`."""

    sql: str
    start: int
    line: int
    rows: Rows | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """A text in the pieces that are run one after the other, and the extensions that it asks for."""

    text: str
    pieces: tuple[Piece, ...]
    extensions: tuple[str, ...] = ()

    @property
    def sql(self) -> str:
        """The text without rows; a line has the number that it has there."""
        if len(self.pieces) == 1 and self.pieces[0].rows is None:
            return self.pieces[0].sql
        parts, line = [], 1
        for piece in self.pieces:
            parts += ["\n" * (piece.line - line), piece.sql]
            line = piece.line + piece.sql.count("\n")
        return "".join(parts)

    def blanked(self, index: int, start: int, end: int) -> Script:
        """With blanks in place of a part of a piece."""
        piece = self.pieces[index]
        sql = piece.sql[:start] + " " * (end - start) + piece.sql[end:]
        return replace(self, pieces=(*self.pieces[:index], replace(piece, sql=sql), *self.pieces[index + 1 :]))

    def parts(self, rows: Rows) -> Iterator[bytes]:
        """The rows as they are sent."""
        for at in range(rows.start, rows.end, _PART):
            yield self.text[at : min(rows.end, at + _PART)].encode()


def read(text: str) -> Script:
    """SharedNameError for a command of psql, and for a COPY from stdin whose rows are not there."""
    if "\\" not in text and "stdin" not in text.lower():
        return Script(text, (Piece(text, 0, 1),))
    pieces: list[Piece] = []
    begin = at = 0
    line = 1
    left_out: list[tuple[int, int]] = []

    def add(end: int, rows: Rows | None) -> None:
        sql, place = [], begin
        for start, stop in left_out:
            sql += [text[place:start], " " * (stop - start)]
            place = stop
        pieces.append(Piece("".join([*sql, text[place:end]]), begin, line, rows))
        left_out.clear()

    while (token := _next_of_psql(text, at)) is not None:
        if token.text == "\\":
            at = _harmless(text, token)
            left_out.append((token.start, at))
            continue
        rows, at = _rows(text, token)
        add(token.end, rows)
        line += text.count("\n", begin, at)
        begin = at
    add(len(text), None)
    return Script(text, tuple(pieces))


def prepared(script: Script) -> Script:
    """With what shared.py makes of each piece. SharedNameError for what it refuses."""
    pieces, extensions = [], list[str]()
    for piece in script.pieces:
        try:
            found = prepare(piece.sql)
        except SharedNameError as exc:
            raise SharedNameError(exc.what, exc.hint, exc.line + piece.line - 1) from exc
        pieces.append(replace(piece, sql=found.text))
        extensions += found.extensions
    return Script(script.text, tuple(pieces), tuple(dict.fromkeys(extensions)))


def _next_of_psql(text: str, at: int) -> Token | None:
    """The backslash of a command, or the end of a `COPY ... FROM stdin`."""
    first: Token | None = None
    stdin = False
    for token in lex(text, lenient=True, start=at):
        if token.is_punct("\\"):
            return token
        if token.is_punct(";"):
            if stdin and first is not None and first.is_word("copy"):
                return token
            first, stdin = None, False
            continue
        first = first or token
        stdin = stdin or token.is_word("stdin")
    if stdin and first is not None and first.is_word("copy"):
        raise _without_rows(_line(text, first.start))
    return None


def _harmless(text: str, token: Token) -> int:
    """The end of the line of a command that says nothing to a server."""
    found = _HARMLESS.match(text, token.start)
    if found is not None and not text[text.rfind("\n", 0, token.start) + 1 : token.start].strip():
        return found.end()
    match = _LINE.match(text, token.start)
    shown = (match.group() if match else "\\").strip()[:40]
    raise SharedNameError(f"it contains {shown}, a command of the program psql", _DUMP, _line(text, token.start))


def _rows(text: str, semicolon: Token) -> tuple[Rows, int]:
    """The rows that begin on the next line, and what comes after the line that ends them."""
    found = text.find("\n", semicolon.end)
    begin = found + 1
    if found < 0 or text[semicolon.end : found].strip():
        raise _without_rows(_line(text, semicolon.start))
    end = begin
    while (last := _END.match(text, end)) is None:
        end = text.find("\n\\.", end) + 1
        if not end:
            raise _without_rows(_line(text, semicolon.start))
    return Rows(begin, end), last.end()


def _without_rows(line: int) -> SharedNameError:
    return SharedNameError(
        "COPY from stdin has no rows",
        "They stand in the lines after its `;`, and a line of nothing but `\\.` ends them.",
        line,
    )


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
