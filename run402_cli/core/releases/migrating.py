"""Runs migrations: each in its transaction, with the row that remembers it, or statement by statement."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import psycopg
from psycopg.pq import TransactionStatus

from run402_cli.core import expose
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.projects.rows import Project
from run402_cli.core.releases.migration_scripts import (
    Migration,
    Step,
    in_transaction,
    invalid_sql,
    locked,
    one_by_one,
    sql_failure,
)
from run402_cli.core.releases.migrations import Recorded
from run402_cli.core.sql import results
from run402_cli.core.sql.locks import LOCKED, patiently
from run402_cli.core.sql.script import Script
from run402_cli.core.sql.shared import SharedNameError, install, search_path


async def run(
    conn: Connection,
    project: Project,
    migration: Migration,
    script: Script,
    record: Recorded | None,
    *,
    patience: float,
) -> None:
    """Run one migration. GatewayError 400 MIGRATION_FAILED with PostgreSQL's own words, 503 MIGRATION_LOCKED.

    `conn`, in autocommit, logged in as the owner of the project's schema, with the option of locks.py, and is closed
    afterwards. `patience`: seconds of tries to get a lock. Transactional ones commit together with their row; for
    `transaction: none` the row says `running` first, so an interruption is noticed instead of repeated. docs/local-gateway.md
    """
    if "\0" in script.text:
        raise invalid_sql(migration, "its SQL contains a NUL character", "Remove it.")
    try:
        if migration.transactional:
            steps = await asyncio.to_thread(in_transaction, migration, script)
            again = await patiently(lambda: _run_transactional(conn, project, migration, script, steps), patience)
            if again:
                # The end of the transaction ran what the migration left for it.
                await _forget_settings(conn)
                await patiently(lambda: expose.reapply(conn, project), patience)
        else:
            await _run_bare(conn, project, migration, script, record, patience)
    except LOCKED as exc:
        raise locked(migration, exc, patience) from exc
    finally:
        if not conn.closed:
            await _forget_settings(conn)


async def install_extensions(conn: Connection, migration: Migration, names: tuple[str, ...]) -> None:
    """On a connection of the gateway, before the migration. Errors as `prepared`."""
    try:
        await install(conn, names)
    except SharedNameError as exc:
        raise invalid_sql(migration, str(exc), exc.hint) from exc


async def _run_transactional(
    conn: Connection, project: Project, migration: Migration, script: Script, steps: Sequence[Step]
) -> bool:
    """Whether what it granted has to be looked at once more."""
    async with conn.transaction():
        await _enter_schema(conn, project, local=True)
        for step in steps:
            await _run_step(conn, migration, script, step)
            if conn.info.transaction_status != TransactionStatus.INTRANS:
                raise invalid_sql(migration, "it ended the transaction it runs in", "Remove COMMIT and ROLLBACK.")
        # What it left for the end runs while names mean the project's.
        await _run_step(conn, migration, script, Step("SET CONSTRAINTS ALL IMMEDIATE", 0))
        await _forget_settings(conn)
        again = await expose.reapply(conn, project)
        await _remember(conn, migration, "applied")
    return again


async def _run_step(conn: Connection, migration: Migration, script: Script, step: Step) -> None:
    rows = None if step.rows is None else script.parts(step.rows)
    try:
        await results.run(conn, step.sql.encode(), results.Nobody(), rows=rows)
    except LOCKED:
        raise
    except psycopg.Error as exc:
        raise sql_failure(migration, script.text, exc, offset=step.start) from exc


async def _forget_settings(conn: Connection) -> None:
    # A migration may SET what it likes; neither our bookkeeping nor the next request should run under it.
    await conn.execute("RESET SESSION AUTHORIZATION")
    await conn.execute("RESET ALL")


async def _run_bare(
    conn: Connection, project: Project, migration: Migration, script: Script, record: Recorded | None, patience: float
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
    steps = await asyncio.to_thread(one_by_one, migration, script)
    await _remember(conn, migration, "running")
    await _enter_schema(conn, project, local=False)
    for step in steps:
        try:
            await _run_alone(conn, migration, script, step, patience)
        except (GatewayError, psycopg.Error):
            if not conn.closed:
                await _forget_settings(conn)
                await _remember(conn, migration, "failed")
                await expose.reapply(conn, project)
            raise
    await _forget_settings(conn)
    async with conn.transaction():
        await expose.reapply(conn, project)
        await _remember(conn, migration, "applied")


async def _run_alone(conn: Connection, migration: Migration, script: Script, step: Step, patience: float) -> None:
    async def once() -> None:
        try:
            await _run_step(conn, migration, script, step)
        except LOCKED as exc:
            if conn.info.transaction_status == TransactionStatus.IDLE:
                raise
            # It began a transaction of its own, which has to be begun again.
            raise locked(migration, exc, patience) from exc

    if "concurrently" in step.sql.lower():
        # It keeps nobody waiting, and what it has begun would stay half done.
        await conn.execute("SET lock_timeout = 0")
        await once()
        await conn.execute("RESET lock_timeout")
    else:
        await patiently(once, patience)


async def _enter_schema(conn: Connection, project: Project, *, local: bool) -> None:
    await conn.execute("SELECT set_config('search_path', %s, %s)", (search_path(project.schema_slot), local))


async def _remember(conn: Connection, migration: Migration, state: str) -> None:
    # The owner's own line, by a function of projects/own_rows.py: in the very transaction of the migration.
    await conn.execute("SELECT run402.put_migration(%s, %s, %s)", (migration.id, migration.checksum, state))
