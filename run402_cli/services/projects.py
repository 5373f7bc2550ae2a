"""Projects: provision, select, read, query, change, delete. See docs/projects.md."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from run402_cli import advice, exact_json
from run402_cli.client import Client, bounded, credentials, rest_body, row_stream, segment, with_query
from run402_cli.errors import CommandError, FlagError, Run402Error, UsageError, ValidationError, no_allowance
from run402_cli.naming import name_key
from run402_cli.services import prices
from run402_cli.state import sessions
from run402_cli.state.keys import saving

_DESTROYS = ["schemas", "functions", "subdomains", "mailbox", "blobs", "secrets"]
REST_METHODS = ("GET", "POST", "PATCH", "DELETE")
KEY_TYPES = ("anon", "service")
LOAD_FORMATS = ("csv", "ndjson")
REST_RETURNS = ("minimal", "representation")
_REST_WRITES = ("POST", "PATCH", "DELETE")

Json = Any


def _project(project_id: str) -> str:
    return f"/projects/v1/{segment(project_id)}"


def _admin(project_id: str, what: str) -> str:
    return f"/projects/v1/admin/{segment(project_id)}/{what}"


def _senseless(what: str) -> ValidationError:
    return ValidationError(
        f"The gateway answered {what} with something that is not the documented JSON.",
        code="INTERNAL_ERROR",
        details={"hint": "Check that the API base is a Run402 gateway: run402 service health"},
    )


# -- control plane: the caller's own credential -------------------------------------------------------------------------


def quote_tiers(client: Client) -> Json:
    """GET /tiers/v1 -> {tiers: {name: {price ("$0.10"), lease_days, storage_mb, api_calls, max_functions, description}}}."""
    return client.request("GET", "/tiers/v1", context="reading tier prices")


def provision(
    client: Client,
    *,
    tier: str | None = None,
    name: str | None = None,
    org_id: str | None = None,
    idempotency_key: str | None = None,
    derive_key: bool = True,
) -> dict[str, Json]:
    """POST /projects/v1 {tier, name?, org_id?}: create a project, cache its keys, make it the active one.

    Returns the gateway's answer (project_id, anon_key, service_key, schema_slot, ...) and, when another project was active,
    `note` and `previous_active_project_id`. A named project has the idempotency key `provision:<name>` unless one is given:
    the same call again returns the same project (`derive_key=False`: every call makes a new one). Our own gateway reads
    that key as the name itself: the project that is called so today, with its keys, whoever made it and from wherever.

    Raises CommandError NO_ALLOWANCE without any credential for a Cloud target.
    """
    _require_caller(client)
    client.profile.keys.ensure_writable()
    client.profile.active.ensure_writable()
    body = {"tier": tier or "prototype"}
    if name is not None:
        body["name"] = name
    if org_id is not None:
        body["org_id"] = org_id
    key = idempotency_key or (name_key(name) if derive_key and name is not None else None)
    answer = client.request(
        "POST",
        "/projects/v1",
        context="creating the project",
        auth=client.principal(
            capability="org.project.create" if org_id else None, target={"org_id": org_id} if org_id else None
        ),
        body=body,
        headers={"Idempotency-Key": key} if key else None,
        reveals=True,
        priced=prices.of_tier(body["tier"]),
    )
    if not isinstance(answer, dict) or not isinstance(answer.get("project_id"), str) or not answer["project_id"]:
        raise _senseless("the creation of the project")
    return {**answer, **_remember(client, answer)}


def _require_caller(client: Client) -> None:
    if client.is_core or client.delegate_token() or client.profile.allowance is not None:
        return
    if sessions.control_plane_session() is None:
        raise no_allowance()


def _remember(client: Client, answer: dict[str, Json]) -> dict[str, str]:
    """Cache the new project's keys and make it active; returns what the answer says about the project active before."""
    project_id = answer["project_id"]
    endpoints = answer.get("endpoints")
    entry = {
        "anon_key": answer.get("anon_key") or "",
        "service_key": answer.get("service_key") or "",
        "site_url": endpoints.get("static_base_url") if isinstance(endpoints, dict) else None,
    }
    hint = "Solve that, then run the same command with the same --name again: it returns the same project."
    with saving(project_id, f"Project {project_id} was created", what="it", hint=hint):
        client.profile.keys.upsert(project_id, entry)
        previous = client.profile.active.set(project_id)
    if previous is None:
        return {}
    return {
        "note": f"The active project changed from {previous} to {project_id}. Go back: "
        f"{advice.command('projects', 'use', previous)}",
        "previous_active_project_id": previous,
    }


def use(client: Client, project_id: str) -> dict[str, Json]:
    """GET /projects/v1/{id}, then make it the active one: {active_project_id, set, project_id, name?}.

    `name` where the gateway says it. A refusal changes nothing.
    """
    client.profile.active.ensure_writable()
    found = get(client, project_id)
    client.profile.active.set(project_id)
    name = found.get("name") if isinstance(found, dict) else None
    return {"active_project_id": project_id, "set": True, "project_id": project_id, **({"name": name} if name else {})}


def list_projects(
    client: Client,
    *,
    org_id: str | None = None,
    everything: bool = False,
    limit: int | None = None,
    after: str | None = None,
) -> dict[str, Json]:
    """GET /projects/v1[?org_id&limit&after] (all wallets of the operator: GET /agent/v1/operator/projects).

    Returns {projects: [{project_id, name, active, site_url, custom_domains, org_id, status}], scope?, has_more?,
    next_cursor?}.
    """
    if everything:
        session = client.operator_session()
        auth = credentials.Bearer(session.token) if session else client.principal()
        path = with_query("/agent/v1/operator/projects", limit=limit, after=after)
        answer = client.request("GET", path, context="listing all projects", auth=auth)
    else:
        path = with_query("/projects/v1", org_id=org_id, limit=limit, after=after)
        answer = client.request("GET", path, context="listing projects", auth=client.principal())
    rows = answer.get("projects") if isinstance(answer, dict) else answer
    if not isinstance(rows, list):
        raise _senseless("the list of projects")
    active = client.profile.active.get()
    result: dict[str, Json] = {"projects": [_row(row, active) for row in rows if isinstance(row, dict)]}
    extra = answer if isinstance(answer, dict) else {}
    result.update({key: extra[key] for key in ("scope", "has_more", "next_cursor") if extra.get(key) is not None})
    return result


def _row(row: dict[str, Json], active: str | None) -> dict[str, Json]:
    project_id = row.get("id") or row.get("project_id") or ""
    status = row.get("status")
    return {
        "project_id": project_id,
        "name": row.get("name"),
        "active": bool(project_id) and project_id == active,
        "site_url": row.get("site_url"),
        "custom_domains": row.get("custom_domains") or [],
        "org_id": row.get("org_id"),
        "status": row.get("effective_status") if status is None else status,
        **({"keys_command": row["keys_command"]} if "keys_command" in row else {}),
    }


def get(client: Client, project_id: str) -> Json:
    """GET /projects/v1/{id} -> {project_id, name, org_id, tier, effective_status, site_url, usage (calls, bytes), ...}.

    Where the gateway sends the project's keys, `keys_command` stands in their place: the command that prints them.
    A project that does not exist and one that the caller may not see are the same 403.
    """
    return client.request("GET", _project(project_id), context="reading the project", auth=client.principal())


def current(client: Client) -> dict[str, Json]:
    """The active project and what the server says: {active_project_id, project_id, source, validation, project?}.

    `project_id` is the same id under the name that it has elsewhere. A refusal is data.
    """
    project_id = client.profile.active.get()
    result: dict[str, Json] = {"active_project_id": project_id, "project_id": project_id, "source": "profile_state"}
    if project_id is None:
        return {**result, "validation": {"checked": False, "ok": False}}
    try:
        project = get(client, project_id)
    except Run402Error as exc:
        envelope = exc.envelope()
        reason = {"code": envelope.get("code"), "message": envelope.get("message")}
        return {**result, "validation": {"checked": True, "ok": False, **reason}}
    return {**result, "validation": {"checked": True, "ok": True}, "project": project}


def rename(client: Client, project_id: str, name: str) -> dict[str, Json]:
    """PATCH /projects/v1/{id} {name}: {project_id, name, renamed}. The server allows 1-200 characters."""
    answer = client.request(
        "PATCH", _project(project_id), context="renaming the project", auth=client.principal(), body={"name": name}
    )
    said = answer if isinstance(answer, dict) else {}
    return {"project_id": said.get("project_id") or project_id, "name": said.get("name") or name, "renamed": True}


def tenant_payments(
    client: Client, project_id: str, *, limit: int | None = None, after: str | None = None, status: str | None = None
) -> Json:
    """GET /projects/v1/{id}/tenant-payments -> {project_id, payments: [...], has_more, next_cursor}; amounts in USD micros."""
    path = with_query(f"{_project(project_id)}/tenant-payments", limit=limit, after=after, status=status)
    return client.request("GET", path, context="listing payments", auth=client.principal())


def costs(client: Client, project_id: str, *, window: str = "30d") -> Json:
    """GET /admin/api/finance/project/{id}?window=24h|7d|30d|90d: revenue, direct cost and margin in USD micros.

    For platform admins. RUN402_ADMIN_COOKIE, when set, is sent as the cookie (a bare value as run402_admin=<value>).
    """
    cookie = os.environ.get("RUN402_ADMIN_COOKIE", "").strip()
    if cookie and "=" not in cookie:
        cookie = f"run402_admin={cookie}"
    path = with_query(f"/admin/api/finance/project/{segment(project_id)}", window=window)
    auth = credentials.AdminMode(client.principal(), cookie=cookie or None)
    return client.request("GET", path, context="reading project costs", auth=auth)


# -- data plane: the project's keys -------------------------------------------------------------------------------------


def sql(client: Client, project_id: str, text: str, params: list[Json] | None = None) -> Json:
    """POST /projects/v1/admin/{id}/sql: the statements as text, or {sql, params} with parameters for $1, $2, ...

    Returns {status, schema, rows, row_count, fields: [{name, type}]}, and `warnings` [{code, message, columns}] when columns
    share a name: a row holds the last of them alone. Row-level security does not apply. A failing statement is an ApiError
    with PostgreSQL's message, position and hint in its body. docs/projects.md
    """
    content, media = _sql_body(text, params)
    answer = client.request(
        "POST",
        _admin(project_id, "sql"),
        context="running SQL",
        auth=client.service_key(project_id),
        content=content,
        headers={"Content-Type": media},
        reveals=True,
    )
    if not isinstance(answer, dict):
        raise _senseless("the SQL")
    if "rowCount" in answer and "row_count" not in answer:
        answer = {"row_count" if key == "rowCount" else key: value for key, value in answer.items()}
    return {**answer, **_covered_columns(answer)}


def _sql_body(text: str, params: list[Json] | None) -> tuple[bytes, str]:
    if params:
        document = {"sql": text, "params": params}
        return exact_json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(), "application/json"
    return text.encode(), "text/plain"


@contextlib.contextmanager
def sql_rows(client: Client, project_id: str, text: str, params: list[Json] | None = None) -> Iterator[row_stream.Rows]:
    """As `sql`, and the rows as they come: how many there are does not matter. What `sql` answers besides is in `around`."""
    content, media = _sql_body(text, params)
    auth, headers = client.service_key(project_id), {"Content-Type": media}
    path = _admin(project_id, "sql")
    with client.stream("POST", path, context="running SQL", auth=auth, content=content, headers=headers) as response:
        if not bounded.is_json(response):
            raise _senseless("the SQL")
        rows = row_stream.Rows(response.iter_bytes(), "rows")
        yield rows
        rows.around |= _covered_columns(rows.around)


@contextlib.contextmanager
def rest_rows(
    client: Client, project_id: str, path: str, *, key_type: str = "anon"
) -> Iterator[row_stream.Rows | Json]:
    """As `rest_call` with GET, and the rows of a list as they come; another answer as a whole."""
    auth, context = _rest_auth(client, project_id, path, key_type)
    with client.stream("GET", path, context=context, auth=auth) as response:
        rows = row_stream.Rows(response.iter_bytes()) if bounded.is_json(response) else None
        if rows is None:
            response.read()
        yield rest_body(response) if rows is None else rows if rows.is_list() else rows.whole()


def _rest_auth(client: Client, project_id: str, path: str, key_type: str) -> tuple[Any, str]:
    service = key_type == "service"
    auth = client.service_key(project_id, apikey=True) if service else client.anon_key(project_id, bearer=True)
    return auth, f"querying {path.partition('?')[0].rpartition('/')[2]}"


def load(
    client: Client,
    project_id: str,
    table: str,
    rows: bytes | Iterable[bytes],
    *,
    format: str,
    again: bool = False,
) -> Json:
    """POST /projects/v1/admin/{id}/load?table&format[&again]: rows of CSV (with a header) or NDJSON into a table, all or none.

    `rows` is the text in UTF-8, whole or in pieces, at most 1 GiB; `format` is csv or ndjson. Returns {status, table, rows,
    bytes, sha256, columns}. The same content is not loaded into the same table twice within a day (ApiError 409
    ALREADY_LOADED), unless `again`. Rows that are refused are an ApiError 400 LOAD_REJECTED with details.rejects [{line,
    message, value, column?, detail?, sqlstate?}], at most 20. Row-level security does not apply. Raises CommandError
    LOCAL_GATEWAY_REQUIRED on the Cloud. docs/projects.md
    """
    one_of_formats(format)
    if not client.is_core:
        raise _load_needs_core(client.api_base, table)
    path = with_query(_admin(project_id, "load"), table=table, format=format, again="true" if again else None)
    auth, context = client.service_key(project_id), f"loading rows into {table}"
    media = {"csv": "text/csv", "ndjson": "application/x-ndjson"}[format]
    return client.request(
        "POST", path, context=context, auth=auth, content=rows, headers={"Content-Type": media}, reveals=True
    )


def one_of_formats(format: str) -> None:
    """FlagError for what is no format of `load`."""
    if format not in LOAD_FORMATS:
        raise FlagError(
            f"--format must be one of {', '.join(LOAD_FORMATS)}, not {format!r}.",
            details={"flag": "--format", "value": format, "allowed": list(LOAD_FORMATS)},
        )


def _load_needs_core(base: str, table: str) -> CommandError:
    rest = (
        "projects",
        "rest",
        table,
        "--method",
        "POST",
        "--body-file",
        advice.Blank("rows.csv"),
        "--key-type",
        "service",
    )
    return CommandError(
        f"{base} cannot load rows by COPY: only a local (Core) gateway can.",
        code="LOCAL_GATEWAY_REQUIRED",
        hint=f"Send them over REST, some thousand at a time, each call all or none: {advice.command(*rest)}",
        details={"api_base": base},
        next_actions=[advice.run(*rest)],
    )


def _covered_columns(answer: dict[str, Json]) -> dict[str, Json]:
    """`warnings` when columns of the answer share a name, for rows are objects by name: every gateway keeps the last one."""
    fields = answer.get("fields")
    names = [field.get("name") for field in fields if isinstance(field, dict)] if isinstance(fields, list) else []
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if not repeated:
        return {}
    elsewhere = ", and `values` all" if "values" in answer else ""
    message = (
        f"Several columns have the same name ({', '.join(map(str, repeated))}); each row holds only the last of them"
        f"{elsewhere}. Give each a name of its own with AS, as in: select count(*) as total, count(note) as noted"
    )
    return {"warnings": [{"code": "REPEATED_COLUMN_NAME", "message": message, "columns": repeated}]}


def rest_query(
    client: Client,
    project_id: str,
    table: str,
    *,
    query: str | None = None,
    params: Mapping[str, str] | None = None,
    method: str = "GET",
    body: Json = None,
    body_text: str | None = None,
    media: str = "application/json",
    key_type: str = "anon",
    returning: str | None = None,
) -> Json:
    """{method} /rest/v1/{table}[?query] with the anon key, or /admin/v1/rest/{table} with the service key.

    `table` may also be `rpc/<function>`. `query` is a PostgREST query string, used as it is; `params` the same as a mapping.
    `body_text` is text of the kind `media` (JSON, or text/csv with a header line), sent as it is; `body` a value. Writes
    ask for the changed rows; `returning="minimal"` asks for none (Prefer: return=minimal), and is BAD_USAGE where nothing
    is written to a table. Returns the parsed body, "" for an empty answer, and {body, body_encoding: "base64"} for one that is
    neither JSON nor text. With the anon key, row-level security
    applies; with the service key it does not.
    """
    if body is not None and body_text is None:
        body_text = exact_json.dumps(body, ensure_ascii=False)
    if returning is not None:
        _check_returning(returning, table, method)
    path = rest_path(table, query=query, params=params, key_type=key_type)
    return rest_call(
        client,
        project_id,
        path,
        method=method,
        body_text=body_text,
        media=media,
        key_type=key_type,
        returning=returning,
    )[1]


def _check_returning(returning: str, table: str, method: str) -> None:
    """FlagError for an unknown word; UsageError where the rows of no table change, so that it would have no effect."""
    if returning not in REST_RETURNS:
        raise FlagError(
            f"--return is one of {', '.join(REST_RETURNS)}, not {returning!r}.",
            details={"flag": "--return", "value": returning, "allowed": list(REST_RETURNS)},
        )
    if table.startswith("rpc/"):
        raise UsageError(
            "--return has no effect on the call of a function: it answers what the function returns.",
            hint="Leave --return out.",
        )
    if method not in _REST_WRITES:
        raise UsageError(
            f"--return has no effect on a {method}: it says whether a write answers with the rows that it changed.",
            hint=f"Leave --return out, or add --method {', '.join(_REST_WRITES[:-1])} or {_REST_WRITES[-1]}.",
        )


def rest_path(
    table: str, *, query: str | None = None, params: Mapping[str, str] | None = None, key_type: str = "anon"
) -> str:
    """The path and query string of a REST request; arguments as in `rest_query`."""
    path = ("/admin/v1/rest/" if key_type == "service" else "/rest/v1/") + _rest_target(table)
    text = (query or "").removeprefix("?").replace("#", "%23")
    if text:
        return f"{path}?{text}"
    return with_query(path, **params) if params else path


def rest_call(
    client: Client,
    project_id: str,
    path: str,
    *,
    method: str,
    body_text: str | None = None,
    media: str = "application/json",
    key_type: str = "anon",
    returning: str | None = None,
) -> tuple[int, Json]:
    """Send a request to a `rest_path`: (HTTP status, body as in `rest_query`)."""
    auth, context = _rest_auth(client, project_id, path, key_type)
    headers = {} if method == "GET" else {"Prefer": f"return={returning or 'representation'}"}
    if body_text is not None:
        headers["Content-Type"] = media
    content = body_text.encode() if body_text is not None else None
    response = client.send(method, path, context=context, auth=auth, content=content, headers=headers)
    return response.status_code, client.answered(response, context, rest_body)


def _rest_target(table: str) -> str:
    head, slash, function = table.partition("/")
    return f"rpc/{segment(function)}" if head == "rpc" and slash else segment(table)


def usage(client: Client, project_id: str) -> Json:
    """GET /projects/v1/admin/{id}/usage -> {api_calls, api_calls_limit, storage_bytes, storage_limit_bytes, ...}."""
    auth = client.service_key(project_id)
    return client.request("GET", _admin(project_id, "usage"), context="reading usage", auth=auth)


def schema(client: Client, project_id: str) -> Json:
    """GET /projects/v1/admin/{id}/schema -> {schema, tables: [{name, columns, constraints, rls_enabled, policies}]}."""
    auth = client.service_key(project_id)
    return client.request("GET", _admin(project_id, "schema"), context="reading the schema", auth=auth)


def promote_user(client: Client, project_id: str, email: str) -> dict[str, Json]:
    """POST /projects/v1/admin/{id}/promote-user {email}: give a user of the project the role project_admin.

    Returns {project_id, email, promoted}; password_removed and note where a password that somebody had set before the
    address was proven was removed.
    """
    answer = _role(client, project_id, "promote-user", email)
    told = {name: answer[name] for name in ("password_removed", "note") if isinstance(answer, dict) and name in answer}
    return {"project_id": project_id, "email": email, "promoted": True, **told}


def demote_user(client: Client, project_id: str, email: str) -> dict[str, Json]:
    """POST /projects/v1/admin/{id}/demote-user {email}: take the role project_admin away."""
    _role(client, project_id, "demote-user", email)
    return {"project_id": project_id, "email": email, "demoted": True}


def _role(client: Client, project_id: str, what: str, email: str) -> Json:
    auth = client.service_key(project_id)
    path, body = _admin(project_id, what), {"email": email}
    return client.request("POST", path, context="changing a user's role", auth=auth, body=body)


def delete(client: Client, project_id: str, *, confirmed: bool) -> dict[str, Json]:
    """DELETE /projects/v1/{id} with the service key; then forget its cached keys and the pointers to it.

    Returns {project_id, deleted, active_project_id}: the pointer falls back to the project before, or is null. Raises
    CommandError CONFIRMATION_REQUIRED unless `confirmed`; ApiError 409 PROJECT_HAS_PENDING_TRANSFER while a transfer is
    open.
    """
    if not confirmed:
        raise CommandError(
            f"Deleting {project_id} destroys its database, functions, files, subdomains, mailbox and secrets for good.",
            code="CONFIRMATION_REQUIRED",
            hint=advice.command("projects", "delete", "--project", project_id, "--confirm"),
            details={"project_id": project_id, "destroys": _DESTROYS},
        )
    auth = client.service_key(project_id)
    client.profile.keys.ensure_writable()
    client.profile.active.ensure_writable()
    client.request("DELETE", _project(project_id), context="deleting the project", auth=auth)
    client.profile.keys.remove(project_id)
    client.profile.active.clear(project_id)
    return {"project_id": project_id, "deleted": True, "active_project_id": client.profile.active.get()}
