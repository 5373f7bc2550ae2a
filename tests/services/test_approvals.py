"""Which refused calls ask the human at the terminal, and that they ask once. Whole ceremonies: tests/e2e."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pytest_httpx import HTTPXMock

from run402_cli.client import Client, credentials, write_auth
from run402_cli.client.urls import origin
from run402_cli.errors import ApiError, CommandError
from run402_cli.services import apply, approvals, snapshots
from run402_cli.services.terminal import TerminalClient
from run402_cli.state import sessions

BASE = "http://gateway.test"
REFUSED = {"code": "WRITE_AUTH_REQUIRED", "message": "approval missing"}
KEY = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"


@pytest.fixture
def client(config_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A human with a browser login and a terminal."""
    monkeypatch.setenv("RUN402_API_BASE", BASE)
    terminal = SimpleNamespace(stderr=SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(approvals, "sys", terminal)
    sessions.save_control_plane_session({"control_plane_session_token": "old", "expires_in": 3600})
    return TerminalClient()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the human was asked; they say yes."""
    questions: list[Any] = []

    def approve(_client: Client, session: sessions.Session, action: str, target: dict[str, str]) -> dict[str, Any]:
        questions.append((session.token, action, target))
        return {"write_auth_token": f"approval{len(questions)}"}

    def sign_in(_client: Client) -> sessions.Session:
        questions.append("sign in")
        return sessions.save_control_plane_session({"control_plane_session_token": "fresh"})

    monkeypatch.setattr(approvals, "approve", approve)
    monkeypatch.setattr(approvals, "sign_in", sign_in)
    return questions


def test_a_deploy_call_is_approved_and_repeated_as_it_was(
    client: Client, asked: list[Any], httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(method="POST", url=f"{BASE}/apply/v1/plans", status_code=403, json=REFUSED)
    httpx_mock.add_response(method="POST", url=f"{BASE}/apply/v1/plans", json={"plan_id": "plan_1"})
    assert apply.plan(client, "prj_1", {"spec": {"site": {}}}) == {"plan_id": "plan_1"}
    assert asked == [("old", "project.deploy", {"project_id": "prj_1"})]
    first, second = httpx_mock.get_requests()
    assert first.content == second.content
    assert "x-run402-write-auth" not in first.headers
    assert second.headers["x-run402-write-auth"] == "Bearer approval1"
    assert second.headers["content-type"] == "application/json"


@pytest.mark.parametrize("code", ["WRITE_AUTH_BINDING_MISMATCH", "WRITE_AUTH_SESSION_INVALID", "STEP_UP_REQUIRED"])
def test_a_second_refusal_is_reported_and_nobody_is_asked_again(
    client: Client, asked: list[Any], httpx_mock: HTTPXMock, code: str
) -> None:
    httpx_mock.add_response(status_code=403, json={"code": code}, is_reusable=True)
    with pytest.raises(ApiError) as caught:
        apply.commit(client, "prj_1", "plan_1", {})
    assert (caught.value.code, caught.value.http) == (code, 403)
    assert len(asked) == 1
    assert len(httpx_mock.get_requests()) == 2


def test_a_fresh_sign_in_brings_the_new_session_without_an_approval_that_was_not_there(
    client: Client, asked: list[Any], httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(status_code=403, json={"code": "STEP_UP_REQUIRED"})
    httpx_mock.add_response(json={})
    apply.resume(client, "prj_1", "op_1")
    assert asked == ["sign in"]
    assert httpx_mock.get_requests()[1].headers["authorization"] == "Bearer fresh"


@pytest.mark.parametrize(
    ("status", "code"), [(403, "NOT_AUTHORIZED"), (401, "WRITE_AUTH_REQUIRED"), (403, None), (409, "STEP_UP_REQUIRED")]
)
def test_other_refusals_ask_nobody(
    client: Client, asked: list[Any], httpx_mock: HTTPXMock, status: int, code: str | None
) -> None:
    httpx_mock.add_response(status_code=status, json={"code": code})
    with pytest.raises(Exception, match="refused"):
        apply.rehearse(client, "prj_1", "plan_1", {})
    assert asked == []


def test_a_capability_that_cannot_be_minted_asks_nobody(
    client: Client, asked: list[Any], httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(status_code=403, json=REFUSED)
    with pytest.raises(ApiError) as caught:
        snapshots.list_snapshots(client, "prj_1")
    assert "next_actions" not in caught.value.envelope()
    assert asked == []


def test_a_wallet_or_delegate_asks_nobody(
    client: Client, asked: list[Any], httpx_mock: HTTPXMock, config_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    httpx_mock.add_response(status_code=403, json=REFUSED, is_reusable=True)
    monkeypatch.setenv("RUN402_DELEGATE_TOKEN", "dlg")
    with pytest.raises(ApiError):
        apply.plan(client, "prj_1", {})
    monkeypatch.delenv("RUN402_DELEGATE_TOKEN")
    wallet = {"address": "0x70997970C51812dc3A010C7d01b50e0d17dc79C8", "privateKey": KEY}
    (config_dir / "allowance.json").write_text(json.dumps(wallet))
    with pytest.raises(ApiError):
        apply.plan(client, "prj_1", {})
    assert asked == []
    assert len(httpx_mock.get_requests()) == 2


def test_a_client_that_asks_nobody_reports_the_refusal(client: Client, asked: list[Any], httpx_mock: HTTPXMock) -> None:
    client = Client(client.profile)
    httpx_mock.add_response(status_code=403, json=REFUSED)
    with pytest.raises(ApiError):
        apply.plan(client, "prj_1", {})
    assert asked == []


def test_a_ceremony_that_fails_leaves_the_gateways_refusal(
    client: Client, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_args: object) -> None:
        raise CommandError("the human went away", code="OPERATOR_APPROVE_FAILED")

    monkeypatch.setattr(approvals, "approve", refuse)
    httpx_mock.add_response(status_code=403, json=REFUSED)
    with pytest.raises(ApiError) as caught:
        apply.plan(client, "prj_1", {})
    envelope = caught.value.envelope()
    assert envelope["code"] == "WRITE_AUTH_REQUIRED"
    command = "run402 operator approve --action project.deploy --project prj_1"
    assert envelope["next_actions"][0]["command"] == command
    assert "the human went away" in capfd.readouterr().err


def test_a_body_that_was_streamed_is_not_repeated(client: Client, asked: list[Any], httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(status_code=403, json=REFUSED)
    auth = client.principal(capability="project.deploy", target={"project_id": "prj_1"})
    assert isinstance(auth, credentials.Operator)
    with pytest.raises(ApiError):
        client.request("POST", "/x", context="sending", auth=auth, content=iter([b"a"]))
    assert asked == []


@pytest.mark.parametrize(
    ("body", "command"),
    [
        ({"details": {"capability": "project.deploy", "project_id": "p q"}}, "--action project.deploy --project 'p q'"),
        ({"details": {"capability": "org.project.create", "org_id": "o"}}, "--action org.project.create --org o"),
        ({"details": {"capability": "project.deploy"}}, None),
        ({"details": {"capability": ["x"], "project_id": "p"}}, None),
        ({"details": {"capability": "project.deploy", "project_id": "p"}, "next_actions": []}, None),
        ({}, None),
    ],
)
def test_the_gateways_own_words_name_the_command_when_the_call_does_not(
    body: dict[str, Any], command: str | None
) -> None:
    refusal = ApiError(403, {"code": "WRITE_AUTH_REQUIRED", **body}, context="x")
    actions = write_auth.guidance(refusal, None).get("next_actions", [])
    assert [action["command"] for action in actions] == ([f"run402 operator approve {command}"] if command else [])


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://API.run402.com:443/x?y", "https://api.run402.com"),
        ("http://127.0.0.1:4020", "http://127.0.0.1:4020"),
        ("http://u:p@h.test:80/", "http://h.test"),
        ("http://[::1]:4020/a", "http://[::1]:4020"),
    ],
)
def test_origins_are_those_of_browsers(url: str, expected: str) -> None:
    assert origin(url) == expected
