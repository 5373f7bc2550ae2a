"""Signed delegations and the workflow file."""

from __future__ import annotations

import base64
import json
import re
import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pytest_httpx import HTTPXMock

from run402_cli import __version__
from run402_cli.client import Client, siwx
from run402_cli.errors import CommandError, NetworkError, ValidationError
from run402_cli.release.ci_delegation import delegation
from run402_cli.services import ci, ci_session, ci_workflow, github

KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
NONCE = "00112233445566778899aabbccddeeff"
SIGNATURE = (
    "0x30d09a7067ac254a8a876ace5e06300bbf3f94b953918244769da72c760a70e2"
    "6b4065d9a4ffb5219f35ffe83101ebc1d5f9e4f584cbefa160f5bb9a45718be21b"
)


def test_the_signature_equals_the_known_one() -> None:
    made = delegation("prj_abc", "repo:tal/myapp:ref:refs/heads/main", nonce=NONCE, github_repository_id="892341")
    header = siwx.header(
        KEY,
        ADDRESS,
        domain="api.run402.com",
        uri="https://api.run402.com/ci/v1/bindings",
        statement=made.statement(),
        nonce=made.nonce[:16],
        issued_at=datetime(2026, 5, 3, tzinfo=UTC),
        resources=[made.resource_uri()],
    )
    payload = json.loads(base64.b64decode(header))
    assert payload["signature"] == SIGNATURE
    assert (payload["issuedAt"], payload["expirationTime"]) == ("2026-05-03T00:00:00.000Z", "2026-05-03T00:05:00.000Z")
    assert list(payload) == [
        *("domain", "address", "statement", "uri", "version", "chainId", "type", "nonce", "issuedAt"),
        *("expirationTime", "signature", "resources"),
    ]


@pytest.mark.parametrize(
    ("base", "domain", "origin"),
    [
        ("https://api.run402.com", "api.run402.com", "https://api.run402.com"),
        ("http://127.0.0.1:4020", "127.0.0.1", "http://127.0.0.1:4020"),
        ("https://Example.com:443/some/path", "example.com", "https://example.com"),
    ],
)
def test_the_delegation_is_for_the_origin_of_the_api(
    config_dir: Path, monkeypatch: pytest.MonkeyPatch, base: str, domain: str, origin: str
) -> None:
    (config_dir / "allowance.json").write_text(json.dumps({"address": ADDRESS, "privateKey": KEY}))
    monkeypatch.setenv("RUN402_API_BASE", base)
    with Client() as client:
        value = ci.signed(client, delegation("prj_abc", "repo:a/b:ref:refs/heads/main", nonce=NONCE))
    payload = json.loads(base64.b64decode(value))
    assert (payload["domain"], payload["uri"]) == (domain, f"{origin}/ci/v1/bindings")
    assert payload["nonce"] == NONCE[:16]
    assert payload["chainId"] == "eip155:84532"


def test_without_a_wallet_nothing_is_signed(config_dir: Path) -> None:
    with Client() as client, pytest.raises(CommandError) as caught:
        ci.signed(client, delegation("prj_abc", "s", nonce=NONCE))
    assert caught.value.code == "NO_ALLOWANCE"


def test_the_workflow_runs_this_version_and_quotes_every_word() -> None:
    text = ci_workflow.text(project_id="prj_1", manifest="it's: #1.json", branch='a"b', environment="prod: x")
    lines = text.splitlines()
    assert lines[0] == "name: Run402 Deploy"
    assert '    branches: ["a\\"b"]' in lines
    assert '    environment: "prod: x"' in lines
    assert [line for line in lines if "id-token" in line] == ["  id-token: write"]
    run = json.loads(lines[-1].partition("run: ")[2])
    assert shlex.split(run) == [
        *("pipx", "run", "--spec", f"run402=={__version__}", "run402", "deploy", "apply"),
        *("--manifest", "it's: #1.json", "--project", "prj_1", "<", "/dev/null"),
    ]


def test_actions_of_the_workflow_are_pinned_by_commit() -> None:
    text = ci_workflow.text(project_id="p", manifest="m", branch=None, environment=None)
    used = [line.partition("uses: ")[2] for line in text.splitlines() if "uses:" in line]
    assert used
    assert [action for action in used if not re.match(r"[^@]+@[0-9a-f]{40}( |$)", action)] == []


def test_the_workflow_without_a_branch_runs_on_every_push() -> None:
    lines = ci_workflow.text(project_id="p", manifest="m", branch=None, environment=None).splitlines()
    assert lines[lines.index("  push:") + 1] == "  workflow_dispatch:"
    assert not [line for line in lines if "environment" in line or "branches" in line]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [({"status_code": 404, "json": {}}, "HTTP 404"), ({"json": {"id": True}}, "HTTP 200"), ({"text": "{"}, "HTTP 200")],
)
def test_a_repository_without_an_id_is_an_error(httpx_mock: HTTPXMock, answer: dict[str, object], problem: str) -> None:
    httpx_mock.add_response(**answer)  # type: ignore[arg-type]
    with Client() as client, pytest.raises(CommandError, match=problem) as caught:
        github.repository_id(client, "a/b")
    assert (caught.value.code, caught.value.details) == ("GITHUB_REPOSITORY_ID_REQUIRED", {"repo": "a/b"})


def test_the_lookup_uses_the_first_github_token(httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch) -> None:
    httpx_mock.add_response(json={"id": 892341}, is_reusable=True)
    monkeypatch.setenv("GH_TOKEN", "second")
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    with Client() as client:
        assert github.repository_id(client, "tal/myapp") == "892341"
        monkeypatch.setenv("GITHUB_TOKEN", "first")
        github.repository_id(client, "tal/myapp")
    requests = httpx_mock.get_requests()
    assert [request.headers["authorization"] for request in requests] == ["Bearer second", "Bearer first"]
    assert {str(request.url) for request in requests} == {"https://api.github.com/repos/tal/myapp"}
    assert requests[0].headers["accept"] == "application/vnd.github+json"


@pytest.fixture
def actions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", "https://github.test/token?v=1&audience=other")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "request-token")
    monkeypatch.setenv("RUN402_API_BASE", "https://gateway.test")


def test_a_session_is_used_until_a_minute_before_its_end(
    actions: None, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(ci_session.time, "monotonic", lambda: clock[0])
    httpx_mock.add_response(
        url="https://github.test/token?v=1&audience=https%3A%2F%2Fapi.run402.com",
        json={"value": "jwt"},
        is_reusable=True,
    )
    exchange = "https://gateway.test/ci/v1/token-exchange"
    httpx_mock.add_response(url=exchange, json={"access_token": "one", "expires_in": 900})
    httpx_mock.add_response(url=exchange, json={"access_token": "two", "expires_in": 900})
    httpx_mock.add_response(url="https://gateway.test/x", json={}, is_reusable=True)
    used = []
    with ci_session.CiClient("prj_1") as client:
        for now in (1000.0, 1839.0, 1841.0):
            clock[0] = now
            client.request("GET", "/x", context="testing", auth=client.principal())
            used.append(httpx_mock.get_requests()[-1].headers["authorization"])
    assert used == ["Bearer one", "Bearer one", "Bearer two"]
    sent = [request for request in httpx_mock.get_requests() if str(request.url) == exchange]
    assert "authorization" not in sent[0].headers
    assert json.loads(sent[0].content)["subject_token"] == "jwt"


def test_an_oidc_answer_without_a_token_makes_no_sense(actions: None, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"value": ""})
    with ci_session.CiClient("prj_1") as client, pytest.raises(ValidationError) as caught:
        ci_session.oidc_token(client)
    assert caught.value.code == "INTERNAL_ERROR"


def test_an_unreachable_oidc_service_is_a_network_error(actions: None, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_exception(ci_session.httpx.ConnectError("refused"))
    with ci_session.CiClient("prj_1") as client, pytest.raises(NetworkError):
        ci_session.oidc_token(client)
