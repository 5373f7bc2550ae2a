"""The role of project admins, and the guard that makes new functions callable by nobody. See docs/expose.md."""

DDL = r"""
DO $body$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'project_admin') THEN
    CREATE ROLE project_admin NOLOGIN;
  END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
  NULL;  -- another database of the same server made it at the same moment
END
$body$;

DO $body$
BEGIN
  IF NOT pg_has_role('project_admin', 'authenticated', 'MEMBER') THEN
    GRANT authenticated TO project_admin;
  END IF;
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'authenticator')
     AND NOT pg_has_role('authenticator', 'project_admin', 'MEMBER') THEN
    GRANT project_admin TO authenticator;
  END IF;
END
$body$;

CREATE OR REPLACE FUNCTION internal.core_hide_new_functions() RETURNS event_trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $body$
DECLARE
  made record;
BEGIN
  FOR made IN
    SELECT c.objid FROM pg_event_trigger_ddl_commands() c
    JOIN pg_proc p ON p.oid = c.objid
    WHERE c.classid = 'pg_proc'::regclass AND c.schema_name ~ '^project_'
      AND EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0)
  LOOP
    EXECUTE format('REVOKE EXECUTE ON ROUTINE %s FROM PUBLIC', made.objid::regprocedure);
  END LOOP;
END
$body$;

DO $body$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_event_trigger WHERE evtname = 'run402_hide_new_functions') THEN
    CREATE EVENT TRIGGER run402_hide_new_functions ON ddl_command_end
      WHEN TAG IN ('CREATE FUNCTION', 'CREATE PROCEDURE', 'CREATE AGGREGATE')
      EXECUTE FUNCTION internal.core_hide_new_functions();
  END IF;
EXCEPTION WHEN insufficient_privilege THEN
  NULL;  -- not a superuser: the grants are put right after each migration instead
END
$body$;
"""
