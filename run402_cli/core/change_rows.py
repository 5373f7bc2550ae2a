"""What PostgreSQL tells the gateway: that a schema, or something that opens a project, is another one now. See changes.py.

The channel has a name that nobody can guess, in a table of the gateway: any role may listen to a channel and send to it.
"""

from __future__ import annotations

from typing import Final

from run402_cli.core.changes import CALLERS, EVERY, SCHEMA
from run402_cli.core.db import Connection

EVENT_TRIGGER: Final = "run402_schema_changed"

DDL = f"""
CREATE TABLE IF NOT EXISTS internal.core_channel (name text PRIMARY KEY);
INSERT INTO internal.core_channel SELECT 'run402_' || replace(gen_random_uuid()::text, '-', '')
WHERE NOT EXISTS (SELECT FROM internal.core_channel);

-- Its caller may have asked to be shown what is sent, and where to.
CREATE OR REPLACE FUNCTION internal.core_tell(what text) RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp
SET trace_notify = off AS
  $body$ SELECT pg_catalog.pg_notify(name, what) FROM internal.core_channel $body$;

CREATE OR REPLACE FUNCTION internal.core_callers_changed() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  PERFORM internal.core_tell('{CALLERS}' || OLD.project_id);
  RETURN NULL;
END
$body$;

-- Runs in the sessions of projects, as the gateway. What goes wrong in it is no reason for their statement to fail.
CREATE OR REPLACE FUNCTION internal.core_schema_changed() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  changed text;
  base text := substring(session_user::text FROM '^(r402_[0-9]+_[0-9a-f]{{12}})_');
  own text := '{EVERY}';
BEGIN
  IF base IS NOT NULL THEN
    -- NULL for a schema that is being made: nobody knows it yet.
    SELECT schema_slot INTO own FROM internal.core_projects WHERE roles = base;
  END IF;
  FOR changed IN
    SELECT DISTINCT CASE WHEN schema_name IS NOT NULL THEN schema_name
      WHEN object_type = 'schema' THEN object_name
      WHEN cardinality(address_names) > 2 THEN address_names[1] ELSE own END
    FROM pg_event_trigger_dropped_objects() WHERE tg_event = 'sql_drop' AND NOT is_temporary
    UNION
    SELECT coalesce(c.schema_name, (
        SELECT n.nspname FROM pg_class r JOIN pg_namespace n ON n.oid = r.relnamespace WHERE r.oid = CASE c.classid
          WHEN 'pg_policy'::regclass THEN (SELECT polrelid FROM pg_policy WHERE oid = c.objid)
          WHEN 'pg_trigger'::regclass THEN (SELECT tgrelid FROM pg_trigger WHERE oid = c.objid)
          WHEN 'pg_rewrite'::regclass THEN (SELECT ev_class FROM pg_rewrite WHERE oid = c.objid) END), own)
    FROM pg_event_trigger_ddl_commands() c
    WHERE tg_event = 'ddl_command_end' AND lower(c.object_type) <> 'schema'
  LOOP
    -- Not for temporary tables.
    CONTINUE WHEN changed IS NULL OR changed ~ '^pg_';
    PERFORM internal.core_tell('{SCHEMA}' || changed);
  END LOOP;
EXCEPTION WHEN OTHERS THEN NULL;
END
$body$;
REVOKE ALL ON FUNCTION internal.core_tell, internal.core_callers_changed, internal.core_schema_changed FROM PUBLIC;

-- Only a superuser may; without it the gateway looks into the catalogs from time to time.
DO $do$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_event_trigger WHERE evtname = '{EVENT_TRIGGER}_end') THEN
    CREATE EVENT TRIGGER {EVENT_TRIGGER}_end ON ddl_command_end EXECUTE FUNCTION internal.core_schema_changed();
  END IF;
  IF NOT EXISTS (SELECT FROM pg_event_trigger WHERE evtname = '{EVENT_TRIGGER}_drop') THEN
    CREATE EVENT TRIGGER {EVENT_TRIGGER}_drop ON sql_drop EXECUTE FUNCTION internal.core_schema_changed();
  END IF;
EXCEPTION WHEN insufficient_privilege THEN NULL;
END
$do$;
""" + "".join(
    f"CREATE OR REPLACE TRIGGER core_callers_changed AFTER UPDATE{columns} OR DELETE ON internal.{table}"
    " FOR EACH ROW EXECUTE FUNCTION internal.core_callers_changed();\n"
    for table, columns in (
        ("core_projects", ""),
        ("core_auth_users", ""),
        ("core_auth_sessions", ""),
        # Not when it was used last.
        ("core_credentials", " OF project_id, kind, secret_sha256, expires_at, revoked_at"),
    )
)

_CHANNEL = f"""
SELECT quote_ident(name), (SELECT count(*) = 2 FROM pg_event_trigger t JOIN pg_proc f ON f.oid = t.evtfoid
  WHERE t.evtname IN ('{EVENT_TRIGGER}_end', '{EVENT_TRIGGER}_drop') AND t.evtenabled IN ('O', 'A')
  AND f.pronamespace = 'internal'::regnamespace)
FROM internal.core_channel
"""


# The queue of notifications is one for all; what a session has not heard stays in it until its transaction ends.
MOST_QUEUED: Final = 0.25
_RELIEVE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE pg_notification_queue_usage() > %s AND datname = current_database() AND usename ~ '^r402_'
  AND xact_start < now() - make_interval(secs => %s)
"""


async def relieve(conn: Connection, most: float = MOST_QUEUED, seconds: float = 10) -> int:
    """End the sessions of projects that may keep the queue from being emptied, when so much of it is full; how many."""
    return len(await (await conn.execute(_RELIEVE, (most, seconds))).fetchall())


async def listen(conn: Connection) -> bool:
    """From here on the connection hears what changes; whether that includes the schemas of projects."""
    row = await (await conn.execute(_CHANNEL.encode())).fetchone()
    assert row is not None
    await conn.execute(f"LISTEN {row[0]}".encode())
    return bool(row[1])
