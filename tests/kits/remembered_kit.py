"""Requests to a project whose tables are open, for tests of what the gateway remembers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx

OPEN = {"policy": "public_read_write_UNRESTRICTED", "i_understand_this_is_unrestricted": True}


def expose(
    client: httpx.Client, project: dict[str, Any], *tables: str, rpcs: list[dict[str, Any]] | None = None
) -> None:
    manifest = {
        "version": "1",
        "tables": [{"name": name, "expose": True, **OPEN} for name in tables],
        "rpcs": rpcs or [],
    }
    url = f"/projects/v1/admin/{project['project_id']}/expose"
    assert client.post(url, json=manifest, headers=service(project)).status_code == 200


def service(project: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {project['service_key']}"}


def read(client: httpx.Client, key: str, table: str = "items", query: str = "") -> httpx.Response:
    return client.get(f"/rest/v1/{table}?{query}", headers={"apikey": key})


def soon(true: Callable[[], bool]) -> bool:
    """What somebody else has done is noticed without being told."""
    for _ in range(100):
        if true():
            return True
        time.sleep(0.02)
    return False
