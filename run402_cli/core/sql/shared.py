"""What a project's SQL says about things that all projects share: the schema `public`, and extensions.

`public.` is refused before anything runs. An extension of the list is installed by the gateway, once for all projects, in
the schema `extensions`, which is on every project's search path: the project's own role may not, and the extension has to
outlive the project. See docs/local-gateway.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import psycopg
from psycopg import sql

from run402_cli import suggest
from run402_cli.core.db import Connection
from run402_cli.core.projects import lock_rows
from run402_cli.core.sql.lexer import SqlTextError, Token, each_statement

# Trusted by PostgreSQL itself (a user who may create objects may install them), and they reach nothing outside.
EXTENSIONS: Final = (
    *("btree_gin", "btree_gist", "citext", "cube", "dict_int", "fuzzystrmatch", "hstore", "intarray", "isn", "ltree"),
    *("pg_trgm", "pgcrypto", "seg", "tablefunc", "unaccent", "uuid-ossp", "vector"),
)
SCHEMA: Final = "extensions"
# What the names of a project's SQL mean after its own schema. Temporary tables come last: where they are not named they come
# first, and whoever makes one would stand in for a table that a function of the owner means.
SHARED_PATH: Final = f"auth, {SCHEMA}, pg_temp"


def search_path(slot: str) -> str:
    """The search path of everything that runs for a project, as PostgreSQL takes it."""
    return f"{sql.Identifier(slot).as_string(None)}, {SHARED_PATH}"


# pg_dump writes this because it names the schema of all things; here names without one mean the project's.
_WITHOUT_PATH: Final = [
    *("select", "pg_catalog", ".", "set_config", "("),
    *("'search_path'", ",", "''", ",", "false", ")"),
]


class SharedNameError(ValueError):
    """What the text names, and what to write instead."""

    def __init__(self, what: str, hint: str, line: int) -> None:
        super().__init__(f"{what} (line {line})")
        self.what, self.hint, self.line = what, hint, line


@dataclass(frozen=True, slots=True)
class Prepared:
    """The text without its CREATE EXTENSION statements and what pg_dump does to the search path (blanked, so positions
    stay), and the extensions that they name.
    """

    text: str
    extensions: tuple[str, ...] = ()


def prepare(text: str) -> Prepared:
    """SharedNameError for `public.` and for an extension that is not on the list. What cannot be read is as it was."""
    lowered = text.lower()
    if not any(word in lowered for word in ("public", "extension", "prepare", "set_config")):
        return Prepared(text)
    names: list[str] = []
    blanked: list[tuple[int, int]] = []
    refused: SharedNameError | None = None
    try:
        # To its end: a text that cannot be read is refused nothing.
        for tokens in each_statement(text, repeats=False):
            if refused is not None:
                continue
            words = [token.text if token.kind == "word" else "" for token in tokens[:3]]
            try:
                _refuse_public(text, tokens)
                if words[:2] == ["prepare", "transaction"]:
                    raise SharedNameError(
                        "it prepares a transaction, which would keep its locks after everybody has gone",
                        "End the transaction with COMMIT.",
                        _line(text, tokens[0]),
                    )
                if words[:2] == ["create", "extension"]:
                    names.append(_extension(text, tokens))
            except SharedNameError as exc:
                refused = exc
            without_path = [token.text for token in tokens] == _WITHOUT_PATH
            if without_path or words[:2] == ["create", "extension"] or words == ["comment", "on", "extension"]:
                blanked.append((tokens[0].start, tokens[-1].end))
    except SqlTextError:
        return Prepared(text)
    if refused is not None:
        raise refused
    return Prepared(_blanked(text, blanked), tuple(name for name in dict.fromkeys(names) if name != "plpgsql"))


def _blanked(text: str, places: list[tuple[int, int]]) -> str:
    parts, at = [], 0
    for start, end in places:
        parts += [text[at:start], re.sub(r"\S", " ", text[start:end])]
        at = end
    return "".join([*parts, text[at:]])


def _line(text: str, token: Token) -> int:
    """Of an error: to count all lines before every statement would take as long as their number squared."""
    return text.count("\n", 0, token.start) + 1


def _refuse_public(text: str, tokens: list[Token]) -> None:
    path = tokens[0].is_word("set") and any(token.is_word("search_path", "schema") for token in tokens[1:3])
    for i, token in enumerate(tokens):
        if not (token.is_name or (path and token.kind == "string")) or token.text.strip("'") != "public":
            continue
        qualifies = i + 1 < len(tokens) and tokens[i + 1].is_punct(".") and not (i and tokens[i - 1].is_punct("."))
        if qualifies or path:
            hint = "Drop the prefix `public.`" if qualifies else "Remove the statement"
            raise SharedNameError(
                "it names the schema public, which belongs to no project",
                f"{hint}: a project has one schema, and names without a prefix mean it. In a dump: sed 's/public[.]//g'",
                _line(text, token),
            )


def _extension(text: str, tokens: list[Token]) -> str:
    rest = tokens[2:]
    if len(rest) > 3 and rest[0].is_word("if"):
        rest = rest[3:]
    name = rest[0].text if rest and rest[0].is_name else "?"
    if name not in (*EXTENSIONS, "plpgsql"):
        near = suggest.did_you_mean(suggest.closest(name, EXTENSIONS))
        meant = f"{near.strip()} " if near else ""
        raise SharedNameError(
            f"it asks for the extension {name}, which this gateway does not install",
            f"{meant}There are: {', '.join(EXTENSIONS)}. gen_random_uuid() and full-text search need none.",
            _line(text, tokens[0]),
        )
    return name


async def install(conn: Connection, names: tuple[str, ...]) -> None:
    """Install extensions that are not there yet, on a connection of the gateway. SharedNameError when PostgreSQL has none."""
    for name in names:
        try:
            async with conn.transaction():
                # One after the other: PostgreSQL refuses the second of two at once.
                await lock_rows.take(conn, "extensions")
                await conn.execute(
                    sql.SQL("CREATE EXTENSION IF NOT EXISTS {} SCHEMA {} CASCADE").format(
                        sql.Identifier(name), sql.Identifier(SCHEMA)
                    )
                )
        except psycopg.errors.DatabaseError as exc:
            if conn.closed or exc.sqlstate is None:
                raise
            raise SharedNameError(
                f"it asks for the extension {name}, which this PostgreSQL cannot install: {exc.diag.message_primary}",
                "Do without it, or start the gateway on a PostgreSQL that has it: "
                "run402 core start --database-url <url>",
                1,
            ) from exc


async def installed(conn: Connection) -> list[str]:
    """The extensions that projects can use."""
    query = (
        "SELECT e.extname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE n.nspname = %s"
        " ORDER BY e.extname"
    )
    return [row[0] for row in await (await conn.execute(query, (SCHEMA,))).fetchall()]
