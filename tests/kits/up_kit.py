"""A workspace with a manifest, a saved wallet state, and a gateway answered by pytest-httpx, for the tests of `up`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from pytest_httpx import HTTPXMock

from run402_cli.main import _guarded

BASE = "http://127.0.0.1:4999"
KEYS = {"anon_key": "anon_test", "service_key": "service_test"}
SITE = f"{BASE}/projects/v1/prj_1/static"


@dataclass
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def envelope(self) -> dict[str, Any]:
        assert self.out == ""
        return dict(json.loads(self.err.splitlines()[-1]))

    @property
    def steps(self) -> list[tuple[str, str]]:
        """(action, state) of each step, from the result or from the error."""
        source = self.json if self.out else self.envelope["details"]
        return [(step["action"], step["state"]) for step in source["steps"]]


@dataclass
class Workspace:
    """A directory to run `up` in; `config` is the config directory of the test."""

    path: Path
    config: Path
    capsys: pytest.CaptureFixture[str]

    def run(self, *args: str) -> Outcome:
        self.capsys.readouterr()
        code = _guarded(list(args))
        captured = self.capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    def manifest(self, name: str = "run402.deploy.json", **fields: Any) -> None:
        body = fields or {"site": {"replace": {"index.html": "<h1>hi</h1>"}}}
        (self.path / name).write_text(json.dumps(body))

    def keys(self, *projects: str, **more: str) -> None:
        store = {"version": 1, "source": "local_cache", "projects": {project: {**KEYS, **more} for project in projects}}
        (self.config / "credentials").mkdir(exist_ok=True)
        (self.config / "credentials" / "project-keys.v1.json").write_text(json.dumps(store))

    def active(self, project: str) -> None:
        (self.config / "state.json").write_text(json.dumps({"version": 1, "active_project_id": project}))

    def target(self, kind: str, base: str = BASE) -> None:
        (self.config / "target.json").write_text(json.dumps({"api_base": base, "target_kind": kind}))

    def wallet(self, **more: Any) -> None:
        key = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
        fields = {"address": "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "privateKey": key, **more}
        (self.config / "allowance.json").write_text(json.dumps(fields))

    @property
    def link(self) -> Path:
        return self.path / ".run402" / "project.json"

    def linked(self, project: str, **more: Any) -> None:
        fields = {
            "schema_version": "run402.workspace-project.v1",
            "project_id": project,
            "created_at": "2026-01-01T00:00:00.000Z",
        }
        self.link.parent.mkdir(exist_ok=True)
        self.link.write_text(json.dumps({**fields, **more}))


@dataclass
class CoreGateway:
    """Answers of a Core gateway for one deploy; `plan` and `pages` may be replaced by a test."""

    mock: HTTPXMock
    projects: list[dict[str, Any]] = field(default_factory=list)
    plan: httpx.Response | None = None
    pages: dict[str, httpx.Response] = field(default_factory=dict)

    def serve(self) -> None:
        self.mock.add_callback(self._answer, is_reusable=True, is_optional=True)

    def sent(self) -> list[str]:
        return [f"{request.method} {request.url.path}" for request in self.mock.get_requests()]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        route = f"{request.method} {request.url.path}"
        if str(request.url) in self.pages:
            page = self.pages[str(request.url)]
            return httpx.Response(page.status_code, headers=page.headers, content=page.content)
        if route == "POST /apply/v1/plans":
            return self.plan or httpx.Response(
                201, json={"plan_id": "plan_1", "project_id": "prj_1", "noop": False, "status": "planned"}
            )
        if route.endswith("/content"):
            return httpx.Response(201, json={"staged": True})
        if route.endswith("/commit"):
            release = {
                "plan_id": "plan_1",
                "project_id": "prj_1",
                "release_id": "rel_1",
                "release_digest": "d",
                "status": "committed",
            }
            return httpx.Response(200, json=release)
        if route == "GET /projects/v1":
            return httpx.Response(200, json={"projects": self.projects})
        if route == "POST /projects/v1":
            body = json.loads(request.content)
            return httpx.Response(
                201, json={"project_id": "prj_new", **KEYS, "asked": body, "endpoints": {"static_base_url": SITE}}
            )
        if request.method == "GET" and route.startswith("GET /projects/v1/prj_"):
            return httpx.Response(200, json={"endpoints": {"static_base_url": SITE}, "site_url": SITE})
        return httpx.Response(404, json={"error": "not_found", "message": "no such route"})
