"""The database of an archive into a new project: definitions, rows, sequences, definitions again.

All of it on a connection that logged in as the owner of the new project, who owns nothing else: what an archive brings
runs with the rights of its project, now and later. See docs/archives.md, "What an import runs".
"""

from __future__ import annotations

import asyncio
import itertools
import re
import secrets
from typing import Any, Final

import psycopg
from psycopg import sql

from run402_cli.core.archives.contents import Contents, Sequence, TableData, refused
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.sql.lexer import Lines, SqlTextError, Token, statements
from run402_cli.core.sql.meaning import of_project, only_own
from run402_cli.core.sql.shared import EXTENSIONS, SharedNameError, install, prepare, search_path

PLACEHOLDER: Final = "run402_project_schema"
PRE_DATA: Final = "database/pre-data.sql"
POST_DATA: Final = "database/post-data.sql"
STATEMENT_TIMEOUT: Final = "600s"
_FILE_FUNCTIONS: Final = re.compile(
    r"pg_(?:read|write|ls|stat)_.*|lo_(?:import|export)|pg_execute_server_program|dblink.*"
)
_TRANSACTION_WORDS: Final = (
    *("begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release", "discard", "load", "listen"),
)
_COLUMNS = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a
WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum
"""


def check_scripts(contents: Contents) -> None:
    """422 DATABASE_EXTENSION_UNSUPPORTED or DATABASE_SCHEMA_UNSAFE for an archive's SQL. Runs nothing."""
    check_script(contents.pre_data, PRE_DATA)
    check_script(contents.post_data, POST_DATA)


def check_script(script: str, path: str) -> None:
    """422 DATABASE_EXTENSION_UNSUPPORTED or DATABASE_SCHEMA_UNSAFE for SQL that no project may run. Runs nothing."""
    if "\0" in script:
        raise _unsafe(path, "a NUL character", 1)
    try:
        found = statements(script)
    except SqlTextError as exc:
        raise _unsafe(path, f"text that cannot be read ({exc})", 1) from exc
    lines = Lines(script)
    for tokens in found:
        line = lines.at(tokens[0].start)
        if tokens[0].is_word("create") and len(tokens) > 1 and tokens[1].is_word("extension"):
            name = next((t.text for t in tokens[2:] if t.is_name and not t.is_word("if", "not", "exists")), "?")
            if name not in (*EXTENSIONS, "plpgsql"):
                raise _no_extension(f"{path}, line {line}", name, path=path, line=line)
        problem = _problem(tokens)
        if problem:
            raise _unsafe(path, problem, line)
    try:
        prepare(script)
    except SharedNameError as exc:
        raise _unsafe(path, exc.what.replace("it names ", ""), exc.line) from exc


def _no_extension(where: str, name: str, **details: Any) -> GatewayError:
    return refused(
        "DATABASE_EXTENSION_UNSUPPORTED",
        f"{where} needs the extension {name}, which this gateway does not install. It has: {', '.join(EXTENSIONS)}.",
        extension=name,
        **details,
    )


async def install_extensions(conn: Connection, contents: Contents) -> None:
    """Those that the archive's SQL asks for and `check_scripts` let pass, on a connection of the gateway."""
    for name in (await asyncio.to_thread(prepare, contents.pre_data)).extensions:
        try:
            await install(conn, (name,))
        except SharedNameError as exc:
            raise _no_extension("The archive", name) from exc


def _problem(tokens: list[Token]) -> str | None:
    first, words = tokens[0], [token.text if token.kind == "word" else "" for token in tokens]
    if first.is_punct("\\"):
        return "a psql command"
    if first.is_word("copy", *_TRANSACTION_WORDS):
        return words[0].upper()
    pairs = set(itertools.pairwise(words))
    if ("alter", "system") in pairs:
        return "ALTER SYSTEM"
    if first.is_word("set", "reset") and any(word in ("role", "authorization") for word in words[1:4]):
        return "a change of role"
    if (
        first.is_word("create", "alter", "drop")
        and len(words) > 1
        and words[1] in ("role", "user", "group", "database")
    ):
        return f"{words[0].upper()} {words[1].upper()}"
    named = next((t.text for t in tokens if t.is_name and _FILE_FUNCTIONS.fullmatch(t.text.lower())), None)
    return f"the function {named}" if named else None


def _unsafe(path: str, what: str, line: int) -> GatewayError:
    return refused(
        "DATABASE_SCHEMA_UNSAFE",
        f"{path}, line {line} contains {what}, which an archive may not run. Nothing was imported.",
        path=path,
        line=line,
    )


async def load_database(conn: Connection, slot: str, contents: Contents) -> int:
    """Fill an empty schema with what `check_scripts` has passed, inside the caller's transaction; the number of rows.

    `conn` logged in as the schema's owner, who is nobody else's.
    """
    for name, value in (
        ("statement_timeout", STATEMENT_TIMEOUT),
        ("check_function_bodies", "off"),
        ("lock_timeout", "10s"),
    ):
        await conn.execute(f"SET LOCAL {name} = '{value}'".encode())
    await _run(conn, slot, contents.pre_data, PRE_DATA)
    rows = 0
    for table in contents.tables:
        rows += await _load_table(conn, slot, contents, table)
    for sequence in contents.sequences:
        await _set_sequence(conn, slot, sequence)
    await _run(conn, slot, contents.post_data, POST_DATA)
    await conn.execute("RESET ALL")
    return rows


async def _run(conn: Connection, slot: str, script: str, path: str) -> None:
    text = (await asyncio.to_thread(prepare, script)).text.replace(PLACEHOLDER, slot)
    try:
        async with conn.transaction(), of_project(conn, search_path(slot)):
            if text.strip():
                await conn.execute(text.encode(), prepare=False)
            await conn.execute("SET CONSTRAINTS ALL IMMEDIATE")
    except psycopg.Error as exc:
        raise sql_refusal(exc, path, script) from exc


async def _load_table(conn: Connection, slot: str, contents: Contents, table: TableData) -> int:
    """COPY into a table of plain texts, then insert from there: types of the project are written otherwise elsewhere."""
    target = sql.Identifier(slot, table.name)
    await only_own(conn)
    cur = await conn.execute(_COLUMNS, (target.as_string(conn),))
    types = {row[0]: row[1] for row in await cur.fetchall()}
    columns = table.columns or tuple(types)
    missing = [column for column in columns if column not in types]
    if not types or missing:
        what = f"has no column {missing[0]}" if types else f"was not made by {PRE_DATA}"
        raise refused("IMPORT_CONFORMANCE_FAILED", f"The table {table.name} {what}.", table=table.name)
    stage = sql.Identifier("pg_temp", f"run402_rows_{secrets.token_hex(8)}")
    fields = sql.SQL(", ").join(sql.Identifier(column) for column in columns)
    texts = sql.SQL(", ").join(sql.SQL("{} pg_catalog.text").format(sql.Identifier(column)) for column in columns)
    values = sql.SQL(", ").join(
        sql.SQL("CAST({} AS {})").format(sql.Identifier(column), sql.SQL(types[column])) for column in columns
    )
    await conn.execute(sql.SQL("CREATE TEMPORARY TABLE {} ({}) ON COMMIT DROP").format(stage, texts))
    try:
        count = await _copy(conn, stage, fields, contents, table)
    except psycopg.Error as exc:
        raise sql_refusal(exc, table.entry.path, "") from exc
    if count != table.row_count:
        raise refused(
            "IMPORT_CONFORMANCE_FAILED",
            f"{table.entry.path} has {count} rows, and the archive announces {table.row_count}.",
            table=table.name,
            expected=table.row_count,
            actual=count,
        )
    insert = sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {}").format(
        target, fields, values, stage
    )
    await _run(conn, slot, insert.as_string(conn), table.entry.path)
    await conn.execute(sql.SQL("DROP TABLE {}").format(stage))
    return count


async def _copy(
    conn: Connection, stage: sql.Identifier, fields: sql.Composable, contents: Contents, table: TableData
) -> int:
    cursor = conn.cursor()
    async with conn.transaction(), cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(stage, fields)) as copy:
        for chunk in contents.archive.chunks(table.entry):
            await copy.write(bytes(chunk))
    return cursor.rowcount


async def _set_sequence(conn: Connection, slot: str, sequence: Sequence) -> None:
    name = sql.Identifier(slot, sequence.name)
    try:
        async with conn.transaction():
            await conn.execute(
                "SELECT pg_catalog.setval(%s::pg_catalog.regclass, %s, %s)",
                (name.as_string(conn), sequence.value, sequence.is_called),
            )
    except psycopg.Error as exc:
        raise refused(
            "DATABASE_SEQUENCE_RESTORE_FAILED",
            f"The sequence {sequence.name} could not be set to {sequence.value}: {exc.diag.message_primary}.",
            sequence=sequence.name,
        ) from exc


def sql_refusal(exc: psycopg.Error, path: str, script: str) -> GatewayError:
    """PostgreSQL's refusal of a part of an archive, with its words and the line."""
    state, diag = exc.sqlstate or "", exc.diag
    if state[:2] in ("08", "57", "53", "40") or not state:
        raise exc
    code = "IMPORT_CONFORMANCE_FAILED"
    if state in ("42501", "0A000"):
        code = "DATABASE_SCHEMA_UNSAFE"
    elif state == "42704" and "role" in (diag.message_primary or ""):
        code = "DATABASE_RLS_IMPORT_UNSUPPORTED"
    details: dict[str, Any] = {"path": path, "sqlstate": state, "postgres_message": diag.message_primary}
    if diag.statement_position and script:
        details["line"] = script.count("\n", 0, int(diag.statement_position) - 1) + 1
    where = f", line {details['line']}" if "line" in details else ""
    return refused(code, f"PostgreSQL refuses {path}{where}: {diag.message_primary}. Nothing was imported.", **details)
