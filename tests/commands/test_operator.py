"""run402 operator, as typed. The browser ceremonies are played in tests/e2e/test_operator_approval.py."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from config_kit import ADDRESS
from pytest_httpx import HTTPXMock
from run_kit import BASE, Run

from run402_cli.client import browser
from run402_cli.services import operator

DEVICE = f"{BASE}/agent/v1/operator/session/device"
CLAIM = f"{BASE}/agent/v1/operator/claim-wallet-org"
STARTED = {
    "device_code": "dev_1",
    "user_code": "ABCD-EFGH",
    "verification_uri": "https://console.test/device",
    "verification_uri_complete": "https://console.test/device?user_code=ABCD-EFGH",
    "expires_in": 600,
    "interval": 2,
}
SIGNED_IN = {
    "operator_session_token": "ops_tok",
    "token_type": "Bearer",
    "expires_in": 3600,
    "absolute_expires_at": "2090-01-01T00:00:00.000Z",
    "email": "ops@example.com",
    "wallets": [ADDRESS],
}
READ = {
    **{key: SIGNED_IN[key] for key in ("operator_session_token", "token_type", "email", "wallets")},
    "expires_at": 4102444800000,
    "absolute_expires_at": "",
}
WRITE = {
    "control_plane_session_token": "cps_tok",
    "provenance": "loopback_pkce",
    "principal_id": "",
    "amr": ["passkey"],
    "expires_at": 4102444800000,
}


def put(folder: Path, **files: Any) -> None:
    for name, value in files.items():
        path = folder / f"{name.replace('_', '-')}.json"
        path.write_text(json.dumps(value))
        path.chmod(0o600)


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Waiting takes no time here, and moves the clock of the command."""
    waits: list[float] = []
    monkeypatch.setattr(operator.time, "sleep", waits.append)
    monkeypatch.setattr(operator.time, "monotonic", lambda: sum(waits))
    return waits


# -- device login ---------------------------------------------------------------------------------------------------------


def test_device_login_polls_at_the_asked_pace_and_saves_the_session(
    run: Run, config_dir: Path, httpx_mock: HTTPXMock, slept: list[float]
) -> None:
    httpx_mock.add_response(method="POST", url=DEVICE, json=STARTED)
    for state in ("authorization_pending", "slow_down", "authorization_pending"):
        httpx_mock.add_response(method="POST", url=f"{DEVICE}/token", status_code=400, json={"error": state})
    httpx_mock.add_response(method="POST", url=f"{DEVICE}/token", json=SIGNED_IN)
    outcome = run("operator", "login")
    assert {key: outcome.json[key] for key in ("logged_in", "email", "wallet_count", "expires_in_seconds")} == {
        "logged_in": True,
        "email": "ops@example.com",
        "wallet_count": 1,
        "expires_in_seconds": 3600,
    }
    assert slept == [2, 2, 7, 7]
    assert "https://console.test/device?user_code=ABCD-EFGH" in outcome.err
    assert "ABCD-EFGH" in outcome.err
    assert "ops_tok" not in outcome.out + outcome.err
    saved = config_dir / "operator-session.json"
    assert (json.loads(saved.read_text())["operator_session_token"], saved.stat().st_mode & 0o777) == ("ops_tok", 0o600)
    assert all("authorization" not in request.headers for request in httpx_mock.get_requests())


def test_the_address_is_shown_even_when_quiet(run: Run, httpx_mock: HTTPXMock, slept: list[float]) -> None:
    httpx_mock.add_response(url=DEVICE, json=STARTED)
    httpx_mock.add_response(url=f"{DEVICE}/token", json=SIGNED_IN)
    outcome = run("operator", "login", "--quiet")
    assert outcome.err.splitlines() == [
        "Sign in at: https://console.test/device?user_code=ABCD-EFGH",
        "Code: ABCD-EFGH",
    ]


@pytest.mark.parametrize(
    ("status", "answer", "code"),
    [
        (400, {"error": "access_denied"}, "OPERATOR_LOGIN_DENIED"),
        (400, {"error": "expired_token"}, "OPERATOR_LOGIN_EXPIRED"),
        (400, {"error": "invalid_grant", "code": "BAD_GRANT"}, "BAD_GRANT"),
        (503, {"code": "DOWN"}, "DOWN"),
        (200, {}, "OPERATOR_LOGIN_FAILED"),
        (200, {**SIGNED_IN, "email": ""}, "OPERATOR_LOGIN_FAILED"),
        (200, {**SIGNED_IN, "wallets": "0x"}, "OPERATOR_LOGIN_FAILED"),
    ],
)
def test_a_device_login_that_ends_otherwise_saves_nothing(
    run: Run,
    config_dir: Path,
    httpx_mock: HTTPXMock,
    slept: list[float],
    status: int,
    answer: dict[str, Any],
    code: str,
) -> None:
    httpx_mock.add_response(url=DEVICE, json=STARTED)
    httpx_mock.add_response(url=f"{DEVICE}/token", status_code=status, json=answer)
    assert run("operator", "login").error["code"] == code
    assert not (config_dir / "operator-session.json").exists()


@pytest.mark.parametrize(
    ("told", "waits"),
    [
        ({"expires_in": 5, "interval": 2}, [2, 2, 1]),
        ({"expires_in": 2, "interval": 0}, [2]),
        ({"expires_in": 1e12, "interval": 1800}, [1800, 1800]),  # an hour at most
    ],
)
def test_a_device_login_that_nobody_answers_ends(
    run: Run, httpx_mock: HTTPXMock, slept: list[float], told: dict[str, Any], waits: list[float]
) -> None:
    httpx_mock.add_response(url=DEVICE, json={**STARTED, **told})
    httpx_mock.add_response(
        url=f"{DEVICE}/token", status_code=400, json={"error": "authorization_pending"}, is_reusable=True
    )
    assert run("operator", "login").error["code"] == "OPERATOR_LOGIN_TIMEOUT"
    assert slept == waits


def test_an_address_that_could_hurt_the_terminal_is_not_shown(run: Run, httpx_mock: HTTPXMock) -> None:
    bad = {**STARTED, "verification_uri": "https://x.test/\x1b]0;", "verification_uri_complete": "javascript:alert(1)"}
    httpx_mock.add_response(url=DEVICE, json=bad)
    outcome = run("operator", "login")
    assert outcome.error["code"] == "INTERNAL_ERROR"
    assert "\x1b" not in outcome.err


# -- browser login --------------------------------------------------------------------------------------------------------


def test_a_browser_login_that_nobody_answers_ends_without_a_request(
    run: Run, config_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browser, "WAIT_S", 0.05)
    put(config_dir, write_auth_session={"approvals": []})
    outcome = run("operator", "login", "--loopback", "--no-open")
    assert outcome.error["code"] == "OPERATOR_LOGIN_FAILED"
    address = f"{BASE}/agent/v1/control-plane/cli/authorize?redirect_uri=http%3A%2F%2F127.0.0.1%3A"
    assert address in outcome.err
    assert (config_dir / "write-auth-session.json").exists()


def test_a_machine_without_a_free_port_says_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> None:
        raise OSError(99, "Cannot assign requested address")

    monkeypatch.setattr(browser, "_Server", refuse)
    assert run("operator", "login", "--step-up").error["code"] == "OPERATOR_LOOPBACK_FAILED"


def test_a_dry_run_signs_nobody_in(run: Run, config_dir: Path) -> None:
    document = run("operator", "login", "--loopback", "--dry-run").json
    assert document["files"] == [str(config_dir / "control-plane-session.json")]


# -- sessions -------------------------------------------------------------------------------------------------------------


def test_whoami_tells_what_is_cached_here(run: Run, config_dir: Path) -> None:
    outcome = run("operator", "whoami")
    assert (outcome.exit, json.loads(outcome.out)["reason"]) == (1, "no_session")
    put(config_dir, operator_session={**READ, "expires_at": 1000})
    outcome = run("operator", "whoami")
    assert (outcome.exit, json.loads(outcome.out)["reason"], json.loads(outcome.out)["email"]) == (
        1,
        "expired",
        "ops@example.com",
    )
    put(config_dir, control_plane_session=WRITE)
    assert run("operator", "whoami").json["principal_id"] is None
    put(config_dir, operator_session=READ)
    view = run("operator", "whoami").json
    assert (view["email"], view["absolute_expires_at"]) == ("ops@example.com", None)
    assert (view["control_plane"]["write_capable"], view["control_plane"]["amr"]) == (True, ["passkey"])
    assert "tok" not in json.dumps(view)


def test_status_lists_the_live_approvals(run: Run, config_dir: Path) -> None:
    assert run("operator", "status").json == {"operator_login": {"active": False}, "approvals": []}
    entry = {
        "write_auth_token": "wa_tok",
        "action": "project.deploy",
        "project_id": "prj_1",
        "api_origin": "https://elsewhere.test",
        "control_plane_session_hash": "h",
        "expires_at": 4102444800000,
    }
    put(
        config_dir,
        control_plane_session=WRITE,
        write_auth_session={"approvals": [entry, {**entry, "expires_at": 1}]},
    )
    outcome = run("operator", "status")
    assert outcome.json["operator_login"] == {
        "active": True,
        "provenance": "loopback_pkce",
        "amr": ["passkey"],
        "expires_at": "2100-01-01T00:00:00.000Z",
    }
    (shown,) = outcome.json["approvals"]
    assert shown == {
        "action": "project.deploy",
        "org_id": None,
        "project_id": "prj_1",
        "expires_at": "2100-01-01T00:00:00.000Z",
    }
    assert "project.deploy prj_1" in outcome.err
    assert "wa_tok" not in outcome.err


def test_logout_revokes_and_forgets_even_when_the_gateway_is_gone(
    run: Run, config_dir: Path, httpx_mock: HTTPXMock
) -> None:
    put(config_dir, operator_session=READ, control_plane_session=WRITE, write_auth_session={"approvals": []})
    httpx_mock.add_response(status_code=500, method="POST", url=f"{BASE}/agent/v1/operator/session/revoke")
    assert run("operator", "logout").json == {"revoked": False, "cleared": True}
    assert httpx_mock.get_requests()[0].headers["authorization"] == "Bearer ops_tok"
    assert list(config_dir.glob("*session.json")) == []
    assert run("operator", "logout").json == {"revoked": False, "cleared": True}


def test_overview_uses_the_operators_session_never_the_wallet(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    assert run("operator", "overview").error["code"] == "OPERATOR_LOGIN_REQUIRED"
    put(wallet, operator_session=READ)
    httpx_mock.add_response(method="GET", url=f"{BASE}/agent/v1/operator/overview", json={"rollup": {"projects": 1}})
    assert run("operator", "overview").json == {"rollup": {"projects": 1}}
    headers = httpx_mock.get_requests()[0].headers
    assert (headers["authorization"], "sign-in-with-x" in headers) == ("Bearer ops_tok", False)


@pytest.mark.parametrize(("status", "kept"), [(401, False), (403, False), (500, True)])
def test_a_refused_session_is_forgotten(
    run: Run, config_dir: Path, httpx_mock: HTTPXMock, status: int, kept: bool
) -> None:
    put(config_dir, operator_session=READ)
    httpx_mock.add_response(status_code=status, json={"code": "X"})
    assert run("operator", "overview").error["code"] == ("X" if kept else "OPERATOR_SESSION_INVALID")
    assert (config_dir / "operator-session.json").exists() is kept


# -- claim ----------------------------------------------------------------------------------------------------------------


def test_claiming_signs_the_gateways_nonce_beside_the_humans_session(
    run: Run, wallet: Path, httpx_mock: HTTPXMock
) -> None:
    put(wallet, control_plane_session=WRITE)
    httpx_mock.add_response(method="POST", url=f"{CLAIM}/challenge", json={"nonce": "n0nce123"})
    httpx_mock.add_response(
        method="POST", url=CLAIM, json={"status": "claimed", "org_id": "org_1", "role": "owner", "display_name": None}
    )
    assert run("operator", "claim-wallet-org", "--org", "org_1", "--name", "Acme").json == {
        "claimed": True,
        "org_id": "org_1",
        "display_name": None,
        "role": "owner",
        "already_owned": False,
    }
    asked, claimed = httpx_mock.get_requests()
    assert json.loads(asked.content) == {"wallet": ADDRESS}
    assert "sign-in-with-x" not in asked.headers
    assert json.loads(claimed.content) == {"org_id": "org_1", "display_name": "Acme"}
    assert claimed.headers["authorization"] == asked.headers["authorization"] == "Bearer cps_tok"
    proof = json.loads(base64.b64decode(claimed.headers["sign-in-with-x"]))
    assert {key: proof[key] for key in ("domain", "uri", "statement", "nonce", "chainId")} == {
        "domain": "gateway.test",
        "uri": CLAIM,
        "statement": "Claim wallet-owned org",
        "nonce": "n0nce123",
        "chainId": "eip155:84532",
    }


def test_a_wallet_with_several_organizations_is_asked_which(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    put(wallet, control_plane_session=WRITE)
    orgs = [{"org_id": "a"}, {"org_id": "b"}]
    httpx_mock.add_response(url=f"{CLAIM}/challenge", json={"nonce": "n"})
    httpx_mock.add_response(url=CLAIM, json={"status": "select_org", "selectable_orgs": orgs})
    answer = run("operator", "claim-wallet-org").json
    assert (answer["claimed"], answer["selectable_orgs"]) == (False, orgs)


def test_a_stale_sign_in_names_the_command_that_freshens_it(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    put(wallet, control_plane_session=WRITE)
    httpx_mock.add_response(url=f"{CLAIM}/challenge", json={"nonce": "n"})
    httpx_mock.add_response(url=CLAIM, status_code=403, json={"code": "STEP_UP_REQUIRED"})
    error = run("operator", "claim-wallet-org").error
    assert (error["code"], error["http"]) == ("STEP_UP_REQUIRED", 403)
    assert "run402 operator login --step-up" in error["hint"]


def test_claiming_wants_a_session_then_a_wallet(run: Run, config_dir: Path) -> None:
    assert "--loopback" in run("operator", "claim-wallet-org").error["message"]
    put(config_dir, control_plane_session=WRITE)
    error = run("operator", "claim-wallet-org").error
    assert (error["code"], "wallet" in error["message"]) == ("LOCAL_ERROR", True)


# -- approve --------------------------------------------------------------------------------------------------------------

DEPLOY = ("--action", "project.deploy")


@pytest.mark.parametrize("word", ["approve", "write-auth"])
@pytest.mark.parametrize(
    ("args", "code"),
    [
        ((), "BAD_FLAG"),
        (("--action", "x"), "BAD_FLAG"),
        (DEPLOY, "BAD_FLAG"),
        ((*DEPLOY, "--project", ""), "BAD_FLAG"),
        ((*DEPLOY, "--org", "o"), "BAD_FLAG"),
        ((*DEPLOY, "--project", "p", "--org", "o"), "BAD_FLAG"),
        (("--action", "org.project.create", "--project", "p"), "BAD_FLAG"),
        ((*DEPLOY, "--project", "p"), "OPERATOR_LOGIN_REQUIRED"),
    ],
)
def test_approve_checks_action_then_target_then_session(
    run: Run, wallet: Path, word: str, args: tuple[str, ...], code: str
) -> None:
    assert run("operator", word, *args).error["code"] == code


@pytest.mark.parametrize("address", [None, "https://evil.test/c", "http://gateway.test:81/c", f"{BASE}.evil.test/c"])
def test_an_approval_page_elsewhere_is_refused(
    run: Run, config_dir: Path, httpx_mock: HTTPXMock, address: str | None
) -> None:
    put(config_dir, control_plane_session=WRITE)
    httpx_mock.add_response(method="POST", status_code=201, json={"challenge_id": "c", "confirm_url": address})
    error = run("operator", "approve", *DEPLOY, "--project", "p").error
    assert error["code"] == "OPERATOR_APPROVE_BAD_CONFIRM_URL"
    (request,) = httpx_mock.get_requests()
    body = json.loads(request.content)
    assert (body["action"], body["project_id"], "org_id" in body) == ("project.deploy", "p", False)
    assert body["cli_redirect_uri"].startswith("http://127.0.0.1:")
    assert set(body) == {"action", "cli_redirect_uri", "code_challenge", "state", "project_id"}


def test_an_approval_that_nobody_gives_ends(
    run: Run, config_dir: Path, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browser, "WAIT_S", 0.05)
    put(config_dir, control_plane_session=WRITE)
    httpx_mock.add_response(json={"confirm_url": f"{BASE}/confirm/1"})
    outcome = run("operator", "approve", *DEPLOY, "--project", "p")
    assert outcome.error["code"] == "OPERATOR_APPROVE_FAILED"
    assert f"{BASE}/confirm/1" in outcome.err
    assert not (config_dir / "write-auth-session.json").exists()
