"""Schedules: a due trigger makes a run; a missed one does not."""

from __future__ import annotations

import time
from typing import Any

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
    from datetime import UTC, datetime

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
