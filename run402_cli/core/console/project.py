"""The first page of a project, and what all pages of one share. Each asks the gateway (inside.py)."""

from __future__ import annotations

import htpy as h
from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.callers.auth import project_by_id
from run402_cli.core.console import inside
from run402_cli.core.console.views import PAGE_SIZE, address
from run402_cli.core.gateway import gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.releases import rows as releases
from run402_cli.core.web.pages import facts, page

_SECTIONS = ("tables", "sql", "users", "functions", "releases", "assets", "mail", "events")


async def project_of(request: Request) -> Project:
    async with gateway_of(request).connection() as conn:
        return await project_by_id(conn, request.path_params["project_id"])


def show(project: Project, title: str, *content: h.Node, section: str = "") -> Response:
    here = address("projects", project.project_id, *([section] if section else []))
    nav = [("Overview", address("projects", project.project_id))]
    for name in _SECTIONS:
        text = "SQL" if name == "sql" else name.capitalize()
        nav.append((text, address("projects", project.project_id, name)))
    kept = h.p(".dim")[project.name, " · ", h.code[project.project_id]] if title != project.name else None
    return page(title, kept, *content, nav=nav, here=here)


async def overview(request: Request) -> Response:
    """What the project is, and where it answers. Its keys are not shown."""
    project = await project_of(request)
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
    return show(project, project.name, facts(pairs), keys)


def size(count: float) -> str:
    """Bytes for a person: 512 B, 1.5 KiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            break
        count /= 1024
    return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
