"""run402 doctor, as typed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from config_kit import PRIVATE_KEY
from pytest_httpx import HTTPXMock
from run_kit import BASE, Run

from run402_cli.services import update_check

TIER = {"tier": "team", "active": True, "organization_lifecycle_state": "active", "lease_expires_at": "2099"}
OPERATOR: dict[str, Any] = {
    "operator_contact": {"email_status": "verified", "passkey_status": "verified", "recovery_gap": False},
    "skipped_notifications": [],
    "critical_items": [],
    "runtime": {"stale_function_count": 0, "stale_functions": []},
}


@pytest.fixture
def healthy(httpx_mock: HTTPXMock) -> HTTPXMock:
    gateway(httpx_mock)
    return httpx_mock


def gateway(httpx_mock: HTTPXMock, tier: Any = TIER, operator: Any = OPERATOR) -> None:
    httpx_mock.add_response(url=f"{BASE}/status", json={})
    httpx_mock.add_response(url=f"{BASE}/tiers/v1/status", json=tier)
    httpx_mock.add_response(url=f"{BASE}/agent/v1/operator/status", json=operator)


def checks(run: Run, *args: str) -> dict[str, Any]:
    outcome = run("doctor", *args)
    report = json.loads(outcome.out)
    assert outcome.err.startswith("Not well: ") if outcome.exit else outcome.err == ""
    assert outcome.exit == (0 if report["ok"] else 1)
    assert PRIVATE_KEY[2:] not in outcome.out
    return {check["name"]: check for check in report["checks"]}


def test_all_is_well(run: Run, wallet: Path, healthy: HTTPXMock) -> None:
    before = {path: path.read_bytes() for path in wallet.rglob("*") if path.is_file()}
    found = checks(run, "--verbose")
    assert {name: check["status"] for name, check in found.items()} == {
        "config_dir": "ok",
        "cli_update": "unknown",
        "allowance": "ok",
        "projects": "ok",
        "api_reachable": "ok",
        "tier": "ok",
        "operator_health": "ok",
        "runtime_staleness": "ok",
        "source_scan": "ok",
    }
    assert set(found["allowance"]["value"]["details"]) == {"address"}
    assert {path: path.read_bytes() for path in wallet.rglob("*") if path.is_file()} == before


def test_everything_missing_is_reported_not_raised(run: Run, config_dir: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(status_code=500, text="down", is_reusable=True)
    config_dir.rmdir()
    found = checks(run, "--no-scan")
    assert [check["status"] for check in found.values()] == [
        *("missing", "unknown", "missing", "ok", "error", "error", "skipped", "skipped")
    ]
    assert found["tier"]["message"].startswith("tier status check failed:")
    assert found["operator_health"]["message"].startswith("operator status check failed:")
    assert "run402 init" in found["projects"]["hint"]


def test_a_local_gateway_needs_no_wallet(
    run: Run, config_dir: Path, healthy: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RUN402_API_BASE")
    (config_dir / "target.json").write_text(json.dumps({"api_base": BASE, "target_kind": "core"}))
    found = checks(run, "--no-scan")
    assert found["allowance"]["status"] == "skipped"
    assert "init" not in found["projects"]["hint"]


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ({"tier": "team", "active": True, "organization_lifecycle_state": "frozen"}, "frozen"),
        ({"tier": "team", "active": False, "organization_lifecycle_state": "active"}, "inactive"),
        ({"tier": "team", "active": True, "organization_lifecycle_state": None}, "unknown"),
        ({"tier": None}, "missing"),
        ([], "missing"),
    ],
)
def test_tier_states(run: Run, wallet: Path, httpx_mock: HTTPXMock, answer: Any, status: str) -> None:
    gateway(httpx_mock, tier=answer)
    tier = checks(run, "--no-scan")["tier"]
    assert tier["status"] == status
    assert set(tier["value"]) == {"tier", "active", "organization_lifecycle_state", "lease_expires_at"}


def test_gaps_of_the_operator_account_come_in_order(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    operator = {
        "operator_contact": {"email_status": "pending", "passkey_status": "none"},
        "email_verification": {"last_challenge": {"hint": "wrong code", "attempt_count": 1, "remaining_attempts": 2}},
        "operator_reachability": {"reachable": False, "skipped_last_90d": 4},
        "skipped_notifications": [{"id": "n"}],
        "critical_items": [{"kind": "lease", "detail": "ends soon"}],
        "runtime": {"stale_function_count": 2, "stale_functions": [{"project_id": "p", "name": "n"}]},
    }
    gateway(httpx_mock, operator=operator)
    found = checks(run, "--no-scan")
    gaps = found["operator_health"]["value"]["gaps"]
    assert len(gaps) == 5
    assert gaps[0].startswith("wrong code (1 of 3 ")
    assert "4 notices" in gaps[2]
    assert gaps[4] == "lease: ends soon"
    assert found["runtime_staleness"]["status"] == "warning"
    assert "rebuild --all" in found["runtime_staleness"]["hint"]


def test_an_operator_status_of_another_shape_is_skipped(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    gateway(httpx_mock, operator={"status": "ok"})
    found = checks(run, "--no-scan")
    assert (found["operator_health"]["status"], found["runtime_staleness"]["status"]) == ("skipped", "skipped")


def test_findings_in_the_sources_fail_the_report(run: Run, wallet: Path, healthy: HTTPXMock) -> None:
    Path("src").mkdir()
    Path("src/a.ts").write_text("getUser()")
    Path("outside.ts").write_text("getUser()")
    scan = checks(run)["source_scan"]
    assert (scan["status"], scan["value"]["findings"], scan["value"]["errors"]) == ("error", 1, 1)
    assert scan["value"]["scan_root"] == str(Path("src").absolute())


def test_another_directory_can_be_scanned(run: Run, wallet: Path, healthy: HTTPXMock) -> None:
    Path("lib").mkdir()
    Path("lib/a.ts").write_text('q.eq("user_id", user.id)')
    scan = checks(run, "--scan-dir", "lib")["source_scan"]
    assert (scan["status"], scan["value"]["warnings"]) == ("warning", 1)


def test_a_wallet_file_of_the_wrong_shape_is_an_error(run: Run, wallet: Path) -> None:
    (wallet / "allowance.json").write_text("{}")
    outcome = run("doctor", "--no-scan")
    report = json.loads(outcome.out)
    assert (outcome.exit, report["ok"]) == (1, False)
    checks = {check["name"]: check for check in report["checks"]}
    assert [row["path"] for row in checks["state_files"]["value"]["damaged"]] == [str(wallet / "allowance.json")]
    assert checks["allowance"]["status"] == "error"


def test_buzz_is_refused(run: Run, config_dir: Path) -> None:
    assert run("doctor", "--buzz-agent", "x").error["code"] == "BUZZ_MODE_REQUIRED"
    assert run("doctor", "--buzz").error["code"] == "UNSUPPORTED_OPTION"


def record(folder: Path, latest: Any, *, age: timedelta = timedelta()) -> None:
    checked = (datetime.now(UTC) - age).isoformat().replace("+00:00", "Z")
    fields = {"schema_version": 1, "package": "run402", "latest": latest, "checked_at": checked, "error": None}
    (folder / "cli-update-check.json").write_text(json.dumps(fields))


@pytest.mark.parametrize(
    ("latest", "age", "status", "fresh"),
    [
        (update_check.FOLLOWED, timedelta(), "ok", True),
        ("1.0.0", timedelta(hours=25), "ok", False),
        ("99.0.0", timedelta(hours=1), "warning", True),
        ("99.0.0-beta.1", timedelta(hours=-1), "warning", False),
        (None, timedelta(), "unknown", True),
        ("latest", timedelta(), "unknown", True),
    ],
)
def test_the_recorded_version_is_compared(
    run: Run, wallet: Path, healthy: HTTPXMock, latest: Any, age: timedelta, status: str, fresh: bool
) -> None:
    record(wallet, latest, age=age)
    check = checks(run, "--no-scan")["cli_update"]
    assert (check["status"], check["value"]["cache"]["fresh"]) == (status, fresh)
    assert check["value"]["cache"]["source"] == "cache"
    if status == "warning":
        assert check["value"]["next_actions"][0]["type"] == "upgrade_client"


def test_refresh_asks_the_index_and_keeps_the_answer(
    run: Run, wallet: Path, healthy: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUN402_NPM_REGISTRY", "http://index.test/")
    healthy.add_response(url="http://index.test/run402/latest", json={"version": "99.1.0"})
    check = checks(run, "--no-scan", "--refresh")["cli_update"]
    assert (check["status"], check["value"]["latest"]) == ("warning", "99.1.0")
    stored = json.loads((wallet / "cli-update-check.json").read_bytes())
    assert (stored["latest"], stored["registry"], stored["schema_version"]) == ("99.1.0", "http://index.test", 1)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"status_code": 404}, "NETWORK_ERROR"),
        ({"text": "<html>"}, "INVALID_LATEST"),
        ({"json": {"version": "newest"}}, "INVALID_LATEST"),
    ],
)
def test_a_failed_look_at_the_index_fails_nothing(
    run: Run,
    wallet: Path,
    healthy: HTTPXMock,
    monkeypatch: pytest.MonkeyPatch,
    answer: dict[str, Any],
    code: str,
) -> None:
    monkeypatch.setenv("RUN402_NPM_REGISTRY", "http://index.test")
    healthy.add_response(url="http://index.test/run402/latest", **answer)
    check = checks(run, "--no-scan", "--refresh")["cli_update"]
    assert (check["status"], check["value"]["cache"]["error"]["code"]) == ("unknown", code)


def test_the_version_check_can_be_switched_off(
    run: Run, wallet: Path, healthy: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUN402_NO_UPDATE_CHECK", "Yes")
    check = checks(run, "--no-scan", "--refresh")["cli_update"]
    assert (check["status"], check["value"]["cache"]["source"]) == ("skipped", "disabled")


@pytest.mark.parametrize(
    ("older", "newer"),
    [("1.2.3", "1.2.10"), ("1.0.0-alpha", "1.0.0"), ("1.0.0-alpha.2", "1.0.0-alpha.10"), ("1.0.0-1", "1.0.0-a")],
)
def test_versions_are_ordered(older: str, newer: str) -> None:
    assert update_check.is_older(older, newer) is True
    assert update_check.is_older(newer, older) is False
    assert update_check.is_older(older, older) is False
