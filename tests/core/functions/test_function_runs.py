"""Durable runs: written down before they happen, repeated until they succeed, visible afterwards."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
from functions_kit import Functions, handler

from run402_cli.core.functions import dispatch

ECHO = handler("console.log('run', await req.text()); return new Response('ok');")
FLAKY = "let n = 0;\n" + handler("n++; return new Response('x', { status: n < 3 ? 503 : 200 });")
QUICK = {"retry": {"max_attempts": 3, "min_delay_seconds": 0}}


def test_a_run_calls_the_function_once_and_keeps_what_happened(functions: Functions) -> None:
    functions.deploy({"job": ECHO})
    answer = functions.create_run("job", "k1", payload={"n": 1})
    assert answer.status_code == 202
    made = answer.json()
    assert (made["status"], made["terminal"], made["generation"]) == ("queued", False, 1)
    assert made["attempts"]["max"] == 5
    assert made["source"] == {"type": "api"}
    assert made["next_actions"] == [{"type": "cancel", "href": f"/functions/v1/runs/{made['run_id']}/cancel"}]
    run = functions.wait_for(made["run_id"], "succeeded")
    assert (run["attempts"]["current"], run["attempts"]["total"]) == (1, 1)
    assert run["last_attempt"]["response_status"] == 200
    assert [action["type"] for action in run["next_actions"]] == ["logs"]
    url = f"/functions/v1/runs/{run['run_id']}/logs"
    logged = functions.client.get(url, headers=functions.service).json()["logs"]
    printed = next(entry["message"] for entry in logged if entry["stream"] == "stdout")
    body = json.loads(printed.removeprefix("run "))
    assert (body["trigger"], body["run_id"], body["payload"]) == ("function_run", run["run_id"], {"n": 1})
    assert body["attempt"] == {"attempt_id": run["last_attempt"]["attempt_id"], "number": 1, "max": 5}


def test_a_repeat_is_the_same_run_and_another_intent_is_refused(functions: Functions) -> None:
    functions.deploy({"job": ECHO})
    first = functions.create_run("job", "k", delay_seconds=60).json()
    again = functions.create_run("job", "k", delay_seconds=60)
    assert again.status_code == 200
    assert (again.json()["run_id"], again.json()["deduplicated"]) == (first["run_id"], True)
    other = functions.create_run("job", "k", event_type="another")
    assert (other.status_code, other.json()["error"]) == (409, "function_run_idempotency_conflict")
    assert other.json()["next_actions"] == [{"type": "get", "href": f"/functions/v1/runs/{first['run_id']}"}]


def test_failures_are_retried_until_it_works(functions: Functions) -> None:
    functions.deploy({"job": FLAKY})
    run = functions.wait_for(functions.create_run("job", "k", **QUICK).json()["run_id"], "succeeded")
    assert run["attempts"]["current"] == 3
    assert "last_error" not in run


def test_attempts_end_and_redrive_starts_again(functions: Functions) -> None:
    functions.deploy({"job": handler("throw new Error('no');")})
    run_id = functions.create_run("job", "k", **QUICK).json()["run_id"]
    failed = functions.wait_for(run_id, "failed")
    assert failed["attempts"] | {"next_attempt_at": ""} == {"current": 3, "max": 3, "total": 3, "next_attempt_at": ""}
    assert failed["last_error"]["code"] == "LOCAL_EXECUTOR_FAILED"
    assert "no" in failed["last_error"]["message"]
    functions.deploy({"job": ECHO})
    redriven = functions.client.post(f"/functions/v1/runs/{run_id}/redrive", json={}, headers=functions.service).json()
    assert (redriven["status"], redriven["generation"], redriven["attempts"]["current"]) == ("queued", 2, 0)
    assert functions.wait_for(run_id, "succeeded")["attempts"]["total"] == 4


def test_a_clients_error_is_not_retried(functions: Functions) -> None:
    functions.deploy({"job": handler("return new Response('bad', { status: 400 });")})
    run = functions.wait_for(functions.create_run("job", "k", **QUICK).json()["run_id"], "failed")
    assert run["attempts"]["total"] == 1
    error = {"code": "FUNCTION_RUN_HTTP_400", "message": "The function answered 400.", "retryable": False}
    assert run["last_error"] == error


def test_a_function_that_is_not_there_yet_is_waited_for(functions: Functions) -> None:
    run_id = functions.create_run("job", "k").json()["run_id"]
    run = functions.wait_for(run_id, "retrying")
    assert run["last_error"]["code"] == "RELEASE_NOT_FOUND"
    wait = datetime.fromisoformat(run["attempts"]["next_attempt_at"]) - datetime.fromisoformat(run["updated_at"])
    assert timedelta(seconds=29) < wait < timedelta(seconds=31)


def test_cancel_stops_a_scheduled_and_a_running_run(functions: Functions) -> None:
    functions.deploy({"job": handler("await new Promise(r => setTimeout(r, 8000)); return new Response('late');")})
    later = functions.create_run("job", "later", delay_seconds=3600).json()
    assert later["status"] == "scheduled"
    now = functions.create_run("job", "now").json()
    functions.wait_for(now["run_id"], "running")
    for run in (later, now):
        url = f"/functions/v1/runs/{run['run_id']}/cancel"
        cancelled = functions.client.post(url, headers=functions.service).json()
        assert (cancelled["status"], cancelled["terminal"]) == ("cancelled", True)
        assert cancelled["last_error"]["code"] == "FUNCTION_RUN_CANCELLED"
    assert functions.run(now["run_id"])["status"] == "cancelled"


def test_a_run_that_is_not_done_in_time_expires(functions: Functions) -> None:
    functions.deploy({"job": handler("return new Response('x', { status: 500 });")})
    soon = (datetime.now(UTC) + timedelta(seconds=1.5)).isoformat().replace("+00:00", "Z")
    run_id = functions.create_run("job", "k", expires_at=soon).json()["run_id"]
    assert functions.wait_for(run_id, "expired")["last_error"]["code"] == "FUNCTION_RUN_EXPIRED"


def test_a_run_that_a_killed_gateway_left_behind_is_taken_up(functions: Functions, database_url: str) -> None:
    functions.deploy({"job": ECHO})
    run_id = functions.create_run("job", "k", delay_seconds=3600).json()["run_id"]
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute(
            "UPDATE internal.core_function_runs SET status = 'running', attempts_current = 1, attempts_total = 1,"
            " lease_expires_at = now() - interval '1 second' WHERE run_id = %s",
            (run_id,),
        )
    run = functions.wait_for(run_id, "succeeded")
    assert run["attempts"]["total"] == 2


def test_lists_are_paged_and_filtered(functions: Functions) -> None:
    for number in range(5):
        functions.create_run("job", f"k{number}", delay_seconds=60, event_type="even" if number % 2 == 0 else "odd")
    url = "/functions/v1/job/runs"
    page = functions.client.get(url, params={"limit": 2}, headers=functions.service).json()
    rest = functions.client.get(
        url, params={"limit": 100, "cursor": page["next_cursor"]}, headers=functions.service
    ).json()
    ids = [run["run_id"] for run in page["runs"] + rest["runs"]]
    assert len(set(ids)) == 5
    assert "next_cursor" not in rest
    times = [run["created_at"] for run in page["runs"] + rest["runs"]]
    assert times == sorted(times, reverse=True)
    odd = functions.client.get(url, params={"event_type": "odd", "status": "scheduled"}, headers=functions.service)
    assert len(odd.json()["runs"]) == 2
    none = functions.client.get(url, params={"since": "2099-01-01T00:00:00Z"}, headers=functions.service)
    assert none.json() == {"runs": []}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"event_type": None}, "event_type"),
        ({"idempotency_key": " "}, "idempotency_key"),
        ({"payload": [1]}, "payload"),
        ({"delay_seconds": -1}, "delay_seconds"),
        ({"delay_seconds": True}, "delay_seconds"),
        ({"run_at": "soon"}, "run_at"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"retry": {"max_attempts": 0}}, "retry.max_attempts"),
        ({"retry": 5}, "retry"),
    ],
)
def test_bad_requests_name_the_field(functions: Functions, body: dict[str, Any], field: str) -> None:
    answer = functions.create_run("job", "k", **body)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_function_run_request")
    assert answer.json()["field"] == field


def test_run_at_and_delay_exclude_each_other(functions: Functions) -> None:
    answer = functions.create_run("job", "k", run_at="2099-01-01T00:00:00Z", delay_seconds=1)
    assert answer.json()["fields"] == ["run_at", "delay_seconds"]


def test_runs_need_the_service_key_and_belong_to_its_project(functions: Functions) -> None:
    run_id = functions.create_run("job", "k", delay_seconds=60).json()["run_id"]
    url = f"/functions/v1/runs/{run_id}"
    assert functions.client.get(url).status_code == 401
    assert functions.client.get(url, headers=functions.anon).status_code == 401
    other = functions.client.post("/projects/v1", json={"name": "other"}).json()
    assert functions.client.get(url, headers={"apikey": other["service_key"]}).status_code == 404
    assert functions.client.get("/functions/v1/runs", headers=functions.service).json()["error"] == (
        "function_run_route_not_found"
    )


def test_runs_and_logs_of_a_function_that_is_not_there_name_those_that_are(functions: Functions) -> None:
    for url in ("/functions/v1/nosuch/runs", f"/projects/v1/admin/{functions.id}/functions/nosuch/logs"):
        answer = functions.client.get(url, headers=functions.service)
        assert (answer.status_code, answer.json()["code"]) == (404, "FUNCTION_NOT_FOUND")


def test_the_runs_of_one_project_hold_up_no_other_project(functions: Functions, client: httpx.Client) -> None:
    other = Functions(client, client.post("/projects/v1", json={"name": "attacker"}).json())
    sleep = handler("await new Promise((done) => setTimeout(done, 900_000)); return new Response('late');")
    other.deploy({"sleep": sleep, "more": sleep}, settings={"sleep": {"config": {"timeout_seconds": 900}}})
    made = [other.create_run(name, f"{name}{number}").json() for number in range(5) for name in ("sleep", "more")]
    functions.deploy({"job": ECHO})
    other.wait_for(made[0]["run_id"], "running")
    mine = [functions.create_run("job", f"k{number}").json()["run_id"] for number in range(3)]
    for run_id in mine:
        functions.wait_for(run_id, "succeeded")
    statuses = [other.run(run["run_id"])["status"] for run in made]
    assert 1 <= statuses.count("running") <= dispatch.SHARE
    for run in made:
        client.post(f"/functions/v1/runs/{run['run_id']}/cancel", headers=other.service)
