"""What the deploy tests share: specs in both dialects, and uploads as a client makes them."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import httpx


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def ref(data: bytes, content_type: str | None = None, *, core: bool = False) -> dict[str, Any]:
    entry: dict[str, Any] = {"sha256": sha256(data), "size": len(data)}
    if content_type:
        entry["contentType" if core else "content_type"] = content_type
    return entry


def site(files: dict[str, bytes], *, core: bool = False) -> dict[str, Any]:
    types = {"html": "text/html; charset=utf-8", "css": "text/css; charset=utf-8", "js": "text/javascript"}
    return {path: ref(data, types.get(path.rpartition(".")[2]), core=core) for path, data in files.items()}


def migration(name: str, sql: str, **extra: Any) -> dict[str, Any]:
    return {"id": name, "checksum": sha256(sql.encode()), "sql": sql, **extra}


def stage(client: httpx.Client, project: dict[str, Any], *contents: bytes) -> None:
    """The Core dialect's upload."""
    for data in contents:
        body = {"sha256": sha256(data), "size": len(data), "bytes_base64": base64.b64encode(data).decode()}
        response = client.post(f"/projects/v1/{project['project_id']}/content", json=body)
        assert response.status_code == 201, response.text


def batch(*contents: bytes) -> bytes:
    """The body that stores many small objects in one request."""
    return b"".join(f"{sha256(data)} {len(data)}\n".encode() + data for data in contents)


def upload(client: httpx.Client, project: dict[str, Any], *contents: bytes) -> dict[str, Any]:
    """The Cloud dialect's upload of what is missing; returns the content plan."""
    by_digest = {sha256(data): data for data in contents}
    wanted = [{"sha256": digest, "size": len(data)} for digest, data in by_digest.items()]
    plan: dict[str, Any] = client.post(
        "/content/v1/plans", json={"content": wanted}, headers={"apikey": project["anon_key"]}
    ).json()
    for session in plan["missing"]:
        data = by_digest[session["sha256"]]
        for part in session["parts"]:
            chunk = data[part["byte_start"] : part["byte_end"] + 1]
            checksum = base64.b64encode(hashlib.sha256(chunk).digest()).decode()
            answer = client.put(part["url"], content=chunk, headers={"x-amz-checksum-sha256": checksum})
            assert answer.status_code == 200, answer.text
            assert answer.headers["etag"]
    done = client.post(f"/content/v1/plans/{plan['plan_id']}/commit", json={}, headers={"apikey": project["anon_key"]})
    assert done.status_code == 200, done.text
    return plan


def plan(client: httpx.Client, spec: dict[str, Any], query: str = "", **body: Any) -> httpx.Response:
    return client.post(f"/apply/v1/plans{query}", json={"spec": spec, **body})


def commit(client: httpx.Client, planned: dict[str, Any], **body: Any) -> httpx.Response:
    return client.post(f"/apply/v1/plans/{planned['plan_id']}/commit", json=body)


def deploy(client: httpx.Client, spec: dict[str, Any], *contents: bytes) -> dict[str, Any]:
    """Plan, upload and commit; the commit's answer."""
    planned = plan(client, spec)
    assert planned.status_code in (200, 201), planned.text
    project = {"project_id": spec.get("project") or spec["project_id"]}
    stage(client, project, *contents)
    done = commit(client, planned.json())
    assert done.status_code == 200, done.text
    result: dict[str, Any] = done.json()
    return result
