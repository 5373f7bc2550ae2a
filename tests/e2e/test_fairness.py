"""What one project asks of the database at once, others hardly notice. What this catches takes tens of seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from gateway_kit import control

P99_SECONDS = 1.0
SCHEMA = """
CREATE TABLE notes (id int); INSERT INTO notes VALUES (1);
CREATE TABLE many AS SELECT g AS id, repeat('x', 40) AS t FROM generate_series(1, 150000) g;
CREATE FUNCTION nap(s float) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1 FROM pg_sleep(s)';
"""
MANIFEST = {
    "version": "1",
    "tables": [],
    "rpcs": [{"name": "nap", "signature": "(s double precision)", "grant_to": ["anon", "authenticated"]}],
}


@pytest.fixture
def made(gateway: dict[str, Any]) -> Iterator[tuple[httpx.Client, dict[str, Any], dict[str, Any]]]:
    """Two projects with their keys: the one that asks for much, and the other."""
    with httpx.Client(base_url=gateway["url"], trust_env=False, timeout=60) as client:
        projects: list[dict[str, Any]] = []
        for name in ("hostile", "other"):
            project = client.post("/projects/v1", json={"name": name}, headers=control(gateway)).json()
            assert sql(client, project, SCHEMA).status_code == 200
            address = f"/projects/v1/admin/{project['project_id']}/expose"
            answer = client.post(address, json=MANIFEST, headers={"apikey": project["service_key"]})
            assert answer.status_code == 200, answer.text
            projects.append(project)
        yield client, projects[0], projects[1]


def sql(client: httpx.Client, project: dict[str, Any], text: str) -> httpx.Response:
    address = f"/projects/v1/admin/{project['project_id']}/sql"
    return client.post(address, content=text, headers={"apikey": project["service_key"]})


def nap(client: httpx.Client, project: dict[str, Any], seconds: float, token: str = "") -> httpx.Response:
    headers = {"apikey": project["anon_key"], **({"Authorization": f"Bearer {token}"} if token else {})}
    return client.post("/rest/v1/rpc/nap", json={"s": seconds}, headers=headers)


@contextmanager
def many(count: int, send: Callable[[], httpx.Response]) -> Iterator[list[Future[httpx.Response]]]:
    with ThreadPoolExecutor(count) as threads:
        sent = [threads.submit(send) for _ in range(count)]
        time.sleep(0.5)
        yield sent


def reads_of(
    client: httpx.Client, project: dict[str, Any], sent: list[Future[httpx.Response]]
) -> tuple[float, set[int]]:
    """The p99 of reads in seconds and their statuses, until all of `sent` are answered; of `/health` too."""
    times, statuses = list[float](), set[int]()
    while len(times) < 100 or not all(each.done() for each in sent):
        for path in ("/admin/v1/rest/notes", "/health"):
            began = time.monotonic()
            statuses.add(client.get(path, headers={"apikey": project["service_key"]}).status_code)
            times.append(time.monotonic() - began)
        time.sleep(0.02)
    return sorted(times)[len(times) * 99 // 100], statuses


def signed_in(client: httpx.Client, project: dict[str, Any]) -> str:
    body = {"email": "ada@example.com", "password": "a-long-password-1"}
    answer = client.post("/auth/v1/signup", json=body, headers={"apikey": project["anon_key"]})
    if "access_token" not in answer.json():
        answer = client.post(
            "/auth/v1/token", params={"grant_type": "password"}, json=body, headers={"apikey": project["anon_key"]}
        )
    return str(answer.json()["access_token"])


@pytest.mark.parametrize("kind", ["anon", "user", "sql", "results"])
def test_slow_requests_of_a_project_keep_no_other_waiting(
    made: tuple[httpx.Client, dict[str, Any], dict[str, Any]], kind: str
) -> None:
    client, hostile, other = made
    token = signed_in(client, hostile) if kind == "user" else ""
    send: dict[str, Callable[[], httpx.Response]] = {
        "anon": lambda: nap(client, hostile, 4),
        "user": lambda: nap(client, hostile, 4, token),
        "sql": lambda: sql(client, hostile, "SELECT pg_sleep(4)"),
        "results": lambda: sql(client, hostile, "SELECT * FROM many"),
    }
    with many(4 if kind == "results" else 12, send[kind]) as sent:
        p99, statuses = reads_of(client, other, sent)
    assert statuses == {200}
    assert p99 < P99_SECONDS
    assert {each.result().status_code for each in sent} == {200}


def test_a_project_that_asks_for_too_much_is_told_that_it_is_busy(
    made: tuple[httpx.Client, dict[str, Any], dict[str, Any]],
) -> None:
    client, hostile, other = made
    with many(40, lambda: nap(client, hostile, 18)) as sent:
        p99, statuses = reads_of(client, other, sent)
    assert (statuses, p99 < P99_SECONDS) == ({200}, True)
    answers = [each.result() for each in sent]
    busy = [answer for answer in answers if answer.status_code != 200]
    assert len(busy) == 28
    assert {(answer.status_code, answer.json()["code"], answer.headers["retry-after"]) for answer in busy} == {
        (503, "DATABASE_BUSY", "2")
    }
    assert all("requests of this project use the database" in answer.json()["message"] for answer in busy)
