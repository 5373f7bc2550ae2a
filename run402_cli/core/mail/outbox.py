"""The outbox: every mail of a project, sign-in mails included, as JSON and as a page to look at.

The page is for the person whose gateway this is. No script may read it: it is sandboxed, nothing of a mail runs or loads
there, and the guard lets only top-level navigation through. See docs/local-gateway-users.md, "Mail".
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

import htpy as h
from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.callers.policies import PERSON, SERVICE_KEY_OF_A_PROJECT
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import gateway_of
from run402_cli.core.mail import message_rows
from run402_cli.core.mail.letters import unescaped
from run402_cli.core.mail.paging import messages_page
from run402_cli.core.projects.rows import Project
from run402_cli.core.web.http import reply
from run402_cli.core.web.instants import iso
from run402_cli.core.web.pages import HEADERS, MAIL_HEADERS, clean, facts, mail, page, root, table
from run402_cli.core.web.routing import Route, admitted

SHOWN = 100
_HREF = re.compile(r"href\s*=\s*[\"'](https?://[^\"'\s<>]+)", re.IGNORECASE)
_CODE = re.compile(r"(?<![\w.-])\d{6}(?![\w-])")
_BARE = re.compile(r"https?://[^\s<>\"']+")


async def outbox(request: Request) -> Response:
    """GET /mailboxes/v1/outbox?limit&after (service key): `{messages, has_more, next_cursor}`, newest first.

    Everything that the project sent, also what no mailbox of it sent. docs/local-gateway-users.md
    """
    project = admitted(request, Project)
    await gateway_of(request).afterwards.settled()
    async with gateway_of(request).connection() as conn:
        return reply(await messages_page(conn, request, "project_id", project.project_id, "outbound"))


async def mail_page(request: Request) -> Response:
    """GET /_run402/mail[?to=ADDRESS&direction=outbound]: the newest mails of all projects, for a browser.

    With `Accept: application/json` `{messages: [{message_id, url, direction, from, to, subject, text, links, codes,
    project_id, project, created_at}]}`, for a program: what a person would click or type is taken out of the text.
    """
    gateway = gateway_of(request)
    to, direction = _asked(request, "to"), _asked(request, "direction")
    await gateway.afterwards.settled()
    async with gateway.connection() as conn:
        rows = await message_rows.of_all_projects(conn, to=to, direction=direction, limit=SHOWN)
    if "application/json" in request.headers.get("accept", ""):
        # A hundred mails of a MiB each, if somebody wants it so.
        told = await asyncio.to_thread(lambda: [_told(gateway.settings.public_url, row) for row in rows])
        return reply({"messages": told}, headers=HEADERS)
    names = ("When", "From", "To", "Subject", "Project")
    return page(
        "Local mail",
        h.p(".dim")["Nothing here left this machine."],
        table(names, [_line(row) for row in rows], empty="No mail yet."),
        here=mail(),
    )


def _asked(request: Request, name: str) -> str | None:
    return (request.query_params.get(name) or "").replace("\0", "") or None


def _told(base: str, row: dict[str, Any]) -> dict[str, Any]:
    """A mail for a program."""
    return {
        "message_id": row["message_id"],
        "url": f"{base}/_run402/mail/{row['message_id']}",
        "direction": row["direction"],
        "from": row["from_address"],
        "to": row["to_address"],
        "subject": row["subject"],
        "text": row["body_text"],
        "links": _links(row),
        "codes": list(dict.fromkeys(_CODE.findall(_BARE.sub(" ", row["body_text"] or "")))),
        "project_id": row["project_id"],
        "project": row["name"],
        "created_at": iso(row["created_at"]),
    }


def _line(row: dict[str, Any]) -> tuple[Any, ...]:
    mark = " (received)" if row["direction"] == "inbound" else ""
    subject = h.span[h.a(href=f"{mail()}/{row['message_id']}")[clean(row["subject"]) or "(no subject)"], mark]
    project = h.a(href=f"{root()}projects/{row['project_id']}")[clean(row["name"])]
    return iso(row["created_at"]), row["from_address"], row["to_address"], subject, project


async def message_page(request: Request) -> Response:
    """GET /_run402/mail/{message_id}: one mail, its links, its text, and its HTML in a frame where nothing runs."""
    async with gateway_of(request).connection() as conn:
        row = await message_rows.find(conn, request.path_params["message_id"])
    if row is None:
        raise GatewayError(
            404, "message_not_found", "There is no such mail. /_run402/mail lists what there is.", code=None
        )
    pairs = (
        *(("From", row["from_address"]), ("To", row["to_address"]), ("Date", iso(row["created_at"]))),
        ("Attachments", ", ".join(part["filename"] for part in row["attachments_meta"] or ()) or "none"),
    )
    found = [h.li[h.a(href=url, target="_blank", rel="noopener noreferrer")[url]] for url in _links(row)]
    return page(
        row["subject"] or "(no subject)",
        h.p[h.a(href=mail())["All mail"]],
        facts(pairs),
        [h.h2["Links"], h.ul[found]] if found else None,
        *(h.h2["Text"], h.pre[clean(row["body_text"])]),
        *(h.h2["HTML"], h.iframe(sandbox=True, srcdoc=row["body_html"])),
        headers=MAIL_HEADERS,
    )


def _links(row: dict[str, Any]) -> list[str]:
    found = [unescaped(url) for url in _HREF.findall(row["body_html"])] + _BARE.findall(row["body_text"])
    return list(dict.fromkeys(found))


ROUTES = [
    Route("/_run402/mail", mail_page, methods=["GET"], who=PERSON),
    Route("/_run402/mail/{message_id}", message_page, methods=["GET"], who=PERSON),
    Route("/mailboxes/v1/outbox", outbox, methods=["GET"], who=SERVICE_KEY_OF_A_PROJECT),
]
