"""The table of challenges: sign-in mails that were sent, and what proves that they were read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from psycopg.types.json import Jsonb

from run402_cli.core.db import Connection
from run402_cli.core.projects import lock_rows

DDL = """
CREATE TABLE IF NOT EXISTS internal.core_auth_challenges (
  challenge_id text PRIMARY KEY,
  project_id text NOT NULL REFERENCES internal.core_projects ON DELETE CASCADE,
  email text NOT NULL,
  intent text NOT NULL,
  delivery text NOT NULL,
  client_state text,
  trusted boolean NOT NULL,
  token_sha256 text UNIQUE,
  code_mac text,
  attempts int NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  used_at timestamptz
);
ALTER TABLE internal.core_auth_challenges ADD COLUMN IF NOT EXISTS leads_to text,
  ADD COLUMN IF NOT EXISTS data jsonb;
CREATE INDEX IF NOT EXISTS core_auth_challenges_email ON internal.core_auth_challenges (project_id, email, created_at);
"""
_USE = (
    "UPDATE internal.core_auth_challenges SET used_at = now()"
    " WHERE project_id = %s AND {} AND used_at IS NULL AND expires_at > now()"
    " RETURNING email, intent, delivery, client_state, trusted, data"
)


@dataclass(frozen=True, slots=True)
class Challenge:
    """Whom a sign-in mail goes to, and what for; `trusted` when the service key asked; `data` of an account made by it."""

    email: str
    intent: str
    delivery: str
    client_state: str | None
    trusted: bool
    data: dict[str, Any] | None = None


async def insert(
    conn: Connection,
    project_id: str,
    challenge_id: str,
    challenge: Challenge,
    *,
    token_sha256: str | None,
    code_mac: str | None,
    leads_to: str,
    lifetime: timedelta,
    usable: bool,
) -> None:
    """A challenge; one that is not usable is as good as used. `leads_to`: what kind of place its link leads to."""
    await conn.execute(
        "INSERT INTO internal.core_auth_challenges (challenge_id, project_id, email, intent, delivery, client_state,"
        " trusted, data, token_sha256, code_mac, leads_to, expires_at, used_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, now() + %s, CASE WHEN %s THEN NULL ELSE now() END)",
        (
            *(challenge_id, project_id, challenge.email, challenge.intent, challenge.delivery),
            *(challenge.client_state, challenge.trusted, Jsonb(challenge.data) if challenge.data else None),
            *(token_sha256, code_mac, leads_to, lifetime, usable),
        ),
    )


async def lock(conn: Connection, project_id: str, email: str) -> None:
    """Until the end of the transaction nobody else sends to this address."""
    await lock_rows.take(conn, "challenge", f"{project_id} {email}")


async def forget_old(conn: Connection, project_id: str) -> None:
    await conn.execute(
        "DELETE FROM internal.core_auth_challenges WHERE project_id = %s AND created_at < now() - interval '1 day'",
        (project_id,),
    )


async def seconds_to_wait(
    conn: Connection, project_id: str, email: str, *, trusted: bool, leads_to: str, an_hour: int
) -> int:
    """0 when another mail may go to an address: fewer than `an_hour` went there within the hour for this kind of asker, or
    none of them that leads there has time left. Used or never mailed makes no difference: it would tell who has an account.
    """
    cursor = await conn.execute(
        "SELECT ceil(extract(epoch FROM least((array_agg(created_at ORDER BY created_at DESC))[%(an_hour)s]"
        " + interval '1 hour', max(expires_at) FILTER (WHERE leads_to = %(leads_to)s)) - now()))::int,"
        " count(*) < %(an_hour)s OR coalesce(max(expires_at) FILTER (WHERE leads_to = %(leads_to)s) <= now(), true)"
        " FROM internal.core_auth_challenges WHERE project_id = %(project)s AND email = %(email)s"
        " AND trusted = %(trusted)s AND created_at > now() - interval '1 hour'",
        {"an_hour": an_hour, "leads_to": leads_to, "project": project_id, "email": email, "trusted": trusted},
    )
    row = await cursor.fetchone()
    assert row is not None
    return 0 if row[1] else max(1, row[0])


async def use_token(conn: Connection, project_id: str, token_sha256: str) -> Challenge | None:
    """None for a token that is unknown, used or too old."""
    row = await (await conn.execute(_USE.format("token_sha256 = %s").encode(), (project_id, token_sha256))).fetchone()
    return None if row is None else Challenge(*row)


async def email_of(conn: Connection, project_id: str, challenge_id: str) -> str | None:
    """Whom a challenge was for, also one that is over or was never mailed."""
    query = "SELECT email FROM internal.core_auth_challenges WHERE project_id = %s AND challenge_id = %s"
    row = await (await conn.execute(query, (project_id, challenge_id))).fetchone()
    return None if row is None else row[0]


async def try_code(conn: Connection, project_id: str, challenge_id: str, attempts: int) -> str | None:
    """The MAC of a challenge's code, for one more attempt; None when it has none, is over, or was tried so often."""
    cursor = await conn.execute(
        "UPDATE internal.core_auth_challenges SET attempts = attempts + 1 WHERE project_id = %s"
        " AND challenge_id = %s AND code_mac IS NOT NULL AND used_at IS NULL AND expires_at > now()"
        " AND attempts < %s RETURNING code_mac",
        (project_id, challenge_id, attempts),
    )
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def use(conn: Connection, project_id: str, challenge_id: str) -> Challenge | None:
    """None when it is used or too old."""
    row = await (await conn.execute(_USE.format("challenge_id = %s").encode(), (project_id, challenge_id))).fetchone()
    return None if row is None else Challenge(*row)
