"""What the storage tests share: objects by way of an upload session, and specs with assets."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import httpx


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def asset(key: str, data: bytes, **fields: Any) -> dict[str, Any]:
    """A put entry."""
    return {"key": key, "sha256": sha256(data), "size_bytes": len(data), "content_type": "text/plain", **fields}


@dataclass(frozen=True)
class Storage:
    """Requests on one project's storage with its service key."""

    client: httpx.Client
    project: dict[str, Any]

    @property
    def path(self) -> str:
        return f"/projects/v1/{self.project['project_id']}/storage"

    @property
    def key(self) -> dict[str, str]:
        return {"apikey": self.project["service_key"]}

    def session(self, key: str, data: bytes, **fields: Any) -> httpx.Response:
        body = {"key": key, "size_bytes": len(data), "sha256": sha256(data), "content_type": "text/plain", **fields}
        return self.client.post(f"{self.path}/uploads", json=body, headers=self.key)

    def send(self, upload_id: str, data: bytes) -> httpx.Response:
        return self.client.put(f"{self.path}/uploads/{upload_id}/bytes", content=data, headers=self.key)

    def finish(self, upload_id: str) -> httpx.Response:
        return self.client.post(f"{self.path}/uploads/{upload_id}/complete", headers=self.key)

    def put(self, key: str, data: bytes, **fields: Any) -> dict[str, Any]:
        """Declare, send, complete; the object."""
        declared = self.session(key, data, **fields)
        assert declared.status_code == 201, declared.text
        upload_id = declared.json()["upload_id"]
        assert self.send(upload_id, data).status_code == 200
        done = self.finish(upload_id)
        assert done.status_code == 200, done.text
        result: dict[str, Any] = done.json()
        return result

    def get(self, path: str, **headers: str) -> httpx.Response:
        """A storage read without a credential."""
        return self.client.get(f"{self.path}/{path}", headers=headers)

    def owned(self, method: str, path: str, **options: Any) -> httpx.Response:
        """A request with the service key."""
        return self.client.request(method, path, headers=self.key, **options)

    def keys(self, **query: str) -> list[str]:
        answer = self.owned("GET", "/storage/v1/blobs", params=query)
        assert answer.status_code == 200, answer.text
        return [blob["key"] for blob in answer.json()["blobs"]]

    def spec(self, *, core: bool = False, **assets: Any) -> dict[str, Any]:
        return {"project" if core else "project_id": self.project["project_id"], "assets": assets}
