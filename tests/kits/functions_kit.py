"""What the function tests share: a project's functions, deployed and called over HTTP."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import deploy_kit
import httpx


@dataclass(frozen=True)
class Functions:
    """One project on one gateway."""

    client: httpx.Client
    project: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.project["project_id"])

    @property
    def service(self) -> dict[str, str]:
        return {"apikey": self.project["service_key"]}

    @property
    def anon(self) -> dict[str, str]:
        return {"apikey": self.project["anon_key"]}

    def spec(self, sources: dict[str, str], **extra: Any) -> dict[str, Any]:
        """A Cloud spec with these functions; `settings={name: {...}}` adds fields to one of them."""
        settings = extra.pop("settings", {})
        entries = {
            name: {"runtime": "node22", "source": deploy_kit.ref(source.encode()), **settings.get(name, {})}
            for name, source in sources.items()
        }
        return {"project_id": self.id, "functions": {"patch": {"set": entries}}, **extra}

    def plan(self, spec: dict[str, Any]) -> httpx.Response:
        return deploy_kit.plan(self.client, spec)

    def commit(self, sources: dict[str, str], **extra: Any) -> httpx.Response:
        """Plan and commit, whatever comes of it."""
        planned = self.plan(self.spec(sources, **extra))
        assert planned.status_code == 200, planned.text
        deploy_kit.stage(self.client, self.project, *(source.encode() for source in sources.values()))
        return deploy_kit.commit(self.client, planned.json())

    def deploy(self, sources: dict[str, str], **extra: Any) -> dict[str, Any]:
        done = self.commit(sources, **extra)
        assert done.status_code == 200, done.text
        return dict(done.json())

    def deploy_routed(self, source: str, pattern: str = "/api/*", **route: Any) -> None:
        """One function `api` behind one route."""
        routes = {"replace": [{"pattern": pattern, "target": {"type": "function", "name": "api"}, **route}]}
        self.deploy({"api": source}, routes=routes)

    def call(self, name: str, method: str = "POST", **options: Any) -> httpx.Response:
        headers = {**self.service, **options.pop("headers", {})}
        return self.client.request(method, f"/functions/v1/{name}", headers=headers, **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.route("GET", path, **options)

    def route(self, method: str, path: str, **options: Any) -> httpx.Response:
        """A request to the project's site."""
        return self.client.request(method, f"/projects/v1/{self.id}/static{path}", **options)

    def logs(self, name: str, **query: Any) -> list[dict[str, Any]]:
        url = f"/projects/v1/admin/{self.id}/functions/{name}/logs"
        answer = self.client.get(url, params=query, headers=self.service)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["logs"])

    def messages(self, name: str, **query: Any) -> str:
        return "".join(entry["message"] for entry in self.logs(name, **query))

    def set_secret(self, key: str, value: str) -> httpx.Response:
        url = f"/projects/v1/admin/{self.id}/secrets"
        return self.client.post(url, json={"key": key, "value": value}, headers=self.service)

    def create_run(self, name: str, key: str, **body: Any) -> httpx.Response:
        request = {"event_type": "test", "idempotency_key": key, **body}
        return self.client.post(f"/functions/v1/{name}/runs", json=request, headers=self.service)

    def run(self, run_id: str) -> dict[str, Any]:
        answer = self.client.get(f"/functions/v1/runs/{run_id}", headers=self.service)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def wait_for(self, run_id: str, *statuses: str, seconds: float = 15) -> dict[str, Any]:
        """The run, once it has one of these statuses."""
        deadline = time.monotonic() + seconds
        while True:
            run = self.run(run_id)
            if run["status"] in statuses:
                return run
            assert time.monotonic() < deadline, f"the run stays {run['status']}: {run}"
            time.sleep(0.05)

    def token(self, subject: str, **claims: Any) -> dict[str, str]:
        """The Authorization header of a signed-in user."""
        body = {"project_id": self.id, "sub": subject, **claims}
        return {"Authorization": self.client.post("/auth/v1/dev-tokens", json=body).json()["authorization"]}


def handler(body: str, arguments: str = "req") -> str:
    return f"export default async ({arguments}) => {{ {body} }};\n"


# A function finds the socket of its own worker and writes frames of its own; `call` is the id of the call, from the second
# one on.
FRAME = """
const own = () => process._getActiveHandles().find((handle) => handle.remotePort);
let call;
own()?.on("data", (data) => { call = /"call":"([^"]*)"/.exec(data)?.[1] ?? call; });
const frame = (head) => {
  const text = typeof head === "string" ? Buffer.from(head, "latin1") : Buffer.from(JSON.stringify(head));
  const lengths = Buffer.alloc(8);
  lengths.writeUInt32BE(text.length, 0);
  own().write(Buffer.concat([lengths, text]));
};
"""
