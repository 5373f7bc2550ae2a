"""Scoped, revocable tokens for agents. A delegate narrows a grant. See docs/organizations.md."""

from __future__ import annotations

from typing import Any

from run402_cli.client import Client, segment

AGENT_KEY = "run402_agent_key"

Json = Any


def _path(project_id: str, *tail: str) -> str:
    return "/".join(["/projects/v1", segment(project_id), "delegates", *map(segment, tail)])


def default_scope(project_id: str, capability: str) -> dict[str, Json]:
    """The narrowest scope of a delegate: one capability, on one project. See docs/organizations.md."""
    return {"v": 1, "capabilities": [capability], "projects": [project_id]}


def create(
    client: Client,
    project_id: str,
    grant_id: str,
    *,
    scope: Json = None,
    kind: str = AGENT_KEY,
    expires_at: str | None = None,
) -> Json:
    """POST /projects/v1/{id}/delegates {grant_id, kind, scope, expires_at?} -> {status, delegate_id, token?, expires_at}.

    `token` is shown once, for kind run402_agent_key; it is used as RUN402_DELEGATE_TOKEN and written nowhere.
    Without a scope the delegate may deploy this project.
    """
    body: dict[str, Json] = {"grant_id": grant_id, "kind": kind, "scope": scope or default_scope(project_id, "deploy")}
    if expires_at is not None:
        body["expires_at"] = expires_at
    auth = client.principal()
    return client.request(
        "POST", _path(project_id), context="creating the delegate", auth=auth, body=body, reveals=True
    )


def list_delegates(client: Client, project_id: str) -> Json:
    """GET /projects/v1/{id}/delegates -> {delegates: [{id, kind, scope, expires_at, revoked_at, ...}]}; no tokens."""
    return client.request("GET", _path(project_id), context="listing delegates", auth=client.principal())


def revoke(client: Client, project_id: str, delegate_id: str) -> Json:
    """DELETE /projects/v1/{id}/delegates/{delegate} -> {status, delegate_id}. Effective at once."""
    path = _path(project_id, delegate_id)
    return client.request("DELETE", path, context="revoking the delegate", auth=client.principal())


def rotate(client: Client, project_id: str, delegate_id: str) -> Json:
    """POST /projects/v1/{id}/delegates/{delegate}/rotate -> as `create`: the old token stops, the new one is shown once."""
    path = _path(project_id, delegate_id, "rotate")
    return client.request("POST", path, context="rotating the delegate", auth=client.principal(), reveals=True)
