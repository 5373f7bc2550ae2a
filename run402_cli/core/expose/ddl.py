"""The role of project admins, a group as anon and authenticated are. See docs/expose.md."""

DDL = r"""
DO $body$
BEGIN
  IF NOT pg_has_role('project_admin', 'authenticated', 'MEMBER') THEN
    GRANT authenticated TO project_admin;
  END IF;
EXCEPTION WHEN unique_violation THEN
  NULL;  -- another database of the same server did it at the same moment
END
$body$;
"""
