"""Locks of the gateway: rows that no role of a project can reach. Advisory locks belong to whoever can run SQL."""

from __future__ import annotations

import hashlib

import psycopg

from run402_cli.core.db import Connection

# Others wait for the row's transaction, so the row need not outlive it, and the table stays empty.
DDL = """
CREATE TABLE IF NOT EXISTS internal.core_locks (name text PRIMARY KEY);

CREATE OR REPLACE FUNCTION internal.core_lock(wanted text) RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
  INSERT INTO internal.core_locks (name) VALUES (wanted) ON CONFLICT (name) DO UPDATE SET name = excluded.name;
  DELETE FROM internal.core_locks WHERE name = wanted;
END
$body$;
"""


async def take(conn: Connection, what: str, key: str = "") -> None:
    """Until the end of the transaction nobody else has this lock: `what` it is for, and of which key."""
    # Keys are addresses, wallets, texts of any length.
    name = f"{what}:{hashlib.sha256(key.encode()).hexdigest()}" if key else what
    await conn.execute("SELECT internal.core_lock(%s)", (name,))


async def make(conn: Connection) -> None:
    """The table, before anything else is there; two gateways may be at it at once. In no transaction."""
    for attempt in range(10):
        found = await conn.execute("SELECT to_regclass('internal.core_locks'), to_regproc('internal.core_lock')")
        if None not in (await found.fetchone() or (None,)):
            return
        try:
            await conn.execute(f"CREATE SCHEMA IF NOT EXISTS internal; {DDL}".encode())
        except (psycopg.errors.UniqueViolation, psycopg.errors.DuplicateObject, psycopg.errors.InternalError_):
            if attempt == 9:
                raise
