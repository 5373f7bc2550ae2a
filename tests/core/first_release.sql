SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE SCHEMA auth;
ALTER SCHEMA auth OWNER TO postgres;
CREATE SCHEMA internal;
ALTER SCHEMA internal OWNER TO postgres;
CREATE SCHEMA project_ea161fbd00850f82;
ALTER SCHEMA project_ea161fbd00850f82 OWNER TO postgres;
CREATE SCHEMA project_f8becf476bce2495;
ALTER SCHEMA project_f8becf476bce2495 OWNER TO postgres;
CREATE TYPE project_ea161fbd00850f82.mood AS ENUM (
    'ok'
);
ALTER TYPE project_ea161fbd00850f82.mood OWNER TO postgres;
CREATE DOMAIN project_ea161fbd00850f82.short AS text
	CONSTRAINT short_check CHECK ((length(VALUE) < 9));
ALTER DOMAIN project_ea161fbd00850f82.short OWNER TO postgres;
CREATE TYPE project_f8becf476bce2495.mood AS ENUM (
    'ok'
);
ALTER TYPE project_f8becf476bce2495.mood OWNER TO postgres;
CREATE DOMAIN project_f8becf476bce2495.short AS text
	CONSTRAINT short_check CHECK ((length(VALUE) < 9));
ALTER DOMAIN project_f8becf476bce2495.short OWNER TO postgres;
CREATE FUNCTION auth.jwt_claim(name text) RETURNS text
    LANGUAGE sql STABLE
    AS $$
  SELECT coalesce(
    nullif(current_setting('request.jwt.claim.' || name, true), ''),
    nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> name
  )
$$;
ALTER FUNCTION auth.jwt_claim(name text) OWNER TO postgres;
CREATE FUNCTION auth.project_id() RETURNS text
    LANGUAGE sql STABLE
    AS $$ SELECT auth.jwt_claim('project_id') $$;
ALTER FUNCTION auth.project_id() OWNER TO postgres;
CREATE FUNCTION auth.role() RETURNS text
    LANGUAGE sql STABLE
    AS $$ SELECT auth.jwt_claim('role') $$;
ALTER FUNCTION auth.role() OWNER TO postgres;
CREATE FUNCTION auth.uid() RETURNS text
    LANGUAGE sql STABLE
    AS $$ SELECT auth.jwt_claim('sub') $$;
ALTER FUNCTION auth.uid() OWNER TO postgres;
CREATE FUNCTION internal.core_hide_new_functions() RETURNS event_trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog'
    AS $$
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
$$;
ALTER FUNCTION internal.core_hide_new_functions() OWNER TO postgres;
CREATE FUNCTION project_ea161fbd00850f82.shout(q text) RETURNS text
    LANGUAGE sql
    AS $$select upper(q)$$;
ALTER FUNCTION project_ea161fbd00850f82.shout(q text) OWNER TO postgres;
CREATE FUNCTION project_f8becf476bce2495.shout(q text) RETURNS text
    LANGUAGE sql
    AS $$select upper(q)$$;
ALTER FUNCTION project_f8becf476bce2495.shout(q text) OWNER TO postgres;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE internal.core_applied_migrations (
    project_id text NOT NULL,
    migration_id text NOT NULL,
    checksum_hex text NOT NULL,
    state text DEFAULT 'applied'::text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT core_applied_migrations_state_check CHECK ((state = ANY (ARRAY['applied'::text, 'running'::text, 'failed'::text])))
);
ALTER TABLE internal.core_applied_migrations OWNER TO postgres;
CREATE TABLE internal.core_apply_plans (
    plan_id text NOT NULL,
    operation_id text NOT NULL,
    project_id text NOT NULL,
    dialect text NOT NULL,
    spec jsonb NOT NULL,
    release_spec_digest text NOT NULL,
    manifest_digest text NOT NULL,
    base_release_id text,
    target_release_id text NOT NULL,
    target_release_digest text NOT NULL,
    target_release jsonb NOT NULL,
    noop boolean NOT NULL,
    idempotency_key text,
    plan_fingerprint text,
    expires_at timestamp with time zone,
    status text DEFAULT 'planned'::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    committed_at timestamp with time zone,
    CONSTRAINT core_apply_plans_status_check CHECK ((status = ANY (ARRAY['planned'::text, 'committed'::text])))
);
ALTER TABLE internal.core_apply_plans OWNER TO postgres;
CREATE TABLE internal.core_auth_users (
    project_id text NOT NULL,
    user_id text NOT NULL,
    email text NOT NULL,
    role text DEFAULT 'authenticated'::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE internal.core_auth_users OWNER TO postgres;
CREATE TABLE internal.core_content_plans (
    plan_id text NOT NULL,
    project_id text NOT NULL,
    entries jsonb NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    committed_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE internal.core_content_plans OWNER TO postgres;
CREATE TABLE internal.core_content_uploads (
    upload_id text NOT NULL,
    plan_id text NOT NULL,
    project_id text NOT NULL,
    sha256 text NOT NULL,
    size_bytes bigint NOT NULL,
    part_bytes bigint NOT NULL,
    parts_done integer[] DEFAULT '{}'::integer[] NOT NULL,
    stored boolean DEFAULT false NOT NULL
);
ALTER TABLE internal.core_content_uploads OWNER TO postgres;
CREATE TABLE internal.core_credentials (
    credential_id text NOT NULL,
    project_id text NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    secret_sha256 text NOT NULL,
    short_lived boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    last_used_at timestamp with time zone,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    revoked_reason text,
    replacement_of text,
    CONSTRAINT core_credentials_kind_check CHECK ((kind = ANY (ARRAY['anon'::text, 'service'::text])))
);
ALTER TABLE internal.core_credentials OWNER TO postgres;
CREATE TABLE internal.core_expose (
    project_id text NOT NULL,
    manifest json NOT NULL,
    surfaces json NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE internal.core_expose OWNER TO postgres;
CREATE TABLE internal.core_function_secrets (
    project_id text NOT NULL,
    name text NOT NULL,
    scope text DEFAULT 'project'::text NOT NULL,
    function_name text DEFAULT ''::text NOT NULL,
    encrypted_value_ref text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE internal.core_function_secrets OWNER TO postgres;
CREATE TABLE internal.core_idempotency (
    idempotency_key text NOT NULL,
    request_sha256 text NOT NULL,
    project_id text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE internal.core_idempotency OWNER TO postgres;
CREATE TABLE internal.core_operation_events (
    id bigint NOT NULL,
    operation_id text NOT NULL,
    phase text NOT NULL,
    status text NOT NULL,
    message text NOT NULL,
    details jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE internal.core_operation_events OWNER TO postgres;
ALTER TABLE internal.core_operation_events ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME internal.core_operation_events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE internal.core_operations (
    operation_id text NOT NULL,
    project_id text NOT NULL,
    plan_id text,
    status text NOT NULL,
    base_release_id text,
    target_release_id text,
    release_id text,
    error jsonb,
    activate_attempts integer DEFAULT 0 NOT NULL,
    last_activate_attempt_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE internal.core_operations OWNER TO postgres;
CREATE TABLE internal.core_projects (
    project_id text NOT NULL,
    name text NOT NULL,
    schema_slot text NOT NULL,
    public_id text NOT NULL,
    anon_key text NOT NULL,
    service_key text NOT NULL,
    active_release_id text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE internal.core_projects OWNER TO postgres;
CREATE TABLE internal.core_releases (
    project_id text NOT NULL,
    release_id text NOT NULL,
    digest text NOT NULL,
    state jsonb NOT NULL,
    manifest_digest text,
    parent_id text,
    plan_id text,
    operation_id text,
    generation integer NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    activated_at timestamp with time zone DEFAULT now() NOT NULL,
    superseded_at timestamp with time zone
);
ALTER TABLE internal.core_releases OWNER TO postgres;
CREATE TABLE internal.core_subdomains (
    name text NOT NULL,
    project_id text NOT NULL,
    claimed_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE internal.core_subdomains OWNER TO postgres;
CREATE TABLE internal.core_wallet_labels (
    address text NOT NULL,
    label text NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE internal.core_wallet_labels OWNER TO postgres;
CREATE TABLE project_ea161fbd00850f82.notes (
    id integer NOT NULL,
    owner_id text,
    body project_ea161fbd00850f82.short,
    m project_ea161fbd00850f82.mood DEFAULT 'ok'::project_ea161fbd00850f82.mood
);
ALTER TABLE ONLY project_ea161fbd00850f82.notes FORCE ROW LEVEL SECURITY;
ALTER TABLE project_ea161fbd00850f82.notes OWNER TO postgres;
CREATE VIEW project_ea161fbd00850f82.bodies AS
 SELECT body
   FROM project_ea161fbd00850f82.notes;
ALTER VIEW project_ea161fbd00850f82.bodies OWNER TO postgres;
CREATE MATERIALIZED VIEW project_ea161fbd00850f82.counted AS
 SELECT count(*) AS count
   FROM project_ea161fbd00850f82.notes
  WITH NO DATA;
ALTER MATERIALIZED VIEW project_ea161fbd00850f82.counted OWNER TO postgres;
CREATE SEQUENCE project_ea161fbd00850f82.loose
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE project_ea161fbd00850f82.loose OWNER TO postgres;
CREATE SEQUENCE project_ea161fbd00850f82.notes_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE project_ea161fbd00850f82.notes_id_seq OWNER TO postgres;
ALTER SEQUENCE project_ea161fbd00850f82.notes_id_seq OWNED BY project_ea161fbd00850f82.notes.id;
CREATE TABLE project_ea161fbd00850f82.vault (
    word text
);
ALTER TABLE project_ea161fbd00850f82.vault OWNER TO postgres;
CREATE TABLE project_f8becf476bce2495.notes (
    id integer NOT NULL,
    owner_id text,
    body project_f8becf476bce2495.short,
    m project_f8becf476bce2495.mood DEFAULT 'ok'::project_f8becf476bce2495.mood
);
ALTER TABLE ONLY project_f8becf476bce2495.notes FORCE ROW LEVEL SECURITY;
ALTER TABLE project_f8becf476bce2495.notes OWNER TO postgres;
CREATE VIEW project_f8becf476bce2495.bodies AS
 SELECT body
   FROM project_f8becf476bce2495.notes;
ALTER VIEW project_f8becf476bce2495.bodies OWNER TO postgres;
CREATE MATERIALIZED VIEW project_f8becf476bce2495.counted AS
 SELECT count(*) AS count
   FROM project_f8becf476bce2495.notes
  WITH NO DATA;
ALTER MATERIALIZED VIEW project_f8becf476bce2495.counted OWNER TO postgres;
CREATE SEQUENCE project_f8becf476bce2495.loose
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE project_f8becf476bce2495.loose OWNER TO postgres;
CREATE SEQUENCE project_f8becf476bce2495.notes_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE project_f8becf476bce2495.notes_id_seq OWNER TO postgres;
ALTER SEQUENCE project_f8becf476bce2495.notes_id_seq OWNED BY project_f8becf476bce2495.notes.id;
CREATE TABLE project_f8becf476bce2495.vault (
    word text
);
ALTER TABLE project_f8becf476bce2495.vault OWNER TO postgres;
ALTER TABLE ONLY project_ea161fbd00850f82.notes ALTER COLUMN id SET DEFAULT nextval('project_ea161fbd00850f82.notes_id_seq'::regclass);
ALTER TABLE ONLY project_f8becf476bce2495.notes ALTER COLUMN id SET DEFAULT nextval('project_f8becf476bce2495.notes_id_seq'::regclass);
INSERT INTO internal.core_expose VALUES ('prj_ea161fbd00850f82', '{"version": "1", "tables": [{"name": "notes", "expose": true, "policy": "public_read_write_UNRESTRICTED", "i_understand_this_is_unrestricted": true}], "views": [], "rpcs": [{"name": "shout", "signature": "(q text)", "grant_to": ["anon"]}]}', '{"notes": "{\"forced\": true, \"options\": null, \"policies\": [[\"run402_public_read_write_delete\", \"d\", true, \"{anon,authenticated}\", \"true\", null], [\"run402_public_read_write_insert\", \"a\", true, \"{anon,authenticated}\", null, \"true\"], [\"run402_public_read_write_select\", \"r\", true, \"{anon,authenticated}\", \"true\", null], [\"run402_public_read_write_update\", \"w\", true, \"{anon,authenticated}\", \"true\", \"true\"]], \"rls\": true, \"triggers\": null, \"view\": null}"}', '2026-11-30 13:46:13.92165+00');
INSERT INTO internal.core_expose VALUES ('prj_f8becf476bce2495', '{"version": "1", "tables": [{"name": "notes", "expose": true, "policy": "public_read_write_UNRESTRICTED", "i_understand_this_is_unrestricted": true}], "views": [], "rpcs": [{"name": "shout", "signature": "(q text)", "grant_to": ["anon"]}]}', '{"notes": "{\"forced\": true, \"options\": null, \"policies\": [[\"run402_public_read_write_delete\", \"d\", true, \"{anon,authenticated}\", \"true\", null], [\"run402_public_read_write_insert\", \"a\", true, \"{anon,authenticated}\", null, \"true\"], [\"run402_public_read_write_select\", \"r\", true, \"{anon,authenticated}\", \"true\", null], [\"run402_public_read_write_update\", \"w\", true, \"{anon,authenticated}\", \"true\", \"true\"]], \"rls\": true, \"triggers\": null, \"view\": null}"}', '2026-11-30 13:46:14.2446+00');
INSERT INTO internal.core_projects VALUES ('prj_ea161fbd00850f82', 'first', 'project_ea161fbd00850f82', 'local_0fb718a2f7f0bb476d35', 'r402_anon_4e407b70e265ad3e606be26e7de95008f57f99d9bd14ffa6', 'r402_service_2c211519ef4af85469a6bd62ae9a5aa3e4554a8a3bfc1e05', NULL, '2026-11-30 13:46:13.734956+00', '2026-11-30 13:46:13.734956+00');
INSERT INTO internal.core_projects VALUES ('prj_f8becf476bce2495', 'second', 'project_f8becf476bce2495', 'local_de2a45af77bb448a8f81', 'r402_anon_f388501c01373c27ec62fb3eca234d698ef8350bc3a62b4c', 'r402_service_3c803b6cd91f6aa0b4d3925fb368e008ea9a88cd345c04bd', NULL, '2026-11-30 13:46:14.016114+00', '2026-11-30 13:46:14.016114+00');
INSERT INTO project_ea161fbd00850f82.notes VALUES (1, 'u1', 'one', 'ok');
INSERT INTO project_ea161fbd00850f82.notes VALUES (2, 'u2', 'two', 'ok');
INSERT INTO project_ea161fbd00850f82.vault VALUES ('hidden');
INSERT INTO project_f8becf476bce2495.notes VALUES (1, 'u1', 'one', 'ok');
INSERT INTO project_f8becf476bce2495.notes VALUES (2, 'u2', 'two', 'ok');
INSERT INTO project_f8becf476bce2495.vault VALUES ('hidden');
SELECT pg_catalog.setval('internal.core_operation_events_id_seq', 1, false);
SELECT pg_catalog.setval('project_ea161fbd00850f82.loose', 1, false);
SELECT pg_catalog.setval('project_ea161fbd00850f82.notes_id_seq', 2, true);
SELECT pg_catalog.setval('project_f8becf476bce2495.loose', 1, false);
SELECT pg_catalog.setval('project_f8becf476bce2495.notes_id_seq', 2, true);
ALTER TABLE ONLY internal.core_applied_migrations
    ADD CONSTRAINT core_applied_migrations_pkey PRIMARY KEY (project_id, migration_id);
ALTER TABLE ONLY internal.core_apply_plans
    ADD CONSTRAINT core_apply_plans_pkey PRIMARY KEY (plan_id);
ALTER TABLE ONLY internal.core_auth_users
    ADD CONSTRAINT core_auth_users_pkey PRIMARY KEY (project_id, user_id);
ALTER TABLE ONLY internal.core_content_plans
    ADD CONSTRAINT core_content_plans_pkey PRIMARY KEY (plan_id);
ALTER TABLE ONLY internal.core_content_uploads
    ADD CONSTRAINT core_content_uploads_pkey PRIMARY KEY (upload_id);
ALTER TABLE ONLY internal.core_credentials
    ADD CONSTRAINT core_credentials_pkey PRIMARY KEY (credential_id);
ALTER TABLE ONLY internal.core_credentials
    ADD CONSTRAINT core_credentials_secret_sha256_key UNIQUE (secret_sha256);
ALTER TABLE ONLY internal.core_expose
    ADD CONSTRAINT core_expose_pkey PRIMARY KEY (project_id);
ALTER TABLE ONLY internal.core_function_secrets
    ADD CONSTRAINT core_function_secrets_pkey PRIMARY KEY (project_id, name, scope, function_name);
ALTER TABLE ONLY internal.core_idempotency
    ADD CONSTRAINT core_idempotency_pkey PRIMARY KEY (idempotency_key);
ALTER TABLE ONLY internal.core_operation_events
    ADD CONSTRAINT core_operation_events_pkey PRIMARY KEY (id);
ALTER TABLE ONLY internal.core_operations
    ADD CONSTRAINT core_operations_pkey PRIMARY KEY (operation_id);
ALTER TABLE ONLY internal.core_projects
    ADD CONSTRAINT core_projects_anon_key_key UNIQUE (anon_key);
ALTER TABLE ONLY internal.core_projects
    ADD CONSTRAINT core_projects_pkey PRIMARY KEY (project_id);
ALTER TABLE ONLY internal.core_projects
    ADD CONSTRAINT core_projects_public_id_key UNIQUE (public_id);
ALTER TABLE ONLY internal.core_projects
    ADD CONSTRAINT core_projects_schema_slot_key UNIQUE (schema_slot);
ALTER TABLE ONLY internal.core_projects
    ADD CONSTRAINT core_projects_service_key_key UNIQUE (service_key);
ALTER TABLE ONLY internal.core_releases
    ADD CONSTRAINT core_releases_pkey PRIMARY KEY (project_id, release_id);
ALTER TABLE ONLY internal.core_subdomains
    ADD CONSTRAINT core_subdomains_pkey PRIMARY KEY (name);
ALTER TABLE ONLY internal.core_wallet_labels
    ADD CONSTRAINT core_wallet_labels_pkey PRIMARY KEY (address);
ALTER TABLE ONLY project_ea161fbd00850f82.notes
    ADD CONSTRAINT notes_pkey PRIMARY KEY (id);
ALTER TABLE ONLY project_f8becf476bce2495.notes
    ADD CONSTRAINT notes_pkey PRIMARY KEY (id);
CREATE INDEX core_apply_plans_idempotency ON internal.core_apply_plans USING btree (project_id, idempotency_key) WHERE (idempotency_key IS NOT NULL);
CREATE UNIQUE INDEX core_auth_users_email ON internal.core_auth_users USING btree (project_id, lower(email));
CREATE INDEX core_content_uploads_plan ON internal.core_content_uploads USING btree (plan_id);
CREATE UNIQUE INDEX core_credentials_live_name ON internal.core_credentials USING btree (project_id, name) WHERE (revoked_at IS NULL);
CREATE INDEX core_operation_events_operation ON internal.core_operation_events USING btree (operation_id, id);
CREATE INDEX core_operations_project ON internal.core_operations USING btree (project_id, created_at);
ALTER TABLE ONLY internal.core_applied_migrations
    ADD CONSTRAINT core_applied_migrations_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_apply_plans
    ADD CONSTRAINT core_apply_plans_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_auth_users
    ADD CONSTRAINT core_auth_users_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_content_plans
    ADD CONSTRAINT core_content_plans_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_content_uploads
    ADD CONSTRAINT core_content_uploads_plan_id_fkey FOREIGN KEY (plan_id) REFERENCES internal.core_content_plans(plan_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_credentials
    ADD CONSTRAINT core_credentials_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_expose
    ADD CONSTRAINT core_expose_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_function_secrets
    ADD CONSTRAINT core_function_secrets_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_idempotency
    ADD CONSTRAINT core_idempotency_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_operation_events
    ADD CONSTRAINT core_operation_events_operation_id_fkey FOREIGN KEY (operation_id) REFERENCES internal.core_operations(operation_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_operations
    ADD CONSTRAINT core_operations_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_releases
    ADD CONSTRAINT core_releases_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_subdomains
    ADD CONSTRAINT core_subdomains_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE project_ea161fbd00850f82.notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY run402_public_read_write_delete ON project_ea161fbd00850f82.notes FOR DELETE TO anon, authenticated USING (true);
CREATE POLICY run402_public_read_write_insert ON project_ea161fbd00850f82.notes FOR INSERT TO anon, authenticated WITH CHECK (true);
CREATE POLICY run402_public_read_write_select ON project_ea161fbd00850f82.notes FOR SELECT TO anon, authenticated USING (true);
CREATE POLICY run402_public_read_write_update ON project_ea161fbd00850f82.notes FOR UPDATE TO anon, authenticated USING (true) WITH CHECK (true);
ALTER TABLE project_f8becf476bce2495.notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY run402_public_read_write_delete ON project_f8becf476bce2495.notes FOR DELETE TO anon, authenticated USING (true);
CREATE POLICY run402_public_read_write_insert ON project_f8becf476bce2495.notes FOR INSERT TO anon, authenticated WITH CHECK (true);
CREATE POLICY run402_public_read_write_select ON project_f8becf476bce2495.notes FOR SELECT TO anon, authenticated USING (true);
CREATE POLICY run402_public_read_write_update ON project_f8becf476bce2495.notes FOR UPDATE TO anon, authenticated USING (true) WITH CHECK (true);
GRANT USAGE ON SCHEMA auth TO anon;
GRANT USAGE ON SCHEMA auth TO authenticated;
GRANT USAGE ON SCHEMA auth TO service_role;
GRANT USAGE ON SCHEMA internal TO authenticator;
GRANT USAGE ON SCHEMA internal TO anon;
GRANT USAGE ON SCHEMA internal TO authenticated;
GRANT USAGE ON SCHEMA internal TO service_role;
GRANT USAGE ON SCHEMA project_ea161fbd00850f82 TO anon;
GRANT USAGE ON SCHEMA project_ea161fbd00850f82 TO authenticated;
GRANT USAGE ON SCHEMA project_ea161fbd00850f82 TO service_role;
GRANT USAGE ON SCHEMA project_f8becf476bce2495 TO anon;
GRANT USAGE ON SCHEMA project_f8becf476bce2495 TO authenticated;
GRANT USAGE ON SCHEMA project_f8becf476bce2495 TO service_role;
REVOKE ALL ON FUNCTION project_ea161fbd00850f82.shout(q text) FROM PUBLIC;
GRANT ALL ON FUNCTION project_ea161fbd00850f82.shout(q text) TO service_role;
GRANT ALL ON FUNCTION project_ea161fbd00850f82.shout(q text) TO anon;
REVOKE ALL ON FUNCTION project_f8becf476bce2495.shout(q text) FROM PUBLIC;
GRANT ALL ON FUNCTION project_f8becf476bce2495.shout(q text) TO service_role;
GRANT ALL ON FUNCTION project_f8becf476bce2495.shout(q text) TO anon;
GRANT ALL ON TABLE project_ea161fbd00850f82.notes TO service_role;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE project_ea161fbd00850f82.notes TO anon;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE project_ea161fbd00850f82.notes TO authenticated;
GRANT ALL ON TABLE project_ea161fbd00850f82.bodies TO service_role;
GRANT ALL ON TABLE project_ea161fbd00850f82.counted TO service_role;
GRANT ALL ON SEQUENCE project_ea161fbd00850f82.loose TO service_role;
GRANT ALL ON SEQUENCE project_ea161fbd00850f82.notes_id_seq TO service_role;
GRANT USAGE ON SEQUENCE project_ea161fbd00850f82.notes_id_seq TO anon;
GRANT USAGE ON SEQUENCE project_ea161fbd00850f82.notes_id_seq TO authenticated;
GRANT ALL ON TABLE project_ea161fbd00850f82.vault TO service_role;
GRANT ALL ON TABLE project_f8becf476bce2495.notes TO service_role;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE project_f8becf476bce2495.notes TO anon;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE project_f8becf476bce2495.notes TO authenticated;
GRANT ALL ON TABLE project_f8becf476bce2495.bodies TO service_role;
GRANT ALL ON TABLE project_f8becf476bce2495.counted TO service_role;
GRANT ALL ON SEQUENCE project_f8becf476bce2495.loose TO service_role;
GRANT ALL ON SEQUENCE project_f8becf476bce2495.notes_id_seq TO service_role;
GRANT USAGE ON SEQUENCE project_f8becf476bce2495.notes_id_seq TO anon;
GRANT USAGE ON SEQUENCE project_f8becf476bce2495.notes_id_seq TO authenticated;
GRANT ALL ON TABLE project_f8becf476bce2495.vault TO service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA project_ea161fbd00850f82 GRANT ALL ON SEQUENCES TO service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA project_ea161fbd00850f82 GRANT ALL ON FUNCTIONS TO service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA project_ea161fbd00850f82 GRANT ALL ON TABLES TO service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA project_f8becf476bce2495 GRANT ALL ON SEQUENCES TO service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA project_f8becf476bce2495 GRANT ALL ON FUNCTIONS TO service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA project_f8becf476bce2495 GRANT ALL ON TABLES TO service_role;
CREATE EVENT TRIGGER run402_hide_new_functions ON ddl_command_end
         WHEN TAG IN ('CREATE FUNCTION', 'CREATE PROCEDURE', 'CREATE AGGREGATE')
   EXECUTE FUNCTION internal.core_hide_new_functions();
ALTER EVENT TRIGGER run402_hide_new_functions OWNER TO postgres;
REFRESH MATERIALIZED VIEW project_ea161fbd00850f82.counted;
REFRESH MATERIALIZED VIEW project_f8becf476bce2495.counted;
