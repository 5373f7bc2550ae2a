"""run402 functions, as typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pytest_httpx import HTTPXMock
from run_kit import BASE, Run

from run402_cli.client import Client
from run402_cli.errors import Interrupted
from run402_cli.services import function_runs, functions

RUN = {"run_id": "fnrun_1234", "status": "queued", "terminal": False}
SOURCE = "export default async (req) => new Response('ok')\n"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    return pauses


def paths(httpx_mock: HTTPXMock) -> list[tuple[str, str]]:
    return [(request.method, request.url.raw_path.decode()) for request in httpx_mock.get_requests()]


# -- deploy -------------------------------------------------------------------------------------------------------------


def plan(httpx_mock: HTTPXMock, **urls: str) -> None:
    answer = {"plan_id": "plan_1", "operation_id": "op_1", "missing_content": [], "warnings": []}
    httpx_mock.add_response(method="POST", url=f"{BASE}/apply/v1/plans", json=answer)
    ready = {"operation_id": "op_1", "status": "ready", "release_id": "rel_1", "urls": urls}
    httpx_mock.add_response(method="POST", url=f"{BASE}/apply/v1/plans/plan_1/commit", json=ready)
    httpx_mock.add_response(url=f"{BASE}/apply/v1/operations/op_1/events?limit=100", json={"events": []})


def test_deploy_patches_one_function(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    Path("fn.js").write_text(SOURCE)
    plan(httpx_mock, hello="https://x.test/hello")
    result = run("functions", "deploy", "hello", "--file", "fn.js", "--deps", "zod@3, @scope/a@^1").json
    assert result["url"] == "https://x.test/hello"
    assert (result["status"], result["timeout"], result["memory"], result["schedule"]) == ("deployed", 15, 128, None)
    spec = json.loads(httpx_mock.get_requests()[0].content)["spec"]
    function = spec["functions"]["patch"]["set"]["hello"]
    assert function["deps"] == ["zod@3", "@scope/a@^1"]
    assert function["source"]["content_type"] == "text/javascript; charset=utf-8"
    assert "config" not in function
    assert "schedule" not in function


def test_a_function_named_like_an_address_of_the_release_has_its_own_url(
    run: Run, wallet: Path, httpx_mock: HTTPXMock
) -> None:
    plan(httpx_mock, site="https://x.test")
    assert run("functions", "deploy", "site", "--file", "-", stdin=SOURCE).json["url"] == f"{BASE}/functions/v1/site"


def test_deploy_sends_limits_and_schedule_after_the_tier_check(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=f"{BASE}/tiers/v1/status", json={"tier": "team"})
    httpx_mock.add_response(url=f"{BASE}/apply/v1/releases/active?site_limit=1", json={"functions": []})
    plan(httpx_mock)
    args = ("--timeout", "20", "--memory", "256", "--schedule", "0 6 * * *")
    result = run("functions", "deploy", "hello", "--file", "-", *args, stdin=SOURCE).json
    assert (result["timeout"], result["memory"], result["schedule"]) == (20, 256, "0 6 * * *")
    body = next(r for r in httpx_mock.get_requests() if r.url.path == "/apply/v1/plans").content
    function = json.loads(body)["spec"]["functions"]["patch"]["set"]["hello"]
    assert function["config"] == {"timeout_seconds": 20, "memory_mb": 256}
    assert function["schedule"] == "0 6 * * *"


def test_deploy_beyond_the_tier_is_refused_before_the_plan(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=f"{BASE}/tiers/v1/status", json={"tier": "prototype"})
    error = run("functions", "deploy", "hello", "--file", "-", "--timeout", "60", stdin=SOURCE).error
    assert error["code"] == "BAD_FIELD"
    assert error["details"]["limit_source"] == "local_static_fallback"
    assert paths(httpx_mock) == [("GET", "/tiers/v1/status")]


@pytest.mark.parametrize(
    ("args", "stdin", "code"),
    [
        ((), "", "BAD_USAGE"),
        (("hello",), "", "BAD_USAGE"),
        (("hello", "more", "--file", "-"), SOURCE, "BAD_USAGE"),
        (("hello", "--file", "missing.js"), "", "FILE_NOT_FOUND"),
        (("hello", "--file", "."), "", "NOT_A_FILE"),
        (("hello", "--file", "-", "--timeout", "0"), SOURCE, "BAD_FLAG"),
        (("hello", "--file", "-", "--memory", "1.5"), SOURCE, "BAD_FLAG"),
        (("hello", "--file", "-", "--deps", "a,,b"), SOURCE, "BAD_USAGE"),
        (("hello", "--file", "-", "--deps", ""), SOURCE, "BAD_USAGE"),
        (("Hello", "--file", "-"), SOURCE, "LOCAL_ERROR"),
        (("hello", "--file", "-"), " \n", "LOCAL_ERROR"),
        (("hello", "--file", "-"), b"\xff", "BAD_FILE"),
        (("hello", "--file", "-", "--deps", ",".join(f"a{n}" for n in range(31))), SOURCE, "LOCAL_ERROR"),
        (("hello", "--file", "-", "--deps", "a b"), SOURCE, "LOCAL_ERROR"),
        (("hello", "--file", "-", "--deps", "a" * 201), SOURCE, "LOCAL_ERROR"),
        (("hello", "--file", "-", "--deps", "@run402/functions@3"), SOURCE, "LOCAL_ERROR"),
        (("hello", "--file", "-", "--deps", "sharp"), SOURCE, "LOCAL_ERROR"),
        (("hello", "--file", "-", "--schedule", "* * * *"), SOURCE, "LOCAL_ERROR"),
        (("prj_unknown", "hello", "--file", "-"), SOURCE, "PROJECT_CREDENTIAL_NOT_FOUND"),
    ],
)
def test_deploy_errors_send_nothing(
    run: Run, wallet: Path, args: tuple[str, ...], stdin: str | bytes, code: str
) -> None:
    assert run("functions", "deploy", *args, stdin=stdin).error["code"] == code


# -- changes ------------------------------------------------------------------------------------------------------------


def test_update_sends_what_was_given(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"name": "a/b"}, is_reusable=True)
    run("functions", "update", "a/b", "--schedule", "*/15 * * * *", "--timeout", "5", "--memory", "128")
    run("functions", "update", "hello", "--schedule", "")
    run("functions", "update", "hello", "--schedule-remove")
    assert [(r.url.raw_path.decode(), json.loads(r.content)) for r in httpx_mock.get_requests()] == [
        (
            "/projects/v1/admin/prj_1/functions/a%2Fb",
            {"schedule": "*/15 * * * *", "config": {"timeout": 5, "memory": 128}},
        ),
        ("/projects/v1/admin/prj_1/functions/hello", {"schedule": None}),
        ("/projects/v1/admin/prj_1/functions/hello", {"schedule": None}),
    ]


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("update", "hello"), "BAD_USAGE"),
        (("update", "hello", "--schedule", "x", "--schedule-remove"), "BAD_USAGE"),
        (("update", "hello", "--schedule", "x"), "LOCAL_ERROR"),
        (("update", "hello", "--timeout", "x"), "BAD_FLAG"),
        (("rebuild",), "BAD_USAGE"),
        (("rebuild", "hello", "--all"), "BAD_USAGE"),
        (("rebuild", "hello", "other"), "BAD_USAGE"),
        (("rebuild", "Hello"), "LOCAL_ERROR"),
        (("list", "hello"), "BAD_USAGE"),
        (("delete",), "BAD_USAGE"),
        (("delete", "hello", "more"), "BAD_USAGE"),
    ],
)
def test_usage_errors_of_changes_send_nothing(run: Run, wallet: Path, args: tuple[str, ...], code: str) -> None:
    assert run("functions", *args).error["code"] == code


def test_rebuild_all_adds_a_hint_to_functions_that_cannot_be_rebuilt(
    run: Run, wallet: Path, httpx_mock: HTTPXMock
) -> None:
    rows = [{"name": "a", "rebuilt": True}, {"name": "b", "rebuilt": False, "code": "CANNOT_REBUILD_UNLOCKED_DEPS"}]
    httpx_mock.add_response(url=f"{BASE}/projects/v1/prj_1/functions/rebuild", json={"total": 2, "results": rows})
    results = run("functions", "rebuild", "--all").json["results"]
    assert "hint" not in results[0]
    assert "functions deploy b" in results[1]["hint"]


def test_rebuild_of_unlocked_dependencies_says_how_to_deploy(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    body = {"code": "CANNOT_REBUILD_UNLOCKED_DEPS", "message": "never locked"}
    httpx_mock.add_response(status_code=409, json=body)
    error = run("functions", "rebuild", "hello").error
    assert (error["code"], error["message"], error["safe_to_retry"]) == (body["code"], "never locked", False)
    assert error["next_actions"][0]["type"] == "deploy"
    assert "http" not in error


# -- invoke -------------------------------------------------------------------------------------------------------------


def test_invoke_sends_the_body_byte_for_byte(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(status_code=201, json={"ok": 1})
    result = run("functions", "invoke", "a/b", "--body", '{ "b" : 1.0, "b":2 }', "--idempotency-key", "k").json
    assert (result["http_status"], result["body"]) == (201, {"ok": 1})
    assert isinstance(result["duration_ms"], int)
    request = httpx_mock.get_requests()[0]
    assert request.content == b'{ "b" : 1.0, "b":2 }'
    assert request.url.raw_path == b"/functions/v1/a%2Fb"
    assert request.headers["apikey"] == "svc_key_1"
    assert "authorization" not in request.headers
    assert (request.headers["content-type"], request.headers["idempotency-key"]) == ("application/json", "k")


@pytest.mark.parametrize(
    ("answer", "printed"),
    [
        ({"text": "hi"}, "hi"),
        ({"text": '{ "a":1.10,"a":1e400 }', "headers": {"content-type": "application/json"}}, '{ "a":1.10,"a":1e400 }'),
        ({"text": ""}, ""),
        ({"text": "{", "headers": {"content-type": "application/json"}}, "{"),
    ],
)
def test_invoke_raw_prints_the_body_as_it_came(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, answer: dict[str, Any], printed: str
) -> None:
    httpx_mock.add_response(**answer)
    assert run("functions", "invoke", "hello", "--method", "GET", "--body", "1", "--raw").out == printed
    assert httpx_mock.get_requests()[0].content == b""


@pytest.mark.parametrize("text", ["", "{x", "undefined", "NaN", "[" * 100_000])
@pytest.mark.parametrize("inline", [True, False])
def test_a_body_that_is_not_json_is_refused_here(run: Run, wallet: Path, text: str, inline: bool) -> None:
    Path("body.json").write_text(text)
    flag, value = ("--body", text) if inline else ("--body-file", "body.json")
    error = run("functions", "invoke", "hello", flag, value, "--method", "GET").error
    assert (error["code"], error["details"]["flag"]) == ("FUNCTION_BODY_INVALID_JSON", flag)
    assert len(error["details"]["value_preview"]) <= 48
    assert "--body-file" in error["next_actions"][0]["command"]


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ((), "BAD_USAGE"),
        (("hello", "--body", "1", "--body-file", "x"), "FUNCTION_BODY_SOURCE_CONFLICT"),
        (("hello", "--body-file", "missing"), "FILE_NOT_FOUND"),
        (("hello", "--method", "PO ST"), "BAD_FLAG"),
        (("hello", "--idempotency-key", "a\nb"), "BAD_FLAG"),
        (("hello", "--wait", "--timeout-ms", "0"), "BAD_FLAG"),
        (("hello", "--wait", "--poll-interval-ms", "-1"), "BAD_FLAG"),
    ],
)
def test_invoke_usage_errors_send_nothing(run: Run, wallet: Path, args: tuple[str, ...], code: str) -> None:
    assert run("functions", "invoke", *args).error["code"] == code


def test_a_body_with_bytes_that_are_no_text_is_refused_here(run: Run, wallet: Path) -> None:
    assert run("functions", "invoke", "hello", "--body", '"\udcff"').error["code"] == "BAD_USAGE"


def test_an_error_of_the_function_keeps_its_status_and_body(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(status_code=500, json={"error": "boom", "request_id": "req_1"})
    error = run("functions", "invoke", "hello").error
    assert (error["http"], error["message"], error["request_id"]) == (500, "boom", "req_1")
    httpx_mock.add_response(status_code=418, text="teapot")
    assert run("functions", "invoke", "hello").error["body_preview"] == "teapot"


def test_invoke_wait_repeats_the_call_when_it_has_a_key(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    call, run_url = f"{BASE}/functions/v1/hello", f"{BASE}/functions/v1/runs/fnrun_1234"
    httpx_mock.add_response(method="POST", url=call, status_code=202, json=RUN)
    httpx_mock.add_response(url=run_url, json=RUN)
    httpx_mock.add_response(url=run_url, json={**RUN, "terminal": True, "status": "succeeded"})
    httpx_mock.add_response(method="POST", url=call, json={"done": True})
    result = run("functions", "invoke", "hello", "--wait", "--idempotency-key", "k").json
    assert (result["http_status"], result["body"]) == (200, {"done": True})
    first, *_, last = httpx_mock.get_requests()
    assert first.headers["idempotency-key"] == last.headers["idempotency-key"] == "k"


def test_invoke_wait_without_a_key_prints_the_first_answer(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="POST", status_code=202, json=RUN)
    httpx_mock.add_response(method="GET", json={**RUN, "terminal": True, "status": "succeeded"})
    assert run("functions", "invoke", "hello", "--wait").json["body"] == RUN


# -- logs ---------------------------------------------------------------------------------------------------------------


def test_logs_sends_its_filters_and_fills_in_a_missing_list(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={})
    args = ("--since", "2026-03-15T00:00:00Z", "--request-id", "fnatt_1234")
    assert run("functions", "logs", "hello", *args).json == {"logs": []}
    query = "tail=50&since=1773532800000&request_id=fnatt_1234"
    assert paths(httpx_mock) == [("GET", f"/projects/v1/admin/prj_1/functions/hello/logs?{query}")]


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ((), "BAD_USAGE"),
        (("hello", "--tail", "0"), "BAD_FLAG"),
        (("hello", "--tail", "1001"), "BAD_FLAG"),
        (("hello", "--since", "2026-03-15"), "BAD_USAGE"),
        (("hello", "--since", "2026-02-30T00:00:00Z"), "BAD_USAGE"),
        (("hello", "--request-id", "req_x"), "BAD_USAGE"),
    ],
)
def test_logs_usage_errors_send_nothing(run: Run, wallet: Path, args: tuple[str, ...], code: str) -> None:
    assert run("functions", "logs", *args).error["code"] == code


def entry(millis: int, event_id: str) -> dict[str, str]:
    return {"timestamp": f"2026-03-15T00:00:00.{millis:03}Z", "event_id": event_id, "message": "m"}


def test_follow_prints_each_entry_once_and_ends_well_on_ctrl_c(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    httpx_mock.add_response(json={"logs": [entry(1, "a"), entry(5, "b")]})
    httpx_mock.add_response(json={"logs": [entry(5, "b"), entry(5, "c"), entry(7, "d")]})
    httpx_mock.add_response(json={"logs": [entry(7, "d")]})
    left = [3.0, 3.0]

    def sleep(seconds: float) -> None:
        if not left:
            raise Interrupted("SIGINT", 130)
        assert seconds == left.pop()

    monkeypatch.setattr("time.sleep", sleep)
    outcome = run("functions", "logs", "hello", "--follow", "--tail", "9")
    assert (outcome.exit, outcome.err) == (0, "")
    assert [json.loads(line)["event_id"] for line in outcome.out.splitlines()] == ["a", "b", "c", "d"]
    queries = [request.url.query.decode() for request in httpx_mock.get_requests()]
    assert queries == ["tail=9", "tail=9&since=1773532800005", "tail=9&since=1773532800007"]


def test_follow_reads_on_when_more_than_the_tail_is_new(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [entry(number, str(number)) for number in range(1, 9)]
    httpx_mock.add_response(json={"logs": many[:2]})
    httpx_mock.add_response(json={"logs": many[6:]})
    httpx_mock.add_response(json={"logs": many[1:]})
    ends = iter([False, True])

    def sleep(_seconds: float) -> None:
        if next(ends):
            raise Interrupted("SIGTERM", 143)

    monkeypatch.setattr("time.sleep", sleep)
    outcome = run("functions", "logs", "hello", "--follow", "--tail", "2")
    assert outcome.exit == 0
    assert [json.loads(line)["event_id"] for line in outcome.out.splitlines()] == list("12345678")
    assert [request.url.params["tail"] for request in httpx_mock.get_requests()] == ["2", "2", "1000"]


def test_follow_reports_a_first_failure_at_once(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(status_code=503, json={"code": "DOWN"})
    assert run("functions", "logs", "hello", "--follow").error["code"] == "DOWN"


def test_follow_ends_when_waiting_cannot_help(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"logs": []})
    httpx_mock.add_response(status_code=404, json={"code": "FUNCTION_NOT_FOUND"})
    assert run("functions", "logs", "hello", "--follow").error["code"] == "FUNCTION_NOT_FOUND"


def test_follow_gives_up_in_the_end_with_growing_but_bounded_pauses(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, pauses = [0.0], []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr("time.sleep", sleep)
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    httpx_mock.add_response(json={"logs": []})
    httpx_mock.add_response(status_code=503, json={"code": "DOWN"}, is_reusable=True)
    outcome = run("functions", "logs", "hello", "--follow")
    assert outcome.error["code"] == "DOWN"
    assert pauses[:7] == [3.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0]
    assert max(pauses) == 30.0
    assert outcome.err.count("Connection lost") == 1


# -- runs ---------------------------------------------------------------------------------------------------------------


def test_runs_create_sends_the_intent(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="POST", url=f"{BASE}/functions/v1/hello/runs", json=RUN)
    args = ("--event-type", "e", "--idempotency-key", "k", "--payload-json", '{"a":1}', "--run-at", "2099-01-01")
    more = ("--expires-at", "2099-01-02T00:00:00+01:00", "--retry-preset", "gentle")
    assert run("functions", "runs", "create", "hello", *args, *more).json == RUN
    request = httpx_mock.get_requests()[0]
    assert json.loads(request.content) == {
        "event_type": "e",
        "idempotency_key": "k",
        "payload": {"a": 1},
        "run_at": "2099-01-01T00:00:00.000Z",
        "expires_at": "2099-01-01T23:00:00.000Z",
        "retry": {"preset": "gentle"},
    }
    assert request.headers["idempotency-key"] == "k"


BASIC = ("create", "hello", "--event-type", "e", "--idempotency-key", "k")


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("create",), "BAD_USAGE"),
        (("create", "hello", "more"), "BAD_USAGE"),
        (("create", "hello", "--idempotency-key", "k"), "BAD_USAGE"),
        (("create", "hello", "--event-type", "e"), "BAD_USAGE"),
        (("create", "hello", "--event-type", " ", "--idempotency-key", "k"), "LOCAL_ERROR"),
        (("create", "Hello", *BASIC[2:]), "LOCAL_ERROR"),
        ((*BASIC, "--payload-json", "[1]"), "BAD_USAGE"),
        ((*BASIC, "--payload-json", "{x"), "BAD_USAGE"),
        ((*BASIC, "--delay", "5m", "--run-at", "2099-01-01"), "LOCAL_ERROR"),
        ((*BASIC, "--delay", "5 fortnights"), "LOCAL_ERROR"),
        ((*BASIC, "--run-at", "soon"), "LOCAL_ERROR"),
        ((*BASIC, "--expires-at", "2001-01-01"), "LOCAL_ERROR"),
        ((*BASIC, "--delay", "2h", "--expires-after", "1h"), "LOCAL_ERROR"),
        ((*BASIC, "--max-attempts", "0"), "BAD_FLAG"),
        (("list", "hello", "--status", "nope"), "LOCAL_ERROR"),
        (("list", "hello", "--since", "2026-01-01"), "BAD_USAGE"),
        (("list", "hello", "--limit", "101"), "BAD_FLAG"),
        (("get", "run_1"), "LOCAL_ERROR"),
        (("get", "fnrun_1234", "more"), "BAD_USAGE"),
        (("logs", "fnrun_1234", "--tail", "0"), "BAD_FLAG"),
        (("logs", "fnrun_1234", "--since", "x"), "BAD_USAGE"),
        (("cancel",), "BAD_USAGE"),
        (("redrive", "fnrun_x"), "LOCAL_ERROR"),
        (("frobnicate",), "BAD_USAGE"),
    ],
)
def test_runs_usage_errors_send_nothing(run: Run, wallet: Path, args: tuple[str, ...], code: str) -> None:
    assert run("functions", "runs", *args).error["code"] == code


def test_runs_without_an_action_lists_the_actions(run: Run) -> None:
    outcome = run("functions", "runs")
    assert outcome.exit == 0
    assert all(action in outcome.out for action in ("create", "list", "get", "logs", "cancel", "redrive"))


def test_wait_prints_the_run_that_succeeded(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, no_pauses: list[float]
) -> None:
    done = {**RUN, "terminal": True, "status": "succeeded"}
    httpx_mock.add_response(method="POST", json=RUN)
    httpx_mock.add_response(method="GET", json=RUN)
    httpx_mock.add_response(method="GET", json=done)
    assert run("functions", "runs", *BASIC, "--wait", "--poll-interval-ms", "250").json == done
    assert no_pauses == [0.25]


def test_wait_fails_with_the_last_error_of_the_run(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="POST", json=RUN)
    failed = {**RUN, "terminal": True, "status": "failed", "last_error": {"code": "FN_TIMEOUT", "message": "too slow"}}
    httpx_mock.add_response(method="GET", json=failed)
    error = run("functions", "runs", "redrive", "fnrun_1234", "--wait").error
    assert (error["code"], error["message"]) == ("FN_TIMEOUT", "too slow")
    assert error["details"] == {"run_id": "fnrun_1234", "run_status": "failed"}


def test_wait_gives_up_after_its_time(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(100))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    httpx_mock.add_response(method="POST", json=RUN)
    httpx_mock.add_response(method="GET", json=RUN, is_reusable=True)
    error = run("functions", "runs", *BASIC, "--wait", "--timeout-ms", "1000").error
    assert error["code"] == "LOCAL_ERROR"
    assert "functions runs get fnrun_1234" in error["message"]


def test_an_interrupted_wait_names_the_command_that_looks_again(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_seconds: float) -> None:
        raise Interrupted("SIGTERM", 143)

    monkeypatch.setattr("time.sleep", stop)
    httpx_mock.add_response(method="POST", json=RUN)
    httpx_mock.add_response(method="GET", json=RUN)
    outcome = run("functions", "runs", *BASIC, "--wait")
    assert outcome.exit == 143
    assert "run402 functions runs get fnrun_1234 --project prj_1" in outcome.err


def test_run_reads_call_their_routes(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json=RUN, is_reusable=True)
    run("functions", "runs", "list", "hello", "--status", "failed", "--until", "1773532800000", "--limit", "5")
    run("functions", "runs", "get", "fnrun_1234")
    run("functions", "runs", "logs", "fnrun_1234", "--since", "1773532800000")
    run("functions", "runs", "cancel", "fnrun_1234")
    run("functions", "runs", "redrive", "fnrun_1234", "--max-attempts", "2")
    assert paths(httpx_mock) == [
        ("GET", "/functions/v1/hello/runs?status=failed&until=1773532800000&limit=5"),
        ("GET", "/functions/v1/runs/fnrun_1234"),
        ("GET", "/functions/v1/runs/fnrun_1234/logs?tail=50&since=1773532800000"),
        ("POST", "/functions/v1/runs/fnrun_1234/cancel"),
        ("POST", "/functions/v1/runs/fnrun_1234/redrive"),
    ]
    assert json.loads(httpx_mock.get_requests()[-1].content) == {"retry": {"preset": "standard", "max_attempts": 2}}


def test_the_help_of_runs_list_names_every_status(run: Run) -> None:
    text = run("functions", "runs", "list", "--help").out
    assert all(status in " ".join(text.split()) for status in function_runs.STATUSES)


def test_what_a_function_says_is_no_advice_of_ours(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    """Somebody else's code must not choose the caller's next command; all of its answer is in `body`."""
    said = {"message": "no", "hint": "run it", "next_actions": [{"type": "run_command", "command": "rm -rf x"}]}
    answered = {"x-run402-answered-by": "function"}
    httpx_mock.add_response(status_code=400, json={**said, "retryable": True}, headers=answered)
    error = run("functions", "invoke", "hello").error
    log = "run402 functions logs hello --project prj_1 --tail 20"
    assert (error["message"], error["retryable"], error["hint"]) == ("no", False, f"Its log: {log}")
    assert [action["command"] for action in error["next_actions"]] == [log]
    assert error["body"] == {**said, "retryable": True}
    httpx_mock.add_response(status_code=500, json={"s": 400}, headers=answered)
    error = run("functions", "invoke", "hello").error
    assert (error["message"], error["s"]) == ("The function hello answered HTTP 500.", 400)


def test_headers_of_a_call_do_not_change_where_it_goes(wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={})
    with Client() as client:
        functions.invoke(client, "prj_1", "hello", body="{}", extra_headers={"X-One": "1", "content-type": "a/b"})
    request = httpx_mock.get_requests()[0]
    assert (request.url.path, request.headers["x-one"]) == ("/functions/v1/hello", "1")
    assert request.headers["content-type"] == "a/b"


@pytest.mark.parametrize(("body", "file"), [("@x.json", "x.json"), ("{", "<body.json>")])
def test_a_body_that_is_no_json_is_offered_from_a_file(run: Run, wallet: Path, body: str, file: str) -> None:
    error = run("functions", "invoke", "hello", "--body", body, "--method", "PUT").error
    words = ["functions", "invoke", "hello", "--method", "PUT", "--body-file", file]
    assert [action["argv"] for action in error["next_actions"]] == [["run402", *words]]
