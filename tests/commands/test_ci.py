"""run402 ci, as typed."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from config_kit import PRIVATE_KEY
from pytest_httpx import HTTPXMock
from run_kit import BASE, Run

from run402_cli.state import wallets

LINK = ("ci", "link", "github", "--repo", "tal/myapp", "--branch", "main", "--repository-id", "892341")
WORKFLOW = Path(".github/workflows/run402-deploy.yml")


@pytest.fixture
def binding(httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="POST", url=f"{BASE}/ci/v1/bindings", json={"id": "cib_1"}, is_reusable=True)


def git(*args: str) -> None:
    subprocess.run(["git", *args], check=True, capture_output=True)


def sent(httpx_mock: HTTPXMock) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(httpx_mock.get_requests()[-1].content)
    return body


def test_link_signs_creates_and_writes(run: Run, wallet: Path, binding: None, httpx_mock: HTTPXMock) -> None:
    answer = run(*LINK, "--route-scope", "/b", "--route-scope", "/a/*", "--expires-at", "soon").json
    body = sent(httpx_mock)
    signed = json.loads(base64.b64decode(body.pop("signed_delegation")))
    nonce = body.pop("nonce")
    assert body == {
        "project_id": "prj_1",
        "provider": "github-actions",
        "subject_match": "repo:tal/myapp:ref:refs/heads/main",
        "allowed_actions": ["deploy"],
        "allowed_events": ["push", "workflow_dispatch"],
        "github_repository_id": "892341",
        "expires_at": "soon",
        "route_scopes": ["/a/*", "/b"],
    }
    assert len(nonce) == 32
    assert signed["nonce"] == nonce[:16]
    assert f"nonce={nonce}" in signed["resources"][0]
    assert (answer["binding_id"], answer["github_repository_id_status"]) == ("cib_1", "provided")
    assert "/a/*, /b" in answer["consent_summary"][1]
    assert "--manifest 'run402.deploy.json' --project 'prj_1' < /dev/null" in WORKFLOW.read_text()
    assert WORKFLOW.stat().st_mode & 0o777 == 0o644


def test_link_asks_git_and_github(run: Run, wallet: Path, binding: None, httpx_mock: HTTPXMock) -> None:
    git("init", "-q", "-b", "trunk")
    git("remote", "add", "origin", "git@github.com:tal/myapp.git")
    httpx_mock.add_response(url="https://api.github.com/repos/tal/myapp", json={"id": 7})
    wallets.confirm(Path.cwd() / ".git", "tal/myapp")
    answer = run("ci", "link", "github").json
    assert answer["subject_match"] == "repo:tal/myapp:ref:refs/heads/trunk"
    assert (answer["github_repository_id"], answer["github_repository_id_status"]) == ("7", "verified")
    assert '    branches: ["trunk"]' in WORKFLOW.read_text()
    assert "route_scopes" not in sent(httpx_mock)


@pytest.mark.parametrize(
    ("url", "repository"),
    [
        ("https://github.com/tal/myapp", "tal/myapp"),
        ("ssh://git@github.com/tal/myapp.git", "tal/myapp"),
        ("https://gitlab.com/tal/myapp", None),
    ],
)
def test_the_repository_comes_from_origin(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, url: str, repository: str | None
) -> None:
    git("init", "-q", "-b", "main")
    git("remote", "add", "origin", url)
    wallets.confirm(Path.cwd() / ".git", "tal/myapp")
    if repository is not None:
        httpx_mock.add_response(url=f"https://api.github.com/repos/{repository}", status_code=404, json={})
    code = "GITHUB_REPOSITORY_ID_REQUIRED" if repository else "GITHUB_REPO_REQUIRED"
    assert run("ci", "link", "github").error["code"] == code


def test_the_origin_of_a_clone_is_linked_after_it_was_named_once(
    run: Run, wallet: Path, binding: None, httpx_mock: HTTPXMock
) -> None:
    git("init", "-q", "-b", "main")
    git("remote", "add", "origin", "https://github.com/evil/x")
    for words in ((), ("--repository-id", "1"), ("--project", "prj_1")):
        error = run("ci", "link", "github", *words).error
        assert (error["code"], error["details"]) == (
            "GITHUB_REPO_REQUIRED",
            {"repo": "evil/x", "project_id": "prj_1"},
        )
        action = error["next_actions"][0]
        assert action["argv"] == ["run402", "ci", "link", "github", *words, "--repo", "evil/x"]
        assert action["confirms"] is True
    assert httpx_mock.get_requests() == []
    assert not WORKFLOW.exists()
    assert run("ci", "link", "github", "--repo", "evil/x", "--repository-id", "1").exit == 0
    assert run("ci", "link", "github", "--repository-id", "1", "--force").exit == 0
    # Another one moved in; the agreement was for the one before.
    git("remote", "set-url", "origin", "https://github.com/evil/y")
    assert run("ci", "link", "github", "--repository-id", "1", "--force").error["details"]["repo"] == "evil/y"


def test_the_origin_is_filled_in_where_the_directory_was_confirmed_for_the_project(
    run: Run, wallet: Path, binding: None
) -> None:
    git("init", "-q", "-b", "main")
    git("remote", "add", "origin", "https://github.com/tal/myapp")
    wallets.confirm(Path.cwd() / ".run402/project.json", "prj_2")
    assert run("ci", "link", "github", "--repository-id", "1").error["code"] == "GITHUB_REPO_REQUIRED"
    wallets.confirm(Path.cwd() / ".run402/project.json", "prj_1")
    assert run("ci", "link", "github", "--repository-id", "1").exit == 0


def test_link_to_an_environment_needs_no_branch(run: Run, wallet: Path, binding: None) -> None:
    args = ("--repo", "a/b", "--repository-id", "1", "--environment", "prod")
    answer = run("ci", "link", "github", *args).json
    assert answer["subject_match"] == "repo:a/b:environment:prod"
    assert "  push:\n  workflow_dispatch:" in WORKFLOW.read_text()
    assert '    environment: "prod"' in WORKFLOW.read_text()


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("ci", "link"), "BAD_USAGE"),
        (("ci", "link", "gitlab"), "BAD_USAGE"),
        (("ci", "link", "github", "x"), "BAD_USAGE"),
        (("ci", "link", "github", "--branch", "a", "--environment", "b"), "BAD_USAGE"),
        (("ci", "link", "github", "--bogus"), "UNKNOWN_FLAG"),
        (("ci", "link", "github", "--bogus", "--pr"), "UNSUPPORTED_CI_FLAG"),
        (("ci", "link", "gitlab", "--event=push"), "UNSUPPORTED_CI_FLAG"),
        (("ci", "link", "github", "--repo"), "BAD_USAGE"),
        (("ci", "list", "--project", "--json"), "BAD_USAGE"),
        (("ci", "link", "github"), "GITHUB_REPO_REQUIRED"),
        (("ci", "link", "github", "--repo", "a/b/c"), "GITHUB_REPO_REQUIRED"),
        (("ci", "link", "github", "--repo", "a/b"), "CI_SUBJECT_REQUIRED"),
        ((*LINK, "--route-scope", "/*"), "NO_ALLOWANCE"),
        ((*LINK[:-3], "a*b", "--repository-id", "1"), "NO_ALLOWANCE"),
        (("ci", "revoke"), "BAD_USAGE"),
        (("ci", "set-asset-scopes"), "BAD_USAGE"),
        (("ci", "set-asset-scopes", "cib_1"), "BAD_USAGE"),
    ],
)
def test_refused_before_any_request(run: Run, wallet: Path, args: tuple[str, ...], code: str) -> None:
    outcome = run(*args)
    assert outcome.error["code"] == code
    assert PRIVATE_KEY not in outcome.err
    assert not WORKFLOW.exists()


def test_link_without_a_wallet_or_project(run: Run) -> None:
    assert run(*LINK).error["code"] == "PROJECT_REQUIRED"
    assert run(*LINK, "--project", "prj_9").error["code"] == "NO_ALLOWANCE"


def test_an_existing_workflow_needs_force(run: Run, wallet: Path, binding: None, httpx_mock: HTTPXMock) -> None:
    WORKFLOW.parent.mkdir(parents=True)
    WORKFLOW.write_text("mine")
    error = run(*LINK).error
    assert (error["code"], error["details"]) == ("WORKFLOW_EXISTS", {"workflow_path": str(WORKFLOW)})
    assert WORKFLOW.read_text() == "mine"
    assert not httpx_mock.get_requests()
    run(*LINK, "--force").json  # noqa: B018
    assert WORKFLOW.read_text().startswith("name: Run402 Deploy")


def test_a_refused_binding_writes_nothing(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(status_code=409, json={"code": "nonce_replay", "message": "again"})
    error = run(*LINK).error
    assert (error["code"], error["http"]) == ("nonce_replay", 409)
    assert not WORKFLOW.exists()


def test_a_workflow_that_cannot_be_written_is_in_the_error(run: Run, wallet: Path, binding: None) -> None:
    Path("blocked").write_text("a file, not a folder")
    error = run(*LINK, "--workflow", "blocked/w.yml").error
    assert error["code"] == "WORKFLOW_NOT_WRITTEN"
    assert error["details"]["binding_id"] == "cib_1"
    assert error["details"]["workflow"].startswith("name: Run402 Deploy")


def test_a_402_is_reported_not_paid(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    challenge = base64.b64encode(json.dumps({"x402Version": 2, "accepts": []}).encode()).decode()
    httpx_mock.add_response(status_code=402, json={"message": "pay"}, headers={"PAYMENT-REQUIRED": challenge})
    assert run("ci", "list").error["code"] == "PAYMENT_REQUIRED"
    assert len(httpx_mock.get_requests()) == 1


def test_dry_run_shows_the_binding_without_its_signature(run: Run, wallet: Path) -> None:
    outcome = run(*LINK, "--dry-run")
    (request,) = outcome.json["requests"]
    assert request["body"]["subject_match"] == "repo:tal/myapp:ref:refs/heads/main"
    assert request["body"]["signed_delegation"] == "[redacted]"
    assert not WORKFLOW.exists()


def test_list_revoke_and_asset_scopes(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=f"{BASE}/ci/v1/bindings?project=prj_1", json={"bindings": [{"id": "cib_1"}]})
    assert run("ci", "list").json == {"project_id": "prj_1", "bindings": [{"id": "cib_1"}]}
    httpx_mock.add_response(url=f"{BASE}/ci/v1/bindings/cib%2F1/revoke", method="POST", json={"id": "x"})
    revoked = run("ci", "revoke", "cib/1").json
    assert (revoked["binding"], revoked["revoked"], len(revoked["revocation_residuals"])) == ({"id": "x"}, True, 2)
    assert httpx_mock.get_requests()[-1].content == b""
    httpx_mock.add_response(url=f"{BASE}/ci/v1/bindings/cib_1/asset-scopes", method="POST", json={"id": "y"})
    assert run("ci", "set-asset-scopes", "cib_1", "a.png", "astro/*").json == {"binding": {"id": "y"}}
    assert sent(httpx_mock) == {"asset_key_scopes": ["a.png", "astro/*"]}
