"""Migrations: SQL that runs once per project, each with the row that remembers it."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from run402_cli.core import expose
from run402_cli.core.content.store import ContentStore
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.projects.role_rows import name_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.sql.lexer import SqlTextError, Token, statements
from run402_cli.core.sql.shared import Prepared, SharedNameError, install, prepare, search_path

DDL = """
CREATE TABLE IF NOT EXISTS internal.core_applied_migrations (
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  migration_id text NOT NULL,
  checksum_hex text NOT NULL,
  state text NOT NULL DEFAULT 'applied' CHECK (state IN ('applied', 'running', 'failed')),
  applied_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, migration_id)
);
"""

# What the session of a migration is called in the server.
SESSION = "run402-migration"
_FORMER_LOOKS = 1200
_TRANSACTION_WORDS = ("begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release", "prepare")


@dataclass(frozen=True, slots=True)
class Migration:
    """One entry of database.migrations; exactly one of `sql` and `sql_sha256` (staged content) is set."""

    id: str
    checksum: str
    sql: str | None
    sql_sha256: str | None
    transactional: bool

    @classmethod
    def from_wire(cls, entry: Mapping[str, Any]) -> Migration:
        ref = entry.get("sql_ref")
        return cls(
            id=entry["id"],
            checksum=entry["checksum"],
            sql=entry.get("sql"),
            sql_sha256=ref["sha256"] if ref else None,
            transactional=entry.get("transaction") != "none",
        )

    def text(self, store: ContentStore) -> str | None:
        """The SQL, or None while its content is not staged. GatewayError when it is not what the checksum says."""
        if self.sql is not None:
            data = self.sql.encode()
        elif self.sql_sha256 is not None and store.size(self.sql_sha256) is not None:
            data = store.read(self.sql_sha256)
        else:
            return None
        actual = hashlib.sha256(data).hexdigest()
        if actual != self.checksum:
            raise _refusal(
                "migration_checksum_mismatch",
                f"Migration {self.id} declares checksum {self.checksum}, but its SQL hashes to {actual}. "
                "Remove `checksum` to have it computed, or restore the SQL.",
                self.id,
            )
        try:
            return data.decode()
        except UnicodeDecodeError as exc:
            raise _invalid_sql(self, f"its SQL is not UTF-8 (byte {exc.start})", "Save the file as UTF-8.") from exc


@dataclass(frozen=True, slots=True)
class Recorded:
    checksum: str
    state: str
    applied_at: datetime


async def recorded(conn: Connection, project_id: str) -> dict[str, Recorded]:
    """Migrations that the project knows, by id."""
    cur = await conn.execute(
        "SELECT migration_id, checksum_hex, state, applied_at FROM internal.core_applied_migrations"
        " WHERE project_id = %s ORDER BY applied_at, migration_id",
        (project_id,),
    )
    return {row[0]: Recorded(*row[1:]) for row in await cur.fetchall()}


def applied(known: Mapping[str, Recorded]) -> set[str]:
    """Ids of those whose work is in the database."""
    return {name for name, record in known.items() if record.state == "applied"}


def pending(migrations: Sequence[Migration], known: Mapping[str, Recorded]) -> list[Migration]:
    """Those that still have to run. 409 MIGRATION_CHECKSUM_MISMATCH when a known id comes with other SQL."""
    for migration in migrations:
        record = known.get(migration.id)
        if record and record.state == "applied" and record.checksum != migration.checksum:
            raise _refusal(
                "migration_checksum_conflict",
                f"Migration {migration.id} was applied with checksum {record.checksum} and now has "
                f"{migration.checksum}. Applied migrations cannot change: restore its SQL and put the change into a "
                "new migration (a new `id`, or `name` instead of `id` to have one made from the content).",
                migration.id,
            )
    return [m for m in migrations if m.id not in known or known[m.id].state != "applied"]


async def run(conn: Connection, project: Project, migration: Migration, sql: str, record: Recorded | None) -> None:
    """Run one migration. GatewayError 400 MIGRATION_FAILED with PostgreSQL's own words.

    `conn`, in autocommit, logged in as the owner of the project's schema and is closed afterwards. Transactional ones
    commit together with their row; for `transaction: none` the row says `running` first, so an interruption is noticed
    instead of repeated. docs/local-gateway.md
    """
    if "\0" in sql:
        raise _invalid_sql(migration, "its SQL contains a NUL character", "Remove it.")
    try:
        if migration.transactional:
            await _run_transactional(conn, project, migration, sql)
        else:
            await _run_bare(conn, project, migration, sql, record)
    finally:
        if not conn.closed:
            await _forget_settings(conn)


async def wait_for_former(conn: Connection, project: Project) -> None:
    """What a killed gateway began may still run in the server, after the lock of its deploy is gone.

    503 database_busy when it does not end. `conn` is the gateway's.
    """
    query = "SELECT count(*) FROM pg_stat_activity WHERE usename = %s AND application_name = %s"
    for _ in range(_FORMER_LOOKS):
        row = await (await conn.execute(query, (name_of(project.roles, "owner"), SESSION))).fetchone()
        if row is None or not row[0]:
            return
        await asyncio.sleep(0.1)
    raise GatewayError(
        503,
        "database_busy",
        "A migration of an earlier deploy, whose gateway was killed, still runs in the database. Repeat when it has ended.",
        retryable=True,
        retry_after_seconds=10,
    )


def prepared(migration: Migration, sql: str) -> Prepared:
    """What is run of a migration. GatewayError 400 MIGRATION_FAILED when it names what it may not."""
    try:
        return prepare(sql)
    except SharedNameError as exc:
        raise _invalid_sql(migration, str(exc), exc.hint) from exc


async def install_extensions(conn: Connection, migration: Migration, names: tuple[str, ...]) -> None:
    """On a connection of the gateway, before the migration. Errors as `prepared`."""
    try:
        await install(conn, names)
    except SharedNameError as exc:
        raise _invalid_sql(migration, str(exc), exc.hint) from exc


async def _run_transactional(conn: Connection, project: Project, migration: Migration, sql: str) -> None:
    script = await asyncio.to_thread(_without_outer_transaction, migration, sql)
    async with conn.transaction():
        await _enter_schema(conn, project, local=True)
        try:
            await conn.execute(script.encode(), prepare=False)
            # What it left for the end runs while names mean the project's.
            if conn.info.transaction_status == TransactionStatus.INTRANS:
                await conn.execute("SET CONSTRAINTS ALL IMMEDIATE")
        except psycopg.Error as exc:
            raise sql_failure(migration, sql, exc) from exc
        if conn.info.transaction_status != TransactionStatus.INTRANS:
            raise _invalid_sql(migration, "it ended the transaction it runs in", "Remove COMMIT and ROLLBACK.")
        await _forget_settings(conn)
        again = await expose.reapply(conn, project)
        await _remember(conn, migration, "applied")
    if again:
        # The end of the transaction ran what the migration left for it.
        await _forget_settings(conn)
        await expose.reapply(conn, project)


async def _forget_settings(conn: Connection) -> None:
    # A migration may SET what it likes; neither our bookkeeping nor the next request should run under it.
    await conn.execute("RESET SESSION AUTHORIZATION")
    await conn.execute("RESET ALL")


async def _run_bare(
    conn: Connection, project: Project, migration: Migration, sql: str, record: Recorded | None
) -> None:
    if record is not None and record.state == "running":
        await _remember(conn, migration, "failed")
        raise GatewayError(
            409,
            "migration_interrupted",
            f"Migration {migration.id} (transaction: none) was interrupted, so part of it may have run. Look at the "
            "schema, repair it if needed, then deploy again: the migration will run again from its start.",
            code="MIGRATION_FAILED",
            phase="migrate",
            resource=f"database.migrations.{migration.id}",
            migration_id=migration.id,
            retryable=False,
            rolled_back=False,
        )
    pieces = await asyncio.to_thread(_statement_texts, migration, sql)
    await _remember(conn, migration, "running")
    await _enter_schema(conn, project, local=False)
    for start, text in pieces:
        try:
            await conn.execute(text.encode(), prepare=False)
        except psycopg.Error as exc:
            if not conn.closed:
                await _forget_settings(conn)
                await _remember(conn, migration, "failed")
                await expose.reapply(conn, project)
            raise sql_failure(migration, sql, exc, offset=start) from exc
    await _forget_settings(conn)
    async with conn.transaction():
        await expose.reapply(conn, project)
        await _remember(conn, migration, "applied")


async def _enter_schema(conn: Connection, project: Project, *, local: bool) -> None:
    await conn.execute("SELECT set_config('search_path', %s, %s)", (search_path(project.schema_slot), local))


async def _remember(conn: Connection, migration: Migration, state: str) -> None:
    # The owner's own line, by a function of projects/own_rows.py: in the very transaction of the migration.
    await conn.execute("SELECT run402.put_migration(%s, %s, %s)", (migration.id, migration.checksum, state))


async def record_applied(conn: Connection, project_id: str, entries: Iterable[Mapping[str, Any]]) -> None:
    """Migrations of a release state whose tables are there already: they came with an archive."""
    for entry in entries:
        await conn.execute(
            "INSERT INTO internal.core_applied_migrations (project_id, migration_id, checksum_hex)"
            " VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            (project_id, entry["migration_id"], entry["checksum_hex"]),
        )


def _parsed(sql: str) -> list[list[Token]] | None:
    try:
        return statements(sql)
    except SqlTextError:
        return None  # PostgreSQL reads it too, and says better what is wrong.


def _without_outer_transaction(migration: Migration, sql: str) -> str:
    """The script without a BEGIN...COMMIT around all of it (blanked, so positions stay); other control is refused."""
    found = _parsed(sql)
    if not found:
        return sql
    _refuse_copy(migration, found)
    if len(found) >= 2 and _is_begin(found[0]) and found[-1][0].is_word("commit", "end"):
        for tokens in (found[0], found[-1]):
            start, end = tokens[0].start, tokens[-1].end
            sql = sql[:start] + re.sub(r"\S", " ", sql[start:end]) + sql[end:]
        found = found[1:-1]
    for tokens in found:
        if tokens[0].is_word(*_TRANSACTION_WORDS) and not _is_prepared_query(tokens):
            word = tokens[0].text.upper()
            raise _invalid_sql(
                migration,
                f"it contains {word} (line {sql.count(chr(10), 0, tokens[0].start) + 1}), and a migration runs in one "
                "transaction together with its bookkeeping",
                "Remove it, split the migration, or set `transaction` to `none`.",
            )
    return sql


def _statement_texts(migration: Migration, sql: str) -> list[tuple[int, str]]:
    found = _parsed(sql)
    if found is None:
        return [(0, sql)]
    _refuse_copy(migration, found)
    return [(tokens[0].start, sql[tokens[0].start : tokens[-1].end]) for tokens in found]


def _is_begin(tokens: list[Token]) -> bool:
    return tokens[0].is_word("begin", "start")


def _is_prepared_query(tokens: list[Token]) -> bool:
    return tokens[0].is_word("prepare") and len(tokens) > 1 and not tokens[1].is_word("transaction")


def _refuse_copy(migration: Migration, found: list[list[Token]]) -> None:
    for tokens in found:
        if tokens[0].is_word("copy") and any(t.is_word("stdin", "stdout") for t in tokens):
            raise _invalid_sql(
                migration, "COPY FROM STDIN has no data stream here", "Write the rows as INSERT statements."
            )


def sql_failure(migration: Migration, sql: str, exc: psycopg.Error, *, offset: int = 0) -> GatewayError:
    """PostgreSQL's refusal as the API's MIGRATION_FAILED."""
    diag = exc.diag
    position = int(diag.statement_position) + offset if diag.statement_position else None
    fields: dict[str, Any] = {
        "sqlstate": exc.sqlstate,
        "position": position,
        "line": sql.count("\n", 0, position - 1) + 1 if position else None,
        "detail": diag.message_detail,
        "hint": diag.message_hint,
        "context": diag.context,
    }
    known = {key: value for key, value in fields.items() if value is not None}
    where = f" at line {known['line']}" if "line" in known else ""
    message = diag.message_primary or str(exc).strip()
    stays = "It was rolled back." if migration.transactional else "Statements before the failing one stay."
    return GatewayError(
        400,
        "migration_failed",
        f"Migration {migration.id} failed{where}: {message}. {stays} Correct the SQL and deploy again.",
        phase="migrate",
        resource=f"database.migrations.{migration.id}",
        migration_id=migration.id,
        postgres_message=message,
        retryable=False,
        safe_to_retry=False,
        rolled_back=migration.transactional,
        **known,
        details={"migration_id": migration.id, "postgres_message": message, **known},
    )


def _refusal(error: str, message: str, migration_id: str) -> GatewayError:
    return GatewayError(
        409,
        error,
        message,
        code="MIGRATION_CHECKSUM_MISMATCH",
        phase="plan",
        resource=f"database.migrations.{migration_id}",
        migration_id=migration_id,
        retryable=False,
    )


def _invalid_sql(migration: Migration, problem: str, remedy: str) -> GatewayError:
    return GatewayError(
        400,
        "migration_failed",
        f"Migration {migration.id} cannot run: {problem}. {remedy}",
        phase="migrate",
        resource=f"database.migrations.{migration.id}",
        migration_id=migration.id,
        retryable=False,
        rolled_back=True,
    )
