"""run402 subdomains, as typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pytest_httpx import HTTPXMock
from run_kit import BASE, Run

URL = f"{BASE}/subdomains/v1"


def remember_deployment(wallet: Path, deployment: str) -> None:
    path = wallet / "credentials" / "project-keys.v1.json"
    store = json.loads(path.read_bytes())
    store["projects"]["prj_1"]["last_deployment_id"] = deployment
    path.write_text(json.dumps(store))


def test_claim_points_at_the_named_or_the_last_deployment(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    remember_deployment(wallet, "dpl_last")
    httpx_mock.add_response(method="POST", url=URL, json={"name": "my-app"}, is_reusable=True)
    assert run("subdomains", "claim", "my-app").json == {"name": "my-app"}
    run("subdomains", "claim", "my-app", "--deployment=dpl_2")
    requests = httpx_mock.get_requests()
    assert [json.loads(request.content)["deployment_id"] for request in requests] == ["dpl_last", "dpl_2"]
    assert {request.headers["authorization"] for request in requests} == {"Bearer svc_key_1"}
    assert not any("sign-in-with-x" in request.headers for request in requests)


def test_claim_asks_the_saved_core_gateway_for_the_live_release(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RUN402_API_BASE")
    (wallet / "target.json").write_text(json.dumps({"api_base": BASE, "target_kind": "core"}))
    remember_deployment(wallet, "rel_older")
    httpx_mock.add_response(url=f"{BASE}/apply/v1/releases/active?site_limit=1", json={"release_id": "rel_live"})
    httpx_mock.add_response(method="POST", url=URL, json={"name": "my-app"})
    run("subdomains", "claim", "my-app")
    assert json.loads(httpx_mock.get_requests()[-1].content)["deployment_id"] == "rel_live"
    httpx_mock.add_response(url=f"{BASE}/apply/v1/releases/active?site_limit=1", json={"release_id": None})
    assert run("subdomains", "claim", "my-app").error["code"] == "NO_DEPLOYMENT"


def test_claim_without_any_deployment_names_the_next_command(run: Run, wallet: Path) -> None:
    error = run("subdomains", "claim", "my-app").error
    assert (error["code"], error["details"]) == ("NO_DEPLOYMENT", {"project_id": "prj_1"})
    active, deploy = (action["argv"][1:] for action in error["next_actions"])
    assert deploy == ["deploy", "apply", "--project", "prj_1"]
    assert active == ["deploy", "release", "active", "--project", "prj_1"]


@pytest.mark.parametrize("extra", [(), ("--deployment", "dpl_1")])
def test_claim_needs_cached_keys_even_with_a_deployment(run: Run, wallet: Path, extra: tuple[str, ...]) -> None:
    error = run("subdomains", "claim", "my-app", "--project", "prj_9", *extra).error
    assert error["code"] == "PROJECT_CREDENTIAL_NOT_FOUND"


@pytest.mark.parametrize(
    ("body", "printed"),
    [({"subdomains": [{"name": "a"}]}, [{"name": "a"}]), ({}, []), ([{"name": "b"}], [{"name": "b"}]), (None, [])],
)
def test_list_prints_a_bare_array(run: Run, wallet: Path, httpx_mock: HTTPXMock, body: object, printed: object) -> None:
    httpx_mock.add_response(url=URL, json=body)
    assert run("subdomains", "list").json == printed


def test_delete_wants_confirmation_and_prints_one_line(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    error = run("subdomains", "delete", "my/app").error
    assert (error["code"], error["details"]) == ("CONFIRMATION_REQUIRED", {"name": "my/app"})
    httpx_mock.add_response(method="DELETE", url=f"{URL}/my%2Fapp", json={"name": "my/app"})
    outcome = run("subdomains", "delete", "my/app", "--confirm")
    assert outcome.out == '{"name":"my/app","project_id":"prj_1","released":true}\n'


@pytest.mark.parametrize(
    "args", [("claim",), ("claim", "a", "b"), ("list", "a"), ("delete",), ("delete", "a", "b", "--confirm")]
)
def test_a_wrong_number_of_names_is_bad_usage(run: Run, args: tuple[str, ...]) -> None:
    assert run("subdomains", *args).error["code"] == "BAD_USAGE"
