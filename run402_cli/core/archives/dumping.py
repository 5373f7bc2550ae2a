"""The database of a project out of the gateway: portable definitions and COPY text. See docs/archives.md."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from psycopg import sql

from run402_cli.core.archives.loading import PLACEHOLDER
from run402_cli.core.copies.schemas import casts, dump, hold_tables
from run402_cli.core.db import Connection
from run402_cli.core.gateway import Gateway
from run402_cli.core.projects.rows import Project
from run402_cli.core.sql.lexer import Token, statements
from run402_cli.core.sql.meaning import alone, as_written, of_project
from run402_cli.core.sql.shared import SCHEMA as SHARED
from run402_cli.core.sql.shared import installed

_TABLES = """
SELECT c.oid, c.relname,
  (SELECT json_agg(json_build_array(a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull) ORDER BY a.attnum)
   FROM pg_attribute a
   WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''),
  (SELECT array_agg(a.attname::text ORDER BY k.position)
   FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(attnum, position)
   JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
   WHERE i.indrelid = c.oid AND i.indisprimary)
FROM pg_class c WHERE c.relnamespace = to_regnamespace(quote_ident(%s)) AND c.relkind = 'r' ORDER BY c.relname
"""
_SEQUENCES = """
SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident(%s)) AND relkind = 'S' ORDER BY relname
"""
_PLAIN_NAME: Final = re.compile(r"[a-z0-9_][a-z0-9_-]{0,62}")
_SCHEMA_VERBS: Final = ("create", "alter", "comment", "grant", "revoke")


@dataclass(frozen=True, slots=True)
class DumpedTable:
    """One table: its entry of database/tables.json, and the file with its rows."""

    entry: dict[str, Any]
    file: Path


@dataclass(frozen=True, slots=True)
class DumpedDatabase:
    """Everything below `database/` of an archive."""

    pre_data: str
    post_data: str
    tables: list[DumpedTable]
    sequences: list[dict[str, Any]]

    @property
    def rows(self) -> int:
        return sum(table.entry["row_count"] for table in self.tables)


async def dump_database(
    gateway: Gateway, conn: Connection, project: Project, snapshot: str, folder: Path
) -> DumpedDatabase:
    """Write the rows of every table below `folder`. `conn` logged in as the schema's owner.

    Call inside `copying`, which names `snapshot`.

    503 database_busy while somebody changes the tables, 409 schema_not_copyable with PostgreSQL's words.
    """
    slot = project.schema_slot
    await hold_tables(conn, slot)
    dumped = await dump(gateway, project.roles, slot, snapshot, "pre-data")
    pre_data = await asyncio.to_thread(portable, dumped, slot)
    if f"{SHARED}." in pre_data:
        wanted = [
            sql.SQL("CREATE EXTENSION IF NOT EXISTS {};\n").format(sql.Identifier(n)) for n in await installed(conn)
        ]
        pre_data = sql.Composed(wanted).as_string() + "\n" + pre_data
    dumped = await dump(gateway, project.roles, slot, snapshot, "post-data")
    post_data = await asyncio.to_thread(portable, dumped + await casts(conn, slot), slot)
    # Row-level security must never leave rows out in silence: without it such a table is an error.
    await conn.execute("SET LOCAL row_security = off")
    found = await as_written(conn, alone(slot), _TABLES, (slot,))
    names = await (await conn.execute(_SEQUENCES, (slot,))).fetchall()
    sequences = []
    for (name,) in names:
        cur = await conn.execute(sql.SQL("SELECT last_value, is_called FROM {}").format(sql.Identifier(slot, name)))
        value: Any = await cur.fetchone()
        sequences.append({"schema": "public", "name": name, "value": str(value[0]), "is_called": value[1]})
    # Rows are printed as the project sees them: names in them have no schema.
    async with of_project(conn, alone(slot)):
        tables = [await _table(conn, slot, folder, number, table) for number, table in enumerate(found, 1)]
    return DumpedDatabase(pre_data, post_data, tables, sequences)


async def _table(conn: Connection, slot: str, folder: Path, number: int, found: Any) -> DumpedTable:
    _oid, name, columns, key = found
    columns = columns or []
    table_id = name if _PLAIN_NAME.fullmatch(name) else f"table-{number}"
    file = folder / f"{number}.copy"
    order = sql.SQL(", ").join(sql.Identifier(column) for column in key) if key else sql.SQL('t::text COLLATE "C"')
    query = sql.SQL("COPY (SELECT {} FROM ONLY {} AS t ORDER BY {}) TO STDOUT").format(
        sql.SQL(", ").join(sql.Identifier("t", column) for column, _, _ in columns), sql.Identifier(slot, name), order
    )
    cursor = conn.cursor()
    with file.open("wb") as handle:
        async with cursor.copy(query) as copy:
            async for data in copy:
                handle.write(data)
    entry: dict[str, Any] = {
        "id": table_id,
        "schema": "public",
        "name": name,
        "copy_path": f"database/data/{table_id}.copy",
        "row_count": cursor.rowcount,
        "deterministic_order": True,
        **({"order_by": key} if key else {}),
        "columns": [{"name": column, "type": kind, "nullable": nullable} for column, kind, nullable in columns],
    }
    return DumpedTable(entry, file)


def portable(script: str, slot: str) -> str:
    """pg_dump's script without what belongs to this server: session settings, the schema, its name, default privileges."""
    kept = [script[tokens[0].start : tokens[-1].end] for tokens in _own_statements(script, slot)]
    if not kept:
        return ""
    text = ";\n\n".join(["SET check_function_bodies = false", *kept]) + ";\n"
    name = re.escape(slot)
    text = re.sub(rf'(?<![\w$])(?:{name}|"{name}")\.', "", text)
    return re.sub(rf"(?<![\w$]){name}(?![\w$])", PLACEHOLDER, text)


def _own_statements(script: str, slot: str) -> Iterator[list[Token]]:
    for tokens in statements(script):
        words = [token.text if token.kind == "word" else "" for token in tokens]
        head = tuple(words[:2])
        setting = words[0] == "set" or (words[0] == "select" and "set_config" in words[:4])
        about_schema = words[0] in _SCHEMA_VERBS and _names_schema(tokens, slot)
        if not (setting or about_schema or head == ("alter", "default")):
            yield tokens


def _names_schema(tokens: list[Token], slot: str) -> bool:
    """Is this CREATE SCHEMA x, COMMENT ON SCHEMA x, GRANT ... ON SCHEMA x?"""
    for first, second in itertools.pairwise(tokens):
        if first.is_word("schema") and second.is_name and second.text == slot:
            return True
    return False
