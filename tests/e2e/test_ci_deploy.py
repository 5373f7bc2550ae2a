"""From `ci link` to a deploy inside a GitHub Actions job that has no wallet and no key."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from ci_issuer import REQUEST_TOKEN, Issuer
from e2e_kit import Cli, Done, make

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A gateway that trusts the issuer."""
    root = tmp_path_factory.mktemp("ci-gateway")
    cli = make(root, root / "data")
    cli.env["RUN402_CORE_CI_JWKS"] = issuer.jwks_url
    try:
        yield dict(cli("core", "start", "--port", "0").json)
    finally:
        cli("core", "reset", "--yes")


@pytest.fixture
def owner(tmp_path: Path, gateway: dict[str, Any]) -> Cli:
    """A developer with a wallet, in a clone of tal/myapp on branch main."""
    cli = make(tmp_path / "owner", Path(gateway["data_dir"]))
    cli.ok("wallets", "new", "dev")
    cli.ok("wallets", "use", "dev")
    cli.ok("init", f"--api-base={gateway['url']}")
    for args in (("init", "-q", "-b", "main"), ("remote", "add", "origin", "https://github.com/tal/myapp.git")):
        subprocess.run(["git", *args], cwd=cli.cwd, check=True)
    return cli


@pytest.fixture
def project(owner: Cli) -> dict[str, Any]:
    return dict(owner("projects", "provision").json)


@pytest.fixture
def runner(tmp_path: Path, gateway: dict[str, Any], issuer: Issuer, owner: Cli) -> Cli:
    """The job: the same working directory, nothing in the config directory."""
    cli = Cli(config=tmp_path / "runner", cwd=owner.cwd, data_dir=Path(gateway["data_dir"]))
    cli.env |= {"RUN402_API_BASE": gateway["url"], **issuer.job()}
    return cli


@pytest.fixture(autouse=True)
def claims(issuer: Issuer) -> Iterator[None]:
    kept = dict(issuer.claims)
    yield
    issuer.claims = kept


def manifest(cli: Cli, **sections: Any) -> None:
    spec = {"site": {"replace": {"index.html": {"data": "<h1>from ci</h1>"}}}, **sections}
    (cli.cwd / "run402.deploy.json").write_text(json.dumps(spec))


def link(owner: Cli, *args: str) -> dict[str, Any]:
    return dict(owner.ok("ci", "link", "github", "--repo", "tal/myapp", "--repository-id", "892341", *args))


def run_workflow(runner: Cli, linked: dict[str, Any]) -> Done:
    """The line of the workflow, with our CLI in place of the launcher."""
    text = (runner.cwd / linked["workflow_path"]).read_text()
    line = json.loads(text.splitlines()[-1].partition("run: ")[2])
    words = shlex.split(line.removesuffix(" < /dev/null"))
    assert words[:5] == ["pipx", "run", "--spec", f"run402=={linked['run402_version']}", "run402"]
    return runner(*words[5:])


def test_a_linked_workflow_deploys_without_a_wallet(
    owner: Cli, runner: Cli, issuer: Issuer, project: dict[str, Any], http: httpx.Client
) -> None:
    linked = link(owner)
    manifest(owner)
    issuer.audiences.clear()
    done = run_workflow(runner, linked)
    assert http.get(done.json["urls"]["site"] + "/").text == "<h1>from ci</h1>"
    assert set(issuer.audiences) == {"https://api.run402.com"}
    assert REQUEST_TOKEN not in done.out + done.err
    assert project["service_key"] not in done.out + done.err
    assert not (runner.config / "allowance.json").exists()
    (row,) = owner.ok("ci", "list")["bindings"]
    assert (row["id"], row["use_count"], row["revoked_at"]) == (linked["binding_id"], 1, None)
    assert row["last_used_at"] is not None


def test_a_job_of_another_branch_event_or_repository_is_refused(
    owner: Cli, runner: Cli, issuer: Issuer, project: dict[str, Any]
) -> None:
    linked = link(owner)
    manifest(owner)
    refused = {
        "access_denied": {"sub": "repo:tal/myapp:ref:refs/heads/feature"},
        "event_not_allowed": {"event_name": "pull_request"},
        "repository_id_mismatch": {"repository_id": "1"},
    }
    for word, changed in refused.items():
        kept = dict(issuer.claims)
        issuer.claims |= changed
        envelope = run_workflow(runner, linked).envelope
        issuer.claims = kept
        assert (envelope["http"], envelope["code"], envelope["error"]) == (403, "FORBIDDEN", word)
        assert envelope["hint"]
        assert envelope["next_actions"]


def test_revoking_ends_what_the_workflow_may_do(owner: Cli, runner: Cli, project: dict[str, Any]) -> None:
    linked = link(owner)
    manifest(owner)
    assert run_workflow(runner, linked).code == 0
    assert owner.ok("ci", "revoke", linked["binding_id"])["binding"]["revoked_at"]
    envelope = run_workflow(runner, linked).envelope
    assert (envelope["code"], envelope["error"]) == ("FORBIDDEN", "binding_revoked")
    assert any(str(action.get("command")).startswith("run402 ci link github") for action in envelope["next_actions"])
    assert owner("ci", "set-asset-scopes", linked["binding_id"], "a").envelope["http"] == 409


def test_routes_need_a_scope_and_assets_too(
    owner: Cli, runner: Cli, project: dict[str, Any], http: httpx.Client
) -> None:
    linked = link(owner)
    routes = {"replace": [{"pattern": "/about", "target": {"type": "static", "file": "index.html"}}]}
    manifest(owner, routes=routes)
    denied = run_workflow(runner, linked).envelope
    assert (denied["code"], denied["http"]) == ("CI_ROUTE_SCOPE_DENIED", 403)
    linked = link(owner, "--route-scope", "/about", "--force")
    assert linked["route_scopes"] == ["/about"]
    done = run_workflow(runner, linked)
    assert http.get(done.json["urls"]["site"].rstrip("/") + "/about").text == "<h1>from ci</h1>"
    (owner.cwd / "logo.svg").write_text("<svg/>")
    manifest(owner, assets={"put": [{"key": "img/logo.svg", "source": {"path": "logo.svg"}}]})
    assert run_workflow(runner, linked).envelope["code"] == "CI_ASSET_SCOPE_DENIED"
    owner.ok("ci", "set-asset-scopes", linked["binding_id"], "img/*")
    assert run_workflow(runner, linked).code == 0


def test_what_ci_may_never_deploy_is_refused_before_any_request(
    owner: Cli, runner: Cli, issuer: Issuer, project: dict[str, Any]
) -> None:
    linked = link(owner)
    manifest(owner, secrets={"require": ["TOKEN"]})
    issuer.audiences.clear()
    envelope = run_workflow(runner, linked).envelope
    assert (envelope["code"], envelope["phase"], envelope["resource"]) == (
        "forbidden_spec_field",
        "validate",
        "secrets",
    )
    assert envelope["hint"]
    assert issuer.audiences == []


def test_a_job_without_id_token_permission_is_told_so(owner: Cli, runner: Cli, project: dict[str, Any]) -> None:
    linked = link(owner)
    manifest(owner)
    runner.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = "wrong"
    envelope = run_workflow(runner, linked).envelope
    assert "id-token: write" in envelope["message"]
