"""`up` against the Cloud: wallet, test funds, tier, and the wait for the edge. The gateway is answered by pytest-httpx."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from pytest_httpx import HTTPXMock
from up_kit import KEYS, Workspace

BASE = "https://api.run402.com"


class Cloud:
    """A Cloud gateway up to the plan, which it refuses: what comes before is the subject here."""

    def __init__(self, mock: HTTPXMock, *, tier: dict[str, Any]) -> None:
        self.mock = mock
        self.tier = tier
        self.projects: list[dict[str, Any]] = []
        mock.add_callback(self._answer, is_reusable=True, is_optional=True)

    def requests(self) -> list[httpx.Request]:
        return self.mock.get_requests()

    def sent(self) -> list[str]:
        return [f"{request.method} {request.url.path}" for request in self.requests()]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        route = f"{request.method} {request.url.path}"
        answers: dict[str, tuple[int, Any]] = {
            "GET /tiers/v1/status": (200, self.tier),
            "POST /faucet/v1": (200, {"transaction_hash": "0x1", "amount_usd_micros": 250000}),
            "POST /tiers/v1/hobby": (200, {"tier": "hobby"}),
            "POST /tiers/v1/prototype": (200, {"tier": "prototype"}),
            "GET /projects/v1": (200, {"projects": self.projects}),
            "POST /projects/v1": (201, {"project_id": "prj_new", **KEYS}),
            "POST /projects/v1/prj_9/credentials": (201, {"credential_id": "pcr_1", "secret": "service_made"}),
        }
        status, body = answers.get(route, (503, {"code": "STOP_HERE", "message": "enough"}))
        return httpx.Response(status, json=body)


@pytest.fixture
def cloud_workspace(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.delenv("RUN402_API_BASE")
    workspace.manifest()
    return workspace


def test_a_taken_name_is_a_collision_with_both_ways_out(
    cloud_workspace: Workspace, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = Cloud(httpx_mock, tier={"tier": "prototype", "active": True})
    rows = [
        {"id": "prj_0", "name": "shop", "status": "deleted"},
        {"id": "prj_9", "name": " SHOP ", "site_url": "https://shop"},
    ]
    cloud.projects = rows
    cloud_workspace.wallet()
    envelope = cloud_workspace.run("up", "--name", "shop", "--yes").envelope
    details = envelope["details"]
    assert (details["existing_project_id"], details["existing_site_url"]) == ("prj_9", "https://shop")
    assert [action["type"] for action in details["next_actions"]] == ["use_existing_project", "choose_new_name"]
    first, *actions = envelope["next_actions"]
    assert actions == details["next_actions"]
    argv = first["argv"]
    assert (argv[:3], argv[-3:]) == (["run402", "credentials", "issue"], ["--project", "prj_9", "--save"])
    assert cloud_workspace.run(*argv[1:]).json["saved"]["has_service_key"] is True
    again = cloud_workspace.run("up", "--name", "shop", "--yes").envelope
    assert again["next_actions"] == again["details"]["next_actions"] == actions
    argv = actions[0]["argv"]
    assert cloud_workspace.run(*argv[1:]).envelope["code"] == "STOP_HERE"
    assert argv[:2] == ["run402", "up"]
    assert argv[argv.index("--project") + 1] == "prj_9"
    assert "POST /projects/v1" not in cloud.sent()


def test_a_first_run_makes_wallet_funds_tier_project_and_link(
    cloud_workspace: Workspace, httpx_mock: HTTPXMock
) -> None:
    cloud = Cloud(httpx_mock, tier={"tier": None, "active": False})
    done = cloud_workspace.run("up", "--name", "foo", "-y")
    assert (done.code, done.envelope["code"]) == (1, "STOP_HERE")
    assert done.steps == [
        ("app.source.resolve", "succeeded"),
        ("deploy.discover", "succeeded"),
        ("allowance.create", "succeeded"),
        ("allowance.create", "skipped"),
        ("allowance.faucet", "succeeded"),
        ("tier.set", "succeeded"),
        ("project.resolve", "succeeded"),
        ("projects.provision", "succeeded"),
        ("workspace.link.write", "succeeded"),
        ("deploy.apply", "failed"),
    ]
    assert cloud.sent()[:5] == [
        "GET /tiers/v1/status",
        "POST /faucet/v1",
        "POST /tiers/v1/prototype",
        "GET /projects/v1",
        "POST /projects/v1",
    ]
    keys = [request.headers.get("idempotency-key") for request in cloud.requests()[:5]]
    root = "action:up:8c2de512319adb24f541454e"
    assert keys == [None, f"{root}:allowance.faucet", f"{root}:tier.set", None, None]
    assert "sign-in-with-x" not in cloud.requests()[1].headers
    assert "sign-in-with-x" in cloud.requests()[2].headers
    saved = json.loads((cloud_workspace.config / "allowance.json").read_text())
    assert (saved["funded"], "lastFaucet" in saved) == (True, True)
    assert saved["privateKey"] not in done.err
    assert json.loads(cloud_workspace.link.read_text())["target"] == {"kind": "cloud"}


def test_an_active_tier_that_is_high_enough_is_left_alone(cloud_workspace: Workspace, httpx_mock: HTTPXMock) -> None:
    cloud_workspace.wallet()
    cloud = Cloud(httpx_mock, tier={"tier": "team", "active": True})
    done = cloud_workspace.run("up", "--tier", "hobby", "--name", "foo", "-y")
    assert done.steps[2:4] == [("allowance.create", "skipped"), ("tier.set", "skipped")]
    assert "POST /tiers/v1/hobby" not in cloud.sent()


def test_a_lower_tier_is_raised_and_funded_wallets_are_not_funded_again(
    cloud_workspace: Workspace, httpx_mock: HTTPXMock
) -> None:
    cloud_workspace.wallet(funded=True)
    cloud = Cloud(httpx_mock, tier={"tier": "prototype", "active": True})
    cloud_workspace.run("up", "--tier", "hobby", "--name", "foo", "-y", "--idempotency-key", "mine")
    by_route = dict(zip(cloud.sent(), cloud.requests(), strict=True))
    assert "POST /faucet/v1" not in by_route
    assert by_route["POST /tiers/v1/hobby"].headers["idempotency-key"] == "action:mine:tier.set"
    assert by_route["POST /projects/v1"].headers["idempotency-key"] == "mine"


def test_without_approval_no_wallet_is_made(cloud_workspace: Workspace) -> None:
    done = cloud_workspace.run("up", "--name", "foo")
    assert (done.envelope["code"], done.steps[-1]) == ("RUN402_APPROVAL_REQUIRED", ("allowance.create", "blocked"))
    assert not (cloud_workspace.config / "allowance.json").exists()


def test_a_dry_run_sends_nothing(cloud_workspace: Workspace) -> None:
    done = cloud_workspace.run("up", "--name", "foo", "--dry-run")
    assert [action for action, state in done.steps if state == "planned"] == [
        "allowance.create",
        "allowance.faucet",
        "tier.set",
        "projects.provision",
        "workspace.link.write",
        "deploy.apply",
    ]


def test_a_price_that_nobody_paid_is_passed_through_with_the_steps(
    cloud_workspace: Workspace, httpx_mock: HTTPXMock
) -> None:
    cloud_workspace.wallet(funded=True)
    httpx_mock.add_response(url=f"{BASE}/tiers/v1/status", status_code=500, json={})
    httpx_mock.add_response(url=f"{BASE}/tiers/v1/prototype", status_code=402, json={"price": "0.10"})
    envelope = cloud_workspace.run("up", "--name", "foo", "-y").envelope
    assert (envelope["code"], envelope["http"], envelope["price"]) == ("PAYMENT_REQUIRED", 402, "0.10")
    assert envelope["details"]["steps"][-1]["state"] == "failed"


def test_edges_that_disagree_end_with_2_and_the_last_report(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.manifest(project="prj_1", site={"replace": {"index.html": "x"}})
    workspace.keys("prj_1")
    released = {"release_id": "rel_1", "operation_id": "op_1", "urls": {}, "diff": {}, "warnings": []}
    monkeypatch.setattr("run402_cli.deploy.apply", lambda *_: dict(released))
    report = {"coherent": False, "pending_count": 1, "paths": [{"path": "/", "state": "unknown", "other": 1}]}
    monkeypatch.setattr("run402_cli.services.apply.edge_coherence", lambda *_: report)
    done = workspace.run("up", "--verify", "--propagation-budget-s", "0")
    assert done.code == 2
    assert done.json["result"]["edge_coherence"] | {"elapsedMs": 0} == {
        "coherent": False,
        "attempts": 1,
        "elapsedMs": 0,
        "report": report,
    }
    assert done.json["result"]["deploy"]["edge_coherence"] == report
    poll = next(json.loads(line) for line in done.err.splitlines() if "deploy.verify.poll" in line)
    assert poll["paths"] == [{"path": "/", "state": "unknown"}]
