"""Where a person sees the projects of a local gateway. See docs/local-gateway.md, "The console"."""

from __future__ import annotations

from run402_cli import advice
from run402_cli.client import Client, credentials, running_gateway, segment
from run402_cli.client.http import httpx
from run402_cli.errors import CommandError
from run402_cli.local_gateway import CONSOLE
from run402_cli.services.archive_import import destination, not_found

_TIMEOUT = httpx.Timeout(10.0)


def address(client: Client, project_id: str | None = None) -> str:
    """The address that opens the console in a browser once, or a project in it, fetched from the gateway.

    POST /_run402/tickets {page} -> {url, expires_in (seconds)}, with the control token and no other credential.
    Which gateway: RUN402_CORE_URL, the active target when it is a core gateway, the one that runs from this user's data
    directory. CommandError CORE_NOT_FOUND when none answers, CONSOLE_CLOSED when it is another user's, PROJECT_NOT_FOUND when
    it has no such project.
    """
    found = destination(client, None)
    if not running_gateway.answers(client.http, found.url, pid=found.pid):
        raise not_found(found.url, f"No local gateway answers at {found.url}. The Cloud has no such page.")
    page = f"projects/{segment(project_id)}" if project_id else ""
    if project_id and _status(client, "GET", found.url + CONSOLE + page)[0] == 404:
        raise CommandError(
            f"The gateway at {found.url} has no project {project_id}.",
            code="PROJECT_NOT_FOUND",
            hint=f"All of its projects: {advice.command('open')}",
            details={"project_id": project_id, "core_url": found.url},
            next_actions=[advice.action("run_command", "open")],
        )
    status, answer = _status(client, "POST", f"{found.url}{CONSOLE}tickets", {"page": page})
    if status == 404 or status == 405:  # an older gateway, which shows it to whoever is at this machine
        return found.url + CONSOLE + page
    url = answer.get("url") if isinstance(answer, dict) else None
    if status != 201 or not isinstance(url, str):
        raise CommandError(
            f"The gateway at {found.url} does not open its console to this user (HTTP {status}).",
            code="CONSOLE_CLOSED",
            hint="Run this as the user who started the gateway, with the same --data-dir or RUN402_CORE_DATA_DIR.",
            details={"core_url": found.url, "status": status},
            next_actions=[advice.action("run_command", "core", "status")],
        )
    return url


def _status(client: Client, method: str, url: str, body: dict[str, str] | None = None) -> tuple[int, object]:
    """(status, JSON) of an answer; (0, None) for none."""
    try:
        answer = client.http.request(method, url, json=body, timeout=_TIMEOUT, extensions={credentials.SIGNED_URI: url})
        return answer.status_code, answer.json()
    except httpx.HTTPError:
        return 0, None
    except (ValueError, RecursionError):
        return answer.status_code, None
