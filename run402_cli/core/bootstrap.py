"""Roles, schemas, helper functions and bookkeeping tables; run at every start, idempotent."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

from run402_cli.core.gateway import Connection

# Modules that own bookkeeping tables, parents first (most tables reference internal.core_projects).
TABLE_OWNERS = (
    "projects",
    "content",
    "storage.objects",
    "migrations",
    "releases",
    "operations",
    "plans",
    "functions.bundles",
    "functions.logs",
    "functions.runs",
    "functions.schedules",
    "expose",
    "credentials",
    "account",
    "users.accounts",
    "users.sessions",
    "users.settings",
    "users.links",
    "mail.mailboxes",
    "mail.messages",
    "mail.webhooks",
    "jobs.runner",
    "events",
    "faults",
    "snapshots",
    "branches",
    "cache",
    "siwx",
    "payments",
    "tiers",
    "ci.bindings",
    "archives.records",
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


def table_definitions() -> Iterator[str]:
    """The DDL of every module that owns tables."""
    for name in TABLE_OWNERS:
        # By name, because these modules import the gateway, which imports this one.
        ddl: str = importlib.import_module(f"run402_cli.core.{name}").DDL
        yield ddl


async def bootstrap(conn: Connection) -> None:
    """Create or upgrade everything below the project schemas, in one transaction."""
    async with conn.transaction():
        await conn.execute("SELECT pg_advisory_xact_lock(%s)", (BOOTSTRAP_LOCK,))
        await conn.execute(ROLES)
        await conn.execute(SCHEMAS)
        for ddl in table_definitions():
            await conn.execute(ddl.encode())
