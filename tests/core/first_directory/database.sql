CREATE ROLE anon;
ALTER ROLE anon WITH NOSUPERUSER INHERIT NOCREATEROLE NOCREATEDB NOLOGIN NOREPLICATION NOBYPASSRLS;
CREATE ROLE authenticated;
ALTER ROLE authenticated WITH NOSUPERUSER INHERIT NOCREATEROLE NOCREATEDB NOLOGIN NOREPLICATION NOBYPASSRLS;
CREATE ROLE authenticator;
ALTER ROLE authenticator WITH NOSUPERUSER NOINHERIT NOCREATEROLE NOCREATEDB LOGIN NOREPLICATION NOBYPASSRLS;
CREATE ROLE project_admin;
ALTER ROLE project_admin WITH NOSUPERUSER INHERIT NOCREATEROLE NOCREATEDB NOLOGIN NOREPLICATION NOBYPASSRLS;
CREATE ROLE run402_archive_importer;
ALTER ROLE run402_archive_importer WITH NOSUPERUSER INHERIT NOCREATEROLE NOCREATEDB NOLOGIN NOREPLICATION BYPASSRLS;
CREATE ROLE service_role;
ALTER ROLE service_role WITH NOSUPERUSER INHERIT NOCREATEROLE NOCREATEDB NOLOGIN NOREPLICATION BYPASSRLS;
GRANT anon TO authenticator WITH INHERIT FALSE GRANTED BY postgres;
GRANT anon TO postgres WITH INHERIT TRUE GRANTED BY postgres;
GRANT authenticated TO authenticator WITH INHERIT FALSE GRANTED BY postgres;
GRANT authenticated TO postgres WITH INHERIT TRUE GRANTED BY postgres;
GRANT authenticated TO project_admin WITH INHERIT TRUE GRANTED BY postgres;
GRANT project_admin TO authenticator WITH INHERIT FALSE GRANTED BY postgres;
GRANT run402_archive_importer TO postgres WITH INHERIT TRUE GRANTED BY postgres;
GRANT service_role TO authenticator WITH INHERIT FALSE GRANTED BY postgres;
GRANT service_role TO postgres WITH INHERIT TRUE GRANTED BY postgres;
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
CREATE SCHEMA project_4f24512716218d9c;
ALTER SCHEMA project_4f24512716218d9c OWNER TO postgres;
CREATE SCHEMA project_52b95dc96056aec7;
ALTER SCHEMA project_52b95dc96056aec7 OWNER TO postgres;
CREATE SCHEMA project_ea447efeef6b0244;
ALTER SCHEMA project_ea447efeef6b0244 OWNER TO postgres;
CREATE SCHEMA snapshot_5af23056cc83090e;
ALTER SCHEMA snapshot_5af23056cc83090e OWNER TO postgres;
CREATE SCHEMA snapshot_bc01118d92bccfa4;
ALTER SCHEMA snapshot_bc01118d92bccfa4 OWNER TO postgres;
CREATE TYPE project_4f24512716218d9c.mood AS ENUM (
    'ok'
);
ALTER TYPE project_4f24512716218d9c.mood OWNER TO postgres;
CREATE TYPE project_52b95dc96056aec7.mood AS ENUM (
    'ok'
);
ALTER TYPE project_52b95dc96056aec7.mood OWNER TO postgres;
CREATE TYPE project_ea447efeef6b0244.mood AS ENUM (
    'ok'
);
ALTER TYPE project_ea447efeef6b0244.mood OWNER TO postgres;
CREATE TYPE snapshot_5af23056cc83090e.mood AS ENUM (
    'ok'
);
ALTER TYPE snapshot_5af23056cc83090e.mood OWNER TO postgres;
CREATE TYPE snapshot_bc01118d92bccfa4.mood AS ENUM (
    'ok'
);
ALTER TYPE snapshot_bc01118d92bccfa4.mood OWNER TO postgres;
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
CREATE FUNCTION project_4f24512716218d9c.mark() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ begin new.word := new.word || '!'; return new; end $$;
ALTER FUNCTION project_4f24512716218d9c.mark() OWNER TO postgres;
CREATE FUNCTION project_4f24512716218d9c.mine_set_owner_fn() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$BEGIN IF NEW."user_id" IS NULL THEN NEW."user_id" := auth.uid(); END IF; RETURN NEW; END$$;
ALTER FUNCTION project_4f24512716218d9c.mine_set_owner_fn() OWNER TO postgres;
CREATE FUNCTION project_4f24512716218d9c.shout(q text) RETURNS text
    LANGUAGE sql STABLE
    AS $$select upper(q)$$;
ALTER FUNCTION project_4f24512716218d9c.shout(q text) OWNER TO postgres;
CREATE FUNCTION project_52b95dc96056aec7.mark() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ begin new.word := new.word || '!'; return new; end $$;
ALTER FUNCTION project_52b95dc96056aec7.mark() OWNER TO postgres;
CREATE FUNCTION project_52b95dc96056aec7.mine_set_owner_fn() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$BEGIN IF NEW."user_id" IS NULL THEN NEW."user_id" := auth.uid(); END IF; RETURN NEW; END$$;
ALTER FUNCTION project_52b95dc96056aec7.mine_set_owner_fn() OWNER TO postgres;
CREATE FUNCTION project_52b95dc96056aec7.shout(q text) RETURNS text
    LANGUAGE sql STABLE
    AS $$select upper(q)$$;
ALTER FUNCTION project_52b95dc96056aec7.shout(q text) OWNER TO postgres;
CREATE FUNCTION project_ea447efeef6b0244.mark() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ begin new.word := new.word || '!'; return new; end $$;
ALTER FUNCTION project_ea447efeef6b0244.mark() OWNER TO postgres;
CREATE FUNCTION project_ea447efeef6b0244.mine_set_owner_fn() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$BEGIN IF NEW."user_id" IS NULL THEN NEW."user_id" := auth.uid(); END IF; RETURN NEW; END$$;
ALTER FUNCTION project_ea447efeef6b0244.mine_set_owner_fn() OWNER TO postgres;
CREATE FUNCTION project_ea447efeef6b0244.shout(q text) RETURNS text
    LANGUAGE sql STABLE
    AS $$select upper(q)$$;
ALTER FUNCTION project_ea447efeef6b0244.shout(q text) OWNER TO postgres;
CREATE FUNCTION snapshot_5af23056cc83090e.mark() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ begin new.word := new.word || '!'; return new; end $$;
ALTER FUNCTION snapshot_5af23056cc83090e.mark() OWNER TO postgres;
CREATE FUNCTION snapshot_5af23056cc83090e.mine_set_owner_fn() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$BEGIN IF NEW."user_id" IS NULL THEN NEW."user_id" := auth.uid(); END IF; RETURN NEW; END$$;
ALTER FUNCTION snapshot_5af23056cc83090e.mine_set_owner_fn() OWNER TO postgres;
CREATE FUNCTION snapshot_5af23056cc83090e.shout(q text) RETURNS text
    LANGUAGE sql STABLE
    AS $$select upper(q)$$;
ALTER FUNCTION snapshot_5af23056cc83090e.shout(q text) OWNER TO postgres;
CREATE FUNCTION snapshot_bc01118d92bccfa4.mark() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ begin new.word := new.word || '!'; return new; end $$;
ALTER FUNCTION snapshot_bc01118d92bccfa4.mark() OWNER TO postgres;
CREATE FUNCTION snapshot_bc01118d92bccfa4.mine_set_owner_fn() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$BEGIN IF NEW."user_id" IS NULL THEN NEW."user_id" := auth.uid(); END IF; RETURN NEW; END$$;
ALTER FUNCTION snapshot_bc01118d92bccfa4.mine_set_owner_fn() OWNER TO postgres;
CREATE FUNCTION snapshot_bc01118d92bccfa4.shout(q text) RETURNS text
    LANGUAGE sql STABLE
    AS $$select upper(q)$$;
ALTER FUNCTION snapshot_bc01118d92bccfa4.shout(q text) OWNER TO postgres;
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
    remembered jsonb DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT core_apply_plans_status_check CHECK ((status = ANY (ARRAY['planned'::text, 'committed'::text])))
);
ALTER TABLE internal.core_apply_plans OWNER TO postgres;
CREATE TABLE internal.core_archives (
    archive_id text NOT NULL,
    project_id text NOT NULL,
    operation_id text NOT NULL,
    idempotency_key text,
    status text DEFAULT 'running'::text NOT NULL,
    scope text NOT NULL,
    auth_export text NOT NULL,
    consistency_mode text NOT NULL,
    active_release_id text,
    facts jsonb DEFAULT '{}'::jsonb NOT NULL,
    error jsonb,
    byte_count bigint,
    sha256 text,
    expires_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    completed_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT core_archives_status_check CHECK ((status = ANY (ARRAY['running'::text, 'ready'::text, 'failed'::text, 'expired'::text])))
);
ALTER TABLE internal.core_archives OWNER TO postgres;
CREATE TABLE internal.core_auth_challenges (
    challenge_id text NOT NULL,
    project_id text NOT NULL,
    email text NOT NULL,
    intent text NOT NULL,
    delivery text NOT NULL,
    client_state text,
    trusted boolean NOT NULL,
    token_sha256 text,
    code_mac text,
    attempts integer DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone
);
ALTER TABLE internal.core_auth_challenges OWNER TO postgres;
CREATE TABLE internal.core_auth_refresh_tokens (
    token_sha256 text NOT NULL,
    session_id text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    used_at timestamp with time zone
);
ALTER TABLE internal.core_auth_refresh_tokens OWNER TO postgres;
CREATE TABLE internal.core_auth_sessions (
    session_id text NOT NULL,
    project_id text NOT NULL,
    user_id text NOT NULL,
    method text NOT NULL,
    signed_in_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone,
    revoked_reason text
);
ALTER TABLE internal.core_auth_sessions OWNER TO postgres;
CREATE TABLE internal.core_auth_settings (
    project_id text NOT NULL,
    allow_password_set boolean NOT NULL,
    preferred_sign_in_method text,
    public_signup text NOT NULL,
    require_passkey_for_project_admin boolean NOT NULL,
    allowed_email_domains text[] NOT NULL
);
ALTER TABLE internal.core_auth_settings OWNER TO postgres;
CREATE TABLE internal.core_auth_subject_stubs (
    project_id text NOT NULL,
    subject_id text NOT NULL,
    subject_references jsonb DEFAULT '[]'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE internal.core_auth_subject_stubs OWNER TO postgres;
CREATE TABLE internal.core_auth_users (
    project_id text NOT NULL,
    user_id text NOT NULL,
    email text NOT NULL,
    role text DEFAULT 'authenticated'::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    email_verified_at timestamp with time zone,
    invited_at timestamp with time zone,
    password_hash text,
    password_set_at timestamp with time zone,
    last_sign_in_at timestamp with time zone,
    data jsonb DEFAULT '{}'::jsonb NOT NULL
);
ALTER TABLE internal.core_auth_users OWNER TO postgres;
CREATE TABLE internal.core_branches (
    branch_project_id text NOT NULL,
    parent_project_id text NOT NULL,
    operation_id text NOT NULL,
    name text NOT NULL,
    email_mode text NOT NULL,
    enable_cron boolean NOT NULL,
    snapshot_id text,
    captured_at timestamp with time zone NOT NULL,
    parent_release_id text,
    branch_release_id text,
    expires_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE internal.core_branches OWNER TO postgres;
CREATE TABLE internal.core_cache_generations (
    host text NOT NULL,
    generation bigint NOT NULL
);
ALTER TABLE internal.core_cache_generations OWNER TO postgres;
CREATE TABLE internal.core_ci_bindings (
    binding_id text NOT NULL,
    project_id text NOT NULL,
    subject_match text NOT NULL,
    allowed_events jsonb NOT NULL,
    route_scopes jsonb NOT NULL,
    asset_key_scopes jsonb DEFAULT '[]'::jsonb NOT NULL,
    github_repository_id text,
    created_by text NOT NULL,
    nonce text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    last_used_at timestamp with time zone,
    use_count bigint DEFAULT 0 NOT NULL
);
ALTER TABLE internal.core_ci_bindings OWNER TO postgres;
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
CREATE TABLE internal.core_email_messages (
    message_id text NOT NULL,
    project_id text NOT NULL,
    mailbox_id text,
    direction text NOT NULL,
    from_address text NOT NULL,
    to_address text NOT NULL,
    subject text NOT NULL,
    body_html text NOT NULL,
    body_text text NOT NULL,
    template text,
    variables jsonb NOT NULL,
    status text NOT NULL,
    delivery_state text NOT NULL,
    provider_message_id text NOT NULL,
    in_reply_to_message_id text,
    attachments_meta jsonb,
    raw bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    sent_at timestamp with time zone,
    received_at timestamp with time zone
);
ALTER TABLE internal.core_email_messages OWNER TO postgres;
CREATE TABLE internal.core_expose (
    project_id text NOT NULL,
    manifest json NOT NULL,
    surfaces json NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE internal.core_expose OWNER TO postgres;
CREATE TABLE internal.core_fault_calls (
    project_id text NOT NULL,
    minute timestamp with time zone NOT NULL,
    function_name text NOT NULL,
    calls bigint NOT NULL
);
ALTER TABLE internal.core_fault_calls OWNER TO postgres;
CREATE TABLE internal.core_fault_occurrences (
    id bigint NOT NULL,
    project_id text NOT NULL,
    fingerprint_id text NOT NULL,
    at timestamp with time zone NOT NULL,
    request_id text NOT NULL,
    release_id text
);
ALTER TABLE internal.core_fault_occurrences OWNER TO postgres;
CREATE SEQUENCE internal.core_fault_occurrences_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE internal.core_fault_occurrences_id_seq OWNER TO postgres;
ALTER SEQUENCE internal.core_fault_occurrences_id_seq OWNED BY internal.core_fault_occurrences.id;
CREATE TABLE internal.core_faults (
    project_id text NOT NULL,
    fingerprint_id text NOT NULL,
    identity text NOT NULL,
    function_name text NOT NULL,
    kind text NOT NULL,
    quality text NOT NULL,
    error_name text NOT NULL,
    message_template text NOT NULL,
    stable_frames jsonb NOT NULL,
    first_seen timestamp with time zone NOT NULL,
    last_seen timestamp with time zone NOT NULL,
    first_seen_release_id text,
    last_seen_release_id text,
    first_sample text NOT NULL
);
ALTER TABLE internal.core_faults OWNER TO postgres;
CREATE TABLE internal.core_function_bundles (
    project_id text NOT NULL,
    release_id text NOT NULL,
    name text NOT NULL,
    entry jsonb NOT NULL,
    code jsonb NOT NULL,
    lock jsonb,
    runtime_version text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE internal.core_function_bundles OWNER TO postgres;
CREATE TABLE internal.core_function_logs (
    id bigint NOT NULL,
    "timestamp" timestamp with time zone NOT NULL,
    request_id text NOT NULL,
    project_id text NOT NULL,
    release_id text,
    function_name text NOT NULL,
    stream text NOT NULL,
    level text NOT NULL,
    message text NOT NULL,
    redacted boolean NOT NULL
);
ALTER TABLE internal.core_function_logs OWNER TO postgres;
CREATE SEQUENCE internal.core_function_logs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE internal.core_function_logs_id_seq OWNER TO postgres;
ALTER SEQUENCE internal.core_function_logs_id_seq OWNED BY internal.core_function_logs.id;
CREATE TABLE internal.core_function_run_attempts (
    attempt_id text NOT NULL,
    run_id text NOT NULL,
    generation integer NOT NULL,
    number integer NOT NULL,
    started_at timestamp with time zone NOT NULL,
    completed_at timestamp with time zone,
    response_status integer,
    error jsonb
);
ALTER TABLE internal.core_function_run_attempts OWNER TO postgres;
CREATE TABLE internal.core_function_runs (
    run_id text NOT NULL,
    project_id text NOT NULL,
    function_name text NOT NULL,
    event_type text NOT NULL,
    payload jsonb NOT NULL,
    idempotency_key text NOT NULL,
    intent_sha256 text NOT NULL,
    status text NOT NULL,
    generation integer DEFAULT 1 NOT NULL,
    run_at timestamp with time zone NOT NULL,
    next_attempt_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone,
    source jsonb NOT NULL,
    retry jsonb NOT NULL,
    attempts_current integer DEFAULT 0 NOT NULL,
    attempts_total integer DEFAULT 0 NOT NULL,
    last_attempt jsonb,
    last_error jsonb,
    lease_owner text,
    lease_expires_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    completed_at timestamp with time zone
);
ALTER TABLE internal.core_function_runs OWNER TO postgres;
CREATE TABLE internal.core_function_schedules (
    project_id text NOT NULL,
    function_name text NOT NULL,
    trigger_id text NOT NULL,
    trigger jsonb NOT NULL,
    next_tick_at timestamp with time zone,
    last_enqueued_at timestamp with time zone,
    last_run_id text,
    run_count integer DEFAULT 0 NOT NULL,
    last_error text,
    active boolean DEFAULT true NOT NULL
);
ALTER TABLE internal.core_function_schedules OWNER TO postgres;
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
CREATE TABLE internal.core_job_logs (
    id bigint NOT NULL,
    job_id text NOT NULL,
    "timestamp" timestamp with time zone DEFAULT now() NOT NULL,
    message text NOT NULL
);
ALTER TABLE internal.core_job_logs OWNER TO postgres;
CREATE SEQUENCE internal.core_job_logs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE internal.core_job_logs_id_seq OWNER TO postgres;
ALTER SEQUENCE internal.core_job_logs_id_seq OWNED BY internal.core_job_logs.id;
CREATE TABLE internal.core_jobs (
    job_id text NOT NULL,
    project_id text NOT NULL,
    job_type text NOT NULL,
    input jsonb NOT NULL,
    max_cost_usd_micros bigint NOT NULL,
    idempotency_key text,
    request_sha256 text NOT NULL,
    status text DEFAULT 'queued'::text NOT NULL,
    artifacts jsonb,
    error jsonb,
    attempts integer DEFAULT 0 NOT NULL,
    wall_seconds double precision,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    started_at timestamp with time zone,
    completed_at timestamp with time zone,
    callback_url text,
    callback_due_at timestamp with time zone,
    callback_attempts integer DEFAULT 0 NOT NULL
);
ALTER TABLE internal.core_jobs OWNER TO postgres;
CREATE TABLE internal.core_mailbox_webhooks (
    webhook_id text NOT NULL,
    project_id text NOT NULL,
    mailbox_id text NOT NULL,
    url text NOT NULL,
    events text[] NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE internal.core_mailbox_webhooks OWNER TO postgres;
CREATE TABLE internal.core_mailboxes (
    mailbox_id text NOT NULL,
    project_id text NOT NULL,
    slug text NOT NULL,
    address text NOT NULL,
    footer_policy text DEFAULT 'none'::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    tombstoned_at timestamp with time zone
);
ALTER TABLE internal.core_mailboxes OWNER TO postgres;
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
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    kind text DEFAULT 'deploy'::text NOT NULL,
    rehearsal_report jsonb
);
ALTER TABLE internal.core_operations OWNER TO postgres;
CREATE TABLE internal.core_payments (
    payer text NOT NULL,
    nonce text NOT NULL,
    amount_usd_micros bigint NOT NULL,
    purpose text NOT NULL,
    transaction_id text NOT NULL,
    settled_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE internal.core_payments OWNER TO postgres;
CREATE TABLE internal.core_project_events (
    id bigint NOT NULL,
    event_id text NOT NULL,
    project_id text NOT NULL,
    event_type text NOT NULL,
    class text NOT NULL,
    source text NOT NULL,
    payload jsonb NOT NULL,
    payload_truncated boolean DEFAULT false NOT NULL,
    idempotency_key text,
    occurred_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE internal.core_project_events OWNER TO postgres;
CREATE SEQUENCE internal.core_project_events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE internal.core_project_events_id_seq OWNER TO postgres;
ALTER SEQUENCE internal.core_project_events_id_seq OWNED BY internal.core_project_events.id;
CREATE TABLE internal.core_project_mailbox_settings (
    project_id text NOT NULL,
    default_outbound_mailbox_id text,
    auth_sender_mailbox_id text
);
ALTER TABLE internal.core_project_mailbox_settings OWNER TO postgres;
CREATE TABLE internal.core_project_owners (
    project_id text NOT NULL,
    wallet text NOT NULL
);
ALTER TABLE internal.core_project_owners OWNER TO postgres;
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
CREATE TABLE internal.core_siwx_nonces (
    wallet text NOT NULL,
    nonce text NOT NULL,
    expires_at timestamp with time zone NOT NULL
);
ALTER TABLE internal.core_siwx_nonces OWNER TO postgres;
CREATE TABLE internal.core_snapshots (
    snapshot_id text NOT NULL,
    project_id text NOT NULL,
    operation_id text NOT NULL,
    kind text NOT NULL,
    schema_slot text NOT NULL,
    former_slots text[] DEFAULT '{}'::text[] NOT NULL,
    size_bytes bigint NOT NULL,
    live_release_id text,
    migrations jsonb NOT NULL,
    expose json,
    confirm_token text,
    confirm_expires_at timestamp with time zone,
    expires_at timestamp with time zone,
    captured_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);
ALTER TABLE internal.core_snapshots OWNER TO postgres;
CREATE TABLE internal.core_storage_objects (
    project_id text NOT NULL,
    key text NOT NULL COLLATE pg_catalog."C",
    sha256 text NOT NULL,
    size_bytes bigint NOT NULL,
    content_type text NOT NULL,
    visibility text NOT NULL,
    immutable boolean NOT NULL,
    metadata jsonb,
    exif_policy text,
    image jsonb,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT core_storage_objects_visibility_check CHECK ((visibility = ANY (ARRAY['public'::text, 'private'::text])))
);
ALTER TABLE internal.core_storage_objects OWNER TO postgres;
CREATE TABLE internal.core_storage_uploads (
    upload_id text NOT NULL,
    project_id text NOT NULL,
    key text NOT NULL,
    declared_size bigint NOT NULL,
    declared_sha256 text NOT NULL,
    content_type text NOT NULL,
    visibility text NOT NULL,
    immutable boolean NOT NULL,
    status text DEFAULT 'active'::text NOT NULL,
    bytes_written bigint DEFAULT 0 NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    completed_at timestamp with time zone,
    aborted_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT core_storage_uploads_status_check CHECK ((status = ANY (ARRAY['active'::text, 'uploaded'::text, 'completed'::text, 'aborted'::text])))
);
ALTER TABLE internal.core_storage_uploads OWNER TO postgres;
CREATE TABLE internal.core_storage_versions (
    project_id text NOT NULL,
    sha256 text NOT NULL,
    key text NOT NULL COLLATE pg_catalog."C",
    version_id text NOT NULL,
    size_bytes bigint NOT NULL,
    content_type text NOT NULL,
    visibility text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE internal.core_storage_versions OWNER TO postgres;
CREATE TABLE internal.core_subdomains (
    name text NOT NULL,
    project_id text NOT NULL,
    claimed_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    origin text DEFAULT 'release'::text NOT NULL
);
ALTER TABLE internal.core_subdomains OWNER TO postgres;
CREATE TABLE internal.core_tier_leases (
    wallet text NOT NULL,
    tier text NOT NULL,
    started_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL
);
ALTER TABLE internal.core_tier_leases OWNER TO postgres;
CREATE TABLE internal.core_tier_purchases (
    purchase_key text NOT NULL,
    answer jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE internal.core_tier_purchases OWNER TO postgres;
CREATE TABLE internal.core_wallet_labels (
    address text NOT NULL,
    label text NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE internal.core_wallet_labels OWNER TO postgres;
CREATE TABLE internal.core_webhook_deliveries (
    delivery_id text NOT NULL,
    project_id text NOT NULL,
    mailbox_id text NOT NULL,
    webhook_id text,
    source_event_id text NOT NULL,
    event_type text NOT NULL,
    target_url text NOT NULL,
    payload jsonb NOT NULL,
    status text DEFAULT 'pending'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    next_attempt_at timestamp with time zone,
    last_status integer,
    last_error text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    delivered_at timestamp with time zone
);
ALTER TABLE internal.core_webhook_deliveries OWNER TO postgres;
CREATE TABLE project_4f24512716218d9c.notes (
    id integer NOT NULL,
    body text NOT NULL,
    feeling project_4f24512716218d9c.mood DEFAULT 'ok'::project_4f24512716218d9c.mood NOT NULL
);
ALTER TABLE ONLY project_4f24512716218d9c.notes FORCE ROW LEVEL SECURITY;
ALTER TABLE project_4f24512716218d9c.notes OWNER TO postgres;
CREATE VIEW project_4f24512716218d9c.bodies AS
 SELECT body
   FROM project_4f24512716218d9c.notes;
ALTER VIEW project_4f24512716218d9c.bodies OWNER TO postgres;
CREATE MATERIALIZED VIEW project_4f24512716218d9c.counted AS
 SELECT count(*) AS count
   FROM project_4f24512716218d9c.notes
  WITH NO DATA;
ALTER MATERIALIZED VIEW project_4f24512716218d9c.counted OWNER TO postgres;
CREATE TABLE project_4f24512716218d9c.mine (
    id integer NOT NULL,
    user_id text NOT NULL,
    word text NOT NULL
);
ALTER TABLE ONLY project_4f24512716218d9c.mine FORCE ROW LEVEL SECURITY;
ALTER TABLE project_4f24512716218d9c.mine OWNER TO postgres;
ALTER TABLE project_4f24512716218d9c.mine ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME project_4f24512716218d9c.mine_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE SEQUENCE project_4f24512716218d9c.notes_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE project_4f24512716218d9c.notes_id_seq OWNER TO postgres;
ALTER SEQUENCE project_4f24512716218d9c.notes_id_seq OWNED BY project_4f24512716218d9c.notes.id;
CREATE TABLE project_4f24512716218d9c.vault (
    word text NOT NULL
);
ALTER TABLE project_4f24512716218d9c.vault OWNER TO postgres;
CREATE TABLE project_52b95dc96056aec7.notes (
    id integer NOT NULL,
    body text NOT NULL,
    feeling project_52b95dc96056aec7.mood DEFAULT 'ok'::project_52b95dc96056aec7.mood NOT NULL
);
ALTER TABLE ONLY project_52b95dc96056aec7.notes FORCE ROW LEVEL SECURITY;
ALTER TABLE project_52b95dc96056aec7.notes OWNER TO postgres;
CREATE VIEW project_52b95dc96056aec7.bodies AS
 SELECT body
   FROM project_52b95dc96056aec7.notes;
ALTER VIEW project_52b95dc96056aec7.bodies OWNER TO postgres;
CREATE MATERIALIZED VIEW project_52b95dc96056aec7.counted AS
 SELECT count(*) AS count
   FROM project_52b95dc96056aec7.notes
  WITH NO DATA;
ALTER MATERIALIZED VIEW project_52b95dc96056aec7.counted OWNER TO postgres;
CREATE TABLE project_52b95dc96056aec7.mine (
    id integer NOT NULL,
    user_id text NOT NULL,
    word text NOT NULL
);
ALTER TABLE ONLY project_52b95dc96056aec7.mine FORCE ROW LEVEL SECURITY;
ALTER TABLE project_52b95dc96056aec7.mine OWNER TO postgres;
ALTER TABLE project_52b95dc96056aec7.mine ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME project_52b95dc96056aec7.mine_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE SEQUENCE project_52b95dc96056aec7.notes_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE project_52b95dc96056aec7.notes_id_seq OWNER TO postgres;
ALTER SEQUENCE project_52b95dc96056aec7.notes_id_seq OWNED BY project_52b95dc96056aec7.notes.id;
CREATE TABLE project_52b95dc96056aec7.vault (
    word text NOT NULL
);
ALTER TABLE project_52b95dc96056aec7.vault OWNER TO postgres;
CREATE TABLE project_ea447efeef6b0244.notes (
    id integer NOT NULL,
    body text NOT NULL,
    feeling project_ea447efeef6b0244.mood DEFAULT 'ok'::project_ea447efeef6b0244.mood NOT NULL
);
ALTER TABLE ONLY project_ea447efeef6b0244.notes FORCE ROW LEVEL SECURITY;
ALTER TABLE project_ea447efeef6b0244.notes OWNER TO postgres;
CREATE VIEW project_ea447efeef6b0244.bodies AS
 SELECT body
   FROM project_ea447efeef6b0244.notes;
ALTER VIEW project_ea447efeef6b0244.bodies OWNER TO postgres;
CREATE MATERIALIZED VIEW project_ea447efeef6b0244.counted AS
 SELECT count(*) AS count
   FROM project_ea447efeef6b0244.notes
  WITH NO DATA;
ALTER MATERIALIZED VIEW project_ea447efeef6b0244.counted OWNER TO postgres;
CREATE TABLE project_ea447efeef6b0244.mine (
    id integer NOT NULL,
    user_id text NOT NULL,
    word text NOT NULL
);
ALTER TABLE ONLY project_ea447efeef6b0244.mine FORCE ROW LEVEL SECURITY;
ALTER TABLE project_ea447efeef6b0244.mine OWNER TO postgres;
ALTER TABLE project_ea447efeef6b0244.mine ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME project_ea447efeef6b0244.mine_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE SEQUENCE project_ea447efeef6b0244.notes_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE project_ea447efeef6b0244.notes_id_seq OWNER TO postgres;
ALTER SEQUENCE project_ea447efeef6b0244.notes_id_seq OWNED BY project_ea447efeef6b0244.notes.id;
CREATE TABLE project_ea447efeef6b0244.vault (
    word text NOT NULL
);
ALTER TABLE project_ea447efeef6b0244.vault OWNER TO postgres;
CREATE TABLE snapshot_5af23056cc83090e.notes (
    id integer NOT NULL,
    body text NOT NULL,
    feeling snapshot_5af23056cc83090e.mood DEFAULT 'ok'::snapshot_5af23056cc83090e.mood NOT NULL
);
ALTER TABLE ONLY snapshot_5af23056cc83090e.notes FORCE ROW LEVEL SECURITY;
ALTER TABLE snapshot_5af23056cc83090e.notes OWNER TO postgres;
CREATE VIEW snapshot_5af23056cc83090e.bodies AS
 SELECT body
   FROM snapshot_5af23056cc83090e.notes;
ALTER VIEW snapshot_5af23056cc83090e.bodies OWNER TO postgres;
CREATE MATERIALIZED VIEW snapshot_5af23056cc83090e.counted AS
 SELECT count(*) AS count
   FROM snapshot_5af23056cc83090e.notes
  WITH NO DATA;
ALTER MATERIALIZED VIEW snapshot_5af23056cc83090e.counted OWNER TO postgres;
CREATE TABLE snapshot_5af23056cc83090e.mine (
    id integer NOT NULL,
    user_id text NOT NULL,
    word text NOT NULL
);
ALTER TABLE ONLY snapshot_5af23056cc83090e.mine FORCE ROW LEVEL SECURITY;
ALTER TABLE snapshot_5af23056cc83090e.mine OWNER TO postgres;
ALTER TABLE snapshot_5af23056cc83090e.mine ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME snapshot_5af23056cc83090e.mine_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE SEQUENCE snapshot_5af23056cc83090e.notes_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE snapshot_5af23056cc83090e.notes_id_seq OWNER TO postgres;
ALTER SEQUENCE snapshot_5af23056cc83090e.notes_id_seq OWNED BY snapshot_5af23056cc83090e.notes.id;
CREATE TABLE snapshot_5af23056cc83090e.vault (
    word text NOT NULL
);
ALTER TABLE snapshot_5af23056cc83090e.vault OWNER TO postgres;
CREATE TABLE snapshot_bc01118d92bccfa4.notes (
    id integer NOT NULL,
    body text NOT NULL,
    feeling snapshot_bc01118d92bccfa4.mood DEFAULT 'ok'::snapshot_bc01118d92bccfa4.mood NOT NULL
);
ALTER TABLE ONLY snapshot_bc01118d92bccfa4.notes FORCE ROW LEVEL SECURITY;
ALTER TABLE snapshot_bc01118d92bccfa4.notes OWNER TO postgres;
CREATE VIEW snapshot_bc01118d92bccfa4.bodies AS
 SELECT body
   FROM snapshot_bc01118d92bccfa4.notes;
ALTER VIEW snapshot_bc01118d92bccfa4.bodies OWNER TO postgres;
CREATE MATERIALIZED VIEW snapshot_bc01118d92bccfa4.counted AS
 SELECT count(*) AS count
   FROM snapshot_bc01118d92bccfa4.notes
  WITH NO DATA;
ALTER MATERIALIZED VIEW snapshot_bc01118d92bccfa4.counted OWNER TO postgres;
CREATE TABLE snapshot_bc01118d92bccfa4.mine (
    id integer NOT NULL,
    user_id text NOT NULL,
    word text NOT NULL
);
ALTER TABLE ONLY snapshot_bc01118d92bccfa4.mine FORCE ROW LEVEL SECURITY;
ALTER TABLE snapshot_bc01118d92bccfa4.mine OWNER TO postgres;
ALTER TABLE snapshot_bc01118d92bccfa4.mine ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME snapshot_bc01118d92bccfa4.mine_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE SEQUENCE snapshot_bc01118d92bccfa4.notes_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE snapshot_bc01118d92bccfa4.notes_id_seq OWNER TO postgres;
ALTER SEQUENCE snapshot_bc01118d92bccfa4.notes_id_seq OWNED BY snapshot_bc01118d92bccfa4.notes.id;
CREATE TABLE snapshot_bc01118d92bccfa4.vault (
    word text NOT NULL
);
ALTER TABLE snapshot_bc01118d92bccfa4.vault OWNER TO postgres;
ALTER TABLE ONLY internal.core_fault_occurrences ALTER COLUMN id SET DEFAULT nextval('internal.core_fault_occurrences_id_seq'::regclass);
ALTER TABLE ONLY internal.core_function_logs ALTER COLUMN id SET DEFAULT nextval('internal.core_function_logs_id_seq'::regclass);
ALTER TABLE ONLY internal.core_job_logs ALTER COLUMN id SET DEFAULT nextval('internal.core_job_logs_id_seq'::regclass);
ALTER TABLE ONLY internal.core_project_events ALTER COLUMN id SET DEFAULT nextval('internal.core_project_events_id_seq'::regclass);
ALTER TABLE ONLY project_4f24512716218d9c.notes ALTER COLUMN id SET DEFAULT nextval('project_4f24512716218d9c.notes_id_seq'::regclass);
ALTER TABLE ONLY project_52b95dc96056aec7.notes ALTER COLUMN id SET DEFAULT nextval('project_52b95dc96056aec7.notes_id_seq'::regclass);
ALTER TABLE ONLY project_ea447efeef6b0244.notes ALTER COLUMN id SET DEFAULT nextval('project_ea447efeef6b0244.notes_id_seq'::regclass);
ALTER TABLE ONLY snapshot_5af23056cc83090e.notes ALTER COLUMN id SET DEFAULT nextval('snapshot_5af23056cc83090e.notes_id_seq'::regclass);
ALTER TABLE ONLY snapshot_bc01118d92bccfa4.notes ALTER COLUMN id SET DEFAULT nextval('snapshot_bc01118d92bccfa4.notes_id_seq'::regclass);
INSERT INTO internal.core_applied_migrations VALUES ('prj_ea447efeef6b0244', '001', '9b196823b0b5526027b39789c951d4d4c346d5576d7fb55ca595ee18a8ad9a91', 'applied', '2026-11-30 16:01:26.964818+00');
INSERT INTO internal.core_applied_migrations VALUES ('prj_4f24512716218d9c', '001', '9b196823b0b5526027b39789c951d4d4c346d5576d7fb55ca595ee18a8ad9a91', 'applied', '2026-11-30 16:01:28.760151+00');
INSERT INTO internal.core_applied_migrations VALUES ('prj_52b95dc96056aec7', '001', '9b196823b0b5526027b39789c951d4d4c346d5576d7fb55ca595ee18a8ad9a91', 'applied', '2026-11-30 16:01:26.964818+00');
INSERT INTO internal.core_apply_plans VALUES ('plan_adc0256ae3b140b49e99af19', 'op_1a477fbb6b7ec87164a94026', 'prj_ea447efeef6b0244', 'cloud', '{"site": {"replace": {"index.html": {"size": 13, "sha256": "d13ca224f9b292c8819f8bd851204450c1bf46b67fa4311cb1b615a98e50b4be", "content_type": "text/html; charset=utf-8"}}}, "routes": {"replace": [{"target": {"name": "api", "type": "function"}, "pattern": "/api/*"}]}, "secrets": {"require": ["API_TOKEN"]}, "database": {"expose": {"rpcs": [{"name": "shout", "grant_to": ["anon", "authenticated"], "signature": "(q text)"}], "tables": [{"name": "notes", "expose": true, "policy": "public_read_write_UNRESTRICTED", "i_understand_this_is_unrestricted": true}, {"name": "mine", "expose": true, "policy": "user_owns_rows", "owner_column": "user_id", "force_owner_on_insert": true}, {"name": "vault", "expose": false}], "version": "1"}, "migrations": [{"id": "001", "sql": "\ncreate type mood as enum (''ok'');\ncreate table notes (id serial primary key, body text not null, feeling mood not null default ''ok'');\ncreate table mine (id int generated always as identity primary key, user_id text not null, word text not null);\ncreate table vault (word text not null);\ncreate view bodies as select body from notes;\ncreate materialized view counted as select count(*) from notes;\ncreate function shout(q text) returns text language sql stable as ''select upper(q)'';\ncreate function mark() returns trigger language plpgsql as $$ begin new.word := new.word || ''!''; return new; end $$;\ncreate trigger marks before insert on mine for each row execute function mark();\ninsert into notes (body) values (''one''), (''two'');\ninsert into vault values (''hidden'');\n", "checksum": "9b196823b0b5526027b39789c951d4d4c346d5576d7fb55ca595ee18a8ad9a91"}]}, "functions": {"patch": {"set": {"api": {"source": {"size": 299, "sha256": "a3876fa8f462608bcb09a957ae40e7c726d8d4efb5403a1104152abf417a8937"}, "runtime": "node22"}}}}, "project_id": "prj_ea447efeef6b0244"}', 'run402-apply-request-v1:a52a85c0181aac627e8a8c3051b2f62f5cb0236f9b91cc4270e7e1ceb77657e9', 'run402-portable-manifest-v1:6e9e79072654ae53286a677f686b897785a55480462a752497aa44209993a64e', NULL, 'rel_375b8e826808710e17726534', 'run402-materialized-release-v1:375b8e826808710e17726534beeaed8ae77477bda1842a474c9093bb5e922973', '{"i18n": null, "site": {"paths": [{"path": "index.html", "size_bytes": 13, "content_type": "text/html; charset=utf-8", "content_sha256": "d13ca224f9b292c8819f8bd851204450c1bf46b67fa4311cb1b615a98e50b4be"}]}, "routes": {"entries": [{"kind": "prefix", "prefix": "/api/", "target": {"name": "api", "type": "function"}, "methods": null, "pattern": "/api/*"}], "manifest_sha256": "a56b50e2ba54b47d7c16cdac3300bfed5f515c48885187073e32fbbf22902b85"}, "secrets": {"keys": ["API_TOKEN"]}, "functions": [{"deps": [], "name": "api", "runtime": "node22", "schedule": null, "code_hash": "a3876fa8f462608bcb09a957ae40e7c726d8d4efb5403a1104152abf417a8937", "memory_mb": 128, "require_auth": false, "require_role": null, "timeout_seconds": 10}], "migrations": [{"transaction": "default", "checksum_hex": "9b196823b0b5526027b39789c951d4d4c346d5576d7fb55ca595ee18a8ad9a91", "migration_id": "001"}], "subdomains": {"names": []}, "state_version": "run402.portable_release_state.v1", "static_manifest": {"files": {"/": {"size": 13, "direct": true, "sha256": "d13ca224f9b292c8819f8bd851204450c1bf46b67fa4311cb1b615a98e50b4be", "authority": "implicit_file_path", "asset_path": "index.html", "cache_class": "html", "content_type": "text/html; charset=utf-8", "cache_class_source": "inferred_html"}, "/index.html": {"size": 13, "direct": true, "sha256": "d13ca224f9b292c8819f8bd851204450c1bf46b67fa4311cb1b615a98e50b4be", "authority": "implicit_file_path", "asset_path": "index.html", "cache_class": "html", "content_type": "text/html; charset=utf-8", "cache_class_source": "inferred_html"}}, "version": "run402.static_manifest.v1", "spa_fallback": "/index.html"}}', false, NULL, NULL, NULL, 'committed', '2026-11-30 16:01:26.888147+00', '2026-11-30 16:01:27.136546+00', '{}');
INSERT INTO internal.core_apply_plans VALUES ('plan_046465239303078884b4da9c', 'op_9303c3597a393cfa685a963d', 'prj_4f24512716218d9c', 'cloud', '{"site": {"replace": {"index.html": {"size": 13, "sha256": "db224bff8fdb8c799b7c9a78ff1710cdfca118a32718670251edc541ac903192", "content_type": "text/html; charset=utf-8"}}}, "routes": {"replace": [{"target": {"name": "api", "type": "function"}, "pattern": "/api/*"}]}, "secrets": {"require": ["API_TOKEN"]}, "database": {"expose": {"rpcs": [{"name": "shout", "grant_to": ["anon", "authenticated"], "signature": "(q text)"}], "tables": [{"name": "notes", "expose": true, "policy": "public_read_write_UNRESTRICTED", "i_understand_this_is_unrestricted": true}, {"name": "mine", "expose": true, "policy": "user_owns_rows", "owner_column": "user_id", "force_owner_on_insert": true}, {"name": "vault", "expose": false}], "version": "1"}, "migrations": [{"id": "001", "sql": "\ncreate type mood as enum (''ok'');\ncreate table notes (id serial primary key, body text not null, feeling mood not null default ''ok'');\ncreate table mine (id int generated always as identity primary key, user_id text not null, word text not null);\ncreate table vault (word text not null);\ncreate view bodies as select body from notes;\ncreate materialized view counted as select count(*) from notes;\ncreate function shout(q text) returns text language sql stable as ''select upper(q)'';\ncreate function mark() returns trigger language plpgsql as $$ begin new.word := new.word || ''!''; return new; end $$;\ncreate trigger marks before insert on mine for each row execute function mark();\ninsert into notes (body) values (''one''), (''two'');\ninsert into vault values (''hidden'');\n", "checksum": "9b196823b0b5526027b39789c951d4d4c346d5576d7fb55ca595ee18a8ad9a91"}]}, "functions": {"patch": {"set": {"api": {"source": {"size": 299, "sha256": "a3876fa8f462608bcb09a957ae40e7c726d8d4efb5403a1104152abf417a8937"}, "runtime": "node22"}}}}, "project_id": "prj_4f24512716218d9c"}', 'run402-apply-request-v1:99276754ebdf9c84179fc5532cd7f25299c5bfbb039aefb56025f6658217ebd1', 'run402-portable-manifest-v1:26def679b61bb9d4040a129a90e21041012f8a58d3f36053f5b5d4d76958dba8', NULL, 'rel_061b84292fe2982ea03e2d9d', 'run402-materialized-release-v1:061b84292fe2982ea03e2d9d56abcf564fe06a2f94dd45ee1f3c38a2d708688e', '{"i18n": null, "site": {"paths": [{"path": "index.html", "size_bytes": 13, "content_type": "text/html; charset=utf-8", "content_sha256": "db224bff8fdb8c799b7c9a78ff1710cdfca118a32718670251edc541ac903192"}]}, "routes": {"entries": [{"kind": "prefix", "prefix": "/api/", "target": {"name": "api", "type": "function"}, "methods": null, "pattern": "/api/*"}], "manifest_sha256": "a56b50e2ba54b47d7c16cdac3300bfed5f515c48885187073e32fbbf22902b85"}, "secrets": {"keys": ["API_TOKEN"]}, "functions": [{"deps": [], "name": "api", "runtime": "node22", "schedule": null, "code_hash": "a3876fa8f462608bcb09a957ae40e7c726d8d4efb5403a1104152abf417a8937", "memory_mb": 128, "require_auth": false, "require_role": null, "timeout_seconds": 10}], "migrations": [{"transaction": "default", "checksum_hex": "9b196823b0b5526027b39789c951d4d4c346d5576d7fb55ca595ee18a8ad9a91", "migration_id": "001"}], "subdomains": {"names": []}, "state_version": "run402.portable_release_state.v1", "static_manifest": {"files": {"/": {"size": 13, "direct": true, "sha256": "db224bff8fdb8c799b7c9a78ff1710cdfca118a32718670251edc541ac903192", "authority": "implicit_file_path", "asset_path": "index.html", "cache_class": "html", "content_type": "text/html; charset=utf-8", "cache_class_source": "inferred_html"}, "/index.html": {"size": 13, "direct": true, "sha256": "db224bff8fdb8c799b7c9a78ff1710cdfca118a32718670251edc541ac903192", "authority": "implicit_file_path", "asset_path": "index.html", "cache_class": "html", "content_type": "text/html; charset=utf-8", "cache_class_source": "inferred_html"}}, "version": "run402.static_manifest.v1", "spa_fallback": "/index.html"}}', false, NULL, NULL, NULL, 'committed', '2026-11-30 16:01:28.70124+00', '2026-11-30 16:01:28.79509+00', '{}');
INSERT INTO internal.core_auth_refresh_tokens VALUES ('7b712dcf58a7243f6f2b61321b437684d6d4bd099b386c9ec5e21609e7fe9bbd', 'ebfc7fce-ec7d-4a16-9115-6499fd899770', '2026-11-30 16:01:27.885535+00', NULL);
INSERT INTO internal.core_auth_refresh_tokens VALUES ('8782587fd3e6b166f836187091e85b037f273f7f1cab1f533f4304d3b632d26e', '9a5e98ad-ff2a-4c43-93bb-af5e32ed9b68', '2026-11-30 16:01:29.535012+00', NULL);
INSERT INTO internal.core_auth_sessions VALUES ('ebfc7fce-ec7d-4a16-9115-6499fd899770', 'prj_ea447efeef6b0244', 'b3638d41-9696-4362-ad57-1699d5fe886c', 'password', '2026-11-30 16:01:27.885798+00', '2999-01-01 00:00:00+00', NULL, NULL);
INSERT INTO internal.core_auth_sessions VALUES ('9a5e98ad-ff2a-4c43-93bb-af5e32ed9b68', 'prj_4f24512716218d9c', 'ffcee6d6-6906-4c79-8f0b-1140222da2fc', 'password', '2026-11-30 16:01:29.535193+00', '2999-01-01 00:00:00+00', NULL, NULL);
INSERT INTO internal.core_auth_users VALUES ('prj_ea447efeef6b0244', 'b3638d41-9696-4362-ad57-1699d5fe886c', 'ada@example.com', 'authenticated', '2026-11-30 16:01:27.537146+00', NULL, NULL, 'scrypt$14$8$5$/V+cITUBf/gHqPOBk94x1A==$6wtCLWqQWKSRmWhuInxizNY+ZkE2Z79rByisgYO//5U=', '2026-11-30 16:01:27.539779+00', '2026-11-30 16:01:27.885798+00', '{}');
INSERT INTO internal.core_auth_users VALUES ('prj_4f24512716218d9c', 'ffcee6d6-6906-4c79-8f0b-1140222da2fc', 'ada@example.com', 'authenticated', '2026-11-30 16:01:29.195148+00', NULL, NULL, 'scrypt$14$8$5$spAWBvCz09iREJXdK+lVVw==$4CO6tgHlpwgugjqmuPrbz/CBIuzBG7o62pwxEIJW2Hs=', '2026-11-30 16:01:29.196326+00', '2026-11-30 16:01:29.535193+00', '{}');
INSERT INTO internal.core_auth_users VALUES ('prj_52b95dc96056aec7', 'b3638d41-9696-4362-ad57-1699d5fe886c', 'ada@example.com', 'authenticated', '2026-11-30 16:01:27.537146+00', NULL, NULL, 'scrypt$14$8$5$/V+cITUBf/gHqPOBk94x1A==$6wtCLWqQWKSRmWhuInxizNY+ZkE2Z79rByisgYO//5U=', '2026-11-30 16:01:27.539779+00', '2026-11-30 16:01:27.885798+00', '{}');
INSERT INTO internal.core_branches VALUES ('prj_52b95dc96056aec7', 'prj_ea447efeef6b0244', 'op_8d268f64c4f809704d6f14b0', 'try', 'sandbox', false, NULL, '2026-11-30 16:01:30.69107+00', 'rel_375b8e826808710e17726534', 'rel_375b8e826808710e17726534', '2999-01-01 00:00:00+00', '2026-11-30 16:01:30.382764+00');
INSERT INTO internal.core_credentials VALUES ('cred_f08cbb539913a53a2bf08ef5', 'prj_ea447efeef6b0244', 'service', 'robot', 'bd4d4f3acfa779d2f11af870ed4e3cb323710bb5716a68e4569dcd14e50b2a0e', false, '2026-11-30 16:01:27.212627+00', NULL, NULL, NULL, NULL, NULL);
INSERT INTO internal.core_credentials VALUES ('cred_43e8f783c2117a235089bf5b', 'prj_4f24512716218d9c', 'service', 'robot', 'c3c85b07e7b6bd3688dc74a12234ba24708b01de5282bc260cfc638d1048a08c', false, '2026-11-30 16:01:28.867524+00', NULL, NULL, NULL, NULL, NULL);
INSERT INTO internal.core_email_messages VALUES ('msg_1796054488043_27ee91b5406cc009', 'prj_ea447efeef6b0244', 'mbx_19333a536f276e03ab64797653f971ca', 'outbound', 'shop@local-54c996d4509be6ae4b38.mail.localhost', 'ada@example.com', 'Hello', '<p>Hi from shop</p>', 'Hi from shop', NULL, '{}', 'sent', 'delivered', '<msg_1796054488043_27ee91b5406cc009@local-54c996d4509be6ae4b38.mail.localhost>', NULL, NULL, '\x46726f6d3a2073686f70406c6f63616c2d35346339393664343530396265366165346233382e6d61696c2e6c6f63616c686f73740d0a546f3a20616461406578616d706c652e636f6d0d0a5375626a6563743a2048656c6c6f0d0a446174653a204d6f6e2c203330204e6f7620323032362031363a30313a3238202b303030300d0a4d6573736167652d49443a203c6d73675f313739363035343438383034335f32376565393162353430366363303039406c6f63616c2d35346339393664343530396265366165346233382e6d61696c2e6c6f63616c686f73743e0d0a4d494d452d56657273696f6e3a20312e300d0a436f6e74656e742d547970653a206d756c7469706172742f616c7465726e61746976653b20626f756e646172793d223d3d3d3d3d3d3d3d3d3d3d3d3d3d3d343631343339333237333737383732363232343d3d220d0a0d0a2d2d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d343631343339333237333737383732363232343d3d0d0a436f6e74656e742d547970653a20746578742f706c61696e3b20636861727365743d227574662d38220d0a436f6e74656e742d5472616e736665722d456e636f64696e673a20376269740d0a0d0a48692066726f6d2073686f700d0a0d0a2d2d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d343631343339333237333737383732363232343d3d0d0a436f6e74656e742d547970653a20746578742f68746d6c3b20636861727365743d227574662d38220d0a436f6e74656e742d5472616e736665722d456e636f64696e673a20376269740d0a4d494d452d56657273696f6e3a20312e300d0a0d0a3c703e48692066726f6d2073686f703c2f703e0d0a0d0a2d2d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d343631343339333237333737383732363232343d3d2d2d0d0a', '2026-11-30 16:01:28.043271+00', '2026-11-30 16:01:28.043271+00', '2026-11-30 16:01:28.043271+00', NULL);
INSERT INTO internal.core_email_messages VALUES ('msg_1796054489691_c47759236bd657fe', 'prj_4f24512716218d9c', 'mbx_f7baaec6fbec1eea0cd2729383e07119', 'outbound', 'blog@local-3faeeda9619a022f4564.mail.localhost', 'ada@example.com', 'Hello', '<p>Hi from blog</p>', 'Hi from blog', NULL, '{}', 'sent', 'delivered', '<msg_1796054489691_c47759236bd657fe@local-3faeeda9619a022f4564.mail.localhost>', NULL, NULL, '\x46726f6d3a20626c6f67406c6f63616c2d33666165656461393631396130323266343536342e6d61696c2e6c6f63616c686f73740d0a546f3a20616461406578616d706c652e636f6d0d0a5375626a6563743a2048656c6c6f0d0a446174653a204d6f6e2c203330204e6f7620323032362031363a30313a3239202b303030300d0a4d6573736167652d49443a203c6d73675f313739363035343438393639315f63343737353932333662643635376665406c6f63616c2d33666165656461393631396130323266343536342e6d61696c2e6c6f63616c686f73743e0d0a4d494d452d56657273696f6e3a20312e300d0a436f6e74656e742d547970653a206d756c7469706172742f616c7465726e61746976653b20626f756e646172793d223d3d3d3d3d3d3d3d3d3d3d3d3d3d3d353137303035323339343234313933363332393d3d220d0a0d0a2d2d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d353137303035323339343234313933363332393d3d0d0a436f6e74656e742d547970653a20746578742f706c61696e3b20636861727365743d227574662d38220d0a436f6e74656e742d5472616e736665722d456e636f64696e673a20376269740d0a0d0a48692066726f6d20626c6f670d0a0d0a2d2d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d353137303035323339343234313933363332393d3d0d0a436f6e74656e742d547970653a20746578742f68746d6c3b20636861727365743d227574662d38220d0a436f6e74656e742d5472616e736665722d456e636f64696e673a20376269740d0a4d494d452d56657273696f6e3a20312e300d0a0d0a3c703e48692066726f6d20626c6f673c2f703e0d0a0d0a2d2d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d353137303035323339343234313933363332393d3d2d2d0d0a', '2026-11-30 16:01:29.69146+00', '2026-11-30 16:01:29.69146+00', '2026-11-30 16:01:29.69146+00', NULL);
INSERT INTO internal.core_expose VALUES ('prj_ea447efeef6b0244', '{"version": "1", "tables": [{"name": "notes", "expose": true, "policy": "public_read_write_UNRESTRICTED", "i_understand_this_is_unrestricted": true}, {"name": "mine", "expose": true, "policy": "user_owns_rows", "owner_column": "user_id", "force_owner_on_insert": true}, {"name": "vault", "expose": false}], "views": [], "rpcs": [{"name": "shout", "grant_to": ["anon", "authenticated"], "signature": "(q text)"}]}', '{"mine": "{\"forced\": true, \"options\": null, \"policies\": [[\"run402_user_owns_rows_delete\", \"d\", true, \"{authenticated}\", \"(user_id = ( SELECT uid() AS uid))\", null], [\"run402_user_owns_rows_insert\", \"a\", true, \"{authenticated}\", null, \"(user_id = ( SELECT uid() AS uid))\"], [\"run402_user_owns_rows_select\", \"r\", true, \"{authenticated}\", \"(user_id = ( SELECT uid() AS uid))\", null], [\"run402_user_owns_rows_update\", \"w\", true, \"{authenticated}\", \"(user_id = ( SELECT uid() AS uid))\", \"(user_id = ( SELECT uid() AS uid))\"]], \"rls\": true, \"triggers\": [[\"CREATE TRIGGER mine_set_owner BEFORE INSERT ON project_ea447efeef6b0244.mine FOR EACH ROW EXECUTE FUNCTION mine_set_owner_fn()\", \"O\", \"CREATE OR REPLACE FUNCTION project_ea447efeef6b0244.mine_set_owner_fn()\\n RETURNS trigger\\n LANGUAGE plpgsql\\n SET search_path TO ''''\\nAS $function$BEGIN IF NEW.\\\"user_id\\\" IS NULL THEN NEW.\\\"user_id\\\" := auth.uid(); END IF; RETURN NEW; END$function$\\n\"]], \"view\": null}", "notes": "{\"forced\": true, \"options\": null, \"policies\": [[\"run402_public_read_write_delete\", \"d\", true, \"{anon,authenticated}\", \"true\", null], [\"run402_public_read_write_insert\", \"a\", true, \"{anon,authenticated}\", null, \"true\"], [\"run402_public_read_write_select\", \"r\", true, \"{anon,authenticated}\", \"true\", null], [\"run402_public_read_write_update\", \"w\", true, \"{anon,authenticated}\", \"true\", \"true\"]], \"rls\": true, \"triggers\": null, \"view\": null}", "vault": "{\"forced\": false, \"options\": null, \"policies\": null, \"rls\": false, \"triggers\": null, \"view\": null}"}', '2026-11-30 16:01:27.136546+00');
INSERT INTO internal.core_expose VALUES ('prj_4f24512716218d9c', '{"version": "1", "tables": [{"name": "notes", "expose": true, "policy": "public_read_write_UNRESTRICTED", "i_understand_this_is_unrestricted": true}, {"name": "mine", "expose": true, "policy": "user_owns_rows", "owner_column": "user_id", "force_owner_on_insert": true}, {"name": "vault", "expose": false}], "views": [], "rpcs": [{"name": "shout", "grant_to": ["anon", "authenticated"], "signature": "(q text)"}]}', '{"mine": "{\"forced\": true, \"options\": null, \"policies\": [[\"run402_user_owns_rows_delete\", \"d\", true, \"{authenticated}\", \"(user_id = ( SELECT uid() AS uid))\", null], [\"run402_user_owns_rows_insert\", \"a\", true, \"{authenticated}\", null, \"(user_id = ( SELECT uid() AS uid))\"], [\"run402_user_owns_rows_select\", \"r\", true, \"{authenticated}\", \"(user_id = ( SELECT uid() AS uid))\", null], [\"run402_user_owns_rows_update\", \"w\", true, \"{authenticated}\", \"(user_id = ( SELECT uid() AS uid))\", \"(user_id = ( SELECT uid() AS uid))\"]], \"rls\": true, \"triggers\": [[\"CREATE TRIGGER mine_set_owner BEFORE INSERT ON project_4f24512716218d9c.mine FOR EACH ROW EXECUTE FUNCTION mine_set_owner_fn()\", \"O\", \"CREATE OR REPLACE FUNCTION project_4f24512716218d9c.mine_set_owner_fn()\\n RETURNS trigger\\n LANGUAGE plpgsql\\n SET search_path TO ''''\\nAS $function$BEGIN IF NEW.\\\"user_id\\\" IS NULL THEN NEW.\\\"user_id\\\" := auth.uid(); END IF; RETURN NEW; END$function$\\n\"]], \"view\": null}", "notes": "{\"forced\": true, \"options\": null, \"policies\": [[\"run402_public_read_write_delete\", \"d\", true, \"{anon,authenticated}\", \"true\", null], [\"run402_public_read_write_insert\", \"a\", true, \"{anon,authenticated}\", null, \"true\"], [\"run402_public_read_write_select\", \"r\", true, \"{anon,authenticated}\", \"true\", null], [\"run402_public_read_write_update\", \"w\", true, \"{anon,authenticated}\", \"true\", \"true\"]], \"rls\": true, \"triggers\": null, \"view\": null}", "vault": "{\"forced\": false, \"options\": null, \"policies\": null, \"rls\": false, \"triggers\": null, \"view\": null}"}', '2026-11-30 16:01:28.79509+00');
INSERT INTO internal.core_expose VALUES ('prj_52b95dc96056aec7', '{"version": "1", "tables": [{"name": "notes", "expose": true, "policy": "public_read_write_UNRESTRICTED", "i_understand_this_is_unrestricted": true}, {"name": "mine", "expose": true, "policy": "user_owns_rows", "owner_column": "user_id", "force_owner_on_insert": true}, {"name": "vault", "expose": false}], "views": [], "rpcs": [{"name": "shout", "grant_to": ["anon", "authenticated"], "signature": "(q text)"}]}', '{"mine": "{\"forced\": true, \"options\": null, \"policies\": [[\"run402_user_owns_rows_delete\", \"d\", true, \"{authenticated}\", \"(user_id = ( SELECT uid() AS uid))\", null], [\"run402_user_owns_rows_insert\", \"a\", true, \"{authenticated}\", null, \"(user_id = ( SELECT uid() AS uid))\"], [\"run402_user_owns_rows_select\", \"r\", true, \"{authenticated}\", \"(user_id = ( SELECT uid() AS uid))\", null], [\"run402_user_owns_rows_update\", \"w\", true, \"{authenticated}\", \"(user_id = ( SELECT uid() AS uid))\", \"(user_id = ( SELECT uid() AS uid))\"]], \"rls\": true, \"triggers\": [[\"CREATE TRIGGER mine_set_owner BEFORE INSERT ON project_52b95dc96056aec7.mine FOR EACH ROW EXECUTE FUNCTION mine_set_owner_fn()\", \"O\", \"CREATE OR REPLACE FUNCTION project_52b95dc96056aec7.mine_set_owner_fn()\\n RETURNS trigger\\n LANGUAGE plpgsql\\n SET search_path TO ''''\\nAS $function$BEGIN IF NEW.\\\"user_id\\\" IS NULL THEN NEW.\\\"user_id\\\" := auth.uid(); END IF; RETURN NEW; END$function$\\n\"]], \"view\": null}", "notes": "{\"forced\": true, \"options\": null, \"policies\": [[\"run402_public_read_write_delete\", \"d\", true, \"{anon,authenticated}\", \"true\", null], [\"run402_public_read_write_insert\", \"a\", true, \"{anon,authenticated}\", null, \"true\"], [\"run402_public_read_write_select\", \"r\", true, \"{anon,authenticated}\", \"true\", null], [\"run402_public_read_write_update\", \"w\", true, \"{anon,authenticated}\", \"true\", \"true\"]], \"rls\": true, \"triggers\": null, \"view\": null}", "vault": "{\"forced\": false, \"options\": null, \"policies\": null, \"rls\": false, \"triggers\": null, \"view\": null}"}', '2026-11-30 16:01:30.382764+00');
INSERT INTO internal.core_fault_calls VALUES ('prj_ea447efeef6b0244', '2026-11-30 16:01:00+00', 'api', 2);
INSERT INTO internal.core_fault_calls VALUES ('prj_4f24512716218d9c', '2026-11-30 16:01:00+00', 'api', 2);
INSERT INTO internal.core_function_bundles VALUES ('prj_ea447efeef6b0244', 'rel_375b8e826808710e17726534', 'api', '{"deps": [], "name": "api", "runtime": "node22", "schedule": null, "code_hash": "a3876fa8f462608bcb09a957ae40e7c726d8d4efb5403a1104152abf417a8937", "memory_mb": 128, "require_auth": false, "require_role": null, "timeout_seconds": 10}', '{"files": {}, "source": {"size": 299, "sha256": "a3876fa8f462608bcb09a957ae40e7c726d8d4efb5403a1104152abf417a8937"}, "entrypoint": null}', NULL, '4.0.0', '2026-11-30 16:01:27.136546+00', '2026-11-30 16:01:27.136546+00');
INSERT INTO internal.core_function_bundles VALUES ('prj_4f24512716218d9c', 'rel_061b84292fe2982ea03e2d9d', 'api', '{"deps": [], "name": "api", "runtime": "node22", "schedule": null, "code_hash": "a3876fa8f462608bcb09a957ae40e7c726d8d4efb5403a1104152abf417a8937", "memory_mb": 128, "require_auth": false, "require_role": null, "timeout_seconds": 10}', '{"files": {}, "source": {"size": 299, "sha256": "a3876fa8f462608bcb09a957ae40e7c726d8d4efb5403a1104152abf417a8937"}, "entrypoint": null}', NULL, '4.0.0', '2026-11-30 16:01:28.79509+00', '2026-11-30 16:01:28.79509+00');
INSERT INTO internal.core_function_bundles VALUES ('prj_52b95dc96056aec7', 'rel_375b8e826808710e17726534', 'api', '{"deps": [], "name": "api", "runtime": "node22", "schedule": null, "code_hash": "a3876fa8f462608bcb09a957ae40e7c726d8d4efb5403a1104152abf417a8937", "memory_mb": 128, "require_auth": false, "require_role": null, "timeout_seconds": 10}', '{"files": {}, "source": {"size": 299, "sha256": "a3876fa8f462608bcb09a957ae40e7c726d8d4efb5403a1104152abf417a8937"}, "entrypoint": null}', NULL, '4.0.0', '2026-11-30 16:01:27.136546+00', '2026-11-30 16:01:27.136546+00');
INSERT INTO internal.core_function_logs VALUES (1, '2026-11-30 16:01:28.345945+00', 'req_aff02132e496d31cd8ac0b51', 'prj_ea447efeef6b0244', 'rel_375b8e826808710e17726534', 'api', 'platform', 'info', '{"event":"function_invocation_started","invocation_kind":"direct","method":"POST","path":"/functions/v1/api","routePattern":"/functions/v1/api"}', false);
INSERT INTO internal.core_function_logs VALUES (2, '2026-11-30 16:01:28.620562+00', 'req_aff02132e496d31cd8ac0b51', 'prj_ea447efeef6b0244', 'rel_375b8e826808710e17726534', 'api', 'platform', 'info', '{"duration_ms":283,"event":"function_invocation_completed","invocation_kind":"direct","method":"POST","path":"/functions/v1/api","routePattern":"/functions/v1/api","status":200}', false);
INSERT INTO internal.core_function_logs VALUES (3, '2026-11-30 16:01:28.627262+00', 'req_90e00784d751a81e65d6620f', 'prj_ea447efeef6b0244', 'rel_375b8e826808710e17726534', 'api', 'platform', 'info', '{"event":"function_invocation_started","invocation_kind":"routed_http","method":"GET","path":"/api/x","routePattern":"/api/*"}', false);
INSERT INTO internal.core_function_logs VALUES (4, '2026-11-30 16:01:28.64322+00', 'req_90e00784d751a81e65d6620f', 'prj_ea447efeef6b0244', 'rel_375b8e826808710e17726534', 'api', 'platform', 'info', '{"duration_ms":16,"event":"function_invocation_completed","invocation_kind":"routed_http","method":"GET","path":"/api/x","routePattern":"/api/*","status":200}', false);
INSERT INTO internal.core_function_logs VALUES (5, '2026-11-30 16:01:30.0339+00', 'req_9aaba5adf5508e19b0f3a1c5', 'prj_4f24512716218d9c', 'rel_061b84292fe2982ea03e2d9d', 'api', 'platform', 'info', '{"event":"function_invocation_started","invocation_kind":"direct","method":"POST","path":"/functions/v1/api","routePattern":"/functions/v1/api"}', false);
INSERT INTO internal.core_function_logs VALUES (6, '2026-11-30 16:01:30.308841+00', 'req_9aaba5adf5508e19b0f3a1c5', 'prj_4f24512716218d9c', 'rel_061b84292fe2982ea03e2d9d', 'api', 'platform', 'info', '{"duration_ms":282,"event":"function_invocation_completed","invocation_kind":"direct","method":"POST","path":"/functions/v1/api","routePattern":"/functions/v1/api","status":200}', false);
INSERT INTO internal.core_function_logs VALUES (7, '2026-11-30 16:01:30.320186+00', 'req_a4c7bf98c630275e66e3ecc5', 'prj_4f24512716218d9c', 'rel_061b84292fe2982ea03e2d9d', 'api', 'platform', 'info', '{"event":"function_invocation_started","invocation_kind":"routed_http","method":"GET","path":"/api/x","routePattern":"/api/*"}', false);
INSERT INTO internal.core_function_logs VALUES (8, '2026-11-30 16:01:30.353904+00', 'req_a4c7bf98c630275e66e3ecc5', 'prj_4f24512716218d9c', 'rel_061b84292fe2982ea03e2d9d', 'api', 'platform', 'info', '{"duration_ms":34,"event":"function_invocation_completed","invocation_kind":"routed_http","method":"GET","path":"/api/x","routePattern":"/api/*","status":200}', false);
INSERT INTO internal.core_function_secrets VALUES ('prj_ea447efeef6b0244', 'API_TOKEN', 'project', '', 'aesgcm:v1:AHnGAvEucXraSdOUKhPg8mVNFY5NgJkFgu7qfrDfK66e3Drh_OfwTxAE8b_EIQ==', '2026-11-30 16:01:26.792673+00', '2026-11-30 16:01:26.792673+00');
INSERT INTO internal.core_function_secrets VALUES ('prj_4f24512716218d9c', 'API_TOKEN', 'project', '', 'aesgcm:v1:mGofZIEIrErjXcMSZRKeqZN34fKw9gKqrTpiJi1sA3IlHYQ8clLRkWs87LpuHA==', '2026-11-30 16:01:28.655917+00', '2026-11-30 16:01:28.655917+00');
INSERT INTO internal.core_function_secrets VALUES ('prj_52b95dc96056aec7', 'API_TOKEN', 'project', '', 'aesgcm:v1:DySgW9YlPTY4ykXwyunTcgf-FxX-88ZKbcDxAu9nFv256Baur3vLhE81TFqBQg==', '2026-11-30 16:01:30.382764+00', '2026-11-30 16:01:30.382764+00');
INSERT INTO internal.core_mailboxes VALUES ('mbx_19333a536f276e03ab64797653f971ca', 'prj_ea447efeef6b0244', 'shop', 'shop@local-54c996d4509be6ae4b38.mail.localhost', 'none', '2026-11-30 16:01:28.02025+00', '2026-11-30 16:01:28.02025+00', NULL);
INSERT INTO internal.core_mailboxes VALUES ('mbx_f7baaec6fbec1eea0cd2729383e07119', 'prj_4f24512716218d9c', 'blog', 'blog@local-3faeeda9619a022f4564.mail.localhost', 'none', '2026-11-30 16:01:29.675539+00', '2026-11-30 16:01:29.675539+00', NULL);
INSERT INTO internal.core_operation_events OVERRIDING SYSTEM VALUE VALUES (1, 'op_1a477fbb6b7ec87164a94026', 'stage', 'started', 'Checking content', '{}', '2026-11-30 16:01:26.92665+00');
INSERT INTO internal.core_operation_events OVERRIDING SYSTEM VALUE VALUES (2, 'op_1a477fbb6b7ec87164a94026', 'stage', 'done', '2 objects present', '{"objects": 2}', '2026-11-30 16:01:26.940042+00');
INSERT INTO internal.core_operation_events OVERRIDING SYSTEM VALUE VALUES (3, 'op_1a477fbb6b7ec87164a94026', 'migrate-gate', 'done', 'Migrations and expose manifest checked', '{"pending": ["001"]}', '2026-11-30 16:01:26.958358+00');
INSERT INTO internal.core_operation_events OVERRIDING SYSTEM VALUE VALUES (4, 'op_1a477fbb6b7ec87164a94026', 'migrate', 'started', 'Running 001', '{"migration_id": "001"}', '2026-11-30 16:01:26.961674+00');
INSERT INTO internal.core_operation_events OVERRIDING SYSTEM VALUE VALUES (5, 'op_1a477fbb6b7ec87164a94026', 'migrate', 'done', 'Applied 001', '{"migration_id": "001"}', '2026-11-30 16:01:27.005946+00');
INSERT INTO internal.core_operation_events OVERRIDING SYSTEM VALUE VALUES (6, 'op_1a477fbb6b7ec87164a94026', 'activate', 'started', 'Activating rel_375b8e826808710e17726534', '{}', '2026-11-30 16:01:27.134658+00');
INSERT INTO internal.core_operation_events OVERRIDING SYSTEM VALUE VALUES (7, 'op_1a477fbb6b7ec87164a94026', 'activate', 'done', 'Activated rel_375b8e826808710e17726534', '{"expose": {"applied": {"rpcs": ["shout"], "views": [], "tables": ["notes", "mine", "vault"]}, "dropped": {"rpcs": [], "views": [], "tables": []}, "warnings": [{"fix": "Use a uuid column when user ids are UUIDs.", "type": "owner-column-type", "detail": "mine.user_id is text, not uuid; it is compared with the user''s id as text.", "severity": "warning"}]}, "release_id": "rel_375b8e826808710e17726534"}', '2026-11-30 16:01:27.136546+00');
INSERT INTO internal.core_operation_events OVERRIDING SYSTEM VALUE VALUES (8, 'op_1a477fbb6b7ec87164a94026', 'ready', 'done', 'Release is live', '{}', '2026-11-30 16:01:27.136546+00');
INSERT INTO internal.core_operation_events OVERRIDING SYSTEM VALUE VALUES (9, 'op_fdcee7353c0583320a608155', 'snapshot', 'done', 'Captured snap_7ec96af3a5fe2d469de3fa58', '{}', '2026-11-30 16:01:28.07833+00');
INSERT INTO internal.core_operation_events OVERRIDING SYSTEM VALUE VALUES (10, 'op_9303c3597a393cfa685a963d', 'stage', 'started', 'Checking content', '{}', '2026-11-30 16:01:28.734145+00');
INSERT INTO internal.core_operation_events OVERRIDING SYSTEM VALUE VALUES (11, 'op_9303c3597a393cfa685a963d', 'stage', 'done', '2 objects present', '{"objects": 2}', '2026-11-30 16:01:28.747965+00');
INSERT INTO internal.core_operation_events OVERRIDING SYSTEM VALUE VALUES (12, 'op_9303c3597a393cfa685a963d', 'migrate-gate', 'done', 'Migrations and expose manifest checked', '{"pending": ["001"]}', '2026-11-30 16:01:28.756401+00');
INSERT INTO internal.core_operation_events OVERRIDING SYSTEM VALUE VALUES (13, 'op_9303c3597a393cfa685a963d', 'migrate', 'started', 'Running 001', '{"migration_id": "001"}', '2026-11-30 16:01:28.758658+00');
INSERT INTO internal.core_operation_events OVERRIDING SYSTEM VALUE VALUES (14, 'op_9303c3597a393cfa685a963d', 'migrate', 'done', 'Applied 001', '{"migration_id": "001"}', '2026-11-30 16:01:28.786178+00');
INSERT INTO internal.core_operation_events OVERRIDING SYSTEM VALUE VALUES (15, 'op_9303c3597a393cfa685a963d', 'activate', 'started', 'Activating rel_061b84292fe2982ea03e2d9d', '{}', '2026-11-30 16:01:28.793822+00');
INSERT INTO internal.core_operation_events OVERRIDING SYSTEM VALUE VALUES (16, 'op_9303c3597a393cfa685a963d', 'activate', 'done', 'Activated rel_061b84292fe2982ea03e2d9d', '{"expose": {"applied": {"rpcs": ["shout"], "views": [], "tables": ["notes", "mine", "vault"]}, "dropped": {"rpcs": [], "views": [], "tables": []}, "warnings": [{"fix": "Use a uuid column when user ids are UUIDs.", "type": "owner-column-type", "detail": "mine.user_id is text, not uuid; it is compared with the user''s id as text.", "severity": "warning"}]}, "release_id": "rel_061b84292fe2982ea03e2d9d"}', '2026-11-30 16:01:28.79509+00');
INSERT INTO internal.core_operation_events OVERRIDING SYSTEM VALUE VALUES (17, 'op_9303c3597a393cfa685a963d', 'ready', 'done', 'Release is live', '{}', '2026-11-30 16:01:28.79509+00');
INSERT INTO internal.core_operation_events OVERRIDING SYSTEM VALUE VALUES (18, 'op_f188536d423200c27e31406b', 'snapshot', 'done', 'Captured snap_9c4d19731d64c81f5754fa7f', '{}', '2026-11-30 16:01:29.731875+00');
INSERT INTO internal.core_operation_events OVERRIDING SYSTEM VALUE VALUES (19, 'op_8d268f64c4f809704d6f14b0', 'branch', 'done', 'Branched prj_ea447efeef6b0244', '{}', '2026-11-30 16:01:30.368775+00');
INSERT INTO internal.core_operations VALUES ('op_1a477fbb6b7ec87164a94026', 'prj_ea447efeef6b0244', 'plan_adc0256ae3b140b49e99af19', 'ready', NULL, 'rel_375b8e826808710e17726534', 'rel_375b8e826808710e17726534', NULL, 1, '2026-11-30 16:01:27.13227+00', '2026-11-30 16:01:26.888328+00', '2026-11-30 16:01:27.136546+00', 'deploy', NULL);
INSERT INTO internal.core_operations VALUES ('op_fdcee7353c0583320a608155', 'prj_ea447efeef6b0244', NULL, 'ready', NULL, NULL, NULL, NULL, 0, NULL, '2026-11-30 16:01:28.07833+00', '2026-11-30 16:01:28.07833+00', 'snapshot', NULL);
INSERT INTO internal.core_operations VALUES ('op_9303c3597a393cfa685a963d', 'prj_4f24512716218d9c', 'plan_046465239303078884b4da9c', 'ready', NULL, 'rel_061b84292fe2982ea03e2d9d', 'rel_061b84292fe2982ea03e2d9d', NULL, 1, '2026-11-30 16:01:28.789858+00', '2026-11-30 16:01:28.701399+00', '2026-11-30 16:01:28.79509+00', 'deploy', NULL);
INSERT INTO internal.core_operations VALUES ('op_f188536d423200c27e31406b', 'prj_4f24512716218d9c', NULL, 'ready', NULL, NULL, NULL, NULL, 0, NULL, '2026-11-30 16:01:29.731875+00', '2026-11-30 16:01:29.731875+00', 'snapshot', NULL);
INSERT INTO internal.core_operations VALUES ('op_8d268f64c4f809704d6f14b0', 'prj_ea447efeef6b0244', NULL, 'ready', NULL, NULL, NULL, NULL, 0, NULL, '2026-11-30 16:01:30.368775+00', '2026-11-30 16:01:30.368775+00', 'branch', NULL);
INSERT INTO internal.core_project_events VALUES (1, 'evt_b9c7f6a4950c470eb90f9c5baf1b89e4', 'prj_ea447efeef6b0244', 'deploy_activated', 'deploy', 'platform', '{"release_id": "rel_375b8e826808710e17726534", "previous_release_id": null}', false, NULL, '2026-11-30 16:01:27.136546+00');
INSERT INTO internal.core_project_events VALUES (2, 'evt_794d92ddba214fbe87189bdb94067355', 'prj_4f24512716218d9c', 'deploy_activated', 'deploy', 'platform', '{"release_id": "rel_061b84292fe2982ea03e2d9d", "previous_release_id": null}', false, NULL, '2026-11-30 16:01:28.79509+00');
INSERT INTO internal.core_project_events VALUES (3, 'evt_0466602fcdb648b7a275c871b162ee46', 'prj_52b95dc96056aec7', 'deploy_activated', 'deploy', 'platform', '{"release_id": "rel_375b8e826808710e17726534", "previous_release_id": null}', false, NULL, '2026-11-30 16:01:30.382764+00');
INSERT INTO internal.core_project_mailbox_settings VALUES ('prj_ea447efeef6b0244', 'mbx_19333a536f276e03ab64797653f971ca', NULL);
INSERT INTO internal.core_project_mailbox_settings VALUES ('prj_4f24512716218d9c', 'mbx_f7baaec6fbec1eea0cd2729383e07119', NULL);
INSERT INTO internal.core_projects VALUES ('prj_ea447efeef6b0244', 'shop', 'project_ea447efeef6b0244', 'local_54c996d4509be6ae4b38', 'r402_anon_52ad904e93e960a3ad635f48905a860704fc84136405dde0', 'r402_service_2aab4cc224c4e3354ad63be3806ad2a054912b87b89b6b22', 'rel_375b8e826808710e17726534', '2026-11-30 16:01:26.684661+00', '2026-11-30 16:01:27.136546+00');
INSERT INTO internal.core_projects VALUES ('prj_4f24512716218d9c', 'blog', 'project_4f24512716218d9c', 'local_3faeeda9619a022f4564', 'r402_anon_bfea2ec4ccdee21000f4d7583f06b280a6f8e897770bfd4d', 'r402_service_931bdc99b588b30efeba35c50c3afd975c766f2a02d8ab13', 'rel_061b84292fe2982ea03e2d9d', '2026-11-30 16:01:28.647796+00', '2026-11-30 16:01:28.79509+00');
INSERT INTO internal.core_projects VALUES ('prj_52b95dc96056aec7', 'try', 'project_52b95dc96056aec7', 'local_bfdca0c0b8ee520a7cfd', 'r402_anon_f9369098af232bc141800a013f3ca2776ca69426740b889a', 'r402_service_88ceadae0e9e8ee2ad7fa6d2f289f44cc0f0849ca717c747', 'rel_375b8e826808710e17726534', '2026-11-30 16:01:30.382764+00', '2026-11-30 16:01:30.382764+00');
INSERT INTO internal.core_releases VALUES ('prj_ea447efeef6b0244', 'rel_375b8e826808710e17726534', 'run402-materialized-release-v1:375b8e826808710e17726534beeaed8ae77477bda1842a474c9093bb5e922973', '{"i18n": null, "site": {"paths": [{"path": "index.html", "size_bytes": 13, "content_type": "text/html; charset=utf-8", "content_sha256": "d13ca224f9b292c8819f8bd851204450c1bf46b67fa4311cb1b615a98e50b4be"}]}, "routes": {"entries": [{"kind": "prefix", "prefix": "/api/", "target": {"name": "api", "type": "function"}, "methods": null, "pattern": "/api/*"}], "manifest_sha256": "a56b50e2ba54b47d7c16cdac3300bfed5f515c48885187073e32fbbf22902b85"}, "secrets": {"keys": ["API_TOKEN"]}, "functions": [{"deps": [], "name": "api", "runtime": "node22", "schedule": null, "code_hash": "a3876fa8f462608bcb09a957ae40e7c726d8d4efb5403a1104152abf417a8937", "memory_mb": 128, "require_auth": false, "require_role": null, "timeout_seconds": 10}], "migrations": [{"transaction": "default", "checksum_hex": "9b196823b0b5526027b39789c951d4d4c346d5576d7fb55ca595ee18a8ad9a91", "migration_id": "001"}], "subdomains": {"names": []}, "state_version": "run402.portable_release_state.v1", "static_manifest": {"files": {"/": {"size": 13, "direct": true, "sha256": "d13ca224f9b292c8819f8bd851204450c1bf46b67fa4311cb1b615a98e50b4be", "authority": "implicit_file_path", "asset_path": "index.html", "cache_class": "html", "content_type": "text/html; charset=utf-8", "cache_class_source": "inferred_html"}, "/index.html": {"size": 13, "direct": true, "sha256": "d13ca224f9b292c8819f8bd851204450c1bf46b67fa4311cb1b615a98e50b4be", "authority": "implicit_file_path", "asset_path": "index.html", "cache_class": "html", "content_type": "text/html; charset=utf-8", "cache_class_source": "inferred_html"}}, "version": "run402.static_manifest.v1", "spa_fallback": "/index.html"}}', 'run402-portable-manifest-v1:6e9e79072654ae53286a677f686b897785a55480462a752497aa44209993a64e', NULL, 'plan_adc0256ae3b140b49e99af19', 'op_1a477fbb6b7ec87164a94026', 1, '2026-11-30 16:01:27.136546+00', '2026-11-30 16:01:27.136546+00', NULL);
INSERT INTO internal.core_releases VALUES ('prj_4f24512716218d9c', 'rel_061b84292fe2982ea03e2d9d', 'run402-materialized-release-v1:061b84292fe2982ea03e2d9d56abcf564fe06a2f94dd45ee1f3c38a2d708688e', '{"i18n": null, "site": {"paths": [{"path": "index.html", "size_bytes": 13, "content_type": "text/html; charset=utf-8", "content_sha256": "db224bff8fdb8c799b7c9a78ff1710cdfca118a32718670251edc541ac903192"}]}, "routes": {"entries": [{"kind": "prefix", "prefix": "/api/", "target": {"name": "api", "type": "function"}, "methods": null, "pattern": "/api/*"}], "manifest_sha256": "a56b50e2ba54b47d7c16cdac3300bfed5f515c48885187073e32fbbf22902b85"}, "secrets": {"keys": ["API_TOKEN"]}, "functions": [{"deps": [], "name": "api", "runtime": "node22", "schedule": null, "code_hash": "a3876fa8f462608bcb09a957ae40e7c726d8d4efb5403a1104152abf417a8937", "memory_mb": 128, "require_auth": false, "require_role": null, "timeout_seconds": 10}], "migrations": [{"transaction": "default", "checksum_hex": "9b196823b0b5526027b39789c951d4d4c346d5576d7fb55ca595ee18a8ad9a91", "migration_id": "001"}], "subdomains": {"names": []}, "state_version": "run402.portable_release_state.v1", "static_manifest": {"files": {"/": {"size": 13, "direct": true, "sha256": "db224bff8fdb8c799b7c9a78ff1710cdfca118a32718670251edc541ac903192", "authority": "implicit_file_path", "asset_path": "index.html", "cache_class": "html", "content_type": "text/html; charset=utf-8", "cache_class_source": "inferred_html"}, "/index.html": {"size": 13, "direct": true, "sha256": "db224bff8fdb8c799b7c9a78ff1710cdfca118a32718670251edc541ac903192", "authority": "implicit_file_path", "asset_path": "index.html", "cache_class": "html", "content_type": "text/html; charset=utf-8", "cache_class_source": "inferred_html"}}, "version": "run402.static_manifest.v1", "spa_fallback": "/index.html"}}', 'run402-portable-manifest-v1:26def679b61bb9d4040a129a90e21041012f8a58d3f36053f5b5d4d76958dba8', NULL, 'plan_046465239303078884b4da9c', 'op_9303c3597a393cfa685a963d', 1, '2026-11-30 16:01:28.79509+00', '2026-11-30 16:01:28.79509+00', NULL);
INSERT INTO internal.core_releases VALUES ('prj_52b95dc96056aec7', 'rel_375b8e826808710e17726534', 'run402-materialized-release-v1:375b8e826808710e17726534beeaed8ae77477bda1842a474c9093bb5e922973', '{"i18n": null, "site": {"paths": [{"path": "index.html", "size_bytes": 13, "content_type": "text/html; charset=utf-8", "content_sha256": "d13ca224f9b292c8819f8bd851204450c1bf46b67fa4311cb1b615a98e50b4be"}]}, "routes": {"entries": [{"kind": "prefix", "prefix": "/api/", "target": {"name": "api", "type": "function"}, "methods": null, "pattern": "/api/*"}], "manifest_sha256": "a56b50e2ba54b47d7c16cdac3300bfed5f515c48885187073e32fbbf22902b85"}, "secrets": {"keys": ["API_TOKEN"]}, "functions": [{"deps": [], "name": "api", "runtime": "node22", "schedule": null, "code_hash": "a3876fa8f462608bcb09a957ae40e7c726d8d4efb5403a1104152abf417a8937", "memory_mb": 128, "require_auth": false, "require_role": null, "timeout_seconds": 10}], "migrations": [{"transaction": "default", "checksum_hex": "9b196823b0b5526027b39789c951d4d4c346d5576d7fb55ca595ee18a8ad9a91", "migration_id": "001"}], "subdomains": {"names": []}, "state_version": "run402.portable_release_state.v1", "static_manifest": {"files": {"/": {"size": 13, "direct": true, "sha256": "d13ca224f9b292c8819f8bd851204450c1bf46b67fa4311cb1b615a98e50b4be", "authority": "implicit_file_path", "asset_path": "index.html", "cache_class": "html", "content_type": "text/html; charset=utf-8", "cache_class_source": "inferred_html"}, "/index.html": {"size": 13, "direct": true, "sha256": "d13ca224f9b292c8819f8bd851204450c1bf46b67fa4311cb1b615a98e50b4be", "authority": "implicit_file_path", "asset_path": "index.html", "cache_class": "html", "content_type": "text/html; charset=utf-8", "cache_class_source": "inferred_html"}}, "version": "run402.static_manifest.v1", "spa_fallback": "/index.html"}}', 'run402-portable-manifest-v1:6e9e79072654ae53286a677f686b897785a55480462a752497aa44209993a64e', NULL, NULL, NULL, 1, '2026-11-30 16:01:30.382764+00', '2026-11-30 16:01:30.382764+00', NULL);
INSERT INTO internal.core_snapshots VALUES ('snap_7ec96af3a5fe2d469de3fa58', 'prj_ea447efeef6b0244', 'op_fdcee7353c0583320a608155', 'manual', 'snapshot_5af23056cc83090e', '{}', 114688, 'rel_375b8e826808710e17726534', '[{"state": "applied", "applied_at": "2026-11-30T16:01:26.964818+00:00", "checksum_hex": "9b196823b0b5526027b39789c951d4d4c346d5576d7fb55ca595ee18a8ad9a91", "migration_id": "001"}]', '{"manifest" : {"version": "1", "tables": [{"name": "notes", "expose": true, "policy": "public_read_write_UNRESTRICTED", "i_understand_this_is_unrestricted": true}, {"name": "mine", "expose": true, "policy": "user_owns_rows", "owner_column": "user_id", "force_owner_on_insert": true}, {"name": "vault", "expose": false}], "views": [], "rpcs": [{"name": "shout", "grant_to": ["anon", "authenticated"], "signature": "(q text)"}]}, "surfaces" : {"mine": "{\"forced\": true, \"options\": null, \"policies\": [[\"run402_user_owns_rows_delete\", \"d\", true, \"{authenticated}\", \"(user_id = ( SELECT uid() AS uid))\", null], [\"run402_user_owns_rows_insert\", \"a\", true, \"{authenticated}\", null, \"(user_id = ( SELECT uid() AS uid))\"], [\"run402_user_owns_rows_select\", \"r\", true, \"{authenticated}\", \"(user_id = ( SELECT uid() AS uid))\", null], [\"run402_user_owns_rows_update\", \"w\", true, \"{authenticated}\", \"(user_id = ( SELECT uid() AS uid))\", \"(user_id = ( SELECT uid() AS uid))\"]], \"rls\": true, \"triggers\": [[\"CREATE TRIGGER mine_set_owner BEFORE INSERT ON project_ea447efeef6b0244.mine FOR EACH ROW EXECUTE FUNCTION mine_set_owner_fn()\", \"O\", \"CREATE OR REPLACE FUNCTION project_ea447efeef6b0244.mine_set_owner_fn()\\n RETURNS trigger\\n LANGUAGE plpgsql\\n SET search_path TO ''''\\nAS $function$BEGIN IF NEW.\\\"user_id\\\" IS NULL THEN NEW.\\\"user_id\\\" := auth.uid(); END IF; RETURN NEW; END$function$\\n\"]], \"view\": null}", "notes": "{\"forced\": true, \"options\": null, \"policies\": [[\"run402_public_read_write_delete\", \"d\", true, \"{anon,authenticated}\", \"true\", null], [\"run402_public_read_write_insert\", \"a\", true, \"{anon,authenticated}\", null, \"true\"], [\"run402_public_read_write_select\", \"r\", true, \"{anon,authenticated}\", \"true\", null], [\"run402_public_read_write_update\", \"w\", true, \"{anon,authenticated}\", \"true\", \"true\"]], \"rls\": true, \"triggers\": null, \"view\": null}", "vault": "{\"forced\": false, \"options\": null, \"policies\": null, \"rls\": false, \"triggers\": null, \"view\": null}"}}', NULL, NULL, NULL, '2026-11-30 16:01:28.324001+00', '2026-11-30 16:01:28.324001+00');
INSERT INTO internal.core_snapshots VALUES ('snap_9c4d19731d64c81f5754fa7f', 'prj_4f24512716218d9c', 'op_f188536d423200c27e31406b', 'manual', 'snapshot_bc01118d92bccfa4', '{}', 114688, 'rel_061b84292fe2982ea03e2d9d', '[{"state": "applied", "applied_at": "2026-11-30T16:01:28.760151+00:00", "checksum_hex": "9b196823b0b5526027b39789c951d4d4c346d5576d7fb55ca595ee18a8ad9a91", "migration_id": "001"}]', '{"manifest" : {"version": "1", "tables": [{"name": "notes", "expose": true, "policy": "public_read_write_UNRESTRICTED", "i_understand_this_is_unrestricted": true}, {"name": "mine", "expose": true, "policy": "user_owns_rows", "owner_column": "user_id", "force_owner_on_insert": true}, {"name": "vault", "expose": false}], "views": [], "rpcs": [{"name": "shout", "grant_to": ["anon", "authenticated"], "signature": "(q text)"}]}, "surfaces" : {"mine": "{\"forced\": true, \"options\": null, \"policies\": [[\"run402_user_owns_rows_delete\", \"d\", true, \"{authenticated}\", \"(user_id = ( SELECT uid() AS uid))\", null], [\"run402_user_owns_rows_insert\", \"a\", true, \"{authenticated}\", null, \"(user_id = ( SELECT uid() AS uid))\"], [\"run402_user_owns_rows_select\", \"r\", true, \"{authenticated}\", \"(user_id = ( SELECT uid() AS uid))\", null], [\"run402_user_owns_rows_update\", \"w\", true, \"{authenticated}\", \"(user_id = ( SELECT uid() AS uid))\", \"(user_id = ( SELECT uid() AS uid))\"]], \"rls\": true, \"triggers\": [[\"CREATE TRIGGER mine_set_owner BEFORE INSERT ON project_4f24512716218d9c.mine FOR EACH ROW EXECUTE FUNCTION mine_set_owner_fn()\", \"O\", \"CREATE OR REPLACE FUNCTION project_4f24512716218d9c.mine_set_owner_fn()\\n RETURNS trigger\\n LANGUAGE plpgsql\\n SET search_path TO ''''\\nAS $function$BEGIN IF NEW.\\\"user_id\\\" IS NULL THEN NEW.\\\"user_id\\\" := auth.uid(); END IF; RETURN NEW; END$function$\\n\"]], \"view\": null}", "notes": "{\"forced\": true, \"options\": null, \"policies\": [[\"run402_public_read_write_delete\", \"d\", true, \"{anon,authenticated}\", \"true\", null], [\"run402_public_read_write_insert\", \"a\", true, \"{anon,authenticated}\", null, \"true\"], [\"run402_public_read_write_select\", \"r\", true, \"{anon,authenticated}\", \"true\", null], [\"run402_public_read_write_update\", \"w\", true, \"{anon,authenticated}\", \"true\", \"true\"]], \"rls\": true, \"triggers\": null, \"view\": null}", "vault": "{\"forced\": false, \"options\": null, \"policies\": null, \"rls\": false, \"triggers\": null, \"view\": null}"}}', NULL, NULL, NULL, '2026-11-30 16:01:30.008025+00', '2026-11-30 16:01:30.008025+00');
INSERT INTO internal.core_storage_objects VALUES ('prj_ea447efeef6b0244', 'open/a.txt', 'b81ecc17230d2ec881ee947ebfcfb4f4ae7c7d7eaf9be0bad8d81fc3e5ef4c34', 13, 'text/plain', 'public', false, NULL, NULL, NULL, '2026-11-30 16:01:27.963248+00', '2026-11-30 16:01:27.963248+00');
INSERT INTO internal.core_storage_objects VALUES ('prj_ea447efeef6b0244', 'closed/b.txt', 'fe434a249359c4626ae2459599aa0576361bae9f63eb33369fafad0b5dfe4cef', 15, 'text/plain', 'private', false, NULL, NULL, NULL, '2026-11-30 16:01:28.009319+00', '2026-11-30 16:01:28.009319+00');
INSERT INTO internal.core_storage_objects VALUES ('prj_4f24512716218d9c', 'open/a.txt', '930ce6e3ac1829d3375b1ef9026f151ed39a474595ceaf4a14135f5aeb2da11d', 13, 'text/plain', 'public', false, NULL, NULL, NULL, '2026-11-30 16:01:29.609174+00', '2026-11-30 16:01:29.609174+00');
INSERT INTO internal.core_storage_objects VALUES ('prj_4f24512716218d9c', 'closed/b.txt', 'd2940f615048a6ea8580018ea5e3a00b6bfa0349103ecf8f273033bf648013cb', 15, 'text/plain', 'private', false, NULL, NULL, NULL, '2026-11-30 16:01:29.658588+00', '2026-11-30 16:01:29.658588+00');
INSERT INTO internal.core_storage_objects VALUES ('prj_52b95dc96056aec7', 'open/a.txt', 'b81ecc17230d2ec881ee947ebfcfb4f4ae7c7d7eaf9be0bad8d81fc3e5ef4c34', 13, 'text/plain', 'public', false, NULL, NULL, NULL, '2026-11-30 16:01:27.963248+00', '2026-11-30 16:01:30.382764+00');
INSERT INTO internal.core_storage_objects VALUES ('prj_52b95dc96056aec7', 'closed/b.txt', 'fe434a249359c4626ae2459599aa0576361bae9f63eb33369fafad0b5dfe4cef', 15, 'text/plain', 'private', false, NULL, NULL, NULL, '2026-11-30 16:01:28.009319+00', '2026-11-30 16:01:30.382764+00');
INSERT INTO internal.core_storage_uploads VALUES ('upl_2514274a510aaf776c71dae3', 'prj_ea447efeef6b0244', 'open/a.txt', 13, 'b81ecc17230d2ec881ee947ebfcfb4f4ae7c7d7eaf9be0bad8d81fc3e5ef4c34', 'text/plain', 'public', false, 'completed', 13, '2026-12-01 16:01:27.924218+00', '2026-11-30 16:01:27.970023+00', NULL, '2026-11-30 16:01:27.924218+00');
INSERT INTO internal.core_storage_uploads VALUES ('upl_ea308e3315a4fbac26b74e14', 'prj_ea447efeef6b0244', 'closed/b.txt', 15, 'fe434a249359c4626ae2459599aa0576361bae9f63eb33369fafad0b5dfe4cef', 'text/plain', 'private', false, 'completed', 15, '2026-12-01 16:01:27.979943+00', '2026-11-30 16:01:28.01376+00', NULL, '2026-11-30 16:01:27.979943+00');
INSERT INTO internal.core_storage_uploads VALUES ('upl_3de60dd0c83df97b91b6346c', 'prj_4f24512716218d9c', 'open/a.txt', 13, '930ce6e3ac1829d3375b1ef9026f151ed39a474595ceaf4a14135f5aeb2da11d', 'text/plain', 'public', false, 'completed', 13, '2026-12-01 16:01:29.578421+00', '2026-11-30 16:01:29.616932+00', NULL, '2026-11-30 16:01:29.578421+00');
INSERT INTO internal.core_storage_uploads VALUES ('upl_6f49f3f8fc2a4010cf8f6617', 'prj_4f24512716218d9c', 'closed/b.txt', 15, 'd2940f615048a6ea8580018ea5e3a00b6bfa0349103ecf8f273033bf648013cb', 'text/plain', 'private', false, 'completed', 15, '2026-12-01 16:01:29.625871+00', '2026-11-30 16:01:29.668746+00', NULL, '2026-11-30 16:01:29.625871+00');
INSERT INTO internal.core_subdomains VALUES ('old-shop', 'prj_ea447efeef6b0244', '2026-11-30 16:01:28.06711+00', '2026-11-30 16:01:28.06711+00', 'claim');
INSERT INTO internal.core_subdomains VALUES ('old-blog', 'prj_4f24512716218d9c', '2026-11-30 16:01:29.7116+00', '2026-11-30 16:01:29.7116+00', 'claim');
INSERT INTO project_4f24512716218d9c.mine OVERRIDING SYSTEM VALUE VALUES (1, 'ffcee6d6-6906-4c79-8f0b-1140222da2fc', 'blog!');
INSERT INTO project_4f24512716218d9c.notes VALUES (1, 'one', 'ok');
INSERT INTO project_4f24512716218d9c.notes VALUES (2, 'two', 'ok');
INSERT INTO project_4f24512716218d9c.vault VALUES ('hidden');
INSERT INTO project_52b95dc96056aec7.mine OVERRIDING SYSTEM VALUE VALUES (1, 'b3638d41-9696-4362-ad57-1699d5fe886c', 'shop!');
INSERT INTO project_52b95dc96056aec7.notes VALUES (1, 'one', 'ok');
INSERT INTO project_52b95dc96056aec7.notes VALUES (2, 'two', 'ok');
INSERT INTO project_52b95dc96056aec7.vault VALUES ('hidden');
INSERT INTO project_ea447efeef6b0244.mine OVERRIDING SYSTEM VALUE VALUES (1, 'b3638d41-9696-4362-ad57-1699d5fe886c', 'shop!');
INSERT INTO project_ea447efeef6b0244.notes VALUES (1, 'one', 'ok');
INSERT INTO project_ea447efeef6b0244.notes VALUES (2, 'two', 'ok');
INSERT INTO project_ea447efeef6b0244.vault VALUES ('hidden');
INSERT INTO snapshot_5af23056cc83090e.mine OVERRIDING SYSTEM VALUE VALUES (1, 'b3638d41-9696-4362-ad57-1699d5fe886c', 'shop!');
INSERT INTO snapshot_5af23056cc83090e.notes VALUES (1, 'one', 'ok');
INSERT INTO snapshot_5af23056cc83090e.notes VALUES (2, 'two', 'ok');
INSERT INTO snapshot_5af23056cc83090e.vault VALUES ('hidden');
INSERT INTO snapshot_bc01118d92bccfa4.mine OVERRIDING SYSTEM VALUE VALUES (1, 'ffcee6d6-6906-4c79-8f0b-1140222da2fc', 'blog!');
INSERT INTO snapshot_bc01118d92bccfa4.notes VALUES (1, 'one', 'ok');
INSERT INTO snapshot_bc01118d92bccfa4.notes VALUES (2, 'two', 'ok');
INSERT INTO snapshot_bc01118d92bccfa4.vault VALUES ('hidden');
SELECT pg_catalog.setval('internal.core_fault_occurrences_id_seq', 1, false);
SELECT pg_catalog.setval('internal.core_function_logs_id_seq', 8, true);
SELECT pg_catalog.setval('internal.core_job_logs_id_seq', 1, false);
SELECT pg_catalog.setval('internal.core_operation_events_id_seq', 19, true);
SELECT pg_catalog.setval('internal.core_project_events_id_seq', 3, true);
SELECT pg_catalog.setval('project_4f24512716218d9c.mine_id_seq', 1, true);
SELECT pg_catalog.setval('project_4f24512716218d9c.notes_id_seq', 2, true);
SELECT pg_catalog.setval('project_52b95dc96056aec7.mine_id_seq', 1, true);
SELECT pg_catalog.setval('project_52b95dc96056aec7.notes_id_seq', 2, true);
SELECT pg_catalog.setval('project_ea447efeef6b0244.mine_id_seq', 1, true);
SELECT pg_catalog.setval('project_ea447efeef6b0244.notes_id_seq', 2, true);
SELECT pg_catalog.setval('snapshot_5af23056cc83090e.mine_id_seq', 1, true);
SELECT pg_catalog.setval('snapshot_5af23056cc83090e.notes_id_seq', 2, true);
SELECT pg_catalog.setval('snapshot_bc01118d92bccfa4.mine_id_seq', 1, true);
SELECT pg_catalog.setval('snapshot_bc01118d92bccfa4.notes_id_seq', 2, true);
ALTER TABLE ONLY internal.core_applied_migrations
    ADD CONSTRAINT core_applied_migrations_pkey PRIMARY KEY (project_id, migration_id);
ALTER TABLE ONLY internal.core_apply_plans
    ADD CONSTRAINT core_apply_plans_pkey PRIMARY KEY (plan_id);
ALTER TABLE ONLY internal.core_archives
    ADD CONSTRAINT core_archives_pkey PRIMARY KEY (archive_id);
ALTER TABLE ONLY internal.core_archives
    ADD CONSTRAINT core_archives_project_id_idempotency_key_key UNIQUE (project_id, idempotency_key);
ALTER TABLE ONLY internal.core_auth_challenges
    ADD CONSTRAINT core_auth_challenges_pkey PRIMARY KEY (challenge_id);
ALTER TABLE ONLY internal.core_auth_challenges
    ADD CONSTRAINT core_auth_challenges_token_sha256_key UNIQUE (token_sha256);
ALTER TABLE ONLY internal.core_auth_refresh_tokens
    ADD CONSTRAINT core_auth_refresh_tokens_pkey PRIMARY KEY (token_sha256);
ALTER TABLE ONLY internal.core_auth_sessions
    ADD CONSTRAINT core_auth_sessions_pkey PRIMARY KEY (session_id);
ALTER TABLE ONLY internal.core_auth_settings
    ADD CONSTRAINT core_auth_settings_pkey PRIMARY KEY (project_id);
ALTER TABLE ONLY internal.core_auth_subject_stubs
    ADD CONSTRAINT core_auth_subject_stubs_pkey PRIMARY KEY (project_id, subject_id);
ALTER TABLE ONLY internal.core_auth_users
    ADD CONSTRAINT core_auth_users_pkey PRIMARY KEY (project_id, user_id);
ALTER TABLE ONLY internal.core_branches
    ADD CONSTRAINT core_branches_pkey PRIMARY KEY (branch_project_id);
ALTER TABLE ONLY internal.core_cache_generations
    ADD CONSTRAINT core_cache_generations_pkey PRIMARY KEY (host);
ALTER TABLE ONLY internal.core_ci_bindings
    ADD CONSTRAINT core_ci_bindings_nonce_key UNIQUE (nonce);
ALTER TABLE ONLY internal.core_ci_bindings
    ADD CONSTRAINT core_ci_bindings_pkey PRIMARY KEY (binding_id);
ALTER TABLE ONLY internal.core_content_plans
    ADD CONSTRAINT core_content_plans_pkey PRIMARY KEY (plan_id);
ALTER TABLE ONLY internal.core_content_uploads
    ADD CONSTRAINT core_content_uploads_pkey PRIMARY KEY (upload_id);
ALTER TABLE ONLY internal.core_credentials
    ADD CONSTRAINT core_credentials_pkey PRIMARY KEY (credential_id);
ALTER TABLE ONLY internal.core_credentials
    ADD CONSTRAINT core_credentials_secret_sha256_key UNIQUE (secret_sha256);
ALTER TABLE ONLY internal.core_email_messages
    ADD CONSTRAINT core_email_messages_pkey PRIMARY KEY (message_id);
ALTER TABLE ONLY internal.core_expose
    ADD CONSTRAINT core_expose_pkey PRIMARY KEY (project_id);
ALTER TABLE ONLY internal.core_fault_calls
    ADD CONSTRAINT core_fault_calls_pkey PRIMARY KEY (project_id, minute, function_name);
ALTER TABLE ONLY internal.core_fault_occurrences
    ADD CONSTRAINT core_fault_occurrences_pkey PRIMARY KEY (id);
ALTER TABLE ONLY internal.core_faults
    ADD CONSTRAINT core_faults_pkey PRIMARY KEY (project_id, fingerprint_id);
ALTER TABLE ONLY internal.core_function_bundles
    ADD CONSTRAINT core_function_bundles_pkey PRIMARY KEY (project_id, release_id, name);
ALTER TABLE ONLY internal.core_function_logs
    ADD CONSTRAINT core_function_logs_pkey PRIMARY KEY (id);
ALTER TABLE ONLY internal.core_function_run_attempts
    ADD CONSTRAINT core_function_run_attempts_pkey PRIMARY KEY (attempt_id);
ALTER TABLE ONLY internal.core_function_runs
    ADD CONSTRAINT core_function_runs_pkey PRIMARY KEY (run_id);
ALTER TABLE ONLY internal.core_function_runs
    ADD CONSTRAINT core_function_runs_project_id_function_name_idempotency_key_key UNIQUE (project_id, function_name, idempotency_key);
ALTER TABLE ONLY internal.core_function_schedules
    ADD CONSTRAINT core_function_schedules_pkey PRIMARY KEY (project_id, function_name, trigger_id);
ALTER TABLE ONLY internal.core_function_secrets
    ADD CONSTRAINT core_function_secrets_pkey PRIMARY KEY (project_id, name, scope, function_name);
ALTER TABLE ONLY internal.core_idempotency
    ADD CONSTRAINT core_idempotency_pkey PRIMARY KEY (idempotency_key);
ALTER TABLE ONLY internal.core_job_logs
    ADD CONSTRAINT core_job_logs_pkey PRIMARY KEY (id);
ALTER TABLE ONLY internal.core_jobs
    ADD CONSTRAINT core_jobs_pkey PRIMARY KEY (job_id);
ALTER TABLE ONLY internal.core_jobs
    ADD CONSTRAINT core_jobs_project_id_idempotency_key_key UNIQUE (project_id, idempotency_key);
ALTER TABLE ONLY internal.core_mailbox_webhooks
    ADD CONSTRAINT core_mailbox_webhooks_pkey PRIMARY KEY (webhook_id);
ALTER TABLE ONLY internal.core_mailboxes
    ADD CONSTRAINT core_mailboxes_address_key UNIQUE (address);
ALTER TABLE ONLY internal.core_mailboxes
    ADD CONSTRAINT core_mailboxes_pkey PRIMARY KEY (mailbox_id);
ALTER TABLE ONLY internal.core_operation_events
    ADD CONSTRAINT core_operation_events_pkey PRIMARY KEY (id);
ALTER TABLE ONLY internal.core_operations
    ADD CONSTRAINT core_operations_pkey PRIMARY KEY (operation_id);
ALTER TABLE ONLY internal.core_payments
    ADD CONSTRAINT core_payments_pkey PRIMARY KEY (payer, nonce);
ALTER TABLE ONLY internal.core_project_events
    ADD CONSTRAINT core_project_events_event_id_key UNIQUE (event_id);
ALTER TABLE ONLY internal.core_project_events
    ADD CONSTRAINT core_project_events_pkey PRIMARY KEY (id);
ALTER TABLE ONLY internal.core_project_events
    ADD CONSTRAINT core_project_events_project_id_idempotency_key_key UNIQUE (project_id, idempotency_key);
ALTER TABLE ONLY internal.core_project_mailbox_settings
    ADD CONSTRAINT core_project_mailbox_settings_pkey PRIMARY KEY (project_id);
ALTER TABLE ONLY internal.core_project_owners
    ADD CONSTRAINT core_project_owners_pkey PRIMARY KEY (project_id);
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
ALTER TABLE ONLY internal.core_siwx_nonces
    ADD CONSTRAINT core_siwx_nonces_pkey PRIMARY KEY (wallet, nonce);
ALTER TABLE ONLY internal.core_snapshots
    ADD CONSTRAINT core_snapshots_pkey PRIMARY KEY (snapshot_id);
ALTER TABLE ONLY internal.core_snapshots
    ADD CONSTRAINT core_snapshots_schema_slot_key UNIQUE (schema_slot);
ALTER TABLE ONLY internal.core_storage_objects
    ADD CONSTRAINT core_storage_objects_pkey PRIMARY KEY (project_id, key);
ALTER TABLE ONLY internal.core_storage_uploads
    ADD CONSTRAINT core_storage_uploads_pkey PRIMARY KEY (upload_id);
ALTER TABLE ONLY internal.core_storage_versions
    ADD CONSTRAINT core_storage_versions_pkey PRIMARY KEY (project_id, sha256, key);
ALTER TABLE ONLY internal.core_subdomains
    ADD CONSTRAINT core_subdomains_pkey PRIMARY KEY (name);
ALTER TABLE ONLY internal.core_tier_leases
    ADD CONSTRAINT core_tier_leases_pkey PRIMARY KEY (wallet);
ALTER TABLE ONLY internal.core_tier_purchases
    ADD CONSTRAINT core_tier_purchases_pkey PRIMARY KEY (purchase_key);
ALTER TABLE ONLY internal.core_wallet_labels
    ADD CONSTRAINT core_wallet_labels_pkey PRIMARY KEY (address);
ALTER TABLE ONLY internal.core_webhook_deliveries
    ADD CONSTRAINT core_webhook_deliveries_pkey PRIMARY KEY (delivery_id);
ALTER TABLE ONLY project_4f24512716218d9c.mine
    ADD CONSTRAINT mine_pkey PRIMARY KEY (id);
ALTER TABLE ONLY project_4f24512716218d9c.notes
    ADD CONSTRAINT notes_pkey PRIMARY KEY (id);
ALTER TABLE ONLY project_52b95dc96056aec7.mine
    ADD CONSTRAINT mine_pkey PRIMARY KEY (id);
ALTER TABLE ONLY project_52b95dc96056aec7.notes
    ADD CONSTRAINT notes_pkey PRIMARY KEY (id);
ALTER TABLE ONLY project_ea447efeef6b0244.mine
    ADD CONSTRAINT mine_pkey PRIMARY KEY (id);
ALTER TABLE ONLY project_ea447efeef6b0244.notes
    ADD CONSTRAINT notes_pkey PRIMARY KEY (id);
ALTER TABLE ONLY snapshot_5af23056cc83090e.mine
    ADD CONSTRAINT mine_pkey PRIMARY KEY (id);
ALTER TABLE ONLY snapshot_5af23056cc83090e.notes
    ADD CONSTRAINT notes_pkey PRIMARY KEY (id);
ALTER TABLE ONLY snapshot_bc01118d92bccfa4.mine
    ADD CONSTRAINT mine_pkey PRIMARY KEY (id);
ALTER TABLE ONLY snapshot_bc01118d92bccfa4.notes
    ADD CONSTRAINT notes_pkey PRIMARY KEY (id);
CREATE INDEX core_apply_plans_idempotency ON internal.core_apply_plans USING btree (project_id, idempotency_key) WHERE (idempotency_key IS NOT NULL);
CREATE INDEX core_auth_challenges_email ON internal.core_auth_challenges USING btree (project_id, email, created_at);
CREATE INDEX core_auth_refresh_tokens_session ON internal.core_auth_refresh_tokens USING btree (session_id);
CREATE INDEX core_auth_sessions_user ON internal.core_auth_sessions USING btree (project_id, user_id);
CREATE UNIQUE INDEX core_auth_users_email ON internal.core_auth_users USING btree (project_id, lower(email));
CREATE INDEX core_branches_parent ON internal.core_branches USING btree (parent_project_id);
CREATE INDEX core_ci_bindings_project ON internal.core_ci_bindings USING btree (project_id);
CREATE INDEX core_content_uploads_plan ON internal.core_content_uploads USING btree (plan_id);
CREATE UNIQUE INDEX core_credentials_live_name ON internal.core_credentials USING btree (project_id, name) WHERE (revoked_at IS NULL);
CREATE INDEX core_email_messages_mailbox ON internal.core_email_messages USING btree (mailbox_id, created_at);
CREATE INDEX core_email_messages_project ON internal.core_email_messages USING btree (project_id, created_at);
CREATE INDEX core_fault_occurrences_fault ON internal.core_fault_occurrences USING btree (project_id, fingerprint_id, id DESC);
CREATE INDEX core_fault_occurrences_time ON internal.core_fault_occurrences USING btree (project_id, at);
CREATE INDEX core_function_logs_request ON internal.core_function_logs USING btree (request_id);
CREATE INDEX core_function_logs_time ON internal.core_function_logs USING btree (project_id, "timestamp");
CREATE INDEX core_function_runs_due ON internal.core_function_runs USING btree (next_attempt_at) WHERE (status = ANY (ARRAY['scheduled'::text, 'queued'::text, 'retrying'::text, 'blocked'::text, 'running'::text]));
CREATE INDEX core_function_runs_list ON internal.core_function_runs USING btree (project_id, function_name, created_at DESC, run_id DESC);
CREATE INDEX core_job_logs_job ON internal.core_job_logs USING btree (job_id, id);
CREATE INDEX core_jobs_active ON internal.core_jobs USING btree (created_at) WHERE (status = ANY (ARRAY['queued'::text, 'running'::text]));
CREATE INDEX core_mailbox_webhooks_mailbox ON internal.core_mailbox_webhooks USING btree (mailbox_id);
CREATE INDEX core_mailboxes_project ON internal.core_mailboxes USING btree (project_id);
CREATE INDEX core_operation_events_operation ON internal.core_operation_events USING btree (operation_id, id);
CREATE INDEX core_operations_project ON internal.core_operations USING btree (project_id, created_at);
CREATE INDEX core_project_events_feed ON internal.core_project_events USING btree (project_id, id);
CREATE INDEX core_project_events_time ON internal.core_project_events USING btree (project_id, occurred_at);
CREATE INDEX core_project_owners_wallet ON internal.core_project_owners USING btree (wallet);
CREATE INDEX core_siwx_nonces_expiry ON internal.core_siwx_nonces USING btree (expires_at);
CREATE INDEX core_snapshots_project ON internal.core_snapshots USING btree (project_id, captured_at);
CREATE INDEX core_storage_objects_created ON internal.core_storage_objects USING btree (project_id, created_at, key);
CREATE INDEX core_webhook_deliveries_due ON internal.core_webhook_deliveries USING btree (next_attempt_at) WHERE (status = ANY (ARRAY['pending'::text, 'in_flight'::text]));
CREATE INDEX core_webhook_deliveries_mailbox ON internal.core_webhook_deliveries USING btree (mailbox_id, created_at);
CREATE INDEX mine_user_id_owner_idx ON project_4f24512716218d9c.mine USING btree (user_id);
CREATE INDEX mine_user_id_owner_idx ON project_52b95dc96056aec7.mine USING btree (user_id);
CREATE INDEX mine_user_id_owner_idx ON project_ea447efeef6b0244.mine USING btree (user_id);
CREATE INDEX mine_user_id_owner_idx ON snapshot_5af23056cc83090e.mine USING btree (user_id);
CREATE INDEX mine_user_id_owner_idx ON snapshot_bc01118d92bccfa4.mine USING btree (user_id);
CREATE TRIGGER marks BEFORE INSERT ON project_4f24512716218d9c.mine FOR EACH ROW EXECUTE FUNCTION project_4f24512716218d9c.mark();
CREATE TRIGGER mine_set_owner BEFORE INSERT ON project_4f24512716218d9c.mine FOR EACH ROW EXECUTE FUNCTION project_4f24512716218d9c.mine_set_owner_fn();
CREATE TRIGGER marks BEFORE INSERT ON project_52b95dc96056aec7.mine FOR EACH ROW EXECUTE FUNCTION project_52b95dc96056aec7.mark();
CREATE TRIGGER mine_set_owner BEFORE INSERT ON project_52b95dc96056aec7.mine FOR EACH ROW EXECUTE FUNCTION project_52b95dc96056aec7.mine_set_owner_fn();
CREATE TRIGGER marks BEFORE INSERT ON project_ea447efeef6b0244.mine FOR EACH ROW EXECUTE FUNCTION project_ea447efeef6b0244.mark();
CREATE TRIGGER mine_set_owner BEFORE INSERT ON project_ea447efeef6b0244.mine FOR EACH ROW EXECUTE FUNCTION project_ea447efeef6b0244.mine_set_owner_fn();
CREATE TRIGGER marks BEFORE INSERT ON snapshot_5af23056cc83090e.mine FOR EACH ROW EXECUTE FUNCTION snapshot_5af23056cc83090e.mark();
CREATE TRIGGER mine_set_owner BEFORE INSERT ON snapshot_5af23056cc83090e.mine FOR EACH ROW EXECUTE FUNCTION snapshot_5af23056cc83090e.mine_set_owner_fn();
CREATE TRIGGER marks BEFORE INSERT ON snapshot_bc01118d92bccfa4.mine FOR EACH ROW EXECUTE FUNCTION snapshot_bc01118d92bccfa4.mark();
CREATE TRIGGER mine_set_owner BEFORE INSERT ON snapshot_bc01118d92bccfa4.mine FOR EACH ROW EXECUTE FUNCTION snapshot_bc01118d92bccfa4.mine_set_owner_fn();
ALTER TABLE ONLY internal.core_applied_migrations
    ADD CONSTRAINT core_applied_migrations_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_apply_plans
    ADD CONSTRAINT core_apply_plans_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_archives
    ADD CONSTRAINT core_archives_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_auth_challenges
    ADD CONSTRAINT core_auth_challenges_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_auth_refresh_tokens
    ADD CONSTRAINT core_auth_refresh_tokens_session_id_fkey FOREIGN KEY (session_id) REFERENCES internal.core_auth_sessions(session_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_auth_sessions
    ADD CONSTRAINT core_auth_sessions_project_id_user_id_fkey FOREIGN KEY (project_id, user_id) REFERENCES internal.core_auth_users(project_id, user_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_auth_settings
    ADD CONSTRAINT core_auth_settings_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_auth_subject_stubs
    ADD CONSTRAINT core_auth_subject_stubs_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_auth_users
    ADD CONSTRAINT core_auth_users_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_branches
    ADD CONSTRAINT core_branches_branch_project_id_fkey FOREIGN KEY (branch_project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_branches
    ADD CONSTRAINT core_branches_parent_project_id_fkey FOREIGN KEY (parent_project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_ci_bindings
    ADD CONSTRAINT core_ci_bindings_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_content_plans
    ADD CONSTRAINT core_content_plans_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_content_uploads
    ADD CONSTRAINT core_content_uploads_plan_id_fkey FOREIGN KEY (plan_id) REFERENCES internal.core_content_plans(plan_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_credentials
    ADD CONSTRAINT core_credentials_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_email_messages
    ADD CONSTRAINT core_email_messages_mailbox_id_fkey FOREIGN KEY (mailbox_id) REFERENCES internal.core_mailboxes(mailbox_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_email_messages
    ADD CONSTRAINT core_email_messages_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_expose
    ADD CONSTRAINT core_expose_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_fault_calls
    ADD CONSTRAINT core_fault_calls_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_fault_occurrences
    ADD CONSTRAINT core_fault_occurrences_project_id_fingerprint_id_fkey FOREIGN KEY (project_id, fingerprint_id) REFERENCES internal.core_faults(project_id, fingerprint_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_faults
    ADD CONSTRAINT core_faults_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_function_bundles
    ADD CONSTRAINT core_function_bundles_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_function_logs
    ADD CONSTRAINT core_function_logs_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_function_run_attempts
    ADD CONSTRAINT core_function_run_attempts_run_id_fkey FOREIGN KEY (run_id) REFERENCES internal.core_function_runs(run_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_function_runs
    ADD CONSTRAINT core_function_runs_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_function_schedules
    ADD CONSTRAINT core_function_schedules_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_function_secrets
    ADD CONSTRAINT core_function_secrets_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_idempotency
    ADD CONSTRAINT core_idempotency_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_job_logs
    ADD CONSTRAINT core_job_logs_job_id_fkey FOREIGN KEY (job_id) REFERENCES internal.core_jobs(job_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_jobs
    ADD CONSTRAINT core_jobs_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_mailbox_webhooks
    ADD CONSTRAINT core_mailbox_webhooks_mailbox_id_fkey FOREIGN KEY (mailbox_id) REFERENCES internal.core_mailboxes(mailbox_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_mailbox_webhooks
    ADD CONSTRAINT core_mailbox_webhooks_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_mailboxes
    ADD CONSTRAINT core_mailboxes_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_operation_events
    ADD CONSTRAINT core_operation_events_operation_id_fkey FOREIGN KEY (operation_id) REFERENCES internal.core_operations(operation_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_operations
    ADD CONSTRAINT core_operations_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_project_events
    ADD CONSTRAINT core_project_events_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_project_mailbox_settings
    ADD CONSTRAINT core_project_mailbox_settings_auth_sender_mailbox_id_fkey FOREIGN KEY (auth_sender_mailbox_id) REFERENCES internal.core_mailboxes(mailbox_id) ON DELETE SET NULL;
ALTER TABLE ONLY internal.core_project_mailbox_settings
    ADD CONSTRAINT core_project_mailbox_settings_default_outbound_mailbox_id_fkey FOREIGN KEY (default_outbound_mailbox_id) REFERENCES internal.core_mailboxes(mailbox_id) ON DELETE SET NULL;
ALTER TABLE ONLY internal.core_project_mailbox_settings
    ADD CONSTRAINT core_project_mailbox_settings_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_project_owners
    ADD CONSTRAINT core_project_owners_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_releases
    ADD CONSTRAINT core_releases_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_snapshots
    ADD CONSTRAINT core_snapshots_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_storage_objects
    ADD CONSTRAINT core_storage_objects_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_storage_uploads
    ADD CONSTRAINT core_storage_uploads_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_storage_versions
    ADD CONSTRAINT core_storage_versions_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_subdomains
    ADD CONSTRAINT core_subdomains_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_webhook_deliveries
    ADD CONSTRAINT core_webhook_deliveries_mailbox_id_fkey FOREIGN KEY (mailbox_id) REFERENCES internal.core_mailboxes(mailbox_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_webhook_deliveries
    ADD CONSTRAINT core_webhook_deliveries_project_id_fkey FOREIGN KEY (project_id) REFERENCES internal.core_projects(project_id) ON DELETE CASCADE;
ALTER TABLE ONLY internal.core_webhook_deliveries
    ADD CONSTRAINT core_webhook_deliveries_webhook_id_fkey FOREIGN KEY (webhook_id) REFERENCES internal.core_mailbox_webhooks(webhook_id) ON DELETE SET NULL;
ALTER TABLE project_4f24512716218d9c.mine ENABLE ROW LEVEL SECURITY;
ALTER TABLE project_4f24512716218d9c.notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY run402_public_read_write_delete ON project_4f24512716218d9c.notes FOR DELETE TO anon, authenticated USING (true);
CREATE POLICY run402_public_read_write_insert ON project_4f24512716218d9c.notes FOR INSERT TO anon, authenticated WITH CHECK (true);
CREATE POLICY run402_public_read_write_select ON project_4f24512716218d9c.notes FOR SELECT TO anon, authenticated USING (true);
CREATE POLICY run402_public_read_write_update ON project_4f24512716218d9c.notes FOR UPDATE TO anon, authenticated USING (true) WITH CHECK (true);
CREATE POLICY run402_user_owns_rows_delete ON project_4f24512716218d9c.mine FOR DELETE TO authenticated USING ((user_id = ( SELECT auth.uid() AS uid)));
CREATE POLICY run402_user_owns_rows_insert ON project_4f24512716218d9c.mine FOR INSERT TO authenticated WITH CHECK ((user_id = ( SELECT auth.uid() AS uid)));
CREATE POLICY run402_user_owns_rows_select ON project_4f24512716218d9c.mine FOR SELECT TO authenticated USING ((user_id = ( SELECT auth.uid() AS uid)));
CREATE POLICY run402_user_owns_rows_update ON project_4f24512716218d9c.mine FOR UPDATE TO authenticated USING ((user_id = ( SELECT auth.uid() AS uid))) WITH CHECK ((user_id = ( SELECT auth.uid() AS uid)));
ALTER TABLE project_52b95dc96056aec7.mine ENABLE ROW LEVEL SECURITY;
ALTER TABLE project_52b95dc96056aec7.notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY run402_public_read_write_delete ON project_52b95dc96056aec7.notes FOR DELETE TO anon, authenticated USING (true);
CREATE POLICY run402_public_read_write_insert ON project_52b95dc96056aec7.notes FOR INSERT TO anon, authenticated WITH CHECK (true);
CREATE POLICY run402_public_read_write_select ON project_52b95dc96056aec7.notes FOR SELECT TO anon, authenticated USING (true);
CREATE POLICY run402_public_read_write_update ON project_52b95dc96056aec7.notes FOR UPDATE TO anon, authenticated USING (true) WITH CHECK (true);
CREATE POLICY run402_user_owns_rows_delete ON project_52b95dc96056aec7.mine FOR DELETE TO authenticated USING ((user_id = ( SELECT auth.uid() AS uid)));
CREATE POLICY run402_user_owns_rows_insert ON project_52b95dc96056aec7.mine FOR INSERT TO authenticated WITH CHECK ((user_id = ( SELECT auth.uid() AS uid)));
CREATE POLICY run402_user_owns_rows_select ON project_52b95dc96056aec7.mine FOR SELECT TO authenticated USING ((user_id = ( SELECT auth.uid() AS uid)));
CREATE POLICY run402_user_owns_rows_update ON project_52b95dc96056aec7.mine FOR UPDATE TO authenticated USING ((user_id = ( SELECT auth.uid() AS uid))) WITH CHECK ((user_id = ( SELECT auth.uid() AS uid)));
ALTER TABLE project_ea447efeef6b0244.mine ENABLE ROW LEVEL SECURITY;
ALTER TABLE project_ea447efeef6b0244.notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY run402_public_read_write_delete ON project_ea447efeef6b0244.notes FOR DELETE TO anon, authenticated USING (true);
CREATE POLICY run402_public_read_write_insert ON project_ea447efeef6b0244.notes FOR INSERT TO anon, authenticated WITH CHECK (true);
CREATE POLICY run402_public_read_write_select ON project_ea447efeef6b0244.notes FOR SELECT TO anon, authenticated USING (true);
CREATE POLICY run402_public_read_write_update ON project_ea447efeef6b0244.notes FOR UPDATE TO anon, authenticated USING (true) WITH CHECK (true);
CREATE POLICY run402_user_owns_rows_delete ON project_ea447efeef6b0244.mine FOR DELETE TO authenticated USING ((user_id = ( SELECT auth.uid() AS uid)));
CREATE POLICY run402_user_owns_rows_insert ON project_ea447efeef6b0244.mine FOR INSERT TO authenticated WITH CHECK ((user_id = ( SELECT auth.uid() AS uid)));
CREATE POLICY run402_user_owns_rows_select ON project_ea447efeef6b0244.mine FOR SELECT TO authenticated USING ((user_id = ( SELECT auth.uid() AS uid)));
CREATE POLICY run402_user_owns_rows_update ON project_ea447efeef6b0244.mine FOR UPDATE TO authenticated USING ((user_id = ( SELECT auth.uid() AS uid))) WITH CHECK ((user_id = ( SELECT auth.uid() AS uid)));
ALTER TABLE snapshot_5af23056cc83090e.mine ENABLE ROW LEVEL SECURITY;
ALTER TABLE snapshot_5af23056cc83090e.notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY run402_public_read_write_delete ON snapshot_5af23056cc83090e.notes FOR DELETE TO anon, authenticated USING (true);
CREATE POLICY run402_public_read_write_insert ON snapshot_5af23056cc83090e.notes FOR INSERT TO anon, authenticated WITH CHECK (true);
CREATE POLICY run402_public_read_write_select ON snapshot_5af23056cc83090e.notes FOR SELECT TO anon, authenticated USING (true);
CREATE POLICY run402_public_read_write_update ON snapshot_5af23056cc83090e.notes FOR UPDATE TO anon, authenticated USING (true) WITH CHECK (true);
CREATE POLICY run402_user_owns_rows_delete ON snapshot_5af23056cc83090e.mine FOR DELETE TO authenticated USING ((user_id = ( SELECT auth.uid() AS uid)));
CREATE POLICY run402_user_owns_rows_insert ON snapshot_5af23056cc83090e.mine FOR INSERT TO authenticated WITH CHECK ((user_id = ( SELECT auth.uid() AS uid)));
CREATE POLICY run402_user_owns_rows_select ON snapshot_5af23056cc83090e.mine FOR SELECT TO authenticated USING ((user_id = ( SELECT auth.uid() AS uid)));
CREATE POLICY run402_user_owns_rows_update ON snapshot_5af23056cc83090e.mine FOR UPDATE TO authenticated USING ((user_id = ( SELECT auth.uid() AS uid))) WITH CHECK ((user_id = ( SELECT auth.uid() AS uid)));
ALTER TABLE snapshot_bc01118d92bccfa4.mine ENABLE ROW LEVEL SECURITY;
ALTER TABLE snapshot_bc01118d92bccfa4.notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY run402_public_read_write_delete ON snapshot_bc01118d92bccfa4.notes FOR DELETE TO anon, authenticated USING (true);
CREATE POLICY run402_public_read_write_insert ON snapshot_bc01118d92bccfa4.notes FOR INSERT TO anon, authenticated WITH CHECK (true);
CREATE POLICY run402_public_read_write_select ON snapshot_bc01118d92bccfa4.notes FOR SELECT TO anon, authenticated USING (true);
CREATE POLICY run402_public_read_write_update ON snapshot_bc01118d92bccfa4.notes FOR UPDATE TO anon, authenticated USING (true) WITH CHECK (true);
CREATE POLICY run402_user_owns_rows_delete ON snapshot_bc01118d92bccfa4.mine FOR DELETE TO authenticated USING ((user_id = ( SELECT auth.uid() AS uid)));
CREATE POLICY run402_user_owns_rows_insert ON snapshot_bc01118d92bccfa4.mine FOR INSERT TO authenticated WITH CHECK ((user_id = ( SELECT auth.uid() AS uid)));
CREATE POLICY run402_user_owns_rows_select ON snapshot_bc01118d92bccfa4.mine FOR SELECT TO authenticated USING ((user_id = ( SELECT auth.uid() AS uid)));
CREATE POLICY run402_user_owns_rows_update ON snapshot_bc01118d92bccfa4.mine FOR UPDATE TO authenticated USING ((user_id = ( SELECT auth.uid() AS uid))) WITH CHECK ((user_id = ( SELECT auth.uid() AS uid)));
GRANT USAGE ON SCHEMA auth TO anon;
GRANT USAGE ON SCHEMA auth TO authenticated;
GRANT USAGE ON SCHEMA auth TO service_role;
GRANT USAGE ON SCHEMA auth TO run402_archive_importer;
GRANT USAGE ON SCHEMA internal TO authenticator;
GRANT USAGE ON SCHEMA internal TO anon;
GRANT USAGE ON SCHEMA internal TO authenticated;
GRANT USAGE ON SCHEMA internal TO service_role;
GRANT USAGE ON SCHEMA project_4f24512716218d9c TO anon;
GRANT USAGE ON SCHEMA project_4f24512716218d9c TO authenticated;
GRANT USAGE ON SCHEMA project_4f24512716218d9c TO service_role;
GRANT USAGE ON SCHEMA project_52b95dc96056aec7 TO anon;
GRANT USAGE ON SCHEMA project_52b95dc96056aec7 TO authenticated;
GRANT USAGE ON SCHEMA project_52b95dc96056aec7 TO service_role;
GRANT USAGE ON SCHEMA project_ea447efeef6b0244 TO anon;
GRANT USAGE ON SCHEMA project_ea447efeef6b0244 TO authenticated;
GRANT USAGE ON SCHEMA project_ea447efeef6b0244 TO service_role;
REVOKE ALL ON FUNCTION project_4f24512716218d9c.mark() FROM PUBLIC;
GRANT ALL ON FUNCTION project_4f24512716218d9c.mark() TO service_role;
REVOKE ALL ON FUNCTION project_4f24512716218d9c.mine_set_owner_fn() FROM PUBLIC;
GRANT ALL ON FUNCTION project_4f24512716218d9c.mine_set_owner_fn() TO service_role;
REVOKE ALL ON FUNCTION project_4f24512716218d9c.shout(q text) FROM PUBLIC;
GRANT ALL ON FUNCTION project_4f24512716218d9c.shout(q text) TO service_role;
GRANT ALL ON FUNCTION project_4f24512716218d9c.shout(q text) TO anon;
GRANT ALL ON FUNCTION project_4f24512716218d9c.shout(q text) TO authenticated;
REVOKE ALL ON FUNCTION project_52b95dc96056aec7.mark() FROM PUBLIC;
GRANT ALL ON FUNCTION project_52b95dc96056aec7.mark() TO service_role;
REVOKE ALL ON FUNCTION project_52b95dc96056aec7.mine_set_owner_fn() FROM PUBLIC;
GRANT ALL ON FUNCTION project_52b95dc96056aec7.mine_set_owner_fn() TO service_role;
REVOKE ALL ON FUNCTION project_52b95dc96056aec7.shout(q text) FROM PUBLIC;
GRANT ALL ON FUNCTION project_52b95dc96056aec7.shout(q text) TO service_role;
GRANT ALL ON FUNCTION project_52b95dc96056aec7.shout(q text) TO anon;
GRANT ALL ON FUNCTION project_52b95dc96056aec7.shout(q text) TO authenticated;
REVOKE ALL ON FUNCTION project_ea447efeef6b0244.mark() FROM PUBLIC;
GRANT ALL ON FUNCTION project_ea447efeef6b0244.mark() TO service_role;
REVOKE ALL ON FUNCTION project_ea447efeef6b0244.mine_set_owner_fn() FROM PUBLIC;
GRANT ALL ON FUNCTION project_ea447efeef6b0244.mine_set_owner_fn() TO service_role;
REVOKE ALL ON FUNCTION project_ea447efeef6b0244.shout(q text) FROM PUBLIC;
GRANT ALL ON FUNCTION project_ea447efeef6b0244.shout(q text) TO service_role;
GRANT ALL ON FUNCTION project_ea447efeef6b0244.shout(q text) TO anon;
GRANT ALL ON FUNCTION project_ea447efeef6b0244.shout(q text) TO authenticated;
REVOKE ALL ON FUNCTION snapshot_5af23056cc83090e.mark() FROM PUBLIC;
GRANT ALL ON FUNCTION snapshot_5af23056cc83090e.mark() TO service_role;
REVOKE ALL ON FUNCTION snapshot_5af23056cc83090e.mine_set_owner_fn() FROM PUBLIC;
GRANT ALL ON FUNCTION snapshot_5af23056cc83090e.mine_set_owner_fn() TO service_role;
REVOKE ALL ON FUNCTION snapshot_5af23056cc83090e.shout(q text) FROM PUBLIC;
GRANT ALL ON FUNCTION snapshot_5af23056cc83090e.shout(q text) TO service_role;
GRANT ALL ON FUNCTION snapshot_5af23056cc83090e.shout(q text) TO anon;
GRANT ALL ON FUNCTION snapshot_5af23056cc83090e.shout(q text) TO authenticated;
REVOKE ALL ON FUNCTION snapshot_bc01118d92bccfa4.mark() FROM PUBLIC;
GRANT ALL ON FUNCTION snapshot_bc01118d92bccfa4.mark() TO service_role;
REVOKE ALL ON FUNCTION snapshot_bc01118d92bccfa4.mine_set_owner_fn() FROM PUBLIC;
GRANT ALL ON FUNCTION snapshot_bc01118d92bccfa4.mine_set_owner_fn() TO service_role;
REVOKE ALL ON FUNCTION snapshot_bc01118d92bccfa4.shout(q text) FROM PUBLIC;
GRANT ALL ON FUNCTION snapshot_bc01118d92bccfa4.shout(q text) TO service_role;
GRANT ALL ON FUNCTION snapshot_bc01118d92bccfa4.shout(q text) TO anon;
GRANT ALL ON FUNCTION snapshot_bc01118d92bccfa4.shout(q text) TO authenticated;
GRANT ALL ON TABLE project_4f24512716218d9c.notes TO service_role;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE project_4f24512716218d9c.notes TO anon;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE project_4f24512716218d9c.notes TO authenticated;
GRANT ALL ON TABLE project_4f24512716218d9c.bodies TO service_role;
GRANT ALL ON TABLE project_4f24512716218d9c.counted TO service_role;
GRANT ALL ON TABLE project_4f24512716218d9c.mine TO service_role;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE project_4f24512716218d9c.mine TO authenticated;
GRANT ALL ON SEQUENCE project_4f24512716218d9c.mine_id_seq TO service_role;
GRANT ALL ON SEQUENCE project_4f24512716218d9c.notes_id_seq TO service_role;
GRANT USAGE ON SEQUENCE project_4f24512716218d9c.notes_id_seq TO anon;
GRANT USAGE ON SEQUENCE project_4f24512716218d9c.notes_id_seq TO authenticated;
GRANT ALL ON TABLE project_4f24512716218d9c.vault TO service_role;
GRANT ALL ON TABLE project_52b95dc96056aec7.notes TO service_role;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE project_52b95dc96056aec7.notes TO anon;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE project_52b95dc96056aec7.notes TO authenticated;
GRANT ALL ON TABLE project_52b95dc96056aec7.bodies TO service_role;
GRANT ALL ON TABLE project_52b95dc96056aec7.counted TO service_role;
GRANT ALL ON TABLE project_52b95dc96056aec7.mine TO service_role;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE project_52b95dc96056aec7.mine TO authenticated;
GRANT ALL ON SEQUENCE project_52b95dc96056aec7.mine_id_seq TO service_role;
GRANT ALL ON SEQUENCE project_52b95dc96056aec7.notes_id_seq TO service_role;
GRANT USAGE ON SEQUENCE project_52b95dc96056aec7.notes_id_seq TO anon;
GRANT USAGE ON SEQUENCE project_52b95dc96056aec7.notes_id_seq TO authenticated;
GRANT ALL ON TABLE project_52b95dc96056aec7.vault TO service_role;
GRANT ALL ON TABLE project_ea447efeef6b0244.notes TO service_role;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE project_ea447efeef6b0244.notes TO anon;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE project_ea447efeef6b0244.notes TO authenticated;
GRANT ALL ON TABLE project_ea447efeef6b0244.bodies TO service_role;
GRANT ALL ON TABLE project_ea447efeef6b0244.counted TO service_role;
GRANT ALL ON TABLE project_ea447efeef6b0244.mine TO service_role;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE project_ea447efeef6b0244.mine TO authenticated;
GRANT ALL ON SEQUENCE project_ea447efeef6b0244.mine_id_seq TO service_role;
GRANT ALL ON SEQUENCE project_ea447efeef6b0244.notes_id_seq TO service_role;
GRANT USAGE ON SEQUENCE project_ea447efeef6b0244.notes_id_seq TO anon;
GRANT USAGE ON SEQUENCE project_ea447efeef6b0244.notes_id_seq TO authenticated;
GRANT ALL ON TABLE project_ea447efeef6b0244.vault TO service_role;
GRANT ALL ON TABLE snapshot_5af23056cc83090e.notes TO service_role;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE snapshot_5af23056cc83090e.notes TO anon;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE snapshot_5af23056cc83090e.notes TO authenticated;
GRANT ALL ON TABLE snapshot_5af23056cc83090e.bodies TO service_role;
GRANT ALL ON TABLE snapshot_5af23056cc83090e.counted TO service_role;
GRANT ALL ON TABLE snapshot_5af23056cc83090e.mine TO service_role;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE snapshot_5af23056cc83090e.mine TO authenticated;
GRANT ALL ON SEQUENCE snapshot_5af23056cc83090e.mine_id_seq TO service_role;
GRANT ALL ON SEQUENCE snapshot_5af23056cc83090e.notes_id_seq TO service_role;
GRANT USAGE ON SEQUENCE snapshot_5af23056cc83090e.notes_id_seq TO anon;
GRANT USAGE ON SEQUENCE snapshot_5af23056cc83090e.notes_id_seq TO authenticated;
GRANT ALL ON TABLE snapshot_5af23056cc83090e.vault TO service_role;
GRANT ALL ON TABLE snapshot_bc01118d92bccfa4.notes TO service_role;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE snapshot_bc01118d92bccfa4.notes TO anon;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE snapshot_bc01118d92bccfa4.notes TO authenticated;
GRANT ALL ON TABLE snapshot_bc01118d92bccfa4.bodies TO service_role;
GRANT ALL ON TABLE snapshot_bc01118d92bccfa4.counted TO service_role;
GRANT ALL ON TABLE snapshot_bc01118d92bccfa4.mine TO service_role;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE snapshot_bc01118d92bccfa4.mine TO authenticated;
GRANT ALL ON SEQUENCE snapshot_bc01118d92bccfa4.mine_id_seq TO service_role;
GRANT ALL ON SEQUENCE snapshot_bc01118d92bccfa4.notes_id_seq TO service_role;
GRANT USAGE ON SEQUENCE snapshot_bc01118d92bccfa4.notes_id_seq TO anon;
GRANT USAGE ON SEQUENCE snapshot_bc01118d92bccfa4.notes_id_seq TO authenticated;
GRANT ALL ON TABLE snapshot_bc01118d92bccfa4.vault TO service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA project_4f24512716218d9c GRANT ALL ON SEQUENCES TO service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA project_4f24512716218d9c GRANT ALL ON FUNCTIONS TO service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA project_4f24512716218d9c GRANT ALL ON TABLES TO service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA project_52b95dc96056aec7 GRANT ALL ON SEQUENCES TO service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA project_52b95dc96056aec7 GRANT ALL ON FUNCTIONS TO service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA project_52b95dc96056aec7 GRANT ALL ON TABLES TO service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA project_ea447efeef6b0244 GRANT ALL ON SEQUENCES TO service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA project_ea447efeef6b0244 GRANT ALL ON FUNCTIONS TO service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA project_ea447efeef6b0244 GRANT ALL ON TABLES TO service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA snapshot_5af23056cc83090e GRANT ALL ON SEQUENCES TO service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA snapshot_5af23056cc83090e GRANT ALL ON FUNCTIONS TO service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA snapshot_5af23056cc83090e GRANT ALL ON TABLES TO service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA snapshot_bc01118d92bccfa4 GRANT ALL ON SEQUENCES TO service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA snapshot_bc01118d92bccfa4 GRANT ALL ON FUNCTIONS TO service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA snapshot_bc01118d92bccfa4 GRANT ALL ON TABLES TO service_role;
CREATE EVENT TRIGGER run402_hide_new_functions ON ddl_command_end
         WHEN TAG IN ('CREATE FUNCTION', 'CREATE PROCEDURE', 'CREATE AGGREGATE')
   EXECUTE FUNCTION internal.core_hide_new_functions();
ALTER EVENT TRIGGER run402_hide_new_functions OWNER TO postgres;
REFRESH MATERIALIZED VIEW project_4f24512716218d9c.counted;
REFRESH MATERIALIZED VIEW project_52b95dc96056aec7.counted;
REFRESH MATERIALIZED VIEW project_ea447efeef6b0244.counted;
REFRESH MATERIALIZED VIEW snapshot_5af23056cc83090e.counted;
REFRESH MATERIALIZED VIEW snapshot_bc01118d92bccfa4.counted;
