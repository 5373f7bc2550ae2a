"""SQL in a project, snapshots and branches, for the tests of copies."""

from __future__ import annotations

from typing import Any

import httpx
import psycopg
from database_kit import owner_of

EXPOSE = {"version": "1", "tables": [{"name": "t", "expose": True, "policy": "public_read_authenticated_write"}]}
PAGE = b"<h1>one</h1>"


def sql(client: httpx.Client, project: dict[str, Any], text: str) -> list[dict[str, Any]]:
    answer = client.post(
        f"/projects/v1/admin/{project['project_id']}/sql",
        content=text,
        headers={"Authorization": f"Bearer {project['service_key']}"},
    )
    assert answer.status_code == 200, answer.text
    return list(answer.json()["rows"])


def restore(client: httpx.Client, path: str, snapshot_id: str) -> dict[str, Any]:
    planned = client.post(f"{path}/snapshots/{snapshot_id}/restore", json={}).json()["restore_plan"]
    done = client.post(f"{path}/snapshots/{snapshot_id}/restore", json={"confirm": planned["confirm"]["token"]})
    assert done.status_code == 200, done.text
    return dict(done.json())


def schemas(url: str, kind: str) -> list[str]:
    with psycopg.connect(url) as conn:
        rows = conn.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE %s ORDER BY 1", (f"{kind}\\_%",))
        return [row[0] for row in rows]


def branch(client: httpx.Client, parent: dict[str, Any], **body: Any) -> dict[str, Any]:
    answer = client.post(f"/projects/v1/{parent['project_id']}/branches", json=body)
    assert answer.status_code == 201, answer.text
    made = dict(answer.json())
    return {**made, "project_id": made["branch_project_id"]}


def in_schema(url: str, slot: str, query: str) -> list[tuple[Any, ...]]:
    path = f"-c search_path={slot},auth,extensions"
    with psycopg.connect(owner_of(url, slot), autocommit=True, options=path) as conn:
        cursor = conn.execute(query.encode())
        return cursor.fetchall() if cursor.description else []
