"""Functions where they meet the rest of a release: checks, locales, routes beside files, branches, rehearsals."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from copies_kit import branch
from deploy_kit import commit, plan, ref, site, stage

CODE = b"""export default async (req) => {
  const url = new URL(req.url);
  if (url.pathname === '/api/broken') return new Response('no', { status: 500 });
  return Response.json({ path: url.pathname, locale: req.headers.get('x-run402-locale') });
}"""
PAGE = b"<h1>login</h1>"
FUNCTION = {"runtime": "node22", "source": ref(CODE)}
ROUTES = [
    {"pattern": "/api/*", "methods": ["GET", "POST"], "target": {"type": "function", "name": "api"}},
    {"pattern": "/login", "methods": ["POST"], "target": {"type": "function", "name": "api"}},
    {"pattern": "/login", "methods": ["GET", "HEAD"], "target": {"type": "static", "file": "login.html"}},
]


def spec(project: dict[str, Any], **sections: Any) -> dict[str, Any]:
    return {
        "project_id": project["project_id"],
        "site": {"replace": site({"login.html": PAGE, "api/data.html": PAGE})},
        "functions": {"replace": {"api": FUNCTION}},
        "routes": {"replace": ROUTES},
        "i18n": {"default_locale": "en", "locales": ["en", "pt-BR"]},
        **sections,
    }


def deployed(client: httpx.Client, project: dict[str, Any], **sections: Any) -> httpx.Response:
    planned = plan(client, spec(project, **sections))
    assert planned.status_code == 200, planned.text
    stage(client, project, CODE, PAGE)
    return commit(client, planned.json())


@pytest.fixture
def root(client: httpx.Client, project: dict[str, Any]) -> str:
    assert deployed(client, project).status_code == 200
    return f"/projects/v1/{project['project_id']}/static"


def check(path: str, status: int = 200) -> dict[str, Any]:
    return {"name": path, "http": {"path": path, "expect": {"status": status}}}


def test_checks_call_the_functions_of_the_release_that_is_not_live_yet(
    client: httpx.Client, project: dict[str, Any]
) -> None:
    refused = deployed(client, project, checks=[check("/api/ok"), check("/api/broken")])
    assert (refused.status_code, refused.json()["code"]) == (422, "CHECKS_FAILED")
    assert [entry["actual_status"] for entry in refused.json()["checks"]] == [200, 500]
    assert client.get(f"/projects/v1/{project['project_id']}/static/api/ok").status_code == 404
    assert deployed(client, project, checks=[check("/api/ok"), check("/api/broken", 500)]).status_code == 200
    assert client.get(f"/projects/v1/{project['project_id']}/static/api/ok").json()["path"] == "/api/ok"


def test_a_function_is_told_the_locale(client: httpx.Client, root: str) -> None:
    def locale(accept: str) -> object:
        return client.get(f"{root}/api/x", headers={"accept-language": accept}).json()["locale"]

    assert [locale("pt-br"), locale("fr"), locale("")] == ["pt-BR", "en", "en"]


def test_a_page_and_a_function_share_an_address_by_method(client: httpx.Client, root: str) -> None:
    assert client.get(f"{root}/login").content == PAGE
    assert client.get(f"{root}/login/").content == PAGE
    assert client.post(f"{root}/login").json()["path"] == "/login"
    refused = client.delete(f"{root}/login")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, POST")


def test_a_function_beats_the_file_below_its_route(client: httpx.Client, root: str) -> None:
    assert client.get(f"{root}/api/data.html").json()["path"] == "/api/data.html"
    assert client.get(f"{root}/api").status_code == 404


def test_a_branch_runs_the_functions_and_shows_the_assets_of_its_parent(
    client: httpx.Client, project: dict[str, Any], root: str
) -> None:
    asset = {"key": "a.txt", "sha256": ref(PAGE)["sha256"], "size_bytes": len(PAGE), "content_type": "text/plain"}
    planned = plan(client, {"project_id": project["project_id"], "assets": {"put": [asset]}})
    assert commit(client, planned.json()).status_code == 200
    made = branch(client, project)
    assert client.get(f"/projects/v1/{made['project_id']}/static/api/x").json()["path"] == "/api/x"
    listed = client.get("/storage/v1/blobs", headers={"apikey": made["service_key"]}).json()
    assert "a.txt" in str(listed)


def test_a_rehearsal_runs_functions_and_their_checks(client: httpx.Client, project: dict[str, Any]) -> None:
    planned = plan(client, spec(project, checks=[check("/api/ok"), check("/api/broken")]))
    stage(client, project, CODE, PAGE)
    answer = client.post(f"/apply/v1/plans/{planned.json()['plan_id']}/rehearse", json={"teardown": "always"}).json()
    statuses = {entry["name"]: entry["status"] for entry in answer["report"]["checks"]}
    assert (statuses["/api/ok"], statuses["/api/broken"]) == ("passed", "failed")
    assert answer["report"]["status"] == "failed"
