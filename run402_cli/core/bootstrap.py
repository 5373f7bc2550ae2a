"""Roles, schemas, helper functions and bookkeeping tables; run at every start, idempotent."""

from __future__ import annotations

from typing import Any

from run402_cli.core import expose
from run402_cli.core.archives import rows as archives
from run402_cli.core.callers import credential_rows, payment_rows, wallet_rows
from run402_cli.core.ci import binding_rows
from run402_cli.core.content import rows as content
from run402_cli.core.copies import branch_rows, snapshot_rows
from run402_cli.core.daemon import datadir
from run402_cli.core.db import Connection
from run402_cli.core.diagnostics import event_rows, fault_rows
from run402_cli.core.functions import bundle_rows as function_bundles
from run402_cli.core.functions import log_rows as function_logs
from run402_cli.core.functions import run_rows as function_runs
from run402_cli.core.functions import schedule_rows as function_schedules
from run402_cli.core.functions import secret_rows as function_secrets
from run402_cli.core.jobs import rows as jobs
from run402_cli.core.mail import mailbox_rows, message_rows, webhook_rows
from run402_cli.core.projects import rows as projects
from run402_cli.core.releases import migrations, plans
from run402_cli.core.releases import operation_rows as operations
from run402_cli.core.releases import rows as releases
from run402_cli.core.sites import rows as site_rows
from run402_cli.core.storage import object_rows, upload_rows
from run402_cli.core.users import challenge_rows, session_rows, setting_rows, user_rows

# What the bookkeeping tables mean, kept in internal.core_format. 0: there was no such record yet. A newer one is refused;
# an older one is brought up to date by the statements below, which are idempotent.
FORMAT = 1

# The bookkeeping tables, parents first (most tables reference internal.core_projects).
TABLES: tuple[str, ...] = (
    projects.DDL,
    content.DDL,
    object_rows.DDL,
    upload_rows.DDL,
    migrations.DDL,
    releases.DDL,
    operations.DDL,
    plans.DDL,
    function_bundles.DDL,
    function_logs.DDL,
    function_runs.DDL,
    function_schedules.DDL,
    function_secrets.DDL,
    expose.DDL,
    credential_rows.DDL,
    user_rows.DDL,
    session_rows.DDL,
    setting_rows.DDL,
    challenge_rows.DDL,
    mailbox_rows.DDL,
    message_rows.DDL,
    webhook_rows.DDL,
    jobs.DDL,
    event_rows.DDL,
    fault_rows.DDL,
    snapshot_rows.DDL,
    branch_rows.DDL,
    site_rows.DDL,
    wallet_rows.DDL,
    payment_rows.DDL,
    binding_rows.DDL,
    archives.DDL,
)

# Roles belong to the whole cluster, so another gateway may be creating the same ones right now.
ROLES = """
DO $do$
DECLARE wanted record;
BEGIN
  FOR wanted IN SELECT * FROM (VALUES
    ('anon', 'NOLOGIN'),
    ('authenticated', 'NOLOGIN'),
    ('service_role', 'NOLOGIN BYPASSRLS'),
    ('run402_archive_importer', 'NOLOGIN'),
    ('authenticator', 'LOGIN NOINHERIT')
  ) AS roles(name, attributes) LOOP
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = wanted.name) THEN
      BEGIN
        EXECUTE format('CREATE ROLE %I %s', wanted.name, wanted.attributes);
      EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
      END;
    END IF;
  END LOOP;
  FOR wanted IN
    SELECT granted.rolname AS name, member.rolname AS attributes
    FROM (VALUES ('anon'), ('authenticated'), ('service_role'), ('run402_archive_importer')) AS wish(name)
    JOIN pg_roles granted ON granted.rolname = wish.name
    JOIN pg_roles member ON member.rolname IN ('authenticator', current_user)
    WHERE NOT (member.rolname = 'authenticator' AND wish.name = 'run402_archive_importer')
      AND NOT EXISTS (SELECT 1 FROM pg_auth_members m WHERE m.roleid = granted.oid AND m.member = member.oid)
  LOOP
    BEGIN
      EXECUTE format('GRANT %I TO %I', wanted.name, wanted.attributes);
    EXCEPTION WHEN unique_violation THEN NULL;
    END;
  END LOOP;
END
$do$;
"""

SCHEMAS = """
CREATE SCHEMA IF NOT EXISTS internal;
CREATE SCHEMA IF NOT EXISTS auth;
GRANT USAGE ON SCHEMA internal TO authenticator, anon, authenticated, service_role;
GRANT USAGE ON SCHEMA auth TO anon, authenticated, service_role;

CREATE OR REPLACE FUNCTION auth.jwt_claim(name text) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT coalesce(
    nullif(current_setting('request.jwt.claim.' || name, true), ''),
    nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> name
  )
$$;
CREATE OR REPLACE FUNCTION auth.uid() RETURNS text LANGUAGE sql STABLE AS $$ SELECT auth.jwt_claim('sub') $$;
CREATE OR REPLACE FUNCTION auth.role() RETURNS text LANGUAGE sql STABLE AS $$ SELECT auth.jwt_claim('role') $$;
CREATE OR REPLACE FUNCTION auth.project_id() RETURNS text LANGUAGE sql STABLE AS
  $$ SELECT auth.jwt_claim('project_id') $$;
"""

# An archive importer or a second gateway on the same database must not interleave with this.
BOOTSTRAP_LOCK = 402_000_001


FORMAT_TABLE = """
CREATE TABLE IF NOT EXISTS internal.core_format (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  format integer NOT NULL,
  made_by text NOT NULL,
  since timestamptz NOT NULL DEFAULT now()
);
"""


async def bootstrap(conn: Connection) -> dict[str, Any] | None:
    """Create or upgrade everything below the project schemas, in one transaction: {what, from, to} when it was older.

    CORE_FORMAT_NEWER, before anything is written, when a newer version made it.
    """
    async with conn.transaction():
        await conn.execute("SELECT pg_advisory_xact_lock(%s)", (BOOTSTRAP_LOCK,))
        found = await _format(conn)
        await conn.execute(ROLES)
        await conn.execute(SCHEMAS)
        await conn.execute("\n".join(TABLES).encode())
        if found == FORMAT:
            return None
        await conn.execute(FORMAT_TABLE)
        await conn.execute("DELETE FROM internal.core_format")
        made = "INSERT INTO internal.core_format (format, made_by) VALUES (%s, %s)"
        await conn.execute(made, (FORMAT, datadir.MADE_BY))
    return None if found is None else {"what": "database", "from": found, "to": FORMAT}


async def _format(conn: Connection) -> int | None:
    """The format of the tables that are there; None when there are none."""
    cursor = await conn.execute("SELECT to_regclass('internal.core_format'), to_regclass('internal.core_projects')")
    record, projects = await cursor.fetchone() or (None, None)
    if record is None:
        return None if projects is None else 0
    row = await (await conn.execute("SELECT format, made_by FROM internal.core_format")).fetchone()
    number, made_by = row or (0, "")
    if number > FORMAT:
        raise datadir.newer_format("The database", str(made_by), number, FORMAT)
    return int(number)
