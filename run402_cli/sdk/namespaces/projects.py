"""Projects: provision, SQL, REST, usage, members' roles.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Namespace
from run402_cli.services import projects as _projects

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_List = list


class Projects(Namespace):
    """Projects: provision, SQL, REST, usage, members' roles."""

    def quote_tiers(self) -> Any:
        """GET /tiers/v1 -> {tiers: {name: {price ("$0.10"), lease_days, storage_mb, api_calls, max_functions,
        description}}}.
        """
        return self._call(_projects.quote_tiers)

    def provision(
        self,
        *,
        tier: str | None = None,
        name: str | None = None,
        org_id: str | None = None,
        idempotency_key: str | None = None,
        derive_key: bool = True,
    ) -> dict[str, Any]:
        """POST /projects/v1 {tier, name?, org_id?}: create a project, cache its keys, make it the active one.

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

    def use(self, project_id: str) -> dict[str, Any]:
        """GET /projects/v1/{id}, then make it the active project: {active_project_id, set}. A refusal changes
        nothing.
        """
        return self._call(_projects.use, project_id)

    def list(
        self, *, org_id: str | None = None, everything: bool = False, limit: int | None = None, after: str | None = None
    ) -> dict[str, Any]:
        """GET /projects/v1[?org_id&limit&after] (all wallets of the operator: GET /agent/v1/operator/projects).

        Returns {projects: [{project_id, name, active, site_url, custom_domains, org_id, status}], scope?, has_more?,
        next_cursor?}.
        """
        return self._call(_projects.list_projects, org_id=org_id, everything=everything, limit=limit, after=after)

    def get(self, project_id: str) -> Any:
        """GET /projects/v1/{id} -> {project_id, name, org_id, tier, effective_status, site_url, usage (calls, bytes),
        ...}.

        Where the gateway sends the project's keys, `keys_command` stands in their place: the command that prints them.
        A project that does not exist and one that the caller may not see are the same 403.
        """
        return self._call(_projects.get, project_id)

    def current(self) -> dict[str, Any]:
        """The active project and what the server says: {active_project_id, source, validation, project?}. A refusal is
        data.
        """
        return self._call(_projects.current)

    def rename(self, project_id: str, name: str) -> dict[str, Any]:
        """PATCH /projects/v1/{id} {name}: {project_id, name, renamed}. The server allows 1-200 characters."""
        return self._call(_projects.rename, project_id, name)

    def tenant_payments(
        self, project_id: str, *, limit: int | None = None, after: str | None = None, status: str | None = None
    ) -> Any:
        """GET /projects/v1/{id}/tenant-payments -> {project_id, payments: [...], has_more, next_cursor}; amounts in USD
        micros.
        """
        return self._call(_projects.tenant_payments, project_id, limit=limit, after=after, status=status)

    def costs(self, project_id: str, *, window: str) -> Any:
        """GET /admin/api/finance/project/{id}?window=24h|7d|30d|90d: revenue, direct cost and margin in USD micros.

        For platform admins. RUN402_ADMIN_COOKIE, when set, is sent as the cookie (a bare value as
        run402_admin=<value>).
        """
        return self._call(_projects.costs, project_id, window=window)

    def sql(self, project_id: str, text: str, params: _List[Any] | None = None) -> Any:
        """POST /projects/v1/admin/{id}/sql: the statements as text, or {sql, params} with parameters for $1, $2, ...

        Returns {status, schema, rows, row_count, fields: [{name, type}]}. Row-level security does not apply. A failing
        statement is an ApiError with PostgreSQL's message, position and hint in its body.
        """
        return self._call(_projects.sql, project_id, text, params)

    def rest_query(
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
        """{method} /rest/v1/{table}[?query] with the anon key, or /admin/v1/rest/{table} with the service key.

        `table` may also be `rpc/<function>`. `query` is a PostgREST query string, used as it is; `params` the same as a
        mapping. `body_text` is text of the kind `media` (JSON, or text/csv with a header line), sent as it is; `body` a
        value. Writes ask for the changed rows; `returning="minimal"` asks for none (Prefer: return=minimal), and is
        BAD_USAGE where nothing is written to a table. Returns the parsed body, or "" for an empty answer. With the anon
        key, row-level security applies; with the service key it does not.
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

    def usage(self, project_id: str) -> Any:
        """GET /projects/v1/admin/{id}/usage -> {api_calls, api_calls_limit, storage_bytes, storage_limit_bytes,
        ...}.
        """
        return self._call(_projects.usage, project_id)

    def schema(self, project_id: str) -> Any:
        """GET /projects/v1/admin/{id}/schema -> {schema, tables: [{name, columns, constraints, rls_enabled,
        policies}]}.
        """
        return self._call(_projects.schema, project_id)

    def promote_user(self, project_id: str, email: str) -> dict[str, Any]:
        """POST /projects/v1/admin/{id}/promote-user {email}: give a user of the project the role project_admin."""
        return self._call(_projects.promote_user, project_id, email)

    def demote_user(self, project_id: str, email: str) -> dict[str, Any]:
        """POST /projects/v1/admin/{id}/demote-user {email}: take the role project_admin away."""
        return self._call(_projects.demote_user, project_id, email)

    def delete(self, project_id: str, *, confirmed: bool) -> dict[str, Any]:
        """DELETE /projects/v1/{id} with the service key; then forget its cached keys and the pointers to it.

        Returns {project_id, deleted, active_project_id}: the pointer falls back to the project before, or is null.
        Raises CommandError CONFIRMATION_REQUIRED unless `confirmed`; ApiError 409 PROJECT_HAS_PENDING_TRANSFER while a
        transfer is open.
        """
        return self._call(_projects.delete, project_id, confirmed=confirmed)


class ProjectProjects(Namespace):
    """Projects: provision, SQL, REST, usage, members' roles, of one project."""

    def use(self) -> dict[str, Any]:
        """GET /projects/v1/{id}, then make it the active project: {active_project_id, set}. A refusal changes
        nothing.
        """
        return self._call(_projects.use, self._project_id)

    def get(self) -> Any:
        """GET /projects/v1/{id} -> {project_id, name, org_id, tier, effective_status, site_url, usage (calls, bytes),
        ...}.

        Where the gateway sends the project's keys, `keys_command` stands in their place: the command that prints them.
        A project that does not exist and one that the caller may not see are the same 403.
        """
        return self._call(_projects.get, self._project_id)

    def rename(self, name: str) -> dict[str, Any]:
        """PATCH /projects/v1/{id} {name}: {project_id, name, renamed}. The server allows 1-200 characters."""
        return self._call(_projects.rename, self._project_id, name)

    def tenant_payments(self, *, limit: int | None = None, after: str | None = None, status: str | None = None) -> Any:
        """GET /projects/v1/{id}/tenant-payments -> {project_id, payments: [...], has_more, next_cursor}; amounts in USD
        micros.
        """
        return self._call(_projects.tenant_payments, self._project_id, limit=limit, after=after, status=status)

    def costs(self, *, window: str) -> Any:
        """GET /admin/api/finance/project/{id}?window=24h|7d|30d|90d: revenue, direct cost and margin in USD micros.

        For platform admins. RUN402_ADMIN_COOKIE, when set, is sent as the cookie (a bare value as
        run402_admin=<value>).
        """
        return self._call(_projects.costs, self._project_id, window=window)

    def sql(self, text: str, params: _List[Any] | None = None) -> Any:
        """POST /projects/v1/admin/{id}/sql: the statements as text, or {sql, params} with parameters for $1, $2, ...

        Returns {status, schema, rows, row_count, fields: [{name, type}]}. Row-level security does not apply. A failing
        statement is an ApiError with PostgreSQL's message, position and hint in its body.
        """
        return self._call(_projects.sql, self._project_id, text, params)

    def rest_query(
        self,
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
        """{method} /rest/v1/{table}[?query] with the anon key, or /admin/v1/rest/{table} with the service key.

        `table` may also be `rpc/<function>`. `query` is a PostgREST query string, used as it is; `params` the same as a
        mapping. `body_text` is text of the kind `media` (JSON, or text/csv with a header line), sent as it is; `body` a
        value. Writes ask for the changed rows; `returning="minimal"` asks for none (Prefer: return=minimal), and is
        BAD_USAGE where nothing is written to a table. Returns the parsed body, or "" for an empty answer. With the anon
        key, row-level security applies; with the service key it does not.
        """
        return self._call(
            _projects.rest_query,
            self._project_id,
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

    def rest_call(
        self,
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
            self._project_id,
            path,
            method=method,
            body_text=body_text,
            media=media,
            key_type=key_type,
            returning=returning,
        )

    def usage(self) -> Any:
        """GET /projects/v1/admin/{id}/usage -> {api_calls, api_calls_limit, storage_bytes, storage_limit_bytes,
        ...}.
        """
        return self._call(_projects.usage, self._project_id)

    def schema(self) -> Any:
        """GET /projects/v1/admin/{id}/schema -> {schema, tables: [{name, columns, constraints, rls_enabled,
        policies}]}.
        """
        return self._call(_projects.schema, self._project_id)

    def promote_user(self, email: str) -> dict[str, Any]:
        """POST /projects/v1/admin/{id}/promote-user {email}: give a user of the project the role project_admin."""
        return self._call(_projects.promote_user, self._project_id, email)

    def demote_user(self, email: str) -> dict[str, Any]:
        """POST /projects/v1/admin/{id}/demote-user {email}: take the role project_admin away."""
        return self._call(_projects.demote_user, self._project_id, email)

    def delete(self, *, confirmed: bool) -> dict[str, Any]:
        """DELETE /projects/v1/{id} with the service key; then forget its cached keys and the pointers to it.

        Returns {project_id, deleted, active_project_id}: the pointer falls back to the project before, or is null.
        Raises CommandError CONFIRMATION_REQUIRED unless `confirmed`; ApiError 409 PROJECT_HAS_PENDING_TRANSFER while a
        transfer is open.
        """
        return self._call(_projects.delete, self._project_id, confirmed=confirmed)
