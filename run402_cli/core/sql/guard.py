"""Which admin SQL is refused with a hint: the boundary is the role that it runs as. Pure. See docs/local-gateway.md.

Works on tokens, so that a word in a comment, a string or a quoted identifier never counts as a keyword.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from run402_cli.core.sql.lexer import Token, lex


@dataclass(frozen=True, slots=True)
class Blocked:
    """What was found, and what to do instead."""

    statement: str
    hint: str


_EXPOSE_HINT = "Tables are opened to anon and signed-in users by an expose manifest: run402 projects apply-expose."
_SCHEMA_HINT = "A project has one schema, which is already on the search path: create tables without a schema name."
_PATH_HINT = "The search path is fixed to the project's schema: use unqualified names."
_ROLE_HINT = "SQL runs with every right in the project's schema. Test what users see over /rest/v1 with a dev token."

# Sequences of words that are refused wherever they stand in a statement.
_SEQUENCES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("alter", "system"), "Server settings are fixed; use SET LOCAL for settings of one transaction."),
    (("set", "search_path"), _PATH_HINT),
    (("set", "local", "search_path"), _PATH_HINT),
    (("set", "session", "search_path"), _PATH_HINT),
    (("set", "schema"), _PATH_HINT),
    (("set", "role"), _ROLE_HINT),
    (("set", "local", "role"), _ROLE_HINT),
    (("set", "session", "role"), _ROLE_HINT),
    (("set", "session", "authorization"), _ROLE_HINT),
    (("set", "local", "session", "authorization"), _ROLE_HINT),
    (("reset", "role"), _ROLE_HINT),
    (("reset", "session", "authorization"), _ROLE_HINT),
    (("create", "schema"), _SCHEMA_HINT),
    (("drop", "schema"), "To remove everything, delete the project: run402 projects delete --confirm"),
    (("alter", "schema"), _SCHEMA_HINT),
    (("grant",), _EXPOSE_HINT),
    (("revoke",), _EXPOSE_HINT),
    (("create", "role"), _EXPOSE_HINT),
    (("drop", "role"), _EXPOSE_HINT),
)
# Refused only where a statement begins: these words are common as column names.
_BEGINNINGS: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("copy",),
        "COPY reads and writes files of the server: use INSERT, COPY ... FROM stdin with the rows in the lines after it, or "
        "send a file of rows: run402 projects rest <table> --method POST --body-file rows.json --key-type service.",
    ),
    (("create", "user"), _EXPOSE_HINT),
    (("create", "group"), _EXPOSE_HINT),
    (("drop", "user"), _EXPOSE_HINT),
    (("drop", "group"), _EXPOSE_HINT),
    (("alter", "role"), _ROLE_HINT),
    (("alter", "user"), _ROLE_HINT),
    (("alter", "group"), _ROLE_HINT),
    (("drop", "owned"), _SCHEMA_HINT),
    (("reassign", "owned"), _SCHEMA_HINT),
    (("create", "database"), _SCHEMA_HINT),
    (("alter", "database"), _SCHEMA_HINT),
    (("drop", "database"), _SCHEMA_HINT),
    (("prepare", "transaction"), "It would keep its locks after everybody has gone: end the transaction with COMMIT."),
    (("load",), "Server libraries cannot be loaded here."),
    (("create", "event", "trigger"), "Event triggers act on all projects: use a trigger on the table."),
)
# By their first word, in the order of the table.
_BY_WORD: dict[str, list[tuple[tuple[str, ...], str]]] = {}
for _sequence, _hint in _SEQUENCES:
    _BY_WORD.setdefault(_sequence[0], []).append((_sequence, _hint))
MOST_TOKENS = 2_000_000
_DATA_STATEMENTS = frozenset({"insert", "update", "merge", "with", "explain", "prepare"})
_RESERVED_SCHEMA = re.compile(r"internal|postgrest|auth|(?:project|snapshot)_[0-9a-f]{16}")


class StatementTooLong(ValueError):
    """A statement has more words, values and signs than are kept at once: each takes some 200 bytes."""


def statements(text: str) -> Iterator[list[Token]]:
    """The tokens of each non-empty statement. Cut at every `;`: no parenthesis or body keeps one together."""
    current: list[Token] = []
    for token in lex(text, lenient=True):
        if token.is_punct(";"):
            if current:
                yield current
            current = []
        else:
            current.append(token)
            if len(current) > MOST_TOKENS:
                raise StatementTooLong(f"A statement has more than {MOST_TOKENS:,} words, values and signs.")
    if current:
        yield current


def find_blocked(text: str) -> Blocked | None:
    """The first thing in the text that admin SQL may not do, or None."""
    try:
        for statement in statements(text):
            found = _blocked_words(statement) or _blocked_schema(statement)
            if found is not None:
                return found
    except StatementTooLong:
        return Blocked(
            f"A statement of more than {MOST_TOKENS:,} words, values and signs",
            "Make several of it, or send the rows over REST: "
            "run402 projects rest <table> --method POST --body-file rows.csv --key-type service",
        )
    return None


def _blocked_words(statement: list[Token]) -> Blocked | None:
    words = tuple(token.text if token.kind == "word" else "" for token in statement)
    for sequence, hint in _BEGINNINGS:
        # With its rows in the text, which script.py has seen.
        copies = sequence == ("copy",) and "stdin" in words and "program" not in words
        if words[: len(sequence)] == sequence and not copies:
            return Blocked(" ".join(sequence).upper(), hint)
    for start, word in enumerate(words):
        if word not in _BY_WORD:
            continue
        # `UPDATE members SET role = ...` is about a column, and so is anything after a dot.
        if (word == "set" and words[0] in _DATA_STATEMENTS) or (start and statement[start - 1].is_punct(".")):
            continue
        for sequence, hint in _BY_WORD[word]:
            if words[start : start + len(sequence)] == sequence:
                return Blocked(" ".join(sequence).upper(), hint)
    return None


def _blocked_schema(statement: list[Token]) -> Blocked | None:
    for before, token, after in zip([None, *statement], statement, statement[1:], strict=False):
        if not (token.is_name and after.is_punct(".")):
            continue
        if (before is not None and before.is_punct(".")) or not _RESERVED_SCHEMA.fullmatch(token.text):
            continue
        hint = _PATH_HINT
        if token.text == "auth":
            hint = "The functions of auth are on the search path: write uid(), role(), jwt_claim('email')."
        return Blocked(f"{token.text}.", hint)
    return None
