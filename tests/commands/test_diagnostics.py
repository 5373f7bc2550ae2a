"""run402 logs, errors and events, as typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from pytest_httpx import HTTPXMock
from run_kit import BASE, Run

# -- logs ---------------------------------------------------------------------------------------------------------------

FUNCTIONS = f"{BASE}/projects/v1/admin/prj_1/functions"
REQUEST = ("--request-id", "req_abcd", "--project", "prj_1")


def test_logs_merges_the_functions_in_order_of_time(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=FUNCTIONS, json={"functions": [{"name": "a"}, {"name": "b"}, {"url": "nameless"}]})
    query = "tail=100&request_id=req_abcd"
    late = {"timestamp": "2026-03-15T00:00:02Z", "message": "late", "event_id": "1"}
    early = {"timestamp": "2026-03-15T00:00:01Z", "message": "early"}
    httpx_mock.add_response(url=f"{FUNCTIONS}/a/logs?{query}", json={"logs": [late]})
    httpx_mock.add_response(url=f"{FUNCTIONS}/b/logs?{query}", json={"logs": [{"message": "timeless"}, early]})
    result = run("logs", *REQUEST).json
    assert result == {
        "ok": True,
        "request_id": "req_abcd",
        "project_id": "prj_1",
        "scanned": ["a", "b"],
        "entries": [{"function": "b", "message": "timeless"}, {"function": "b", **early}, {"function": "a", **late}],
    }


def test_logs_reports_functions_that_cannot_be_read(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=FUNCTIONS, json={"functions": [{"name": "a"}, {"name": "b"}]})
    httpx_mock.add_response(url=f"{FUNCTIONS}/a/logs?tail=5&request_id=req_abcd", status_code=500, text="x")
    httpx_mock.add_response(url=f"{FUNCTIONS}/b/logs?tail=5&request_id=req_abcd", json={"logs": []})
    result = run("logs", *REQUEST, "--tail", "5").json
    assert (result["ok"], result["scanned"]) == (False, ["b"])
    assert result["errors"][0]["error"].startswith("a: ")


def test_logs_without_cached_keys_fails_or_says_so(run: Run, config_dir: Path) -> None:
    assert run("logs", *REQUEST).error["code"] == "PROJECT_CREDENTIAL_NOT_FOUND"
    result = run("logs", *REQUEST, "--function", "a").json
    assert (result["ok"], result["scanned"], len(result["errors"])) == (False, [], 1)


@pytest.mark.parametrize(
    "args",
    [
        ("--project", "prj_1"),
        ("--request-id", "fnrun_abcd", "--project", "prj_1"),
        ("--request-id", "req_x", "--project", "prj_1"),
        ("--request-id", "req_abcd"),  # the active project is not used
        (*REQUEST, "--tail", "0"),
        (*REQUEST, "--tail", "1001"),
        (*REQUEST, "--tail", "many"),
        (*REQUEST, "hello"),
    ],
)
def test_logs_usage_errors_send_nothing(run: Run, wallet: Path, args: tuple[str, ...]) -> None:
    assert run("logs", *args).error["code"] == "BAD_USAGE"


def test_logs_without_arguments_shows_its_help(run: Run, wallet: Path) -> None:
    outcome = run("logs")
    assert outcome.exit == 0
    assert "--request-id" in outcome.out


# -- events -------------------------------------------------------------------------------------------------------------


def test_events_passes_filters_and_page_through(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    page = {"events": [], "cursor": "evc_2", "has_more": False, "reset": True, "unknown": 1}
    httpx_mock.add_response(json=page, is_reusable=True)
    args = ("--cursor", "evc_1", "--limit", "5", "--source", "app", "--type", "a,b")
    assert run("events", *args).json == page
    assert run("events", "--org", "org/1").json == page
    assert [request.url.raw_path.decode() for request in httpx_mock.get_requests()] == [
        "/projects/v1/prj_1/events?cursor=evc_1&limit=5&source=app&event_type=a%2Cb",
        "/orgs/v1/org%2F1/events",
    ]
    assert all("SIGN-IN-WITH-X" in request.headers for request in httpx_mock.get_requests())


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("more",), "BAD_USAGE"),
        (("--org", "o", "--project", "p"), "BAD_USAGE"),
        (("--limit", "ten"), "BAD_FLAG"),
        (("--source", "web"), "BAD_FLAG"),
    ],
)
def test_events_usage_errors_send_nothing(run: Run, wallet: Path, args: tuple[str, ...], code: str) -> None:
    assert run("events", *args).error["code"] == code


def test_events_needs_a_project_or_an_organization(run: Run, config_dir: Path) -> None:
    assert run("events").error["code"] == "PROJECT_REQUIRED"


# -- errors -------------------------------------------------------------------------------------------------------------

ERRORS = f"{BASE}/projects/v1/prj_1/errors"
SAMPLE = {"id": "req_new1", "at": "2026-03-15T00:00:00.000Z", "release_id": None}
ROW: dict[str, Any] = {
    "fingerprint_id": "fp_1",
    "function": "hello",
    "kind": "uncaught",
    "fingerprint_quality": "coarse",
    "error_name": "TypeError",
    "message_template": "x\x1b[31m" + "y" * 200,
    "stable_frames": ["at a.ts"],
    "count": 12345,
    "first_seen": "2026-03-15T00:00:00.000Z",
    "last_seen": "2026-03-15T00:00:00.000Z",
    "first_seen_release_id": None,
    "last_seen_release_id": "rel_2",
    "samples": {"first": SAMPLE, "recent": [SAMPLE]},
    "next_actions": [],
}


def page(new: int, rows: int = 0, **extra: Any) -> dict[str, Any]:
    verdict = {
        "window": {"since": "2026-03-14T00:00:00.000Z", "until": "2026-03-15T00:00:00.000Z"},
        "compared_release_id": "rel_2",
        "baseline_release_id": None,
        "new_fingerprints": new,
        "recurring_fingerprints": 0,
        "invocations_in_window": 0,
        "coverage": {"full_fidelity_functions": 1, "coarse_functions": 1},
        "row_cap": {"limit": 1000, "at_cap": True},
    }
    return {"verdict": verdict, "errors": [ROW] * rows, "has_more": False, **extra}


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Time passes by sleeping only."""
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    monkeypatch.setattr("time.monotonic", lambda: sum(slept))
    return slept


def test_the_list_shows_every_fact_and_no_control_characters(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json=page(1, rows=2, has_more=True, next_cursor="c 2"))
    text = run("errors", "--since", "2026-03-14T00:00:00Z", "--function", "hello", "--limit", "2").out
    facts = ("rel_2", "none", "1 new", "0 recurring", "coarse", "1,000", "fp_1", "uncaught", "x12,345", "TypeError")
    for fact in (*facts, "fn:hello", "[coarse]", "--cursor 'c 2'", "run402 functions logs hello --request-id req_new1"):
        assert fact in text
    assert "\x1b" not in text
    assert "y" * 101 not in text
    request = httpx_mock.get_requests()[0]
    assert request.url.query == b"since=2026-03-14T00%3A00%3A00Z&function=hello&limit=2"
    assert request.headers["apikey"] == "svc_key_1"
    assert not {"authorization", "sign-in-with-x"} & set(request.headers)


def test_an_empty_list_without_traffic_proves_nothing(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json=page(0))
    assert "proves nothing" in run("errors").out


@pytest.mark.parametrize("answer", [{}, [], "text", {"verdict": 3, "errors": [{}, 4]}, {"errors": {}, "verdict": {}}])
def test_a_senseless_page_is_still_shown(run: Run, wallet: Path, httpx_mock: HTTPXMock, answer: Any) -> None:
    httpx_mock.add_response(json=answer, is_reusable=True)
    assert run("errors").exit == 0
    assert run("errors", "fp_1").exit == 0
    assert run("errors", "--json").json == answer


def test_detail_shows_releases_frames_and_samples(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=f"{ERRORS}/fp_1", json={**ROW, "also_seen_in_functions": ["other"]})
    text = run("errors", "fp_1").out
    for fact in ("unknown", "rel_2", "also seen in: other", "at a.ts", "first sample", "recent samples", "req_new1"):
        assert fact in text


@pytest.mark.parametrize(
    ("args", "code", "exit_code"),
    [
        (("fp_1", "fp_2"), "BAD_USAGE", 1),
        (("fp_1", "--limit", "5"), "BAD_USAGE", 1),
        (("fp_1", "--fail-on-new"), "BAD_USAGE", 1),
        (("--fail-on-new",), "BAD_USAGE", 2),
        (("--watch", "10m"), "BAD_USAGE", 1),
        (("--kind", "odd"), "BAD_FLAG", 1),
        (("--limit", "201"), "BAD_FLAG", 1),
        (("--new-in", "active", "--watch", "0"), "BAD_FLAG", 1),
        (("--new-in", "active", "--watch", "5d"), "BAD_FLAG", 1),
        (("--new-in", "active", "--watch", "5m", "--interval", "x"), "BAD_FLAG", 1),
        (("--new-in", "active", "--fail-on-new", "--limit", "0"), "BAD_FLAG", 1),
    ],
)
def test_errors_usage_errors_send_nothing(
    run: Run, wallet: Path, args: tuple[str, ...], code: str, exit_code: int
) -> None:
    outcome = run("errors", *args)
    assert (outcome.exit, outcome.out) == (exit_code, "")
    assert json.loads(outcome.err.splitlines()[-1])["code"] == code


GATE = ("errors", "--new-in", "active", "--fail-on-new")


def test_the_gate_passes_and_fails_by_the_servers_count(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json=page(0, rows=3))
    passed = run(*GATE)
    assert (passed.exit, passed.out.split(":")[0]) == (0, "PASS")
    httpx_mock.add_response(json=page(3, rows=1))
    failed = run(*GATE)
    assert (failed.exit, failed.out.split(":")[0]) == (1, "FAIL")
    assert "3 new error identities" in failed.err
    assert "2 more are not shown" in failed.out
    assert "--request-id req_new1" in failed.out
    httpx_mock.add_response(json=page(3))
    as_json = run(*GATE, "--json")
    assert (as_json.exit, json.loads(as_json.out)) == (1, page(3))


@pytest.mark.parametrize(
    ("answer", "details"),
    [
        ({"status_code": 403, "json": {"code": "NOT_AUTHORIZED"}}, {"http": 403, "underlying_code": "NOT_AUTHORIZED"}),
        ({"status_code": 500, "text": "x"}, {"http": 500, "underlying_code": "API_ERROR"}),
        ({"json": {"errors": []}}, {"http": None, "underlying_code": None}),
    ],
)
def test_without_a_verdict_the_gate_exits_2(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, answer: dict[str, Any], details: dict[str, Any]
) -> None:
    httpx_mock.add_response(**answer)
    outcome = run(*GATE)
    error = json.loads(outcome.err)
    assert (outcome.exit, error["code"], error["retryable"], error["details"]) == (
        2,
        "VERDICT_UNAVAILABLE",
        True,
        details,
    )


def test_a_gate_without_keys_exits_2(run: Run, wallet: Path) -> None:
    outcome = run(*GATE, "--project", "prj_unknown")
    assert outcome.exit == 2
    assert json.loads(outcome.err)["details"]["underlying_code"] == "PROJECT_CREDENTIAL_NOT_FOUND"


def test_watch_polls_for_the_whole_window_and_once_more(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, pauses: list[float]
) -> None:
    httpx_mock.add_response(json=page(0), is_reusable=True)
    outcome = run("errors", "--new-in", "active", "--watch", "1M", "--function", "ignored", "--json")
    assert outcome.json == page(0)
    assert pauses == [15, 15, 15, 15]
    assert len(outcome.err.splitlines()) == 5
    assert {str(request.url) for request in httpx_mock.get_requests()} == {f"{ERRORS}?new_in=active"}


def test_a_watching_gate_stops_at_the_first_new_identity(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, pauses: list[float]
) -> None:
    httpx_mock.add_response(json=page(0))
    httpx_mock.add_response(json=page(1, rows=1))
    outcome = run(*GATE, "--watch", "10m", "--interval", "1")
    assert (outcome.exit, pauses) == (1, [5])
    assert "raised to 5s" in outcome.err


def test_watch_tolerates_two_failures_in_a_row(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, pauses: list[float]
) -> None:
    httpx_mock.add_response(status_code=503)
    httpx_mock.add_exception(httpx.ConnectError("refused"))
    httpx_mock.add_response(json=page(0))
    httpx_mock.add_response(status_code=429)
    httpx_mock.add_response(json=page(0))
    assert run(*GATE, "--watch", "20s", "--interval", "5s").exit == 0


def test_watch_ends_after_three_failures_and_at_once_for_a_refusal(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, pauses: list[float]
) -> None:
    httpx_mock.add_response(status_code=503, is_reusable=True)
    error = run("errors", "--new-in", "active", "--watch", "1h").error
    assert (error["http"], len(httpx_mock.get_requests())) == (503, 3)
    httpx_mock.reset()
    httpx_mock.add_response(status_code=403)
    assert run("errors", "--new-in", "active", "--watch", "1h").error["http"] == 403
