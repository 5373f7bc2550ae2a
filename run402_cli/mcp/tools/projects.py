"""Projects and their database."""

from __future__ import annotations

import json
from typing import Any

from run402_cli.errors import CommandError, ValidationError
from run402_cli.mcp import _text
from run402_cli.mcp._tool import (
    ACTIVE_PROJECT,
    DESTRUCTIVE,
    LOCAL_READ,
    LOCAL_WRITE,
    PROJECT,
    READ,
    WRITE,
    Call,
    Reply,
    exclusive,
    may,
    need,
    tool,
)
from run402_cli.services import credentials, expose, projects

_TIERS = "prototype|hobby|team"
_POLICIES = "user_owns_rows|public_read_authenticated_write|public_read_write_UNRESTRICTED|custom"
_TABLE = (
    f"{{name: string, expose: bool, policy?: {_POLICIES}, owner_column?: string, force_owner_on_insert?: bool, "
    "i_understand_this_is_unrestricted?: bool, custom_sql?: string}"
)
_VIEW = "{name: string, base: string, select: [string], filter?: string, security_invoker?: bool, expose?: bool}"
_RPC = "{name: string, signature: string, grant_to: [string]}"
_MANIFEST = f'{{$schema?: string, version: "1", tables?: [{_TABLE}], views?: [{_VIEW}], rpcs?: [{_RPC}]}}'


def _provision(call: Call) -> Any:
    given = call.given("tier", "name", "org_id")
    return projects.provision(call.client, **given)


def _list(call: Call) -> Any:
    exclusive(call, "all", "org_id")
    return projects.list_projects(
        call.client,
        org_id=call["org_id"],
        everything=bool(call["all"]),
        limit=call["limit"],
        after=call["cursor"],
    )


# -- SQL and REST -------------------------------------------------------------------------------------------------------


def _sql(call: Call) -> Reply:
    if not call["sql"].strip():
        raise ValidationError("There is no SQL to run. Example: select 1", details={"field": "sql"})
    answer = projects.sql(call.client, call.project_or_active(), call["sql"], call["params"])
    return Reply(answer, text=_rows(answer) if isinstance(answer, dict) else None)


def _rows(answer: dict[str, Any]) -> str:
    rows, count = answer.get("rows"), answer.get("row_count")
    found = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    fields = [field for field in answer.get("fields") or () if isinstance(field, dict)]
    names = list(dict.fromkeys([str(field.get("name")) for field in fields] or [key for row in found for key in row]))
    parts = [_text.heading("SQL result"), f"Schema: {answer.get('schema')}. Rows returned or affected: {count}."]
    if fields:
        parts.append("Columns: " + ", ".join(f"{field.get('name')} ({field.get('type')})" for field in fields))
    parts += [f"Warning: {warning['message']}" for warning in answer.get("warnings", ())]
    if found:
        parts.append(_text.table(names, [[row.get(name) for name in names] for row in found]))
    return "\n\n".join(parts)


def _rest(call: Call) -> Reply:
    method, key_type = call["method"], call["key_type"]
    body = None
    if "body" in call.args:
        if method not in ("POST", "PATCH"):
            raise ValidationError(
                f"{method} takes no body. Use POST or PATCH, or leave the body out.", reason="BODY_NOT_ALLOWED"
            )
        body = json.dumps(call["body"], ensure_ascii=False)
    path = projects.rest_path(call["table"], params=call["params"], key_type=key_type)
    project_id = call.project_or_active()
    status, answer = projects.rest_call(call.client, project_id, path, method=method, body_text=body, key_type=key_type)
    document = {"method": method, "path": path, "http_status": status, "body": answer}
    lines = [_text.heading("REST answer"), f"{method} {path}: HTTP {status}", _text.fence(answer)]
    return Reply(document, text="\n\n".join(lines))


# -- expose manifests ---------------------------------------------------------------------------------------------------


def _validate(call: Call) -> Reply:
    manifest = call["manifest"]
    text = manifest if isinstance(manifest, str) else json.dumps(manifest, ensure_ascii=False)
    found = expose.validate(call.client, text, project_id=call["project_id"], migration_sql=call["migration_sql"])
    verdict = "The manifest has errors." if found["has_errors"] else "The manifest is valid."
    parts = [_text.heading("expose manifest check"), verdict, _text.fence(found)]
    return Reply(found, text="\n\n".join(parts))


# -- cached keys --------------------------------------------------------------------------------------------------------


def _export_keys(call: Call) -> Any:
    if call["reveal"] is not True:
        raise CommandError(
            "This shows the project's keys in clear.",
            code="REVEAL_REQUIRED",
            hint="Pass reveal: true to see them.",
            details={"project_id": call.project},
        )
    return credentials.export_keys(call.client.profile.keys, call.project, reveal=True)


TOOLS = (
    tool(
        "provision_postgres_project",
        "Make a project: a PostgreSQL schema with REST, keys and storage. Its keys are saved on this machine and it "
        "becomes the active project.",
        WRITE,
        _provision,
        may("tier", _TIERS, default="prototype"),
        may("name", about="Display name; the same name again gives the same project."),
        may("org_id"),
        cli="projects provision",
        allowance=True,
        reports_402=True,
        hides_keys=True,
    ),
    tool(
        "list_projects",
        "List projects; `active` marks the one that tools fall back to.",
        READ,
        _list,
        may("org_id"),
        may("all", "bool", "Of every wallet of this wallet's operator."),
        may("limit", "int", above=0),
        may("cursor"),
        cli="projects list",
    ),
    tool(
        "project_get",
        "Read one project from the server: name, organization, tier, status, site, usage. No keys.",
        READ,
        lambda c: projects.get(c.client, c.project),
        PROJECT,
        cli="projects get",
    ),
    tool(
        "project_use",
        "Check a project on the server and make it the active one.",
        LOCAL_WRITE,
        lambda c: projects.use(c.client, c.project),
        PROJECT,
        cli="projects use",
        annotations={"openWorldHint": True},
    ),
    tool(
        "rename_project",
        "Give a project another display name. The wallet signs; cached keys are not needed.",
        WRITE,
        lambda c: projects.rename(c.client, c.project, c["name"]),
        PROJECT,
        need("name"),
        cli="projects rename",
    ),
    tool(
        "delete_project",
        "Delete a project for good, at once and without a question: database, functions, files, mailboxes, secrets. Its "
        "cached keys go too.",
        DESTRUCTIVE,
        lambda c: projects.delete(c.client, c.project, confirmed=True),
        PROJECT,
        cli="projects delete",
    ),
    tool(
        "run_sql",
        "Run SQL with the service key, schema changes included. Row-level security does not apply; statements can destroy "
        "data. Use $1, $2 with params for values.",
        DESTRUCTIVE,
        _sql,
        ACTIVE_PROJECT,
        need("sql", about="One statement or several."),
        may("params", "[any]", "Values for $1, $2, ..."),
        cli="projects sql",
    ),
    tool(
        "rest_query",
        "Query or change a table, view or rpc/<function> through PostgREST. The anon key sees what the expose manifest "
        "allows, the service key everything.",
        DESTRUCTIVE,
        _rest,
        ACTIVE_PROJECT,
        need("table", about="Table or view, or rpc/<function>."),
        may("method", "GET|POST|PATCH|DELETE", default="GET"),
        may("params", "{*: string}", "PostgREST query, such as {select: 'id,title', id: 'eq.7'}."),
        may("body", "any", "JSON body of a POST or PATCH."),
        may("key_type", "anon|service", default="anon"),
        cli="projects rest",
    ),
    tool(
        "get_schema",
        "Tables with columns, types, constraints and row-level security policies.",
        READ,
        lambda c: projects.schema(c.client, c.project_or_active()),
        ACTIVE_PROJECT,
        cli="projects schema",
    ),
    tool(
        "get_usage",
        "API calls and storage of a project against its limits, and when its lease ends.",
        READ,
        lambda c: projects.usage(c.client, c.project),
        PROJECT,
        cli="projects usage",
    ),
    tool(
        "apply_expose",
        "Set which tables, views and functions REST may reach, and for whom. The manifest is the whole surface: what it "
        "leaves out loses its policies, grants, triggers and views.",
        DESTRUCTIVE,
        lambda c: expose.apply(c.client, c.project, c["manifest"]),
        PROJECT,
        need("manifest", _MANIFEST),
        cli="projects apply-expose",
    ),
    tool(
        "validate_manifest",
        "Check an expose manifest without applying it; findings are the result. With a project it is checked against the "
        "live schema, else against migration_sql.",
        READ,
        _validate,
        need("manifest", "{*: any}|string", "The manifest, as an object or as JSON text."),
        may("migration_sql", about="SQL that is parsed for its tables and never run."),
        may("project_id"),
        cli="projects validate-expose",
    ),
    tool(
        "get_expose",
        "The expose manifest in force: the one applied last, or one rebuilt from the live database (`source`).",
        READ,
        lambda c: expose.get(c.client, c.project),
        PROJECT,
        cli="projects get-expose",
    ),
    tool(
        "list_tenant_payments",
        "Payments received on the priced routes of a project; amounts in USD micros.",
        READ,
        lambda c: projects.tenant_payments(c.client, c.project, **c.given("status", "limit", "after")),
        PROJECT,
        may("status", "settling|settled|settle_failed|ambiguous"),
        may("limit", "int", above=0, high=200),
        may("after"),
        cli="projects tenant-payments",
    ),
    tool(
        "promote_user",
        "Give a user of the project's application the role project_admin.",
        WRITE,
        lambda c: projects.promote_user(c.client, c.project, c["email"]),
        PROJECT,
        need("email"),
        cli="projects promote-user",
    ),
    tool(
        "demote_user",
        "Take the role project_admin away from a user of the project's application.",
        WRITE,
        lambda c: projects.demote_user(c.client, c.project, c["email"]),
        PROJECT,
        need("email"),
        cli="projects demote-user",
    ),
    tool(
        "get_quote",
        "Prices and limits of the tiers. Free, no wallet needed.",
        READ,
        lambda c: projects.quote_tiers(c.client),
        cli="projects quote",
    ),
    tool(
        "project_key_cache_status",
        "Which keys of a project this machine has, as prefixes and fingerprints.",
        LOCAL_READ,
        lambda c: c.client.profile.keys.redacted(c.project),
        PROJECT,
        cli="credentials project-keys status",
    ),
    tool(
        "project_key_cache_export",
        "Show the cached keys of a project in clear. The answer is secret.",
        LOCAL_READ,
        _export_keys,
        PROJECT,
        need("reveal", "bool", "Must be true."),
        cli="credentials project-keys export",
    ),
)
