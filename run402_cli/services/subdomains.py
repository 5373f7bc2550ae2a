"""Subdomains of run402.com: claim, list, release. All with the project's service key. See docs/domains.md."""

from __future__ import annotations

from typing import Any

from run402_cli import advice
from run402_cli.client import Client, segment
from run402_cli.errors import CommandError
from run402_cli.services import apply

Json = Any


def claim(client: Client, project_id: str, name: str, *, deployment_id: str | None = None) -> Json:
    """POST /subdomains/v1 {name, deployment_id} -> {name, deployment_id, url, deployment_url, project_id, created_at, ...}.

    Without `deployment_id` a core gateway that is the saved target is asked for the live release; elsewhere the last
    deployment that this machine made is used. Names have 3-63 lowercase letters, digits and hyphens; the gateway checks.
    Raises CommandError PROJECT_CREDENTIAL_NOT_FOUND or NO_DEPLOYMENT before anything is claimed. See docs/domains.md.
    """
    auth = client.service_key(project_id)
    deployment = deployment_id or _deployment(client, project_id)
    if not deployment:
        raise _no_deployment(project_id, name)
    body = {"name": name, "deployment_id": deployment}
    return client.request("POST", "/subdomains/v1", context="claiming the subdomain", auth=auth, body=body)


def _deployment(client: Client, project_id: str) -> Json:
    """What a name shows when nobody says it; None where there is nothing."""
    if client.profile.target.is_saved_core:
        live = apply.release_active(client, project_id, site_limit=1)
        return live.get("release_id") if isinstance(live, dict) else None
    return client.profile.keys.require(project_id).get("last_deployment_id")


def _no_deployment(project_id: str, name: str) -> CommandError:
    project = ("--project", project_id)
    named = advice.command("subdomains", "claim", name, "--deployment", advice.Blank("release_id"), *project)
    active, deploy = ("deploy", "release", "active", *project), ("deploy", "apply", *project)
    return CommandError(
        f"No deployment of {project_id} is known on this machine.",
        code="NO_DEPLOYMENT",
        hint=f"Name the live release: {named}. "
        f"Its id: {advice.command(*active)}. Or deploy one: {advice.command(*deploy)}",
        details={"project_id": project_id},
        next_actions=[
            advice.action("run_command", *active, why="It shows the id of the live release."),
            advice.action("deploy", *deploy),
        ],
    )


def list_subdomains(client: Client, project_id: str) -> list[Json]:
    """GET /subdomains/v1 -> its `subdomains`, as a list.

    [{name, url, deployment_id, deployment_url, project_id, created_at, updated_at}].
    """
    auth = client.service_key(project_id)
    answer = client.request("GET", "/subdomains/v1", context="listing subdomains", auth=auth)
    rows = answer.get("subdomains") if isinstance(answer, dict) else answer
    return rows if isinstance(rows, list) else []


def delete(client: Client, project_id: str, name: str) -> dict[str, Json]:
    """DELETE /subdomains/v1/{name}: {name, project_id, released}. Anybody may claim the name afterwards."""
    path = f"/subdomains/v1/{segment(name)}"
    client.request("DELETE", path, context="releasing the subdomain", auth=client.service_key(project_id))
    return {"name": name, "project_id": project_id, "released": True}
