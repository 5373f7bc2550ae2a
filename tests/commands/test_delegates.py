"""run402 delegates, as typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pytest_httpx import HTTPXMock
from run_kit import BASE, Run

LIST = f"{BASE}/projects/v1/prj_1/delegates"


def test_create_shows_the_token_once_and_stores_nothing(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    before = {path: path.read_bytes() for path in wallet.rglob("*.json")}
    httpx_mock.add_response(method="POST", url=LIST, json={"delegate_id": "d", "token": "t0ken"})
    outcome = run("delegates", "create", "--grant", "g", "--expires", "2030-01-01T00:00:00Z")
    assert outcome.json["token"] == "t0ken"
    assert "one time" in outcome.err
    assert "RUN402_DELEGATE_TOKEN" in outcome.err
    assert "t0ken" not in outcome.err
    assert {path: path.read_bytes() for path in wallet.rglob("*.json")} == before
    assert json.loads(httpx_mock.get_requests()[0].content) == {
        "grant_id": "g",
        "kind": "run402_agent_key",
        "scope": {"v": 1, "capabilities": ["deploy"], "projects": ["prj_1"]},
        "expires_at": "2030-01-01T00:00:00Z",
    }


def test_a_scope_replaces_the_capability(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="POST", json={"delegate_id": "d"})
    flags = ("--grant", "g", "--capability", "x", "--scope", '{"v":2}', "--kind", "ci_oidc", "prj_2")
    outcome = run("delegates", "create", *flags)
    assert outcome.err == ""  # no token, no note
    (request,) = httpx_mock.get_requests()
    assert request.url.path == "/projects/v1/prj_2/delegates"
    assert json.loads(request.content) == {"grant_id": "g", "kind": "ci_oidc", "scope": {"v": 2}}


def test_list_revoke_and_rotate(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="GET", url=LIST, json={"delegates": []})
    assert run("delegates", "list").json == {"delegates": []}
    httpx_mock.add_response(method="DELETE", url=f"{LIST}/d%2F1", json={"delegate_id": "d/1"})
    assert run("delegates", "revoke", "d/1").json == {"delegate_id": "d/1"}
    httpx_mock.add_response(method="POST", url=f"{BASE}/projects/v1/prj_2/delegates/d/rotate", json={"token": "t0ken"})
    outcome = run("delegates", "rotate", "prj_2", "d")
    assert outcome.json == {"token": "t0ken"}
    assert "one time" in outcome.err
    assert httpx_mock.get_requests()[-1].content == b""


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("create",), "BAD_USAGE"),
        (("create", "word", "--grant", "g"), "BAD_USAGE"),
        (("create", "--grant", "g", "--scope", "["), "BAD_JSON_FLAG"),
        (("list", "word"), "BAD_USAGE"),
        (("revoke",), "BAD_USAGE"),
        (("rotate", "a", "b"), "BAD_USAGE"),
    ],
)
def test_wrong_arguments_send_nothing(run: Run, wallet: Path, args: tuple[str, ...], code: str) -> None:
    assert run("delegates", *args).error["code"] == code


def test_without_a_grant_the_hint_makes_one(run: Run, wallet: Path) -> None:
    assert "run402 grants create" in run("delegates", "create").error["hint"]


def test_a_delegate_token_excludes_the_wallet(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUN402_DELEGATE_TOKEN", " dlg ")
    httpx_mock.add_response(json={})
    run("delegates", "list")
    headers = httpx_mock.get_requests()[0].headers
    assert (headers["authorization"], "sign-in-with-x" in headers) == ("Bearer dlg", False)
