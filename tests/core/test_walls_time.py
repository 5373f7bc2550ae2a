"""What a project's SQL takes of time and connections, and that it takes neither from other projects."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg
import pytest
from copies_kit import sql

from run402_cli.core import backends, logins, shares
from run402_cli.core.settings import Settings

SCHEMA = """
CREATE TABLE notes (id int); INSERT INTO notes VALUES (1);
CREATE FUNCTION inj(q text) RETURNS text LANGUAGE plpgsql AS $f$ DECLARE r text; BEGIN EXECUTE q INTO r; RETURN r; END $f$;
CREATE FUNCTION injn(q text) RETURNS void LANGUAGE plpgsql AS $f$ BEGIN EXECUTE q; END $f$;
"""
OFF = "SET LOCAL statement_timeout = 0;"
# Work for the COMMIT; and for ever, whatever cancels it.
CURSOR = f"{OFF} DECLARE c CURSOR WITH HOLD FOR SELECT pg_sleep(100000)"
READING = f"{OFF} DECLARE c CURSOR WITH HOLD FOR SELECT n.*, pg_sleep(100000) FROM notes n"
STUBBORN = f"""{OFF} DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(100000);
  EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$"""
AWAKE = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND coalesce(usename ~ '^r402_', true)
  AND state = 'active' AND backend_type = 'client backend'
"""


def made(client: httpx.Client, name: str) -> dict[str, Any]:
    project: dict[str, Any] = client.post("/projects/v1", json={"name": name}).json()
    sql(client, project, SCHEMA)
    rpcs = [{"name": each, "signature": "(q text)", "grant_to": ["anon"]} for each in ("inj", "injn")]
    answer = client.post(
        f"/projects/v1/admin/{project['project_id']}/expose",
        json={"version": "1", "tables": [], "rpcs": rpcs},
        headers={"Authorization": f"Bearer {project['service_key']}"},
    )
    assert answer.status_code == 200, answer.text
    return project


@pytest.fixture
def hostile(client: httpx.Client) -> dict[str, Any]:
    return made(client, "hostile")


@pytest.fixture
def other(client: httpx.Client) -> dict[str, Any]:
    return made(client, "other")


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Settings, "request_seconds", 1.5)
    monkeypatch.setattr(backends, "UNWATCHED_SECONDS", 0.2)
    monkeypatch.setattr(shares, "PATIENCE_SECONDS", 0.8)


def inject(
    client: httpx.Client, project: dict[str, Any], text: str, kind: str = "anon", **settings: Any
) -> httpx.Response:
    path = "/rest/v1" if kind == "anon" else "/admin/v1/rest"
    headers = {"apikey": project[f"{kind}_key"]}
    return client.post(f"{path}/rpc/injn", headers=headers, json={"q": text}, **settings)


def run(client: httpx.Client, project: dict[str, Any], text: str, **settings: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {project['service_key']}"}
    return client.post(f"/projects/v1/admin/{project['project_id']}/sql", content=text, headers=headers, **settings)


def reads(client: httpx.Client, project: dict[str, Any]) -> bool:
    answer = client.get("/admin/v1/rest/notes", headers={"apikey": project["service_key"]}, timeout=5)
    return bool(answer.json() == [{"id": 1}])


def awake(database_url: str) -> int:
    with psycopg.connect(database_url) as admin:
        row = admin.execute(AWAKE).fetchone()
    assert row is not None
    return int(row[0])


def all_asleep(database_url: str, seconds: float = 8) -> bool:
    end = time.monotonic() + seconds
    while awake(database_url):
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


@contextmanager
def many(client: httpx.Client, send: Any, count: int) -> Iterator[list[httpx.Response]]:
    """So many requests at once during the block; their answers after it."""
    answers: list[httpx.Response] = []
    with ThreadPoolExecutor(count) as threads:
        sent = [threads.submit(send) for _ in range(count)]
        yield answers
        for each in sent:
            try:
                answers.append(each.result())
            except httpx.TimeoutException:
                continue


@pytest.mark.parametrize("text", [CURSOR, STUBBORN, "SELECT pg_sleep(100000)"], ids=["commit", "catches", "plain"])
def test_a_request_ends_whatever_it_does_to_its_limits(
    client: httpx.Client, hostile: dict[str, Any], database_url: str, hurry: None, text: str
) -> None:
    began = time.monotonic()
    answer = inject(client, hostile, text)
    assert (answer.status_code, answer.json()["error"]) == (503, "database_busy"), answer.text
    assert "run402 projects sql" in answer.json()["message"]
    assert time.monotonic() - began < 8
    assert all_asleep(database_url, 2)
    assert reads(client, hostile)


def test_a_project_that_waits_for_ever_leaves_places_to_the_others(
    client: httpx.Client, hostile: dict[str, Any], other: dict[str, Any], database_url: str, hurry: None
) -> None:
    kinds = itertools.cycle(["anon", "service"])
    with many(client, lambda: inject(client, hostile, CURSOR, next(kinds)), 30) as answers:
        time.sleep(0.6)
        assert awake(database_url) == logins.MOST // 2
        assert reads(client, other)
    assert {answer.status_code for answer in answers} == {503}
    busy = [answer for answer in answers if "of this project" in answer.text]
    assert 10 <= len(busy) < len(answers) == 30
    assert {answer.headers["retry-after"] for answer in busy} == {"2"}
    assert reads(client, hostile)


def test_a_project_that_locks_its_table_keeps_nobody_else_waiting(
    client: httpx.Client, hostile: dict[str, Any], other: dict[str, Any], hurry: None
) -> None:
    held = threading.Thread(target=lambda: run(client, hostile, "LOCK TABLE notes; SELECT pg_sleep(5)"))
    held.start()
    time.sleep(0.3)
    headers = {"apikey": hostile["service_key"]}
    with many(client, lambda: client.get("/admin/v1/rest/notes", headers=headers), 30):
        time.sleep(0.5)
        assert client.get("/health", timeout=3).status_code == 200
        assert reads(client, other)
    held.join()


@pytest.mark.parametrize("text", ["SELECT pg_sleep(100000)", CURSOR, STUBBORN], ids=["plain", "commit", "catches"])
def test_what_a_request_runs_ends_when_its_client_leaves(
    client: httpx.Client, hostile: dict[str, Any], database_url: str, text: str
) -> None:
    with pytest.raises(httpx.TimeoutException):
        inject(client, hostile, text, timeout=0.5)
    assert awake(database_url)
    assert all_asleep(database_url)


def test_sql_ends_when_its_client_leaves_and_others_have_room(
    client: httpx.Client, hostile: dict[str, Any], other: dict[str, Any], database_url: str
) -> None:
    with many(client, lambda: run(client, hostile, "SELECT pg_sleep(100000)", timeout=1), 25):
        time.sleep(0.5)
        assert run(client, other, "SELECT 1", timeout=5).status_code == 200
    assert all_asleep(database_url)
    assert run(client, hostile, "SELECT 1", timeout=10).status_code == 200


def test_what_a_deleted_project_runs_ends_too(
    client: httpx.Client, hostile: dict[str, Any], database_url: str, hurry: None
) -> None:
    headers = {"Authorization": f"Bearer {hostile['service_key']}"}
    with many(client, lambda: run(client, hostile, "SELECT pg_sleep(100000)", timeout=2), 1):
        time.sleep(0.5)
        assert client.delete(f"/projects/v1/{hostile['project_id']}", headers=headers).status_code == 200
        assert awake(database_url) == 1
    assert all_asleep(database_url, 3)


def test_sql_of_a_project_that_has_its_share_is_told_to_come_back(
    client: httpx.Client, hostile: dict[str, Any], other: dict[str, Any], hurry: None
) -> None:
    with many(client, lambda: run(client, hostile, "SELECT pg_sleep(4)"), 10):
        time.sleep(0.5)
        answer = run(client, hostile, "SELECT 1")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert "SQL sessions of this project" in answer.json()["message"]
        assert run(client, other, "SELECT 1", timeout=5).status_code == 200


def test_a_project_whose_tables_are_held_is_deleted(
    client: httpx.Client, hostile: dict[str, Any], database_url: str
) -> None:
    """A request that reads a table in its COMMIT, and an owner that locks one."""
    threads = [
        threading.Thread(target=lambda: inject(client, hostile, READING)),
        threading.Thread(target=lambda: run(client, hostile, "LOCK TABLE notes; SELECT pg_sleep(100000)")),
    ]
    threads[0].start()
    time.sleep(3.5)
    threads[1].start()
    began = time.monotonic()
    headers = {"Authorization": f"Bearer {hostile['service_key']}"}
    path = f"/projects/v1/{hostile['project_id']}"
    answer = client.delete(path, headers=headers)
    while answer.status_code == 503 and time.monotonic() - began < 30:
        answer = client.delete(path, headers=headers)
    assert answer.status_code == 200, answer.text
    for thread in threads:
        thread.join()
    assert all_asleep(database_url)
