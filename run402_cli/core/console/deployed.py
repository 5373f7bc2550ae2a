"""What a project runs: functions and releases. Each page asks the gateway (inside.py)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import htpy as h
from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.console import inside
from run402_cli.core.console.project import project_of, show
from run402_cli.core.console.views import PAGE_SIZE, address, page_number, pager
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import gateway_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.releases import rows as releases
from run402_cli.core.web.instants import iso
from run402_cli.core.web.pages import facts, table

RELEASES = 10
LOG_LINES = 100
DIFF_ENTRIES = 100


async def functions(request: Request) -> Response:
    """The functions of the active release, the names of the secrets, and the errors of the last day."""
    project = await project_of(request)
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
    return show(
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
    project = await project_of(request)
    name = request.path_params["name"]
    found = (await inside.get(request, f"/projects/v1/admin/{project.project_id}/functions", project))["functions"]
    entry = next((each for each in found if each["name"] == name), None)
    if entry is None:
        raise GatewayError(
            404, "function_not_found", f"The active release of {project.name} has no function {name!r}.", code=None
        )
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
    return show(
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
    project = await project_of(request)
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
    return show(
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
    project = await project_of(request)
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
    return show(
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
