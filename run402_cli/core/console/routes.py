"""Every page of the console, and the way in. Which address shows what is in PAGES."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from run402_cli.core.callers.person import place
from run402_cli.core.callers.policies import PERSON, PERSON_AT_PROJECT, TICKET_HOLDER
from run402_cli.core.console import data, deployed, project, views
from run402_cli.core.errors import GatewayError, bad_field
from run402_cli.core.gateway import gateway_of
from run402_cli.core.tickets import TICKET_SECONDS
from run402_cli.core.web.http import read_object, reply
from run402_cli.core.web.pages import HEADERS
from run402_cli.core.web.routing import HOLDER, Policy, Route, admitted
from run402_cli.local_gateway import CONSOLE

View = Callable[[Request], Awaitable[Response]]

_PROJECT = "projects/{project_id}"
_PAGE = re.compile(r"(?:[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+){0,4})?")
PAGES: dict[str, View] = {
    "": views.projects,
    "payments": views.payments,
    _PROJECT: project.overview,
    f"{_PROJECT}/tables": data.tables,
    f"{_PROJECT}/table": data.table_rows,
    f"{_PROJECT}/sql": data.sql,
    f"{_PROJECT}/users": data.users,
    f"{_PROJECT}/functions": deployed.functions,
    f"{_PROJECT}/functions/{{name}}": deployed.function,
    f"{_PROJECT}/releases": deployed.releases_list,
    f"{_PROJECT}/releases/{{release_id}}": deployed.release,
    f"{_PROJECT}/assets": data.assets,
    f"{_PROJECT}/mail": data.mail,
    f"{_PROJECT}/events": data.events_list,
    "{rest:path}": views.unknown,
}


def answered(view: View) -> View:
    """The view; what it cannot show becomes a page with ways on."""

    async def endpoint(request: Request) -> Response:
        try:
            return await view(request)
        except GatewayError as exc:
            return problem(exc)

    return endpoint


def problem(error: GatewayError) -> Response:
    """A page that says what went wrong."""
    # A project id that cannot be one is as little there as one that nobody has.
    status = 404 if error.error == "invalid_project_id" else error.status
    title = "Not found" if status == 404 else "This could not be shown"
    return views.said(title, error.message, status)


async def _to_root(request: Request) -> Response:
    return RedirectResponse(place.get(), 308)


async def issue(request: Request) -> Response:
    """POST /_run402/tickets {page?} (control token): {url, expires_in}. Opens the console, at `page` below it, once.

    `expires_in` seconds. 400 invalid_request. docs/local-gateway.md, "The console"
    """
    page = (await read_object(request)).get("page", "")
    if not isinstance(page, str) or not _PAGE.fullmatch(page):
        raise bad_field("page", "a page of the console, such as mail or projects/prj_1a2b3c4d5e6f7a8b")
    gateway = gateway_of(request)
    query = {"ticket": gateway.tickets.issue(), **({"page": page} if page else {})}
    url = f"{gateway.settings.public_url}{CONSOLE}enter?{urlencode(query)}"
    return reply({"url": url, "expires_in": TICKET_SECONDS}, 201)


async def enter(request: Request) -> Response:
    """GET /_run402/enter?ticket&page: 303 to the console, by an address that holds for twelve hours. 401 ticket_invalid."""
    page = request.query_params.get("page", "")
    address = f"{CONSOLE}~{admitted(request, str)}/{page if _PAGE.fullmatch(page) else ''}"
    return Response(status_code=303, headers={**HEADERS, "Location": address})


def _who(path: str) -> Policy:
    return PERSON_AT_PROJECT if path.startswith(_PROJECT) else PERSON


ROUTES = [
    Route(CONSOLE.rstrip("/"), _to_root, methods=["GET"], who=PERSON),
    Route(f"{CONSOLE}tickets", issue, methods=["POST"], who=HOLDER),
    Route(f"{CONSOLE}enter", enter, methods=["GET"], who=TICKET_HOLDER),
    *(Route(CONSOLE + path, answered(view), methods=["GET"], who=_who(path)) for path, view in PAGES.items()),
]
