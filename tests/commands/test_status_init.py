"""`status` and `init`: what is asked, what is printed, what is saved."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import httpx
import pytest
from pytest_httpx import HTTPXMock

from run402_cli.main import _guarded

BASE = "http://127.0.0.1:4999"
ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
WALLET = {"address": ADDRESS, "privateKey": "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"}
SEPOLIA = "https://sepolia.base.org"
MAINNET = "https://mainnet.base.org"
TEMPO = "https://rpc.moderato.tempo.xyz/"


@pytest.fixture(autouse=True)
def base(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RUN402_API_BASE", BASE)
    monkeypatch.chdir(tmp_path)


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = _guarded(list(args))
    return code, *capsys.readouterr()


def envelope(err: str) -> dict[str, Any]:
    return dict(json.loads(err.splitlines()[-1]))


def wallet(config: Path, **more: Any) -> None:
    (config / "allowance.json").write_text(json.dumps({**WALLET, **more}))


def chain(mock: HTTPXMock, url: str, *amounts: int) -> None:
    for amount in amounts:
        mock.add_response(url=url, json={"jsonrpc": "2.0", "id": 1, "result": hex(amount)})


def account(mock: HTTPXMock, *, tier: Any, org: Any) -> None:
    mock.add_response(url=f"{BASE}/tiers/v1/status", json=tier)
    mock.add_response(url=f"{BASE}/orgs/v1/lookup?wallet={ADDRESS.lower()}", json=org)


# -- status -----------------------------------------------------------------------------------------------------------


def test_status_gathers_wallet_tier_projects_and_both_chains(
    config_dir: Path, httpx_mock: HTTPXMock, capsys: pytest.CaptureFixture[str]
) -> None:
    wallet(config_dir)
    account(
        httpx_mock,
        tier={
            "tier": "team",
            "lease_expires_at": "2036",
            "organization_lifecycle_state": "active",
            "lease_perpetual": False,
        },
        org={"org_id": "o", "available_usd_micros": 7},
    )
    httpx_mock.add_response(
        url=f"{BASE}/projects/v1", json={"projects": [{"id": "prj_1", "name": "a", "new_key": [1]}]}
    )
    chain(httpx_mock, SEPOLIA, 5)
    chain(httpx_mock, MAINNET, 2**70)
    code, out, _ = run(capsys, "status")
    document = json.loads(out)
    assert code == 0
    assert document["balances"] == {
        "on_chain_usd_micros": 2**70 + 5,
        "on_chain_token": "USDC",
        "prepaid_credit_usd_micros": 7,
        "held_usd_micros": 0,
    }
    assert document["tier"] == {"name": "team", "expires": "2036"}
    assert document["projects"] == [{"project_id": "prj_1", "name": "a", "new_key": [1]}]
    assert document["target"] == {"api_base": BASE, "api_base_source": "env", "kind": "unknown"}


def test_status_reads_the_chain_of_the_rail_and_counts_a_failed_network_as_unknown(
    config_dir: Path, httpx_mock: HTTPXMock, capsys: pytest.CaptureFixture[str]
) -> None:
    wallet(config_dir, rail="mpp")
    account(httpx_mock, tier={}, org={"exists": False, "available_usd_micros": 7})
    httpx_mock.add_response(url=f"{BASE}/projects/v1", json={"projects": []})
    httpx_mock.add_response(url=TEMPO, text="<html>busy</html>")
    _, out, _ = run(capsys, "status")
    balances = json.loads(out)["balances"]
    assert (balances["on_chain_usd_micros"], balances["on_chain_token"]) == (None, "pathUSD")
    assert (balances["prepaid_credit_usd_micros"], balances["held_usd_micros"]) == (None, None)


def test_status_exits_0_with_local_facts_when_nothing_answers(
    config_dir: Path, httpx_mock: HTTPXMock, capsys: pytest.CaptureFixture[str]
) -> None:
    wallet(config_dir)
    (config_dir / "credentials").mkdir()
    store = {"version": 1, "projects": {"prj_1": {"anon_key": "a", "service_key": "b"}}}
    (config_dir / "credentials" / "project-keys.v1.json").write_text(json.dumps(store))
    httpx_mock.add_exception(httpx.ConnectError("offline"), is_reusable=True)
    code, out, _ = run(capsys, "status")
    document = json.loads(out)
    assert (code, document["tier"], document["balances"]["on_chain_usd_micros"]) == (0, None, None)
    assert document["projects"] == [{"project_id": "prj_1"}]


@pytest.mark.parametrize(("kind", "words"), [("core", "projects provision"), ("cloud", "run402 init")])
def test_status_without_a_wallet_sends_nothing_and_says_what_to_do(
    kind: str, words: str, config_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("RUN402_API_BASE")
    (config_dir / "target.json").write_text(json.dumps({"api_base": "https://gate.example", "target_kind": kind}))
    code, out, _ = run(capsys, "status")
    document = json.loads(out)
    assert (code, len(out.splitlines()), document["wallet"]) == (0, 1, None)
    assert words in document["hint"]
    assert document["target"]["kind"] == kind


def test_status_reports_a_wallet_file_of_the_wrong_shape(config_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (config_dir / "allowance.json").write_text('{"address": "0x12"}')
    code, out, err = run(capsys, "status")
    assert (code, out, envelope(err)["code"]) == (1, "", "BAD_ALLOWANCE_FILE")


# -- init --api-base --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "health", "kind", "found"),
    [
        ("http://127.0.0.1:4020/", {"json": {"status": "ok", "mode": "core"}}, "core", {"health_status": "ok"}),
        ("https://gate.example//", {"json": {"status": "fine"}}, "core", {"health_status": "fine"}),
        ("https://gate.example", {"text": "hello"}, "core", {"health_status": "ok"}),
        ("https://api.run402.com:443", {"json": {"status": "healthy"}}, "cloud", {"health_status": "healthy"}),
        ("https://api.run402.com", {"status_code": 503, "json": {"error": "down"}}, "cloud", {"health_error": "down"}),
        ("https://gate.example", {"status_code": 404, "text": "x"}, "core", {"health_error": "HTTP 404"}),
    ],
)
def test_init_api_base_saves_the_gateway_and_its_kind(
    url: str,
    health: dict[str, Any],
    kind: str,
    found: dict[str, str],
    config_dir: Path,
    httpx_mock: HTTPXMock,
    capsys: pytest.CaptureFixture[str],
) -> None:
    wallet(config_dir)
    httpx_mock.add_response(url=url.rstrip("/") + "/health", **health)
    code, out, _ = run(capsys, "init", f"--api-base={url}")
    document = json.loads(out)
    saved = json.loads((config_dir / "target.json").read_text())
    assert code == 0
    assert document["target"] == {"kind": kind, **found}
    assert document["payment_required"] is (kind == "cloud")
    assert (saved["api_base"], saved["target_kind"]) == (url.rstrip("/"), kind)
    assert "sign-in-with-x" not in httpx_mock.get_requests()[0].headers
    if os.name == "posix":
        assert stat.S_IMODE((config_dir / "target.json").stat().st_mode) == 0o600


def test_init_api_base_works_when_nobody_answers_and_makes_no_wallet(
    config_dir: Path, httpx_mock: HTTPXMock, capsys: pytest.CaptureFixture[str]
) -> None:
    httpx_mock.add_exception(httpx.ConnectError("refused"))
    code, out, _ = run(capsys, "init", "--api-base", "http://127.0.0.1:4021")
    assert (code, json.loads(out)["target"]) == (0, {"kind": "core", "health_error": "refused"})
    assert not (config_dir / "allowance.json").exists()


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["--api-base="], "BAD_USAGE"),
        (["--api-base", "http://h", "mpp"], "BAD_USAGE"),
        (["--api-base", "http://h", "--voucher", "x"], "BAD_USAGE"),
        (["--api-base", "http://h", "--git-remote"], "BAD_USAGE"),
        (["--api-base", "ftp://h"], "BAD_ENV"),
        (["--api-base", "not a url"], "BAD_ENV"),
        (["--api-base", "http://h:99999"], "BAD_ENV"),
        (["--voucher="], "BAD_USAGE"),
        (["paypal"], "BAD_FLAG"),
        (["--api-bas=http://h"], "UNKNOWN_FLAG"),
    ],
    ids=str,
)
def test_init_refuses_what_makes_no_sense_and_saves_nothing(
    args: list[str], code: str, config_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exit_code, out, err = run(capsys, "init", *args)
    assert (exit_code, out, envelope(err)["code"]) == (1, "", code)
    assert list(config_dir.iterdir()) == []


# -- init: the wallet -------------------------------------------------------------------------------------------------


def test_init_makes_a_wallet_asks_the_faucet_and_waits_for_the_funds(
    config_dir: Path, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("run402_cli.services.setup.time.sleep", lambda _seconds: None)
    chain(httpx_mock, SEPOLIA, 0, 0, 250000)
    httpx_mock.add_response(url=f"{BASE}/faucet/v1", json={"transaction_hash": "0x1"})
    httpx_mock.add_response(url=f"{BASE}/tiers/v1/status", json={"tier": None, "active": False})
    httpx_mock.add_response(method="GET", status_code=404, json={"code": "NOPE"})
    code, out, err = run(capsys, "init")
    document = json.loads(out)
    saved = json.loads((config_dir / "allowance.json").read_text())
    assert code == 0
    assert document["balances"]["on_chain_usd_micros"] == 250000
    assert (document["tier"], document["next_step"]) == (None, "run402 tier set prototype")
    assert (saved["funded"], saved["rail"], saved["address"]) == (True, "x402", document["wallet"]["address"])
    assert saved["privateKey"] not in out + err


def test_init_twice_changes_nothing(
    config_dir: Path, httpx_mock: HTTPXMock, capsys: pytest.CaptureFixture[str]
) -> None:
    wallet(config_dir, rail="x402")
    before = (config_dir / "allowance.json").read_bytes()
    chain(httpx_mock, SEPOLIA, 5)
    account(
        httpx_mock, tier={"tier": "hobby", "active": True, "lease_expires_at": "2036"}, org={"available_usd_micros": 1}
    )
    _, out, _ = run(capsys, "init")
    assert json.loads(out)["tier"] == {"name": "hobby", "expires": "2036"}
    assert json.loads(out)["next_actions"][0]["type"] == "deploy"
    assert (config_dir / "allowance.json").read_bytes() == before


def test_init_does_not_change_the_rail_unasked(
    config_dir: Path, httpx_mock: HTTPXMock, capsys: pytest.CaptureFixture[str]
) -> None:
    wallet(config_dir, rail="mpp", extra="kept")
    code, out, err = run(capsys, "init")
    assert (code, out) == (1, "")
    assert envelope(err)["details"] == {"current_rail": "mpp", "requested_rail": "x402"}
    chain(httpx_mock, SEPOLIA, 5)
    account(httpx_mock, tier={}, org={})
    assert run(capsys, "init", "--switch-rail")[0] == 0
    saved = json.loads((config_dir / "allowance.json").read_text())
    assert (saved["rail"], saved["extra"]) == ("x402", "kept")


def test_a_voucher_that_is_refused_does_not_stop_the_setup(
    config_dir: Path, httpx_mock: HTTPXMock, capsys: pytest.CaptureFixture[str]
) -> None:
    wallet(config_dir, rail="x402")
    chain(httpx_mock, SEPOLIA, 5)
    account(httpx_mock, tier={}, org={})
    url = f"{BASE}/vouchers/v1/redemptions"
    httpx_mock.add_response(url=url, status_code=410, json={"code": "VOUCHER_EXPIRED", "message": "too late"})
    code, out, _ = run(capsys, "init", "--voucher=ABC")
    document = json.loads(out)
    assert (code, document["voucher"]) == (0, None)
    assert document["voucher_error"] == {"code": "VOUCHER_EXPIRED", "message": "too late"}


def test_with_an_active_project_init_says_that_it_adds_no_git_remote(
    config_dir: Path, httpx_mock: HTTPXMock, capsys: pytest.CaptureFixture[str]
) -> None:
    wallet(config_dir, rail="x402")
    (config_dir / "state.json").write_text('{"version": 1, "active_project_id": "prj_1"}')
    for args, key in (([], "gitvault_skipped"), (["--git-remote"], "gitvault_error")):
        chain(httpx_mock, SEPOLIA, 5)
        account(httpx_mock, tier={}, org={})
        document = json.loads(run(capsys, "init", *args)[1])
        assert document["gitvault"] is None
        assert key in document
