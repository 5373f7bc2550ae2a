"""What a project holds: tables, users, assets, mail, events. Each page asks the gateway (inside.py)."""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Mapping
from typing import Any

import htpy as h
from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.console import inside
from run402_cli.core.console.project import project_of, show, size
from run402_cli.core.console.views import PAGE_SIZE, address, forward, page_number, pager
from run402_cli.core.diagnostics import events
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import gateway_of
from run402_cli.core.mail.paging import messages_page
from run402_cli.core.projects.rows import Project
from run402_cli.core.sql import reading as sql_reading
from run402_cli.core.users import user_rows
from run402_cli.core.web.instants import iso
from run402_cli.core.web.pages import mail as mail_root
from run402_cli.core.web.pages import table

SQL_ROWS = 200
# Only a form of ours carries it, so that an address that somebody else made up fills the form in but runs nothing.
_FORM_TOKEN = secrets.token_urlsafe(16)


async def tables(request: Request) -> Response:
    """Every table: how many rows, and what guards it."""
    project = await project_of(request)
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
    return show(
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
    project = await project_of(request)
    name = request.query_params.get("name", "")
    found = next((entry for entry in await _schema(request, project) if entry["name"] == name), None)
    if found is None:
        raise GatewayError(404, "table_not_found", f"{project.name} has no table {name!r}.", code=None)
    number = page_number(request)
    columns = [column["name"] for column in found["columns"]]
    offset = (number - 1) * PAGE_SIZE
    read = await sql_reading.rows_of(gateway_of(request), project, name, columns, limit=PAGE_SIZE, offset=offset)
    entry = (await _exposed(request, project)).get(name)
    security = "on" if found["rls_enabled"] else "off"
    return show(
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
    project = await project_of(request)
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
    return show(project, "SQL", h.p(".dim")[told], form, result, section="sql")


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
    project = await project_of(request)
    number = page_number(request)
    async with gateway_of(request).connection() as conn:
        found = await user_rows.newest(conn, project.project_id, limit=PAGE_SIZE + 1, offset=(number - 1) * PAGE_SIZE)
    rows = [
        (
            user.email,
            "admin" if user.acting_role == user_rows.ADMIN else "user",
            user.email_verified_at is not None,
            iso(user.last_sign_in_at),
            iso(user.created_at),
            h.code[user.user_id],
        )
        for user in found[:PAGE_SIZE]
    ]
    return show(
        project,
        "Users",
        table(("E-mail", "Role", "Verified", "Last sign-in", "Made", "Id"), rows, empty="Nobody has signed up yet."),
        pager(number, len(found) > PAGE_SIZE, "projects", project.project_id, "users"),
        section="users",
    )


async def assets(request: Request) -> Response:
    """Stored files, newest first."""
    project = await project_of(request)
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
    return show(
        project,
        "Assets",
        table(("Key", "Size", "Type", "Seen by", "Changed"), rows, empty="No file is stored: run402 assets put"),
        forward(found["next_cursor"], cursor is not None, "cursor", "projects", project.project_id, "assets"),
        section="assets",
    )


async def mail(request: Request) -> Response:
    """Mail that the project sent and received, newest first."""
    project = await project_of(request)
    after = request.query_params.get("after") or None
    async with gateway_of(request).connection() as conn:
        found = await messages_page(conn, request, "project_id", project.project_id, None)
    rows = [
        (
            row["created_at"],
            "received" if row["direction"] == "inbound" else "sent",
            row["from_address"],
            row["to"],
            h.a(href=f"{mail_root()}/{row['id']}")[row["subject"] or "(no subject)"],
        )
        for row in found["messages"]
    ]
    return show(
        project,
        "Mail",
        h.p(".dim")["Nothing here left this machine."],
        table(("When", "", "From", "To", "Subject"), rows, empty="No mail yet."),
        forward(found["next_cursor"], after is not None, "after", "projects", project.project_id, "mail"),
        section="mail",
    )


async def events_list(request: Request) -> Response:
    """What happened, newest first."""
    project = await project_of(request)
    number = page_number(request)
    async with gateway_of(request).connection() as conn:
        found = await events.newest(conn, project.project_id, limit=PAGE_SIZE + 1, offset=(number - 1) * PAGE_SIZE)
    rows = [
        (row["occurred_at"], row["event_type"], row["source"], json.dumps(row["payload"], ensure_ascii=False))
        for row in found[:PAGE_SIZE]
    ]
    return show(
        project,
        "Events",
        table(("When", "What", "From", "Facts"), rows, empty="Nothing has happened yet."),
        pager(number, len(found) > PAGE_SIZE, "projects", project.project_id, "events"),
        section="events",
    )
