"""What the owner of a project's schema may read and write in the gateway's tables: its own project's lines, no others.

A migration and the row that remembers it have to be one transaction, and so have grants and the manifest behind them.
That transaction runs as the project's owner, who may not look into `internal`. These functions are its only way there.
They run as the gateway and ask `session_user`, the role that logged in, which neither SET ROLE nor a function nor a
trigger changes, and SET SESSION AUTHORIZATION only for a superuser. For any other login there is no project, and nothing
to read or write. They take no project id and build no SQL from text, so the worst that hostile SQL of a project does
through them is to lie about that project to itself.
"""

from __future__ import annotations

DDL = """
CREATE SCHEMA IF NOT EXISTS run402;
GRANT USAGE ON SCHEMA run402 TO PUBLIC;

CREATE OR REPLACE FUNCTION run402.own_project() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
  SELECT project_id FROM internal.core_projects WHERE roles = substring(session_user FROM '^(.*)_owner$')
$body$;

CREATE OR REPLACE FUNCTION run402.lock_expose() RETURNS TABLE (project_id text, schema_slot text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  PERFORM internal.core_lock('expose:' || run402.own_project());
  RETURN QUERY SELECT p.project_id, p.schema_slot FROM internal.core_projects p
    WHERE p.project_id = run402.own_project() FOR KEY SHARE;
END
$body$;

CREATE OR REPLACE FUNCTION run402.expose() RETURNS TABLE (manifest json, surfaces json, manifest_before json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
  SELECT e.manifest, e.surfaces, o.manifest FROM internal.core_expose e
  LEFT JOIN internal.core_expose_owed o ON o.project_id = e.project_id WHERE e.project_id = run402.own_project()
$body$;

-- Revocable: what is owed stays so. Nobody but the gateway says that something is.
CREATE OR REPLACE FUNCTION run402.put_expose(manifest json, surfaces json, revocable boolean) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
  DELETE FROM internal.core_expose_owed WHERE project_id = run402.own_project() AND NOT $3;
  INSERT INTO internal.core_expose AS e (project_id, manifest, surfaces) SELECT run402.own_project(), $1, $2
  ON CONFLICT (project_id) DO UPDATE SET manifest = excluded.manifest, surfaces = excluded.surfaces, applied_at = now()
$body$;

CREATE OR REPLACE FUNCTION run402.put_surfaces(surfaces json) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
  UPDATE internal.core_expose SET surfaces = $1, applied_at = now() WHERE project_id = run402.own_project()
$body$;

CREATE OR REPLACE FUNCTION run402.put_migration(migration_id text, checksum text, state text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
  INSERT INTO internal.core_applied_migrations (project_id, migration_id, checksum_hex, state)
  SELECT run402.own_project(), $1, $2, $3
  ON CONFLICT (project_id, migration_id) DO UPDATE
  SET checksum_hex = excluded.checksum_hex, state = excluded.state, applied_at = now()
$body$;
"""
