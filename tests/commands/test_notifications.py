"""run402 notifications and webhook-secret, as typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from pytest_httpx import HTTPXMock
from run_kit import BASE, Run

from run402_cli.services import notifications

ROOT = f"{BASE}/agent/v1/notifications"
STARTED = {
    "binding_id": "bnd_1",
    "status": "pending",
    "connect_url": "https://t.test/connect",
    "connect_group_url": "https://t.test/group",
    "code_expires_at": "2090-01-01T00:00:00Z",
}


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waits: list[float] = []
    monkeypatch.setattr(notifications.time, "sleep", waits.append)
    monkeypatch.setattr(notifications.time, "monotonic", lambda: sum(waits))
    return waits


def binding(status: str) -> dict[str, Any]:
    return {"telegram": [{"id": "other", "status": "active"}, {"id": "bnd_1", "status": status}]}


def test_list_sends_its_filters_in_order(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"notifications": []})
    run("notifications", "list", "--after", "c", "--limit", "200", "--since", "2026-01-01T00:00:00Z", "--type", "a b")
    assert (
        str(httpx_mock.get_requests()[0].url) == f"{ROOT}?type=a%20b&since=2026-01-01T00%3A00%3A00Z&limit=200&after=c"
    )


def test_preferences_are_sent_in_their_types_and_later_pairs_win(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="PATCH", url=f"{ROOT}/preferences", json={}, is_reusable=True)
    pairs = ("digest_hour_utc=7", "locale=de", "locale=en=x", "webhook_url=null", "threshold_alerts=", "timezone=UTC")
    run("notifications", "preferences", "set", *pairs)
    assert json.loads(httpx_mock.get_requests()[-1].content) == {
        "digest_hour_utc": 7,
        "locale": "en=x",
        "webhook_url": None,
        "threshold_alerts": "",
        "timezone": "UTC",
    }
    run("notifications", "preferences", "--json", "set")
    assert json.loads(httpx_mock.get_requests()[-1].content) == {}


def test_connect_waits_for_the_tap(run: Run, wallet: Path, httpx_mock: HTTPXMock, slept: list[float]) -> None:
    httpx_mock.add_response(method="POST", url=f"{ROOT}/channels/telegram", json=STARTED)
    channels = f"{ROOT}/channels"
    httpx_mock.add_response(method="GET", url=channels, json=binding("pending"))
    httpx_mock.add_response(method="GET", url=channels, status_code=503, json={"message": "busy"})
    httpx_mock.add_exception(httpx.ConnectError("gone"), method="GET", url=channels)
    httpx_mock.add_response(method="GET", url=channels, json=binding("active"))
    outcome = run("notifications", "channels", "connect", "telegram", "--label", "phone")
    assert outcome.json == {**STARTED, "connected": True, "binding": {"id": "bnd_1", "status": "active"}}
    assert slept == [3, 3, 3]
    assert "https://t.test/connect" in outcome.err
    assert "busy" in outcome.err
    assert json.loads(httpx_mock.get_requests()[0].content) == {"label": "phone"}


@pytest.mark.parametrize(
    ("expires", "looks"),
    [
        ("2020-01-01T00:00:00Z", 1),
        (None, 401),  # 20 minutes
        ("2090-01-01T00:00:00Z", 1201),  # an hour at most
    ],
)
def test_a_link_that_nobody_taps_ends_with_exit_1(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, slept: list[float], expires: str | None, looks: int
) -> None:
    httpx_mock.add_response(method="POST", json={**STARTED, "code_expires_at": expires})
    httpx_mock.add_response(method="GET", json=binding("pending"), is_reusable=True)
    outcome = run("notifications", "channels", "connect", "telegram")
    result = json.loads(outcome.out)
    assert (outcome.exit, result["connected"], result["timed_out"]) == (1, False, True)
    assert len(httpx_mock.get_requests()) == 1 + looks


def test_a_rule_holds_the_given_dimensions_only(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="POST", url=f"{ROOT}/rules", json={"id": "r"}, is_reusable=True)
    run("notifications", "rules", "add", "--binding", "b")
    assert json.loads(httpx_mock.get_requests()[-1].content) == {"telegram_binding_id": "b"}
    run("notifications", "rules", "add", "--binding", "b", "--type", " a, ,b", "--class", ",", "--source", "app")
    assert json.loads(httpx_mock.get_requests()[-1].content) == {
        "telegram_binding_id": "b",
        "source": "app",
        "event_types": ["a", "b"],
        "classes": [],
    }


def test_the_rest_passes_through(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    for method, path, args in (
        ("GET", "/n%2F1", ("get", "n/1")),
        ("GET", "/preferences", ("preferences",)),
        ("GET", "/channels", ("channels", "list")),
        ("DELETE", "/channels/telegram/b%2F1", ("channels", "revoke", "b/1")),
        ("GET", "/rules", ("rules", "list")),
        ("DELETE", "/rules/r", ("rules", "rm", "r")),
    ):
        httpx_mock.add_response(method=method, url=ROOT + path, json={"x": 1})
        assert run("notifications", *args).json == {"x": 1}
    httpx_mock.add_response(method="POST", url=f"{ROOT}/test", json={"x": 1})
    run("notifications", "test", "--type", "t")
    assert json.loads(httpx_mock.get_requests()[-1].content) == {"event_type": "t"}


@pytest.mark.parametrize("group", ["channels", "rules"])
def test_a_group_without_action_shows_help_and_fails(run: Run, wallet: Path, group: str) -> None:
    outcome = run("notifications", group)
    assert (outcome.exit, "list" in outcome.out) == (1, True)
    assert outcome.err.endswith(f"Next: run402 notifications {group} list\n")
    assert run("notifications", group, "--help").exit == 0
    error = run("notifications", group, "lst").error
    assert (error["code"], error["details"]["closest"]) == ("UNKNOWN_SUBCOMMAND", ["list"])


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("list", "word"), "BAD_USAGE"),
        (("list", "--limit", "x"), "BAD_FLAG"),
        (("list", "--limit", "0"), "BAD_FLAG"),
        (("get",), "BAD_USAGE"),
        (("get", "a", "b"), "BAD_USAGE"),
        (("preferences", "get"), "BAD_USAGE"),
        (("preferences", "set", "=x"), "BAD_USAGE"),
        (("preferences", "set", "x"), "BAD_USAGE"),
        (("preferences", "set", "digest_hour_utc=late"), "BAD_USAGE"),
        (("test", "--source", "x"), "BAD_FLAG"),
        (("test", "word"), "BAD_USAGE"),
        (("channels", "connect"), "BAD_USAGE"),
        (("channels", "connect", "slack"), "BAD_USAGE"),
        (("channels", "connect", "telegram", "x"), "BAD_USAGE"),
        (("channels", "connect", "telegram", "--label"), "BAD_FLAG"),
        (("channels", "revoke"), "BAD_USAGE"),
        (("rules", "add"), "BAD_USAGE"),
        (("rules", "add", "--binding", "b", "--source", "x"), "BAD_FLAG"),
        (("rules", "rm", "a", "b"), "BAD_USAGE"),
    ],
)
def test_wrong_arguments_send_nothing(run: Run, wallet: Path, args: tuple[str, ...], code: str) -> None:
    assert run("notifications", *args).error["code"] == code


@pytest.mark.parametrize(
    "args",
    [
        ("notifications", "list"),
        ("notifications", "get", "n"),
        ("notifications", "preferences"),
        ("notifications", "preferences", "set", "x"),  # the wallet first
        ("notifications", "test"),
        ("notifications", "channels", "connect", "telegram"),
        ("notifications", "channels", "list"),
        ("notifications", "channels", "revoke", "b"),
        ("notifications", "rules", "add", "--binding", "b"),
        ("notifications", "rules", "list"),
        ("notifications", "rules", "rm", "r"),
        ("webhook-secret", "rotate"),
    ],
)
def test_without_a_wallet_nothing_is_sent(run: Run, args: tuple[str, ...]) -> None:
    assert run(*args).error["code"] == "NO_ALLOWANCE"


def test_rotate_shows_the_secret_once_and_says_so(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    answer = {"webhook_signing_secret": "whsec_1", "grace_window_hours": 24}
    httpx_mock.add_response(method="POST", url=f"{BASE}/agent/v1/webhook-secret/rotate", json=answer)
    outcome = run("webhook-secret", "rotate")
    assert outcome.json == answer
    assert "whsec_1" not in outcome.err
    assert "24 hours" in outcome.err
    assert httpx_mock.get_requests()[0].content == b""
