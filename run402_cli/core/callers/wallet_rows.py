"""Tables about wallets: sign-ins that were used, who owns which project, display names."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from run402_cli.core.db import Connection

DDL = """
CREATE TABLE IF NOT EXISTS internal.core_siwx_nonces (
  wallet text NOT NULL,
  nonce text NOT NULL,
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (wallet, nonce)
);
CREATE INDEX IF NOT EXISTS core_siwx_nonces_expiry ON internal.core_siwx_nonces (expires_at);
CREATE TABLE IF NOT EXISTS internal.core_project_owners (
  project_id text PRIMARY KEY REFERENCES internal.core_projects ON DELETE CASCADE,
  wallet text NOT NULL
);
CREATE TABLE IF NOT EXISTS internal.core_admitted_wallets (
  wallet text PRIMARY KEY,
  admitted_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS core_project_owners_wallet ON internal.core_project_owners (wallet);
CREATE TABLE IF NOT EXISTS internal.core_wallet_labels (
  address text PRIMARY KEY,
  label text NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now()
);
"""

# A branch belongs to whoever its parent belongs to.
OWNER = """(
  SELECT o.wallet FROM internal.core_project_owners o WHERE o.project_id = coalesce(
    (SELECT b.parent_project_id FROM internal.core_branches b WHERE b.branch_project_id = p.project_id), p.project_id)
)"""

# Whether the caller's wallet (parameter `wallet`) may see a project `p`; with `unowned` also one that no wallet owns. Without
# a wallet everything is visible.
VISIBLE = f"""(%(wallet)s::text IS NULL
  OR coalesce({OWNER}, CASE WHEN %(unowned)s THEN %(wallet)s::text END) = %(wallet)s)"""


async def use_nonce(
    conn: Connection, wallet: str, nonce: str, expires_at: datetime, *, admit: bool
) -> tuple[bool, bool]:
    """(Was this sign-in new? It is not a second time; is its wallet admitted?). `admit`: it is from now on, if new."""
    # Not waiting for the disk: what a crash of PostgreSQL can forget is the last half second.
    query = """
        WITH quick AS (SELECT set_config('synchronous_commit', 'off', true)),
             swept AS (DELETE FROM internal.core_siwx_nonces WHERE (wallet, nonce) IN (
               SELECT wallet, nonce FROM internal.core_siwx_nonces WHERE expires_at < now() - interval '1 minute'
               LIMIT 100 FOR UPDATE SKIP LOCKED)),
             used AS (INSERT INTO internal.core_siwx_nonces (wallet, nonce, expires_at)
               SELECT %(wallet)s, %(nonce)s, %(expires)s FROM quick ON CONFLICT DO NOTHING RETURNING 1),
             admitted AS (INSERT INTO internal.core_admitted_wallets (wallet)
               SELECT %(wallet)s FROM used WHERE %(admit)s ON CONFLICT DO NOTHING)
        SELECT EXISTS (SELECT FROM used),
               %(admit)s OR EXISTS (SELECT FROM internal.core_admitted_wallets WHERE wallet = %(wallet)s)
    """
    values = {"wallet": wallet, "nonce": nonce, "expires": expires_at, "admit": admit}
    row: Any = await (await conn.execute(query, values)).fetchone()
    return row[0], row[1]


async def give_back_nonce(conn: Connection, wallet: str, nonce: str) -> None:
    await conn.execute("DELETE FROM internal.core_siwx_nonces WHERE wallet = %s AND nonce = %s", (wallet, nonce))


async def set_owner(conn: Connection, project_id: str, wallet: str) -> None:
    await conn.execute(
        "INSERT INTO internal.core_project_owners (project_id, wallet) VALUES (%s, %s)", (project_id, wallet)
    )


async def owner_of(conn: Connection, project_id: str) -> str | None:
    """The wallet that owns a project, if one does."""
    query = f"SELECT {OWNER} FROM internal.core_projects p WHERE p.project_id = %s"
    row = await (await conn.execute(query.encode(), (project_id,))).fetchone()
    return None if row is None else row[0]


async def set_label(conn: Connection, address: str, label: str) -> None:
    await conn.execute(
        "INSERT INTO internal.core_wallet_labels (address, label) VALUES (%s, %s)"
        " ON CONFLICT (address) DO UPDATE SET label = excluded.label, updated_at = now()",
        (address, label),
    )


async def label_of(conn: Connection, address: str) -> str | None:
    query = "SELECT label FROM internal.core_wallet_labels WHERE address = %s"
    row = await (await conn.execute(query, (address,))).fetchone()
    return row[0] if row else None
