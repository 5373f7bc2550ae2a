"""A gateway killed with SIGKILL in the middle of a deploy: nothing is lost, nothing runs twice, resume finishes it."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from deploy_kit import migration, plan, ref, stage, upload
from killable_kit import Killable


def commit_in_background(gateway: Killable, planned: dict[str, Any]) -> threading.Thread:
    def send() -> None:
        url = f"http://127.0.0.1:{gateway.port}/apply/v1/plans/{planned['plan_id']}/commit"
        with contextlib.suppress(httpx.TransportError):
            httpx.post(url, json={}, timeout=60, trust_env=False)

    thread = threading.Thread(target=send)
    thread.start()
    return thread


def wait_until(database_url: str, query: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as admin:
        for _ in range(600):
            row = admin.execute(query.encode()).fetchone()
            if row and row[0]:
                return
            threading.Event().wait(0.02)
    raise AssertionError(f"never became true: {query}")


@pytest.mark.parametrize("finish", ["resume", "second apply"])
def test_killed_during_a_migration(killable: Killable, finish: str) -> None:
    client = killable.client
    project = client.post("/projects/v1", json={"name": "crash"}).json()
    first = migration("1", "create table kept (n int); insert into kept values (1);")
    slow = migration("2", "insert into kept values (2); select pg_sleep(3);")
    spec = {
        "project_id": project["project_id"],
        "database": {"migrations": [first, slow]},
        "site": {"replace": {"index.html": ref(b"<p>up</p>", "text/html")}},
    }
    planned = plan(client, spec, idempotency_key="once").json()
    upload(client, project, b"<p>up</p>")
    sending = commit_in_background(killable, planned)
    wait_until(killable.database_url, "SELECT count(*) FROM internal.core_operation_events WHERE message = 'Running 2'")
    killable.kill()
    sending.join()
    killable.start()
    snapshot = client.get(f"/apply/v1/operations/{planned['operation_id']}").json()
    assert (snapshot["status"], snapshot["release_id"]) == ("migrating", None)
    if finish == "resume":
        done = client.post(f"/apply/v1/operations/{planned['operation_id']}/resume").json()
    else:
        again = plan(client, spec, idempotency_key="once").json()
        assert again["plan_id"] == planned["plan_id"]
        assert [entry["present"] for entry in again["missing_content"]] == [True]
        done = client.post(f"/apply/v1/plans/{again['plan_id']}/commit", json={"idempotency_key": "once"}).json()
    assert (done["status"], done["release_id"]) == ("ready", planned["target_release_id"])
    assert client.get(f"/projects/v1/{project['project_id']}/static/").content == b"<p>up</p>"
    with psycopg.connect(killable.database_url) as admin:
        rows = admin.execute(f"SELECT n FROM {project['schema_slot']}.kept ORDER BY n".encode()).fetchall()
    assert rows == [(1,), (2,)]


def test_killed_during_an_upload_keeps_what_was_stored_and_no_half_object(killable: Killable, tmp_path: Path) -> None:
    client = killable.client
    project = client.post("/projects/v1", json={"name": "crash"}).json()
    stage(client, project, b"kept")
    big = b"x" * (4 << 20)
    body = {"content": [ref(big)], "project_id": project["project_id"]}
    url = client.post("/content/v1/plans", json=body).json()["missing"][0]["parts"][0]["url"]
    with socket.create_connection(("127.0.0.1", killable.port)) as line:
        target = url.partition(str(killable.port))[2]
        head = f"PUT {target} HTTP/1.1\r\nHost: 127.0.0.1:{killable.port}\r\nContent-Length: {len(big)}\r\n\r\n"
        line.sendall(head.encode() + big[: 3 << 20])
        content = tmp_path / "data" / "content"
        for _ in range(600):
            if any(path.stat().st_size for path in (content / "tmp").glob("*")):
                break
            threading.Event().wait(0.02)
        killable.kill()
    killable.start()
    listed = client.post(
        "/content/v1/plans", json={"content": [ref(big), ref(b"kept")], "project_id": project["project_id"]}
    ).json()
    assert [entry["missing"] for entry in listed["entries"]] == [True, False]
    assert [path.read_bytes() for path in (content / "cas").glob("*/*")] == [b"kept"]
    upload(client, project, big)
