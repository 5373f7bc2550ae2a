"""Projects: provision, SQL, REST, usage, members' roles.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Id, Namespace, of_project
from run402_cli.services import expose as _expose
from run402_cli.services import projects as _projects

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any


class ProjectProjects(Namespace[Id]):
    """Projects: provision, SQL, REST, usage, members' roles. `project` fills in `project_id`."""

    @of_project
    def use(self, project_id: str) -> dict[str, Any]:
        """Check a project, given its id, on the server and make it the active one.

        GET /projects/v1/{id}, then make it the active one: {active_project_id, set, project_id, name?}.

        `name` where the gateway says it. A refusal changes nothing.
        """
        return self._call(_projects.use, project_id)

    @of_project
    def get(self, project_id: str) -> Any:
        """Read one project: name, organization, tier, status, site, usage.

        GET /projects/v1/{id} -> {project_id, name, org_id, tier, effective_status, site_url, usage (calls, bytes),
        ...}.

        Where the gateway sends the project's keys, `keys_command` stands in their place: the command that prints them.
        A project that does not exist and one that the caller may not see are the same 403.
        """
        return self._call(_projects.get, project_id)

    @of_project
    def rename(self, project_id: str, name: str) -> dict[str, Any]:
        """Change the display name of a project.

        PATCH /projects/v1/{id} {name}: {project_id, name, renamed}. The server allows 1-200 characters.
        """
        return self._call(_projects.rename, project_id, name)

    @of_project
    def tenant_payments(
        self, project_id: str, *, limit: int | None = None, after: str | None = None, status: str | None = None
    ) -> Any:
        """List the payments received on the priced routes of a project.

        GET /projects/v1/{id}/tenant-payments -> {project_id, payments: [...], has_more, next_cursor}; amounts in USD
        micros.
        """
        return self._call(_projects.tenant_payments, project_id, limit=limit, after=after, status=status)

    @of_project
    def costs(self, project_id: str, *, window: str = "30d") -> Any:
        """Revenue, direct cost and margin of a project in USD micros.

        GET /admin/api/finance/project/{id}?window=24h|7d|30d|90d: revenue, direct cost and margin in USD micros.

        For platform admins. RUN402_ADMIN_COOKIE, when set, is sent as the cookie (a bare value as
        run402_admin=<value>).
        """
        return self._call(_projects.costs, project_id, window=window)

    @of_project
    def sql(self, project_id: str, text: str, params: builtins.list[Any] | None = None) -> Any:
        """Run SQL with the service key: one or several statements, DDL too.

        POST /projects/v1/admin/{id}/sql: the statements as text, or {sql, params} with parameters for $1, $2, ...

        Returns {status, schema, rows, row_count, fields: [{name, type}]}, and `warnings` [{code, message, columns}]
        when columns share a name: a row holds the last of them alone. Row-level security does not apply. A failing
        statement is an ApiError with PostgreSQL's message, position and hint in its body. docs/projects.md
        """
        return self._call(_projects.sql, project_id, text, params)

    @of_project
    def load(
        self, project_id: str, table: str, rows: bytes | Iterable[bytes], *, format: str, again: bool = False
    ) -> Any:
        """Load rows into a table by COPY, all or none.

        POST /projects/v1/admin/{id}/load?table&format[&again]: rows of CSV (with a header) or NDJSON into a table, all
        or none.

        `rows` is the text in UTF-8, whole or in pieces, at most 1 GiB; `format` is csv or ndjson. Returns {status,
        table, rows, bytes, sha256, columns}. The same content is not loaded into the same table twice within a day
        (ApiError 409 ALREADY_LOADED), unless `again`. Rows that are refused are an ApiError 400 LOAD_REJECTED with
        details.rejects [{line, message, value, column?, detail?, sqlstate?}], at most 20. Row-level security does not
        apply. Raises CommandError LOCAL_GATEWAY_REQUIRED on the Cloud. docs/projects.md
        """
        return self._call(_projects.load, project_id, table, rows, format=format, again=again)

    @of_project
    def rest(
        self,
        project_id: str,
        table: str,
        *,
        query: str | None = None,
        params: Mapping[str, str] | None = None,
        method: str = "GET",
        body: Any = None,
        body_text: str | None = None,
        media: str = "application/json",
        key_type: str = "anon",
        returning: str | None = None,
    ) -> Any:
        """Read or write a table or view through REST, or call a function with `rpc/<name>`.

        {method} /rest/v1/{table}[?query] with the anon key, or /admin/v1/rest/{table} with the service key.

        `table` may also be `rpc/<function>`. `query` is a PostgREST query string, used as it is; `params` the same as a
        mapping. `body_text` is text of the kind `media` (JSON, or text/csv with a header line), sent as it is; `body` a
        value. Writes ask for the changed rows; `returning="minimal"` asks for none (Prefer: return=minimal), and is
        BAD_USAGE where nothing is written to a table. Returns the parsed body, "" for an empty answer, and {body,
        body_encoding: "base64"} for one that is neither JSON nor text. With the anon key, row-level security applies;
        with the service key it does not.
        """
        return self._call(
            _projects.rest_query,
            project_id,
            table,
            query=query,
            params=params,
            method=method,
            body=body,
            body_text=body_text,
            media=media,
            key_type=key_type,
            returning=returning,
        )

    rest_query = rest  # the older name

    @of_project
    def rest_call(
        self,
        project_id: str,
        path: str,
        *,
        method: str,
        body_text: str | None = None,
        media: str = "application/json",
        key_type: str = "anon",
        returning: str | None = None,
    ) -> tuple[int, Any]:
        """Send a request to a `rest_path`: (HTTP status, body as in `rest_query`)."""
        return self._call(
            _projects.rest_call,
            project_id,
            path,
            method=method,
            body_text=body_text,
            media=media,
            key_type=key_type,
            returning=returning,
        )

    @of_project
    def usage(self, project_id: str) -> Any:
        """API calls and storage of a project against its limits.

        GET /projects/v1/admin/{id}/usage -> {api_calls, api_calls_limit, storage_bytes, storage_limit_bytes, ...}.
        """
        return self._call(_projects.usage, project_id)

    @of_project
    def schema(self, project_id: str) -> Any:
        """Tables of a project with columns, constraints, and row-level security policies.

        GET /projects/v1/admin/{id}/schema -> {schema, tables: [{name, columns, constraints, rls_enabled, policies}]}.
        """
        return self._call(_projects.schema, project_id)

    @of_project
    def promote_user(self, project_id: str, email: str) -> dict[str, Any]:
        """Give a user of the project, named by e-mail address, the role project_admin.

        POST /projects/v1/admin/{id}/promote-user {email}: give a user of the project the role project_admin.

        Returns {project_id, email, promoted}; password_removed and note where a password that somebody had set before
        the address was proven was removed.
        """
        return self._call(_projects.promote_user, project_id, email)

    @of_project
    def demote_user(self, project_id: str, email: str) -> dict[str, Any]:
        """Take the role project_admin away from a user of the project.

        POST /projects/v1/admin/{id}/demote-user {email}: take the role project_admin away.
        """
        return self._call(_projects.demote_user, project_id, email)

    @of_project
    def delete(self, project_id: str, *, confirmed: bool) -> dict[str, Any]:
        """Delete a project with its database, functions, files, mailbox and secrets, and its cached keys.

        DELETE /projects/v1/{id} with the service key; then forget its cached keys and the pointers to it.

        Returns {project_id, deleted, active_project_id}: the pointer falls back to the project before, or is null.
        Raises CommandError CONFIRMATION_REQUIRED unless `confirmed`; ApiError 409 PROJECT_HAS_PENDING_TRANSFER while a
        transfer is open.
        """
        return self._call(_projects.delete, project_id, confirmed=confirmed)

    @of_project
    def apply_expose(self, project_id: str, manifest: Any) -> Any:
        """Apply an expose manifest: which tables, views and functions REST may reach, and for whom.

        POST /projects/v1/admin/{id}/expose with the manifest itself: {status, project_id, applied, dropped}.

        Convergent: items of the last applied manifest that are missing now are dropped. One transaction. An invalid
        manifest is an ApiError 400 with `errors: [{type, severity, detail, fix?}]` in its body.
        """
        return self._call(_expose.apply, project_id, manifest)

    @of_project
    def get_expose(self, project_id: str) -> Any:
        """The expose manifest in force: the last one applied, or one rebuilt from the live database.

        GET /projects/v1/admin/{id}/expose -> {status, project_id, source: applied|introspected, manifest}.
        """
        return self._call(_expose.get, project_id)

    def validate_expose(self, manifest_text: str, *, migration_sql: str | None = None) -> dict[str, Any]:
        """Check an expose manifest without applying it: a word of JSON, --file, or stdin.

        Check a manifest, given as JSON text, without applying it.

        Returns {has_errors, errors, warnings}; an issue is {type, severity: error|warning, detail, fix?}. With a
        project: POST /projects/v1/admin/{id}/expose/validate with its service key, against its live schema. Without:
        POST /projects/v1/expose/validate as the caller, against `migration_sql` alone, which is parsed and never run.
        Findings are data, not an error; text that is not JSON is a finding of type schema-shape and sends nothing.
        """
        return self._call(_expose.validate, manifest_text, project_id=self._project_id, migration_sql=migration_sql)


class Projects(ProjectProjects[None]):
    """Projects: provision, SQL, REST, usage, members' roles."""

    def quote(self) -> Any:
        """Prices and limits of the tiers.

        GET /tiers/v1 -> {tiers: {name: {price ("$0.10"), lease_days, storage_mb, api_calls, max_functions,
        description}}}.
        """
        return self._call(_projects.quote_tiers)

    quote_tiers = quote  # the older name

    def provision(
        self,
        *,
        tier: str | None = None,
        name: str | None = None,
        org_id: str | None = None,
        idempotency_key: str | None = None,
        derive_key: bool = True,
    ) -> dict[str, Any]:
        """Create a project: a PostgreSQL schema with its anon and service key.

        POST /projects/v1 {tier, name?, org_id?}: create a project, cache its keys, make it the active one.

        Returns the gateway's answer (project_id, anon_key, service_key, schema_slot, ...) and, when another project was
        active, `note` and `previous_active_project_id`. A named project has the idempotency key `provision:<name>`
        unless one is given: the same call again returns the same project (`derive_key=False`: every call makes a new
        one). Our own gateway reads that key as the name itself: the project that is called so today, with its keys,
        whoever made it and from wherever.

        Raises CommandError NO_ALLOWANCE without any credential for a Cloud target.
        """
        return self._call(
            _projects.provision,
            tier=tier,
            name=name,
            org_id=org_id,
            idempotency_key=idempotency_key,
            derive_key=derive_key,
        )

    def list(
        self, *, org_id: str | None = None, everything: bool = False, limit: int | None = None, after: str | None = None
    ) -> dict[str, Any]:
        """List projects on the server; `active` marks the one that commands use by default.

        GET /projects/v1[?org_id&limit&after] (all wallets of the operator: GET /agent/v1/operator/projects).

        Returns {projects: [{project_id, name, active, site_url, custom_domains, org_id, status}], scope?, has_more?,
        next_cursor?}.
        """
        return self._call(_projects.list_projects, org_id=org_id, everything=everything, limit=limit, after=after)

    def current(self) -> dict[str, Any]:
        """Show the active project and whether the server confirms it.

        The active project and what the server says: {active_project_id, project_id, source, validation, project?}.

        `project_id` is the same id under the name that it has elsewhere. A refusal is data.
        """
        return self._call(_projects.current)

    def validate_expose(
        self, manifest_text: str, *, project_id: str | None = None, migration_sql: str | None = None
    ) -> dict[str, Any]:
        """Check an expose manifest without applying it: a word of JSON, --file, or stdin.

        Check a manifest, given as JSON text, without applying it.

        Returns {has_errors, errors, warnings}; an issue is {type, severity: error|warning, detail, fix?}. With a
        project: POST /projects/v1/admin/{id}/expose/validate with its service key, against its live schema. Without:
        POST /projects/v1/expose/validate as the caller, against `migration_sql` alone, which is parsed and never run.
        Findings are data, not an error; text that is not JSON is a finding of type schema-shape and sends nothing.
        """
        return self._call(_expose.validate, manifest_text, project_id=project_id, migration_sql=migration_sql)
