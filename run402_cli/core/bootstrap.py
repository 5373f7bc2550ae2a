"""Roles, schemas, helper functions and bookkeeping tables; run at every start, idempotent."""

from __future__ import annotations

from typing import Any, LiteralString

from psycopg import sql

from run402_cli.core import change_rows, expose
from run402_cli.core.archives import rows as archives
from run402_cli.core.callers import credential_rows, payment_rows, wallet_rows
from run402_cli.core.ci import binding_rows
from run402_cli.core.content import rows as content
from run402_cli.core.copies import branch_rows, snapshot_rows
from run402_cli.core.daemon import datadir
from run402_cli.core.db import Connection
from run402_cli.core.diagnostics import event_rows, fault_rows
from run402_cli.core.errors import CoreProcessError
from run402_cli.core.functions import bundle_rows as function_bundles
from run402_cli.core.functions import log_rows as function_logs
from run402_cli.core.functions import run_rows as function_runs
from run402_cli.core.functions import schedule_rows as function_schedules
from run402_cli.core.functions import secret_rows as function_secrets
from run402_cli.core.jobs import rows as jobs
from run402_cli.core.mail import mailbox_rows, message_rows, webhook_rows
from run402_cli.core.projects import keys, lock_rows, own_rows, role_rows
from run402_cli.core.projects import rows as projects
from run402_cli.core.releases import migrations, plans
from run402_cli.core.releases import operation_rows as operations
from run402_cli.core.releases import rows as releases
from run402_cli.core.settings import Settings
from run402_cli.core.sites import rows as site_rows
from run402_cli.core.sql import load_rows
from run402_cli.core.sql.shared import SHARED_PATH
from run402_cli.core.storage import object_rows, upload_rows
from run402_cli.core.users import challenge_rows, session_rows, setting_rows, user_rows

# What the bookkeeping tables mean, kept in internal.core_format. 0: there was no such record yet.
# 1: all projects shared four roles, and a superuser did their work. 2: keys of projects were kept as they are.
# A newer one is refused; an older one is brought up to date by the statements below, which are idempotent.
FORMAT = 3

# The bookkeeping tables, parents first (most tables reference internal.core_projects).
TABLES: tuple[str, ...] = (
    lock_rows.DDL,
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
    load_rows.DDL,
    archives.DDL,
    change_rows.DDL,
)

# The groups that grants and policies of all projects name; nobody logs in as one, and none may use a schema. Roles belong
# to the whole cluster, so another gateway may be creating the same ones right now.
ROLES = """
DO $do$
DECLARE wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['anon', 'authenticated', 'service_role', 'project_admin'] LOOP
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = wanted) THEN
      BEGIN
        EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
      EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
      END;
    END IF;
  END LOOP;
END
$do$;
"""

SCHEMAS = """
CREATE SCHEMA IF NOT EXISTS internal;
CREATE SCHEMA IF NOT EXISTS auth;
CREATE SCHEMA IF NOT EXISTS extensions;
REVOKE ALL ON SCHEMA internal FROM PUBLIC, anon, authenticated, service_role;
GRANT USAGE ON SCHEMA auth, extensions TO PUBLIC;


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

# What every role of every database may do by default, and through which one project could disturb another. Only a superuser
# can take it away; elsewhere it is as whoever runs the PostgreSQL wants it.
HARDENING = """
DO $do$
DECLARE found regprocedure;
BEGIN
  REVOKE CREATE ON SCHEMA public FROM PUBLIC;
  FOR found IN
    SELECT p.oid FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace
    AND (p.proname ~ '^(lo_|loread$|lowrite$|be_lo_)' OR p.proname IN ('pg_terminate_backend', 'pg_cancel_backend'))
    AND EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0)
  LOOP
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', found);
  END LOOP;
EXCEPTION WHEN insufficient_privilege THEN NULL;
END
$do$;
"""


# How long a start waits for another one, or for a session that uses the tables.
PATIENCE = "30s"

FORMAT_TABLE = """
CREATE TABLE IF NOT EXISTS internal.core_format (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  format integer NOT NULL,
  made_by text NOT NULL,
  since timestamptz NOT NULL DEFAULT now()
);
"""


async def bootstrap(conn: Connection, settings: Settings) -> dict[str, Any] | None:
    """Create or upgrade everything below the project schemas, in one transaction: {what, from, to} when it was older.

    CORE_FORMAT_NEWER, before anything is written, when a newer version made it.
    """
    await _format(conn)
    await lock_rows.make(conn)
    async with conn.transaction():
        await conn.execute(f"SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '{PATIENCE}'".encode())
        # An archive importer or a second gateway on the same database must not interleave with this.
        await lock_rows.take(conn, "bootstrap")
        found = await _format(conn)
        await conn.execute(ROLES)
        await _check_groups(conn)
        await conn.execute(SCHEMAS)
        await conn.execute("\n".join(TABLES).encode())
        await conn.execute(own_rows.DDL.encode())
        await conn.execute(HARDENING)
        await _wall_in(conn)
        await conn.execute(role_rows.OWNERS)
        await _run_found(conn, _LOOSE, (SHARED_PATH,))
        await _seal_keys(conn, settings)
        if found == FORMAT:
            return None
        await conn.execute(FORMAT_TABLE)
        await conn.execute("DELETE FROM internal.core_format")
        made = "INSERT INTO internal.core_format (format, made_by) VALUES (%s, %s)"
        await conn.execute(made, (FORMAT, datadir.MADE_BY))
    return None if found is None else {"what": "database", "from": found, "to": FORMAT}


async def _check_groups(conn: Connection) -> None:
    """CORE_DATABASE_UNUSABLE when the groups are another role's, so that this one could put nobody into them."""
    query = """
        SELECT current_user::text, coalesce(array_agg(r.rolname::text ORDER BY r.rolname), '{}') FROM pg_roles r
        WHERE r.rolname = ANY(%s) AND NOT pg_has_role(current_user, r.oid, 'MEMBER WITH ADMIN OPTION')
    """
    row = await (await conn.execute(query, (list(role_rows.GROUPS),))).fetchone()
    if row is not None and row[1]:
        grant = f"GRANT {', '.join(row[1])} TO {sql.Identifier(row[0]).as_string()} WITH ADMIN OPTION"
        raise CoreProcessError(
            "CORE_DATABASE_UNUSABLE",
            f"The roles {', '.join(row[1])} of this PostgreSQL were made by somebody else, and {row[0]} may not grant them.",
            hint=f"Have a superuser, or the role that made them, run: {grant}",
        )


_FORMER = """
DROP EVENT TRIGGER IF EXISTS run402_hide_new_functions;
DROP FUNCTION IF EXISTS internal.core_hide_new_functions();
"""
_FORMER_EXTENSIONS = """
SELECT format('ALTER EXTENSION %%I SET SCHEMA extensions', e.extname)
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE n.nspname = ANY(%s) AND e.extrelocatable
"""
_FORMER_SEQUENCES = """
SELECT format('GRANT %%s ON SEQUENCE %%I.%%I TO %%I; REVOKE ALL ON SEQUENCE %%I.%%I FROM %%I', a.privilege_type, n.nspname,
  c.relname, %(base)s::text || '_' || r.rolname, n.nspname, c.relname, r.rolname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN LATERAL aclexplode(c.relacl) a
JOIN pg_roles r ON r.oid = a.grantee AND r.rolname IN ('anon', 'authenticated', 'project_admin')
WHERE n.nspname = ANY(%(slots)s) AND c.relkind = 'S'
"""
_FORMER_FORCED = """
SELECT format('ALTER TABLE %%I.%%I NO FORCE ROW LEVEL SECURITY', n.nspname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ANY(%s) AND c.relkind IN ('r', 'p') AND c.relforcerowsecurity
"""
_FORMER_USAGE = """
SELECT DISTINCT format('REVOKE ALL ON SCHEMA %%I FROM %%I', n.nspname, r.rolname)
FROM pg_namespace n CROSS JOIN LATERAL aclexplode(n.nspacl) a JOIN pg_roles r ON r.oid = a.grantee
WHERE (n.nspname = 'internal' OR n.nspname = ANY(%s)) AND a.grantee <> n.nspowner
"""
_FORMER_GRANTS = """
REVOKE ALL ON SCHEMA {schema} FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM service_role;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA {schema} FROM service_role;
REVOKE ALL ON ALL ROUTINES IN SCHEMA {schema} FROM service_role
"""
_FORMER_DEFAULTS = """
SELECT format('ALTER DEFAULT PRIVILEGES FOR ROLE %%I IN SCHEMA %%I REVOKE ALL ON %%s FROM service_role',
  pg_get_userbyid(d.defaclrole), n.nspname,
  CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS' ELSE 'TYPES' END)
FROM pg_default_acl d JOIN pg_namespace n ON n.oid = d.defaclnamespace WHERE n.nspname = ANY(%s)
"""
# What converge_privileges does from now on, for what was there before it did.
_LOOSE = """
SELECT format('ALTER ROUTINE %%s SET search_path = %%I, %%s', f.oid::regprocedure, p.schema_slot, %s::text)
FROM internal.core_projects p JOIN pg_namespace n ON n.nspname = p.schema_slot JOIN pg_proc f ON f.pronamespace = n.oid
WHERE f.prosecdef AND NOT EXISTS (SELECT FROM unnest(f.proconfig) AS setting WHERE setting LIKE 'search\\_path=%%')
"""


async def _wall_in(conn: Connection) -> None:
    """Projects without roles of this database get them, and their schemas: those of an older version, or of a copy."""
    own = await role_rows.prefix(conn)
    query = (
        "SELECT project_id, schema_slot FROM internal.core_projects WHERE roles IS NULL OR NOT starts_with(roles, %s)"
    )
    found = await (await conn.execute(query, (own,))).fetchall()
    if not found:
        return
    await conn.execute(_FORMER)
    for project_id, slot in found:
        query = "SELECT schema_slot FROM internal.core_snapshots WHERE project_id = %s"
        slots = [slot, *(row[0] for row in await (await conn.execute(query, (project_id,))).fetchall())]
        base = await role_rows.create(conn)
        for query in (_FORMER_USAGE, _FORMER_DEFAULTS, _FORMER_EXTENSIONS, _FORMER_FORCED):
            await _run_found(conn, query, (slots,))
        await _run_found(conn, _FORMER_SEQUENCES, {"base": base, "slots": slots})
        for each in slots:
            await conn.execute(sql.SQL(_FORMER_GRANTS).format(schema=sql.Identifier(each)))
            await role_rows.take_over(conn, each, base)
        await role_rows.open_schema(conn, slot, base)
        update = "UPDATE internal.core_projects SET roles = %s WHERE project_id = %s"
        await conn.execute(update, (base, project_id))


async def _seal_keys(conn: Connection, settings: Settings) -> None:
    """Keys that an older version kept as they are become digests; the table is written anew, so that no page has them."""
    query = (
        "SELECT 1 FROM pg_attribute WHERE attrelid = 'internal.core_projects'::regclass AND attname = 'service_key'"
        " AND NOT attisdropped"
    )
    if await (await conn.execute(query)).fetchone() is None:
        return
    found = await (
        await conn.execute("SELECT project_id, anon_key, service_key FROM internal.core_projects")
    ).fetchall()
    update = "UPDATE internal.core_projects SET anon_sha256 = %s, service_sha256 = %s, keys_sealed = %s WHERE project_id = %s"
    for project_id, anon, service in found:
        await conn.execute(update, (*keys.stored(settings, keys.Keys(anon, service)), project_id))
    await conn.execute(
        "ALTER TABLE internal.core_projects DROP COLUMN anon_key, DROP COLUMN service_key;"
        " ALTER TABLE internal.core_projects ALTER COLUMN keys_sealed TYPE text USING keys_sealed || ''"
    )


async def _run_found(conn: Connection, query: LiteralString, values: Any) -> None:
    """Run the statements that a query writes."""
    for (statement,) in await (await conn.execute(query, values)).fetchall():
        await conn.execute(statement)


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
