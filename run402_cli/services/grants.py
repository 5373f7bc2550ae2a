"""Single capabilities on a project for wallets that are no members. See docs/organizations.md."""

from __future__ import annotations

from typing import Any

from run402_cli.client import Client, segment

Json = Any


def create(
    client: Client,
    project_id: str,
    wallet: str,
    capability: str,
    *,
    limits: dict[str, Json] | None = None,
) -> Json:
    """POST /projects/v1/{id}/grants {wallet, capability, policy?, expires_at?} -> {status, grant_id, principal_id}.

    `limits` holds policy (any JSON value) and expires_at (ISO date-time), where wanted. Raises ApiError 403 NOT_AUTHORIZED.
    """
    path = f"/projects/v1/{segment(project_id)}/grants"
    body = {"wallet": wallet, "capability": capability, **(limits or {})}
    return client.request("POST", path, context="creating the grant", auth=client.principal(), body=body)


def revoke(client: Client, project_id: str, grant_id: str) -> Json:
    """DELETE /projects/v1/{id}/grants/{grant} -> {status, grant_id}."""
    path = f"/projects/v1/{segment(project_id)}/grants/{segment(grant_id)}"
    return client.request("DELETE", path, context="revoking the grant", auth=client.principal())
