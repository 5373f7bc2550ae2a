"""Every page of the console, and the one gate before them. Which address shows what is in PAGES."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from run402_cli.core.callers.kinds import Kind
from run402_cli.core.callers.surfaces import LOOPBACK_HOST
from run402_cli.core.console import data, deployed, project, views
from run402_cli.core.errors import GatewayError
from run402_cli.core.web.pages import ROOT
from run402_cli.core.web.routing import Policy, Route
from run402_cli.proxies import is_loopback_address

View = Callable[[Request], Awaitable[Response]]

_PROJECT = "projects/{project_id}"
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


def gate(request: Request) -> None:
    """Who may look: a person at this machine, or a program on it. 403 origin_forbidden.

    Like the guard before every route (callers/guard.py), but no key opens it to a page; the peer is this machine, and a way
    here from elsewhere is a click, not a script's doing.
    A sandboxed page has no origin, so that the browser calls the console's own links cross-site too; nobody but the person
    can read the page (it is sandboxed, no script, no frame), and looking changes nothing.
    """
    headers = request.headers
    peer = request.client.host if request.client else ""
    if not is_loopback_address(peer):
        raise _refused(f"{peer or 'A caller without an address'} is not this machine.")
    if not LOOPBACK_HOST.fullmatch(headers.get("host", "")):
        raise _refused("The Host header is not a loopback name.")
    place = (headers.get("sec-fetch-mode", "navigate"), headers.get("sec-fetch-dest", "document"))
    if place != ("navigate", "document") or "origin" in headers:
        raise _refused("The console is for a person to look at, not for a page to read.")
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and headers.get("sec-fetch-user") != "?1":
        raise _refused("A page opened the console without a click.")


def _refused(reason: str) -> GatewayError:
    return GatewayError(
        403, "origin_forbidden", f"{reason} Type the address into the browser of this machine, or run `run402 open`."
    )


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
    return RedirectResponse(ROOT, 308)


PERSON = Policy(
    "person at this machine",
    "is a person at this machine, or a program on it; no page reads it.",
    frozenset({Kind.PERSON}),
    alone=gate,
)

ROUTES = [
    Route(ROOT.rstrip("/"), _to_root, methods=["GET"], who=PERSON),
    *(Route(ROOT + path, answered(view), methods=["GET"], who=PERSON) for path, view in PAGES.items()),
]
