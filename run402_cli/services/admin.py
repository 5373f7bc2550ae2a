"""Operations of platform admins: the caller's own credential plus X-Admin-Mode. See docs/organizations.md.

Other callers get ApiError 403 admin_required.
"""

from __future__ import annotations

from typing import Any

from run402_cli.client import Client, credentials, segment

Json = Any


def set_lease_perpetual(client: Client, org_id: str, *, enabled: bool) -> Json:
    """POST /orgs/v1/admin/{org}/lease-perpetual {lease_perpetual} -> {status, org_id, lease_perpetual, reactivated}."""
    path = f"/orgs/v1/admin/{segment(org_id)}/lease-perpetual"
    return _post(client, path, "changing the lease", {"lease_perpetual": enabled})


def archive(client: Client, project_id: str, *, reason: str | None = None) -> Json:
    """POST /projects/v1/admin/{id}/archive {reason?} -> {status, project_id, archived_at?, reason?, note?}."""
    path = f"/projects/v1/admin/{segment(project_id)}/archive"
    return _post(client, path, "archiving the project", {} if reason is None else {"reason": reason})


def reactivate(client: Client, project_id: str) -> Json:
    """POST /projects/v1/admin/{id}/reactivate -> {status, project_id, reactivated?, note?}."""
    return _post(client, f"/projects/v1/admin/{segment(project_id)}/reactivate", "reactivating the project", None)


def _post(client: Client, path: str, context: str, body: Json) -> Json:
    return client.request("POST", path, context=context, auth=credentials.AdminMode(client.principal()), body=body)
