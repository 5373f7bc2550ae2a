"""Logs of functions: what is kept, how it is found, what is taken out."""

from __future__ import annotations

import json

import pytest
from functions_kit import Functions, handler

from run402_cli.core.diagnostics.redaction import redact

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
        ("a secret-santa party", "a secret-santa party"),
        ("the value hunter2", "the value [redacted]"),
        ("nothing here", "nothing here"),
    ],
)
def test_what_looks_like_a_credential_is_taken_out(text: str, clean: str) -> None:
    assert redact(text, ["hunter2"]) == clean
