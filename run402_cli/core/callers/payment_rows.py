"""Tables of a gateway that charges: each payment that counted, and the leases and purchases of tiers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from run402_cli.core.db import Connection
from run402_cli.core.projects import lock_rows

DDL = """
CREATE TABLE IF NOT EXISTS internal.core_payments (
  payer text NOT NULL,
  nonce text NOT NULL,
  amount_usd_micros bigint NOT NULL,
  purpose text NOT NULL,
  transaction_id text NOT NULL,
  settled_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (payer, nonce)
);
CREATE TABLE IF NOT EXISTS internal.core_tier_leases (
  wallet text PRIMARY KEY,
  tier text NOT NULL,
  started_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL
);
CREATE TABLE IF NOT EXISTS internal.core_tier_purchases (
  purchase_key text PRIMARY KEY,
  answer jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
"""


async def take(conn: Connection, payer: str, nonce: str, amount: int, purpose: str, transaction: str) -> bool:
    """Count a payment, amount in USD micros; False when it has counted before."""
    cursor = await conn.execute(
        "INSERT INTO internal.core_payments (payer, nonce, amount_usd_micros, purpose, transaction_id)"
        " VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (payer, nonce, amount, purpose, transaction),
    )
    return cursor.rowcount > 0


async def is_taken(conn: Connection, payer: str, nonce: str) -> bool:
    """Has this payment paid for something?"""
    query = "SELECT 1 FROM internal.core_payments WHERE payer = %s AND nonce = %s"
    return await (await conn.execute(query, (payer, nonce))).fetchone() is not None


async def newest(conn: Connection, *, limit: int, offset: int) -> list[dict[str, Any]]:
    """{payer, amount_usd_micros, purpose, settled_at} of what was paid to this gateway, newest first."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT payer, amount_usd_micros, purpose, settled_at FROM internal.core_payments"
            " ORDER BY settled_at DESC, payer, nonce LIMIT %s OFFSET %s",
            (limit, offset),
        )
        return await cursor.fetchall()


async def lock_tier(conn: Connection, wallet: str) -> None:
    """One purchase of a wallet at a time: the second extends the lease of the first, or finds its answer."""
    await lock_rows.take(conn, "tier", wallet)


async def lease(conn: Connection, wallet: str) -> tuple[str, datetime, datetime] | None:
    """(tier, start, end) of the lease that the wallet has now, or None."""
    query = (
        "SELECT tier, started_at, expires_at FROM internal.core_tier_leases WHERE wallet = %s AND expires_at > now()"
    )
    row = await (await conn.execute(query, (wallet,))).fetchone()
    return None if row is None else (row[0], row[1], row[2])


async def set_lease(conn: Connection, wallet: str, tier: str, start: datetime, end: datetime) -> None:
    await conn.execute(
        "INSERT INTO internal.core_tier_leases (wallet, tier, started_at, expires_at) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT (wallet) DO UPDATE SET tier = excluded.tier, started_at = excluded.started_at,"
        " expires_at = excluded.expires_at",
        (wallet, tier, start, end),
    )


async def purchase(conn: Connection, key: str) -> dict[str, Any] | None:
    """What a purchase with this key was answered."""
    query = "SELECT answer FROM internal.core_tier_purchases WHERE purchase_key = %s"
    row = await (await conn.execute(query, (key,))).fetchone()
    return None if row is None else row[0]


async def remember_purchase(conn: Connection, key: str, answer: dict[str, Any]) -> None:
    await conn.execute(
        "INSERT INTO internal.core_tier_purchases (purchase_key, answer) VALUES (%s, %s)", (key, Jsonb(answer))
    )
