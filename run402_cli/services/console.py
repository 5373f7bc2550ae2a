"""Where a person sees the projects of a local gateway. See docs/local-gateway.md, "The console"."""

from __future__ import annotations

from run402_cli import advice
from run402_cli.client import Client, running_gateway, segment
from run402_cli.client.http import httpx
from run402_cli.errors import CommandError
from run402_cli.local_gateway import CONSOLE
from run402_cli.services.archive_import import destination, not_found

_TIMEOUT = httpx.Timeout(10.0)


def address(client: Client, project_id: str | None = None) -> str:
    """The address of the console, or of a project in it, once the gateway there has answered. Sends no credentials.

    Which gateway: RUN402_CORE_URL, the active target when it is a core gateway, the one that runs from this user's data
    directory. CommandError CORE_NOT_FOUND when none answers, PROJECT_NOT_FOUND when it has no such project.
    """
    found = destination(client, None)
    if not running_gateway.answers(client.http, found.url, pid=found.pid):
        raise not_found(found.url, f"No local gateway answers at {found.url}. The Cloud has no such page.")
    url = found.url + CONSOLE + (f"projects/{segment(project_id)}" if project_id else "")
    if project_id and _is_missing(client, url):
        raise CommandError(
            f"The gateway at {found.url} has no project {project_id}.",
            code="PROJECT_NOT_FOUND",
            hint=f"All of its projects: {advice.command('open')}",
            details={"project_id": project_id, "core_url": found.url},
            next_actions=[advice.action("run_command", "open")],
        )
    return url


def _is_missing(client: Client, url: str) -> bool:
    try:
        return client.http.get(url, timeout=_TIMEOUT).status_code == 404
    except httpx.HTTPError:
        return False
