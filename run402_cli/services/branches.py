"""Contained copies of a project, with their own data and keys. With the caller's own credential. See docs/snapshots.md.

A branch: {branch_project_id, parent_project_id, name, branch_url, subdomain, status, email_mode, enable_cron, data_from,
release, expires_at, created_at, next_actions}.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from run402_cli import advice
from run402_cli.client import Client, segment
from run402_cli.state.keys import saving

if TYPE_CHECKING:
    from run402_cli.client.http import httpx

EMAIL_MODES = ("sandbox", "off")

Json = Any


def _auth(client: Client, project_id: str) -> httpx.Auth | None:
    return client.principal(capability="project.branches.manage", target={"project_id": project_id})


def _path(project_id: str, branch_id: str | None = None, tail: str = "") -> str:
    path = f"/projects/v1/{segment(project_id)}/branches"
    return path if branch_id is None else f"{path}/{segment(branch_id)}{tail}"


def create(
    client: Client,
    project_id: str,
    *,
    from_snapshot: str | None = None,
    name: str | None = None,
    email_mode: str | None = None,
    enable_cron: bool = False,
    ttl_days: int | None = None,
) -> dict[str, Json]:
    """POST /projects/v1/{id}/branches {from_snapshot_id?, name?, email_mode?, enable_cron?, ttl_days? (1-30)}.

    Returns {ok, branch: branch with operation_id, materialization_id, anon_key, service_key}. The keys are cached under the
    branch's own project id; the active project stays. `email_mode`: sandbox or off.
    """
    client.profile.keys.ensure_writable()
    given = {"from_snapshot_id": from_snapshot, "name": name, "email_mode": email_mode, "ttl_days": ttl_days}
    body: dict[str, Json] = {key: value for key, value in given.items() if value is not None}
    if enable_cron:
        body["enable_cron"] = True
    auth = _auth(client, project_id)
    answer = client.request(
        "POST", _path(project_id), context="creating the branch", auth=auth, body=body, reveals=True
    )
    _remember(client, answer)
    return {"ok": True, "branch": answer}


def _remember(client: Client, answer: Json) -> None:
    branch_id = answer.get("branch_project_id") if isinstance(answer, dict) else None
    if not isinstance(branch_id, str) or not branch_id:
        return
    entry = {
        "anon_key": answer.get("anon_key") or "",
        "service_key": answer.get("service_key") or "",
        "site_url": answer.get("branch_url"),
    }
    hint = f"Solve that, then get a key: {advice.issue_key(branch_id)}"
    with saving(branch_id, f"Branch {branch_id} was created", hint=hint):
        client.profile.keys.upsert(branch_id, entry)


def list_branches(client: Client, project_id: str) -> dict[str, Json]:
    """GET /projects/v1/{id}/branches -> {project_id, branches: [branch]}."""
    answer = client.request("GET", _path(project_id), context="listing branches", auth=_auth(client, project_id))
    rows = answer.get("branches") if isinstance(answer, dict) else None
    return {"project_id": project_id, "branches": rows if isinstance(rows, list) else []}


def renew(client: Client, project_id: str, branch_id: str, *, ttl_days: int | None = None) -> dict[str, Json]:
    """POST /projects/v1/{id}/branches/{branch}/renew {ttl_days? (1-30)} -> {ok, branch}."""
    body = {} if ttl_days is None else {"ttl_days": ttl_days}
    path, auth = _path(project_id, branch_id, "/renew"), _auth(client, project_id)
    answer = client.request("POST", path, context="renewing the branch", auth=auth, body=body)
    return {"ok": True, "branch": answer}


def delete(client: Client, project_id: str, branch_id: str) -> dict[str, Json]:
    """DELETE /projects/v1/{id}/branches/{branch}: {ok, project_id, branch_project_id, deleted}. Cached keys stay."""
    path = _path(project_id, branch_id)
    client.request("DELETE", path, context="deleting the branch", auth=_auth(client, project_id))
    return {"ok": True, "project_id": project_id, "branch_project_id": branch_id, "deleted": True}
