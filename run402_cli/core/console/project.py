"""The pages of one project. Each asks the gateway's own routes (inside.py) and makes a page of the answer."""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Mapping
from typing import Any

import htpy as h
from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.callers.auth import project_by_id
from run402_cli.core.console import inside
from run402_cli.core.console.views import PAGE_SIZE, address, forward, page_number, pager
from run402_cli.core.diagnostics import events
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import gateway_of
from run402_cli.core.mail.paging import messages_page
from run402_cli.core.projects.rows import Project
from run402_cli.core.releases import rows as releases
from run402_cli.core.sql import reading as sql_reading
from run402_cli.core.users import accounts
from run402_cli.core.web.instants import iso
from run402_cli.core.web.pages import MAIL, facts, page, table

RELEASES = 10
SQL_ROWS = 200
LOG_LINES = 100
DIFF_ENTRIES = 100
# Only a form of ours carries it, so that an address that somebody else made up fills the form in but runs nothing.
_FORM_TOKEN = secrets.token_urlsafe(16)
_SECTIONS = ("tables", "sql", "users", "functions", "releases", "assets", "mail", "events")


async def _project(request: Request) -> Project:
    async with gateway_of(request).connection() as conn:
        return await project_by_id(conn, request.path_params["project_id"])


def _show(project: Project, title: str, *content: h.Node, section: str = "") -> Response:
    here = address("projects", project.project_id, *([section] if section else []))
    nav = [("Overview", address("projects", project.project_id))]
    for name in _SECTIONS:
        text = "SQL" if name == "sql" else name.capitalize()
        nav.append((text, address("projects", project.project_id, name)))
    kept = h.p(".dim")[project.name, " · ", h.code[project.project_id]] if title != project.name else None
    return page(title, kept, *content, nav=nav, here=here)


async def overview(request: Request) -> Response:
    """What the project is, and where it answers. Its keys are not shown."""
    project = await _project(request)
    found = await inside.get(request, f"/projects/v1/{project.project_id}")
    live = await inside.get(request, "/apply/v1/releases/active", project, site_limit=1)
    url = gateway_of(request).settings.public_url
    hosts = [releases.host_url(url, name) for name in live["subdomains"]["names"]]
    addresses = [*([found["site_url"]] if found["site_url"] else []), *hosts]
    release_id = project.active_release_id
    release_link = address("projects", project.project_id, "releases", release_id or "")
    pairs = [
        ("Project", h.code[project.project_id]),
        ("Made", found["created_at"]),
        ("Site", h.span[[[h.a(href=each, rel="noreferrer")[each], h.br] for each in addresses]] if addresses else None),
        ("REST", h.code[found["endpoints"]["rest_url"]]),
        ("Active release", h.a(href=release_link)[release_id] if release_id else None),
        ("Deployed", (found["last_deploy"] or {}).get("activated_at")),
        ("Functions", ", ".join(entry["name"] for entry in live["functions"][:PAGE_SIZE]) or None),
        ("Mailboxes", ", ".join(found["mailbox"][:PAGE_SIZE]) or None),
        ("Stored", size(found["usage"]["storage_bytes"])),
        ("Schema", h.code[project.schema_slot]),
    ]
    keys = h.p(".dim")[
        "Its keys are not shown here: run402 credentials project-keys export --project ", project.project_id
    ]
    return _show(project, project.name, facts(pairs), keys)


async def tables(request: Request) -> Response:
    """Every table: how many rows, and what guards it."""
    project = await _project(request)
    found = await _schema(request, project)
    opened = await _exposed(request, project)
    number = page_number(request)
    start = (number - 1) * PAGE_SIZE
    rows = [
        (
            h.a(href=address("projects", project.project_id, "table", name=entry["name"]))[entry["name"]],
            len(entry["columns"]),
            "not counted yet" if entry["row_estimate"] is None else entry["row_estimate"],
            _policy(opened.get(entry["name"])),
            "on" if entry["rls_enabled"] else "off",
            len(entry["policies"]),
        )
        for entry in found[start : start + PAGE_SIZE]
    ]
    names = ("Table", "Columns", "Rows, about", "Open to users", "Row security", "Policies")
    return _show(
        project,
        "Tables",
        table(names, rows, empty="No table yet. A migration of a deploy makes one, or: run402 projects sql"),
        pager(number, len(found) > start + PAGE_SIZE, "projects", project.project_id, "tables"),
        section="tables",
    )


async def _schema(request: Request, project: Project) -> list[dict[str, Any]]:
    found = await inside.get(request, f"/projects/v1/admin/{project.project_id}/schema", project)
    return list(found["tables"])


async def _exposed(request: Request, project: Project) -> dict[str, dict[str, Any]]:
    found = await inside.get(request, f"/projects/v1/admin/{project.project_id}/expose", project)
    return {entry["name"]: entry for entry in found["manifest"].get("tables", ())}


def _policy(entry: Mapping[str, Any] | None) -> str:
    return str(entry.get("policy", "yes")) if entry and entry.get("expose") else "no"


async def table_rows(request: Request) -> Response:
    """?name=&page=: the rows of a table, its columns, constraints and policies. 404 for a table that is not there."""
    project = await _project(request)
    name = request.query_params.get("name", "")
    found = next((entry for entry in await _schema(request, project) if entry["name"] == name), None)
    if found is None:
        raise GatewayError(404, "table_not_found", f"{project.name} has no table {name!r}.")
    number = page_number(request)
    columns = [column["name"] for column in found["columns"]]
    offset = (number - 1) * PAGE_SIZE
    read = await sql_reading.rows_of(gateway_of(request), project, name, columns, limit=PAGE_SIZE, offset=offset)
    entry = (await _exposed(request, project)).get(name)
    security = "on" if found["rls_enabled"] else "off"
    return _show(
        project,
        name,
        h.p["Open to users: ", _policy(entry), ". Row security: ", security, "."],
        table(columns, read.rows, empty="No rows." if number == 1 else "No rows here."),
        pager(number, read.more, "projects", project.project_id, "table", name=name),
        h.h2["Policies"],
        table(
            ("Name", "For", "Sees", "May write"),
            [(p["name"], p["command"], p["using_expression"], p["check_expression"]) for p in found["policies"]],
            empty="No policies.",
        ),
        h.h2["Columns"],
        table(
            ("Name", "Type", "May be null", "Default"),
            [(c["name"], c["type"], c["nullable"], c["default_value"]) for c in found["columns"]],
            empty="No columns.",
        ),
        h.h2["Constraints"],
        table(
            ("Name", "Kind", "Definition"),
            [(c["name"], c["type"], c["definition"]) for c in found["constraints"]],
            empty="No constraints.",
        ),
        section="tables",
    )


async def sql(request: Request) -> Response:
    """?query=: one statement that reads, in a READ ONLY transaction. Runs only what was sent by the form of this page."""
    project = await _project(request)
    text = request.query_params.get("query", "")
    ours = hmac.compare_digest(request.query_params.get("token", "").encode(), _FORM_TOKEN.encode())
    result: h.Node = None
    if text.strip() and not ours:
        result = h.p["Look at the statement, then press Run."]
    elif text.strip():
        result = await _answer(request, project, text)
    form = h.form(action=address("projects", project.project_id, "sql"), method="get")[
        h.input(type="hidden", name="token", value=_FORM_TOKEN),
        h.textarea(name="query", aria_label="SQL", spellcheck="false", autocapitalize="off")["\n", text],
        h.button(type="submit")["Run"],
    ]
    told = f"One statement that reads; at most {SQL_ROWS} rows, {sql_reading.SECONDS} seconds. Nothing can be changed here."
    return _show(project, "SQL", h.p(".dim")[told], form, result, section="sql")


async def _answer(request: Request, project: Project, text: str) -> h.Node:
    try:
        read = await sql_reading.read(gateway_of(request), project, text, limit=SQL_ROWS)
    except GatewayError as exc:
        if exc.status >= 500:
            raise
        excerpt = exc.fields.get("excerpt")
        return h.div[h.p(".bad")[exc.message], h.pre[excerpt] if excerpt else None]
    more = h.p(".dim")[f"The first {SQL_ROWS} rows. There are more."] if read.more else None
    return h.div[table(read.names, read.rows, empty="No rows."), more]


async def users(request: Request) -> Response:
    """The users of the application, newest first. Nothing that opens an account."""
    project = await _project(request)
    number = page_number(request)
    async with gateway_of(request).connection() as conn:
        found = await accounts.newest(conn, project.project_id, limit=PAGE_SIZE + 1, offset=(number - 1) * PAGE_SIZE)
    rows = [
        (
            user.email,
            "admin" if user.role == accounts.ADMIN else "user",
            user.email_verified_at is not None,
            iso(user.last_sign_in_at),
            iso(user.created_at),
            h.code[user.user_id],
        )
        for user in found[:PAGE_SIZE]
    ]
    return _show(
        project,
        "Users",
        table(("E-mail", "Role", "Verified", "Last sign-in", "Made", "Id"), rows, empty="Nobody has signed up yet."),
        pager(number, len(found) > PAGE_SIZE, "projects", project.project_id, "users"),
        section="users",
    )


async def functions(request: Request) -> Response:
    """The functions of the active release, the names of the secrets, and the errors of the last day."""
    project = await _project(request)
    found = (await inside.get(request, f"/projects/v1/admin/{project.project_id}/functions", project))["functions"]
    number = page_number(request)
    start = (number - 1) * PAGE_SIZE
    rows = [
        (
            h.a(href=address("projects", project.project_id, "functions", entry["name"]))[entry["name"]],
            entry["schedule"],
            ", ".join(trigger["type"] for trigger in entry["triggers"]) or None,
            (entry["require_role"] and "a role") or ("signed-in users" if entry["require_auth"] else "everybody"),
            entry["updated_at"],
        )
        for entry in found[start : start + PAGE_SIZE]
    ]
    names = (await inside.get(request, f"/projects/v1/admin/{project.project_id}/secrets", project))["secrets"]
    return _show(
        project,
        "Functions",
        table(("Name", "Schedule", "Triggers", "May be called by", "Changed"), rows, empty="No function is deployed."),
        pager(number, len(found) > start + PAGE_SIZE, "projects", project.project_id, "functions"),
        h.h2["Errors of the last 24 hours"],
        await _errors(request, project, None),
        h.h2["Secrets"],
        h.p(".dim")["Their names only."] if names else None,
        table(
            ("Name", "For", "Set"),
            [(row["name"], row["function_name"] or "all functions", row["updated_at"]) for row in names[:200]],
            empty="No secrets.",
        ),
        section="functions",
    )


async def function(request: Request) -> Response:
    """One function: its last errors and log lines. 404 for one that the active release does not have."""
    project = await _project(request)
    name = request.path_params["name"]
    found = (await inside.get(request, f"/projects/v1/admin/{project.project_id}/functions", project))["functions"]
    entry = next((each for each in found if each["name"] == name), None)
    if entry is None:
        raise GatewayError(404, "function_not_found", f"The active release of {project.name} has no function {name!r}.")
    path = f"/projects/v1/admin/{project.project_id}/functions/{name}/logs"
    lines = (await inside.get(request, path, project, tail=LOG_LINES))["logs"]
    pairs = [
        ("Address", h.code[entry["url"]]),
        ("Runtime", entry["runtime"]),
        ("Timeout", f"{entry['timeout']} s"),
        ("Memory", f"{entry['memory']} MB"),
        ("Schedule", entry["schedule"]),
        ("Packages", ", ".join(entry["deps"]) or None),
        ("Changed", entry["updated_at"]),
    ]
    rows = [
        (line["timestamp"], line["stream"], line["message"], h.code[line["request_id"]]) for line in reversed(lines)
    ]
    return _show(
        project,
        name,
        facts(pairs),
        h.h2["Errors of the last 24 hours"],
        await _errors(request, project, name),
        h.h2["Log, newest first"],
        table(("When", "From", "Message", "Request"), rows, empty="Nothing was logged in the last 24 hours."),
        section="functions",
    )


async def _errors(request: Request, project: Project, name: str | None) -> h.Node:
    found = await inside.get(
        request, f"/projects/v1/{project.project_id}/errors", project, function=name, limit=PAGE_SIZE
    )
    rows = [
        (e["last_seen"], e["function"], h.span(".bad")[e["error_name"]], e["message_template"], e["count"])
        for e in found["errors"]
    ]
    return table(("Last seen", "Function", "Error", "Message", "Times"), rows, empty="None.")


async def releases_list(request: Request) -> Response:
    """The releases, newest first, each with what it changed."""
    project = await _project(request)
    number = page_number(request)
    async with gateway_of(request).connection() as conn:
        found = await releases.newest(conn, project.project_id, limit=RELEASES + 1, offset=(number - 1) * RELEASES)
    rows = []
    for row in found[:RELEASES]:
        link = h.a(href=address("projects", project.project_id, "releases", row["release_id"]))[row["release_id"]]
        changed = await _diff(request, project, row["parent_id"], row["release_id"], 1)
        active = row["release_id"] == project.active_release_id
        rows.append(
            (row["generation"], link, "active" if active else None, iso(row["activated_at"]), changed["summary"])
        )
    return _show(
        project,
        "Releases",
        table(("No.", "Release", "", "Activated", "What changed"), rows, empty="Nothing was deployed yet: run402 up"),
        pager(number, len(found) > RELEASES, "projects", project.project_id, "releases"),
        section="releases",
    )


async def _diff(request: Request, project: Project, before: str | None, after: str, limit: int) -> dict[str, Any]:
    asked: dict[str, str | int] = {"from": before or "empty", "to": after, "limit": limit}
    try:
        return dict(await inside.get(request, "/apply/v1/releases/diff", project, **asked))
    except GatewayError as exc:
        if exc.error != "release_not_found" or before is None:
            raise
        # The release before it is gone: all of it is new.
        return await _diff(request, project, None, after, limit)


async def release(request: Request) -> Response:
    """One release: what it changed, and what it is made of. 404 release_not_found."""
    project = await _project(request)
    release_id = request.path_params["release_id"]
    found = await inside.get(request, f"/apply/v1/releases/{release_id}", project, site_limit=DIFF_ENTRIES)
    parent = found["parent_id"]
    changed = await _diff(request, project, parent, release_id, DIFF_ENTRIES)
    pairs = [
        ("State", found["status"]),
        ("Made", found["created_at"]),
        ("Activated", found["activated_at"]),
        ("Superseded", found["superseded_at"]),
        (
            "Before it",
            h.a(href=address("projects", project.project_id, "releases", parent))[parent] if parent else None,
        ),
        ("What changed", changed["summary"]),
    ]
    files = [(entry["public_path"], entry["content_type"]) for entry in found["static_public_paths"]]
    return _show(
        project,
        release_id,
        facts(pairs),
        h.h2["What changed"],
        table(("", "What", "Which"), _changes(changed)[:500], empty="Nothing."),
        h.h2["Files"],
        table(("Address", "Type"), files, empty="No files."),
        h.h2["Functions, routes, names"],
        facts(
            [
                ("Functions", ", ".join(entry["name"] for entry in found["functions"]) or None),
                ("Routes", ", ".join(entry["pattern"] for entry in found["routes"]["entries"]) or None),
                ("Subdomains", ", ".join(found["subdomains"]["names"]) or None),
                ("Secrets", ", ".join(found["secrets"]["keys"]) or None),
                ("Migrations", ", ".join(entry["migration_id"] for entry in found["migrations_applied"]) or None),
            ]
        ),
        section="releases",
    )


def _changes(changed: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(added | changed | removed, section, name) of a release_diff."""
    rows = [("added", "migration", name) for name in changed["migrations"]["applied_between_releases"]]
    for section, bucket in changed.items():
        if not isinstance(bucket, Mapping):
            continue
        for kind in ("added", "changed", "removed"):
            entries = bucket.get(kind)
            rows += [(kind, section, _name(entry)) for entry in entries] if isinstance(entries, list) else []
    return rows


def _name(entry: Any) -> str:
    if isinstance(entry, Mapping):
        named = next((entry[key] for key in ("path", "name", "key", "pattern") if key in entry), None)
        return str(named) if named is not None else json.dumps(entry, ensure_ascii=False)
    return str(entry)


async def assets(request: Request) -> Response:
    """Stored files, newest first."""
    project = await _project(request)
    cursor = request.query_params.get("cursor") or None
    found = await inside.get(
        request, "/storage/v1/blobs", project, limit=PAGE_SIZE, cursor=cursor, sort="createdAt:desc"
    )
    rows = [
        (
            h.a(href=row["url"], rel="noreferrer")[row["key"]] if row["url"] else row["key"],
            h.span[size(row["size_bytes"])],
            row["content_type"],
            row["visibility"],
            row["updated_at"],
        )
        for row in found["blobs"]
    ]
    return _show(
        project,
        "Assets",
        table(("Key", "Size", "Type", "Seen by", "Changed"), rows, empty="No file is stored: run402 assets put"),
        forward(found["next_cursor"], cursor is not None, "cursor", "projects", project.project_id, "assets"),
        section="assets",
    )


async def mail(request: Request) -> Response:
    """Mail that the project sent and received, newest first."""
    project = await _project(request)
    after = request.query_params.get("after") or None
    async with gateway_of(request).connection() as conn:
        found = await messages_page(conn, request, "project_id", project.project_id, None)
    rows = [
        (
            row["created_at"],
            "received" if row["direction"] == "inbound" else "sent",
            row["from_address"],
            row["to"],
            h.a(href=f"{MAIL}/{row['id']}")[row["subject"] or "(no subject)"],
        )
        for row in found["messages"]
    ]
    return _show(
        project,
        "Mail",
        h.p(".dim")["Nothing here left this machine."],
        table(("When", "", "From", "To", "Subject"), rows, empty="No mail yet."),
        forward(found["next_cursor"], after is not None, "after", "projects", project.project_id, "mail"),
        section="mail",
    )


async def events_list(request: Request) -> Response:
    """What happened, newest first."""
    project = await _project(request)
    number = page_number(request)
    async with gateway_of(request).connection() as conn:
        found = await events.newest(conn, project.project_id, limit=PAGE_SIZE + 1, offset=(number - 1) * PAGE_SIZE)
    rows = [
        (row["occurred_at"], row["event_type"], row["source"], json.dumps(row["payload"], ensure_ascii=False))
        for row in found[:PAGE_SIZE]
    ]
    return _show(
        project,
        "Events",
        table(("When", "What", "From", "Facts"), rows, empty="Nothing has happened yet."),
        pager(number, len(found) > PAGE_SIZE, "projects", project.project_id, "events"),
        section="events",
    )


def size(count: float) -> str:
    """Bytes for a person: 512 B, 1.5 KiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            break
        count /= 1024
    return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
