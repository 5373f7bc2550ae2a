"""Logs of functions: what is kept, how it is found, what is taken out."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from functions_kit import FRAME, Functions, handler
from gateway_kit import Live

from run402_cli.core.diagnostics.redaction import redact
from run402_cli.core.errors import GatewayError
from run402_cli.core.functions import logs as function_logs
from run402_cli.core.functions.logs import CallLog

TALKS = handler("console.log('said', new URL(req.url).search); console.error('cried'); return new Response('ok');")


def test_a_call_leaves_platform_and_printed_lines_in_order(functions: Functions) -> None:
    functions.deploy_routed(TALKS)
    request_id = functions.get("/api/x?a").headers["x-run402-request-id"]
    entries = functions.logs("api")
    assert [(entry["stream"], entry["level"]) for entry in entries] == [
        ("platform", "info"),
        ("stdout", "info"),
        ("stderr", "error"),
        ("platform", "info"),
    ]
    assert {entry["request_id"] for entry in entries} == {request_id}
    assert (entries[1]["message"], entries[2]["message"]) == ("said ?a\n", "cried\n")
    started, completed = json.loads(entries[0]["message"]), json.loads(entries[3]["message"])
    assert started == {
        "event": "function_invocation_started",
        "invocation_kind": "routed_http",
        "method": "GET",
        "path": "/api/x",
        "routePattern": "/api/*",
    }
    assert (completed["event"], completed["status"]) == ("function_invocation_completed", 200)


def test_tail_since_and_request_id_narrow_the_list(functions: Functions) -> None:
    functions.deploy({"api": TALKS})
    first = functions.call("api?1").headers["x-run402-request-id"]
    second = functions.call("api?2").headers["x-run402-request-id"]
    assert [entry["request_id"] for entry in functions.logs("api", tail=3)] == [second] * 3
    assert {entry["request_id"] for entry in functions.logs("api", request_id=first)} == {first}
    third = functions.logs("api", request_id=second)[0]["timestamp"]
    assert {entry["request_id"] for entry in functions.logs("api", since=third)} >= {second}
    assert functions.logs("api", since="2099-01-01T00:00:00Z") == []
    assert len({entry["event_id"] for entry in functions.logs("api")}) == 8


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({"tail": "0"}, "invalid_request"),
        ({"tail": "x"}, "invalid_request"),
        ({"since": "yesterday"}, "invalid_timestamp"),
        ({"since": "2026-13-01T00:00:00Z"}, "invalid_timestamp"),
        ({"request_id": "zz"}, "invalid_request_id"),
        ({"function_name": "a/b"}, "invalid_function_name"),
    ],
)
def test_bad_queries_are_refused(functions: Functions, query: dict[str, str], error: str) -> None:
    url = f"/projects/v1/{functions.id}/functions/logs"
    answer = functions.client.get(url, params=query, headers=functions.service)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_logs_need_the_service_key(functions: Functions) -> None:
    url = f"/projects/v1/admin/{functions.id}/functions/api/logs"
    assert functions.client.get(url, headers=functions.anon).status_code == 401


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Authorization: Bearer abc.def.ghi", "Authorization: [redacted]"),
        ("got Bearer abcdef123", "got Bearer [redacted]"),
        ('{"token":"abc123"}', '{"token":"[redacted]"}'),
        ("Authorization: Basic abcdef==", "Authorization: [redacted]"),
        ("cookie: a=1; b=2\nnext", "cookie: [redacted]\nnext"),
        ("key sk_live_4242abc", "key [redacted]"),
        ("r402_anon_0123456789abcdef", "[redacted]"),
        ("sk_a.b:c=d-4 and sk_:5", "[redacted] and sk_:5"),
        # Each `_a` could be read in two ways, and no reading ends where a word ends.
        ("sk" + "_a1" * 60 + "é", "sk" + "_a1" * 60 + "é"),
        ("api_key" + "__1" * 60 + "é", "api_key" + "__1" * 60 + "é"),
        ("a secret-santa party", "a secret-santa party"),
        ("the value hunter2", "the value [redacted]"),
        ("nothing here", "nothing here"),
    ],
)
def test_what_looks_like_a_credential_is_taken_out(text: str, clean: str) -> None:
    assert redact(text, ["hunter2"]) == clean


FORGED = {
    "a stream with NUL": """frame({ type: "log", stream: "x\\0", text: "hello" });""",
    # Half of a surrogate pair, as bytes that no escape stands for.
    "half a pair": """frame('{"type":"log","stream":"stdout","text":"hello \\xed\\xa0\\x80"}');""",
    "what the platform says": (
        """frame({ type: "log", stream: "platform", text: '{"event":"function_invocation_failed"}' });"""
    ),
}


@pytest.mark.parametrize("what", FORGED)
def test_forged_log_frames_lose_no_log_of_another_project(
    functions: Functions, client: httpx.Client, what: str
) -> None:
    other = Functions(client, client.post("/projects/v1", json={"name": "attacker"}).json())
    other.deploy({"evil": FRAME + handler(FORGED[what] + " return new Response('ok');")})
    functions.deploy({"api": TALKS})
    other.call("evil")
    functions.call("api?1")
    assert "said ?1" in functions.messages("api")
    assert {entry["stream"] for entry in other.logs("evil")} <= {"platform", "stdout", "stderr"}
    forged = '{"event":"function_invocation_failed"}'
    assert forged not in [entry["message"] for entry in other.logs("evil") if entry["stream"] == "platform"]


def _entry(project: str, message: str = "hello", **fields: Any) -> dict[str, Any]:
    made = CallLog(project, None, "f", f"req_{project}", ())
    made.printed("stdout", message)
    return {**made.entries[0], **fields}


@pytest.mark.parametrize("broken", [{"level": "in\0fo"}, {"function_name": None}, {"level": "\ud800"}])
def test_an_entry_that_cannot_be_stored_is_dropped_alone(
    functions: Functions, live: Live, broken: dict[str, Any]
) -> None:
    functions.deploy({"f": TALKS})
    logs = live.gateway.functions.logs
    entries = [_entry(functions.id, "before"), _entry(functions.id, "broken", **broken), _entry(functions.id, "after")]

    async def write() -> None:
        logs.add(entries)
        await logs.flush()

    live.run(write())
    assert [entry["message"] for entry in functions.logs("f")] == ["before", "after"]


def test_entries_wait_only_for_a_database_that_is_away(
    functions: Functions, live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    functions.deploy({"f": TALKS})
    logs = live.gateway.functions.logs

    async def away() -> None:
        live.gateway.database_lost = lambda: "it is away."
        logs.add([_entry(functions.id, "waited")])
        with pytest.raises(GatewayError):
            await logs.flush()
        live.gateway.database_lost = lambda: None
        await logs.flush()

    live.run(away())
    assert functions.messages("f") == "waited"


def test_who_prints_most_loses_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(function_logs, "MAX_PENDING", 10)
    many = [_entry("a", str(number)) for number in range(30)]
    kept = function_logs.bounded([_entry("b", "first"), *many, _entry("b", "last")])
    assert [entry["message"] for entry in kept if entry["project_id"] == "b"] == ["first", "last"]
    assert [entry["message"] for entry in kept if entry["project_id"] == "a"] == ["25", "26", "27", "28", "29"]
