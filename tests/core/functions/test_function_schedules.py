"""Schedules: a due trigger makes a run; a missed one does not."""

from __future__ import annotations

import random
import string
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import psycopg
import pytest
from functions_kit import Functions, handler

from run402_cli.core.errors import GatewayError
from run402_cli.core.functions.functions_request import next_tick

ECHO = handler("console.log(await req.text()); return new Response('ok');")
HOURLY = {"id": "hourly", "type": "schedule", "cron": "0 * * * *", "run": {"event_type": "tick", "payload": {"a": 1}}}


def deploy(functions: Functions, **entry: Any) -> None:
    functions.deploy({"job": ECHO}, settings={"job": entry or {"triggers": [HOURLY]}})


def set_next(database_url: str, interval: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute(
            "UPDATE internal.core_function_schedules SET next_tick_at = now() + %s::interval WHERE active", (interval,)
        )


def runs(functions: Functions) -> list[dict[str, Any]]:
    return list(functions.client.get("/functions/v1/job/runs", headers=functions.service).json()["runs"])


def meta(functions: Functions) -> dict[str, Any]:
    url = f"/projects/v1/admin/{functions.id}/functions"
    entry = functions.client.get(url, headers=functions.service).json()["functions"][0]
    return dict(entry["schedule_meta"] or entry["triggers"][0]["schedule_meta"])


def test_a_due_trigger_makes_a_run_with_its_payload(functions: Functions, database_url: str) -> None:
    deploy(functions)
    assert meta(functions)["run_count"] == 0
    set_next(database_url, "-1 second")
    deadline = time.monotonic() + 10
    while not runs(functions) and time.monotonic() < deadline:
        time.sleep(0.1)
    (made,) = runs(functions)
    assert (made["event_type"], made["source"]["mode"]) == ("tick", "cron")
    assert made["source"]["trigger_id"] == "hourly"
    functions.wait_for(made["run_id"], "succeeded")
    now = meta(functions)
    assert (now["run_count"], now["last_run_id"], now["last_run_status"]) == (1, made["run_id"], "succeeded")
    assert now["last_status"] == 200
    assert now["next_run_at"] > made["created_at"]


def test_a_missed_tick_is_skipped(functions: Functions, database_url: str) -> None:
    deploy(functions)
    set_next(database_url, "-10 minutes")
    deadline = time.monotonic() + 10
    while meta(functions)["next_run_at"] < "2026" or _overdue(database_url):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert runs(functions) == []


def _overdue(database_url: str) -> bool:
    with psycopg.connect(database_url) as conn:
        row = conn.execute("SELECT bool_or(next_tick_at < now()) FROM internal.core_function_schedules").fetchone()
    return bool(row and row[0])


def test_the_older_schedule_field_is_a_trigger_too(functions: Functions, database_url: str) -> None:
    deploy(functions, schedule="*/5 * * * *")
    assert meta(functions)["next_run_at"] is not None
    url = f"/projects/v1/{functions.id}/functions/job/trigger"
    answer = functions.client.post(url, headers=functions.service)
    assert (answer.status_code, answer.json()["status"]) == (200, 202)
    assert answer.json()["run"]["event_type"] == "schedule"


def test_a_trigger_can_be_run_by_hand(functions: Functions) -> None:
    deploy(functions)
    url = f"/projects/v1/{functions.id}/functions/job/triggers/hourly/run"
    answer = functions.client.post(url, headers=functions.service)
    assert answer.status_code == 202
    assert answer.json()["run"]["source"]["mode"] == "manual"
    assert answer.json()["schedule_meta"]["run_count"] == 1
    functions.wait_for(answer.json()["run"]["run_id"], "succeeded")
    assert functions.client.post(url, headers={"apikey": "wrong"}).status_code == 403
    assert functions.client.post(url).status_code == 401
    missing = functions.client.post(url.replace("hourly", "daily"), headers=functions.service)
    assert (missing.status_code, missing.json()["error"]) == (404, "scheduled_function_not_found")


def test_a_trigger_that_a_release_drops_is_silent(functions: Functions, database_url: str) -> None:
    deploy(functions)
    deploy(functions, triggers=[])
    set_next(database_url, "-1 second")
    url = f"/projects/v1/{functions.id}/functions/job/trigger"
    assert functions.client.post(url, headers=functions.service).status_code == 404


def test_a_time_zone_counts() -> None:
    trigger = {"id": "t", "cron": "0 9 * * *", "timezone": "Europe/Vienna"}
    assert next_tick(trigger, datetime(2026, 1, 1, tzinfo=UTC), "f") == datetime(2026, 1, 1, 8, tzinfo=UTC)
    with pytest.raises(GatewayError, match="Mars"):
        next_tick({**trigger, "timezone": "Mars/Olympus"}, datetime.now(UTC), "f")


def test_a_trigger_that_cannot_run_holds_up_no_other(functions: Functions, database_url: str) -> None:
    other = {**HOURLY, "id": "other"}
    deploy(functions, triggers=[HOURLY, other])
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute(
            "UPDATE internal.core_function_schedules SET trigger = jsonb_set(trigger, '{run,retry}', '5')"
            " WHERE trigger_id = 'hourly'"
        )
    set_next(database_url, "-1 second")
    deadline = time.monotonic() + 10
    while not runs(functions):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert [run["source"]["trigger_id"] for run in runs(functions)] == ["other"]
    assert "retry" in meta(functions)["last_error"]
    # A release that can be run again begins anew.
    deploy(functions, triggers=[HOURLY])
    assert meta(functions)["last_error"] is None


BROKEN = {
    # What a release refuses today may stand in the rows of an older one.
    "an id that no key holds": "trigger_id = %(long)s",
    "a time beyond the calendar": "trigger = jsonb_set(trigger, '{run,expires_after_seconds}', '1000000000000')",
    "a run that is none": "trigger = jsonb_set(trigger, '{run}', '7')",
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_project_with_a_broken_trigger_stops_no_other_project(
    functions: Functions, client: httpx.Client, database_url: str, what: str
) -> None:
    other = Functions(client, client.post("/projects/v1", json={"name": "attacker"}).json())
    deploy(functions)
    deploy(other)
    # Random, so that no compression brings the key below the limit.
    long = "".join(random.Random(1).choices(string.printable[:94], k=2640))
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute(
            f"UPDATE internal.core_function_schedules SET {BROKEN[what]} WHERE project_id = %(id)s".encode(),
            {"id": other.id, "long": long},
        )
    set_next(database_url, "-1 second")
    until(lambda: runs(functions))
    until(lambda: not _overdue(database_url))
    assert runs(other) == []
    with psycopg.connect(database_url) as conn:
        query = "SELECT last_error FROM internal.core_function_schedules WHERE project_id = %s"
        assert conn.execute(query, (other.id,)).fetchall() != [(None,)]
    # And again, with the broken one in the way.
    set_next(database_url, "-1 second")
    until(lambda: len(runs(functions)) == 2)


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"id": "x" * 201}, "id"),
        ({"id": "a\nb"}, "id"),
        ({"run": {"event_type": "x" * 513}}, "run.event_type"),
        ({"run": {"event_type": "t", "expires_after_seconds": 10**9 + 1}}, "run.expires_after_seconds"),
        ({"run": {"event_type": "t", "retry": {"max_attempts": 1001}}}, "run.retry.max_attempts"),
        ({"run": {"event_type": "t", "retry": {"preset": 5}}}, "run.retry.preset"),
    ],
)
def test_a_trigger_that_no_run_can_be_made_of_is_refused(
    functions: Functions, change: dict[str, Any], field: str
) -> None:
    spec = functions.spec({"job": ECHO}, settings={"job": {"triggers": [{**HOURLY, **change}]}})
    answer = functions.plan(spec)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_SPEC"), answer.text
    assert field in answer.json()["message"]


def test_the_longest_id_makes_runs(functions: Functions, database_url: str) -> None:
    # Four bytes each.
    deploy(functions, triggers=[{**HOURLY, "id": "\U0001f600" * 200}])
    set_next(database_url, "-1 second")
    until(lambda: runs(functions))


def test_a_directory_of_time_zones_is_no_time_zone() -> None:
    with pytest.raises(GatewayError, match="America"):
        next_tick({"id": "t", "cron": "0 9 * * *", "timezone": "America"}, datetime.now(UTC), "f")
