"""What a migration may not do while the release before it still serves: `database.zero_downtime`. Pure.

See docs/local-gateway.md, "Migrations without downtime".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from run402_cli.core.errors import GatewayError
from run402_cli.core.releases.migration_scripts import Migration
from run402_cli.core.sql.lexer import Lines, SqlTextError, Token, each_statement

Finding = tuple[str, int, str]


def refuse_downtime(pending: Iterable[tuple[Migration, str | None]]) -> None:
    """422 MIGRATION_NOT_ZERO_DOWNTIME when a pending migration locks out, or breaks, the release that is live."""
    found = [
        (migration.id, line, problem)
        for migration, text in pending
        if text is not None
        for line, problem in problems(text, transactional=migration.transactional)
    ]
    if not found:
        return
    first = f"{found[0][0]} line {found[0][1]} {found[0][2]}"
    raise GatewayError(
        422,
        "migration_not_zero_downtime",
        f"database.zero_downtime is on, and {first} ({len(found)} found). Split the change over two releases, or set "
        "zero_downtime to false for this one.",
        phase="plan",
        resource="database.migrations",
        details={"findings": [{"migration_id": m, "line": line, "problem": text} for m, line, text in found]},
        retryable=False,
    )


def problems(text: str, *, transactional: bool = True) -> list[tuple[int, str]]:
    """(line, problem) of every statement that readers or writers of the old release would notice."""
    try:
        found = list(each_statement(text, repeats=False))
    except SqlTextError:
        return []  # PostgreSQL reads it too, and says better what is wrong.
    new: set[str] = set()
    lines, result = Lines(text), []
    for tokens in found:
        words = _Words(tokens)
        if words.starts("create", "table") or words.starts("create", "unlogged", "table"):
            new.add(words.object_name("table"))
            continue
        problem = _problem(words, new, transactional)
        if problem is not None:
            result.append((lines.at(tokens[0].start), problem))
    return result


class _Words:
    """A statement as its words, with the questions that the rules ask."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens

    def starts(self, *words: str) -> bool:
        return len(self.tokens) >= len(words) and all(t.is_word(w) for t, w in zip(self.tokens, words, strict=False))

    def has(self, *words: str) -> bool:
        """The words, one right after the other, anywhere."""
        return any(
            all(t.is_word(w) for t, w in zip(self.tokens[at:], words, strict=False))
            for at in range(len(self.tokens) - len(words) + 1)
        )

    def object_name(self, after: str) -> str:
        """The name that follows a word and its IF [NOT] EXISTS or ONLY; without schema."""
        names = iter(self.tokens)
        for token in names:
            if token.is_word(after):
                break
        name = ""
        for token in names:
            if token.is_word("if", "not", "exists", "only", "concurrently"):
                continue
            if token.is_name:
                name = token.text
            elif not token.is_punct("."):
                break
            else:
                continue
            following = next(names, None)
            if following is None or not following.is_punct("."):
                break
        return name


def _problem(words: _Words, new: set[str], transactional: bool) -> str | None:
    if words.starts("truncate"):
        return "empties a table"
    if words.starts("lock"):
        return "locks a table"
    if words.starts("vacuum") and words.has("full"):
        return "rewrites a table under a full lock"
    if words.starts("cluster") or (words.starts("reindex") and not words.has("concurrently")):
        return "rewrites a table or index under a full lock"
    if words.starts("drop"):
        return _drop(words, new)
    if words.starts("create", "index") or words.starts("create", "unique", "index"):
        return _index(words, new, transactional)
    if words.starts("alter", "table"):
        return None if words.object_name("table") in new else next(_alter(words), None)
    if words.starts("alter") and words.has("rename"):
        return "renames what the live release uses"
    if words.starts("refresh", "materialized") and not words.has("concurrently"):
        return "locks a materialized view while it is refreshed (use CONCURRENTLY)"
    return None


def _drop(words: _Words, new: set[str]) -> str | None:
    for kind in ("table", "view", "column", "type", "function", "sequence", "schema"):
        if words.starts("drop", kind) or words.starts("drop", "materialized", kind):
            return None if words.object_name(kind) in new else f"drops a {kind} that the live release may use"
    return None


def _index(words: _Words, new: set[str], transactional: bool) -> str | None:
    if words.object_name("on") in new:
        return None
    if not words.has("concurrently"):
        return "builds an index under a lock that stops writers (use CREATE INDEX CONCURRENTLY, transaction none)"
    return "uses CONCURRENTLY inside a transaction (set its transaction to none)" if transactional else None


def _alter(words: _Words) -> Iterator[str]:
    if words.has("rename"):
        yield "renames what the live release uses"
    kept = ("constraint", "not", "default", "expression", "identity")
    if any(a.is_word("drop") and not b.is_word(*kept) for a, b in pairwise(words.tokens)):
        yield "drops a column that the live release may use"
    if words.has("type") and words.has("alter"):
        after_alter = [b for a, b in pairwise(words.tokens) if a.is_word("type") or a.is_word("data")]
        if after_alter:
            yield "changes the type of a column, which rewrites the table"
    if words.has("set", "not", "null"):
        yield "sets NOT NULL, which reads the whole table under a lock (add a CHECK ... NOT VALID, validate it later)"
    if words.has("set", "tablespace") or words.has("set", "unlogged") or words.has("set", "logged"):
        yield "rewrites the table"
    if words.has("add") and _adds_checked_constraint(words):
        yield "adds a constraint that reads the whole table under a lock (add it NOT VALID, validate it later)"
    plain_add = words.has("add") and not words.has("constraint") and not words.has("set")
    if plain_add and words.has("not", "null") and not words.has("default"):
        yield "adds a NOT NULL column without a default: inserts of the live release would fail"


def _adds_checked_constraint(words: _Words) -> bool:
    kinds = ("constraint", "check", "foreign", "unique", "primary", "exclude")
    adds = any(a.is_word("add") and b.is_word(*kinds) for a, b in pairwise(words.tokens))
    return adds and not words.has("not", "valid") and not words.has("using", "index")
