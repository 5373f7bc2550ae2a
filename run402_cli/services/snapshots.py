"""Restore points of a project's database. With the caller's own credential. See docs/snapshots.md.

A snapshot: {snapshot_id, operation_id, project_id, kind, profile, status, manifest_sha256, size_bytes, live_release_id,
captured_at, expires_at, error, created_at, updated_at, next_actions}.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from run402_cli import advice
from run402_cli.client import Client, segment, with_query

if TYPE_CHECKING:
    from run402_cli.client.http import httpx

KINDS = ("manual", "pre_migration", "pre_restore", "scheduled")

Json = Any


def _auth(client: Client, project_id: str) -> httpx.Auth | None:
    return client.principal(capability="project.snapshots.manage", target={"project_id": project_id})


def _path(project_id: str, snapshot_id: str | None = None) -> str:
    path = f"/projects/v1/{segment(project_id)}/snapshots"
    return path if snapshot_id is None else f"{path}/{segment(snapshot_id)}"


def is_ready(answer: Json) -> bool:
    return isinstance(answer, dict) and answer.get("status") == "ready"


def create(client: Client, project_id: str) -> dict[str, Json]:
    """POST /projects/v1/{id}/snapshots {} -> {ok, snapshot}. Does not wait: `ok` says whether it is ready already."""
    auth = _auth(client, project_id)
    answer = client.request("POST", _path(project_id), context="creating the snapshot", auth=auth, body={})
    return {"ok": is_ready(answer), "snapshot": answer}


def list_snapshots(
    client: Client, project_id: str, *, limit: int | None = None, after: str | None = None, kind: str | None = None
) -> dict[str, Json]:
    """GET /projects/v1/{id}/snapshots[?limit=1..100&after&kind] -> {project_id, snapshots, has_more, next_cursor}."""
    path = with_query(_path(project_id), limit=limit, after=after, kind=kind)
    answer = client.request("GET", path, context="listing snapshots", auth=_auth(client, project_id))
    page = answer if isinstance(answer, dict) else {"snapshots": [], "has_more": False, "next_cursor": None}
    return {"project_id": project_id, **page}


def get(client: Client, project_id: str, snapshot_id: str) -> dict[str, Json]:
    """GET /projects/v1/{id}/snapshots/{snapshot} -> {snapshot}."""
    path = _path(project_id, snapshot_id)
    answer = client.request("GET", path, context="reading the snapshot", auth=_auth(client, project_id))
    return {"snapshot": answer}


def restore(
    client: Client, project_id: str, snapshot_id: str, *, confirm: str | None = None, include_auth: bool = False
) -> dict[str, Json]:
    """POST /projects/v1/{id}/snapshots/{snapshot}/restore {include?: ["auth"], confirm?}, in two steps.

    Without `confirm` nothing changes: {ok, project_id, snapshot_id, restore_plan, confirm_command}; the plan says what would
    be lost and holds the token. With that token as `confirm` the data is replaced: {ok, restore}.
    """
    body: dict[str, Json] = {"include": ["auth"]} if include_auth else {}
    if confirm is not None:
        body["confirm"] = confirm
    path = f"{_path(project_id, snapshot_id)}/restore"
    context = "planning the restore" if confirm is None else "restoring the snapshot"
    answer = client.request("POST", path, context=context, auth=_auth(client, project_id), body=body)
    if confirm is not None:
        return {"ok": is_ready(answer), "restore": answer}
    plan: dict[str, Json] = answer if isinstance(answer, dict) else {"restore_plan": None}
    result = {"ok": True, "project_id": project_id, "snapshot_id": snapshot_id, **plan}
    token = _token(plan)
    if token is not None:
        words = ("snapshots", "restore", project_id, snapshot_id, "--confirm")
        flags = " --include-auth" if include_auth else ""
        # The token stands in double quotes, as recorded; a JSON string that a shell would read otherwise gets single ones.
        quoted = json.dumps(token) if re.fullmatch(r"[\w.:/=+-]+", token) else advice.quoted(token)
        result["confirm_command"] = f"{advice.command(*words)} {quoted}{flags} --json"
    return result


def _token(plan: dict[str, Json]) -> str | None:
    value: Json = plan
    for key in ("restore_plan", "confirm", "token"):
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, str) else None


def delete(client: Client, project_id: str, snapshot_id: str) -> dict[str, Json]:
    """DELETE /projects/v1/{id}/snapshots/{snapshot}: {ok, project_id, snapshot_id, deleted}. There is no confirmation."""
    path = _path(project_id, snapshot_id)
    client.request("DELETE", path, context="deleting the snapshot", auth=_auth(client, project_id))
    return {"ok": True, "project_id": project_id, "snapshot_id": snapshot_id, "deleted": True}
